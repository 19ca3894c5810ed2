"""textnn's layers by torch.nn alone, on padded batches: what exporters understand, and machines without textnn.

    ids [B, L], lengths [B] -> Embedding -> Conv1d, activation, maximum of the windows inside    (EmbeddingTextConv)
                                         -> nn.LSTM, GRU or RNN, each sequence to its own end    (EmbeddingLSTM, ..)
                            -> rows of a table, added up to windows -> maximum, activation       (FrozenTextConv)
                            -> hash by int64 arithmetic -> rows of a table, added up             (NgramBag)

Each class but that of tables derives from a layer of textnn's, or stands where one stood, and has its parameters under
the same names: :func:`to_torch_nn` changes nothing but classes. They are written for exporting: shapes may change from
call to call, nothing depends on data in Python, padding never counts. Flat batches have no such form, so they are
refused.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any, TypeGuard, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textnn import layers
from textnn.export.positions import convolve_positions
from textnn.export.recurrence import run_layer
from textnn.functional.sizes import Sizes, size_tensors
from textnn.layers.embedding_recurrent import EmbeddingRecurrent
from textnn.models import base

M = TypeVar("M", bound=nn.Module)

_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda x: x}

_INT64, _UINT64 = 7, 13  # as ONNX numbers its types


class _Recurrent(nn.RNNBase):
    """A recurrent layer of torch.nn's that also takes the lengths of a padded batch, as those of textnn do.

    It can be exported with any number of sequences and steps: by :func:`torch.onnx.export`, and by
    :func:`textnn.export.export_program`.
    """

    def forward(
        self,
        input: Any,  # noqa: A002  # torch.nn's name
        hx: Any = None,
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
        outputs: bool = True,
        return_cells: bool = False,
    ) -> tuple[Any, Any]:
        """Run all layers and directions; see :meth:`textnn.LSTM.forward`.

        Where a program of torch's is exported with ``lengths``, there is None in the place of ``c_n``: torch.nn has
        cell states at the end of the padding only.

        Raises
        ------
        ValueError
            If ``offsets`` are given, or a nested tensor, or for ``return_cells``.
        RuntimeError, ValueError
            As torch.nn's layers do.
        """
        lengths, offsets = size_tensors(lengths, offsets)
        _check_padded(offsets, input)
        if return_cells:
            raise ValueError("return_cells: expected False, as layers of torch.nn have final cell states alone")
        y, states = run_layer(self, super().forward, input, hx, lengths)
        return (y if outputs else y.new_zeros(0)), states


class LSTM(_Recurrent, nn.LSTM):
    """``torch.nn.LSTM`` with lengths."""


class GRU(_Recurrent, nn.GRU):
    """``torch.nn.GRU`` with lengths."""


class RNN(_Recurrent, nn.RNN):
    """``torch.nn.RNN`` with lengths."""


class TextConv(layers.TextConv):
    """:class:`textnn.TextConv` by ``nn.Conv1d``."""

    def forward(self, x: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Any:
        """Convolve x [B, L, D] -> [B, C * len(kernel_sizes)]; ValueError if ``offsets`` are given."""
        lengths, offsets = size_tensors(lengths, offsets)
        _check_padded(offsets)
        return _convolve(self, x, lengths)


class EmbeddingTextConv(layers.EmbeddingTextConv):
    """:class:`textnn.EmbeddingTextConv` by ``F.embedding`` and ``nn.Conv1d``."""

    def forward(self, ids: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Any:
        """Look up and convolve ids [B, L] -> [B, C * len(kernel_sizes)]; ValueError if ``offsets`` are given."""
        lengths, offsets = size_tensors(lengths, offsets)
        _check_padded(offsets)
        return _convolve(self, F.embedding(ids, self.weight), lengths)


class FrozenTextConv(nn.Module):
    """:class:`textnn.layers.FrozenTextConv` by ``F.embedding_bag``; in ONNX by a ``Gather`` for each tap, and sums.

    Two more tokens stand behind the V of the layer: one of zeros, V, for what a kernel reads around a sentence, and one
    of -inf, V + 1, for what no window may reach. A window that does is never the maximum, so that no mask has to pass
    over the sums.

    Parameters
    ----------
    layer : textnn.layers.FrozenTextConv
        With all rows in its table, which is of floating-point numbers.

    Notes
    -----
    Buffers: ``table`` [(V + 2) * sum of K, C], the taps of a token one below the other; ``bias`` [S * C].
    """

    def __init__(self, layer: layers.FrozenTextConv) -> None:
        super().__init__()
        self.num_embeddings, self.kernel_sizes = layer.num_embeddings, layer.kernel_sizes
        self.padding, self.activation = layer.padding, layer.activation
        table = layer.table[:, :, : layer.bias.shape[1]]
        zeros = table.new_zeros(1, *table.shape[1:])
        self.register_buffer("table", torch.cat([table, zeros, zeros - float("inf")]).flatten(0, 1))
        self.register_buffer("bias", layer.bias.flatten())

    table: Tensor
    bias: Tensor

    def forward(self, ids: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Tensor:
        """Look up ids [B, L] -> [B, C * len(kernel_sizes)]; ValueError if ``offsets`` are given."""
        lengths, offsets = size_tensors(lengths, offsets)
        _check_padded(offsets)
        if ids.shape[1] == 0:
            ids = F.pad(ids, (0, 1))  # no token at all makes a window too
            lengths = ids.new_zeros(ids.shape[0])
        L, taps, most, same = ids.shape[1], sum(self.kernel_sizes), max(self.kernel_sizes), self.padding == "same"
        zeros, outside = self.num_embeddings * taps, (self.num_embeddings + 1) * taps  # where these tokens' rows begin
        ends = (ids.new_full((ids.shape[0],), L) if lengths is None else lengths)[:, None]
        rows = torch.where(torch.arange(L, device=ids.device) < ends, ids.long() * taps, zeros)
        before = (most - 1) // 2 if same else 0  # in front of a sentence, for all sizes
        rows = F.pad(rows, (before, most - 1 - before), value=zeros)  # [B, L + most - 1]
        at = torch.arange(L + most - 1, device=ids.device)
        tops, tap = [], 0
        for K in self.kernel_sizes:
            first = before - (K - 1) // 2 if same else 0
            windows = (ends if same else ends - (K - 1)).clamp(min=1)
            own = torch.where(at < windows + (first + K - 1), rows, outside)
            tops.append(self._sum([own[:, first + k : first + k + L] + (tap + k) for k in range(K)]).amax(dim=1))
            tap += K
        # All activations rise, so the maximum can be taken before.
        features: Tensor = _ACTIVATIONS[self.activation](torch.cat(tops, dim=1) + self.bias.to(self.table.dtype))
        return features.to(self.bias.dtype)

    def _sum(self, rows: list[Tensor]) -> Tensor:
        """Add up the rows of each window, a tap of them in each of the tensors [B, L] -> [B, L, C]."""
        if torch.onnx.is_in_onnx_export():
            return functools.reduce(torch.add, (F.embedding(row, self.table) for row in rows))
        bags = torch.stack(rows, dim=2)  # [B, L, K]
        return F.embedding_bag(bags.flatten(0, 1), self.table, mode="sum").view(*bags.shape[:2], -1)


class _EmbeddingRecurrent(EmbeddingRecurrent):
    """``F.embedding``, and a recurrent layer of torch.nn's."""

    def forward(
        self,
        ids: Tensor,
        hx: Any = None,
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
        outputs: bool = True,
        return_cells: bool = False,
    ) -> Any:
        """Look up and run ids [B, L]; see :class:`LSTM` for what comes back, and for the errors raised."""
        _check_padded(None, ids)
        return self._layer()(F.embedding(ids, self.weight), hx, lengths, offsets, outputs, return_cells)


