"""Gradient clipping by the norm over all gradients, dense and sparse ones.

    gradients of all parameters -> their norm, as one vector -> all of them times max_norm / norm, where that is below 1

The norm of a sparse gradient is that of the dense gradient that it stands for: rows that occur more than once are added
before they are squared. ``torch.nn.utils.clip_grad_norm_`` fails on them, or counts such rows one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.linalg import vector_norm

from textnn.optim.adam import _distinct_rows


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale the gradients in place, so that their norm is at most ``max_norm``; return the norm that they had.

    (Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013, section 3.2.)

    Parameters
    ----------
    parameters
        Those without a gradient are passed over. Sparse gradients have rows of a matrix, coalesced or not.
    max_norm
        Above 0.

    Returns
    -------
    float
        The norm before. If it is infinite or NaN, the gradients stay as they are.

    Raises
    ------
    ValueError
        If ``max_norm`` is not above 0.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm: expected a number above 0, got {max_norm}")
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    # In double precision the order of the sums hardly shows, and no square overflows.
    norm = math.hypot(*(float(vector_norm(_values(gradient), dtype=torch.float64)) for gradient in gradients))
    if max_norm < norm and math.isfinite(norm):
        for gradient in gradients:
            # Where rows occur more than once, their sums are scaled with them.
            (gradient._values() if gradient.is_sparse else gradient).mul_(max_norm / norm)
    return norm


def _values(gradient: Tensor) -> Tensor:
    return _distinct_rows(gradient)[1] if gradient.is_sparse else gradient
