"""Inference with weights that do not change any more: the convolution of token ids as a table look-up.

    EmbeddingTextConv --freeze()--> table [R, taps, width] of the products of tokens and taps
                                    rest [V - R, D], weight: what products of the other tokens are computed from

The most frequent tokens have their rows in the table, as many as a limit allows; the products of others are computed
once for each batch in which they occur.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .. import functional
from .._checks import check_padding, frozen_width
from ..functional.sizes import Sizes
from .base import Unscriptable
from .sequences import as_flat
from .text_conv import kernel_weights

if TYPE_CHECKING:
    from .embedding import EmbeddingTextConv

DTYPES = {"float32": torch.float32, "float64": torch.float64, "int16": torch.int16, "int8": torch.int8}
_CHUNK = 2048  # rows whose products are computed at a time


class FrozenTextConv(Unscriptable):
    """The inference form of :class:`EmbeddingTextConv`, which makes it: ``layer.freeze(...)``.

    Made directly it has the right shapes and no values, for ``load_state_dict``.

    Parameters
    ----------
    num_embeddings : int
        V.
    embedding_dim : int
        D.
    channels : int
        C, channels of each kernel size.
    kernel_sizes : sequence of int
    padding : {"valid", "same"}, default="valid"
    activation : {"relu", "tanh", "identity"}, default="relu"
    rows : int, optional
        R, the rows of the table; all V without it.
    ordered : bool, default=False
        Whether the rows are in another order than the ids.
    dtype : {"float32", "float64", "int16", "int8"}, default="float32"
        Of the table. Integers have a scale for each kernel and channel: a product is off by at most half of it.

    Raises
    ------
    ValueError
        For an unknown padding, activation or dtype, or a size out of range.

    Notes
    -----
    Buffers: ``table`` [R, sum of K, width], where width is C rounded up to 64 bytes; ``bias`` [S, C]; ``scale`` [S, C]
    for integers; ``row`` [V] if ordered; ``rest`` [V - R, D] and ``weight`` [D, sum of K, width] if R < V.

    Results have the dtype of ``bias``. ``.to(dtype)`` changes that one; the products keep their dtype.

    Examples
    --------
    >>> conv = textnn.EmbeddingTextConv(1000, embedding_dim=16, channels=8)
    >>> frozen, ids = conv.freeze(), torch.randint(1000, (2, 12))
    >>> torch.allclose(frozen(ids), conv(ids), atol=1e-5)
    True
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        channels: int,
        kernel_sizes: Sequence[int],
        padding: str = "valid",
        activation: str = "relu",
        rows: int | None = None,
        ordered: bool = False,
        dtype: str | torch.dtype = "float32",
    ) -> None:
        super().__init__()
        check_padding(padding, activation)
        rows = num_embeddings if rows is None else rows
        if not 0 <= rows <= num_embeddings:
            raise ValueError(f"rows must lie between 0 and num_embeddings = {num_embeddings}, got {rows}")
        kind = _resolve_dtype(dtype)
        integers = not kind.is_floating_point
        compute = torch.float64 if kind == torch.float64 else torch.float32
        self.num_embeddings, self.padding, self.activation = num_embeddings, padding, activation
        self.kernel_sizes = list(kernel_sizes)
        S, taps, width = len(self.kernel_sizes), sum(self.kernel_sizes), frozen_width(channels, kind)
        partial = rows < num_embeddings

        def buffer(name: str, wanted: bool, *shape: int, dtype: torch.dtype = compute) -> None:
            self.register_buffer(name, torch.empty(shape, dtype=dtype) if wanted else None)

        buffer("table", True, rows, taps, width, dtype=kind)
        buffer("bias", True, S, channels)
        buffer("scale", integers, S, channels)
        buffer("row", ordered, num_embeddings, dtype=torch.int64)
        buffer("rest", partial, num_embeddings - rows, embedding_dim)
        buffer("weight", partial, embedding_dim, taps, width)

    table: Tensor
    bias: Tensor
    scale: Tensor | None
    row: Tensor | None
    rest: Tensor | None
    weight: Tensor | None

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        layer: EmbeddingTextConv,
        memory_limit: int | None = None,
        dtype: str | torch.dtype | None = None,
        order: Tensor | None = None,
    ) -> FrozenTextConv:
        """Compute the table of a layer; see :meth:`EmbeddingTextConv.freeze`."""
        own = torch.float64 if layer.weight.dtype == torch.float64 else torch.float32
        kind = own if dtype is None else _resolve_dtype(dtype)
        weights, biases = kernel_weights(layer.convs)
        (V, D), C, sizes = layer.weight.shape, weights[0].shape[0], [w.shape[2] for w in weights]
        row_bytes = sum(sizes) * frozen_width(C, kind) * kind.itemsize
        R = V if memory_limit is None else min(V, check_limit(memory_limit) // row_bytes)
        ids = None if order is None else _complete(order, V)
        ids = ids if R < V else None  # a whole table stands in the order of the ids
        frozen = cls(V, D, C, sizes, str(layer.padding), layer.activation, R, ids is not None, kind)
        if layer.weight.device.type == "cpu":
            torch.ops.textnn.advise_huge_pages(frozen.table)
        frozen.to(layer.weight.device)
        if biases is None:
            frozen.bias = frozen.bias.to(layer.weight.dtype).zero_()
        else:
            frozen.bias = torch.stack([bias.detach() for bias in biases])
        with torch.autocast(layer.weight.device.type, enabled=False):  # which would round the products
            frozen._fill(layer, ids)
        return frozen.eval()

    def _fill(self, layer: EmbeddingTextConv, ids: Tensor | None) -> None:
        compute = torch.float64 if self.table.dtype == torch.float64 else torch.float32
        embedding, R = layer.weight.detach(), self.table.shape[0]
        taps, C = self.table.shape[1], self.bias.shape[1]
        weight = embedding.new_zeros(embedding.shape[1], taps, self.table.shape[2], dtype=compute)
        weight[:, :, :C] = torch.cat([w.detach().permute(1, 2, 0) for w in kernel_weights(layer.convs)[0]], dim=1)

        def products(rows: int) -> Iterator[tuple[int, Tensor]]:
            for first in range(0, rows, _CHUNK):
                chunk = slice(first, min(rows, first + _CHUNK))
                vectors = embedding[chunk] if ids is None else embedding[ids[chunk]]
                yield first, (vectors.to(compute) @ weight.flatten(1)).view(-1, *weight.shape[1:])

        if self.scale is not None:
            # Over all rows, also those that the table does not hold: they are rounded in the same way.
            largest = self.bias.new_zeros(len(self.kernel_sizes), C, dtype=compute)
            for _, p in products(self.num_embeddings):
                each = [part.abs().amax(dim=(0, 1)) for part in p[:, :, :C].split(self.kernel_sizes, dim=1)]
                largest = torch.maximum(largest, torch.stack(each))
            if not largest.isfinite().all():
                raise ValueError(f"dtype {self.table.dtype} needs finite weights, but products of the layer are not")
            most = torch.iinfo(self.table.dtype).max
            limits = torch.tensor([min(most, 32767 // k) for k in self.kernel_sizes], device=largest.device)
            self.scale = torch.where(largest > 0, largest / limits[:, None], torch.ones_like(largest))
        for first, p in products(R):
            if self.scale is not None:
                p[:, :, :C] /= self.scale.repeat_interleave(torch.tensor(self.kernel_sizes, device=p.device), dim=0)
                p = p.round_()
            self.table[first : first + _CHUNK] = p
        if self.rest is not None:
            self.rest = (embedding[R:] if ids is None else embedding[ids[R:]]).to(compute, copy=True)
            self.weight = weight
        if ids is not None:
            self.row = torch.empty_like(ids).scatter_(0, ids, torch.arange(len(ids), device=ids.device))

    def forward(self, ids: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Tensor:
        """Look up a batch.

        Parameters
        ----------
        ids : Tensor int64 [B, L], [N] with ``offsets``, or a jagged nested tensor
        lengths, offsets : Tensor int64 [B] or sequence of int, optional
            Tokens of each sentence, or where each begins in a flat batch. Without either, all L tokens count.

        Returns
        -------
        Tensor [B, C * len(kernel_sizes)]
            See :func:`textnn.functional.frozen_text_conv`, also for the errors raised.
        """
        ids, lengths, offsets = as_flat(ids, lengths, offsets)
        return functional.frozen_text_conv(
            ids,
            self.table,
            self.bias,
            self.kernel_sizes,
            scale=self.scale,
            row=self.row,
            rest=self.rest,
            weight=self.weight,
            lengths=lengths,
            offsets=offsets,
            padding=self.padding,
            activation=self.activation,
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FrozenTextConv:
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, old in before.items():
            new = self._buffers[name]
            if name != "bias" and old is not None and new is not None and new.dtype != old.dtype:
                self._buffers[name] = old.to(new.device)
        return self

    def extra_repr(self) -> str:
        size = self.table.numel() * self.table.element_size()
        kind = str(self.table.dtype).removeprefix("torch.")
        return (
            f"{self.num_embeddings}, {self.bias.shape[1]}, kernel_sizes={tuple(self.kernel_sizes)}, "
            f"rows={self.table.shape[0]}, bytes={size:,}, dtype={kind!r}, "
            f"padding={self.padding!r}, activation={self.activation!r}"
        )


def _resolve_dtype(dtype: str | torch.dtype) -> torch.dtype:
    kind = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if kind not in DTYPES.values():
        names = ", ".join(repr(name) for name in DTYPES)
        raise ValueError(f"dtype must be one of {names}, got {dtype!r}")
    assert isinstance(kind, torch.dtype)
    return kind


def check_limit(memory_limit: Any) -> int:
    """Return a number of bytes, checked."""
    try:
        limit = operator.index(memory_limit)
    except TypeError:
        raise TypeError(
            f"memory_limit must be a number of bytes or None, got {type(memory_limit).__name__} {memory_limit!r}"
        ) from None
    if limit < 0:
        raise ValueError(f"memory_limit must be at least 0 bytes, got {limit}")
    return limit


def _complete(order: Tensor, V: int) -> Tensor:
    """All V ids, those of ``order`` in front."""
    if order.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"order must be int64, got {order.dtype}")
    if order.dim() != 1:
        raise ValueError(f"order must have shape [ids], got {list(order.shape)}")
    order = order.long()
    if order.numel() and not 0 <= int(order.min()) <= int(order.max()) < V:
        raise IndexError(f"order must hold ids in [0, V) = [0, {V}), got {int(order.min())} to {int(order.max())}")
    listed = torch.zeros(V, dtype=torch.bool, device=order.device)
    listed[order] = True
    if int(listed.sum()) != order.numel():
        raise ValueError(f"order must hold each id at most once, got {order.numel()} ids, {int(listed.sum())} distinct")
    return torch.cat([order, (~listed).nonzero()[:, 0]])
