"""Loss and descent: binary cross entropy from maximum likelihood, steps at three rates, softmax beside sigmoids.

n labels, k of them 1 -> likelihood p^k (1 - p)^(n - k) -> -log, a label: binary cross entropy, least at p = k / n
a weight w -> loss(w) -> slope, by autograd -> w - rate * slope, again and again
a logit for each label of one text -> softmax: one of them; sigmoids: any of them
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from textnn.lab.exhibit import Exhibit, Slider
from textnn.lab.panels import Both, Panel, Word, axis, bars, lines, series, table
from textnn.lab.result import Result

Array = np.ndarray[Any, Any]

X = (-2.0, -1.0, -0.5, 0.5, 1.0, 3.0)
Y = (0.0, 0.0, 1.0, 0.0, 1.0, 1.0)
"""The data of the loss curve: no weight gets all of it right, so that the loss has a lowest point."""

LABELS = (Both("room", "房间"), Both("price", "价格"), Both("service", "服务"))
TRUE = (1.0, 1.0, 0.0)
TEXT = Both("“The room is lovely, but far too expensive.”", "“房间很漂亮，但是价格太贵。”")
_ENDS = (-4.0, 10.0)


@dataclass(frozen=True)
class Descent(Result):
    """Losses and the way down.

    Attributes
    ----------
    probabilities, likelihood, entropy
        p, and over it the likelihood of the labels and their binary cross entropy, [199] each.
    probability, positives, labels
        The slider's p, k and n.
    weights, losses
        w, and over it the loss of the data, [281] each.
    paths
        Of each learning rate: the weights from the first to the last step, [steps + 1].
    path_losses
        Their losses.
    softmax, sigmoids
        Probabilities of the text's labels, [3] each.
    """

    probabilities: Array
    likelihood: Array
    entropy: Array
    probability: float
    positives: int
    labels: int
    weights: Array
    losses: Array
    paths: dict[str, Array]
    path_losses: dict[str, Array]
    softmax: Array
    sigmoids: Array

    def panels(self) -> list[Panel]:
        """Return the likelihood, the cross entropy, the descent, and the probabilities of a text's labels."""
        return [*self._entropies(), *self._descents(), *self._several()]

    def _entropies(self) -> list[Panel]:
        k, n, p = self.positives, self.labels, self.probability
        best = k / n
        here = [self.probability]
        across = axis(Both("p, the probability of label 1", "p：标签为 1 的概率"), low=0, high=1)
        place = torch.tensor(here, dtype=torch.float64)
        likelihood, entropy = _likelihood(place, k, n).numpy(), _entropy(place, k, n).numpy()
        point = Both("here", "当前位置")
        note = Both(
            f"Both are best at p = k/n = {best:.2f}; here p = {p:g}: likelihood {likelihood[0]:.2e}, "
            f"cross entropy {entropy[0]:.3f}.",
            f"两者都在 p = k/n = {best:.2f} 处最优；当前 p = {p:g}：似然 {likelihood[0]:.2e}，"
            f"交叉熵 {entropy[0]:.3f}。",
        )
        title = Both(
            f"Likelihood of {n} labels, {k} of them 1: pᵏ(1 − p)ⁿ⁻ᵏ",
            f"{n} 个标签（其中 {k} 个为 1）的似然：pᵏ(1 − p)ⁿ⁻ᵏ",
        )
        return [
            lines(
                title,
                across,
                axis(Both("likelihood", "似然"), low=0),
                [series("", self.probabilities, self.likelihood), series(point, here, likelihood, "points", 1)],
            ),
            lines(
                Both("−log of it, a label: binary cross entropy", "取 −log 再平均：二元交叉熵"),
                across,
                axis(Both("loss", "损失"), low=0),
                [series("", self.probabilities, self.entropy), series(point, here, entropy, "points", 1)],
                note,
            ),
        ]

    def _descents(self) -> list[Panel]:
        loss = Both("loss", "损失")
        curves = [series(Both("loss(w)", "loss(w)"), self.weights, self.losses, colour=4)]
        for place, (name, path) in enumerate(self.paths.items()):
            curves.append(series(Both(f"rate {name}", f"学习率 {name}"), path, self.path_losses[name], "points", place))
        falls = [
            series(Both(f"rate {name}", f"学习率 {name}"), np.arange(len(values)), values, colour=place)
            for place, (name, values) in enumerate(self.path_losses.items())
        ]
        return [
            lines(
                Both("One weight, three learning rates", "一个权重，三种学习率"),
                axis(Both("weight w", "权重 w"), low=_ENDS[0], high=_ENDS[1]),
                axis(loss, low=0, high=3),
                curves,
            ),
            lines(
                Both("The loss, step by step", "逐步的损失"),
                axis(Both("step", "步数")),
                axis(loss, low=0, high=3),
                falls,
            ),
        ]

    def _several(self) -> list[Panel]:
        names: list[Word] = list(LABELS)
        title = Both(f"One text, several labels: {TEXT.en}", f"一句话，多个标签：{TEXT.zh}")
        groups: list[tuple[Word, Any]] = [
            ("softmax", self.softmax),
            ("sigmoid", self.sigmoids),
            (Both("true", "真实"), TRUE),
        ]
        note = Both(
            "Softmax shares out 1 among the labels, so that two true ones take from each other; sigmoids do not.",
            "softmax 把总和 1 分给各个标签，两个都正确时会互相挤占；各用一个 sigmoid 则不会。",
        )
        sums = [["softmax", float(self.softmax.sum())], ["sigmoid", float(self.sigmoids.sum())]]
        return [
            bars(title, names, groups, axis(Both("probability", "概率"), low=0, high=1), note),
            table(Both("Sum of the three", "三者之和"), ["", Both("sum", "和")], sums),
        ]


