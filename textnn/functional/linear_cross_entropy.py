"""A linear layer with cross entropy that never holds all logits; see :mod:`textnn.functional`."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import reference
from .._checks import _autocast, _can_look, check_device, check_dtypes, check_tensors, keeps
from ..backends import product_precision, torch_precision
from .elsewhere import in_onnx_export

_ops = torch.ops.textnn
_IGNORED = -100


def linear_cross_entropy(
    input: Tensor,  # noqa: A002
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: object = None,
) -> Tensor:
    """Compute ``F.cross_entropy(F.linear(input, linear_weight, linear_bias), target, ...)`` without the logits [N, V].

    The arguments are those of ``torch.nn.functional.linear_cross_entropy``, of torch 2.13 and later.

    Parameters
    ----------
    input : Tensor [N, H], [H], or [..., H]
        What the linear layer is given. [B, T, H] is taken as B * T rows.
    linear_weight : Tensor [V, H]
        The linear layer's weight; V classes, or words.
    target : Tensor int64, as input without H
        A class in [0, V), or ``ignore_index``. With probabilities of classes as targets (a floating-point tensor with a
        last dimension of V), or with several losses for each row (``linear_weight`` [V, d_1, ..., H]), all logits are
        made, as torch does.
    linear_bias : Tensor [V], optional
    weight : Tensor [V], optional
        Weights of the classes, without gradient.
    reduction : {"mean", "sum", "none"}, default="mean"
        The mean is weighted by ``weight``, and NaN without any row that counts.
    ignore_index : int, optional
        Rows with this target count for nothing, and are not looked at. By default -100.
    label_smoothing : float, default=0.0
        In [0, 1].
    options : optional
        torch's choice of blocks, which is not needed here.

    Returns
    -------
    Tensor [], or as target with ``reduction="none"``
        In the dtype of the input; float32 under autocast.

    Raises
    ------
    ValueError
        If shapes do not fit each other, for another reduction or label smoothing, or if ``weight`` asks for a gradient.
    IndexError
        If a target lies outside of [0, V) and is not ``ignore_index``. On CUDA, an assertion on the device.
    TypeError
        If dtypes differ or are not floating-point, or targets are neither int64 nor probabilities.

    Notes
    -----
    Blocks of rows and columns, with the online softmax of Milakov and Gimelshein 2018. For ``"mean"`` and ``"sum"`` the
    gradients are made beside the loss, as in Liger Kernel (Hsu et al. 2024), and keep the memory of the gradients from
    then on; for ``"none"`` the backward pass makes the logits once more. Second derivatives make all logits.

    Tensors of bfloat16, autocast and ``torch.set_float32_matmul_precision("medium")`` multiply bfloat16, except on a
    CPU that is not faster at it (:func:`textnn.backends.has_bfloat16`).

    Examples
    --------
    >>> words = torch.eye(3)  # one row for each word
    >>> textnn.functional.linear_cross_entropy(torch.zeros(4, 3), words, torch.tensor([0, 2, -100, 1]))
    tensor(1.0986)
    """
    check_tensors(input=input, linear_weight=linear_weight, target=target)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie in [0, 1], got {label_smoothing}")
    dtype = _check_scores(input, linear_weight, linear_bias, weight)
    if weight is not None and weight.requires_grad and torch.is_grad_enabled():
        raise ValueError("weight must not require a gradient: class weights have none")
    V, probabilities = linear_weight.shape[0], target.is_floating_point()
    if probabilities and ignore_index is not None:
        raise ValueError(f"ignore_index must be None for targets that are probabilities, got {ignore_index}")
    if probabilities or linear_weight.dim() > 2 or in_onnx_export():
        return reference.linear_cross_entropy(
            input,
            linear_weight,
            target,
            linear_bias=linear_bias,
            weight=weight,
            reduction=reduction,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
        )
    ignored = _IGNORED if ignore_index is None else ignore_index
    _check_target(target, input, V, ignored)
    result = torch.float32 if _autocast(input.device.type) and dtype != torch.float64 else dtype
    products = _products(dtype, input.device.type)
    flat = input.flatten(0, -2) if input.dim() > 1 else input[None]
    x, W, b, w = (_wide(t) for t in (flat, linear_weight, linear_bias, weight))
    here = torch.compiler.is_compiling() or not torch._C._are_functorch_transforms_active()
    need = [here and keeps(x), here and keeps(W, b)]
    loss: Tensor = _ops.linear_cross_entropy(
        x,
        W,
        b,
        target.reshape(-1).long(),
        w,
        reduction,
        ignored,
        float(label_smoothing),
        products,
        *need,
        keeps(x, W, b),
    )[0]
    return (loss.reshape(target.shape) if reduction == "none" else loss).to(result)


def _check_scores(x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, weight: Tensor | None) -> torch.dtype:
    named = {"input": x, "linear_weight": linear_weight, "linear_bias": linear_bias, "weight": weight}
    check_tensors(**{name: t for name, t in named.items() if t is not None})
    dtype = check_dtypes(named)
    if x.dim() < 1:
        raise ValueError(f"input must have shape [N, H], [H] or [..., H], got {list(x.shape)}")
    if linear_weight.dim() < 2 or linear_weight.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"linear_weight must have shape [V, H] = [V, {x.shape[-1]}] for input {list(x.shape)}, "
            f"got {list(linear_weight.shape)}"
        )
    if linear_bias is not None and linear_bias.shape != linear_weight.shape[:-1]:
        want, got = list(linear_weight.shape[:-1]), list(linear_bias.shape)
        raise ValueError(f"linear_bias must have shape {want} for linear_weight {list(linear_weight.shape)}, got {got}")
    if weight is not None and weight.shape != linear_weight.shape[:1]:
        raise ValueError(f"weight must have shape [V] = [{linear_weight.shape[0]}], got {list(weight.shape)}")
    return dtype


def _check_target(target: Tensor, x: Tensor, V: int, ignored: int) -> None:
    if target.dtype not in (torch.int64, torch.uint8):
        raise TypeError(f"target must be int64 or uint8, or floating-point for probabilities, got {target.dtype}")
    if target.shape != x.shape[:-1]:
        want = list(x.shape[:-1])
        raise ValueError(f"target must have shape {want} for input {list(x.shape)}, got {list(target.shape)}")
    check_device("target", target, "input", x)
    if _can_look(target) and target.numel():
        outside = (target != ignored) & ((target < 0) | (target >= V))
        if bool(outside.any()):
            first = int(target[outside][0])
            raise IndexError(f"target must lie in [0, V) = [0, {V}) or be ignore_index, {ignored}, got {first}")


def _products(dtype: torch.dtype, device: str) -> str:
    """What products multiply; sums and losses are in the operator's own dtype."""
    half = dtype is torch.float16 and device != "cpu"
    return "fp16" if half else torch_precision(product_precision(dtype, device), device)


def _wide(t: Tensor | None) -> Tensor | None:
    """float16 and bfloat16 as float32: products are told what to multiply."""
    return t.float() if t is not None and t.dtype in (torch.float16, torch.bfloat16) else t
