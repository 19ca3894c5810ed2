"""Labels and texts that look like a mistake: what is said of them, by ``fit`` and by the command line alike."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import QUICK, run

from _textnn_cli.labels import advice, find_spellings
from textnn.data.suspects import PYTHON, LabelWarning, missing_words, suspect_labels, suspect_texts, unknown_labels
from textnn.data.targets import read_targets


def say(*labels: Any, several: bool = False, **options: Any) -> list[str]:
    return list(suspect_labels(Counter(labels), several, **options))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            {"positive": 800, "negative": 799, "positve": 1},
            "labels of fewer than 5 texts, where 'positive' has 800: 'positve' (1); are they mistyped?",
        ),
        (
            {"a": 80, "b": 4, "c": 1},
            "labels of fewer than 5 texts, where 'a' has 80: 'b' (4), 'c' (1); are they mistyped?",
        ),
        ({"a": 79, "b": 4}, None),
        ({"a": 800, "b": 5}, None),
        ({"a": 1, "b": 2, "c": 3}, None),
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_a_label_of_few_texts_is_warned_of_where_another_has_far_more(
    counts: dict[str, int], expected: str | None, several: bool
) -> None:
    assert list(suspect_labels(counts, several)) == ([] if expected is None else [expected])


@pytest.mark.parametrize("separator", [";", "|", ",", "、"])
def test_labels_made_of_labels_look_like_several(separator: str) -> None:
    counts = Counter({"price": 90, "quality": 5, f"price{separator} quality": 2, f"quality{separator}price": 1})
    label = f"price{separator} quality"
    expected = f'labels such as {label!r} look like several; --label-separator "{separator}" splits them'
    assert list(suspect_labels(counts, several=False, advice=advice())) == [expected]
    assert all("look like" not in sentence for sentence in suspect_labels(counts, several=True))


@pytest.mark.parametrize(
    "labels", [["good, but dear", "good"], ["a;", "a"], ["a;a", "a"], [";", "a"], ["a b", "a", "b"]]
)
def test_labels_with_other_parts_do_not_look_like_several(labels: list[str]) -> None:
    assert list(suspect_labels(Counter(labels), several=False)) == []


@pytest.mark.parametrize(
    "word", ["NULL", "null", "NaN", "nan", "None", "NA", "N/A", "#N/A", "<NA>", " NULL ", "#REF!", "", "\u200b"]
)
def test_words_for_a_missing_value_are_named_with_their_number(word: str) -> None:
    labels = ["a", "b"] * 60 + [word] * 40
    said = f"labels that look like missing values: {word!r} (40); they count as labels; "
    assert say(*labels) == [said + "leave out these texts if their labels are missing"]
    assert say(*labels, several=True, advice=advice()) == [
        said + "empty these cells if the labels are missing: rows without a label are left out"
    ]


@pytest.mark.parametrize("label", ["none", "nap", "Nan Goldin", "NULLs", "#", 0, None.__class__])
def test_other_labels_are_no_such_words(label: Any) -> None:
    assert say(*["a", label] * 20) == []


def test_texts_that_are_such_words_are_counted() -> None:
    words = missing_words(["good", "NULL", " NULL\n", "#NAME?", "#VALUE!", "none of it"])
    assert words == {"NULL": 2, "#NAME?": 1, "#VALUE!": 1}
    (said,) = suspect_texts(words, 6)
    assert said.startswith("texts: 4 of 6 look like missing values: 'NULL' (2), '#NAME?' (1), '#VALUE!' (1); ")
    assert next(suspect_texts({"NULL": 1}, 6)).startswith("texts: 1 of 6 looks like a missing value: 'NULL' (1); ")
    assert list(suspect_texts({}, 6)) == []


@pytest.mark.parametrize("label", ["['price', 'service']", '["a","b"]', "[a, b]", "{'a'}", "('a', 'b')", "[]"])
def test_labels_that_look_like_lists(label: str) -> None:
    (said,) = say(*[label, "price", "service"] * 20)
    assert said == f"labels such as {label!r} look like lists, but each is one label; {PYTHON.lists}"
    assert "JSON lines" in say(*[label, "price"] * 20, advice=advice())[0]


def test_lists_that_a_separator_has_split_still_look_like_lists() -> None:
    (said,) = say(*["['price'", "'service']"] * 20, several=True)
    assert said.startswith("""labels such as "'service']" look like lists""")


@pytest.mark.parametrize("label", ["[price]", "(good)", "price (low, high)", "it's", "a, b"])
def test_labels_with_brackets_do_not_look_like_lists(label: str) -> None:
    assert say(*[label, "other"] * 20) == []


def test_labels_of_several_types_and_with_spaces_are_forms_of_one() -> None:
    assert say(*[1, "1", "bad", "bad "] * 20) == [
        "labels that differ in their spelling only: 1 and '1', 'bad' and 'bad '; they count as different ones"
    ]


def test_tuples_of_several_lengths_may_be_meant_as_lists() -> None:
    assert say(*[("a", "b"), ("a",)] * 20) == [
        "labels such as ('a', 'b') are tuples, each of which is one label; lists are several"
    ]
    assert say(*[("a", "b"), ("a", "c")] * 20) == []


def test_parts_of_the_labels_are_not_counted() -> None:
    labels = [*["a"] * 100, "b"]
    assert len(say(*labels)) == 1
    assert say(*labels, whole=False) == []


# ---- fit -------------------------------------------------------------------------------------------------------------


def make_texts(labels: list[Any]) -> list[str]:
    return [f"很 好 t{number} {hash(str(label)) % 7}" for number, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b"] * 20 + ["NULL"] * 9, r"labels that look like missing values: 'NULL' \(9\)"),
        ([1, "1"] * 20, "differ in their spelling only: 1 and '1'"),
        (["bad", "bad ", "good"] * 20, "differ in their spelling only: 'bad' and 'bad '"),
        ([f"text {number}" for number in range(30)], "30 labels for 30 texts: is y right?"),
        (["a", "b"] * 50 + ["c"], r"labels of fewer than 5 texts, where 'a' has 50: 'c' \(1\); are they mistyped"),
        (["['a', 'b']", "['a']"] * 20, r"labels such as .* look like lists"),
        ([["a"], ["b"]] * 20, "each text has exactly one label, but in a list or a matrix"),
        (np.eye(2)[[0, 1] * 20], "each text has exactly one label, but in a list or a matrix"),
        ([frozenset("a"), frozenset("b")] * 20, "got frozenset.*; this classifier predicts, but cannot be saved"),
    ],
)
def test_fit_warns_of_labels_at_the_line_of_the_caller(labels: Any, message: str, make_classifier: Any) -> None:
    classifier = make_classifier(epochs=1, validation_fraction=0.0, patience=0)
    with pytest.warns(LabelWarning, match=message) as caught:
        classifier.fit(make_texts(list(labels)), labels)
    assert {warning.filename for warning in caught} == {__file__}


def test_fit_warns_of_texts_and_not_of_labels_without_weight(make_classifier: Any) -> None:
    labels = ["a", "b"] * 20 + ["NULL"]
    weights = [1.0] * 40 + [0.0]
    with pytest.warns(UserWarning, match=r"texts: 1 of 41 looks like a missing value: '#N/A' \(1\)") as caught:
        make_classifier(epochs=1).fit([*make_texts(labels)[:-1], "#N/A"], labels, sample_weight=weights)
    assert not [warning for warning in caught if warning.category is LabelWarning]


def test_a_part_of_the_texts_is_not_told_that_labels_are_few(make_classifier: Any) -> None:
    labels = ["a"] * 100 + ["b"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", LabelWarning)
        classifier = make_classifier(epochs=1).partial_fit(make_texts(labels), labels)
        classifier.partial_fit(make_texts(labels), labels)
    with pytest.warns(LabelWarning, match="spelling only"):
        make_classifier(epochs=1).partial_fit(["x y", "x y"], ["a", "A"])


@pytest.mark.parametrize("rows", [[[1, 0], [0, 1]], [[True, False]], [np.array([0.0, 1.0])]])
def test_lists_of_0_and_1_are_not_read_as_labels(rows: Any) -> None:
    with pytest.raises(ValueError, match=r"y: .*; a matrix of 0 and 1 has to be a numpy array, lists of"):
        read_targets(rows, argument="y")
    with pytest.raises(ValueError, match=r"y\[0\]: expected different labels, got 0 twice; a matrix of 0 and 1 has to"):
        read_targets([[1, 0, 0], [0, 1, 0]], argument="y")
    assert read_targets([{0, 1}, {0, 1}]).values == [(0, 1), (0, 1)]
    assert read_targets([[0, 1], [0]]).values == [(0, 1), (0,)]


@pytest.mark.parametrize("name", ["evaluate", "score"])
def test_labels_that_are_none_of_the_classes_are_warned_of(name: str, make_classifier: Any) -> None:
    labels = ["0", "1"] * 20
    compare = getattr(make_classifier(epochs=1).fit(make_texts(labels), labels), name)
    with pytest.warns(LabelWarning, match=r"none .* a class of .*'0', '1'\): 0, 1; all .*; 0 and '0'") as caught:
        compare(X=["很 好", "很 差"], y=[0, 1])
    assert caught[0].filename == __file__
    with pytest.warns(LabelWarning, match="y: labels that the classifier does not know count as errors: 'x'$"):
        compare(["很 好", "很 差"], ["0", "x"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(["很 好", "很 差"], ["0", "1"])
    assert list(unknown_labels([], ["a"])) == []


class Table:
    """What matters here of a data frame: it has columns, yields their names, and can be made an array."""

    def __init__(self, **columns: list[str]) -> None:
        self.columns, self.values = list(columns), np.array(list(columns.values())).T
        self.shape = self.values.shape

    def __iter__(self) -> Any:
        return iter(self.columns)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.values


def test_a_table_is_refused_with_the_column_to_pass(make_classifier: Any) -> None:
    table = Table(label=["a", "b"], text=["x", "y"])
    with pytest.raises(ValueError, match=r"X: expected a vector of strings, got the shape \(2, 2\); .* X\['text'\]"):
        make_classifier().fit(table, ["a", "b"])
    with pytest.raises(ValueError, match=r"y\[0, 0\]: .*; pass one column, such as y\['label'\]"):
        make_classifier().fit(["x", "y"], table)
    with pytest.raises(ValueError, match=r"X: .*, got the shape \(2, 1\); pass one column: X\[:, 0\]"):
        make_classifier().fit(np.array([["x"], ["y"]]), ["a", "b"])


# ---- the command line ------------------------------------------------------------------------------------------------


def test_train_tells_of_labels_and_texts_once(tmp_path: Path) -> None:
    rows = "".join(f"很 好 t{n},good\n很 差 t{n},bad\n#NAME?,NULL\n" for n in range(30))
    result = run("train", "-", "-o", tmp_path / "m", *QUICK, stdin=f"text,label\n{rows}")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("missing values: 'NULL' (30)") == 1
    assert "warning: standard input: labels that look like missing values" in result.stderr
    assert "warning: texts: 30 of 90 look like missing values: '#NAME?' (30)" in result.stderr


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (["true", "false"], ["False", "True"], {"true": "True", "false": "False"}),
        (["1.0", "0"], ["0", "1"], {"1.0": "1"}),
        (["1.0", "new"], [0, 1], {"1.0": 1}),
        (["true", "True"], ["False", "True"], {}),
        (["true"], ["true ", "True"], {}),
        (["0", "1"], ["0", "1"], {}),
    ],
)
def test_spellings_are_taken_where_there_is_no_doubt(labels: Any, classes: Any, expected: Any) -> None:
    assert find_spellings(labels, classes) == expected
