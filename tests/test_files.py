"""Files and directories that appear complete or not at all: permissions, and what is somebody else's."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import HANG

from textnn import files
from textnn.files import atomic_bytes, atomic_text, finish_replacing, foreign_names, replacing

NAMES = {"a.txt", "run.py", "__pycache__"}


@pytest.fixture
def _mask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_mask")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, None])
def test_a_file_has_its_permissions_before_anything_is_in_it(mode: int | None, tmp_path: Path) -> None:
    target = tmp_path / "file"
    if mode is not None:
        target.write_bytes(b"before")
        target.chmod(mode)
    with atomic_text(target) as file:
        (new,) = (path for path in tmp_path.iterdir() if path != target)
        while_written = stat.S_IMODE(new.stat().st_mode)
        file.write("after")
    assert while_written == stat.S_IMODE(target.stat().st_mode) == (0o644 if mode is None else mode)
    assert target.read_text() == "after"


def test_a_file_of_a_private_one_is_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, made = tmp_path / "file", []
    target.touch(0o600)
    change = os.fchmod
    monkeypatch.setattr(
        os, "fchmod", lambda number, mode: (made.append(os.fstat(number).st_mode), change(number, mode))
    )
    with atomic_bytes(target) as file:
        file.write(b"secret")
    assert [stat.S_IMODE(mode) & 0o077 for mode in made] == [0]


def break_off(opened: Any, content: Any, error: BaseException) -> None:
    with opened as file:
        file.write(content)
        raise error


@pytest.mark.parametrize("there", [False, True])
def test_bytes_are_written_as_they_are_or_not_at_all(there: bool, tmp_path: Path) -> None:
    target = tmp_path / "file"
    if there:
        target.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        break_off(atomic_bytes(target), b"half", KeyboardInterrupt())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == ({"file": b"before"} if there else {})
    with atomic_bytes(target) as file:
        file.write(b"\r\n\0\xff")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"\r\n\0\xff"}


def test_a_text_that_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("before")
    with pytest.raises(ValueError, match="stop"):
        break_off(atomic_text(target), "half" * 10_000, ValueError("stop"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "before"}


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with atomic_text(tmp_path / "pipe") as file:
        file.write("好\n")
    reader.join(HANG)
    assert found == ["好\n".encode()]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.fixture(params=[True, False], ids=["swap", "no swap"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of ours, where the system can exchange two names in one step and where it cannot."""
    if not request.param:
        monkeypatch.setattr(files, "_swap", lambda one, other: False)
    (tmp_path / "target" / "__pycache__").mkdir(parents=True)
    (tmp_path / "target" / "__pycache__" / "run.cpython-311.pyc").write_bytes(b"bytecode")
    for name in ("a.txt", "run.py"):
        (tmp_path / "target" / name).write_text("before")
    return tmp_path / "target"


def replace(target: Path, meanwhile: Callable[[Path], None]) -> None:
    with replacing(target, NAMES) as new:
        (new / "a.txt").write_text("after")
        meanwhile(new)


def test_a_directory_of_our_files_alone_is_replaced(target: Path) -> None:
    with replacing(target, NAMES) as new:
        (new / "a.txt").write_text("after")
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert {path.name: path.read_text() for path in target.iterdir()} == {"a.txt": "after"}


@pytest.mark.parametrize("precious", ["notes.txt", "folder/notes.txt", "__pycache__/notes.txt", "__pycache__/my.pyc"])
def test_what_came_into_a_directory_meanwhile_is_kept_beside_it(precious: str, target: Path) -> None:
    assert foreign_names(target, NAMES) == []

    def appear(new: Path) -> None:
        (target / precious).parent.mkdir(exist_ok=True)
        (target / precious).write_text("precious")

    with pytest.warns(UserWarning, match=r"target: what was there before is kept as .*target\.replaced-\w+, as it"):
        replace(target, appear)
    assert {path.name: path.read_text() for path in target.iterdir()} == {"a.txt": "after"}
    (kept,) = (path for path in target.parent.iterdir() if path != target)
    assert (kept / precious).read_text() == "precious"
    assert foreign_names(kept, NAMES) == [Path(precious).parts[0]]


