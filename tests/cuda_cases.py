"""Calls of every operator at sizes that make their CUDA kernels work: several blocks, tiles, slices and groups, ragged.

Each case compares results and gradients with the reference in float64, or in float32 for what is rounded or specific to
it. Together they launch every kernel of csrc/cuda: the sanitizers, the race detector, random orders and mutations are
run on them (tests/cuda_emulator/checks.py), and tests/test_cuda.py runs them as they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from cuda_emulator import operators
from ragged import TOLERANCE, ragged_batch
from torch import Tensor

import textnn
import textnn.functional as fast
import textnn.reference as slow
from textnn import backends

HALVES = (torch.float16, torch.bfloat16)
# Sequences enough for two tiles in each group of blocks, units for several slices, an empty sequence.
RAGGED = [5, 1, 3, 0, 4, 4, 2, 5, 1, 3, 3, 2]
CASES: dict[str, Callable[[], None]] = {}


def case(name: str, *arguments: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a call of the function to the cases."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        CASES[name] = lambda: function(*arguments)
        return function

    return add


@contextlib.contextmanager
def asked_of_torch(precision: str = "highest", deterministic: bool = False) -> Iterator[None]:
    """Let torch make products of float32 in TF32 ("high"), or ask it to be deterministic."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def multiprocessors(number: int) -> Iterator[None]:
    """Give the emulated device so many."""
    before = os.environ.get("CUEMU_SMS")
    os.environ["CUEMU_SMS"] = str(number)
    try:
        yield
    finally:
        del os.environ["CUEMU_SMS"]
        if before is not None:
            os.environ["CUEMU_SMS"] = before


def tolerance_of(dtype: torch.dtype, tf32: bool = False) -> dict[str, float]:
    """Of sums of some dozens of terms whose factors were rounded to dtype, some of them once for every step."""
    if dtype in HALVES or tf32:
        eps = torch.finfo(torch.float16).eps if tf32 else torch.finfo(dtype).eps
        return {"rtol": 16 * eps, "atol": 16 * eps}
    return TOLERANCE[dtype]


def agree(
    function: Callable[..., Any], reference: Callable[..., Any], arguments: list[Any], tolerance: dict[str, float]
) -> None:
    """Results and gradients of both; the reference is computed from the same values in at least float32."""

    def run(f: Callable[..., Any], widen: bool) -> list[Tensor]:
        leaves: list[Tensor] = []

        def leaf(a: Any) -> Any:
            if isinstance(a, (list, tuple)):
                return [leaf(v) for v in a]
            if not isinstance(a, Tensor) or not a.is_floating_point():
                return a
            leaves.append((a.float() if widen and a.dtype in HALVES else a).detach().clone().requires_grad_())
            return leaves[-1]

        outputs = f(*[leaf(a) for a in arguments])
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        # Gradients of the order of one, whatever the number of results.
        loss = sum((o * torch.linspace(-1, 1, o.numel()).reshape(o.shape).to(o)).sum() for o in outputs)
        return [o.detach() for o in outputs] + list(torch.autograd.grad(loss, leaves, materialize_grads=True))

    for i, (a, b) in enumerate(zip(run(function, False), run(reference, True), strict=True)):
        a = a.to_dense() if a.is_sparse else a
        b = b.to_dense() if b.is_sparse else b
        scale = max(1.0, float(b.abs().max())) if b.numel() else 1.0  # a sum's error is that of its greatest terms
        torch.testing.assert_close(a.to(b.dtype) / scale, b / scale, **tolerance, msg=lambda m, i=i: f"result {i}: {m}")


BLOCKS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}  # of H rows in a weight


def weights_of(cell: str, width: int, H: int, P: int, dtype: torch.dtype) -> list[Tensor | None]:
    """w_ih, w_hh, b_ih, b_hh, w_hr with P = H for no projection; small, so that gates stay in their range."""
    rows = BLOCKS[cell] * H
    shapes = [(rows, width), (rows, P), (rows,), (rows,), (P, H)]
    w: list[Tensor | None] = [torch.randn(*s).div(max(1, s[-1]) ** 0.5).to(dtype) for s in shapes]
    return w if P != H else [*w[:4], None]


