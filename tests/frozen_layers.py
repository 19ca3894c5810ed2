"""Frozen layers for the tests of them, and what they are compared with."""

from __future__ import annotations

import torch
from ragged import TOLERANCE

import textnn.functional as fast
import textnn.reference as slow
from textnn import EmbeddingTextConv

DTYPES = ["float32", "float64", "int16", "int8"]
V = 23


def make_layer(C=18, taps=(1, 2, 3, 5), D=7, dtype=torch.float32, vocabulary=V, **options):
    return EmbeddingTextConv(vocabulary, D, C, taps, dtype=dtype, **options).requires_grad_(False)


def flat(lengths, vocabulary=V):
    starts = [sum(lengths[:b]) for b in range(len(lengths))]
    return torch.randint(0, vocabulary, (sum(lengths),)), {"offsets": torch.tensor(starts, dtype=torch.int64)}


def padded(lengths, vocabulary=V):
    ids = torch.randint(0, vocabulary, (len(lengths), max(lengths, default=0)))
    return ids, {"lengths": torch.tensor(lengths, dtype=torch.int64)}


def arguments(frozen):
    """Of the functions, from a layer."""
    given = (frozen.table, frozen.bias, frozen.kernel_sizes)
    names = ("scale", "row", "rest", "weight", "padding", "activation")
    return given, {name: getattr(frozen, name) for name in names}


def assert_equals_the_layer(frozen, layer, ids, sizes, case):
    want = layer(ids, **sizes)
    got = frozen(ids, **sizes)
    assert got.dtype == want.dtype, case
    if frozen.scale is None:
        tolerance = TOLERANCE[torch.float64 if frozen.table.dtype == torch.float64 else torch.float32]
    else:
        # Each of K products is off by at most half a scale; no activation makes a difference larger.
        K = torch.tensor(frozen.kernel_sizes)[:, None]
        bound = (frozen.scale * K / 2).max().item() if frozen.scale.numel() else 0.0
        tolerance = dict(rtol=0, atol=bound * 1.01 + 1e-5)
    torch.testing.assert_close(got, want, **tolerance, msg=lambda m: f"{case}: {m}")


def assert_equals_the_reference(frozen, ids, sizes, case):
    """What the kernel does with the same table: integers included, to the rounding of the result's type."""
    positional, named = arguments(frozen)
    want = slow.frozen_text_conv(ids, *positional, **named, **sizes)
    got = fast.frozen_text_conv(ids, *positional, **named, **sizes)
    assert got.dtype == want.dtype, case
    tolerance = TOLERANCE[torch.float64 if frozen.table.dtype == torch.float64 else torch.float32]
    if frozen.scale is not None and frozen.rest is not None:
        # A product of a row behind the table may lie between two integers, and float32 round it to the other one.
        tolerance = dict(rtol=0, atol=1.01 * max(frozen.kernel_sizes) * frozen.scale.max().item() + 1e-5)
    torch.testing.assert_close(got, want, **tolerance, msg=lambda m: f"{case}: {m}")
