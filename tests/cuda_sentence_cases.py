"""Calls of the operators of sentences, tables and the optimizer, of which cuda_cases.py says what they are for."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from cuda_agreement import HALVES, agree, asked_of_torch, case, tolerance_of
from cuda_emulator import operators
from ragged import TOLERANCE
from torch import Tensor

import textnn
import textnn.functional as fast
import textnn.reference as slow

LENGTHS = [9, 0, 3, 17, 1, 6, 12, 2] * 2

for _dtype in (torch.float32, torch.float64, *HALVES):
    for _deterministic in (False, True):

        @case(f"text_conv {str(_dtype)[6:]}{' deterministic' if _deterministic else ''}", _dtype, _deterministic)
        def text_conv(dtype: torch.dtype, deterministic: bool, tf32: bool = False) -> None:
            """From tokens and from vectors."""
            V, D, C, taps = 50, 20, 34, (2, 3, 5)
            lengths = torch.tensor(LENGTHS, dtype=torch.int64)
            offsets = lengths.cumsum(0) - lengths
            ids = torch.randint(0, V, (int(lengths.sum()),))
            weight = [torch.randn(C, D, k).div(D).to(dtype) for k in taps]
            bias = [torch.randn(C).to(dtype) for _ in taps]
            tables = (torch.randn(V, D).to(dtype), torch.randn(len(ids), D).to(dtype))
            with asked_of_torch("high" if tf32 else "highest", deterministic):
                for sparse in (False, True):
                    options: dict[str, Any] = {"offsets": offsets, "padding_idx": 2, "sparse": sparse}
                    agree(
                        lambda *a, o=options: fast.embedding_text_conv(*a, **o),
                        lambda *a, o=options: slow.embedding_text_conv(*a, **o),
                        [ids, tables[0], weight, bias],
                        tolerance_of(dtype, tf32),
                    )
                agree(
                    lambda *a: fast.text_conv(*a, offsets=offsets, activation="tanh"),
                    lambda *a: slow.text_conv(*a, offsets=offsets, activation="tanh"),
                    [tables[1], weight, bias],
                    tolerance_of(dtype, tf32),
                )


for _dtype in (torch.float32, torch.float64, *HALVES):

    @case(f"text_conv_positions {str(_dtype)[6:]}", _dtype)
    def text_conv_positions(dtype: torch.dtype) -> None:
        """Flat and padded; channels of more than one tile; windows inside, across and beyond the ends of sentences."""
        V, D, C = 50, 20, 34
        lengths = torch.tensor(LENGTHS, dtype=torch.int64)
        flat, padded = torch.randint(0, V, (int(lengths.sum()),)), torch.randint(0, V, (len(lengths), 17))
        weight, bias = [torch.randn(C, D, 3).div(D).to(dtype) for _ in range(2)], [torch.randn(C).to(dtype)] * 2
        table = torch.randn(V, D).to(dtype)
        sizes: list[tuple[Tensor, dict[str, Any]]] = [
            (flat, {"offsets": lengths.cumsum(0) - lengths}),
            (padded, {"lengths": lengths}),
        ]
        for ids, given in sizes:
            for padding, stride in (("same", 1), (2, 3)):
                options: dict[str, Any] = {**given, "padding": padding, "stride": stride, "activation": "tanh"}
                agree(
                    lambda *a, o=options: fast.embedding_text_conv_positions(*a, **o)[0],
                    lambda *a, o=options: slow.embedding_text_conv_positions(*a, **o)[0],
                    [ids, table, weight, bias],
                    tolerance_of(dtype),
                )
                agree(
                    lambda *a, o=options: fast.text_conv_positions(*a, **o)[0],
                    lambda *a, o=options: slow.text_conv_positions(*a, **o)[0],
                    [table[ids].clone(), weight, bias],
                    tolerance_of(dtype),
                )


for _dtype in (torch.float32, torch.float64, *HALVES):

    @case(f"text_conv of many sentences {str(_dtype)[6:]}", _dtype)
    def many_sentences(dtype: torch.dtype) -> None:
        """More than a block of the weights' gradient takes at once."""
        lengths = torch.tensor([2, 0, 3, 1, 2] * 58, dtype=torch.int64)
        sizes: dict[str, Any] = {"offsets": lengths.cumsum(0) - lengths}
        x, weight = torch.randn(int(lengths.sum()), 5).to(dtype), torch.randn(3, 5, 2).to(dtype)
        agree(
            lambda *a: fast.text_conv(*a, activation="tanh", **sizes),
            lambda *a: slow.text_conv(*a, activation="tanh", **sizes),
            [x, [weight], [torch.randn(3).to(dtype)]],
            tolerance_of(dtype),
        )


