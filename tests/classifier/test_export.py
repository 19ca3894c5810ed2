"""classifier.export(): program and script of the directory give the classifier's probabilities, without textnn."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from exports import HARD, TOLERANCE, assert_same, fit, load_script, plain
from samples import make_reviews

from textnn import SentimentClassifier
from textnn.export import FORMATS
from textnn.models import ARCHITECTURES

pytestmark = pytest.mark.slow

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

# Every architecture is among these cases, in its plainest form or with something added to it.
FORMS = [
    "tfidf with spaces",
    "several labels",
    "ensemble",
    "characters",
    "jieba",
    "wide ensemble",
    "wide without n-grams",
]
CASES = [*FORMS, "sigmoid", *sorted(ARCHITECTURES)]


@pytest.fixture(scope="module", params=CASES)
def classifier(
    request: pytest.FixtureRequest, make_classifier: Callable[..., SentimentClassifier]
) -> SentimentClassifier:
    """A small fitted classifier of each kind; with a temperature other than 1."""
    fitted = fit(make_classifier, request.param)
    fitted.temperature_ = 0.8
    return fitted


@pytest.fixture(scope="module")
def exported(classifier: SentimentClassifier, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The classifier, exported in each format."""
    directory = tmp_path_factory.mktemp("exported")
    for name in FORMATS:
        classifier.export(name, directory / name)
    return {name: directory / name for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_has_the_classifiers_probabilities_and_labels(
    classifier: SentimentClassifier, exported: dict[str, Path], name: str
) -> None:
    assert_same(classifier, exported[name])


def test_what_stands_in_the_padding_does_not_count(exported: dict[str, Path]) -> None:
    session = onnxruntime.InferenceSession(str(exported["onnx"] / "model.onnx"))
    names = [one.name for one in session.get_inputs()]
    ids, lengths = np.random.default_rng(0).integers(2, 9, (4, 7)), np.array([7, 1, 2, 4])
    outside = np.arange(7) >= lengths[:, None]
    results = []
    for filling, more in ((0, 0), (3, 0), (0, 9), (5, 25)):
        padded = np.pad(np.where(outside, filling, ids), ((0, 0), (0, more)), constant_values=filling)
        results.append(session.run(["logits"], dict(zip(names, [padded, lengths] * (len(names) // 2), strict=True)))[0])
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=TOLERANCE, rtol=0)


def test_a_length_of_0_stands_for_a_text_without_a_token(
    classifier: SentimentClassifier, exported: dict[str, Path]
) -> None:
    session = onnxruntime.InferenceSession(str(exported["onnx"] / "model.onnx"))
    names = [one.name for one in session.get_inputs()]
    arrays = [np.zeros((1, 3), np.int64), np.zeros(1, np.int64)] * (len(names) // 2)
    found = session.run(["probabilities"], dict(zip(names, arrays, strict=True)))[0]
    np.testing.assert_allclose(found, classifier.predict_proba([""]), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_needs_no_textnn(fitted: SentimentClassifier, tmp_path: Path, name: str) -> None:
    fitted.export(name, tmp_path / "exported")
    code = "import runpy, sys; sys.modules['textnn'] = None; runpy.run_path(sys.argv[0], run_name='__main__')"
    script = str(tmp_path / "exported" / "predict.py")
    arguments = [sys.executable, "-c", f"import sys; sys.argv = {[script, '很 好', '很 差']}; {code}"]
    done = subprocess.run(arguments, capture_output=True, text=True, encoding="utf-8", check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    texts = ["很 好", "很 差"]
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [label for label, _ in rows] == fitted.predict(texts).tolist()
    expected = fitted.predict_proba(texts).max(axis=1)
    np.testing.assert_allclose([float(share) for _, share in rows], expected, atol=2 * TOLERANCE, rtol=0)


def test_labels_of_all_kinds_come_through(make_classifier: Callable[..., SentimentClassifier], tmp_path: Path) -> None:
    texts, names = make_reviews(120, 3)
    labels = [{"good": ("a", 1), "bad": 0, "mixed": "<script>"}[name] for name in names]
    classifier = make_classifier().fit(texts, labels)
    classifier.export("onnx", tmp_path / "exported")
    exported = load_script(tmp_path / "exported")
    assert [plain(label) for label in classifier.classes_.tolist()] == exported.labels


def test_a_label_that_json_cannot_hold_is_refused_before_anything_is_written(
    make_classifier: Callable[..., SentimentClassifier], tmp_path: Path
) -> None:
    texts, names = make_reviews(60)
    classifier = make_classifier().fit(texts, [frozenset([name]) for name in names])
    with pytest.raises(ValueError, match=r"labels: .*frozenset"):
        classifier.export("torch", tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_is_a_function_is_the_consumers_to_give(
    make_classifier: Callable[..., SentimentClassifier], tmp_path: Path
) -> None:
    def pairs(text: str) -> list[str]:
        return [text[start : start + 2] for start in range(0, len(text), 2)]

    classifier = make_classifier(tokenizer=pairs).fit(*make_reviews(100))
    classifier.export("torch", tmp_path / "exported")
    with pytest.raises(ValueError, match=r"tokenize: .*pairs.* is yours to give"):
        load_script(tmp_path / "exported")
    exported = load_script(tmp_path / "exported", tokenize=pairs)
    np.testing.assert_allclose(exported.predict_proba(HARD), classifier.predict_proba(HARD), atol=TOLERANCE, rtol=0)
    assert "is not exported: give it yourself" in (tmp_path / "exported" / "README.md").read_text()
    assert "tokenize=function" in json.loads((tmp_path / "exported" / "preprocessing.json").read_text())["note"]


def test_the_classifier_stays_as_it_is(fitted: SentimentClassifier, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in fitted.model_.state_dict().items()}
    kinds = [type(part) for part in fitted.model_.modules()]
    fitted.export("torch", tmp_path / "exported")
    assert [type(part) for part in fitted.model_.modules()] == kinds
    assert all(torch.equal(before[name], tensor) for name, tensor in fitted.model_.state_dict().items())
    assert all(parameter.requires_grad for parameter in fitted.model_.parameters())


def test_an_architecture_that_reads_flat_batches_alone_is_refused(fitted: SentimentClassifier, tmp_path: Path) -> None:
    import copy

    class Own(type(fitted.model_)):  # type: ignore[misc]
        name, padded = "own", False

    other = copy.copy(fitted)
    other.model_ = copy.deepcopy(fitted.model_)
    other.model_.__class__ = Own
    with pytest.raises(ValueError, match=r"only the architectures .*'textcnn'.* can be exported, got 'own'"):
        other.export("torch", tmp_path / "exported")
