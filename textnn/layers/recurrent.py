"""LSTM, GRU and RNN with the constructors, parameters, arguments and results of torch.nn.

    input -- sequences.take_apart --> a ragged batch -- functional.recurrent, once a layer --> outputs, states

The layers derive from the base class of torch.nn's own, not from ``nn.LSTM``: torch.compile refuses an ``nn.LSTM``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .. import functional
from ..functional.sizes import Sizes
from .base import Layer
from .frozen_recurrent import Freezable, FrozenRecurrent
from .plain import for_script, run_instead
from .sequences import Sequences, States, take_apart
from .step import take_step

if TYPE_CHECKING:
    from .frozen_lstm import FrozenLSTM


class Recurrent(Layer, nn.RNNBase):
    """Base class of the recurrent layers."""

    has_cell: ClassVar[bool] = False
    # Of layers that were torch.nn's before accelerate(), too.
    weight_dropout: float = 0.0
    variational: bool = False

    def __init__(
        self, mode: str, *args: Any, weight_dropout: float = 0.0, variational: bool = False, **kwargs: Any
    ) -> None:
        if not 0 <= weight_dropout <= 1:
            raise ValueError(f"weight_dropout must lie between 0 and 1, got {weight_dropout}")
        super().__init__(mode, *args, **kwargs)
        self.weight_dropout, self.variational = weight_dropout, variational

    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002  # torch.nn's name
        hx: Any = None,
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
        outputs: bool = True,
        return_cells: bool = False,
    ) -> Any:
        """Run all layers and directions.

        Parameters
        ----------
        input : Tensor or PackedSequence
            [T, B, I], or [B, T, I] with ``batch_first``; [T, I] unbatched; [N, I] with ``offsets``; or a nested tensor
            with the layout ``torch.jagged``, [B, *, I].
        hx : Tensor or tuple of Tensor, optional
            The initial states h0 [layers * directions, B, H], without B for unbatched input; zeros by default. Of an
            LSTM two, h0 [.., P] and c0 [.., H].
        lengths : Tensor int64 [B] or sequence of int, optional
            How many steps each sequence of a padded input has, in any order.
        offsets : Tensor int64 [B] or sequence of int, optional
            Where each sequence of a flat input begins.
        outputs : bool, default=True
            Whether the outputs of the last layer are wanted. With False they are not even stored: for models that go
            on from the final states, which are the outputs at each sequence's own end.
        return_cells : bool, default=False
            Whether the cell states of all steps are wanted, of an LSTM.

        Returns
        -------
        output : Tensor or PackedSequence
            As the input, with H * directions (P * directions) in the place of I; zero at padding. A Tensor [0] without
            ``outputs``.
        h_n : Tensor, or (h_n, c_n)
            Final states, shaped as hx, at each sequence's own last step.
        cells : tuple of Tensor or PackedSequence
            With ``return_cells`` alone: of each layer, the lowest first, the cell state after each step, in the form of
            ``output`` with H * directions in its last dimension, whether or not there is a projection. Gradients flow
            through them.

        Raises
        ------
        ValueError, RuntimeError
            As torch.nn's layers do; ValueError for lengths or offsets that do not fit, or for ``return_cells`` of a
            layer that has no cell state.
        """
        options = {"lengths": lengths, "offsets": offsets, "outputs": outputs, "return_cells": return_cells}
        if (instead := run_instead(self, Recurrent.forward, input, hx, **options)) is not None:
            return instead
        batch = take_apart(self, input, hx, lengths, offsets, outputs, cast(Tensor, self.weight_ih_l0))
        return self.run(batch, outputs, return_cells)

    def step(self, x: Tensor, state: Any = None) -> Any:
        """Take one step of each sequence through all layers, for generation: ``forward`` on an input of one step.

        Parameters
        ----------
        x : Tensor [B, I]
        state : Tensor or tuple of Tensor, optional
            As ``hx`` of ``forward``: h [layers, B, H], and of an LSTM c; zeros by default.

        Returns
        -------
        y : Tensor [B, H]
            The output of the last layer; [B, P] with a projection.
        state
            The states after the step, for the next one.

        Raises
        ------
        ValueError
            If the layer is bidirectional, or for another dtype than that of the weights.
        RuntimeError
            If sizes do not fit.

        Notes
        -----
        Without gradients on the CPU, in float32 and float64, all layers are one call of one kernel, which reads the
        weights where they are (:func:`textnn.functional.recurrent_step`). Elsewhere ``forward`` runs.

        Examples
        --------
        >>> lstm, x = textnn.LSTM(4, 3, num_layers=2), torch.randn(5, 2, 4)
        >>> state = None
        >>> for now in x:
        ...     y, state = lstm.step(now, state)
        >>> torch.allclose(y, lstm(x)[0][-1], atol=1e-6)
        True
        """
        return take_step(self, x, state, None, self)

    def _step_forward(self, x: Tensor, state: Any) -> Any:
        time = 1 if self.batch_first else 0
        y, state = self(x.unsqueeze(time), state)
        return y.squeeze(time), state

    def run(
        self, batch: Sequences, outputs: bool, return_cells: bool = False, table: dict[str, Any] | None = None
    ) -> Any:
        """Run all layers on a batch, and give results its form; with ``table``, the lowest layer on token ids."""
        if return_cells and not self.has_cell:
            raise ValueError(f"return_cells must be False for {type(self).__name__}, which has no cell state")
        x, states, sizes = batch.data, batch.states, batch.sizes
        D = 2 if self.bidirectional else 1
        finals: list[States] = []
        cells: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0 and self.training:
                x = self._drop(x, states[0].shape[1], sizes)
            h0, *c0 = (state[layer * D : (layer + 1) * D] for state in states)
            wanted = outputs or layer + 1 < self.num_layers
            source = table if layer == 0 and table is not None else {}
            x, h, c, *steps = functional.recurrent(
                self.mode.lower(),
                x,
                h0,
                c0[0] if c0 else None,
                self._directions(layer),
                outputs=wanted,
                cells=return_cells,
                **source,
                **sizes,
            )
            finals.append((h,) if c is None else (h, c))
            cells += steps
        final = finals[0]
        if self.num_layers > 1:
            final = tuple(torch.cat(state) for state in zip(*finals, strict=True))
        results = batch.restore(x, final)
        return (*results, tuple(map(batch.form, cells))) if return_cells else results

    def _directions(self, layer: int) -> list[list[Any]]:
        """w_ih, w_hh, b_ih, b_hh, w_hr of each direction; None for those that the layer does not have."""
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        directions = [self._weights(layer, suffix) for suffix in suffixes]
        if self.weight_dropout and self.training:
            for weights in directions:
                weights[1] = F.dropout(weights[1], self.weight_dropout)
        return directions

    def _weights(self, layer: int, suffix: str) -> list[Any]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        weights = [getattr(self, f"{name}_l{layer}{suffix}", None) for name in names]
        return weights if self.has_cell else weights[:4]

    def _drop(self, x: Tensor, B: int, sizes: dict[str, Any]) -> Tensor:
        """Dropout of what goes into a layer: for each value, or the same units at all steps of a sequence."""
        if not self.variational:
            return F.dropout(x, self.dropout)
        mask = F.dropout(x.new_ones(B, x.shape[-1]), self.dropout)
        if (offsets := sizes.get("offsets")) is not None:
            ends = torch.cat([offsets, offsets.new_full((1,), x.shape[0])])[1:]
            lengths = (ends - offsets).to(x.device)
            return x * mask.repeat_interleave(lengths, dim=0, output_size=x.shape[0])
        if (batch_sizes := sizes.get("batch_sizes")) is not None:
            starts = (batch_sizes.cumsum(0) - batch_sizes).repeat_interleave(batch_sizes, output_size=x.shape[0])
            return x * mask[(torch.arange(x.shape[0], device=starts.device) - starts).to(x.device)]
        return x * mask.unsqueeze(1 if sizes["batch_first"] else 0)

    def __prepare_scriptable__(self) -> nn.Module:
        return for_script(self)

    def extra_repr(self) -> str:
        added = f", weight_dropout={self.weight_dropout}" if self.weight_dropout else ""
        return super().extra_repr() + added + (", variational=True" if self.variational else "")


class LSTM(Recurrent):
    """A multi-layer LSTM; everything that ``torch.nn.LSTM`` takes, with the same results.

    Besides, ``forward`` takes the lengths of padded input, the offsets of flat input, or a jagged nested tensor, and
    does no work for padding.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int, default=1
    bias : bool, default=True
    batch_first : bool, default=False
        Whether padded input and output are [B, T, ...] instead of [T, B, ...].
    dropout : float, default=0.0
        Between layers, in training.
    bidirectional : bool, default=False
    proj_size : int, default=0
        If positive, the output state is projected to this size P.
    weight_dropout : float, default=0.0, by keyword
        Probability with which each weight of W_hh is dropped in training, drawn anew at each call; the others are
        scaled by 1 / (1 - p) (Merity et al. 2018, DropConnect).
    variational : bool, default=False, by keyword
        Whether the dropout between layers leaves out the same units at all steps of a sequence (Gal and Ghahramani
        2016).
    device, dtype : optional

    Raises
    ------
    ValueError, TypeError
        As ``torch.nn.LSTM`` does; ValueError for a ``weight_dropout`` outside of 0 to 1.

    Notes
    -----
    Parameters have the names and shapes of ``torch.nn.LSTM``, so a ``state_dict`` loads both ways.

    Examples
    --------
    >>> lstm = textnn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
    >>> output, (h, c) = lstm(torch.randn(2, 5, 4), lengths=[5, 2])
    >>> output.shape, h.shape, bool(output[1, 2:].any())
    (torch.Size([2, 5, 6]), torch.Size([4, 2, 3]), False)
    >>> output, (h, c), cells = lstm(torch.randn(7, 4), offsets=[0, 5], return_cells=True)
    >>> output.shape, len(cells), bool(cells[1][4, :3].equal(c[2, 0]))
    (torch.Size([7, 6]), 2, True)
    """

    has_cell = True
    # Of nn.LSTM, for programs that call them.
    get_expected_cell_size: Any = nn.LSTM.get_expected_cell_size
    check_forward_args: Any = nn.LSTM.check_forward_args
    permute_hidden: Any = nn.LSTM.permute_hidden

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def freeze(self, dtype: str = "int8") -> FrozenLSTM | FrozenRecurrent:
        """Return a module for inference only with products of fewer bits; this layer stays as it is.

        In int8 each row of the weights is rounded to 127 steps of either sign, inputs and states are rounded to as many
        as they come. Where the CPU multiplies bytes (:func:`textnn.backends.has_dot_products`) this is
        faster than float32, at the cost of some accuracy; elsewhere it only takes less memory. bfloat16 is
        :meth:`GRU.freeze`'s: it is more accurate, and as fast for batches where a layer has few units.

        Parameters
        ----------
        dtype : {"int8", "bfloat16"}

        Returns
        -------
        FrozenLSTM or FrozenRecurrent

        Raises
        ------
        ValueError
            For another dtype; in int8 for a layer with ``proj_size``, or weights that are not finite; in bfloat16 for
            weights that are not in float32.
        """
        from .frozen_lstm import FrozenLSTM

        if dtype not in ("int8", "bfloat16"):
            hint = "in its own dtype an LSTM has nothing to freeze"
            raise ValueError(f"dtype must be 'int8' or 'bfloat16', got {dtype!r}: {hint}")
        return FrozenLSTM.of(self) if dtype == "int8" else FrozenRecurrent(self)


class GRU(Freezable, Recurrent):
    """A multi-layer GRU; everything that ``torch.nn.GRU`` takes, with the same results.

    Besides, ``forward`` takes the lengths of padded input, the offsets of flat input, or a jagged nested tensor, and
    does no work for padding.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int, default=1
    bias : bool, default=True
    batch_first : bool, default=False
        Whether padded input and output are [B, T, ...] instead of [T, B, ...].
    dropout : float, default=0.0
        Between layers, in training.
    bidirectional : bool, default=False
    weight_dropout : float, default=0.0, by keyword
        Probability with which each weight of W_hh is dropped in training, drawn anew at each call; the others are
        scaled by 1 / (1 - p) (Merity et al. 2018, DropConnect).
    variational : bool, default=False, by keyword
        Whether the dropout between layers leaves out the same units at all steps of a sequence (Gal and Ghahramani
        2016).
    device, dtype : optional

    Raises
    ------
    ValueError, TypeError
        As ``torch.nn.GRU`` does; ValueError for a ``weight_dropout`` outside of 0 to 1.

    Notes
    -----
    Parameters have the names and shapes of ``torch.nn.GRU``, so a ``state_dict`` loads both ways. Cho et al. 2014; the
    reset gate is applied after the recurrent product.

    Examples
    --------
    >>> gru = textnn.GRU(4, 3, bidirectional=True, batch_first=True)
    >>> output, h = gru(torch.randn(2, 5, 4), lengths=[5, 2])
    >>> output.shape, h.shape, bool(output[1, 2:].any())
    (torch.Size([2, 5, 6]), torch.Size([2, 2, 3]), False)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class RNN(Freezable, Recurrent):
    """A multi-layer Elman RNN; everything that ``torch.nn.RNN`` takes, with the same results.

    Besides, ``forward`` takes the lengths of padded input, the offsets of flat input, or a jagged nested tensor, and
    does no work for padding.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int, default=1
    nonlinearity : {"tanh", "relu"}, default="tanh"
    bias : bool, default=True
    batch_first : bool, default=False
        Whether padded input and output are [B, T, ...] instead of [T, B, ...].
    dropout : float, default=0.0
        Between layers, in training.
    bidirectional : bool, default=False
    weight_dropout : float, default=0.0, by keyword
        Probability with which each weight of W_hh is dropped in training, drawn anew at each call; the others are
        scaled by 1 / (1 - p) (Merity et al. 2018, DropConnect).
    variational : bool, default=False, by keyword
        Whether the dropout between layers leaves out the same units at all steps of a sequence (Gal and Ghahramani
        2016).
    device, dtype : optional

    Raises
    ------
    ValueError, TypeError
        As ``torch.nn.RNN`` does; ValueError for a ``weight_dropout`` outside of 0 to 1.

    Notes
    -----
    Parameters have the names and shapes of ``torch.nn.RNN``, so a ``state_dict`` loads both ways. Elman 1990.

    Examples
    --------
    >>> rnn = textnn.RNN(4, 3, nonlinearity="relu")
    >>> output, h = rnn(torch.randn(7, 4), offsets=[0, 5])
    >>> torch.equal(h[0], output[[4, 6]])
    True
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        # The fourth place, as in torch.nn.RNN.
        nonlinearity = args[3] if len(args) > 3 else kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        self.nonlinearity = nonlinearity
        super().__init__(f"RNN_{nonlinearity.upper()}", *args[:3], *args[4:], **kwargs)
