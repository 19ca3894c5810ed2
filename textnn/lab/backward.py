"""The gradient of the last step's loss, sent back step by step through textnn's cells by autograd.

cell, x [T, B, I] -> T steps, each with its own copy of U -> loss_T -> d loss_T / d h_t, d loss_T / d U_t
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

import textnn
from textnn.lab.panels import Both

Array = np.ndarray[Any, Any]

CELLS = {"RNN": textnn.RNNCell, "GRU": textnn.GRUCell, "LSTM": textnn.LSTMCell}

TANH, RELU, GRU, LSTM, OPEN = "RNN tanh", "RNN relu", "GRU", "LSTM", "LSTM open"
"""The names of the networks: ``OPEN`` is the LSTM whose forget bias is changed."""


COLOURS = {TANH: 0, RELU: 1, GRU: 2, LSTM: 3, OPEN: 4}
"""Of a network the colour of its curves, in all panels."""


@dataclass(frozen=True)
class Measured:
    """One network.

    Attributes
    ----------
    states, gradients
        h_t and d loss_T / d h_t for t = 0 to T, [T + 1, B, H].
    terms
        Norm of what each step t = 1 to T adds to d loss_T / d U, [T].
    """

    states: Tensor
    gradients: Tensor
    terms: Tensor

    def norms(self) -> Array:
        """Return the root mean square of the gradients' norms, by distance."""
        return _by_distance(_norm(self.gradients))

    def shares(self) -> Array:
        """Return the terms as shares of their sum; 0 where that is 0, as of a single step from a state of 0."""
        total = self.terms.sum()
        return (self.terms / total.where(total > 0, torch.ones_like(total))).numpy()

    def bound(self, cell: nn.RNNCell) -> Array:
        """Return the product-of-slopes bound on the norms of an RNN."""
        norm = torch.linalg.matrix_norm(cell.weight_hh.detach(), 2)
        h = self.states[1:]
        slopes = (1 - h**2 if cell.nonlinearity == "tanh" else (h > 0).to(h)).amax(dim=2)
        factors = torch.cat([_norm(self.gradients[-1:]), (norm * slopes).flip(0)])
        return _by_distance(factors.cumprod(0).flip(0))

    def forget_products(self, cell: nn.Module, x: Tensor) -> Array:
        """Return the product of the mean forget gates of an LSTM, by distance."""
        parts = [
            cell.get_parameter(name).detach().chunk(4)[1] for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        ]
        gates = torch.sigmoid(F.linear(x, parts[0], parts[1]) + F.linear(self.states[:-1], parts[2], parts[3]))
        means = gates.mean(dim=(1, 2)).flip(0)
        return torch.cat([means.new_ones(1), means.cumprod(0)]).numpy()


def measure(cell: nn.Module, x: Tensor, direction: Tensor) -> Measured:
    """Run a cell over x [T, B, I] and send the gradient of its last step's loss back.

    Parameters
    ----------
    cell
        One of textnn's (or torch's) cells.
    x
        The input.
    direction
        [H]: the loss is the product of the last state with it, so that d loss_T / d h_T is the direction itself.
    """
    state: Any = x.new_zeros(x.shape[1], len(direction)).requires_grad_()
    inner, states, copies = torch.zeros_like(state), [state], []
    for now in x:
        copy = cell.get_parameter("weight_hh").detach().clone().requires_grad_()
        if isinstance(cell, nn.LSTMCell):
            state, inner = functional_call(cell, {"weight_hh": copy}, (now, (state, inner)))
        else:
            state = functional_call(cell, {"weight_hh": copy}, (now, state))
        states.append(state)
        copies.append(copy)
    found = torch.autograd.grad((state @ direction).sum(), [*states, *copies])
    gradients = torch.stack(found[: len(states)])
    terms = _norm(torch.stack(found[len(states) :]).flatten(1))
    return Measured(torch.stack(states).detach(), gradients, terms)


def draw_cells(
    names: Iterable[str], inputs: int, hidden: int, scale: float, forget_bias: float, init: str, seed: int
) -> dict[str, Any]:
    """Return cells in float64 with random weights: those of :func:`textnn.lab.vanishing_gradients`."""
    cells: dict[str, Any] = {}
    for name in names:
        kind, _, activation = name.partition(" ")
        more = {"nonlinearity": activation} if kind == "RNN" else {}
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            cells[name] = cell = CELLS[kind](inputs, hidden, dtype=torch.float64, **more)
            for block in cell.weight_hh.split(hidden):
                block.copy_(_scaled(block, scale, init))
            if name == OPEN:
                cell.bias_ih[hidden : 2 * hidden] += forget_bias
    return cells


def _scaled(block: Tensor, scale: float, init: str) -> Tensor:
    """Return a recurrent matrix [H, H] whose largest absolute eigenvalue is ``scale``."""
    if init == "orthogonal":
        return nn.init.orthogonal_(torch.empty_like(block)) * scale
    return block * (scale / torch.linalg.eigvals(block).abs().max())


def draw_direction(hidden: int, seed: int) -> Tensor:
    """Return a direction of length 1 for :func:`measure`, [H]."""
    drawn = torch.randn(hidden, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm()


def cells_of(layers: Mapping[str, nn.Module]) -> dict[str, Any]:
    """Return cells in float64 with the weights of layers.

    Raises
    ------
    ValueError
        If a layer has several layers, two directions or a projection, or is none.
    """
    with torch.random.fork_rng(devices=[]):  # a cell draws weights before it gets those of its layer
        return {name: _cell_of(name, layer) for name, layer in layers.items()}


def _cell_of(name: str, layer: nn.Module) -> nn.Module:
    plain = isinstance(layer, nn.RNNBase) and layer.num_layers == 1 and not (layer.bidirectional or layer.proj_size)
    if not plain or not isinstance(layer, nn.RNNBase):
        raise ValueError(
            f"layers[{name!r}]: expected an RNN, GRU or LSTM of one layer and direction without a projection, "
            f"got {type(layer).__name__}"
        )
    kind, _, activation = layer.mode.partition("_")
    more = {"nonlinearity": activation.lower()} if activation else {}
    cell = CELLS[kind](layer.input_size, layer.hidden_size, layer.bias, dtype=torch.float64, **more)
    with torch.no_grad():
        for key, parameter in cell.named_parameters():
            parameter.copy_(layer.get_parameter(f"{key}_l0"))
    return cell


def _norm(values: Tensor) -> Tensor:
    """Return the norms over the last dimension, of numbers whose squares may be too small or too large for float64."""
    largest = values.abs().amax(dim=-1, keepdim=True)
    return (values / largest.where(largest > 0, torch.ones_like(largest))).norm(dim=-1) * largest[..., 0]


def _by_distance(norms: Tensor) -> Array:
    """From norms [T + 1, B] by step to their root mean square over B by distance."""
    return (_norm(norms) / math.sqrt(norms.shape[1])).flip(0).numpy()


def colour_of(name: str, names: Iterable[str]) -> int:
    """Return the colour of one of several networks: its own, or of one that is not ours the place among them."""
    return COLOURS.get(name, list(names).index(name) % 8)


def name_network(name: str) -> Both:
    """Return what is shown for a network's name."""
    known = {
        LSTM: Both("LSTM, default forget bias", "LSTM，默认遗忘门偏置"),
        OPEN: Both("LSTM, forget bias changed", "LSTM，遗忘门偏置已调整"),
    }
    return known.get(name, Both(name, name))
