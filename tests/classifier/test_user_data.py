"""Labels, texts and dictionaries as programs hold them, names of arguments as scikit-learn has them, limits."""

from __future__ import annotations

import inspect
import re
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from textnn import SentimentClassifier
from textnn.bundle import BundleError
from textnn.classification.evaluation import EvaluationReport
from textnn.classification.evaluation.judging import report_counts
from textnn.data.labels import check_labels
from textnn.data.targets import read_targets
from textnn.text import JiebaTokenizer, RaggedDataset, is_blank, tokenizer_from_config
from textnn.training.loop import TrainingError, check_logits

# ---- labels ----------------------------------------------------------------------------------------------------------


class Listed:
    """Something of another library: it has tolist, __array__ and no more."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return np.array([1, 1, 0, 0])

    def tolist(self) -> list[int]:
        return [1, 1, 0, 0]


@pytest.mark.parametrize(
    "labels",
    [
        torch.tensor([1, 1, 0, 0]),
        torch.tensor([1, 1, 0, 0], dtype=torch.int8),
        torch.tensor([[1], [1], [0], [0]])[:, 0],
        list(torch.tensor([1, 1, 0, 0])),
        [np.array(1), np.array(1), np.array(0), np.array(0)],
        [np.int64(1), 1, torch.tensor(0), 0],
        np.array([1, 1, 0, 0], dtype=object),
        Listed(),
        (1, 1, 0, 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_labels_count_by_value(labels: Any) -> None:
    targets = read_targets(labels, 4)
    assert (targets.kind, targets.values, {*map(type, targets.values)}) == ("label", [1, 1, 0, 0], {int})


def test_matrices_and_lists_of_tensors_are_several_labels() -> None:
    assert read_targets(torch.tensor([[1, 0], [1, 1]]), 2).values == [(0,), (0, 1)]
    assert read_targets([torch.tensor([3, 5]), []], 2).values == [(3, 5), ()]
    assert read_targets(torch.tensor([0.5, 1.0]), 2).values == [0.5, 1.0]


def _missing() -> list[Any]:
    values: list[Any] = [None, float("nan"), np.float32("nan"), np.datetime64("NaT"), np.ma.masked]
    values.append(torch.tensor(float("nan")))
    try:
        import pandas
    except ImportError:
        return values
    return [*values, pandas.NA, pandas.NaT]


@pytest.mark.parametrize("value", _missing(), ids=repr)
def test_every_kind_of_missing_value_is_named_with_its_place(value: Any) -> None:
    with pytest.raises(ValueError, match=r"labels\[2\]: expected a label, got a missing value"):
        check_labels(["a", "b", value, "a"])


# ---- scikit-learn's names --------------------------------------------------------------------------------------------


def test_arguments_have_the_names_of_scikit_learn(make_classifier: Any, reviews: Any) -> None:
    texts, labels = (part[:40] for part in reviews)
    for method, names in {
        "fit": ["X", "y"],
        "partial_fit": ["X", "y"],
        "score": ["X", "y"],
        "evaluate": ["X", "y"],
        "explain": ["X"],
        "explain_many": ["X"],
        "stream_proba": ["X"],
        "predict": ["X"],
        "predict_proba": ["X"],
    }.items():
        assert list(inspect.signature(getattr(SentimentClassifier, method)).parameters)[1 : len(names) + 1] == names
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier = make_classifier(epochs=1).fit(X=texts, y=labels)
        assert classifier.score(X=texts, y=labels) == classifier.score(texts, labels)
        assert (classifier.predict(X=texts) == classifier.predict(texts)).all()
        classifier.partial_fit(X=texts, y=labels)
        make_classifier(epochs=1).fit(texts, y=labels)


def test_the_old_names_work_with_a_warning(make_classifier: Any, reviews: Any) -> None:
    texts, labels = (part[:40] for part in reviews)
    with pytest.warns(FutureWarning, match="fit: texts is called X now"):
        classifier = make_classifier(epochs=1).fit(texts=texts, labels=labels)
    with pytest.warns(FutureWarning, match="score: labels is called y now"):
        classifier.score(texts, labels=labels)
    with pytest.raises(TypeError, match="fit: expected one of y and labels, its old name, got both"):
        classifier.fit(texts, y=labels, labels=labels)


def test_metadata_routing_knows_the_weights_and_no_texts() -> None:
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        request = SentimentClassifier().set_fit_request(sample_weight=True).get_metadata_routing()
        assert request.fit.requests["sample_weight"] is True
        assert not {"texts", "labels", "X", "y"} & set(request.fit.requests)


# ---- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " \t\n", "\u200b\u200d", "\ufeff", "\0\x1a", "\u3000\u2060", "\u3164", "\u00ad"])
def test_what_cannot_be_seen_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "。", "👍", "\u200b好", "\ue001", "\ufffd"])
def test_what_can_be_seen_is_not(text: str) -> None:
    assert not is_blank(text)


def test_texts_in_which_nothing_can_be_seen_are_warned_of(make_classifier: Any, reviews: Any) -> None:
    texts, labels = [*reviews[0][:40], "\u200b", " "], [*reviews[1][:40], *reviews[1][:2]]
    with pytest.warns(UserWarning, match="texts: 2 of 42 have nothing that can be seen"):
        make_classifier(epochs=1).fit(texts, labels)


def test_the_share_of_long_texts_is_said(
    make_classifier: Any, reviews: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, labels = [*reviews[0][:39], "很 好 " * 50], reviews[1][:40]
    make_classifier(epochs=1, max_length=30, verbose=1).fit(texts, labels)
    assert "1 of 40 texts (2.5%) have more than 30 tokens and are cut (max_length)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("texts", "parameters", "message"),
    [
        (["", " "] * 4, {}, "X: expected at least one token, got none from any text"),
        (["的 的", "的"] * 4, {"stop_words": ["的"]}, "X: expected at least one token, got none from any text"),
        (["a b", "c"] * 4, {"min_count": 100}, "min_count: expected words that occur so often, but none does"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_training_on_nothing_is_refused(
    texts: list[str], parameters: dict[str, Any], message: str, make_classifier: Any
) -> None:
    with pytest.raises(ValueError, match=message):
        make_classifier(validation_fraction=0.0, patience=0, **parameters).fit(texts, ["a", "b"] * 4)


# ---- dictionaries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "锅盖子",
        "锅盖子 100",
        "锅盖子\t100\tn",
        "锅盖子,100",
        "锅盖子  100",
        "锅盖子 100 N",
        "锅盖子，100, n",
        "锅盖子 n",
    ],
)
def test_entries_of_all_usual_forms_are_found(line: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "锅盖子" in JiebaTokenizer([line])("这口锅盖子很好")


@pytest.mark.parametrize("line", ["石墨烯 不粘 锅 100 n", "New York 5 n", "a,b,c", ",100", "锅 100 n x"])
def test_entries_of_other_forms_are_refused_with_the_line(line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"got {line!r}")):
        JiebaTokenizer([line])


def test_entries_that_are_never_found_are_warned_of() -> None:
    tokenizer = JiebaTokenizer(["石墨烯锅 100", "好（很） 5", "价格：高"])
    with pytest.warns(UserWarning, match="2 of 3 entries are never found, such as '好（很）', '价格：高'"):
        tokenizer("很好")


def test_dictionaries_of_saved_models_mean_what_they_meant() -> None:
    lines = ["石墨烯锅\t100\tn", "石墨烯锅 100 N", "煎蛋锅 100 n"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer = tokenizer_from_config(JiebaTokenizer().config(), lines)
        assert tokenizer.user_dictionary == lines
        assert "石墨烯锅" not in tokenizer("这口石墨烯锅很好")
        assert "煎蛋锅" in tokenizer("这口煎蛋锅很好")
    with pytest.raises(ValueError, match="expected a count from 1"):
        tokenizer_from_config(JiebaTokenizer().config(), ["好 0"])


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_an_evaluation_of_many_classes_takes_memory_for_its_texts_alone() -> None:
    classes = 20_000
    probabilities = np.array([[0.6, 0.4]] * 4)
    labels = ["a", "b", *(f"unknown {number}" for number in range(2))]
    few = EvaluationReport.from_predictions(["a", "b"], labels, probabilities, ["x"] * 4)
    assert few.confusion.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    rows = np.repeat(probabilities, classes // 4, axis=0)
    names = [f"label {number}" for number in range(classes)]
    tracemalloc.start()
    report = EvaluationReport.from_predictions(["label 0", "label 1"], names, rows, ["x"] * classes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000, f"{peak:,}"
    assert (report.texts, report.errors, report.accuracy) == (classes, classes - 1, 1 / classes)
    assert report.macro.f1 == pytest.approx(2 / (classes + 1) / classes)
    assert report.to_dict()["confusion_matrix"]["rows"] is None
    assert report_counts(report) == {"validation_confusion": None}
    assert report.summary().startswith("accuracy 0.0001 (1 of 20,000 texts)")


def test_a_sparse_confusion_gives_the_figures_of_a_dense_one(monkeypatch: pytest.MonkeyPatch) -> None:
    source = np.random.default_rng(0)
    probabilities = source.dirichlet(np.ones(5), 200)
    labels = [f"c{number}" for number in source.integers(0, 5, 200)]
    arguments = ([f"c{number}" for number in range(5)], labels, probabilities, ["x"] * 200)
    dense = EvaluationReport.from_predictions(*arguments)
    monkeypatch.setattr("textnn.classification.evaluation.report.DENSE_CLASSES", 2)
    sparse = EvaluationReport.from_predictions(*arguments)
    assert (sparse.confusion.toarray() == dense.confusion).all()
    one, other = dense.to_dict(), sparse.to_dict()
    assert other.pop("confusion_matrix")["rows"] is None
    one.pop("confusion_matrix")
    assert one == other


def test_a_diverged_network_is_refused_by_fit_and_by_save(make_classifier: Any, reviews: Any, tmp_path: Any) -> None:
    texts, labels = (part[:40] for part in reviews)
    options = {"validation_fraction": 0.0, "patience": 0, "schedule": "constant", "warmup": 0.0, "epochs": 1}
    network, ids = make_classifier(epochs=1).fit(texts, labels).model_, RaggedDataset([[2, 3], [4]])
    check_logits(network, ids, "cpu")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1e30)
    with pytest.raises(TrainingError, match="gives infinite numbers or NaN; a smaller learning_rate"):
        check_logits(network, ids, "cpu")
    with pytest.raises(TrainingError):
        make_classifier("lstm", **options, learning_rate=1e38, clip_norm=0.0, batch_size=40).fit(texts, labels)
    classifier = make_classifier(epochs=1).fit(texts, labels)
    with torch.no_grad():
        next(iter(classifier.model_.parameters()))[0, 0] = float("nan")
    with pytest.raises(BundleError, match="expected finite weights, got infinite ones or NaN; no model was written"):
        classifier.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
