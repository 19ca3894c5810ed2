"""LSTMCell, GRUCell and RNNCell: one step, with the constructors, parameters, arguments and results of torch.nn.

Both matrix products are torch's; the rest of the step is one kernel.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.fx import Proxy

from ..functional.cell_step import step
from .base import Layer
from .plain import cell_for_script

States = tuple[Tensor, Tensor]


class _Cell(Layer):
    """A step of any cell: checks, products, the kernel."""

    input_size: int
    hidden_size: int

    def _take_step(self, cell: str, input: Tensor, states: tuple[Tensor, ...]) -> Any:  # noqa: A002
        """h, or h and c of an LSTM, after the step. states: h, and c of an LSTM; empty for zeros."""
        if isinstance(input, Proxy):  # torch.fx.symbolic_trace: a call of the cell, which stays whole as torch.nn's do
            path = input.tracer.path_of_module(self)
            given = (input, *([states] if cell == "lstm" else states)) if states else (input,)
            return input.tracer.create_proxy("call_module", path, given, {})
        shape = input.shape
        want = (*shape[:-1], self.hidden_size)
        fits = len(shape) in (1, 2) and shape[-1] == self.input_size
        for state in states:
            fits = fits and state.shape == want
        if not fits:
            self._explain(input, states)
        if len(shape) == 1:
            after = self._take_step(cell, input.unsqueeze(0), tuple([state.unsqueeze(0) for state in states]))
            return tuple([state.squeeze(0) for state in after]) if cell == "lstm" else after.squeeze(0)
        h = states[0] if states else input.new_zeros(want)
        c = None if cell != "lstm" else states[1] if states else h
        weights: Any
        try:  # an attribute takes half a microsecond
            own = self._parameters
            weights = own["weight_ih"], own["weight_hh"], own["bias_ih"], own["bias_hh"]
        except KeyError:  # of a parametrization
            weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        return step(cell, input, h, c, *weights)

    def _explain(self, input: Tensor, states: tuple[Tensor, ...]) -> None:  # noqa: A002
        """Raise what torch's cells raise for shapes that do not fit, with the shapes."""
        name, names = type(self).__name__, ("hidden",) if len(states) == 1 else ("hx[0]", "hx[1]")
        for what, tensor in (("input", input), *zip(names, states, strict=False)):
            if tensor.dim() not in (1, 2):
                raise ValueError(f"{name}: Expected {what} to be 1D or 2D, got {tensor.dim()}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input has inconsistent input_size: got {input.shape[-1]} expected {self.input_size}, "
                f"with input of shape {list(input.shape)}"
            )
        for i, state in enumerate(states):
            shapes = f"with input of shape {list(input.shape)} and hidden{i} of shape {list(state.shape)}"
            if state.dim() != input.dim():
                raise RuntimeError(f"{name}: input and hidden{i} must both have a batch dimension or none, {shapes}")
            if input.dim() == 2 and state.shape[0] != input.shape[0]:
                batches = f"Input batch size {input.shape[0]} doesn't match hidden{i} batch size {state.shape[0]}"
                raise RuntimeError(f"{name}: {batches}, {shapes}")
            if state.shape[-1] != self.hidden_size:
                sizes = f"got {state.shape[-1]}, expected {self.hidden_size}"
                raise RuntimeError(f"{name}: hidden{i} has inconsistent hidden_size: {sizes}, {shapes}")


class LSTMCell(_Cell, nn.LSTMCell):
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
            If a tensor has neither one nor two dimensions.
        RuntimeError
            If sizes do not fit, as in torch.nn.
        TypeError
            If hx is one tensor.
        """
        if hx is None:
            return self._take_step("lstm", input, ())
        if type(hx) is not tuple or len(hx) != 2:
            self._explain_pair(hx)
        return self._take_step("lstm", input, hx)

    def __prepare_scriptable__(self) -> nn.Module:
        return cell_for_script(self, nn.LSTMCell)

    def _explain_pair(self, hx: Any) -> None:
        """Raise an error unless hx is a pair of another type."""
        tensor = isinstance(hx, Tensor)
        if tensor or len(hx) != 2:
            came, error = ("one tensor", TypeError) if tensor else (f"{len(hx)} of them", RuntimeError)
            raise error(f"{type(self).__name__}: hx must be a tuple of two hidden states, h and c, got {came}")


class GRUCell(_Cell, nn.GRUCell):
    """One step of a GRU, as ``torch.nn.GRUCell``, with the gates and the state update in one kernel.

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
    >>> torch.allclose(cell(x), theirs(x), atol=1e-6)
    True
    """

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:  # noqa: A002
        """Take one step.

        Parameters
        ----------
        input : Tensor [B, I] or [I]
        hx : Tensor [B, H] or [H], optional
            The state; zeros by default.

        Returns
        -------
        Tensor [B, H] or [H]

        Raises
        ------
        ValueError
            If a tensor has neither one nor two dimensions.
        RuntimeError
            If sizes do not fit, as in torch.nn.
        TypeError
            If hx is no tensor.
        """
        if isinstance(hx, (tuple, list)):
            raise TypeError(f"{type(self).__name__}: hx must be a tensor, got {type(hx).__name__}")
        return self._take_step("gru", input, () if hx is None else (hx,))

    def __prepare_scriptable__(self) -> nn.Module:
        return cell_for_script(self, nn.GRUCell)


class RNNCell(Layer, nn.RNNCell):
    """One step of an Elman RNN: ``torch.nn.RNNCell``, whose own kernels run.

    Beside its two products there is too little to do for one kernel to be quicker than torch's two.

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
    >>> torch.allclose(cell(x), theirs(x), atol=1e-6)
    True
    """