class EmbeddingLSTM(_EmbeddingRecurrent, layers.EmbeddingLSTM):
    """:class:`textnn.EmbeddingLSTM` by ``F.embedding`` and ``nn.LSTM``."""


class EmbeddingGRU(_EmbeddingRecurrent, layers.EmbeddingGRU):
    """:class:`textnn.EmbeddingGRU` by ``F.embedding`` and ``nn.GRU``."""


class EmbeddingRNN(_EmbeddingRecurrent, layers.EmbeddingRNN):
    """:class:`textnn.EmbeddingRNN` by ``F.embedding`` and ``nn.RNN``."""


class NgramBag(layers.NgramBag):
    """:class:`textnn.NgramBag` by integer arithmetic and ``F.embedding``."""

    def sums(self, ids: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> tuple[Tensor, Tensor]:
        """Sum the weights of the n-grams of ids [B, L] -> [B, D], squares [B]; ValueError if ``offsets`` are given."""
        lengths, offsets = size_tensors(lengths, offsets)
        _check_padded(offsets)
        lengths = ids.new_full((ids.shape[0],), ids.shape[1]) if lengths is None else lengths
        rows = hash_ngrams(ids, lengths, self.sizes, self.num_embeddings).flatten(1)  # [B, L * S]
        if not self.weighted:
            count = (lengths[:, None] - (lengths.new_tensor(self.sizes) - 1)).clamp(min=0).sum(dim=1)
            return F.embedding(rows, self.weight).sum(dim=1), count.to(self.weight.dtype)
        rows = rows.sort(dim=1).values  # repeated ones are neighbours
        factors = F.embedding(rows, self.importance[:, None])
        factors = factors.masked_fill((rows == F.pad(rows, (1, 0))[:, :-1])[:, :, None], 0.0)
        return (F.embedding(rows, self.weight) * factors).sum(dim=1), (factors * factors).sum(dim=(1, 2))


def _convolve(layer: TextConv | EmbeddingTextConv, x: Tensor, lengths: Tensor | None) -> Any:
    if layer.pooling is None:
        return convolve_positions(x, lengths, layer)
    return convolve(x, lengths, layer.convs, str(layer.padding), layer.activation)


def convolve(x: Tensor, lengths: Tensor | None, convs: nn.ModuleList, padding: str, activation: str) -> Tensor:
    """Convolve, activate, take the maximum over time; see :func:`textnn.functional.text_conv`.

    Parameters
    ----------
    x : Tensor [B, L, D]
    lengths : Tensor int64 [B] or None
        None: all L tokens count.
    convs : ModuleList of ``nn.Conv1d``
        Each makes C channels.
    padding, activation
        As in :class:`textnn.TextConv`.

    Returns
    -------
    Tensor [B, C * len(convs)]
    """
    B, L, _ = x.shape
    lengths = torch.full((B,), L, device=x.device) if lengths is None else lengths
    at = torch.arange(L, device=x.device)
    x = x.masked_fill((at >= lengths[:, None])[:, :, None], 0.0).transpose(1, 2)  # [B, D, L]
    sizes = [int(conv.kernel_size[0]) for conv in convs]  # type: ignore[index]
    # Zeros around that all sizes share; so many behind that even no token at all makes a window.
    before = (max(sizes) - 1) // 2 if padding == "same" else 0
    x = F.pad(x, (before, max(sizes) - before))  # [B, D, L + max(sizes)]
    features = []
    for conv, K in zip(convs, sizes, strict=True):
        z = conv(x)  # [B, C, L + max(sizes) - K + 1]
        first = before - (K - 1) // 2 if padding == "same" else 0
        windows = (lengths if padding == "same" else lengths - (K - 1)).clamp(min=1)
        at = torch.arange(L + max(sizes) - K + 1, device=x.device)
        outside = (at >= first + windows[:, None]) | (at < first)
        # onnxruntime adds 0 or -inf in a fraction of the time that it takes to choose between two values.
        mask = z.new_zeros(()).masked_fill(outside, float("-inf"))
        # All activations rise, so the maximum can be taken before.
        top = (z + mask[:, None]).amax(dim=2)
        features.append(_ACTIVATIONS[activation](top))
    return torch.cat(features, dim=1)


def hash_ngrams(ids: Tensor, lengths: Tensor, sizes: Sequence[int], buckets: int) -> Tensor:
    """Number the n-grams of padded ids; see :func:`textnn.functional.hash_ngrams`, which gives the same numbers.

    Parameters
    ----------
    ids : Tensor int64 [B, L]
    lengths : Tensor int64 [B]
    sizes, buckets
        As there.

    Returns
    -------
    Tensor int64 [B, L, S]
    """
    ids, L, longest = ids.long(), ids.shape[1], max(sizes)
    following = F.pad(ids, (0, longest - 1))
    h: Any = 0x243F6A8885A308D3
    hashes: dict[int, Tensor] = {}
    for n in range(1, longest + 1):  # int64 products wrap around
        h = (following[:, n - 1 : n - 1 + L] ^ h) * (0x9E3779B97F4A7C15 - 2**64)
        h = hashes[n] = h ^ _upper_half(h)
    h = torch.stack([hashes[n] for n in sizes], dim=2)
    numbers = 1 + _upper_half(_upper_half(h * (0xD6E8FEB86659FD93 - 2**64)) * (buckets - 1))
    left = lengths[:, None] - torch.arange(L, device=ids.device)
    return numbers.masked_fill(left[:, :, None] < ids.new_tensor(sizes), 0)


def _upper_half(h: Tensor) -> Tensor:
    """Return the upper 32 bits of each int64."""
    if not torch.onnx.is_in_onnx_export():
        return (h >> 32) & 0xFFFFFFFF  # the mask makes of it the shift of an unsigned number
    # ONNX shifts unsigned numbers only: torch would export eight operators for the line above.
    shift = torch.tensor(32, dtype=torch.uint64)
    bits = torch.onnx.ops.symbolic("Cast", [h], {"to": _UINT64}, dtype=torch.uint64, shape=h.shape)
    bits = torch.onnx.ops.symbolic("BitShift", [bits, shift], {"direction": "RIGHT"}, dtype=torch.uint64, shape=h.shape)
    return torch.onnx.ops.symbolic("Cast", [bits], {"to": _INT64}, dtype=torch.int64, shape=h.shape)


def max_mean_pool(x: Tensor, lengths: Tensor) -> Tensor:
    """Take maximum and mean over time of x [B, L, D] -> [B, 2 D]; see :func:`textnn.functional.max_mean_pool`."""
    outside = (torch.arange(x.shape[1], device=x.device) >= lengths[:, None])[:, :, None]
    mean = x.masked_fill(outside, 0.0).sum(dim=1) / lengths.clamp(min=1)[:, None].to(x.dtype)
    top = x.masked_fill(outside, float("-inf")).amax(dim=1).masked_fill(lengths[:, None] == 0, 0.0)
    return torch.cat([top, mean], dim=1)


class MaxMeanPool(nn.Module):
    """Maximum and mean over time of padded batches."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Pool x [B, T, F] -> [B, 2 F]."""
        return max_mean_pool(x, lengths)


def _check_padded(offsets: Tensor | None, x: Any = None) -> None:
    if offsets is not None:
        raise ValueError("offsets: expected None, as flat batches cannot be exported; give padded input and lengths")
    if isinstance(x, Tensor) and x.is_nested:
        raise ValueError("input: nested tensors cannot be exported; give padded input and lengths")


_PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    layers.LSTM: LSTM,
    layers.GRU: GRU,
    layers.RNN: RNN,
    layers.LSTMCell: nn.LSTMCell,
    layers.GRUCell: nn.GRUCell,
    layers.RNNCell: nn.RNNCell,
    layers.TextConv: TextConv,
    layers.EmbeddingTextConv: EmbeddingTextConv,
    layers.EmbeddingLSTM: EmbeddingLSTM,
    layers.EmbeddingGRU: EmbeddingGRU,
    layers.EmbeddingRNN: EmbeddingRNN,
    layers.NgramBag: NgramBag,
    base.MaxMeanPool: MaxMeanPool,
    base.Embedding: nn.Embedding,
}


