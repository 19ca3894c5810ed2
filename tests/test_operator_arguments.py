"""Raw operators with arguments that would make a kernel read or write elsewhere: errors that name the argument, what
was expected and what came. The fuzzer (test_fuzz_operators.py) looks for more of them; here are those that it found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import textnn  # the operators

ops = torch.ops.textnn
LOW, HIGH = -(2**63), 2**63 - 1
WEIGHT = [torch.ones(4, 5, 3)]
IDS, TABLE = torch.tensor([[1, 2, 2, 0]]), torch.ones(6, 5)
VALUES = torch.zeros(1, 5, 4)
POSITIONS = VALUES, torch.ones(1, 7, 5)  # the gradient of the outputs, and the vectors
LSTM = (torch.ones(12, 5), torch.ones(12, 3), *(None,) * 8)
STATES = (torch.zeros(1, 3), torch.zeros(1, 3))


def convolve_backward(window: Any, **changes: Any) -> Any:
    """From 7 vectors: windows 0 to 4 are there."""
    values = torch.zeros(1, 4)
    given = {"x": torch.ones(1, 7, 5), "sizes": None, "flat": False} | changes
    return ops.text_conv_backward(
        values, given["x"], WEIGHT, given["sizes"], given["flat"], False, 0, "ieee", values, window, True
    )


def window(value: int) -> torch.Tensor:
    return torch.tensor([[0, 4, value, 1]], dtype=torch.int32)


def recurrent(
    padding_idx: int = -1, sizes: Any = None, layout: str = "batch_major", on_cuda: Any = (), **changes: Any
) -> Any:
    given = {"cell": "lstm", "input": IDS, "table": TABLE, "h0": STATES[0], "c0": STATES[1]} | changes
    return ops.recurrent(
        *given.values(), *LSTM, sizes, layout, False, "ieee", padding_idx, False, True, False, False, False, *on_cuda
    )


def adam(rows: Any, param: Any = None, rate: float = 0.1, beta: float = 0.9) -> Any:
    param = torch.zeros(4, 2, dtype=torch.float64) if param is None else param
    moments = torch.zeros(4, 2, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64)
    return ops.adam_rows(param, *moments, rows, torch.ones(len(rows), 2, dtype=torch.float64), rate, 1e-8, beta, 0.999)


def freed(t: torch.Tensor) -> torch.Tensor:
    t.untyped_storage().resize_(4)
    return t


def rows_in_the_parameter() -> Any:
    param = torch.zeros(4, 2, dtype=torch.float64)
    return adam(param.view(torch.int64)[0], param)


CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "window behind the sentence": (
        lambda: convolve_backward(window(5)),
        r"window must lie in \[0, 5\) for sentence 0, got 5",
    ),
    "window before it": (lambda: convolve_backward(window(-1)), r"window must lie in \[0, 5\) .* got -1"),
    "window of an empty sentence": (
        lambda: convolve_backward(window(1), sizes=torch.tensor([0])),
        r"window must lie in \[0, 1\) .* got 4",
    ),
    "maximum behind the sentence": (
        lambda: ops.max_mean_pool_backward(
            torch.zeros(2, 2), torch.tensor([[1], [3]], dtype=torch.int32), torch.ones(2, 3, 1), None, False
        ),
        r"at must lie in \[0, 3\) for sentence 1, got 3",
    ),
    "no window at all": (
        lambda: convolve_backward(torch.zeros(0, 4, dtype=torch.int32)),
        r"window, which the forward pass makes with save=True, must have shape \[1, 4\], got \[0, 4\]",
    ),
    "window of int64": (lambda: convolve_backward(window(0).long()), "window must have the dtype Int, got Long"),
    "vectors without sentences": (
        lambda: convolve_backward(window(0), x=torch.ones(7, 5)),
        r"x must have 3 dimensions, got shape \[7, 5\]",
    ),
    "offsets whose differences overflow": (
        lambda: convolve_backward(
            torch.zeros(4, 4, dtype=torch.int32),
            x=torch.ones(7, 5),
            sizes=torch.tensor([0, HIGH, LOW, -1]),
            flat=True,
        ),
        f"offsets must rise and stay within 7 tokens, got {HIGH} for sequence 1",
    ),
    "padding_idx of a convolution": (
        lambda: ops.embedding_text_conv(IDS, TABLE, WEIGHT, [], None, False, False, 0, "ieee", 6, False, False),
        r"padding_idx must be -1 or lie in \[0, 6\), got 6",
    ),
    "precision of a convolution": (
        lambda: ops.text_conv(torch.ones(1, 7, 5), WEIGHT, [], None, False, False, 0, "tf32", False),
        "precision must be ieee or bf16, got tf32",
    ),
    "precision of a convolution's gradient": (
        lambda: ops.text_conv_positions_backward(*POSITIONS, WEIGHT, None, False, False, 0, 1, 0, "half", VALUES, True),
        "precision must be ieee or bf16, got half",
    ),
    "form of a recurrence": (lambda: recurrent(on_cuda=(False, 3)), "form must be 0, 1 or 2, got 3"),
    "padding_idx of a look-up": (
        lambda: ops.embedding(IDS, TABLE, LOW, False),
        rf"padding_idx must be -1 or lie in \[0, 6\), got {LOW}",
    ),
    "padding_idx of a recurrence": (lambda: recurrent(7), r"padding_idx must be -1 or lie in \[0, 6\), got 7"),
    "rows below 0": (
        lambda: ops.embedding_backward(torch.ones(0, 5), IDS[0, :0], LOW, -1, False),
        f"rows must be at least 0, got {LOW}",
    ),
    "rows whose bytes overflow": (
        lambda: ops.embedding_backward(torch.ones(1, 4, 4), IDS, 2**60, -1, False),
        rf"the bytes of a result must not exceed {HIGH}, got {2**62} x 4",
    ),
    "channels whose product overflows": (
        lambda: ops.text_conv(torch.ones(1, 7, 0), [torch.ones(2**40, 0, 3)], [], None, False, False, 0, "ieee", False),
        f"the channels times the taps of weight must not exceed {2**31 - 1}, got {2**40} x 3",
    ),
    "kernel sizes whose sum overflows": (
        lambda: ops.frozen_text_conv(
            IDS, torch.ones(6, 0, 16), None, torch.ones(4, 2), [2**62] * 4, *(None,) * 4, False, False, 0
        ),
        f"kernel_sizes must sum to less than {2**31 - 1}, got {2**62}",
    ),
    "memory that was given back": (
        lambda: ops.embedding(IDS, freed(torch.ones(6, 5)), -1, False),
        r"a tensor of shape \[6, 5\] needs 30 elements in memory, got 1",
    ),
    "rows in the memory of the parameter": (
        rows_in_the_parameter,
        "rows must not share memory with what is changed in place",
    ),
    "a step of NaN": (lambda: adam(torch.tensor([1]), rate=float("nan")), "step_size must be finite, got nan"),
    "a decay of NaN": (
        lambda: adam(torch.tensor([1]), beta=float("nan")),
        r"beta1 and beta2 must lie in \[0, 1\), got nan and 0.999",
    ),
    "halves": (
        lambda: ops.max_mean_pool(torch.ones(1, 2, 3, dtype=torch.float16), None, False, False),
        "vectors and weights must be float32 or float64, got Half",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_errors_name_the_argument(name: str) -> None:
    call, message = CALLS[name]
    with pytest.raises(RuntimeError, match=message):
        call()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "tree"}, "cell must be one of lstm, gru, rnn_tanh, rnn_relu, got tree"),
        ({"c0": None}, "c0 must be given for lstm, got none"),
        ({"layout": "ragged"}, "layout must be one of time_major, batch_major, flat, packed, got ragged"),
        ({"h0": torch.zeros(3)}, r"h0 must have 3 dimensions, or 2, got shape \[3\]"),
        ({"input": IDS[0]}, r"ids must have 2 dimensions, got shape \[4\]"),
    ],
)
def test_fake_kernels_refuse_what_kernels_do(changes: dict[str, Any], message: str) -> None:
    """The same calls on tensors without values."""
    on_meta = {name: t.to("meta") for name, t in {"input": IDS, "h0": STATES[0], "c0": STATES[1]}.items()}
    changes = {name: v.to("meta") if isinstance(v, torch.Tensor) else v for name, v in changes.items()}
    with pytest.raises(RuntimeError, match=message):
        recurrent(**(on_meta | changes))


def test_what_only_cuda_kernels_ask_changes_nothing_here() -> None:
    convolved = [
        ops.embedding_text_conv(IDS, TABLE, WEIGHT, [], None, False, True, 0, "ieee", -1, False, False, *on_cuda)[0]
        for on_cuda in ((), (True, True))
    ]
    assert torch.equal(*convolved)
    assert torch.equal(recurrent()[0], recurrent(on_cuda=(True, 2))[0])


@pytest.mark.parametrize("argument", ["x", 3, None, [1.0]])
def test_public_functions_ask_for_tensors(argument: Any) -> None:
    got = type(argument).__name__
    functional, tensor = textnn.functional, torch.ones(1, 4, 5)
    with pytest.raises(TypeError, match=f"x must be a tensor, got {got}"):
        functional.text_conv(argument, WEIGHT)
    with pytest.raises(TypeError, match=rf"weight\[0\] must be a tensor, got {got}"):
        functional.text_conv(tensor, [argument])
    with pytest.raises(TypeError, match=f"ids must be a tensor, got {got}"):
        functional.embedding(argument, TABLE)
    with pytest.raises(TypeError, match=f"h0 must be a tensor, got {got}"):
        functional.lstm(tensor, argument, STATES[1], *LSTM[:2])


def test_a_frozen_table_of_vectors_without_dimensions_holds_the_bias_alone() -> None:
    ids, bias = torch.zeros(1, 3, dtype=torch.int64), torch.tensor([[1.0, 2.0]])
    rest, weight = torch.ones(1, 0), torch.ones(0, 1, 16)
    y = ops.frozen_text_conv(ids, torch.ones(0, 1, 16), None, bias, [1], None, rest, weight, None, False, False, 0)
    assert torch.equal(y, bias)
