"""What ``textnn train`` and ``evaluate`` say of the labels of a file: counts, thresholds, what looks like a mistake.

test_suspects.py has what looks like one.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import QUICK, run

from _textnn_cli.labels import count_line, quote, threshold_line
from textnn import SentimentClassifier


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
