"""Vanishing gradients: how much of the last step's loss reaches the steps before it.

    cells of textnn (RNN tanh, RNN relu, GRU, LSTM) -> T steps on the same input, each with its own copy of U
    -> loss_T -> autograd -> d loss_T / d h_t for each t, and d loss_T / d U_t: what each step adds to d loss / d U

All of it is in float64: textnn's kernels flush subnormal numbers, which in float32 begin at 1e-38, and 200 steps reach
numbers as small as that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from textnn.lab.backward import (
    CELLS,
    GRU,
    LSTM,
    OPEN,
    RELU,
    TANH,
    Array,
    cells_of,
    draw_direction,
    measure,
    name_network,
)
from textnn.lab.exhibit import ROUNDS, Choice, Exhibit, Slider
from textnn.lab.memory import MemoryTask
from textnn.lab.panels import Both, Panel, Word, axis, lines, series, table
from textnn.lab.result import Result

SEQUENCES = 4
"""Sequences over which norms are averaged (root mean square)."""

INITS = ("orthogonal", "uniform")


@dataclass(frozen=True)
class Vanishing(Result):
    """Gradients of the loss at step T, by network.

    Attributes
    ----------
    gradients
        Of each network: norm of d loss_T / d h_t by the distance T - t = 0, 1, ..., T; [T + 1].
    bound
        Of the tanh RNN, by distance: its gradient at distance 0 times the product, over the steps between, of the norm
        of U and the largest slope of tanh at that step; no gradient is above it. [T + 1], or None without that network.
    forget
        Of each LSTM: the product of its mean forget gates over the same steps, [T + 1].
    shares
        Of each network: the norm of what step t = 1, ..., T adds to d loss_T / d U, as a share of all steps' sum; [T].
    """

    gradients: dict[str, Array]
    bound: Array | None
    forget: dict[str, Array]
    shares: dict[str, Array]

    @property
    def relative(self) -> dict[str, Array]:
        """The gradients as parts of the one at distance 0."""
        return {name: norms / norms[0] for name, norms in self.gradients.items()}

    def panels(self) -> list[Panel]:
        """Return the gradients with their bounds, the shares, and a table."""
        relative, colours = self.relative, {name: place for place, name in enumerate(self.gradients)}
        T = len(next(iter(relative.values()))) - 1
        distance = np.arange(T + 1)
        curves = [series(name_network(name), distance, norms, colour=colours[name]) for name, norms in relative.items()]
        if self.bound is not None:
            bound = self.bound / self.bound[0]
            curves.append(
                series(Both("bound of RNN tanh", "RNN tanh 的上界"), distance, bound, "dashed", colours[TANH])
            )
        for name, product in self.forget.items():
            label = Both(f"product of forget gates, {name_network(name).en}", f"遗忘门之积，{name_network(name).zh}")
            curves.append(series(label, distance, product, "dashed", colours[name]))
        steps = np.arange(1, T + 1)
        shares = [
            series(name_network(name), steps, 100 * share, colour=colours[name]) for name, share in self.shares.items()
        ]
        return [
            lines(
                Both("How much of the gradient arrives T − t steps back", "回传 T − t 步后还剩多少梯度"),
                axis(Both("T − t, steps back", "T − t，回传的步数")),
                axis(Both("‖∂loss_T/∂h_t‖, relative to t = T", "‖∂loss_T/∂h_t‖（相对于 t = T）"), log=True),
                curves,
                Both(
                    "In float64: the kernels set numbers too small for their format to zero, in float32 below 1e-38.",
                    "用 float64 计算：内核把小于格式下限的数置零，float32 的下限是 1e-38。",
                ),
            ),
            lines(
                Both("What each step adds to ∂loss_T/∂U", "每一步对 ∂loss_T/∂U 的贡献"),
                axis(Both("step t", "时间步 t")),
                axis(Both("share, %", "占比（%）"), low=0),
                shares,
            ),
            self._table(T),
        ]

    def _table(self, T: int) -> Panel:
        rows = []
        for name, norms in self.relative.items():
            gates = self.forget.get(name)
            rows.append(
                [
                    name_network(name),
                    _power(norms[T]),
                    f"{norms[T] ** (1 / T):.3f}",
                    "–" if gates is None else f"{gates[T] ** (1 / T):.2f}",
                ]
            )
        columns = [
            Both("Network", "网络"),
            Both(f"left after {T} steps", f"{T} 步后剩余"),
            Both("factor a step", "每步的倍数"),
            Both("mean forget gate", "遗忘门平均值"),
        ]
        note = Both(
            "A bias of 0 leaves a forget gate at about 1/2, and 1/2 to the power of 50 is 1e-15; a bias of 3 opens it "
            "to about 0.95.",
            "偏置为 0 时遗忘门约为 1/2，而 1/2 的 50 次方是 1e-15；偏置为 3 时遗忘门约为 0.95。",
        )
        return table(Both("In figures", "数值"), columns, rows, note=note)


def vanishing_gradients(
    length: int = 50,
    hidden: int = 32,
    scale: float = 0.9,
    forget_bias: float = 3.0,
    init: str = "orthogonal",
    layers: Mapping[str, nn.Module] | None = None,
    seed: int = 0,
) -> Vanishing:
    """Measure how the gradient of the last loss fades on its way back, by autograd through textnn's cells.

    Parameters
    ----------
    length
        T, the steps.
    hidden
        H, the units; the input has as many numbers.
    scale
        The largest absolute eigenvalue of each recurrent matrix U, of each gate.
    forget_bias
        What is added to torch's forget bias in the network ``"LSTM open"``; in ``"LSTM"`` nothing is.
    init
        ``"orthogonal"``: U turns a vector and multiplies it by ``scale``; ``"uniform"``: U is drawn as torch does, and
        scaled.
    layers
        Layers of one's own by name, instead of the five: ``textnn.RNN``, ``GRU`` and ``LSTM`` (or torch's) of one layer
        and direction, trained ones for example. ``hidden``, ``scale``, ``forget_bias`` and ``init`` are not used then.
    seed
        Of the weights, the input (normal numbers) and the loss, which is the last state's part in a random direction.

    Returns
    -------
    Vanishing

    Raises
    ------
    ValueError
        If a number is out of range, ``init`` is unknown, or a layer cannot be run step by step.

    Examples
    --------
    >>> found = vanishing_gradients(length=50)
    >>> float(found.relative["RNN tanh"][50]) < 1e-6, float(found.relative["LSTM open"][50]) > 1e-2
    (True, True)
    """
    for name, value, low in (("length", length, 1), ("hidden", hidden, 1), ("scale", scale, 0)):
        if not low <= value < math.inf:
            raise ValueError(f"{name}: expected {low} or more, got {value}")
    if init not in INITS:
        raise ValueError(f"init: expected {' or '.join(INITS)}, got {init!r}")
    cells = _draw_cells(hidden, scale, forget_bias, init, seed) if layers is None else cells_of(layers)
    gradients, shares, forget, bound = {}, {}, {}, None
    for name, cell in cells.items():
        drawn = torch.Generator().manual_seed(seed)
        x = torch.randn(length, SEQUENCES, cell.input_size, dtype=torch.float64, generator=drawn)
        found = measure(cell, x, draw_direction(cell.hidden_size, seed))
        gradients[name], shares[name] = found.norms(), found.shares()
        if name == TANH:
            bound = found.bound(cell)
        if isinstance(cell, nn.LSTMCell):
            forget[name] = found.forget_products(cell, x)
    return Vanishing(gradients, bound, forget, shares)


def _draw_cells(hidden: int, scale: float, forget_bias: float, init: str, seed: int) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name in (TANH, RELU, GRU, LSTM, OPEN):
        kind, _, activation = name.partition(" ")
        more = {"nonlinearity": activation} if kind == "RNN" else {}
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            cells[name] = cell = CELLS[kind](hidden, hidden, dtype=torch.float64, **more)
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


def _power(value: float) -> Word:
    return f"{value:.1e}" if value < 0.01 else f"{value:.3f}"


def _run(**settings: Any) -> list[Panel]:
    own = {name: settings[name] for name in ("length", "hidden", "scale", "forget_bias", "init")}
    return vanishing_gradients(**own).panels()


def _live(**settings: Any) -> Iterator[list[Panel]]:
    task = MemoryTask(settings["memory"], settings["hidden"], settings["forget_bias"], settings["rate"])
    for _ in range(ROUNDS):
        yield task.result().panels()
        task.train(10)
    yield task.result().panels()


CODE = """
import textnn

