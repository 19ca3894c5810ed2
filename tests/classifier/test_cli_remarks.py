"""What ``textnn train`` and ``evaluate`` say of the labels of a file: counts, thresholds, what looks like a mistake."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from commands import QUICK, run

from textnn.classifier import SentimentClassifier
from textnn_cli.labels import count_line, quote, remarks, threshold_line


def test_counts_stand_with_the_most_frequent_label_first_and_end_after_twenty() -> None:
    assert count_line({"negative": 799, "positve": 1, "好评": 1800}) == "labels: 好评 1,800, negative 799, positve 1"
    assert count_line({"b": 2, "a": 2}) == "labels: a 2, b 2"
    many = {f"l{number:02}": 1 for number in range(23)}
    assert count_line(many).endswith("l18 1, l19 1 and 3 more")
    assert quote(many).endswith("'l18', 'l19' and 3 more")


@pytest.mark.parametrize("label", ["1", "price; quality", "a 3", "", "it's", "\x1b[31m"])
def test_a_label_that_is_no_plain_word_stands_in_quotes(label: str) -> None:
    assert count_line({label: 7}) == f"labels: {label!r} 7"
    assert quote([label]) == repr(label)
    assert threshold_line([label], [0.25]) == f"thresholds: {label!r} 0.2500"


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
    assert list(remarks(Counter(counts), several)) == ([] if expected is None else [expected])


@pytest.mark.parametrize("separator", [";", "|", ",", "、"])
def test_labels_made_of_labels_look_like_several(separator: str) -> None:
    counts = Counter({"price": 90, "quality": 5, f"price{separator} quality": 2, f"quality{separator}price": 1})
    label = f"price{separator} quality"
    expected = f'labels such as {label!r} look like several; --label-separator "{separator}" splits them'
    assert list(remarks(counts, several=False)) == [expected]
    assert all("look like" not in remark for remark in remarks(counts, several=True))


@pytest.mark.parametrize(
    "labels", [["good, but dear", "good"], ["a;", "a"], ["a;a", "a"], [";", "a"], ["a b", "a", "b"]]
)
def test_labels_with_other_parts_do_not_look_like_several(labels: list[str]) -> None:
    assert list(remarks(Counter(labels), several=False)) == []


def test_train_tells_counts_and_warns_of_a_mistyped_label_and_of_cells_with_several(tmp_path: Path) -> None:
    rows = "text,label\n" + "好,good\n差,bad\n" * 30
    for more, expected in (
        ("好,goood\n", ["labels: bad 30, good 30, goood 1", "where 'bad' has 30: 'goood' (1)"]),
        ("好,good;bad\n" * 5, ["labels: bad 30, good 30, 'good;bad' 5", "labels such as 'good;bad' look like several"]),
    ):
        result = run("train", "-", "-o", tmp_path / "m", *QUICK, stdin=rows + more)
        assert result.exit_code == 0, result.output
        told = result.stderr.splitlines()
        assert told[1] == expected[0]
        assert told[2].startswith("warning: standard input: ")
        assert expected[1] in told[2]


def test_thresholds_that_were_found_are_told_by_train_and_evaluate(tmp_path: Path) -> None:
    rows = [{"text": f"{'好' if n % 3 else '差'} t{n}", "label": [["a"], ["a", "b"], []][n % 3]} for n in range(90)]
    data, model = tmp_path / "a.jsonl", tmp_path / "m"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for threshold, told in (("auto", True), ("0.4", False)):
        trained = run("train", data, "-o", model, *QUICK, "--threshold", threshold)
        assert trained.exit_code == 0, trained.output
        classifier = SentimentClassifier.load(model)
        assert classifier.thresholds_ is not None
        line = threshold_line("ab", classifier.thresholds_.tolist())
        evaluated = run("evaluate", model, data)
        assert (f"\n{line}\n" in trained.stdout) is (f"\n{line}\n" in evaluated.stderr) is told
        assert "thresholds" not in evaluated.stdout
