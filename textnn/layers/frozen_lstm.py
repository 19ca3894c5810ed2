"""Inference with an LSTM whose weights do not change any more: products of 8-bit integers.

    LSTM           --freeze("int8")-->  FrozenLSTM            weights rounded once, a scale for each row
    EmbeddingLSTM  --freeze("int8")-->  FrozenEmbeddingLSTM   its table as it is, then a FrozenLSTM

Inputs and states are rounded as they come; gates, cell state and outputs are float32. See
:func:`textnn.functional.quantized_lstm`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .. import functional
from ..functional.sizes import Sizes
from .base import Unscriptable
from .sequences import States, take_apart, take_ids

if TYPE_CHECKING:
    from .embedding_recurrent import EmbeddingLSTM
    from .recurrent import LSTM

UNITS, GROUP = 16, 4  # units of a panel, values of a row that stand together: csrc/cpu/quantized_lstm.h


def quantize_weights(
    w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Round the weights of one layer and direction to 8 bits.

    Parameters
    ----------
    w_ih, w_hh : Tensor [4H, I] and [4H, H]
    b_ih, b_hh : Tensor [4H], optional

    Returns
    -------
    weight, scale, sum, bias : Tensor
        What :func:`textnn.functional.quantized_lstm` takes.

    Raises
    ------
    ValueError
        If a weight is not finite.
    """
    rows, H = w_hh.shape
    panels = -(-H // UNITS)
    integers, scales = [], []
    for name, w in (("w_ih", w_ih.float()), ("w_hh", w_hh.float())):
        if not w.isfinite().all():
            raise ValueError(f"dtype int8 needs finite weights, but {name} has others")
        largest = w.abs().amax(dim=1) if w.shape[1] else w.new_zeros(rows)
        scale = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
        integers.append((w / scale[:, None]).round_().to(torch.int8))
        scales.append(scale)
    parts = []
    for q in integers:
        groups = -(-q.shape[1] // GROUP)
        whole = q.new_zeros(4, panels * UNITS, groups * GROUP)
        whole[:, :H, : q.shape[1]] = q.view(4, H, -1)
        parts.append(whole.view(4, panels, UNITS, groups, GROUP).permute(1, 3, 0, 2, 4))
    bias = w_ih.new_zeros(rows, dtype=torch.float32)
    for b in (b_ih, b_hh):
        bias = bias if b is None else bias + b.float()
    sums = torch.stack([q.sum(dim=1, dtype=torch.int32) for q in integers])
    return torch.cat(parts, dim=1).contiguous(), torch.stack(scales), sums, bias


class FrozenLSTM(Unscriptable):
    """The inference form of :class:`LSTM`, which makes it: ``layer.freeze("int8")``.

    Made directly it has the right shapes and no values, for ``load_state_dict``.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int, default=1
    batch_first : bool, default=False
    bidirectional : bool, default=False

    Notes
    -----
    Buffers for each layer and direction, named as the parameters of ``torch.nn.LSTM``: ``weight_l0`` int8, ``scale_l0``
    [2, 4H], ``sum_l0`` [2, 4H] int32 and ``bias_l0`` [4H], ``_reverse`` behind them for the second direction.

    Examples
    --------
    >>> lstm, x = textnn.LSTM(4, 3), torch.randn(5, 2, 4)
    >>> frozen = lstm.freeze("int8")
    >>> with torch.no_grad():
    ...     bool((frozen(x)[0] - lstm(x)[0]).abs().max() < 0.05)
    True
    """

    has_cell, proj_size = True, 0

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.bidirectional = batch_first, bidirectional
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * len(self._suffixes)
            for suffix in self._suffixes:
                empty = quantize_weights(torch.zeros(4 * hidden_size, width), torch.zeros(4 * hidden_size, hidden_size))
                self._set(layer, suffix, empty)

    @property
    def _suffixes(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def _set(self, layer: int, suffix: str, values: tuple[Tensor, ...]) -> None:
        for name, value in zip(("weight", "scale", "sum", "bias"), values, strict=True):
            self.register_buffer(f"{name}_l{layer}{suffix}", value)

    @classmethod
    @torch.no_grad()
    def of(cls, layer: LSTM) -> FrozenLSTM:
        """Round the weights of a layer; see :meth:`LSTM.freeze`."""
        if layer.proj_size:
            raise ValueError(f"a layer with proj_size cannot be frozen in int8, got proj_size={layer.proj_size}")
        frozen = cls(layer.input_size, layer.hidden_size, layer.num_layers, layer.batch_first, layer.bidirectional)
        for number in range(layer.num_layers):
            for suffix in frozen._suffixes:
                frozen._set(number, suffix, quantize_weights(*layer._weights(number, suffix)[:4]))
        return frozen.eval()

    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002
        hx: tuple[Tensor, Tensor] | None = None,
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
        outputs: bool = True,
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, Tensor]]:
        """Run all layers and directions; arguments, results and errors are those of :meth:`LSTM.forward`.

        Raises
        ------
        RuntimeError
            If a gradient would be needed.
        """
        batch = take_apart(self, input, hx, lengths, offsets, outputs, None)
        return batch.restore(*self.run(batch.data, batch.states, outputs, **batch.sizes))

    def run(self, x: Tensor, hx: States, outputs: bool, **ragged: Any) -> tuple[Tensor, States]:
        """Run all layers on a ragged batch."""
        h_n: list[Tensor] = []
        c_n: list[Tensor] = []
        for layer in range(self.num_layers):
            ragged["outputs"] = outputs or layer + 1 < self.num_layers
            parts = []
            for suffix in self._suffixes:
                weights = [getattr(self, f"{name}_l{layer}{suffix}") for name in ("weight", "scale", "sum", "bias")]
                states, reverse = (hx[0][len(h_n)], hx[1][len(h_n)]), bool(suffix)
                y, h, c = functional.quantized_lstm(x, *states, *weights, reverse=reverse, **ragged)
                parts.append(y)
                h_n.append(h)
                c_n.append(c)
            x = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return x, (torch.stack(h_n), torch.stack(c_n))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FrozenLSTM:
        """Move the buffers; their dtypes stay."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, old in before.items():
            new = self._buffers[name]
            if old is not None and new is not None and new.dtype != old.dtype:
                self._buffers[name] = old.to(new.device)
        return self

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, batch_first={self.batch_first}, "
            f"bidirectional={self.bidirectional}, dtype='int8'"
        )


class FrozenEmbeddingLSTM(Unscriptable):
    """The inference form of :class:`EmbeddingLSTM`, which makes it: ``layer.freeze(dtype="int8")``.

    Parameters
    ----------
    table : Tensor [V, D]
    lstm : FrozenLSTM

    Examples
    --------
    >>> frozen = textnn.EmbeddingLSTM(1000, 16, 8).freeze()
    >>> steps, (h, c) = frozen(torch.tensor([4, 7, 7, 9, 2]), offsets=[0, 3])
    >>> steps.shape
    torch.Size([5, 8])
    """

    def __init__(self, table: Tensor, lstm: FrozenLSTM) -> None:
        super().__init__()
        self.register_buffer("weight", table)
        self.lstm = lstm

    weight: Tensor

    @classmethod
    def of(cls, layer: EmbeddingLSTM) -> FrozenEmbeddingLSTM:
        """Round the weights of a layer; see :meth:`EmbeddingLSTM.freeze`."""
        table = layer.weight.detach().clone()
        return cls(table.float() if table.dtype == torch.float64 else table, FrozenLSTM.of(layer.lstm)).eval()

    def forward(
        self,
        ids: Tensor,
        hx: tuple[Tensor, Tensor] | None = None,
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
        outputs: bool = True,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Look up and run a batch; arguments, results and errors are those of :meth:`EmbeddingLSTM.forward`."""
        batch = take_ids(self.lstm, ids, hx, lengths, offsets, outputs, self.weight)
        x = functional.embedding(batch.data, self.weight)
        return batch.restore(*self.lstm.run(x, batch.states, outputs, **batch.sizes))
