"""Labels of any hashable type keep their type, in arrays and in JSON."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pytest

from textnn.data.labels import (
    check_labels,
    classes_array,
    encode_labels,
    find_classes,
    labels_from_json,
    labels_to_json,
)

CLASSES = [
    (["pos", "neg"], ["neg", "pos"], "U"),
    ([3, -1, 10, 3], [-1, 3, 10], "i"),
    ([True, False], [False, True], "b"),
    ([0.5, -1.0], [-1.0, 0.5], "f"),
    ([2**70, 1], [1, 2**70], "O"),
    ([2**63, -1], [-1, 2**63], "O"),
    (["a\0", "a"], ["a", "a\0"], "O"),
    ([1, 2.5], [1, 2.5], "O"),
    ([("b", 1), ("a", 2)], [("a", 2), ("b", 1)], "O"),
    (["1", 1, True, b"1"], [b"1", 1, "1"], "O"),
    (["中", "差评"], ["中", "差评"], "U"),
    (["\ud800", "x"], ["x", "\ud800"], "U"),
]


@pytest.mark.parametrize(("labels", "expected", "kind"), CLASSES, ids=lambda value: ascii(value))
def test_classes_are_the_different_labels_in_order_and_keep_their_type(labels: list, expected: list, kind: str) -> None:
    classes = find_classes(check_labels(labels))
    assert classes.tolist() == expected
    assert [type(label) for label in classes.tolist()] == [type(label) for label in expected]
    assert classes.dtype.kind == kind
    assert [expected[code] for code in encode_labels(labels, classes)] == labels


@pytest.mark.parametrize(("labels", "expected", "kind"), CLASSES, ids=lambda value: ascii(value))
def test_classes_survive_json(labels: list, expected: list, kind: str) -> None:
    again = labels_from_json(json.loads(json.dumps(labels_to_json(find_classes(labels)))))
    assert again.tolist() == expected
    assert [type(label) for label in again.tolist()] == [type(label) for label in expected]
    assert again.dtype.kind == kind


@pytest.mark.parametrize("array", [np.array([1, 0, 1]), np.array(["b", "a", "b"]), np.array([True, False, True])])
def test_numpy_labels_become_plain_ones(array: np.ndarray) -> None:
    values = check_labels(array)
    assert values == array.tolist()
    assert {type(value) for value in values} == {type(array[0].item())}


@pytest.mark.parametrize("labels", [["x"], [], [1, 1.0, True]])
def test_one_class_is_not_enough(labels: list) -> None:
    with pytest.raises(ValueError, match=r"labels: expected at least two classes, got (only|none)"):
        find_classes(labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("positive", "labels: expected a list of labels, got str"),
        (3, "labels: expected a list of labels, got int"),
        (np.eye(2), r"labels: expected a vector with one label a text, got the shape \(2, 2\)"),
        (["a", None], r"labels\[1\]: expected a label, got a missing value, None"),
        (["a", float("nan")], r"labels\[1\]: expected a label, got a missing value, nan"),
        ([["a"], ["b"]], r"labels\[0\]: expected one hashable label a text .*, got list"),
        (["a"], "labels: expected one for each of 2 texts, got 1"),
    ],
)
def test_bad_labels_are_an_error(labels: object, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        check_labels(labels, 2)  # type: ignore[arg-type]


def test_an_unknown_label_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"labels\[1\]: expected one of the classes 'a', 'b', got 'c'"):
        encode_labels(["a", "c"], classes_array(["a", "b"]))


def test_a_label_that_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"got datetime\.date\(2020, 1, 1\) of the type date"):
        labels_to_json(find_classes([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]))


@pytest.mark.parametrize("stored", [{}, None, [], ["a"], ["a", "a"], ["a", None], ["a", ["b"]], ["a", {"bytes": "zz"}]])
def test_damaged_json_is_an_error(stored: object) -> None:
    with pytest.raises(ValueError, match=r"expected|non-hexadecimal"):
        labels_from_json(stored)
