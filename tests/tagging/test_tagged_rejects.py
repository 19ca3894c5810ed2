"""What annotators rejected or skipped is not learnt, and columns may be indented."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from textnn.tagging import TaggedReport, read_tagged

SPAN = {"start": 0, "end": 3, "labels": ["PER"]}
DONE = {"result": [{"value": SPAN, "type": "labels"}]}
SKIPPED = {"result": [], "was_cancelled": True}


def read(*rows: dict[str, Any]) -> tuple[list[list[str]], TaggedReport]:
    lines = "\n".join(json.dumps({"text": "Ann ran", **row}) for row in rows)
    sentences, report = read_tagged(io.BytesIO(lines.encode()), "jsonl")
    return [sentence.tags for sentence in sentences], report


@pytest.mark.parametrize("answer", ["reject", "ignore"])
def test_texts_that_were_rejected_are_left_out_with_a_warning(answer: str) -> None:
    good = {"spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept"}
    tags, report = read(good, {**good, "answer": answer}, {"spans": [], "answer": answer})
    assert tags == [["S-PER", "O"]]
    assert report.doubts == ["2 texts were left out that annotators rejected or skipped, the first in line 2"]


def test_annotations_that_were_cancelled_do_not_count() -> None:
    data = {"data": {"text": "Ann ran"}}
    tags, report = read({**data, "annotations": [SKIPPED, DONE]}, {**data, "annotations": [SKIPPED]})
    assert tags == [["S-PER", "O"]]
    assert report.doubts == ["1 texts were left out that annotators rejected or skipped, the first in line 2"]


def test_of_several_annotations_the_first_is_read_with_a_warning() -> None:
    data = {"data": {"text": "Ann ran"}}
    tags, report = read({**data, "annotations": [DONE, {"result": []}]}, {**data, "annotations": []})
    assert tags == [["S-PER", "O"], ["O", "O"]]
    assert report.doubts == [
        "1 texts have several annotations, the first in line 1: of each text the first one was read"
    ]


@pytest.mark.parametrize("indent", ["", " ", "  ", "     "])
def test_columns_that_are_all_indented(indent: str) -> None:
    lines = "\n".join(f"{indent}{line}" if line else "" for line in ["Ann B-PER", "ran O", "", "Bob B-PER"])
    sentences, _ = read_tagged(io.BytesIO(lines.encode()), "conll")
    assert [sentence.tokens for sentence in sentences] == [["Ann", "ran"], ["Bob"]]
