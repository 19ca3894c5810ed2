"""The convolutional layer for sentences that are already vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .. import functional
from .._checks import check_padding
from ..functional.sizes import Sizes
from .base import Unscriptable
from .sequences import as_flat


def make_kernels(
    embedding_dim: int,
    channels: int,
    kernel_sizes: Sequence[int],
    padding: str,
    activation: str,
    bias: bool,
    device: Any,
    dtype: Any,
) -> nn.ModuleList:
    """One ``nn.Conv1d`` for each kernel size: it holds weight [C, D, K] and bias [C], and initialises them."""
    check_padding(padding, activation)
    if len(kernel_sizes) == 0 or any(k < 1 for k in kernel_sizes):
        raise ValueError(f"kernel_sizes must be positive and at least one, got {tuple(kernel_sizes)}")
    if channels < 1:
        raise ValueError(f"channels must be positive, got {channels}")
    return nn.ModuleList(
        nn.Conv1d(embedding_dim, channels, k, bias=bias, device=device, dtype=dtype) for k in kernel_sizes
    )


def kernel_weights(convs: nn.ModuleList) -> tuple[list[Tensor], list[Tensor] | None]:
    weight = [conv.weight for conv in convs]
    bias = [conv.bias for conv in convs]
    return weight, None if bias[0] is None else bias  # type: ignore[return-value]


class TextConv(Unscriptable):
    """1-D convolutions of several sizes over sentences, an activation, and the maximum over time (Kim 2014).

    Parameters
    ----------
    embedding_dim : int
        D, the size of a token's vector.
    channels : int
        C, channels of each kernel size.
    kernel_sizes : sequence of int, default=(3, 4, 5)
    padding : {"valid", "same"}, default="valid"
    bias : bool, default=True
    activation : {"relu", "tanh", "identity"}, default="relu"
    device, dtype : optional

    Raises
    ------
    ValueError
        For an unknown padding or activation, or a size that is not positive.

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
        padding: str = "valid",
        bias: bool = True,
        activation: str = "relu",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.padding, self.activation = padding, activation
        self.convs = make_kernels(embedding_dim, channels, kernel_sizes, padding, activation, bias, device, dtype)

    def forward(self, x: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Tensor:
        """Convolve a batch.

        Parameters
        ----------
        x : Tensor [B, L, D], [N, D] with ``offsets``, or a jagged nested tensor
        lengths, offsets : Tensor int64 [B] or sequence of int, optional
            Tokens of each sentence, or where each begins in a flat batch. Without either, all L tokens count.

        Returns
        -------
        Tensor [B, C * len(kernel_sizes)]
            See :func:`textnn.functional.text_conv`, also for the errors raised.
        """
        x, lengths, offsets = as_flat(x, lengths, offsets)
        weight, bias = kernel_weights(self.convs)
        return functional.text_conv(
            x, weight, bias, lengths=lengths, offsets=offsets, padding=self.padding, activation=self.activation
        )

    def extra_repr(self) -> str:
        return f"padding={self.padding!r}, activation={self.activation!r}"
