"""LSTM and LSTMCell with the constructor, parameters, arguments and results of torch.nn.

The layers derive from the base classes of torch.nn's own, not from ``nn.LSTM``: torch.compile refuses an ``nn.LSTM``.
Layers are put together here; one layer is one call of :func:`textnn.functional.lstm` or, with both directions,
:func:`textnn.functional.bilstm`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .. import functional
from ..functional.sizes import Sizes, size_tensors
from .base import Layer

if TYPE_CHECKING:
    from .frozen_lstm import FrozenLSTM

States = tuple[Tensor, Tensor]


class LSTM(Layer, nn.RNNBase):
    """A multi-layer LSTM; everything that ``torch.nn.LSTM`` takes, with the same results.

    Besides, ``forward`` takes the lengths of padded input, or the offsets of flat input, and does no work for padding.

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
        If positive, the output state is projected to this size.
    device, dtype : optional

    Notes
    -----
    Parameters have the names and shapes of ``torch.nn.LSTM``, so a ``state_dict`` loads both ways.

    Examples
    --------
    >>> lstm = textnn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
    >>> output, (h, c) = lstm(torch.randn(2, 5, 4), lengths=[5, 2])
    >>> output.shape, h.shape, bool(output[1, 2:].any())
    (torch.Size([2, 5, 6]), torch.Size([4, 2, 3]), False)
    >>> output, (h, c) = lstm(torch.randn(7, 4), offsets=[0, 5])
    >>> output.shape
    torch.Size([7, 6])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    # torch's own checks, which need nothing of nn.LSTM but these names.
    get_expected_cell_size: Any = nn.LSTM.get_expected_cell_size
    check_forward_args: Any = nn.LSTM.check_forward_args
    permute_hidden: Any = nn.LSTM.permute_hidden

    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002  # torch.nn.LSTM's name
        hx: States | None = None,
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
        outputs: bool = True,
    ) -> tuple[Tensor | PackedSequence, States]:
        """Run all layers and directions.

        Parameters
        ----------
        input : Tensor or PackedSequence
            [T, B, I], or [B, T, I] with ``batch_first``; [T, I] unbatched; [N, I] with ``offsets``.
        hx : tuple of Tensor, optional
            Initial states h0 [layers * directions, B, P] and c0 [layers * directions, B, H], without B for unbatched
            input; zeros by default.
        lengths : Tensor int64 [B] or sequence of int, optional
            How many steps each sequence of a padded input has, in any order.
        offsets : Tensor int64 [B] or sequence of int, optional
            Where each sequence of a flat input begins.
        outputs : bool, default=True
            Whether the outputs of the last layer are wanted. With False they are not even stored: for models that go
            on from the final states, which are the outputs at each sequence's own end.

        Returns
        -------
        output : Tensor or PackedSequence
            As the input, with P * directions in the place of I; zero at padding. A Tensor [0] without ``outputs``.
        (h_n, c_n) : tuple of Tensor
            Final states, shaped as hx, at each sequence's own last step.

        Raises
        ------
        ValueError, RuntimeError
            As ``torch.nn.LSTM`` does; ValueError for lengths or offsets that do not fit.
        """
        lengths, offsets = size_tensors(lengths, offsets)
        if isinstance(input, PackedSequence):
            if lengths is not None or offsets is not None:
                raise ValueError("a PackedSequence has its own lengths: lengths and offsets must be None")
            data, batch_sizes, sorted_indices, unsorted_indices = input
            B = int(batch_sizes[0])
            if hx is not None:
                hx = self.permute_hidden(hx, sorted_indices)
            hx = self._states(data, hx, B, batch_sizes)
            output, states = self._run(data, hx, outputs, batch_sizes=batch_sizes)
            packed = PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices) if outputs else output
            return packed, self.permute_hidden(states, unsorted_indices)
        if offsets is not None:
            if lengths is not None:
                raise ValueError("at most one of lengths and offsets may be given, got both")
            # The checks of torch.nn take flat input for the data of a PackedSequence with one step of B sequences.
            one_step = torch.tensor([offsets.shape[0]])
            hx = self._states(input, hx, offsets.shape[0], one_step)
            return self._run(input, hx, outputs, offsets=offsets)
        if input.dim() not in (2, 3):
            raise ValueError(f"LSTM: Expected input to be 2D or 3D, got {input.dim()}D instead")
        if input.dim() == 2:
            if lengths is not None:
                raise ValueError("lengths need a batch: unbatched input [T, I] has no padding")
            return self._forward_unbatched(input, hx, outputs)
        if hx is not None and (hx[0].dim() != 3 or hx[1].dim() != 3):
            got = f"({hx[0].dim()}-D, {hx[1].dim()}-D)"
            raise RuntimeError(f"For batched 3-D input, hx and cx should also be 3-D but got {got} tensors")
        B, T = (input.shape[0], input.shape[1]) if self.batch_first else (input.shape[1], input.shape[0])
        states = self._states(input, hx, B, None)
        if T == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        return self._run(input, states, outputs, lengths=lengths, batch_first=self.batch_first)

    def _forward_unbatched(self, x: Tensor, hx: States | None, outputs: bool) -> tuple[Tensor, States]:
        if hx is not None:
            if hx[0].dim() != 2 or hx[1].dim() != 2:
                got = f"({hx[0].dim()}-D, {hx[1].dim()}-D)"
                raise RuntimeError(f"For unbatched 2-D input, hx and cx should also be 2-D but got {got} tensors")
            hx = (hx[0].unsqueeze(1), hx[1].unsqueeze(1))
        batch_dim = 0 if self.batch_first else 1
        output, (h_n, c_n) = self.forward(x.unsqueeze(batch_dim), hx, outputs=outputs)
        assert isinstance(output, Tensor)
        return output.squeeze(batch_dim) if outputs else output, (h_n.squeeze(1), c_n.squeeze(1))

    def _states(self, x: Tensor, hx: States | None, B: int, batch_sizes: Tensor | None) -> States:
        """The initial states, checked, or zeros."""
        if hx is None:
            count = self.num_layers * (2 if self.bidirectional else 1)
            hx = (x.new_zeros(count, B, self.proj_size or self.hidden_size), x.new_zeros(count, B, self.hidden_size))
        self.check_forward_args(x, hx, batch_sizes)
        return hx

    def states_for_ids(self, ids: Tensor, hx: States | None, offsets: Tensor | None, like: Tensor) -> States:
        """Check ids [B, T], or [N] with offsets, and the initial states, or make zeros of the dtype of ``like``.

        Raises
        ------
        ValueError
            If ids have another number of dimensions.
        RuntimeError
            If the states have another size.
        """
        if ids.dim() != (2 if offsets is None else 1):
            raise ValueError(f"ids must have shape [B, L], or [N] with offsets, got {list(ids.shape)}")
        B = ids.shape[0] if offsets is None else offsets.shape[0]
        if hx is None:
            count = self.num_layers * (2 if self.bidirectional else 1)
            widths = (self.proj_size or self.hidden_size, self.hidden_size)
            hx = (like.new_zeros(count, B, widths[0]), like.new_zeros(count, B, widths[1]))
        self.check_states(hx, B)
        return hx

    def check_states(self, hx: States, B: int) -> None:
        """Raise a RuntimeError, as ``torch.nn.LSTM`` does, unless the initial states are those of B sequences."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        size = (count, B, self.proj_size or self.hidden_size)
        self.check_hidden_size(hx[0], size, "Expected hidden[0] size {}, got {}")
        self.check_hidden_size(hx[1], (count, B, self.hidden_size), "Expected hidden[1] size {}, got {}")

    def _run(self, x: Tensor, hx: States, outputs: bool, first: Any = None, **ragged: Any) -> tuple[Tensor, States]:
        """Run the layers; ``first(h0, c0, weights, outputs)`` takes the place of the lowest one, if given."""
        h_n: list[Tensor] = []
        c_n: list[Tensor] = []
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        for layer, (h0, c0) in enumerate(zip(hx[0].split(len(suffixes)), hx[1].split(len(suffixes)), strict=True)):
            if layer > 0:
                x = F.dropout(x, self.dropout, self.training)
            wanted = outputs or layer + 1 < self.num_layers
            weights = [self._weights(layer, suffix) for suffix in suffixes]
            if layer == 0 and first is not None:
                x, h, c = first(h0, c0, weights, wanted)
            elif self.bidirectional:
                x, h, c = functional.bilstm(x, h0, c0, *weights, outputs=wanted, **ragged)
            else:
                x, h, c = functional.lstm(x, h0.squeeze(0), c0.squeeze(0), *weights[0], outputs=wanted, **ragged)
                h, c = h.unsqueeze(0), c.unsqueeze(0)
            h_n.append(h)
            c_n.append(c)
        if self.num_layers == 1:
            return x, (h_n[0], c_n[0])
        return x, (torch.cat(h_n), torch.cat(c_n))

    def freeze(self, dtype: str = "int8") -> FrozenLSTM:
        """Return a module for inference only that computes with weights of 8 bits; this layer stays as it is.

        Each row of the weights is rounded to 127 steps of either sign, inputs and states are rounded to as many as they
        come. Where the CPU has AVX-512 VNNI (:func:`textnn.backends.has_dot_products`) this is faster than float32, at
        the cost of some accuracy; elsewhere it only takes less memory.

        Parameters
        ----------
        dtype : {"int8"}

        Returns
        -------
        FrozenLSTM

        Raises
        ------
        ValueError
            For another dtype, a layer with ``proj_size``, or weights that are not finite.
        """
        from .frozen_lstm import FrozenLSTM

        if dtype != "int8":
            raise ValueError(f"dtype must be 'int8', got {dtype!r}: in its own dtype an LSTM has nothing to freeze")
        return FrozenLSTM.of(self)

    def _weights(self, layer: int, suffix: str) -> list[Any]:
        """w_ih, w_hh, b_ih, b_hh, w_hr of one layer and direction; None for those that it does not have."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return [getattr(self, f"{name}_l{layer}{suffix}", None) for name in names]