found = textnn.lab.vanishing_gradients(length=50, forget_bias=3.0)
for name, norms in found.relative.items():
    print(f"{name:10} after 50 steps: {norms[50]:.1e}")

task = textnn.lab.memory_task(steps=30, trainings=100)
print({name: f"{right[-1]:.0%}" for name, right in task.accuracy.items()})
"""

EXHIBIT = Exhibit(
    slug="vanishing-gradients",
    title=Both("Vanishing gradients", "梯度消失"),
    text=Both(
        "On its way back through time the gradient is multiplied by a Jacobian matrix at each step. "
        "In an RNN that is U times the slope of the activation, and a product of many numbers below 1 soon is nothing. "
        "So a step far back adds nothing to ∂loss/∂U, and the network does not learn from it. "
        "An LSTM carries its cell state on in a sum, with the forget gate as the old state's factor: "
        "where the gate stays open, the gradient stays. "
        "With torch's default bias, which is near 0, the gate is about half open, and the LSTM's gradient vanishes "
        "too.",
        "梯度沿时间回传时，每一步都要乘一个雅可比矩阵。"
        "在 RNN 里它是 U 乘以激活函数的斜率，许多小于 1 的数相乘很快就趋于零。"
        "于是很久以前的一步对 ∂loss/∂U 几乎没有贡献，网络也就学不到它。"
        "LSTM 的细胞状态用加法传递，系数是遗忘门：门开着，梯度就留得住。"
        "PyTorch 默认的偏置接近 0，门大约只开一半，LSTM 的梯度同样会消失。",
    ),
    question=Both(
        "At which scale of U does the gradient of the RNN stop vanishing, and what happens just beyond it?",
        "U 的尺度调到多大时 RNN 的梯度不再消失？再大一点又会怎样？",
    ),
    controls=(
        Slider("length", Both("Steps T", "时间步数 T"), 50, 5, 200),
        Slider("hidden", Both("Hidden units", "隐藏单元数"), 32, 4, 48, 4),
        Slider(
            "scale",
            Both("Scale of U (its largest absolute eigenvalue)", "U 的尺度（特征值的最大模）"),
            0.9,
            0.1,
            2.0,
            0.05,
        ),
        Slider("forget_bias", Both("Forget bias", "遗忘门偏置"), 3.0, -2.0, 6.0, 0.5),
        Choice(
            "init",
            Both("U is drawn", "U 的初始化"),
            "orthogonal",
            (
                ("orthogonal", Both("orthogonal", "正交矩阵")),
                ("uniform", Both("uniformly, then scaled", "均匀分布，再缩放")),
            ),
        ),
        Slider("memory", Both("Training: steps to remember", "训练：要记住的步数"), 30, 5, 60, 5, live=True),
        Slider("rate", Both("Training: learning rate", "训练：学习率"), 0.01, 0.001, 0.1, 0.001, log=True, live=True),
    ),
    presets=(
        (Both("forget bias 0", "遗忘门偏置 0"), {"forget_bias": 0.0}),
        (Both("exploding", "梯度爆炸"), {"scale": 1.6}),
        (Both("200 steps", "200 步"), {"length": 200}),
    ),
    run=_run,
    code=CODE,
    live=_live,
    trains_on=("hidden", "forget_bias"),
)