def descent(
    probability: float = 0.5,
    positives: int = 7,
    labels: int = 10,
    start: float = -3.0,
    small: float = 0.3,
    good: float = 2.0,
    large: float = 12.0,
    steps: int = 12,
    room: float = 2.0,
    price: float = 1.5,
    service: float = -2.0,
) -> Descent:
    """Return cross entropy as it follows from likelihood, a descent at three rates, and two ways to several labels.

    Parameters
    ----------
    probability, positives, labels
        p, and how many of how many labels are 1.
    start, small, good, large, steps
        The first weight, three learning rates, and the steps of each descent. The loss is the mean binary cross entropy
        of a neuron with one weight on six points.
    room, price, service
        The logits of a text's labels.

    Returns
    -------
    Descent

    Raises
    ------
    ValueError
        If p or the labels make no sense, or there are no steps.

    Examples
    --------
    >>> found = descent(positives=3, labels=10)
    >>> float(found.probabilities[found.entropy.argmin()])
    0.3
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability: expected a number between 0 and 1, got {probability}")
    if labels < 1 or not 0 <= positives <= labels:
        raise ValueError(f"positives: expected 0 to labels, got {positives} of {labels}")
    if steps < 1:
        raise ValueError(f"steps: expected 1 or more, got {steps}")
    p = torch.arange(1, 200, dtype=torch.float64) / 200
    weights = torch.linspace(*_ENDS, 281, dtype=torch.float64)
    paths = {f"{rate:g}": _descend(start, rate, steps) for rate in (small, good, large)}
    logits = torch.tensor([room, price, service], dtype=torch.float64)
    return Descent(
        p.numpy(),
        _likelihood(p, positives, labels).numpy(),
        _entropy(p, positives, labels).numpy(),
        probability,
        positives,
        labels,
        weights.numpy(),
        _loss(weights).numpy(),
        {name: path.numpy() for name, path in paths.items()},
        {name: _loss(path).numpy() for name, path in paths.items()},
        logits.softmax(0).numpy(),
        logits.sigmoid().numpy(),
    )


def _likelihood(p: Tensor, positives: int, labels: int) -> Tensor:
    return p**positives * (1 - p) ** (labels - positives)


def _entropy(p: Tensor, positives: int, labels: int) -> Tensor:
    truth = torch.tensor([1.0] * positives + [0.0] * (labels - positives), dtype=p.dtype)
    return F.binary_cross_entropy(p[:, None].expand(-1, labels), truth.expand(len(p), -1), reduction="none").mean(1)


def _loss(weights: Tensor) -> Tensor:
    """Return the mean binary cross entropy of sigmoid(w * x) over the data, for each weight."""
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)
    logits = weights[:, None] * x
    return F.binary_cross_entropy_with_logits(logits, y.expand_as(logits), reduction="none").mean(1)


def _descend(start: float, rate: float, steps: int) -> Tensor:
    weight = torch.tensor([start], dtype=torch.float64)
    path = [weight]
    for _ in range(steps):
        weight = weight.detach().requires_grad_()
        (slope,) = torch.autograd.grad(_loss(weight).sum(), weight)
        weight = (weight - rate * slope).detach()
        path.append(weight)
    return torch.cat(path).detach()


def _run(**settings: Any) -> list[Panel]:
    settings["positives"] = min(settings["positives"], settings["labels"])
    return descent(**settings).panels()


CODE = """
import textnn