class LSTMCell(Layer, nn.modules.rnn.RNNCellBase):
    """One step of an LSTM, as ``torch.nn.LSTMCell``, with the gates and the state update in one kernel.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool, default=True
    device, dtype : optional

    Examples
    --------
    >>> cell, theirs = textnn.LSTMCell(4, 3), torch.nn.LSTMCell(4, 3)
    >>> _ = cell.load_state_dict(theirs.state_dict())
    >>> x = torch.randn(2, 4)
    >>> torch.allclose(cell(x)[0], theirs(x)[0], atol=1e-6)
    True
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=4, device=device, dtype=dtype)

    def forward(self, input: Tensor, hx: States | None = None) -> States:  # noqa: A002
        """Take one step.

        Parameters
        ----------
        input : Tensor [B, I] or [I]
        hx : tuple of Tensor [B, H] or [H], optional
            h and c; zeros by default.

        Returns
        -------
        h, c : Tensor [B, H] or [H]

        Raises
        ------
        ValueError
            If a tensor has another number of dimensions, or sizes do not fit.
        """
        if input.dim() not in (1, 2):
            raise ValueError(f"LSTMCell: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for i, state in enumerate(hx or ()):
            if state.dim() not in (1, 2):
                raise ValueError(f"LSTMCell: Expected hx[{i}] to be 1D or 2D, got {state.dim()}D instead")
        if input.dim() == 1:
            batch = None if hx is None else (hx[0].unsqueeze(0), hx[1].unsqueeze(0))
            h, c = self.forward(input.unsqueeze(0), batch)
            return h.squeeze(0), c.squeeze(0)
        if hx is None:
            zeros = input.new_zeros(input.shape[0], self.hidden_size)
            hx = (zeros, zeros)
        gates = F.linear(input, self.weight_ih, self.bias_ih) + F.linear(hx[0], self.weight_hh, self.bias_hh)
        return functional.lstm_cell(gates, hx[1].to(gates.dtype))
