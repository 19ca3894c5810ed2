"""Neurons: a weighted sum, why two linear layers are one, activations and their slopes; and a playground.

x -> w · x + b -> activation -> the next layer
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from textnn.lab.exhibit import ROUNDS, Choice, Exhibit, Slider
from textnn.lab.panels import Both, Panel, Word, axis, edge, graph, lines, node, series, table
from textnn.lab.result import Result
from textnn.lab.small_network import ACTIVATIONS, DATA, FEATURES, Learner

Array = np.ndarray[Any, Any]

HOUSE = (Both("area, m²", "面积（平方米）"), Both("age, years", "房龄（年）"))
SLOPED = ("sigmoid", "tanh", "relu")
_REACH = 6.0


@dataclass(frozen=True)
class Neurons(Result):
    """A neuron, two layers, and three activations.

    Attributes
    ----------
    inputs, weights
        x and w of the house, [2] each.
    bias, price
        b, and w · x + b.
    places
        Where the functions below are drawn, [201].
    two, one, bent
        Over ``places``: two linear layers in a row; the single layer with the product of their weights; the two with
        ReLU between them.
    values, slopes
        Of each activation over ``places``, by autograd.
    z, at
        The place of the slider, and of each activation its value and slope there.
    """

    inputs: Array
    weights: Array
    bias: float
    price: float
    places: Array
    two: Array
    one: Array
    bent: Array
    values: dict[str, Array]
    slopes: dict[str, Array]
    z: float
    at: dict[str, tuple[float, float]]

    def panels(self) -> list[Panel]:
        """Return the neuron, the activations and the two layers."""
        curves = [
            series(name, self.places, values, colour=place) for place, (name, values) in enumerate(self.values.items())
        ]
        for place, (name, slopes) in enumerate(self.slopes.items()):
            curves.append(series(Both(f"slope of {name}", f"{name} 的斜率"), self.places, slopes, "dashed", place))
        for place, (value, slope) in enumerate(self.at.values()):
            curves.append(series("", [self.z, self.z], [value, slope], "points", place))
        at = ", ".join(f"{name} {value:.3f}, {slope:.3f}" for name, (value, slope) in self.at.items())
        return [
            self._graph(),
            self._sum(),
            lines(
                Both("Activations and their slopes", "激活函数及其斜率"),
                axis("z"),
                axis("", low=-1.2, high=2.2),
                curves,
                Both(
                    f"At z = {self.z:g}, value and slope: {at}. No slope of sigmoid is above 1/4.",
                    f"在 z = {self.z:g} 处的值与斜率：{at}。sigmoid 的斜率最大只有 1/4。",
                ),
            ),
            lines(
                Both("Two linear layers are one", "两个线性层等于一个"),
                axis("x"),
                axis("y"),
                [
                    series(Both("W₂(W₁x + b₁) + b₂", "W₂(W₁x + b₁) + b₂"), self.places, self.two),
                    series(Both("one layer, W₂W₁", "一个层，W₂W₁"), self.places, self.one, "dashed", 7),
                    series(Both("with ReLU between them", "中间加上 ReLU"), self.places, self.bent, colour=1),
                ],
            ),
        ]

    def _graph(self) -> Panel:
        nodes = [
            node(f"x{place}", 0, place, _named(name, x), "input") for place, (name, x) in enumerate(self._inputs())
        ]
        nodes += [node("b", 0, 2, _named(Both("bias", "偏置"), self.bias), "input")]
        nodes += [
            node("sum", 1.5, 1, "Σ", "state"),
            node("price", 2.7, 1, _named(Both("price", "价格"), self.price), "output"),
        ]
        edges = [
            edge(f"x{place}", "sum", f"× {weight:g}".replace("-", "−"), "shared")
            for place, weight in enumerate(self.weights)
        ]
        edges += [edge("b", "sum", "+"), edge("sum", "price")]
        return graph(Both("A neuron prices a house", "一个神经元给房子估价"), nodes, edges)

    def _sum(self) -> Panel:
        rows: list[list[Any]] = [
            [name, x, weight, x * weight] for (name, x), weight in zip(self._inputs(), self.weights, strict=True)
        ]
        rows += [[Both("bias", "偏置"), "", "", self.bias], [Both("sum: the price", "和：价格"), "", "", self.price]]
        columns: list[Word] = ["", Both("input x", "输入 x"), Both("weight w", "权重 w"), "w · x"]
        note = Both("In units of 10,000 yuan.", "单位：万元。")
        return table(Both("The sum", "求和"), columns, rows, [len(rows) - 1], note)

    def _inputs(self) -> list[tuple[Both, float]]:
        return [(name, float(x)) for name, x in zip(HOUSE, self.inputs, strict=True)]


def neurons(
    area: float = 90.0,
    age: float = 10.0,
    weight_area: float = 1.2,
    weight_age: float = -0.8,
    bias: float = 20.0,
    z: float = 1.0,
    hidden: int = 4,
    seed: int = 0,
) -> Neurons:
    """Return a neuron at work, the activations with their slopes, and what two linear layers come to.

    Parameters
    ----------
    area, age, weight_area, weight_age, bias
        A house, and the neuron that prices it: ``weight_area * area + weight_age * age + bias``.
    z
        Where the activations' values and slopes are read.
    hidden
        Units between the two linear layers.
    seed
        Of their weights.

    Returns
    -------
    Neurons

    Examples
    --------
    >>> found = neurons(area=100, age=0, weight_area=2, bias=5)
    >>> found.price
    205.0
    >>> bool(abs(found.two - found.one).max() < 1e-12)
    True
    """
    neuron = nn.Linear(2, 1, dtype=torch.float64)
    inputs = torch.tensor([area, age], dtype=torch.float64)
    with torch.no_grad():
        neuron.weight.copy_(torch.tensor([[weight_area, weight_age]], dtype=torch.float64))
        neuron.bias.fill_(bias)
        price = neuron(inputs).item()
    places = torch.linspace(-_REACH, _REACH, 201, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        first, second = (nn.Linear(*sizes, dtype=torch.float64) for sizes in ((1, hidden), (hidden, 1)))
        first.bias.mul_(2)
        inner = first(places[:, None])
        two, bent = second(inner)[:, 0], second(inner.relu())[:, 0]
        weight, offset = second.weight @ first.weight, second.weight @ first.bias + second.bias
        one = (places[:, None] @ weight.T + offset)[:, 0]
    drawn = {name: _with_slope(name, places) for name in SLOPED}
    here = {name: _with_slope(name, torch.tensor([z], dtype=torch.float64)) for name in SLOPED}
    return Neurons(
        inputs.numpy(),
        neuron.weight.detach()[0].numpy(),
        float(bias),
        price,
        places.numpy(),
        two.numpy(),
        one.numpy(),
        bent.numpy(),
        {name: value for name, (value, _) in drawn.items()},
        {name: slope for name, (_, slope) in drawn.items()},
        float(z),
        {name: (value.item(), slope.item()) for name, (value, slope) in here.items()},
    )


def _with_slope(name: str, places: torch.Tensor) -> tuple[Array, Array]:
    places = places.clone().requires_grad_()
    values = ACTIVATIONS[name](places)
    (slopes,) = torch.autograd.grad(values.sum(), places)
    return values.detach().numpy(), slopes.numpy()


def _named(name: Both, value: float) -> Both:
    return Both(f"{name.en}: {value:g}", f"{name.zh}：{value:g}")


_PLAYGROUND = ("data", "noise", "features", "layers", "units", "activation", "rate")


def _run(**settings: Any) -> list[Panel]:
    return neurons(**{name: value for name, value in settings.items() if name not in _PLAYGROUND}).panels()


def _live(**settings: Any) -> Iterator[list[Panel]]:
    learner = Learner(**{name: settings[name] for name in _PLAYGROUND})
    for _ in range(ROUNDS):
        yield learner.result().panels()
        learner.train(10)
    yield learner.result().panels()


CODE = """
import textnn

