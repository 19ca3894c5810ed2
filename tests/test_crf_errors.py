"""What the functions and the raw operators of the CRF refuse, by the names of the arguments."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import textnn.functional as fast

X, Y, S, A = torch.randn(4, 2, 3), torch.zeros(4, 2, dtype=torch.int64), torch.zeros(3), torch.zeros(3, 3)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((X[0], Y, S, S, A), {}, ValueError, r"emissions must have shape \[T, B, K\], got \[2, 3\]"),
        ((X, Y, S, S, A), {"offsets": [0]}, ValueError, r"emissions must have shape \[N, K\] with offsets"),
        ((X, Y.t(), S, S, A), {}, ValueError, r"tags must have shape \[4, 2\]"),
        ((X, Y.float(), S, S, A), {}, TypeError, "tags must be int64, or bool"),
        ((X, Y == 0, S, S, A), {}, ValueError, r"tags must have shape \[4, 2, 3\]"),
        ((X, Y, S[:2], S, A), {}, ValueError, r"start must have shape \[3\] for emissions of 3 tags, got \[2\]"),
        ((X, Y, S, S, A[:2]), {}, ValueError, r"transitions must have shape \[3, 3\]"),
        ((X, Y, S.double(), S, A), {}, TypeError, "start must have the dtype of emissions"),
        ((X, Y, S, S, A), {"lengths": [5, 1]}, ValueError, "lengths must lie between 0 and 4"),
        ((X, Y, S, S, A), {"lengths": [1, 1], "offsets": [0]}, ValueError, "at most one"),
        ((X, Y, S, S, A), {"reduction": "max"}, ValueError, "reduction must be"),
        ((X.long(), Y, S, S, A), {}, TypeError, "emissions must have a floating-point dtype"),
    ],
)
def test_errors_name_the_argument(arguments: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fast.crf_log_likelihood(*arguments, **options)


@pytest.mark.cpu
def test_tags_out_of_range_are_an_error() -> None:
    tags = Y.clone()
    tags[2, 1] = 3
    with pytest.raises(RuntimeError, match=r"tags must lie in \[0, 3\), got 3 at step 2 of sequence 1"):
        fast.crf_log_likelihood(X, tags, S, S, A)
    fast.crf_log_likelihood(X, tags, S, S, A, lengths=[4, 2])  # at padding


def test_n_best_must_be_positive() -> None:
    with pytest.raises(ValueError, match="n_best must be at least 1, got 0"):
        fast.crf_decode(X, S, S, A, n_best=0)


SIZE = torch.tensor([4, 2])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "crf_log_likelihood",
            (X, None, S, S, A, None, "packed", True),
            "layout must be time_major, batch_major or flat",
        ),
        ("crf_log_likelihood", (X.half(), None, S, S, A, None, "time_major", True), "float32 or float64"),
        ("crf_log_likelihood", (X, None, S, S, A, None, "flat", True), "x must have 2 dimensions"),
        ("crf_log_likelihood", (X[:, 0], None, S, S, A, None, "flat", True), "need offsets"),
        ("crf_log_likelihood", (X, Y[0], S, S, A, None, "time_major", True), "tags must have shape"),
        ("crf_log_likelihood", (X, Y.int(), S, S, A, None, "time_major", True), "tags must be int64"),
        ("crf_log_likelihood", (X, Y, A, S, A, None, "time_major", True), "start must have shape"),
        ("crf_log_likelihood", (X[..., :0], None, S[:0], S[:0], A[:0, :0], None, "time_major", True), "one tag"),
        ("crf_marginals", (X, S, S, A.double(), SIZE, "time_major"), "transitions must have the dtype"),
        ("crf_marginals", (X, S, S, A, SIZE[:1], "time_major"), "lengths must have 2 elements"),
        ("crf_decode", (X, S, S, A, SIZE, "time_major", 0), "n_best must be positive"),
        ("crf_decode", (X, S, S, A, SIZE, "time_major", 2**40), "at most 2"),
        ("crf_log_likelihood_backward", (S, X, Y, S, S, A, SIZE, "time_major", X), "the gradient must have shape"),
        ("crf_log_likelihood_backward", (S[:2], X, Y, S, S, A, SIZE, "time_major", S), "alphas must have shape"),
        ("crf_log_likelihood_backward", (S[:2], X, Y + 3, S, S, A, SIZE, "time_major", X), "tags must lie in"),
    ],
)
@pytest.mark.cpu
def test_raw_operators_refuse_wrong_tensors(name: str, arguments: Any, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        getattr(torch.ops.textnn, name)(*arguments)