found = textnn.lab.descent(positives=7, labels=10)
print("best p:", found.probabilities[found.entropy.argmin()])
for rate, losses in found.path_losses.items():
    print(f"rate {rate:>4}: {losses[0]:.3f} -> {losses[-1]:.3f}")
"""

EXHIBIT = Exhibit(
    slug="descent",
    title=Both("Loss and descent", "损失与梯度下降"),
    text=Both(
        "The best probability for a set of labels is the one under which they are most likely. "
        "The logarithm turns the product of their probabilities into a sum; its negative mean is the cross entropy. "
        "Gradient descent follows the slope of the loss down: weight minus learning rate times slope. "
        "Too small a rate hardly moves, too large a rate jumps across the valley. "
        "Where a text can have several labels, each needs a sigmoid of its own.",
        "对一组标签来说，使它们出现的可能性最大的概率就是最好的概率。"
        "取对数把概率之积变成和，取负再平均就是交叉熵。"
        "梯度下降沿着损失的斜率往下走：权重减去学习率乘以斜率。"
        "学习率太小几乎不动，太大就会跨过谷底来回跳。"
        "一句话可以有多个标签时，每个标签要有自己的 sigmoid。",
    ),
    question=Both(
        "Why does the large rate not leave the valley for ever, as it would on a parabola?",
        "为什么学习率很大时权重没有像在抛物线上那样越跳越远？",
    ),
    controls=(
        Slider("probability", Both("p", "p"), 0.5, 0.01, 0.99, 0.01),
        Slider("positives", Both("Labels that are 1", "值为 1 的标签数"), 7, 0, 20),
        Slider("labels", Both("Labels", "标签总数"), 10, 1, 20),
        Slider("start", Both("First weight", "权重的初值"), -3.0, -4.0, 10.0, 0.5),
        Slider("small", Both("Small rate", "小学习率"), 0.3, 0.01, 1.0, 0.01, log=True),
        Slider("good", Both("Good rate", "合适的学习率"), 2.0, 0.1, 10.0, 0.1, log=True),
        Slider("large", Both("Large rate", "大学习率"), 12.0, 3.0, 100.0, 1.0, log=True),
        Slider("steps", Both("Steps", "步数"), 12, 1, 50),
        *(
            Slider(name, Both(f"Logit of “{label.en}”", f"“{label.zh}”的 logit"), logit, -5.0, 5.0, 0.1)
            for name, label, logit in zip(("room", "price", "service"), LABELS, (2.0, 1.5, -2.0), strict=True)
        ),
    ),
    run=_run,
    code=CODE,
)