def to_torch_nn(module: M) -> M:
    """Return a model in which torch.nn's operators do the work of textnn's layers; the reverse of ``accelerate``.

    Every ``LSTM``, ``GRU``, ``RNN``, cell of theirs, ``TextConv``, ``NgramBag``, ``EmbeddingLSTM``, ``EmbeddingGRU``,
    ``EmbeddingRNN`` and ``EmbeddingTextConv`` inside becomes one with the same arguments and results, and no operator
    of textnn's, so that the model can be exported to where textnn is not. Flat batches (``offsets``) and nested tensors
    have no such form: the model has to give ``lengths`` in their place. Nor have ``weight_dropout`` and ``variational``
    dropout, which count in training only: the results in evaluation mode are the same.

    So does what ``EmbeddingTextConv.freeze()`` returned. Sums of rows of its table take the place of the convolution:
    a program that is larger, and several times as quick.

    Parameters
    ----------
    module : nn.Module
        A model, or one of these layers. It stays as it is.

    Returns
    -------
    nn.Module
        A copy, in the same mode, that shares parameters and buffers with the model; tables are copied.

    Raises
    ------
    TypeError
        If ``module`` is not an ``nn.Module``.
    ValueError
        If a part of it is frozen in integers, or to a table without all rows, or of a class derived from one of these
        layers, whose code may not be replaced.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected an nn.Module, got {type(module).__name__}")
    # What a copy's memo holds is taken in the place of a copy.
    memo: dict[int, Any] = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
    memo |= {id(part): FrozenTextConv(part).train(part.training) for part in module.modules() if _is_whole(part)}
    plain = copy.deepcopy(module, memo)
    for name, part in plain.named_modules():
        if (kind := _PLAIN.get(type(part))) is not None:
            part.__class__ = kind
        elif isinstance(part, _TEXTNN) and type(part) not in _PLAIN.values():
            hint = "; freeze it in its own dtype without a memory_limit" * (type(part) is layers.FrozenTextConv)
            raise ValueError(f"module: {name or 'it'} is a {type(part).__name__}, which has no form of torch.nn{hint}")
    return plain


def _is_whole(part: nn.Module) -> TypeGuard[layers.FrozenTextConv]:
    return type(part) is layers.FrozenTextConv and part.rest is None and part.table.is_floating_point()


_TEXTNN = (
    *_PLAIN,
    layers.FrozenTextConv,
    layers.FrozenLSTM,
    layers.FrozenEmbeddingLSTM,
    layers.FrozenRecurrent,
)
