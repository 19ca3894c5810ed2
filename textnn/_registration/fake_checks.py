"""What fake kernels refuse as the kernels do: numbers of dimensions, names, arguments that belong together.

Sizes are left to the kernels: they may be symbols, and a comparison would bind them.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .cells import CELLS

PRECISIONS = ("ieee", "bf16")
LAYOUTS = {"time_major": 2, "batch_major": 2, "flat": 1, "packed": 1}
"""Dimensions of the positions."""


def _expect(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise RuntimeError(f"textnn: {name} must {expected}, got {got}")


def check_dims(name: str, t: Tensor, dims: int) -> None:
    """The tensor has so many dimensions."""
    _expect(t.dim() == dims, name, f"have {dims} dimensions", f"shape {list(t.shape)}")


def check_precision(precision: str, *more: str) -> None:
    """What products on the CPU multiply."""
    known = (*PRECISIONS, *more)
    _expect(precision in known, "precision", f"be {' or '.join(known)}", precision)


def check_cell(cell: str, input_gates: Tensor, hidden_gates: Tensor | None, h: Tensor | None, c: Tensor | None) -> None:
    """Of one step of a cell."""
    _expect(cell in CELLS, "cell", f"be one of {', '.join(CELLS)}", cell)
    given = "none" if c is None else "a tensor"
    _expect(
        (c is not None) == CELLS[cell].state, "c", f"{'' if CELLS[cell].state else 'not '}be given for {cell}", given
    )
    for name, t in (("input_gates", input_gates), ("hidden_gates", hidden_gates), ("h", h), ("c", c)):
        if t is not None:
            check_dims(name, t, 2)


def check_step(
    cell: str, x: Tensor, table: Tensor | None, h: Tensor, c: Tensor | None, weights: Sequence[Tensor]
) -> None:
    """Of one step of a stack of layers."""
    _expect(cell in CELLS, "cell", f"be one of {', '.join(CELLS)}", cell)
    state = CELLS[cell].state
    _expect(
        (c is not None) == state, "c", f"{'' if state else 'not '}be given for {cell}", "none" if c is None else "it"
    )
    check_dims("x" if table is None else "ids", x, 2 if table is None else 1)
    for name, t, dims in (("table", table, 2), ("h", h, 3), ("c", c, 3)):
        if t is not None:
            check_dims(name, t, dims)
    _expect(
        any(len(weights) == n * h.shape[0] for n in (2, 3, 4, 5)), "weights", "be 2 to 5 of each layer", len(weights)
    )


def check_recurrent(
    cell: str, x: Tensor, table: Tensor | None, h0: Tensor, c0: Tensor | None, *weights_to_layout: object
) -> None:
    """Of both recurrent operators, with the weights, sizes and layout that follow c0."""
    *weights, _, layout, _, precision = weights_to_layout[:14]
    _expect(cell in CELLS, "cell", f"be one of {', '.join(CELLS)}", cell)
    _expect(layout in LAYOUTS, "layout", f"be one of {', '.join(LAYOUTS)}", layout)
    check_precision(str(precision), "bf16_outputs")
    given = "none" if c0 is None else "a tensor"
    _expect(
        (c0 is not None) == CELLS[cell].state, "c0", f"{'' if CELLS[cell].state else 'not '}be given for {cell}", given
    )
    check_dims("x" if table is None else "ids", x, LAYOUTS[str(layout)] + (table is None))
    if table is not None:
        check_dims("table", table, 2)
    two = weights[5] is not None
    _expect(two == (weights[6] is not None), "the reverse direction", "have both w_ih and w_hh", "one of them")
    _expect(h0.dim() == 3 or (h0.dim() == 2 and not two), "h0", "have 3 dimensions, or 2", f"shape {list(h0.shape)}")
    if c0 is not None:
        check_dims("c0", c0, h0.dim())
    for w in weights:
        if isinstance(w, Tensor):
            _expect(w.dim() in (1, 2), "every weight", "have 1 or 2 dimensions", f"shape {list(w.shape)}")


def check_text_conv(name: str, x: Tensor, dims: int, weight: Sequence[Tensor], precision: str) -> None:
    """Of the operators of the text convolution."""
    check_dims(name, x, dims)
    check_precision(precision)
    _expect(len(weight) > 0, "weight", "hold at least one tensor", "none")
    for w in weight:
        check_dims("weight", w, 3)