def lstm_weights(width: int, H: int, P: int, dtype: torch.dtype) -> list[Tensor | None]:
    """Those of an LSTM."""
    return weights_of("lstm", width, H, P, dtype)


# --- the LSTM ---

for _form, _H, _dtype in (
    ("steps", 20, torch.float64),
    ("steps", 20, torch.float16),
    ("steps", 16, torch.bfloat16),
    ("persistent", 20, torch.float32),  # backwards 80 values of k
    ("persistent", 12, torch.float64),
    ("persistent", 40, torch.float64),
    ("persistent", 70, torch.float32),
    ("persistent", 130, torch.float64),
    ("persistent", 140, torch.float32),  # backwards 560, two warps to a column
    ("persistent", 24, torch.float16),
    ("persistent", 40, torch.float16),
    ("persistent", 24, torch.bfloat16),
    ("persistent", 40, torch.bfloat16),
):

    @case(f"lstm {_form} H={_H} {str(_dtype)[6:]}", _form, _H, _dtype)
    def lstm(form: str, H: int, dtype: torch.dtype, directions: int = 1, P: int = 0, tf32: bool = False) -> None:
        """One direction and both, in a layout that has to be packed and unpacked."""
        width, P = 6, P or H
        batch = ragged_batch("batch_first", RAGGED if H < 100 else RAGGED[:5], width, torch.float32)
        x = batch.x.nan_to_num().to(dtype)
        states = [torch.randn(2, batch.B, n).to(dtype) for n in (P, H)]
        ahead, back = lstm_weights(width, H, P, dtype), lstm_weights(width, H, P, dtype)
        with backends.use_cuda_recurrence(form), asked_of_torch("high" if tf32 else "highest"):
            if directions == 2:
                agree(
                    lambda *a: fast.bilstm(*a, **batch.sizes),
                    lambda *a: slow.bilstm(*a, **batch.sizes),
                    [x, *states, ahead, back],
                    tolerance_of(dtype, tf32),
                )
            for reverse in (False, True) if directions == 1 else ():
                agree(
                    lambda *a, r=reverse: fast.lstm(*a, reverse=r, **batch.sizes),
                    lambda *a, r=reverse: slow.lstm(*a, reverse=r, **batch.sizes),
                    [x, *[s[0] for s in states], *ahead],
                    tolerance_of(dtype, tf32),
                )


for _form, _dtype in (("steps", torch.float32), ("persistent", torch.float32), ("persistent", torch.float16)):
    CASES[f"bilstm {_form} {str(_dtype)[6:]}"] = lambda form=_form, dtype=_dtype: lstm(form, 24, dtype, directions=2)
CASES["lstm projected float32"] = lambda: lstm("steps", 20, torch.float32, P=7)
for _H in (20, 50, 100, 150):
    CASES[f"lstm persistent H={_H} tf32"] = lambda H=_H: lstm("persistent", H, torch.float32, tf32=True)


@case("lstm of 300 sequences float32")
def many_sequences() -> None:
    """Several tiles for each group of blocks, and more lengths than fit into one kernel's parameters."""
    batch = ragged_batch("flat", [i % 3 + 1 for i in range(300)], 3, torch.float32)
    arguments = [batch.x, torch.zeros(300, 9), torch.zeros(300, 9), *lstm_weights(3, 9, 9, torch.float32)]
    with backends.use_cuda_recurrence("persistent"):
        agree(
            lambda *a: fast.lstm(*a, **batch.sizes),
            lambda *a: slow.lstm(*a, **batch.sizes),
            arguments,
            TOLERANCE[torch.float32],
        )


# --- the other cells, which share all kernels but for the arithmetic of a unit ---

