"""Options and schedules: what a sensible value is, and the learning rate of each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from textnn.models.options import SCHEDULES, check_option
from textnn.training.schedule import rate_share


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("schedule", "cosine", "cosine"),
        ("output", "sigmoid", "sigmoid"),
        ("clip_norm", 0, 0.0),
        ("clip_norm", np.float32(2), 2.0),
        ("warmup", 0.5, 0.5),
        ("ensemble", np.int64(16), 16),
        ("ngram_buckets", 0, 0),
        ("ngram_buckets", 2**26, 2**26),
        ("word_ngrams", [], ()),
        ("character_ngrams", [2, 3, 16], (2, 3, 16)),
        ("character_kernel_sizes", 3, (3,)),
    ],
)
def test_sensible_values_become_plain_ones(option: str, value: Any, expected: Any) -> None:
    found = check_option(option, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("option", "value", "error", "message"),
    [
        ("schedule", "step", ValueError, "schedule: expected one of 'constant', 'linear', 'cosine', got 'step'"),
        ("output", 1, TypeError, "output: expected a string, got int 1"),
        ("clip_norm", -1.0, ValueError, "clip_norm: expected a number from 0, got -1"),
        ("warmup", 1.0, ValueError, "warmup: expected a number from 0 and below 1, got 1"),
        ("ngram_dropout", 1, ValueError, "ngram_dropout: expected a number from 0 and below 1, got 1"),
        ("ensemble", 17, ValueError, "ensemble: expected an integer from 1 to 16, got 17"),
        ("ngram_buckets", 2**26 + 1, ValueError, "ngram_buckets: expected an integer from 0 to"),
        ("word_ngrams", [1] * 9, ValueError, "word_ngrams: expected 0 to 8 integers such as"),
        ("character_ngrams", [17], ValueError, "character_ngrams: expected an integer from 1 to 16, got 17"),
        ("character_kernel_sizes", [], ValueError, "character_kernel_sizes: expected 1 to 32 integers such as"),
        ("kernel_sizes", "123", ValueError, "kernel_sizes: expected 1 to 32 integers such as"),
    ],
)
def test_values_that_make_no_sense_are_named(option: str, value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as found:
        check_option(option, value)
    assert str(found.value).startswith(message)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 1), (0.0, 40), (0.1, 40), (0.5, 7), (0.999, 3)])
def test_the_rate_rises_in_equal_parts_and_then_never_does(schedule: str, warmup: float, steps: int) -> None:
    shares = [rate_share(schedule, warmup, step, steps) for step in range(steps)]
    rising = round(warmup * steps)
    assert shares[:rising] == [(step + 1) / rising for step in range(rising)]
    rest = shares[rising:]
    assert rest == sorted(rest, reverse=True)
    assert all(0 < share <= 1 for share in shares)
    assert max(shares) == 1


def test_where_the_schedules_lead() -> None:
    assert [rate_share("constant", 0.0, step, 4) for step in range(4)] == [1, 1, 1, 1]
    assert [rate_share("linear", 0.0, step, 4) for step in range(4)] == [1, 0.75, 0.5, 0.25]
    assert [rate_share("cosine", 0.0, step, 4) for step in (0, 2)] == pytest.approx([1, 0.5])
    assert rate_share("cosine", 0.0, 999, 1000) < 1e-5
