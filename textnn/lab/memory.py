"""A task that needs a memory: say at the end which token came first.

    [first token, noise, noise, ...] -> Embedding -> RNN or LSTM -> last state -> Linear -> which token was the first?

An RNN gets no gradient from the first step, and guesses for ever; an LSTM with an open forget gate learns it within a
hundred steps of training. Layers are textnn's own: EmbeddingRNN, EmbeddingGRU and EmbeddingLSTM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import textnn
from textnn.lab.backward import COLOURS, LSTM, OPEN, TANH, Array, cells_of, draw_direction, measure, name_network
from textnn.lab.panels import Both, Panel, axis, lines, series
from textnn.lab.result import Result

TOKENS = 4
BATCH = 64
_ENCODERS = {"RNN": textnn.EmbeddingRNN, "GRU": textnn.EmbeddingGRU, "LSTM": textnn.EmbeddingLSTM}
EMBEDDING = 16
_CLIP = 1.0
_SMOOTH = 10  # trainings over which what is shown is averaged


@dataclass(frozen=True)
class Memory(Result):
    """The course of a training, by network.

    Attributes
    ----------
    losses, accuracy
        Of each network: cross entropy, and the part of the batch whose first token was named, after each training step.
    gradients
        Of each network as it is now: norm of d loss_T / d h_t by the distance T - t, as parts of that at distance 0.
    layers
        The recurrent layers as they are now, for :func:`textnn.lab.vanishing_gradients`.
    """

    losses: dict[str, Array]
    accuracy: dict[str, Array]
    gradients: dict[str, Array]
    layers: dict[str, nn.Module]

    def panels(self) -> list[Panel]:
        """Return the accuracy, the loss, and the gradients with the weights as they are now."""
        step = Both("training step", "训练步数")
        done = np.arange(1, 1 + len(next(iter(self.losses.values()))))
        chance = Both("chance: 1 of 4", "随机猜：4 选 1")
        right = [
            series(name_network(name), done, 100 * _smooth(one), colour=COLOURS[name])
            for name, one in self.accuracy.items()
        ]
        right.append(series(chance, [0, max(len(done), 1)], [100 / TOKENS] * 2, "dashed", 7))
        return [
            lines(
                Both("Name the first token: right, % of a batch", "说出第一个词元：一批中答对的比例（%）"),
                axis(step, low=0, high=max(len(done), 50)),
                axis(Both("right, %", "正确率（%）"), low=0, high=100),
                right,
            ),
            lines(
                Both("Loss", "损失"),
                axis(step, low=0, high=max(len(done), 50)),
                axis(Both("cross entropy", "交叉熵"), log=True),
                [
                    series(name_network(name), done, _smooth(one), colour=COLOURS[name])
                    for name, one in self.losses.items()
                ],
            ),
            lines(
                Both("The gradient with the weights as they are now", "当前权重下的梯度"),
                axis(Both("T − t, steps back", "T − t，回传的步数")),
                axis(Both("‖∂loss_T/∂h_t‖, relative to t = T", "‖∂loss_T/∂h_t‖（相对于 t = T）"), log=True),
                [
                    series(name_network(name), np.arange(len(one)), one, colour=COLOURS[name])
                    for name, one in self.gradients.items()
                ],
            ),
        ]


class MemoryTask:
    """The task, and networks that are trained on the same batches: by default a tanh RNN and two LSTMs.

    Parameters
    ----------
    steps
        Tokens of a sequence, of which the first is to be named.
    hidden
        Units.
    forget_bias
        Added to torch's own in the network ``"LSTM open"``.
    rate
        Learning rate of Adam.
    seed
        Of weights and data.
    cells
        Cells with ``EMBEDDING`` inputs to begin from, by the names of their networks, instead of the three;
        ``forget_bias`` is not used then.
    """

    def __init__(
        self,
        steps: int = 30,
        hidden: int = 32,
        forget_bias: float = 3.0,
        rate: float = 0.01,
        seed: int = 0,
        cells: Mapping[str, nn.Module] | None = None,
    ) -> None:
        if steps < 1 or hidden < 1:
            raise ValueError(f"steps, hidden: expected 1 or more, got {steps}, {hidden}")
        self.steps = steps
        self._drawn = torch.Generator().manual_seed(seed)
        self._networks: dict[str, Any] = {}
        for name in (TANH, LSTM, OPEN) if cells is None else cells:
            kind, _, activation = name.partition(" ")
            more: dict[str, Any] = {"nonlinearity": activation} if kind == "RNN" else {}
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                encoder = _ENCODERS[kind](TOKENS, EMBEDDING, hidden, padding_idx=None, **more)
                network = nn.ModuleDict({"encoder": encoder, "readout": nn.Linear(hidden, TOKENS)})
            layer = encoder._layer()
            with torch.no_grad():
                if cells is not None:
                    for key, parameter in cells[name].named_parameters():
                        layer.get_parameter(f"{key}_l0").copy_(parameter)
                elif name == OPEN:
                    layer.bias_ih_l0[hidden : 2 * hidden] += forget_bias
            self._networks[name] = network
        self._optimizers = {name: torch.optim.Adam(one.parameters(), rate) for name, one in self._networks.items()}
        self._losses: dict[str, list[float]] = {name: [] for name in self._networks}
        self._right: dict[str, list[float]] = {name: [] for name in self._networks}

    def train(self, trainings: int) -> None:
        """Take so many steps of training, each network on the same batches."""
        for _ in range(trainings):
            ids = torch.randint(TOKENS, (BATCH, self.steps), generator=self._drawn)
            for name, network in self._networks.items():
                logits = network["readout"](_last(network["encoder"](ids, outputs=False)))
                loss = F.cross_entropy(logits, ids[:, 0])
                self._optimizers[name].zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
                self._optimizers[name].step()
                self._losses[name].append(loss.item())
                self._right[name].append((logits.argmax(1) == ids[:, 0]).double().mean().item())

    def layers(self) -> dict[str, Any]:
        """Return the recurrent layers as they are now."""
        return {name: network["encoder"]._layer() for name, network in self._networks.items()}

    def embed(self, ids: Tensor) -> dict[str, Tensor]:
        """Return what each network's recurrent layer reads for tokens [T, B], as float64 [T, B, EMBEDDING]."""
        tables = {name: network["encoder"].weight.detach().double() for name, network in self._networks.items()}
        return {name: F.embedding(ids, table) for name, table in tables.items()}

    def result(self) -> Memory:
        """Return the course so far."""
        layers, gradients = self.layers(), {}
        ids = torch.randint(TOKENS, (8, self.steps), generator=torch.Generator().manual_seed(0))
        inputs = self.embed(ids.T)
        for name, cell in cells_of(layers).items():
            gradients[name] = measure(cell, inputs[name], draw_direction(cell.hidden_size, 0)).norms()
        return Memory(
            {name: np.array(losses) for name, losses in self._losses.items()},
            {name: np.array(right) for name, right in self._right.items()},
            gradients,
            layers,
        )


def memory_task(
    steps: int = 30,
    hidden: int = 32,
    forget_bias: float = 3.0,
    rate: float = 0.01,
    trainings: int = 100,
    seed: int = 0,
) -> Memory:
    """Train a tanh RNN and two LSTMs to name the first of ``steps`` tokens at the end.

    Parameters
    ----------
    steps, hidden, forget_bias, rate, seed
        As in :class:`MemoryTask`.
    trainings
        Steps of training, on batches of 64.

    Returns
    -------
    Memory

    Examples
    --------
    >>> found = memory_task(steps=10, trainings=60)
    >>> bool(found.accuracy["LSTM open"][-1] > 0.9)
    True
    """
    task = MemoryTask(steps, hidden, forget_bias, rate, seed)
    task.train(trainings)
    return task.result()


def _last(found: Any) -> torch.Tensor:
    state = found[1]
    return (state[0] if isinstance(state, tuple) else state)[-1]


def _smooth(values: Array) -> Array:
    """Return the mean of the last few values at each place."""
    if not len(values):
        return values
    sums = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - _SMOOTH, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)
