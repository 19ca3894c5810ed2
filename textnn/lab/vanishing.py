"""Vanishing gradients: how much of the last step's loss reaches the steps before it.

    cells of textnn (RNN tanh, RNN relu, GRU, LSTM), random or trained on a task that needs a memory
    -> T steps on the same input, each with its own copy of U
    -> loss_T -> autograd -> d loss_T / d h_t for each t, and d loss_T / d U_t: what each step adds to d loss / d U

All of it is in float64: textnn's kernels flush subnormal numbers, which in float32 begin at 1e-38, and 200 steps reach
numbers as small as that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from textnn.lab.backward import (
    COLOURS,
    GRU,
    LSTM,
    OPEN,
    RELU,
    TANH,
    Array,
    cells_of,
    colour_of,
    draw_cells,
    draw_direction,
    measure,
    name_network,
)
from textnn.lab.exhibit import ROUNDS, Choice, Exhibit, Slider
from textnn.lab.memory import EMBEDDING, TOKENS, MemoryTask
from textnn.lab.panels import Both, Panel, Word, axis, lines, series, table
from textnn.lab.result import Result

SEQUENCES = 4
"""Sequences over which norms are averaged (root mean square)."""

INITS = ("orthogonal", "uniform")
BOTH, RANDOM, TRAINED = "both", "random", "trained"
ACTIVATIONS = {BOTH: (TANH, RELU), "tanh": (TANH,), "relu": (RELU,)}
"""Which RNNs there are."""

MEMORY, TRAININGS = 20, 100
"""Trained weights: of that many tokens the first is to be named, and so many steps of training are taken."""


@dataclass(frozen=True)
class Vanishing(Result):
    """Gradients of the loss at step T, by network.

    Attributes
    ----------
    gradients
        Of each network: norm of d loss_T / d h_t by the distance T - t = 0, 1, ..., T; [T + 1].
    bound
        Of each RNN, by distance: its gradient at distance 0 times the product, over the steps between, of the norm of U
        and the largest slope of the activation at that step; no gradient is above it. [T + 1].
    forget
        Of each LSTM: the product of its mean forget gates over the same steps, [T + 1].
    shares
        Of each network: the norm of what step t = 1, ..., T adds to d loss_T / d U, as a share of all steps' sum; [T].
    untrained
        Of trained weights: ``gradients`` of the random weights that the training began from. Else empty.
    """

    gradients: dict[str, Array]
    bound: dict[str, Array]
    forget: dict[str, Array]
    shares: dict[str, Array]
    untrained: dict[str, Array]

    @property
    def relative(self) -> dict[str, Array]:
        """The gradients as parts of the one at distance 0."""
        return _relative(self.gradients)

    def panels(self) -> list[Panel]:
        """Return the gradients with their bounds, the shares, and a table."""
        relative, colours = self.relative, {name: colour_of(name, self.gradients) for name in self.gradients}
        T = len(next(iter(relative.values()))) - 1
        distance = np.arange(T + 1)
        curves = [series(name_network(name), distance, norms, colour=colours[name]) for name, norms in relative.items()]
        for name, bound in self.bound.items():
            label = Both(f"bound of {name_network(name).en}", f"{name_network(name).zh} 的上界")
            curves.append(series(label, distance, bound / bound[0], "dashed", colours[name]))
        for name, product in self.forget.items():
            label = Both(f"product of forget gates, {name_network(name).en}", f"遗忘门之积，{name_network(name).zh}")
            curves.append(series(label, distance, product, "dotted", colours[name]))
        across = axis(Both("T − t, steps back", "T − t，回传的步数"))
        # A bound may be as far away as it likes: the gradients say how high the picture is.
        highest = max([10.0, *(10 * norms[np.isfinite(norms)].max(initial=0.0) for norms in relative.values())])
        upwards = axis(
            Both("‖∂loss_T/∂h_t‖, relative to t = T", "‖∂loss_T/∂h_t‖（相对于 t = T）"), log=True, high=highest
        )
        steps = np.arange(1, T + 1)
        shares = [
            series(name_network(name), steps, 100 * share, colour=colours[name]) for name, share in self.shares.items()
        ]
        return [
            lines(
                Both("How much of the gradient arrives T − t steps back", "回传 T − t 步后还剩多少梯度"),
                across,
                upwards,
                curves,
                Both(
                    "In float64: the kernels set numbers too small for their format to zero, in float32 below 1e-38.",
                    "用 float64 计算：内核把小于格式下限的数置零，float32 的下限是 1e-38。",
                ),
            ),
            *([self._trained(across, upwards, distance)] if self.untrained else []),
            lines(
                Both("What each step adds to ∂loss_T/∂U", "每一步对 ∂loss_T/∂U 的贡献"),
                axis(Both("step t", "时间步 t")),
                axis(Both("share, %", "占比（%）"), low=0),
                shares,
            ),
            self._table(T),
        ]

    def _trained(self, across: Panel, upwards: Panel, distance: Array) -> Panel:
        """Return the gradients of the trained weights beside those of the random ones."""
        curves = []
        for name, norms in self.relative.items():
            before, shown, place = _relative(self.untrained)[name], name_network(name), COLOURS[name]
            curves.append(series(Both(f"{shown.en}, trained", f"{shown.zh}（训练后）"), distance, norms, colour=place))
            curves.append(series("", distance, before, "dashed", place))
        return lines(
            Both("After training, and before it (dashed)", "训练后，以及训练前（虚线）"),
            across,
            upwards,
            curves,
            Both(
                f"Trained: each network has taken {TRAININGS} steps of training on naming the first of {MEMORY} "
                "tokens, from the random weights that are set; both are measured on the same tokens.",
                f"训练后：每个网络从所设的随机权重出发，在“说出 {MEMORY} 个词元中的第一个”任务上训练了 {TRAININGS} 步；"
                "训练前后在相同的词元上测量。",
            ),
        )

    def _table(self, T: int) -> Panel:
        rows, untrained = [], _relative(self.untrained)
        for name, norms in self.relative.items():
            gates = self.forget.get(name)
            rows.append(
                [
                    name_network(name),
                    *([_power(untrained[name][T])] if untrained else []),
                    _power(norms[T]),
                    f"{norms[T] ** (1 / T):.3f}",
                    "–" if gates is None else f"{gates[T] ** (1 / T):.2f}",
                ]
            )
        columns = [
            Both("Network", "网络"),
            *([Both("untrained", "未训练")] if untrained else []),
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
    activation: str = BOTH,
    weights: str = RANDOM,
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
    activation
        Of the RNN: ``"tanh"``, ``"relu"``, or ``"both"`` for two RNNs.
    weights
        ``"random"``, or ``"trained"``: each network is trained on the memory task (:func:`textnn.lab.memory_task`) from
        these random weights, for 100 steps with the first of 20 tokens to be named, and measured on such tokens.
    layers
        Layers of one's own by name, instead of the five: ``textnn.RNN``, ``GRU`` and ``LSTM`` (or torch's) of one layer
        and direction, trained ones for example. No option above but ``length`` is used then.
    seed
        Of the weights, the input (normal numbers, or tokens) and the loss, which is the last state's part in a random
        direction.

    Returns
    -------
    Vanishing

    Raises
    ------
    ValueError
        If a number is out of range, an option unknown, or a layer cannot be run step by step.

    Examples
    --------
    >>> found = vanishing_gradients(length=50)
    >>> float(found.relative["RNN tanh"][50]) < 1e-6, float(found.relative["LSTM open"][50]) > 1e-2
    (True, True)
    """
    for name, value, low in (("length", length, 1), ("hidden", hidden, 1), ("scale", scale, 0)):
        if not low <= value < math.inf:
            raise ValueError(f"{name}: expected {low} or more, got {value}")
    for name, given, known in (
        ("init", init, INITS),
        ("activation", activation, tuple(ACTIVATIONS)),
        ("weights", weights, (RANDOM, TRAINED)),
    ):
        if given not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, got {given!r}")
    names, random_numbers = (*ACTIVATIONS[activation], GRU, LSTM, OPEN), torch.Generator().manual_seed(seed)
    if layers is None and weights == TRAINED:
        tasks = [_train(names, hidden, scale, forget_bias, init, seed, steps) for steps in (0, TRAININGS)]
        ids = torch.randint(TOKENS, (length, SEQUENCES), generator=random_numbers)
        before, after = (_measure_all(cells_of(task.layers()), task.embed(ids), seed) for task in tasks)
        return Vanishing(*after, untrained=before[0])
    cells = (
        cells_of(layers) if layers is not None else draw_cells(names, hidden, hidden, scale, forget_bias, init, seed)
    )
    inputs = {}
    for name, cell in cells.items():
        random_numbers.manual_seed(seed)
        inputs[name] = torch.randn(length, SEQUENCES, cell.input_size, dtype=torch.float64, generator=random_numbers)
    return Vanishing(*_measure_all(cells, inputs, seed), untrained={})


