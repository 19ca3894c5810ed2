"""textnn.functional.lstm_cell against the reference and torch.nn.LSTMCell."""

from __future__ import annotations

import pytest
import torch
from ragged import compare

import textnn.functional as fast
import textnn.reference as slow
from textnn import LSTMCell

SHAPES = [(1, 1), (3, 5), (2, 16), (7, 17), (33, 40), (0, 4), (4, 0), (64, 128)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference(capability, shape, dtype):
    B, H = shape
    arguments = [3 * torch.randn(B, 4 * H, dtype=dtype), torch.randn(B, H, dtype=dtype)]
    compare(fast.lstm_cell, slow.lstm_cell, arguments, dtype, f"{capability} {shape} {dtype}")


def test_takes_non_contiguous_tensors(capability):
    gates, c = torch.randn(20, 6).t(), torch.randn(5, 6).t()
    assert not gates.is_contiguous()
    compare(fast.lstm_cell, slow.lstm_cell, [gates, c], torch.float32, capability)


def test_gradcheck(capability):
    gates = torch.randn(3, 20, dtype=torch.float64, requires_grad=True)
    c = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(fast.lstm_cell, (gates, c))


def test_opcheck():
    gates, c = torch.randn(3, 20, requires_grad=True), torch.randn(3, 5, requires_grad=True)
    torch.library.opcheck(torch.ops.textnn.lstm_cell.default, (gates, c))
    torch.library.opcheck(
        torch.ops.textnn.lstm_cell_backward.default, tuple(torch.randn(s) for s in ((3, 5), (3, 5), (3, 20), (3, 5)))
    )


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_to_one_graph(dynamic):
    compiled = torch.compile(fast.lstm_cell, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for B in (3, 5):
        compare(compiled, slow.lstm_cell, [torch.randn(B, 20), torch.randn(B, 5)], torch.float32, f"B={B}")


def test_extreme_gates_saturate_without_nan(capability):
    gates = torch.tensor([[-1e4, 1e4, -1e4, 1e4], [float("inf")] * 4, [-float("inf")] * 4])
    h, c = fast.lstm_cell(gates, torch.ones(3, 1))
    want = slow.lstm_cell(gates, torch.ones(3, 1))
    torch.testing.assert_close((h, c), want)


def test_nan_stays_nan(capability):
    h, c = fast.lstm_cell(torch.full((1, 4), float("nan")), torch.zeros(1, 1))
    assert h.isnan().all()
    assert c.isnan().all()


def test_second_derivatives():
    gates = torch.randn(2, 8, dtype=torch.float64, requires_grad=True)
    c = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(fast.lstm_cell, (gates, c))


@pytest.mark.parametrize(
    ("gates", "c", "error", "message"),
    [
        (
            torch.randn(3, 19),
            torch.randn(3, 5),
            ValueError,
            r"gates must have shape \[B, 4H\] = \[3, 20\], got \[3, 19\]",
        ),
        (torch.randn(3, 20), torch.randn(5), ValueError, r"c must have shape \[B, H\], got \[5\]"),
        (torch.randn(3, 20).double(), torch.randn(3, 5), TypeError, "c must have the dtype of gates"),
        (torch.ones(3, 20, dtype=torch.int64), torch.randn(3, 5), TypeError, "gates must have a floating-point dtype"),
    ],
)
def test_errors_name_the_argument(gates, c, error, message):
    with pytest.raises(error, match=message):
        fast.lstm_cell(gates, c)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("with_state", [True, False])
def test_layer_equals_torch(bias, batched, with_state):
    torch_cell = torch.nn.LSTMCell(7, 9, bias=bias)
    cell = LSTMCell(7, 9, bias=bias)
    cell.load_state_dict(torch_cell.state_dict())
    lead = (4,) if batched else ()
    x = torch.randn(*lead, 7)
    hx = (torch.randn(*lead, 9), torch.randn(*lead, 9)) if with_state else None
    torch.testing.assert_close(cell(x, hx), torch_cell(x, hx))


def test_layer_refuses_other_dimensions():
    with pytest.raises(ValueError, match="1D or 2D, got 3D"):
        LSTMCell(3, 4)(torch.randn(1, 2, 3))