for _cell, _form, _H, _dtype in (
    ("gru", "steps", 20, torch.float64),
    ("gru", "steps", 16, torch.float16),
    ("gru", "persistent", 21, torch.float32),  # 10 units to a block, the last one with one of them
    ("gru", "persistent", 12, torch.float64),
    ("gru", "persistent", 70, torch.float32),
    ("gru", "persistent", 172, torch.float32),  # backwards 516, two warps to a column
    ("gru", "persistent", 24, torch.float16),
    ("gru", "persistent", 50, torch.bfloat16),
    ("rnn_tanh", "steps", 20, torch.float32),
    ("rnn_tanh", "steps", 16, torch.bfloat16),
    ("rnn_tanh", "persistent", 40, torch.float64),  # 32 units to a block
    ("rnn_tanh", "persistent", 70, torch.float32),
    ("rnn_tanh", "persistent", 40, torch.float16),
    ("rnn_relu", "steps", 20, torch.float64),
    ("rnn_relu", "steps", 16, torch.float16),
    ("rnn_relu", "persistent", 40, torch.float32),
    ("rnn_relu", "persistent", 20, torch.float64),
    ("rnn_relu", "persistent", 24, torch.bfloat16),
):

    @case(f"{_cell} {_form} H={_H} {str(_dtype)[6:]}", _cell, _form, _H, _dtype)
    def recurrent(cell: str, form: str, H: int, dtype: torch.dtype, tf32: bool = False) -> None:
        """Both directions, and one in reverse."""
        width, options = 6, {"nonlinearity": cell[4:]} if cell.startswith("rnn") else {}
        batch = ragged_batch("batch_first", RAGGED if H < 100 else RAGGED[:5], width, torch.float32)
        x, h0 = batch.x.nan_to_num().to(dtype), torch.randn(2, batch.B, H).to(dtype)
        ahead, back = (weights_of(cell, width, H, H, dtype)[:4] for _ in range(2))
        with backends.use_cuda_recurrence(form), asked_of_torch("high" if tf32 else "highest"):
            agree(
                lambda x, h, *w: fast.recurrent(cell, x, h, None, w, **batch.sizes)[:2],
                lambda x, h, *w: slow.recurrent(cell, x, h, None, w, **batch.sizes)[:2],
                [x, h0, ahead, back],
                tolerance_of(dtype, tf32),
            )
            agree(
                lambda *a: getattr(fast, cell[:3])(*a, reverse=True, **options, **batch.sizes),
                lambda *a: getattr(slow, cell[:3])(*a, reverse=True, **options, **batch.sizes),
                [x, h0[0], *ahead],
                tolerance_of(dtype, tf32),
            )


CASES["gru persistent H=20 tf32"] = lambda: recurrent("gru", "persistent", 20, torch.float32, tf32=True)


for _cell, _dtype in (("gru", torch.float32), ("gru", torch.bfloat16), ("rnn_tanh", torch.float64)):

    @case(f"{_cell} of tokens {str(_dtype)[6:]}", _cell, _dtype)
    def recurrent_of_tokens(cell: str, dtype: torch.dtype) -> None:
        """Both directions; tokens that repeat."""
        V, width, H = 40, 17, 12
        ids = torch.randint(0, V, (len(RAGGED), max(RAGGED)))
        h0, table = torch.randn(2, len(RAGGED), H).to(dtype), torch.randn(V, width).to(dtype)
        directions = [weights_of(cell, width, H, H, dtype)[:4] for _ in range(2)]
        for sparse in (False, True):
            options: dict[str, Any] = {"lengths": torch.tensor(RAGGED), "padding_idx": 1, "sparse": sparse}
            agree(
                lambda t, h, *w, o=options: fast.recurrent(cell, ids, h, None, w, table=t, **o)[:2],
                lambda t, h, *w, o=options: slow.recurrent(cell, ids, h, None, w, table=t, **o)[:2],
                [table, h0, *directions],
                tolerance_of(dtype),
            )


