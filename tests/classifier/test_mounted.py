"""Models and exports in mount points, on full disks, and behind links; mounted in a namespace of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import ENVIRONMENT, QUICK, run, write_csv
from saved_models import FILES

from textnn import SentimentClassifier
from textnn.bundle import BundleError
from textnn.classification.bundle import check_target
from textnn.files import must_stay

pytestmark = pytest.mark.slow


def _mounting() -> bool:
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


mounted = pytest.mark.skipif(not _mounting(), reason="this user may not mount, not even in a namespace of its own")

PROGRAM = """
import os, subprocess, sys
volume, size, read_only, bind = sys.argv[1], sys.argv[2], sys.argv[3] == "True", sys.argv[4] == "True"
parent = os.path.dirname(volume)
subprocess.run(["mount", "--bind", parent, parent], check=True)
if bind:
    os.makedirs(volume + ".bound", exist_ok=True)
    subprocess.run(["mount", "--bind", volume + ".bound", volume], check=True)
else:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", volume], check=True)
if read_only:
    subprocess.run(["mount", "-o", "remount,bind,ro", parent], check=True)
sys.argv = ["textnn", *sys.argv[5:]]
os.chdir("/")
"""
COMMAND = PROGRAM + "from _textnn_cli import main\nmain()\n"


def in_volume(
    volume: Path, program: str, *arguments: object, size: str = "64m", read_only: bool = False, bind: bool = False
) -> Any:
    volume.mkdir(parents=True, exist_ok=True)
    options = [str(volume), size, str(read_only), str(bind), *map(str, arguments)]
    command = ["unshare", "-rm", sys.executable, "-c", program, *options]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)


@mounted
@pytest.mark.parametrize("bind", [False, True])
def test_training_into_a_mount_point_saves_and_replaces(tmp_path: Path, bind: bool) -> None:
    data, volume = write_csv(tmp_path / "reviews.csv"), tmp_path / "volume"
    arguments = ["train", data, "-o", volume, *QUICK, "-a", "textcnn", "--quiet"]
    twice = PROGRAM + (
        "from _textnn_cli import app\n"
        "from textnn import SentimentClassifier\n"
        "for _ in range(2):\n"
        "    app(sys.argv[1:], standalone_mode=False)\n"
        "    SentimentClassifier.load(volume).predict(['a'])\n"
        "print(sorted(os.listdir(volume)))\n"
    )
    result = in_volume(volume, twice, *arguments, bind=bind)
    assert result.returncode == 0, result.stderr
    files = ["README.md", "config.json", "labels.json", "model.safetensors", "stop_words.txt", "user_dictionary.txt"]
    assert result.stdout.splitlines()[-1] == str([*files, "vocabulary.txt"])


@mounted
def test_what_was_there_stays_if_the_new_model_does_not_fit(tmp_path: Path, model: Path) -> None:
    data, volume = write_csv(tmp_path / "reviews.csv"), tmp_path / "volume"
    program = PROGRAM + (
        "import shutil\n"
        "from _textnn_cli import app\n"
        "from textnn import SentimentClassifier\n"
        f"for file in os.listdir({str(model)!r}):\n"
        f"    shutil.copy({str(model)!r} + '/' + file, volume)\n"
        "try:\n"
        "    app(sys.argv[1:], standalone_mode=True)\n"
        "except SystemExit as error:\n"
        "    print(error.code)\n"
        "SentimentClassifier.load(volume).predict(['a'])\n"
    )
    large = ["--embedding-dim", "512", "--tokenizer", "whitespace", "--epochs", "1", "-a", "textcnn"]
    result = in_volume(volume, program, "train", data, "-o", volume, *large, "--quiet", size="600k")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["1"]
    assert "Traceback" not in result.stderr
    assert f"error: {volume}" in result.stderr
    assert "No space left on device" in result.stderr


@mounted
def test_a_full_disk_is_a_sentence(tmp_path: Path, model: Path) -> None:
    data, volume = write_csv(tmp_path / "reviews.csv"), tmp_path / "volume"
    train = ["train", data, "-o", volume / "model", *QUICK, "-a", "textcnn", "--quiet"]
    for arguments in (
        train,
        ["export", model, "--format", "torch", "-o", volume / "exported"],
        ["predict", model, data, "-o", volume / "out.csv", "--quiet"],
    ):
        result = in_volume(volume, COMMAND, *arguments, size="4k")
        assert result.returncode == 1, (arguments, result.stderr)
        assert "Traceback" not in result.stderr, result.stderr
        assert "No space left on device" in result.stderr, result.stderr


@mounted
def test_a_volume_in_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    data, volume = write_csv(tmp_path / "reviews.csv"), tmp_path / "fixed" / "volume"
    arguments = ["train", data, "-o", volume, *QUICK, "-a", "textcnn", "--quiet"]
    result = in_volume(volume, COMMAND, *arguments, read_only=True, bind=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "fixed" / "volume.bound" / "config.json").exists()
    assert not list((tmp_path / "fixed" / "volume.bound").glob(".textnn-*"))


@pytest.mark.parametrize("moved", [0, 1, 4, 6, 7])
@pytest.mark.parametrize("there", [True, False], ids=["replaced", "new"])
def test_a_model_whose_replacement_was_killed_is_read_and_the_next_one_to_write_finishes_it(
    moved: int, there: bool, model: Path, fitted: SentimentClassifier, reviews: Any, make_classifier: Any
) -> None:
    """Of the new model some files have taken their places, in the order in which they were written."""
    ready = model / ".textnn-ready"
    make_classifier(random_state=9).fit(*reviews).save(model.parent / "other")
    expected = SentimentClassifier.load(model.parent / "other").predict_proba(["很 好"])
    assert (expected != fitted.predict_proba(["很 好"])).any()
    if not there:
        for file in model.iterdir():
            file.unlink()
    (model.parent / "other").rename(ready)
    for file in sorted(ready.iterdir(), key=lambda file: file.stat().st_mtime_ns)[:moved]:
        shutil.copy2(file, model / file.name)
    before = sorted(path.name for path in model.iterdir())
    if moved >= 6 or (there and not moved):  # all but the card, or nothing
        found = SentimentClassifier.load(model).predict_proba(["很 好"])
        assert (found == (expected if moved else fitted.predict_proba(["很 好"]))).all()
    else:
        with pytest.warns(UserWarning, match=r"model: the process .* the new one is read from \.textnn-ready in it\."):
            assert (SentimentClassifier.load(model).predict_proba(["很 好"]) == expected).all()
    assert sorted(path.name for path in model.iterdir()) == before, "a reader writes nothing"
    assert check_target(model) == model
    assert {path.name for path in model.iterdir()} == FILES
    assert (SentimentClassifier.load(model).predict_proba(["很 好"]) == expected).all()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to this user")
def test_a_directory_that_cannot_be_renamed_stays(tmp_path: Path) -> None:
    (tmp_path / "fixed" / "model").mkdir(parents=True)
    (tmp_path / "fixed").chmod(0o500)
    assert must_stay(tmp_path / "fixed" / "model")


def test_others_can_be_renamed(tmp_path: Path) -> None:
    assert not must_stay(tmp_path)
    assert not must_stay(tmp_path / "none")


def test_models_of_links_are_read_as_caches_and_mounted_configurations_hold_them(
    model: Path, fitted: SentimentClassifier, tmp_path: Path
) -> None:
    blobs, snapshot, versions = tmp_path / "blobs", tmp_path / "snapshot", tmp_path / "mounted"
    for folder in (blobs, snapshot, versions):
        folder.mkdir()
    (versions / "..2024").mkdir()
    (versions / "..data").symlink_to("..2024")
    for number, file in enumerate(model.iterdir()):
        (blobs / str(number)).write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("..", "blobs", str(number)))
        (versions / "..2024" / file.name).write_bytes(file.read_bytes())
        (versions / file.name).symlink_to(Path("..data", file.name))
    expected = fitted.predict_proba(["很 好"])
    for directory in (snapshot, versions):
        assert (SentimentClassifier.load(directory).predict_proba(["很 好"]) == expected).all()
        assert run("info", directory).exit_code == 0


def test_links_to_what_is_no_regular_file_are_refused(model: Path) -> None:
    (model / "labels.json").unlink()
    (model / "labels.json").symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=r"labels\.json: expected a regular file, got a device"):
        SentimentClassifier.load(model)
    (model / "labels.json").unlink()
    (model / "labels.json").symlink_to("nowhere")
    with pytest.raises(BundleError, match=r"labels\.json: the file is missing; the model is not complete"):
        SentimentClassifier.load(model)