def test_a_file_that_comes_while_the_old_directory_is_emptied_is_kept(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def late(path: Path, **options: bool) -> None:
        unlink(path, **options)
        if path.name == "a.txt":
            (path.parent / "notes.txt").write_text("precious")

    monkeypatch.setattr(Path, "unlink", late)
    with pytest.warns(UserWarning, match="is kept as"), replacing(target, NAMES):
        pass
    (kept,) = (path for path in target.parent.iterdir() if path != target)
    assert (kept / "notes.txt").read_text() == "precious"


def test_a_directory_that_appears_meanwhile_is_kept_too(tmp_path: Path) -> None:
    def appear(new: Path) -> None:
        (tmp_path / "target").mkdir()
        (tmp_path / "target" / "notes.txt").write_text("precious")

    with pytest.warns(UserWarning, match="is kept as"):
        replace(tmp_path / "target", appear)
    assert sorted(path.read_text() for path in tmp_path.rglob("*.txt")) == ["after", "precious"]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_after_an_error_the_half_written_directory_is_gone_and_the_other_as_it_was(
    error: BaseException, target: Path
) -> None:
    before = {path: path.is_dir() or path.read_bytes() for path in target.rglob("*")}
    (target / "notes.txt").write_text("precious")

    def write(new: Path) -> None:
        (new / "more").mkdir()
        raise error

    with pytest.raises(type(error)):
        replace(target, write)
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert (target / "notes.txt").read_text() == "precious"
    assert {path: path.is_dir() or path.read_bytes() for path in before} == before


def test_a_break_right_after_the_exchange_removes_no_files_of_others(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        raise KeyboardInterrupt

    (target / "notes.txt").write_text("precious")
    monkeypatch.setattr(files, "sync_directory", broken)
    with pytest.warns(UserWarning, match="is kept as"), pytest.raises(KeyboardInterrupt), replacing(target, NAMES):
        pass
    assert [path.read_text() for path in target.parent.rglob("notes.txt")] == ["precious"]


def test_links_are_removed_but_not_what_they_lead_to(target: Path) -> None:
    (target.parent / "precious").mkdir()
    (target.parent / "precious" / "notes.txt").write_text("precious")
    (target / "a.txt").unlink()
    (target / "a.txt").symlink_to(target.parent / "precious")
    with replacing(target, NAMES):
        pass
    assert (target.parent / "precious" / "notes.txt").read_text() == "precious"
    assert sorted(path.name for path in target.parent.iterdir()) == ["precious", "target"]


def test_a_directory_with_the_name_of_a_file_is_not_ours(target: Path) -> None:
    (target / "a.txt").unlink()
    (target / "a.txt").mkdir()
    assert foreign_names(target, NAMES) == ["a.txt"]


# ---- directories that cannot be renamed ------------------------------------------------------------------------------

OLD, NEW = {"a.txt": "old", "run.py": "old"}, {"a.txt": "new", "b.txt": "new"}
STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"}


def content(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do some work in a process that ends right before its step of this number; return whether it came so far."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads; the child starts none
        child = os.fork()
    if not child:
        left = [step]

        def count(event: str, arguments: object) -> None:
            left[0] -= event in STEPS
            if left[0] < 0:
                os._exit(9)

        sys.addaudithook(count)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_files_replaced_in_a_mount_point_are_all_old_or_all_new_whenever_the_process_is_killed(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "must_stay", Path.is_dir)
    if not links:
        monkeypatch.setattr(os, "link", lambda *arguments: (_ for _ in ()).throw(OSError(95, "not supported")))
    target, names = tmp_path / "volume", {"a.txt", "b.txt", "run.py"}
    found: list[str] = []

    def write() -> None:
        with replacing(target, names) as new:
            for name, text in NEW.items():
                (new / name).write_text(text)

    for step in range(100):
        target.mkdir()
        for name, text in OLD.items():
            (target / name).write_text(text)
        killed = killed_at(step, write)
        ready = target / files.READY
        whole = content(ready) if ready.exists() else content(target)
        assert whole in (OLD, NEW), (step, whole)
        found.append("old" if whole == OLD else "new")
        # The process that finishes it may be killed, too.
        killed_at(step % 8, lambda: finish_replacing(target, names))
        assert (content(ready) if ready.exists() else content(target)) == whole, step
        finish_replacing(target, names)
        assert content(target) == whole, step
        assert not ready.exists(), step
        assert foreign_names(target, names) == []
        write()
        assert sorted(path.name for path in target.iterdir()) == sorted(NEW), step
        assert content(target) == NEW, step
        shutil.rmtree(target)
        if not killed:
            break
    assert not killed
    assert found == sorted(found, reverse=True), "once it is the new content it stays so"
    assert {"old", "new"} == set(found)


def test_an_error_before_all_new_files_are_whole_leaves_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "must_stay", Path.is_dir)
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        replace(tmp_path, lambda new: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt"}
    assert content(tmp_path) == {"a.txt": "old"}