for _cell, _dtype in (("lstm", torch.float16), ("gru", torch.float32)):

    @case(f"{_cell} of 70 sequences on a small device {str(_dtype)[6:]}", _cell, _dtype)
    def several_tiles(cell: str, dtype: torch.dtype) -> None:
        """Both directions; tiles that a group of blocks takes one after the other. A GPU keeps its size."""
        H = 12
        batch = ragged_batch("flat", [i % 2 + 1 for i in range(70)], 3, torch.float32)
        h0, c0 = (torch.randn(2, 70, H).to(dtype) for _ in range(2))
        directions = [weights_of(cell, 3, H, H, dtype)[:4] for _ in range(2)]
        states = [h0, c0] if cell == "lstm" else [h0, None]
        with backends.use_cuda_recurrence("persistent"), multiprocessors(1):
            agree(
                lambda x, h, c, *w: [t for t in fast.recurrent(cell, x, h, c, w, **batch.sizes) if t is not None],
                lambda x, h, c, *w: [t for t in slow.recurrent(cell, x, h, c, w, **batch.sizes) if t is not None],
                [batch.x.to(dtype), *states, *directions],
                tolerance_of(dtype),
            )


@case("lstm and gru with sizes on the device")
def sizes_on_the_device() -> None:
    """The schedule is made there, from lengths, offsets and numbers of sequences."""
    for cell, functions in (("lstm", (fast.lstm, slow.lstm)), ("gru", (fast.gru, slow.gru))):
        w = weights_of(cell, 3, 5, 5, torch.float64)[:4]
        for form, layout in (("steps", "batch_first"), ("persistent", "flat"), ("persistent", "packed")):
            batch = ragged_batch(layout, RAGGED, 3, torch.float64)
            states = [torch.randn(batch.B, 5, dtype=torch.float64) for _ in range(2 if cell == "lstm" else 1)]
            with backends.use_cuda_recurrence(form), operators.sizes_on_device():
                agree(
                    lambda *a, sizes=batch.sizes, f=functions[0]: f(*a, **sizes),
                    lambda *a, sizes=batch.sizes, f=functions[1]: f(*a, **sizes),
                    [batch.x.nan_to_num(), *states, *w],
                    TOLERANCE[torch.float64],
                )


for _dtype in (torch.float32, torch.float64, *HALVES):
    for _cell in BLOCKS:

        @case(f"recurrent_cell {_cell} {str(_dtype)[6:]}", _cell, _dtype)
        def recurrent_cell(cell: str, dtype: torch.dtype) -> None:
            """Units in vectors, and one by one."""
            for B, H in ((30, 32), (33, 17)):
                gates = [torch.randn(B, BLOCKS[cell] * H).to(dtype) for _ in range(2)]
                states = [torch.randn(B, H).to(dtype) if cell == name else None for name in ("gru", "lstm")]
                agree(
                    lambda *a: (state for state in fast.recurrent_cell(cell, *a) if state is not None),
                    lambda *a: (state for state in slow.recurrent_cell(cell, *a) if state is not None),
                    [*gates, *states],
                    tolerance_of(dtype),
                )

    @case(f"embedding_lstm {str(_dtype)[6:]}", _dtype)
    def embedding_lstm(dtype: torch.dtype) -> None:
        """Both directions; tokens that repeat."""
        V, width, H = 40, 17, 12
        lengths = torch.tensor(RAGGED, dtype=torch.int64)
        ids = torch.randint(0, V, (len(RAGGED), max(RAGGED)))
        states = [torch.randn(2, len(RAGGED), H).to(dtype) for _ in range(2)]
        ahead, back = lstm_weights(width, H, H, dtype), lstm_weights(width, H, H, dtype)
        for sparse in (False, True):
            options: dict[str, Any] = {"lengths": lengths, "padding_idx": 1, "sparse": sparse}
            agree(
                lambda *a, o=options: fast.embedding_lstm(*a, **o),
                lambda *a, o=options: slow.embedding_lstm(*a, **o),
                [ids, torch.randn(V, width).to(dtype), *states, ahead, back],
                tolerance_of(dtype),
            )


# --- sentences ---

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
