"""The LSTM with weights of 8 bits; shapes and forms of ragged batches: :mod:`textnn.functional`."""

from __future__ import annotations

import torch
from torch import Tensor

from .._checks import check_device, check_dtypes, check_shape, check_tensors, needs_gradient
from .recurrent import check_batch
from .sizes import Sizes

_ops = torch.ops.textnn


def quantized_lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight: Tensor,
    scale: Tensor,
    sum: Tensor,  # noqa: A002
    bias: Tensor,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_sizes: Tensor | None = None,
    batch_first: bool = False,
    reverse: bool = False,
    outputs: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer and direction of an LSTM with weights of 8 bits; for inference only.

    Inputs and states are rounded as they come (dynamic quantization): a vector of the input to whole multiples of its
    largest value / 127, the output state, which lies within -1 .. 1, to those of 1 / 127. The products are exact.

    Parameters
    ----------
    x : Tensor float32 or of half precision
        As in :func:`lstm`; finite.
    h0, c0 : Tensor [B, H]
        The initial states; h0 is cut to -1 .. 1.
    weight : Tensor int8 [panels, groups, 4, 16, 4]
        The rows of the weights / their scale, 16 units to a panel: element [p, k, g, v, i] belongs to gate g of unit
        16 * p + v and to column 4 * k + i of W_ih [4H, I] filled up with zeros, then to those of W_hh.
    scale : Tensor [2, 4H]
        Of the rows of W_ih and of W_hh.
    sum : Tensor int32 [2, 4H]
        Of the integers of each row.
    bias : Tensor [4H]
    lengths, offsets, batch_sizes, batch_first, reverse, outputs
        As in :func:`lstm`.

    Returns
    -------
    y, h_n, c_n : Tensor
        As in :func:`lstm`.

    Raises
    ------
    ValueError
        If ``x`` is not on the CPU, if shapes do not fit each other, or a length or offset is out of range.
    TypeError
        If a dtype is another one.
    RuntimeError
        If ``batch_sizes`` do not fall or do not sum to N, or a gradient would be needed.

    Examples
    --------
    >>> from textnn.layers.frozen_lstm import quantize_weights
    >>> layer, x, zeros = textnn.LSTM(5, 3).requires_grad_(False), torch.randn(7, 2, 5), torch.zeros(2, 3)
    >>> y, h, c = textnn.functional.quantized_lstm(x, zeros, zeros, *quantize_weights(*layer.parameters()))
    >>> bool((y - layer(x)[0]).abs().max() < 0.05)
    True
    """
    check_tensors(x=x, h0=h0, c0=c0)
    if x.device.type not in ("cpu", "meta"):
        raise ValueError(f"x must be on the CPU, where alone weights of 8 bits are faster, got {x.device}")
    sizes, layout = check_batch(x, h0, c0, 2, lengths, offsets, batch_sizes, batch_first)
    (B, H), width = h0.shape, x.shape[-1]
    check_shape("c0", c0, ("B", "H"), (B, H))
    groups = -(-width // 4) - (-H // 4)
    check_shape("weight", weight, ("panels", "groups", "4", "16", "4"), (-(-H // 16), groups, 4, 16, 4))
    check_shape("scale", scale, ("2", "4H"), (2, 4 * H))
    check_shape("sum", sum, ("2", "4H"), (2, 4 * H))
    check_shape("bias", bias, ("4H",), (4 * H,))
    dtypes = {"weight": (weight, torch.int8), "scale": (scale, torch.float32), "sum": (sum, torch.int32)}
    for name, (t, dtype) in {**dtypes, "bias": (bias, torch.float32)}.items():
        if t.dtype != dtype:
            raise TypeError(f"{name} must be {dtype}, got {t.dtype}")
        check_device(name, t, "x", x)
    if needs_gradient(x, h0, c0, scale, bias):
        raise RuntimeError("quantized_lstm has no gradient: train the layer that was frozen, and freeze it again")
    floats = {"x": x, "h0": h0, "c0": c0}
    narrow_to = check_dtypes(floats)
    if narrow_to == torch.float64:
        raise TypeError("x must be float32 or of half precision for weights of 8 bits, got torch.float64")
    x, h0, c0 = (t.float() for t in floats.values())
    result = _ops.quantized_lstm(x, h0, c0, weight, scale, sum, bias, sizes, layout, reverse, outputs)
    y, h_n, c_n = (t.to(narrow_to) for t in result)
    return y, h_n, c_n
