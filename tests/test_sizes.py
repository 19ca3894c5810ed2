"""Lengths and offsets as lists, as torch.nn.utils.rnn.pack_padded_sequence takes them: the results of tensors."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

import textnn
from textnn import functional
from textnn.export import to_torch_nn

LENGTHS, OFFSETS, N = [3, 4, 0, 2], [0, 3, 7, 7], 9
V, D, H = 11, 5, 3
CRF_SCORES = {"start": torch.zeros(D), "end": torch.zeros(D), "transitions": torch.eye(D), "batch_first": True}


def layers():
    """Each layer that takes lengths and offsets, and whether it takes ids; batch-first."""
    torch.manual_seed(0)
    conv, lstm = textnn.EmbeddingTextConv(V, D, H), textnn.EmbeddingLSTM(V, D, H, num_layers=2, bidirectional=True)
    return {
        "LSTM": (textnn.LSTM(D, H, num_layers=2, batch_first=True), False),
        "TextConv": (textnn.TextConv(D, H), False),
        "EmbeddingTextConv": (conv, True),
        "EmbeddingLSTM": (lstm, True),
        "NgramBag": (textnn.NgramBag(V, D), True),
        "FrozenTextConv": (conv.freeze(), True),
        "FrozenLSTM": (lstm.lstm.freeze(), False),
        "FrozenEmbeddingLSTM": (lstm.freeze(), True),
        "max_mean_pool": (functional.max_mean_pool, False),
        "crf_marginals": (functools.partial(functional.crf_marginals, **CRF_SCORES), False),
        "hash_ngrams": (functools.partial(functional.hash_ngrams, sizes=(1, 2), buckets=99), True),
    }


def batch(ids, *shape):
    return torch.randint(1, V, shape) if ids else torch.randn(*shape, D)


@torch.no_grad()
@pytest.mark.parametrize("name", layers())
@pytest.mark.parametrize("form", [list, tuple, np.array], ids=["list", "tuple", "array"])
def test_lists_give_the_results_of_tensors(name, form):
    layer, ids = layers()[name]
    if isinstance(layer, torch.nn.Module):
        layer.eval()
    for x, sizes in ((batch(ids, 4, 4), {"lengths": LENGTHS}), (batch(ids, N), {"offsets": OFFSETS})):
        want = layer(x, **{key: torch.tensor(value) for key, value in sizes.items()})
        got = layer(x, **{key: form(value) for key, value in sizes.items()})
        torch.testing.assert_close(got, want, rtol=0, atol=0)


@pytest.mark.parametrize("name", layers())
@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        (["a", "b"], TypeError, r"lengths must be an int64 tensor or a sequence of integers, got list \['a', 'b'\]"),
        (4, TypeError, "lengths must be an int64 tensor or a sequence of integers, got int 4"),
        ([[1], [2, 3]], TypeError, "lengths must be an int64 tensor or a sequence of integers, got list"),
        ([3.0, 4.0, 0.0, 2.0], TypeError, r"lengths must be int64, got torch\.float32"),
        ([3, 4, 0], ValueError, r"lengths must have shape \[B\] = \[4\], got \[3\]"),
        ([], ValueError, r"lengths must have shape \[B\] = \[4\], got \[0\]"),
        ([3, 5, 0, 2], ValueError, "lengths must lie between 0 and 4, got 5"),
    ],
    ids=["strings", "number", "ragged", "floats", "too-few", "none", "too-long"],
)
def test_what_no_lengths_are_is_said(name, sizes, error, message):
    layer, ids = layers()[name]
    with torch.no_grad(), pytest.raises(error, match=message):
        layer(batch(ids, 4, 4), lengths=sizes)


def test_a_long_list_is_cut_in_messages():
    with pytest.raises(TypeError, match=r"got list \['a', .{60,80}\.\.\.$"):
        functional.max_mean_pool(torch.randn(4, 4, 5), lengths=["a"] * 1000)  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["LSTM", "EmbeddingTextConv", "NgramBag"])
def test_lists_compile_in_one_graph(name):
    layer, ids = layers()[name]
    x = batch(ids, 4, 4)
    compiled = torch.compile(lambda x, sizes: layer(x, lengths=sizes), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, LENGTHS), layer(x, lengths=LENGTHS))


@torch.no_grad()
@pytest.mark.parametrize(
    "name", ["LSTM", "TextConv", "EmbeddingTextConv", "EmbeddingLSTM", "NgramBag", "FrozenTextConv"]
)
def test_the_layers_of_exports_take_lists_too(name):
    layer, ids = layers()[name]
    plain, x = to_torch_nn(layer).eval(), batch(ids, 4, 4)
    torch.testing.assert_close(plain(x, lengths=[3, 4, 1, 2]), plain(x, lengths=torch.tensor([3, 4, 1, 2])))
    with pytest.raises(TypeError, match="lengths must be an int64 tensor or a sequence of integers, got int 4"):
        plain(x, lengths=4)
