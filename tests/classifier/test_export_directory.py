"""The directory of an export: what is in it, and what it may replace."""

from __future__ import annotations

import importlib.util
import json
import py_compile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import HARD, TOLERANCE, load_script
from samples import make_reviews

from textnn import SentimentClassifier
from textnn.export import onnx, package

pytestmark = pytest.mark.slow

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")


def test_the_directory_says_how_its_input_is_made(
    make_classifier: Callable[..., SentimentClassifier], tmp_path: Path
) -> None:
    classifier = make_classifier("wide-textcnn", stop_words=["的"], max_length=30).fit(*make_reviews(200))
    classifier.export("onnx", tmp_path / "exported")
    names = {file.name for file in (tmp_path / "exported").iterdir()}
    files = {"model.onnx", "vocabulary.txt", "characters.txt", "labels.json", "preprocessing.json", "README.md"}
    assert names == files | {"predict.py"}
    settings = json.loads((tmp_path / "exported" / "preprocessing.json").read_text())
    assert settings["tokenizer"] == {"kind": "whitespace", "stop_words": ["的"], "user_dictionary": []}
    assert [(form["name"], form["max_length"]) for form in settings["forms"]] == [("words", 30), ("characters", 2048)]
    assert settings["ngrams"] == {"buckets": 1024, "words": [1, 2], "characters": [2, 3, 4]}
    assert settings["program"] == {"file": "model.onnx", "opset": 18}
    assert settings["inputs"][3] == {"name": "character_lengths", "dtype": "int64", "shape": ["batch"]}
    session = onnxruntime.InferenceSession(str(tmp_path / "exported" / "model.onnx"))
    for kind, tensors in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        assert [(one["name"], one["shape"]) for one in settings[kind]] == [(one.name, one.shape) for one in tensors]


def test_weights_beyond_what_one_file_holds_stand_beside_it(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "LARGEST", 0)
    fitted.export("onnx", tmp_path / "exported")
    assert (tmp_path / "exported" / "model.onnx.data").stat().st_size > (
        tmp_path / "exported" / "model.onnx"
    ).stat().st_size / 100
    found = load_script(tmp_path / "exported").predict_proba(HARD)
    np.testing.assert_allclose(found, fitted.predict_proba(HARD), atol=TOLERANCE, rtol=0)
    monkeypatch.undo()
    fitted.export("onnx", tmp_path / "exported")
    assert not (tmp_path / "exported" / "model.onnx.data").exists()


@pytest.mark.parametrize(
    ("wrong", "hint"), [("onxx", "; did you mean 'onnx'"), ("ONNX", "; did you mean 'onnx'"), (None, "None")]
)
def test_another_format_is_refused(fitted: SentimentClassifier, tmp_path: Path, wrong: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=rf"format: expected one of 'onnx', 'torch', got .*{hint}"):
        fitted.export(wrong, tmp_path / "exported")


def test_what_is_no_export_is_not_replaced(fitted: SentimentClassifier, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "mine.txt").write_text("mine")
    fitted.save(tmp_path / "model")
    for path, message in (
        ("file", "got the file"),
        ("directory", "got others"),
        ("model", "got others"),
        ("model.onnx", "expected a directory, in which"),
    ):
        with pytest.raises(ValueError, match=f"path: .*{message}"):
            fitted.export("torch", tmp_path / path)
    assert (tmp_path / "file").read_text() == (tmp_path / "directory" / "mine.txt").read_text() == "mine"


def test_an_earlier_export_is_replaced_but_not_with_files_of_others(
    fitted: SentimentClassifier, tmp_path: Path
) -> None:
    target = tmp_path / "exported"
    fitted.export("torch", target)
    fitted.export("onnx", target)
    assert not (target / "model.pt2").exists()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"path: .*mine\.txt, which textnn did not write"):
        fitted.export("onnx", target)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["exported"]


def test_bytecode_of_the_script_is_replaced_with_it_but_nothing_that_comes_meanwhile(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "exported"
    fitted.export("torch", target)
    py_compile.compile(str(target / "predict.py"))
    fitted.export("torch", target)
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]
    write = package._write

    def slow(*arguments: Any) -> None:
        write(*arguments)
        (target / "mine.txt").write_text("mine")

    monkeypatch.setattr(package, "_write", slow)
    with pytest.warns(UserWarning, match=r"exported: what was there before is kept as .*exported\.replaced-"):
        fitted.export("torch", target)
    assert [path.read_text() for path in tmp_path.rglob("mine.txt")] == ["mine"]
    assert not (target / "mine.txt").exists()
    (target / "__pycache__").mkdir()
    (target / "__pycache__" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"path: .*__pycache__, which textnn did not write"):
        fitted.export("torch", target)


def test_an_export_that_fails_leaves_the_earlier_one(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.export("torch", tmp_path / "exported")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("textnn.export.package.write_readme", fail)
    with pytest.raises(OSError, match="no space left"):
        fitted.export("torch", tmp_path / "exported")
    assert [file.name for file in tmp_path.iterdir()] == ["exported"]
    assert (tmp_path / "exported" / "README.md").exists()


def test_missing_packages_are_named(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    with pytest.raises(ImportError, match=r"needs onnxscript: pip install onnxscript$"):
        fitted.export("onnx", tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []
