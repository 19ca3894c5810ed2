"""Calls of every operator at sizes that make their CUDA kernels work: several blocks, tiles, slices and groups, ragged.

Each case compares results and gradients with the reference in float64, or in float32 for what is rounded or specific to
it. Together they launch every kernel of csrc/cuda: the sanitizers, the race detector, random orders and mutations are
run on them (tests/cuda_emulator/checks.py), and tests/test_cuda.py runs them as they are.
"""

from __future__ import annotations

import cuda_recurrent_cases  # noqa: F401
import cuda_sentence_cases  # noqa: F401
from cuda_agreement import (
    CASES,
    WATCHERS,
    agree,
    asked_of_torch,
    lstm_weights,
    multiprocessors,
    tolerance_of,
    weights_of,
)

__all__ = [
    "CASES",
    "WATCHERS",
    "agree",
    "asked_of_torch",
    "lstm_weights",
    "multiprocessors",
    "tolerance_of",
    "weights_of",
]
