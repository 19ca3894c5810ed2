"""textnn.functional.recurrent_cell and lstm_cell, one step of every cell, against the reference."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ragged import compare
from torch import Tensor

import textnn.functional as fast
import textnn.reference as slow

SHAPES = [(1, 1), (3, 5), (2, 16), (7, 17), (33, 40), (0, 4), (4, 0), (64, 128)]
CELLS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}

each_cell = pytest.mark.parametrize("cell", CELLS)


def arguments(cell: str, B: int, H: int, **options: Any) -> list[Any]:
    """input_gates, hidden_gates, h and c as the operator takes them."""
    gates = [3 * torch.randn(B, CELLS[cell] * H, **options) for _ in range(2)]
    states = [torch.randn(B, H, **options) if cell == name else None for name in ("gru", "lstm")]
    return [*gates, *states]


def on(module: Any, cell: str) -> Any:
    """The function of this module without the state that the cell does not have."""

    def run(*given: Any) -> tuple[Tensor, ...]:
        return tuple(state for state in module.recurrent_cell(cell, *given) if state is not None)

    return run


@each_cell
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference(capability, cell, shape, dtype):
    given = arguments(cell, *shape, dtype=dtype)
    compare(on(fast, cell), on(slow, cell), given, dtype, f"{capability} {cell} {shape} {dtype}")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_that_are_made_already(capability, shape):
    for cell in ("lstm", "rnn_tanh", "rnn_relu"):
        gates, _, *states = arguments(cell, *shape)
        compare(on(fast, cell), on(slow, cell), [gates, None, *states], torch.float32, f"{capability} {cell}")
    compare(fast.lstm_cell, slow.lstm_cell, [gates := torch.randn(3, 20), gates[:, :5]], torch.float32, capability)


@each_cell
def test_takes_non_contiguous_tensors(capability, cell):
    given = [None if t is None else t.t() for t in arguments(cell, 4, 4)]
    width = CELLS[cell] * 4
    given[:2] = (torch.randn(width, 4).t() for _ in range(2))
    compare(on(fast, cell), on(slow, cell), given, torch.float32, capability)


@each_cell
def test_first_and_second_derivatives(capability, cell):
    given = [t if t is None else t.requires_grad_() for t in arguments(cell, 3, 5, dtype=torch.float64)]
    assert torch.autograd.gradcheck(on(fast, cell), given)
    assert torch.autograd.gradgradcheck(on(fast, cell), given)


@each_cell
def test_one_of_the_gradients_is_enough(cell):
    given = [t if t is None else t.requires_grad_() for t in arguments(cell, 3, 5)]
    leaves = [t for t in given if t is not None]
    for state in range(2 if cell == "lstm" else 1):
        got, want = (torch.autograd.grad(on(f, cell)(*given)[state].sum(), leaves) for f in (fast, slow))
        torch.testing.assert_close(got, want)


@each_cell
def test_opcheck(cell):
    given = [t if t is None else t.requires_grad_() for t in arguments(cell, 3, 5)]
    torch.library.opcheck(torch.ops.textnn.recurrent_cell.default, (cell, *given))
    given = [t if t is None else t.detach() for t in given]
    for dc in {None, torch.randn(3, 5) if cell == "lstm" else None}:
        torch.library.opcheck(torch.ops.textnn.recurrent_cell_backward.default, (cell, torch.randn(3, 5), dc, *given))


@each_cell
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_to_one_graph(cell, dynamic):
    compiled = torch.compile(on(fast, cell), fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for B in (3, 5):
        compare(compiled, on(slow, cell), arguments(cell, B, 5), torch.float32, f"B={B}")


def test_extreme_gates_saturate_without_nan(capability):
    gates = torch.tensor([[-1e4, 1e4, -1e4, 1e4], [float("inf")] * 4, [-float("inf")] * 4])
    h, c = fast.lstm_cell(gates, torch.ones(3, 1))
    want = slow.lstm_cell(gates, torch.ones(3, 1))
    torch.testing.assert_close((h, c), want)


@each_cell
def test_nan_stays_nan(capability, cell):
    given = [t if t is None else torch.full_like(t, float("nan")) for t in arguments(cell, 1, 3)]
    for state in on(fast, cell)(*given):
        assert state.isnan().all()


def test_the_backward_operator_is_differentiated_through_the_reference():
    gates, c = (torch.randn(2, n, dtype=torch.float64, requires_grad=True) for n in (8, 2))
    dh = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)

    def gradient(dh, gates, c):
        return torch.ops.textnn.recurrent_cell_backward("lstm", dh, None, gates, None, None, c)[0]

    assert torch.autograd.gradcheck(gradient, (dh, gates, c))


# Shapes of input_gates, hidden_gates, h and c.
WRONG = {
    "rows": (("lstm", (3, 19), None, None, (3, 5)), r"input_gates must have shape \[B, 4H\], got \[3, 19\]"),
    "rank": (("gru", (15,), (3, 15), (3, 5), None), r"input_gates must have shape \[B, 3H\], got \[15\]"),
    "batch": (("gru", (3, 15), (4, 15), (3, 5), None), r"hidden_gates must .* = \[3, 15\], got \[4, 15\]"),
    "h": (("gru", (3, 15), (3, 15), (3, 6), None), r"h must have shape \[B, H\] = \[3, 5\], got \[3, 6\]"),
    "no h": (("gru", (3, 15), (3, 15), None, None), "h must be a tensor for the cell 'gru'"),
    "no product": (("gru", (3, 15), None, (3, 5), None), "hidden_gates must be a tensor for the cell 'gru'"),
    "no c": (("lstm", (3, 20), (3, 20), None, None), "c must be a tensor for the cell 'lstm'"),
    "c": (("rnn_relu", (3, 5), (3, 5), None, (3, 5)), "c must be None for the cell 'rnn_relu'"),
    "cell": (("rnn", (3, 5), (3, 5), None, None), "cell must be one of 'lstm', 'gru', 'rnn_tanh', 'rnn_relu'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_name_the_argument(name):
    (cell, *shapes), message = WRONG[name]
    given = [None if shape is None else torch.randn(shape) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        fast.recurrent_cell(cell, *given)
    for operator in (
        lambda: torch.ops.textnn.recurrent_cell(cell, *given),
        lambda: torch.ops.textnn.recurrent_cell_backward(cell, torch.randn(3, 5), None, *given),
    ):
        with pytest.raises(RuntimeError, match=r"textnn: .* must"):
            operator()


def test_operators_check_gradients_and_dtypes():
    gates, c = torch.randn(3, 20), torch.randn(3, 5)
    backward = torch.ops.textnn.recurrent_cell_backward
    with pytest.raises(RuntimeError, match=r"dh_next must have shape \[3, 5\], got \[3, 4\]"):
        backward("lstm", torch.randn(3, 4), None, gates, None, None, c)
    with pytest.raises(RuntimeError, match="dc_next must not be given for rnn_relu"):
        backward("rnn_relu", c, c, c, None, None, None)
    with pytest.raises(RuntimeError, match="c must have the dtype of the input"):
        torch.ops.textnn.recurrent_cell("lstm", gates, None, None, c.double())
    with pytest.raises(TypeError, match="c must have the dtype of gates"):
        fast.lstm_cell(gates.double(), c)
    with pytest.raises(TypeError, match="gates must have a floating-point dtype"):
        fast.lstm_cell(gates.long(), c)
    with pytest.raises(ValueError, match=r"gates must have shape \[B, 4H\] = \[3, 20\], got \[3, 19\]"):
        fast.lstm_cell(gates[:, :19], c)