@case("text_conv tf32")
def text_conv_tf32() -> None:
    """Products in TF32: where two windows are nearly equal another one may win, so only results are compared."""
    V, D, C = 50, 20, 34
    ids = torch.randint(0, V, (6, 40))
    weight, table = [torch.randn(C, D, 3) / D], torch.randn(V, D)
    with asked_of_torch("high"):
        got = fast.embedding_text_conv(ids, table, weight)
    torch.testing.assert_close(got, slow.embedding_text_conv(ids, table, weight), **tolerance_of(torch.float32, True))


@case("embedding_text_conv of a large vocabulary")
def large_vocabulary() -> None:
    """More ids than one block of the scan covers."""
    arguments = [torch.randint(0, 70_000, (4, 30)), torch.randn(70_000, 3), [torch.randn(4, 3, 2)]]
    agree(fast.embedding_text_conv, slow.embedding_text_conv, arguments, TOLERANCE[torch.float32])


@case("frozen_text_conv")
def frozen_text_conv() -> None:
    """Whole tables, and tables that hold a part, of every type."""
    ids = torch.randint(0, 60, (7, 21))
    lengths = torch.tensor([21, 0, 3, 9, 17, 1, 12], dtype=torch.int64)
    for dtype in (torch.float32, torch.float64):
        layer = textnn.EmbeddingTextConv(60, 10, 37, (1, 3, 4), dtype=dtype).requires_grad_(False)
        for kind in (None, "int16", "int8") if dtype == torch.float32 else (None,):
            for limit in (None, 20_000):
                frozen = layer.freeze(memory_limit=limit, dtype=kind)
                names = ("scale", "row", "rest", "weight", "padding", "activation")
                options = {name: getattr(frozen, name) for name in names} | {"lengths": lengths}
                positional = (ids, frozen.table, frozen.bias, frozen.kernel_sizes)
                want = slow.frozen_text_conv(*positional, **options)
                atol = 5.0 * float(frozen.scale.max()) if frozen.scale is not None and limit else 1e-5
                torch.testing.assert_close(fast.frozen_text_conv(*positional, **options), want, rtol=1e-5, atol=atol)


for _dtype in (torch.float32, torch.float64, *HALVES):

    @case(f"max_mean_pool {str(_dtype)[6:]}", _dtype)
    def max_mean_pool(dtype: torch.dtype) -> None:
        """Sentences of several time slices."""
        lengths = torch.tensor([70, 0, 3, 33], dtype=torch.int64)
        agree(
            lambda x: fast.max_mean_pool(x, lengths=lengths),
            lambda x: slow.max_mean_pool(x, lengths=lengths),
            [torch.randn(4, 70, 21).to(dtype)],
            tolerance_of(dtype),
        )

    @case(f"ragged_attention {str(_dtype)[6:]}", _dtype)
    def ragged_attention(dtype: torch.dtype) -> None:
        """Queries of more than one block, states of more than a block's turns; flat, padded and dense; sentences
        without states."""
        lengths = torch.tensor([9, 0, 150, 3, 1], dtype=torch.int64)
        flat = {"offsets": lengths.cumsum(0) - lengths}
        for sizes, shape in ((flat, (163, 37)), ({"lengths": lengths}, (5, 150, 37)), ({}, (5, 6, 37))):
            for weights in (True, False):
                options: dict[str, Any] = {**sizes, "scale": 0.3, "return_weights": weights}
                agree(
                    lambda *a, o=options: fast.ragged_attention(*a, **o),
                    lambda *a, o=options: slow.ragged_attention(*a, **o),
                    [torch.randn(5, 6, 37).to(dtype), torch.randn(*shape).to(dtype)],
                    tolerance_of(dtype),
                )

    @case(f"embedding {str(_dtype)[6:]}", _dtype)
    def embedding(dtype: torch.dtype) -> None:
        """Ids that cross tiles of the sum."""
        ids = torch.randint(0, 7, (60,))
        for sparse, D in ((False, 32), (True, 5)):
            agree(
                lambda t, s=sparse: fast.embedding(ids, t, padding_idx=3, sparse=s),
                lambda t: slow.embedding(ids, t, padding_idx=3),
                [torch.randn(7, D).to(dtype)],
                tolerance_of(dtype),
            )


