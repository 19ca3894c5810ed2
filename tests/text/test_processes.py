"""Tokenizing in several processes: the same tokens in the same order, errors that arrive, no process left behind."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from textnn.text import CallableTokenizer, JiebaTokenizer, RJiebaTokenizer, WhitespaceTokenizer, split_in_processes

TEXTS = [f"第{number}件，物流很好 a-{number}" for number in range(1000)]


@pytest.fixture(autouse=True)
def no_process_left():
    others = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= others


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("kind", [JiebaTokenizer, RJiebaTokenizer])
def test_the_tokens_and_their_order(kind, processes):
    tokenizer = kind(["物流很好"], ["，"])
    assert split_in_processes(tokenizer, TEXTS, processes) == tokenizer.split_many(TEXTS)


def test_the_work_is_done_by_other_processes():
    tokenizer = CallableTokenizer(lambda text: [str(os.getpid())])
    found = {tokens[0] for tokens in split_in_processes(tokenizer, TEXTS, 2)}
    assert str(os.getpid()) not in found
    assert split_in_processes(tokenizer, TEXTS[:3], 8) == [[str(os.getpid())]] * 3, "too few to send away"
    assert split_in_processes(tokenizer, [], 2) == []


def test_errors_arrive():
    def fail(text: str) -> list[str]:
        raise RuntimeError(f"no tokens for {text[:4]}")

    with pytest.raises(RuntimeError, match="no tokens for 第0件"):
        split_in_processes(CallableTokenizer(fail), TEXTS, 2)
    with pytest.raises(TypeError, match="expected a string, got int"):
        split_in_processes(WhitespaceTokenizer(), [*TEXTS, 3], 2)  # type: ignore[list-item]


def test_a_process_that_dies_is_noticed():
    with pytest.raises(BrokenProcessPool):
        split_in_processes(CallableTokenizer(lambda text: os._exit(1)), TEXTS, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("texts", "processes", "error", "message"),
    [
        (TEXTS, 0, ValueError, "processes: expected at least 1, got 0"),
        (TEXTS, 1.5, TypeError, "processes: expected an integer, got float"),
        (TEXTS, True, TypeError, "processes: expected an integer, got bool"),
        ("很好", 2, TypeError, "texts: expected a sequence of strings, got one string"),
    ],
)
def test_bad_arguments(texts, processes, error, message):
    with pytest.raises(error, match=message):
        split_in_processes(WhitespaceTokenizer(), texts, processes)
