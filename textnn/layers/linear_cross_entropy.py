"""A linear layer and its loss in one, so that logits need not be kept: the last layer of a language model."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from .. import functional
from .base import Unscriptable, stay_whole


class LinearCrossEntropyLoss(Unscriptable):
    """``nn.CrossEntropyLoss()(nn.Linear(in_features, num_classes)(input), target)`` without the logits.

    Arguments, parameters and results are those of ``torch.nn.LinearCrossEntropyLoss``, of torch 2.13 and later.

    Parameters
    ----------
    in_features : int
        H.
    num_classes : int
        V.
    out_features : tuple of int, default=()
        Shape of the losses of a row, where it has several; these make all logits.
    bias : bool, default=False
    device, dtype : optional
    reduction : {"mean", "sum", "none"}, default="mean"
    weight : Tensor [V], optional
        Weights of the classes, a buffer.
    ignore_index : int, optional
        The target of rows that count for nothing; by default -100.
    label_smoothing : float, default=0.0
    options : optional
        torch's choice of blocks, which is not needed here.

    Attributes
    ----------
    linear : nn.Linear
        Scores come from it alone: ``layer.linear(input)`` are the logits. For weights that are those of an embedding:
        ``layer.linear.weight = embedding.weight``.

    Raises
    ------
    ValueError
        If ``weight`` is not [V], or for another reduction or label smoothing.

    Notes
    -----
    See :func:`textnn.functional.linear_cross_entropy`.

    Examples
    --------
    >>> layer = textnn.LinearCrossEntropyLoss(8, 1000)
    >>> loss = layer(torch.randn(5, 7, 8), torch.randint(1000, (5, 7)))  # [B, T, H], [B, T]
    >>> loss.backward()
    >>> layer.linear.weight.grad.shape
    torch.Size([1000, 8])
    """

    weight: Tensor | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: object = None,
    ) -> None:
        super().__init__()
        if weight is not None and weight.shape != (num_classes,):
            raise ValueError(f"weight must have shape [V] = [{num_classes}], got {list(weight.shape)}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must lie in [0, 1], got {label_smoothing}")
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
        self.register_buffer("weight", weight)
        self.num_classes, self.out_features, self.reduction = num_classes, tuple(out_features), reduction
        self.ignore_index, self.label_smoothing, self.options = ignore_index, label_smoothing, options
        outputs = math.prod(self.out_features, start=num_classes)
        self.linear = nn.Linear(in_features, outputs, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002
        """Return the loss of input [..., H] for target [...]."""
        whole = stay_whole(self, LinearCrossEntropyLoss.forward, input, target)
        if whole is not None:
            return cast(Tensor, whole)
        classes, bias = (self.num_classes, *self.out_features), self.linear.bias
        return functional.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*classes, -1) if self.out_features else self.linear.weight,
            target,
            linear_bias=bias.reshape(classes) if self.out_features and bias is not None else bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, reduction={self.reduction}, "
            f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}"
        )
