"""LSTMCell, GRUCell and RNNCell: one step, with the constructors, parameters, arguments and results of torch.nn."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import functional
from .base import Layer

States = tuple[Tensor, Tensor]


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
        c = hx[1] if torch.is_autocast_enabled(input.device.type) else hx[1].to(gates.dtype)
        return functional.lstm_cell(gates, c)


class GRUCell(Layer, nn.GRUCell):
    """One step of a GRU: ``torch.nn.GRUCell``, whose own kernels run.

    They are faster than this package's, which pack the weights at each call; over many steps take :class:`GRU`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool, default=True
    device, dtype : optional

    Examples
    --------
    >>> cell, theirs = textnn.GRUCell(4, 3), torch.nn.GRUCell(4, 3)
    >>> _ = cell.load_state_dict(theirs.state_dict())
    >>> x = torch.randn(2, 4)
    >>> torch.allclose(cell(x), theirs(x))
    True
    """


class RNNCell(Layer, nn.RNNCell):
    """One step of an Elman RNN: ``torch.nn.RNNCell``, whose own kernels run; see :class:`GRUCell`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool, default=True
    nonlinearity : {"tanh", "relu"}, default="tanh"
    device, dtype : optional

    Examples
    --------
    >>> cell, theirs = textnn.RNNCell(4, 3), torch.nn.RNNCell(4, 3)
    >>> _ = cell.load_state_dict(theirs.state_dict())
    >>> x = torch.randn(2, 4)
    >>> torch.allclose(cell(x), theirs(x))
    True
    """
