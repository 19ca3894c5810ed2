"""Layers that begin with token ids: an embedding table joined with the layer that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .. import functional
from ..functional.sizes import Sizes
from .base import Unscriptable, stay_whole
from .frozen import DTYPES, FrozenTextConv
from .sequences import as_flat
from .text_conv import give_back, kernel_weights, make_kernels, show


class TableModule(Unscriptable, nn.Embedding):
    """An embedding table ``weight`` [V, D], initialised as ``torch.nn.Embedding`` does it.

    It is one for those who ask: ``DistributedDataParallel`` expects sparse gradients of nothing else.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, sparse: bool, device: Any, dtype: Any
    ) -> None:
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx must be within num_embeddings = {num_embeddings}, got {padding_idx}")
        super().__init__(num_embeddings, embedding_dim, padding_idx, sparse=sparse, device=device, dtype=dtype)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}, padding_idx={self.padding_idx}, sparse={self.sparse}"


class EmbeddingTextConv(TableModule):
    """``Embedding`` and :class:`TextConv` in one, computed once for each distinct token of a batch.

    With ``pooling=None`` each window is an output, as in ``torch.nn.Conv1d``.

    Parameters
    ----------
    num_embeddings : int
        V, the size of the vocabulary.
    embedding_dim : int
        D.
    channels : int
        C, channels of each kernel size.
    kernel_sizes : sequence of int, default=(3, 4, 5)
    padding : {"valid", "same"} or int, default="valid"
        A number, of zero vectors on either side of a sentence, with ``pooling=None`` only.
    bias : bool, default=True
    activation : {"relu", "tanh", "identity"}, default="relu"
    padding_idx : int or None, default=0
        A row that begins as zero and gets no gradient. It does not shorten sentences: give lengths or offsets.
    sparse : bool, default=False
        Whether the gradient of the table is sparse, with one row for each distinct token: :class:`textnn.optim.Adam`
        then takes only these rows.
    device, dtype : optional
    stride : int, default=1
        Tokens between two windows; with ``pooling=None`` only.
    pooling : {"max", None}, default="max"

    Raises
    ------
    ValueError
        For arguments outside of what is listed.

    Notes
    -----
    Parameters: ``weight`` [V, D], ``convs.i.weight`` [C, D, K], ``convs.i.bias`` [C].

    Examples
    --------
    >>> conv = textnn.EmbeddingTextConv(1000, embedding_dim=16, channels=8, kernel_sizes=(1, 2))
    >>> conv(torch.tensor([4, 7, 7, 9, 2]), offsets=[0, 3]).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        channels: int,
        kernel_sizes: Sequence[int] = (3, 4, 5),
        padding: str | int = "valid",
        bias: bool = True,
        activation: str = "relu",
        padding_idx: int | None = 0,
        sparse: bool = False,
        device: Any = None,
        dtype: Any = None,
        stride: int = 1,
        pooling: str | None = "max",
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, sparse, device, dtype)
        self.padding, self.activation, self.stride, self.pooling = padding, activation, stride, pooling
        self.convs = make_kernels(
            embedding_dim, channels, kernel_sizes, padding, activation, bias, device, dtype, stride, pooling
        )

    def forward(self, ids: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Any:
        """Look up and convolve a batch.

        Parameters
        ----------
        ids : Tensor int64 [B, L], [N] with ``offsets``, or a jagged nested tensor
        lengths, offsets : Tensor int64 [B] or sequence of int, optional
            Tokens of each sentence, or where each begins in a flat batch. Without either, all L tokens count.

        Returns
        -------
        Tensor [B, C * len(kernel_sizes)]
            See :func:`textnn.functional.embedding_text_conv`, also for the errors raised. With ``pooling=None``: the
            outputs and their lengths or offsets, see :func:`textnn.functional.embedding_text_conv_positions`; a nested
            tensor of a nested one.
        """
        if (whole := stay_whole(self, EmbeddingTextConv.forward, ids, lengths=lengths, offsets=offsets)) is not None:
            return whole
        nested = ids.is_nested
        ids, lengths, offsets = as_flat(ids, lengths, offsets)
        weight, bias = kernel_weights(self.convs)
        options: dict[str, Any] = {
            "lengths": lengths,
            "offsets": offsets,
            "activation": self.activation,
            "padding_idx": self.padding_idx,
            "sparse": self.sparse,
        }
        if self.pooling is not None:
            return functional.embedding_text_conv(ids, self.weight, weight, bias, padding=str(self.padding), **options)
        found = functional.embedding_text_conv_positions(
            ids, self.weight, weight, bias, padding=self.padding, stride=self.stride, **options
        )
        return give_back(nested, *found)

    frozen_dtypes: ClassVar[tuple[str | None, ...]] = (None, *DTYPES)

    def freeze(  # type: ignore[override]
        self,
        memory_limit: int | None = None,
        dtype: str | torch.dtype | None = None,
        order: Tensor | None = None,
    ) -> FrozenTextConv:
        """Return a module for inference only that looks up what this layer computes; this layer stays as it is.

        The products of a token and all taps are a row of a table, computed here once. Later changes of this layer's
        weights do not reach the module.

        Parameters
        ----------
        memory_limit : int, optional
            Bytes that the table may take. The most frequent tokens get a row; the products of the others are computed
            once for each batch in which they occur. Without a limit every token has a row.
        dtype : {"float32", "float64", "int16", "int8"}, optional
            Of the table; by default that in which this layer computes. A row has sum(kernel_sizes) * channels elements,
            channels rounded up to 64 bytes (int8: to 32). "int16" is the fastest. An integer stands for a multiple of a
            scale, the largest product of its kernel and channel / min(32767 / K, 127 for int8 or 32767): each sum over
            K taps is off by at most K / 2 scales.
        order : Tensor int64 [at most V], optional
            Ids, most frequent first; those not listed come behind, in their own order. By default ids are in order of
            falling frequency, as :class:`textnn.text.Vocabulary` gives them out.

        Returns
        -------
        FrozenTextConv
            Called as this layer is, with the same results but for rounding.

        Raises
        ------
        ValueError
            For an unknown dtype, a negative limit, an order with an id twice, or integers for weights that are not
            finite.
        IndexError
            For an id in ``order`` outside the table.
        TypeError
            If ``memory_limit`` is no integer, or ``order`` not int64 or int32.
        NotImplementedError
            With ``pooling=None``.
        """
        if self.pooling is None:
            raise NotImplementedError("a convolution with pooling=None cannot be frozen: use the layer itself")
        return FrozenTextConv.of(self, memory_limit, dtype, order)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {show(self)}"
