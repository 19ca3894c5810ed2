"""Calls of the recurrent operators, of which cuda_cases.py says what they are for."""

from __future__ import annotations

from typing import Any

import torch
from cuda_agreement import (
    BLOCKS,
    CASES,
    HALVES,
    RAGGED,
    agree,
    asked_of_torch,
    case,
    lstm_weights,
    multiprocessors,
    tolerance_of,
    weights_of,
)
from cuda_emulator import operators
from ragged import TOLERANCE, ragged_batch

import textnn.functional as fast
import textnn.reference as slow
from textnn import backends

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
