"""Whole batches with masks, in torch's own operations: what the operators fall back on for the derivatives that have no
kernel (textnn/_registration/gradients.py).

No result depends on looking at a length, so ``torch.func.vmap`` can map over lengths and offsets, too. Arguments are
those of the operators (csrc/ops/library.cpp); sizes are lengths, offsets or the batch sizes of packed data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .convolution import _ACTIVATIONS
from .recurrent import States, take_step


def recurrent(
    cell: str,
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    weights: Sequence[Tensor | None],
    sizes: Tensor | None,
    layout: str,
    reverse: bool,
) -> tuple[Tensor, ...]:
    """Run one layer; outputs, final states and, of cells that have one, final cell states and those of all steps.

    weights: five of each direction, None for those that are not there. States have a dimension of directions, or none.
    """
    both, single = weights[5] is not None, h0.dim() == 2
    rows = mask = None
    if layout in ("flat", "packed") and sizes is not None:
        rows, mask = (_flat_rows if layout == "flat" else _packed_rows)(sizes.to(x.device), x, h0.shape[-2])
        steps = x[torch.where(mask, rows, 0)] if x.shape[0] else x.new_zeros(*rows.shape, x.shape[-1])
    else:
        steps = x.transpose(0, 1) if layout == "time_major" else x
        mask = None if sizes is None else _inside(sizes.to(x.device), steps.shape[1])
    steps = _only(mask, steps)  # [B, T, I]
    states = (h0,) if c0 is None else (h0, c0)
    results = []
    for d in range(2 if both else 1):
        own = states if single else tuple(state[d] for state in states)
        turned = d == 1 if both else reverse
        results.append(_direction(cell, steps, own, weights[5 * d : 5 * d + 5], mask, turned))
    every, finals = zip(*results, strict=True)
    last = (state[0] if single else torch.stack(state) for state in zip(*finals, strict=True))
    all_steps = [torch.cat(state, dim=-1) for state in zip(*every, strict=True)]  # [T, B, D * P]
    if layout == "batch_major":
        all_steps = [state.transpose(0, 1).contiguous() for state in all_steps]
    elif rows is not None and mask is not None:
        N, at = x.shape[0], torch.where(mask, rows, x.shape[0])
        all_steps = [s.new_zeros(N + 1, s.shape[-1]).index_put((at,), s.transpose(0, 1))[:N] for s in all_steps]
    return all_steps[0], *last, *all_steps[1:]


def _direction(
    cell: str, x: Tensor, states: States, weights: Sequence[Any], mask: Tensor | None, reverse: bool
) -> tuple[States, States]:
    """States [T, B, ..] after each step and the final ones. A step outside of a sequence leaves its states alone."""
    T = x.shape[1]
    now, after = tuple(state.clone() for state in states), list[Any]([None] * T)
    for t in reversed(range(T)) if reverse else range(T):
        new, inside = take_step(cell, x[:, t], now, *weights), None if mask is None else mask[:, t]
        now = new if inside is None else tuple(map(torch.where, [inside[:, None]] * len(new), new, now))
        after[t] = tuple(_only(inside, state) for state in now)
    if T == 0:
        return tuple(state.new_zeros(0, *state.shape) for state in now), now
    return tuple(torch.stack(state) for state in zip(*after, strict=True)), now


def text_conv(
    x: Tensor,
    weight: Sequence[Tensor],
    bias: Sequence[Tensor],
    sizes: Tensor | None,
    flat: bool,
    same: bool,
    window: Tensor,
) -> Tensor:
    """Convolve, and take the windows that gave the maxima; before the activation, [B, S * C]."""
    rows, columns, at = _sentences(x, sizes, flat)[0], [], 0
    for i, w in enumerate(weight):
        C, _, K = w.shape
        left = (K - 1) // 2 if same else 0
        z = F.conv1d(F.pad(rows.transpose(1, 2), (left, K - 1)), w, bias[i] if bias else None)  # [B, C, windows]
        columns.append(z.gather(2, window[:, at : at + C, None].long())[:, :, 0])
        at += C
    return torch.cat(columns, dim=1)


def activated(z: Tensor, activation: str) -> Tensor:
    """Apply an activation by its name."""
    return _ACTIVATIONS[activation](z)


def activation_gradient(dy: Tensor, y: Tensor, activation: str) -> Tensor:
    """Return the gradient of what gave y = activation(z)."""
    return {"relu": dy * (y > 0), "tanh": dy * (1 - y * y), "identity": dy}[activation]


def max_mean_pool(x: Tensor, sizes: Tensor | None, flat: bool, at: Tensor) -> Tensor:
    """Take the maxima at the steps where they stand, and the means."""
    rows, mask = _sentences(x, sizes, flat)
    if rows.shape[1] == 0:
        return rows.new_zeros(rows.shape[0], 2 * rows.shape[2])
    count = rows.new_tensor(rows.shape[1]) if mask is None else mask.sum(1, keepdim=True).to(x.dtype)
    maxima = rows.gather(1, at.long()[:, None])[:, 0]  # of a sentence without steps, a zero
    return torch.cat([maxima, rows.sum(1) / count.clamp(min=1)], dim=1)


def ragged_attention(
    query: Tensor, states: Tensor, sizes: Tensor | None, flat: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """Attend to padded states; contexts and weights, these [Q, N] of flat states."""
    rows, mask = _sentences(states, sizes, flat)
    if rows.shape[1] == 0:
        nothing = query.sum(2, keepdim=True)[:, :, :0]
        return query * 0, nothing.sum(0).expand(query.shape[1], 0) if flat else nothing
    scores = scale * query @ rows.transpose(1, 2)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None], float("-inf"))
    top = scores.detach().amax(-1, keepdim=True)
    powers = (scores - torch.where(top == float("-inf"), 0, top)).exp()
    total = powers.sum(-1, keepdim=True)
    weights = powers / torch.where(total == 0, 1, total)
    context = weights @ rows
    if not flat or sizes is None or mask is None:
        return context, weights
    N = states.shape[0]
    at = torch.where(mask, sizes.to(states.device)[:, None] + torch.arange(rows.shape[1], device=mask.device), N)
    return context, weights.new_zeros(N + 1, query.shape[1]).index_put((at,), weights.transpose(1, 2))[:N].t()


def _sentences(x: Tensor, sizes: Tensor | None, flat: bool) -> tuple[Tensor, Tensor | None]:
    """Vectors [B, L, D] with zeros as padding, and what is none of it; None where nothing is."""
    if flat and sizes is not None:
        rows, mask = _flat_rows(sizes.to(x.device), x, sizes.shape[0])
        padded = x[torch.where(mask, rows, 0)] if x.shape[0] else x.new_zeros(*rows.shape, x.shape[-1])
        return _only(mask, padded), mask
    inside = None if sizes is None else _inside(sizes.to(x.device), x.shape[1])
    return _only(inside, x), inside


def _flat_rows(offsets: Tensor, x: Tensor, B: int) -> tuple[Tensor, Tensor]:
    """Where the steps [B, T] of flat sequences stand, and which of them there are."""
    N = x.shape[0]
    lengths = torch.cat([offsets, offsets.new_full((1,), N)]).diff()
    longest = _most(lengths, N) if B else 0
    steps = torch.arange(longest, device=x.device)
    return offsets[:, None] + steps, steps < lengths[:, None]


def _packed_rows(batch_sizes: Tensor, x: Tensor, B: int) -> tuple[Tensor, Tensor]:
    starts, numbers = batch_sizes.cumsum(0) - batch_sizes, torch.arange(B, device=x.device)
    return numbers[:, None] + starts, numbers[:, None] < batch_sizes


def _most(lengths: Tensor, bound: int) -> int:
    """The largest length, or what it cannot exceed where values are not to be seen."""
    hidden = torch.compiler.is_compiling() or torch._C._functorch.is_functorch_wrapped_tensor(lengths)
    return bound if hidden or torch._subclasses.fake_tensor.is_fake(lengths) else int(lengths.max())


def _inside(lengths: Tensor, T: int) -> Tensor:
    return torch.arange(T, device=lengths.device) < lengths[:, None]


def _only(mask: Tensor | None, x: Tensor) -> Tensor:
    """Return x with zeros outside of the mask, whatever stands there."""
    return x if mask is None else torch.where(mask[..., None], x, torch.zeros((), dtype=x.dtype, device=x.device))
