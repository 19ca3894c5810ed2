"""How far results may lie from those in float64 if products multiply bfloat16: a bound of first order.

Each factor of a product is rounded to the nearest bfloat16, x (1 + d) with abs(d) <= 2^-8. Everything that a layer
returns and every gradient is a function of all these d, and

    abs(error of a result)  <=  2^-8 * sum of abs(derivative of the result with respect to d)  +  terms of higher order

so autograd tells the bound: the recurrence is written down in float64, with a d of zero for each factor that is
rounded, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

UNIT = 2.0**-8  # half the distance from 1 to the next bfloat16
HIGHER = 1.25  # room for terms of higher order
ACTIVATION = 2.0**-13  # the relative error of an activation, where products are made of pairs


class _Factor(torch.autograd.Function):
    """x (1 + d) in a product; the gradient goes on to x as it is."""

    @staticmethod
    def forward(x: Tensor, d: Tensor) -> Tensor:
        return x * (1 + d)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        x, _ = ctx.saved_tensors
        return g, g * x


class _FactorOfGradients(torch.autograd.Function):
    """x itself; its gradient, times (1 + d), goes into the products of the backward pass."""

    @staticmethod
    def forward(x: Tensor, d: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return g * (1 + ctx.saved_tensors[0]), None


class Roundings:
    """The d of all factors, all zero."""

    def __init__(self) -> None:
        self.all: list[Tensor] = []

    def _new(self, x: Tensor) -> Tensor:
        self.all.append(torch.zeros_like(x, requires_grad=True))
        return self.all[-1]

    def factor(self, x: Tensor) -> Tensor:
        """A factor of a product."""
        return _Factor.apply(x, self._new(x))

    def sums(self, x: Tensor) -> Tensor:
        """A product, whose gradient is a factor of products."""
        return _FactorOfGradients.apply(x, self._new(x))


def layer(cell: str, x: Tensor, h: Tensor, c: Tensor | None, w: Sequence[Tensor], of: Roundings) -> list[Tensor]:
    """Run one direction over x [T, B, I]: y, h_n and, of an LSTM, c_n. w: w_ih, w_hh, b_ih, b_hh and perhaps w_hr."""
    w_ih, w_hh, b_ih, b_hh, *w_hr = w
    w_ih, w_hh, w_hr = of.factor(w_ih), of.factor(w_hh), [of.factor(p) for p in w_hr]
    outputs = []
    for step in x:
        of_x, of_h = of.factor(step) @ w_ih.T + b_ih, of.factor(h) @ w_hh.T + b_hh
        if cell == "gru":
            of_x, of_h = of.sums(of_x), of.sums(of_h)
            (r_x, z_x, n_x), (r_h, z_h, n_h) = of_x.chunk(3, 1), of_h.chunk(3, 1)
            r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
            n = torch.tanh(n_x + r * n_h)
            h = n + z * (h - n)
        else:
            sums = of.sums(of_x + of_h)
            if cell == "lstm":
                i, f, g, o = sums.chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                if w_hr:
                    h = of.sums(of.factor(h) @ w_hr[0].T)
            else:
                h = torch.tanh(sums) if cell == "rnn_tanh" else torch.relu(sums)
        outputs.append(h)
    return [torch.stack(outputs), h, *([] if c is None else [c])]


def bounds(
    cell: str, x: Tensor, h: Tensor, c: Tensor | None, w: Sequence[Tensor], given: Sequence[Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """Results in float64 and their bounds: y, h_n, c_n, then the gradients of x, h, c and all weights.

    ``given`` has the gradients of y, h_n and c_n.
    """
    inputs = [t.double().requires_grad_() for t in (x, h, *([] if c is None else [c]), *w)]
    states, of = len(inputs) - len(w), Roundings()
    outputs = layer(cell, inputs[0], inputs[1], None if c is None else inputs[2], inputs[states:], of)
    ends = [g.double() for g in given]
    gradients = torch.autograd.grad(outputs, inputs, ends, create_graph=True)
    found = []
    for result in (*outputs, *gradients):
        bound = torch.zeros(result.numel(), dtype=torch.float64)
        for place, value in enumerate(result.flatten()):
            of_d = torch.autograd.grad(value, of.all, retain_graph=True, allow_unused=True)
            bound[place] = sum(float(d.abs().sum()) for d in of_d if d is not None)
        found.append(
            (result.detach(), HIGHER * UNIT * bound.view_as(result) + ACTIVATION * (1 + result.detach().abs()))
        )
    return found