@lru_cache(maxsize=64)
def _train(
    names: tuple[str, ...], hidden: int, scale: float, forget_bias: float, init: str, seed: int, trainings: int
) -> MemoryTask:
    """Return the memory task after so many steps of training from random weights."""
    task = MemoryTask(MEMORY, hidden, cells=draw_cells(names, EMBEDDING, hidden, scale, forget_bias, init, seed))
    task.train(trainings)
    return task


def _measure_all(
    cells: Mapping[str, Any], inputs: Mapping[str, Tensor], seed: int
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Return the gradients, bounds, products of forget gates and shares of cells over their inputs [T, B, I]."""
    gradients, bound, forget, shares = {}, {}, {}, {}
    for name, cell in cells.items():
        found = measure(cell, inputs[name], draw_direction(cell.hidden_size, seed))
        gradients[name], shares[name] = found.norms(), found.shares()
        if isinstance(cell, nn.RNNCell):
            bound[name] = found.bound(cell)
        if isinstance(cell, nn.LSTMCell):
            forget[name] = found.forget_products(cell, inputs[name])
    return gradients, bound, forget, shares


def _relative(gradients: Mapping[str, Array]) -> dict[str, Array]:
    return {name: norms / norms[0] for name, norms in gradients.items()}


def _power(value: float) -> Word:
    if value >= 0.01:
        return f"{value:.3f}" if value < 1000 else f"{value:.2e}"
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits}e−{-int(power)}" if value > 0 else f"{value:g}"


def _run(**settings: Any) -> list[Panel]:
    own = {name: value for name, value in settings.items() if name not in ("memory", "rate")}
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
        Choice(
            "activation",
            Both("Activation of the RNN", "RNN 的激活函数"),
            BOTH,
            ((BOTH, Both("tanh and ReLU", "tanh 与 ReLU")), ("tanh", "tanh"), ("relu", "ReLU")),
        ),
        Choice(
            "weights",
            Both("Weights", "权重"),
            RANDOM,
            ((RANDOM, Both("random", "随机")), (TRAINED, Both("trained (memory task)", "训练过（记忆任务）"))),
        ),
        Slider("memory", Both("Training: steps to remember", "训练：要记住的步数"), 30, 5, 60, 5, live=True),
        Slider("rate", Both("Training: learning rate", "训练：学习率"), 0.01, 0.001, 0.1, 0.001, log=True, live=True),
    ),
    presets=(
        (Both("forget bias 0", "遗忘门偏置 0"), {"forget_bias": 0.0}),
        (Both("exploding", "梯度爆炸"), {"scale": 1.6}),
        (Both("200 steps", "200 步"), {"length": 200}),
        (Both("trained weights", "训练后的权重"), {"weights": TRAINED}),
    ),
    run=_run,
    code=CODE,
    live=_live,
    trains_on=("hidden", "forget_bias"),
)
