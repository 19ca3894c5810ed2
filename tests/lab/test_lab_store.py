"""Small models on disk: trained once for all processes, and never in the way."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from textnn.lab import small, store


class Model:
    """An estimator of one number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def save(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        (path / "number").write_text(str(self.number))

    @classmethod
    def load(cls, path: Path) -> Model:
        return cls(int((path / "number").read_text()))


@pytest.fixture(autouse=True)
def kept_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(store.VARIABLE, str(tmp_path))
    return tmp_path / "lab"


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a new process gets; each training gives another number."""
    numbers = itertools.count()

    def ask(name: str = "a") -> int:
        monkeypatch.setattr(small, "_KEPT", {})
        return int(small.kept((name, "zh"), "", lambda: Model(next(numbers)), None, Model).number)

    return ask


def test_the_first_process_trains_and_the_others_read(ask: Any, kept_at: Path) -> None:
    assert [ask(), ask(), ask("b"), ask()] == [0, 0, 1, 0]
    (versions,) = kept_at.iterdir()
    assert sorted(path.name for path in versions.iterdir()) == ["a-zh", "b-zh"]


def test_what_is_broken_is_trained_anew(ask: Any, kept_at: Path) -> None:
    assert ask() == 0
    (file,) = kept_at.glob("*/a-zh/number")
    file.write_text("nothing of the kind")
    assert [ask(), ask()] == [1, 1]


def test_an_empty_variable_keeps_nothing(ask: Any, kept_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.VARIABLE, "")
    assert [ask(), ask()] == [0, 1]
    assert store.folder() is None
    assert not kept_at.exists()


def test_a_folder_that_cannot_be_written_is_no_error(ask: Any, kept_at: Path) -> None:
    kept_at.write_text("a file in the way")
    assert [ask(), ask()] == [0, 1]


def test_other_sources_and_versions_have_models_of_their_own_which_take_the_place_of_the_old(
    ask: Any, kept_at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [kept_at / "0123456789abcde", kept_at / "NOTES-0123456789", kept_at / "0123456789abcdef0"]
    for folder in users:
        (folder / "a").mkdir(parents=True)
    elsewhere = kept_at.parent / "elsewhere"
    (elsewhere / "a").mkdir(parents=True)
    (kept_at / "0123456789abcdef").symlink_to(elsewhere)
    found = [ask()]
    for name, value in (("__version__", "0.0.0"), ("_PACKAGES", ("torch", "none at all")), ("_SOURCES", ("store.py",))):
        store._fingerprint.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(store, name, value)
            found += [ask(), ask("b")]
    store._fingerprint.cache_clear()
    assert [*found, ask(), ask()] == [0, 1, 2, 3, 4, 5, 6, 7, 7]
    kept = {path.parent.name for path in kept_at.glob("*/*-zh")}
    assert kept == {store._fingerprint()}, "folders of other versions are left"
    assert all((folder / "a").is_dir() for folder in (*users, elsewhere)), "what is not textnn's was deleted"


@pytest.mark.parametrize(
    ("system", "expected"),
    [("linux", "cache/textnn/lab"), ("darwin", "home/Library/Caches/textnn/lab"), ("win32", "local/textnn/lab")],
)
def test_each_system_has_its_place_for_such_files(
    system: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(store.VARIABLE)
    for name, value in (("XDG_CACHE_HOME", "cache"), ("LOCALAPPDATA", "local")):
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.setattr(store.sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert store.folder() == tmp_path / expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: small.classifier("lstm", "en"),
        lambda: small.classifier("textcnn", "en"),
        lambda: small.classifier("mlp", "en"),
        lambda: small.tagger(small.NAMES),
    ],
    ids=["lstm", "textcnn", "mlp", "tagger"],
)
def test_a_model_that_was_read_shows_what_the_trained_one_shows(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Tom Stone met Ann, but the film was not good"

    def look() -> Any:
        monkeypatch.setattr(small, "_KEPT", {})
        model = make()
        if hasattr(model, "predict_marginals"):
            return trellis(model, text).panels()
        if model.architecture == "mlp":
            return model.predict_proba([text]).tolist()
        return (convolution if model.architecture == "textcnn" else gates)(model, text).panels()

    from textnn.lab import convolution, gates, trellis

    trained = look()
    monkeypatch.setattr(store, "save", lambda *_: pytest.fail("trained twice"))
    assert look() == trained
