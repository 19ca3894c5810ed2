"""A playground: a small network learns to tell two classes of points apart, and the plane shows what it has learned.

    points [N, 2] -> features -> Linear, activation, ... -> one logit -> binary cross entropy -> textnn.optim.Adam

The network is PyTorch's Linear layers in float64, the optimizer textnn's.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textnn.lab.panels import Both, Panel, axis, lines, series, surface
from textnn.lab.result import Result
from textnn.optim import Adam

Array = np.ndarray[Any, Any]

DATA = ("circles", "spirals", "xor", "blobs")
FEATURES = ("plain", "squares", "waves")
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "none": lambda x: x}
POINTS = 240
GRID = 40
EDGE = 1.2
"""The plane is shown from -EDGE to EDGE both ways."""


@dataclass(frozen=True)
class Playground(Result):
    """A network at a moment of its training.

    Attributes
    ----------
    points, classes
        The data, [N, 2] and [N].
    plane
        The probability of class 1 at each place of the plane, [GRID, GRID], rows from low y to high y.
    losses
        Binary cross entropy before each training step, [steps].
    accuracy
        The part of the points on the right side.
    """

    points: Array
    classes: Array
    plane: Array
    losses: Array
    accuracy: float

    def panels(self) -> list[Panel]:
        """Return the plane and the loss."""
        steps = np.arange(len(self.losses))
        right = f"{self.accuracy:.0%}"
        return [
            surface(
                Both("Which class the network gives each place", "网络把平面的每一处归为哪一类"),
                axis("x", low=-EDGE, high=EDGE),
                axis("y", low=-EDGE, high=EDGE),
                self.plane,
                self.points,
                self.classes,
                note=Both(f"{right} of the points are on the right side.", f"{right} 的点分类正确。"),
            ),
            lines(
                Both("Loss", "损失"),
                axis(Both("training step", "训练步数"), low=0, high=max(len(steps), 50)),
                axis(Both("binary cross entropy", "二元交叉熵"), low=0, high=max(0.8, *self.losses, 0.8)),
                [series("", steps, self.losses)],
            ),
        ]


class Learner:
    """A network, its data and its optimizer.

    Parameters
    ----------
    data
        One of ``DATA``.
    noise
        Standard deviation of what is added to each point.
    features
        What the network is given of a point: ``"plain"`` x and y; ``"squares"`` also x², y² and xy; ``"waves"`` also
        the sines of 3x and 3y.
    layers, units
        Hidden layers and the units of each.
    activation
        One of ``ACTIVATIONS``, after each hidden layer.
    rate
        Learning rate of Adam.
    seed
        Of data and weights.
    """

    def __init__(
        self,
        data: str = "circles",
        noise: float = 0.05,
        features: str = "plain",
        layers: int = 1,
        units: int = 6,
        activation: str = "tanh",
        rate: float = 0.03,
        seed: int = 0,
    ) -> None:
        for name, value, known in (
            ("data", data, DATA),
            ("features", features, FEATURES),
            ("activation", activation, tuple(ACTIVATIONS)),
        ):
            if value not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
        if layers < 0 or units < 1:
            raise ValueError(f"layers, units: expected 0 or more and 1 or more, got {layers} and {units}")
        drawn = torch.Generator().manual_seed(seed)
        points, self._classes = draw_points(data, drawn)
        self._points = points + noise * torch.randn(points.shape, dtype=torch.float64, generator=drawn)
        self._features, self._activation = features, ACTIVATIONS[activation]
        sizes = [_features(self._points[:1], features).shape[1], *[units] * layers, 1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._layers = nn.ModuleList(nn.Linear(a, b, dtype=torch.float64) for a, b in itertools.pairwise(sizes))
        self._optimizer = Adam(self._layers.parameters(), lr=rate)
        self._losses: list[float] = []

    def logits(self, points: Tensor) -> Tensor:
        """Return the logit of class 1 of points [N, 2]."""
        x = _features(points, self._features)
        for layer in self._layers[:-1]:
            x = self._activation(layer(x))
        return self._layers[-1](x)[:, 0]

    def train(self, steps: int) -> None:
        """Take steps on all points at once."""
        for _ in range(steps):
            loss = F.binary_cross_entropy_with_logits(self.logits(self._points), self._classes)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            self._losses.append(loss.item())

    def result(self) -> Playground:
        """Return where the training stands."""
        line = torch.linspace(-EDGE, EDGE, 2 * GRID + 1, dtype=torch.float64)[1::2]  # the middles of the cells
        y, x = torch.meshgrid(line, line, indexing="ij")
        with torch.no_grad():
            plane = torch.sigmoid(self.logits(torch.stack([x.flatten(), y.flatten()], 1))).reshape(GRID, GRID)
            right = ((self.logits(self._points) > 0).double() == self._classes).double().mean().item()
        classes = self._classes.long().numpy()
        return Playground(self._points.numpy(), classes, plane.numpy(), np.array(self._losses), right)


def playground(
    data: str = "circles",
    noise: float = 0.05,
    features: str = "plain",
    layers: int = 1,
    units: int = 6,
    activation: str = "tanh",
    rate: float = 0.03,
    steps: int = 200,
    seed: int = 0,
) -> Playground:
    """Train a small network on points of two classes.

    Parameters
    ----------
    data, noise, features, layers, units, activation, rate, seed
        As in :class:`Learner`.
    steps
        Of training, each on all points.

    Returns
    -------
    Playground

    Raises
    ------
    ValueError
        If a name is unknown or a number out of range.

    Examples
    --------
    >>> playground("circles").accuracy
    1.0
    >>> playground("circles", activation="none").accuracy < 0.7
    True
    """
    learner = Learner(data, noise, features, layers, units, activation, rate, seed)
    learner.train(steps)
    return learner.result()


def draw_points(data: str, drawn: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return points [N, 2] between -1 and 1 and their classes [N], 0 or 1, half of them each."""
    half = POINTS // 2
    classes = torch.arange(POINTS).div(half, rounding_mode="floor").double()
    part = torch.rand(POINTS, dtype=torch.float64, generator=drawn)
    angle = 2 * math.pi * torch.rand(POINTS, dtype=torch.float64, generator=drawn)
    if data == "circles":
        radius = torch.where(classes == 1, 0.4 * part.sqrt(), 0.7 + 0.3 * part)
    elif data == "spirals":
        radius = 0.1 + 0.85 * part
        angle = 3.2 * part * math.pi + math.pi * classes
    elif data == "blobs":
        spread = 0.18 * torch.randn(POINTS, 2, dtype=torch.float64, generator=drawn)
        return spread + (classes - 0.5)[:, None], classes
    else:
        x = 0.1 + 0.85 * torch.rand(POINTS, 2, dtype=torch.float64, generator=drawn)
        signs = torch.where(torch.arange(POINTS) % 2 == 0, 1.0, -1.0)
        return torch.stack([x[:, 0] * signs, x[:, 1] * signs * (2 * classes - 1)], 1), classes
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1), classes


def _features(points: Tensor, features: str) -> Tensor:
    if features == "squares":
        return torch.cat([points, points.square(), points.prod(1, keepdim=True)], 1)
    if features == "waves":
        return torch.cat([points, (3 * points).sin()], 1)
    return points