house = textnn.lab.neurons(area=90, age=10)
print(house.price, house.at["sigmoid"])

for activation in ("none", "tanh"):
    found = textnn.lab.playground("circles", activation=activation, steps=200)
    print(activation, f"{found.accuracy:.0%}")
"""

_DATA = {
    "circles": Both("circles", "圆环"),
    "spirals": Both("spirals", "螺旋"),
    "xor": Both("xor", "异或"),
    "blobs": Both("blobs", "两团"),
}
_FEATURES = {
    "plain": Both("x, y", "x、y"),
    "squares": Both("x, y, x², y², xy", "x、y、x²、y²、xy"),
    "waves": Both("x, y, sin 3x, sin 3y", "x、y、sin 3x、sin 3y"),
}

EXHIBIT = Exhibit(
    slug="neurons",
    title=Both("Neurons", "神经元"),
    text=Both(
        "A neuron multiplies its inputs by weights, adds them up with a bias, and sends the sum through an activation. "
        "Without the activation any number of layers is one linear layer, which can only draw a straight border. "
        "Learning needs the activation's slope: where it is flat, nothing can be learned. "
        "The playground trains a small network on two classes of points. "
        "The colour of a place is the class that the network takes it for.",
        "神经元把输入乘以权重，加上偏置求和，再通过激活函数输出。"
        "没有激活函数，再多的层也只相当于一个线性层，只能画出一条直线边界。"
        "学习要靠激活函数的斜率：平坦的地方学不到东西。"
        "下面的小网络学习区分两类点。"
        "平面上的颜色表示网络把该处归为哪一类。",
    ),
    question=Both(
        "Which data can a network without a hidden layer separate, and which features let it separate the circles?",
        "没有隐藏层的网络能分开哪种数据？给它什么特征就能分开圆环？",
    ),
    controls=(
        Slider("area", Both("Area, m²", "面积（平方米）"), 90.0, 20.0, 200.0, 5),
        Slider("age", Both("Age, years", "房龄（年）"), 10.0, 0.0, 50.0, 1),
        Slider("weight_area", Both("Weight of the area", "面积的权重"), 1.2, -1.0, 3.0, 0.1),
        Slider("weight_age", Both("Weight of the age", "房龄的权重"), -0.8, -3.0, 3.0, 0.1),
        Slider("bias", Both("Bias", "偏置"), 20.0, -50.0, 100.0, 5),
        Slider("z", Both("z, where slopes are read", "z：读取斜率的位置"), 1.0, -6.0, 6.0, 0.1),
        Slider("hidden", Both("Units between the two layers", "两层之间的单元数"), 4, 1, 16),
        Choice("data", Both("Data", "数据"), "circles", tuple((name, _DATA[name]) for name in DATA), live=True),
        Choice(
            "features",
            Both("Features", "特征"),
            "plain",
            tuple((name, _FEATURES[name]) for name in FEATURES),
            live=True,
        ),
        Choice(
            "activation",
            Both("Activation", "激活函数"),
            "tanh",
            tuple((name, Both("none", "无") if name == "none" else name) for name in ACTIVATIONS),
            live=True,
        ),
        Slider("layers", Both("Hidden layers", "隐藏层数"), 1, 0, 4, live=True),
        Slider("units", Both("Units of a layer", "每层单元数"), 6, 1, 16, live=True),
        Slider("noise", Both("Noise", "噪声"), 0.05, 0.0, 0.3, 0.01, live=True),
        Slider("rate", Both("Learning rate", "学习率"), 0.03, 0.001, 1.0, 0.001, log=True, live=True),
    ),
    presets=(
        (Both("a line is not enough", "一条直线不够"), {"data": "circles", "layers": 0, "features": "plain"}),
        (Both("better features", "换更好的特征"), {"data": "circles", "layers": 0, "features": "squares"}),
        (Both("a hidden layer", "加一个隐藏层"), {"data": "xor", "layers": 1, "units": 6, "activation": "tanh"}),
        (
            Both("spirals", "螺旋"),
            {"data": "spirals", "layers": 3, "units": 16, "activation": "tanh", "noise": 0.0, "rate": 0.01},
        ),
    ),
    run=_run,
    code=CODE,
    live=_live,
)
