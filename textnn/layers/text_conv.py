"""The convolutional layer for sentences that are already vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .. import functional
from .._checks import check_padding, check_places, check_pooling
from ..functional.sizes import Sizes
from .base import Unscriptable, stay_whole
from .sequences import as_flat


def make_kernels(
    embedding_dim: int,
    channels: int,
    kernel_sizes: Sequence[int],
    padding: str | int,
    activation: str,
    bias: bool,
    device: Any,
    dtype: Any,
    stride: int = 1,
    pooling: str | None = "max",
) -> nn.ModuleList:
    """One ``nn.Conv1d`` for each kernel size: it holds weight [C, D, K] and bias [C], and initialises them."""
    if len(kernel_sizes) == 0 or any(k < 1 for k in kernel_sizes):
        raise ValueError(f"kernel_sizes must be positive and at least one, got {tuple(kernel_sizes)}")
    if channels < 1:
        raise ValueError(f"channels must be positive, got {channels}")
    if check_pooling(pooling, padding, stride):
        check_padding(str(padding), activation)
    else:
        check_places(padding, stride, activation, kernel_sizes)
    return nn.ModuleList(
        nn.Conv1d(embedding_dim, channels, k, bias=bias, device=device, dtype=dtype) for k in kernel_sizes
    )


def kernel_weights(convs: nn.ModuleList) -> tuple[list[Tensor], list[Tensor] | None]:
    weight = [conv.weight for conv in convs]
    bias = [conv.bias for conv in convs]
    return weight, None if bias[0] is None else bias  # type: ignore[return-value]


def give_back(nested: bool, y: Tensor, sizes: Tensor) -> Any:
    """Outputs of all positions in the form of the input: a nested tensor, or the outputs and their sizes."""
    if not nested:
        return y, sizes
    ends = torch.cat([sizes.to(y.device), sizes.new_full((1,), y.shape[0], device=y.device)])
    return torch.nested.nested_tensor_from_jagged(y, ends)


class TextConv(Unscriptable):
    """1-D convolutions of several sizes over sentences, an activation, and the maximum over time (Kim 2014).

    With ``pooling=None`` there is no maximum: each window is an output, as in ``torch.nn.Conv1d``.

    Parameters
    ----------
    embedding_dim : int
        D, the size of a token's vector.
    channels : int
        C, channels of each kernel size.
    kernel_sizes : sequence of int, default=(3, 4, 5)
    padding : {"valid", "same"} or int, default="valid"
        A number, of zero vectors on either side of a sentence, with ``pooling=None`` only.
    bias : bool, default=True
    activation : {"relu", "tanh", "identity"}, default="relu"
    device, dtype : optional
    stride : int, default=1
        Tokens between two windows; with ``pooling=None`` only.
    pooling : {"max", None}, default="max"

    Raises
    ------
    ValueError
        For an unknown padding, activation or pooling, a size that is not positive, or kernels of different sizes whose
        outputs would differ in number.

    Notes
    -----
    Parameters: ``convs.i.weight`` [C, D, K] and ``convs.i.bias`` [C], those of a list of ``torch.nn.Conv1d``.

    Examples
    --------
    >>> conv = textnn.TextConv(16, channels=8, kernel_sizes=(2, 3))
    >>> conv(torch.randn(2, 9, 16), lengths=[9, 4]).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        embedding_dim: int,
        channels: int,
        kernel_sizes: Sequence[int] = (3, 4, 5),
        padding: str | int = "valid",
        bias: bool = True,
        activation: str = "relu",
        device: Any = None,
        dtype: Any = None,
        stride: int = 1,
        pooling: str | None = "max",
    ) -> None:
        super().__init__()
        self.padding, self.activation, self.stride, self.pooling = padding, activation, stride, pooling
        self.convs = make_kernels(
            embedding_dim, channels, kernel_sizes, padding, activation, bias, device, dtype, stride, pooling
        )

    def forward(self, x: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Any:
        """Convolve a batch.

        Parameters
        ----------
        x : Tensor [B, L, D], [N, D] with ``offsets``, or a jagged nested tensor
        lengths, offsets : Tensor int64 [B] or sequence of int, optional
            Tokens of each sentence, or where each begins in a flat batch. Without either, all L tokens count.

        Returns
        -------
        Tensor [B, C * len(kernel_sizes)]
            See :func:`textnn.functional.text_conv`, also for the errors raised. With ``pooling=None``: the outputs
            and their lengths or offsets, see :func:`textnn.functional.text_conv_positions`; of a nested tensor a nested
            one.
        """
        if (whole := stay_whole(self, TextConv.forward, x, lengths=lengths, offsets=offsets)) is not None:
            return whole
        nested = x.is_nested
        x, lengths, offsets = as_flat(x, lengths, offsets)
        weight, bias = kernel_weights(self.convs)
        sizes: dict[str, Any] = {"lengths": lengths, "offsets": offsets, "activation": self.activation}
        if self.pooling is not None:
            return functional.text_conv(x, weight, bias, padding=str(self.padding), **sizes)
        found = functional.text_conv_positions(x, weight, bias, padding=self.padding, stride=self.stride, **sizes)
        return give_back(nested, *found)

    def extra_repr(self) -> str:
        return show(self)


def show(layer: Any) -> str:
    """What the convolutions themselves do not show."""
    places = f", stride={layer.stride}, pooling=None" if layer.pooling is None else ""
    return f"padding={layer.padding!r}, activation={layer.activation!r}{places}"
