"""One step of any recurrent cell from input and weights on; shapes are checked by the layers.

    step -> in training    products, kernel and all their gradients as one node of autograd's graph
         -> in inference   products and kernel
         -> else           the same operators one by one, each of which knows compilers, transforms and autocast

The first two are shortcuts past the registrations of the operators, which are in Python: a step of a small cell takes
some 20 microseconds, and each registration on its way two to ten.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from .._registration.gradients import through
from ..backends import has_kernels, runs_cuda
from ..reference.recurrent import recurrent_cell as reference_cell
from .elsewhere import in_onnx_export

Maybe = Tensor | None
_forward = torch.ops.textnn.recurrent_cell.default
_backward = torch.ops.textnn.recurrent_cell_backward.default
EXACT = (torch.float32, torch.float64)
_transforms_active, _tracing_state = torch._C._are_functorch_transforms_active, torch._C._get_tracing_state
_autocast_enabled = torch._C._is_any_autocast_enabled


def step(cell: str, x: Tensor, h: Tensor, c: Maybe, w_ih: Tensor, w_hh: Tensor, b_ih: Maybe, b_hh: Maybe) -> Any:
    """h, or h and c of an LSTM, [B, H] after a step of x [B, I]; dtypes as torch's cells have them."""
    if _has_kernel(x) and (c is None or c.dtype is x.dtype) and is_plain():
        if torch.is_grad_enabled():
            return _Step.apply(cell, x, h, c, w_ih, w_hh, b_ih, b_hh)
        own = h if cell == "gru" else None
        with torch._C._AutoDispatchBelowAutograd():
            states = _forward(cell, F.linear(x, w_ih, b_ih), F.linear(h, w_hh, b_hh), own, c)
    else:
        states = _mixed(cell, F.linear(x, w_ih, b_ih), F.linear(h, w_hh, b_hh), h, c)
    return states[0] if c is None else states


def _has_kernel(x: Tensor) -> bool:
    return (x.dtype in EXACT or x.is_cuda) and has_kernels(x.device)


def is_plain() -> bool:
    """Whether nothing looks on that has to see each operator."""
    return not (
        torch.compiler.is_compiling()
        or _transforms_active()
        or _autocast_enabled()
        or _tracing_state()
        or forward_ad._current_level >= 0
    )


def _run(cell: str, input_gates: Tensor, hidden_gates: Tensor, h: Tensor, c: Maybe) -> tuple[Tensor, Tensor]:
    return _forward(cell, input_gates, hidden_gates, h if cell == "gru" else None, c)


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cell: str, x: Tensor, h: Tensor, c: Maybe, *weights: Maybe) -> Any:
        w_ih, w_hh, b_ih, b_hh = weights
        with torch._C._AutoDispatchBelowAutograd():
            gates = F.linear(x, w_ih, b_ih), F.linear(h, w_hh, b_hh)  # type: ignore[arg-type]
            h_next, c_next = _run(cell, *gates, h, c)
        ctx.cell = cell
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, h, c, *weights, *gates)
        return h_next if c is None else (h_next, c_next)

    @staticmethod
    def backward(ctx: Any, dh: Maybe, dc: Maybe = None) -> Any:
        *inputs, input_gates, hidden_gates = ctx.saved_tensors
        if dh is None and dc is None:
            return (None,) * 8
        if torch.is_grad_enabled():  # create_graph: the gradients have to be differentiable
            return None, *through(lambda *a: _reference_step(ctx.cell, *a), tuple(inputs), (dh, dc))
        x, h, c, w_ih, w_hh, *_ = inputs
        _, need_x, need_h, need_c, *need = ctx.needs_input_grad
        with torch._C._AutoDispatchBelowAutograd():
            own = h if ctx.cell == "gru" else None
            dinput, dhidden, carry, dc = _backward(ctx.cell, dh, dc, input_gates, hidden_gates, own, c)
            if own is None:
                dhidden = dinput
            dx = dinput.mm(w_ih) if need_x else None
            if need_h:
                dh = dhidden.mm(w_hh) if own is None else torch.addmm(carry, dhidden, w_hh)
            dw_ih = dinput.t().mm(x) if need[0] else None
            dw_hh = dhidden.t().mm(h) if need[1] else None
            db_ih = dinput.sum(0) if need[2] else None
            db_hh = None if not need[3] else dhidden.sum(0) if db_ih is None or own is not None else db_ih.clone()
        return None, dx, dh if need_h else None, dc if need_c else None, dw_ih, dw_hh, db_ih, db_hh


def _reference_step(
    cell: str, x: Tensor, h: Tensor, c: Maybe, w_ih: Tensor, w_hh: Tensor, b_ih: Maybe, b_hh: Maybe
) -> tuple[Maybe, ...]:
    return reference_cell(cell, F.linear(x, w_ih, b_ih), F.linear(h, w_hh, b_hh), h, c)


def _mixed(cell: str, input_gates: Tensor, hidden_gates: Tensor, h: Tensor, c: Maybe) -> tuple[Tensor, Tensor]:
    """The kernel on tensors whose dtypes may differ, as under autocast, with results in the dtypes of torch's cells."""
    dtype, device = input_gates.dtype, h.device.type
    state = {"lstm": c, "gru": h}.get(cell)
    if in_onnx_export() or not has_kernels(h.device) or dtype.is_complex:
        return reference_cell(cell, input_gates, hidden_gates, h, c)  # type: ignore[return-value]
    cuda = runs_cuda(h)
    if state is None or (h.is_cuda and torch.is_autocast_enabled(device)):
        result = dtype
    else:
        result = torch.promote_types(dtype, state.dtype)
    wide = result if cuda else torch.promote_types(result, torch.float32)
    input_gates, hidden_gates = input_gates.to(wide), hidden_gates.to(wide)
    h_next, c_next = _run(cell, input_gates, hidden_gates, h.to(wide), None if c is None else c.to(wide))
    return h_next.to(result), c_next.to(result)