for _dtype in (torch.float32, torch.float64):

    @case(f"crf {str(_dtype)[6:]}", _dtype)
    def crf(dtype: torch.dtype) -> None:
        """More tags than a warp has threads; sequences of one step behind each other, empty ones, forbidden scores."""
        lengths = torch.tensor([4, 0, 1, 1, 6, 2] * 4, dtype=torch.int64)
        for K, forbidden in ((5, False), (40, True)):
            x, tags = torch.randn(len(lengths), 6, K).to(dtype), torch.randint(K, (len(lengths), 6))
            scores = [torch.randn(*shape).to(dtype) for shape in ((K,), (K,), (K, K))]
            if forbidden:
                scores[2][:, ::3] = float("-inf")
            known = torch.ones(*tags.shape, K, dtype=torch.bool)
            known[:, 1, 2:] = False
            for labels in (known,) if forbidden else (tags, known):
                agree(
                    lambda *a, y=labels: f_crf(fast, a, y, lengths),
                    lambda *a, y=labels: f_crf(slow, a, y, lengths),
                    [x, *scores],
                    tolerance_of(dtype),
                )
            sizes = {"lengths": lengths, "batch_first": True}
            got, want = (f.crf_marginals(x, *scores, **sizes) for f in (fast, slow))
            torch.testing.assert_close(got, want, **tolerance_of(dtype))
            for n in (None, 3):
                (_, got), (_, want) = (f.crf_decode(x, *scores, n_best=n, **sizes) for f in (fast, slow))
                torch.testing.assert_close(got, want, **tolerance_of(dtype))


def f_crf(f: Any, scores: Any, labels: Tensor, lengths: Tensor) -> Tensor:
    """The log-likelihood of each sequence."""
    x, *rest = scores
    return f.crf_log_likelihood(x, labels, *rest, lengths=lengths, batch_first=True, reduction="none")


@case("hash_ngrams")
def hash_ngrams() -> None:
    """Tokens of several blocks; empty sentences and padding; sizes on either side."""
    lengths = torch.tensor([300, 0, 3, 0, 290, 1, 5], dtype=torch.int64)
    padded = torch.randint(0, 2**40, (7, 300))
    flat = torch.randint(0, 50, (int(lengths.sum()),))
    for ids, sizes in ((padded, {"lengths": lengths}), (flat, {"offsets": lengths.cumsum(0) - lengths}), (padded, {})):
        for device in (contextlib.nullcontext, operators.sizes_on_device):
            for distinct, buckets in ((False, 2**31), (True, 2**31), (True, 90)):
                with device():
                    got = fast.hash_ngrams(ids, (3, 1, 2, 16), buckets, distinct=distinct, **sizes)
                expected = slow.hash_ngrams(ids, (3, 1, 2, 16), buckets, distinct=distinct, **sizes)
                assert torch.equal(got, expected), (list(sizes), distinct, buckets)


@case("adam")
def adam() -> None:
    """An exact table ends where torch's dense Adam does; one whose rows were left out keeps those."""
    for dtype, exact in ((torch.float32, True), (torch.float64, True), (torch.float32, False), (torch.float64, False)):
        layer = textnn.EmbeddingTextConv(30, 6, 5, (2,), sparse=True, padding_idx=None, dtype=dtype)
        dense = textnn.EmbeddingTextConv(30, 6, 5, (2,), padding_idx=None, dtype=dtype)
        dense.load_state_dict(layer.state_dict())
        optimizer = textnn.optim.Adam(layer.parameters(), lr=0.1, exact=layer if exact else None)
        expected = torch.optim.Adam(dense.parameters(), lr=0.1)
        seen = torch.zeros(30, dtype=torch.bool)
        for _ in range(4):
            ids = torch.randint(0, 29, (3, 5))
            seen[ids] = True
            for model, step in ((layer, optimizer), (dense, expected)):
                step.zero_grad()
                model(ids).square().sum().backward()
                step.step()
        if exact:
            optimizer.flush()
            torch.testing.assert_close(layer.weight, dense.weight, rtol=1e-4, atol=1e-5)
        else:
            assert torch.equal(layer.weight[~seen], dense.weight[~seen])
            assert bool((layer.weight[seen] != 0).all())
