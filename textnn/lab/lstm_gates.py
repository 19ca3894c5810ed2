"""What the gates of an LSTM do on a sentence: forget, input and output gates, cell and hidden state, step by step.

    text -> tokens -> ids -> vectors x_t --+
                                           +-> i, f, g, o, c_t, h_t in float64, from the weights of the trained layer
    h_{t-1}, c_{t-1} ----------------------+             |
    the layer itself, in float32 -> h_n, c_t ------------+-> they must agree

The layer gives outputs and cell states; its kernels keep the gates to themselves. So the gates are computed here from
the same weights by the reference's equations (torch's, gates in the order i, f, g, o), and compared with the layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from textnn.circumstances import plain_torch
from textnn.lab import samples, small
from textnn.lab.exhibit import Choice, Exhibit, SettingError, Slider, TextField
from textnn.lab.lstm_steps import NoLSTMError, find_lstm, run_direction
from textnn.lab.panels import Both, Panel, add_note, axis, heat, lines, marked, series, span, table
from textnn.lab.result import Result
from textnn.text import Vocabulary

Array = np.ndarray[Any, np.dtype[np.float64]]

TOLERANCE = 1e-4
"""By how much float32 may differ from float64 here."""

RANGE, FORGET, NUMBER = "range", "forget", "number"
SORTS = (RANGE, FORGET, NUMBER)


@dataclass(frozen=True, eq=False)
class Gates(Result):
    """The steps of one layer of an LSTM over one sentence: L tokens, H units.

    Attributes
    ----------
    tokens : list of str
        What the layer read, ``"[PAD]"`` where the model pads; those of a backward layer stand in the text's order too.
    known : list of bool
        Whether each is in the model's vocabulary.
    input, forget, candidate, output : ndarray float64 [L, H]
        The gates i, f and o, from 0 to 1, and what may enter the cell, g, from -1 to 1.
    cell, hidden : ndarray float64 [L, H]
        c_t and h_t.
    from_input, from_state : ndarray float64 [4, L, H]
        What x_t and h_{t-1} add to the sums of i, f, g and o.
    bias : ndarray float64 [4, H]
        Both biases together.
    layer : int
        The layer, from 0.
    reverse : bool
        Whether it reads from the end.
    difference : float
        The largest difference of cell and hidden states from the layer's own, which computes in float32.
    """

    tokens: list[str]
    known: list[bool]
    input: Array
    forget: Array
    candidate: Array
    output: Array
    cell: Array
    hidden: Array
    from_input: Array
    from_state: Array
    bias: Array
    layer: int
    reverse: bool
    difference: float

    def units(self, sort: str = RANGE, count: int | None = None) -> list[int]:
        """Return numbers of units, the most telling first.

        Parameters
        ----------
        sort : {"range", "forget", "number"}, default="range"
            By how far the cell state moves over the sentence, by the mean of the forget gate, or as they come.
        count : int, optional
            How many.

        Raises
        ------
        ValueError
            If there is no such order.
        """
        if sort not in SORTS:
            raise ValueError(f"sort: expected one of {', '.join(SORTS)}, got {sort!r}")
        keys = {RANGE: np.ptp(self.cell, axis=0), FORGET: self.forget.mean(axis=0)}
        order = np.argsort(-keys[sort], kind="stable") if sort in keys else np.arange(self.cell.shape[1])
        return [int(unit) for unit in order[:count]]

    def before(self, step: int, unit: int) -> float:
        """Return the cell state of a unit before a step: 0 before the first."""
        last = step + 1 if self.reverse else step - 1
        return float(self.cell[last, unit]) if 0 <= last < len(self.tokens) else 0.0

    def work_out(self, step: int, unit: int) -> list[str]:
        """Return the step of one unit in figures, a line an equation.

        Parameters
        ----------
        step : int
            Number of the token, from 0.
        unit : int
            Number of the unit, from 0.

        Raises
        ------
        IndexError
            If there is no such step or unit.
        """
        L, H = self.cell.shape
        if not 0 <= step < L or not 0 <= unit < H:
            raise IndexError(f"expected a step below {L} and a unit below {H}, got {step} and {unit}")
        found = []
        gates = (("i", "sigmoid"), ("f", "sigmoid"), ("g", "tanh"), ("o", "sigmoid"))
        values = (self.input, self.forget, self.candidate, self.output)
        for number, ((name, function), value) in enumerate(zip(gates, values, strict=True)):
            parts = self.from_input[number, step, unit], self.from_state[number, step, unit], self.bias[number, unit]
            inside = f"{_figure(parts[0])} {_signed(parts[1])} {_signed(parts[2])}"
            result = f"{function}({_figure(sum(parts))}) = {_figure(value[step, unit])}"
            found.append(f"{name} = {function}({inside}) = {result}")
        i, f, g, o = (value[step, unit] for value in values)
        kept, c, h = self.before(step, unit), self.cell[step, unit], self.hidden[step, unit]
        found.append(
            f"c = f · c_before + i · g = {_figure(f)} · {_inner(kept)} + {_figure(i)} · {_inner(g)} = {_figure(c)}"
        )
        found.append(f"h = o · tanh(c) = {_figure(o)} · tanh({_figure(c)}) = {_figure(h)}")
        return found

    def panels(self, units: int = 12, sort: str = RANGE, step: int = 4, rank: int = 1) -> list[Panel]:
        """Return maps of the gates and states of some units, the course of one of them, and a step of it in figures.

        Parameters
        ----------
        units, sort : int, str
            How many units, and in which order; see :meth:`units`.
        step, rank : int, int
            Which token, and which of the units shown, is worked out: numbers from 1.
        """
        chosen = self.units(sort, units)
        unit, step = chosen[min(rank, len(chosen)) - 1], min(step, len(self.tokens)) - 1
        spans = [
            span(token, note="" if known else Vocabulary.UNK, chosen=place == step)
            for place, (token, known) in enumerate(zip(self.tokens, self.known, strict=True))
        ]
        note = Both(
            f"The layer itself, in float32, differs from these float64 numbers by at most {self.difference:.1e}.",
            f"该层自身以 float32 计算，与这里的 float64 数值最多相差 {self.difference:.1e}。",
        )
        largest = max(1.0, float(np.abs(self.cell).max()))
        maps = [
            (self.forget, 0.0, 1.0),
            (self.input, 0.0, 1.0),
            (self.output, 0.0, 1.0),
            (self.candidate, -1.0, 1.0),
            (self.cell, -largest, largest),
            (self.hidden, -1.0, 1.0),
        ]
        rows = [Both(f"unit {number}", f"单元 {number}") for number in chosen]
        return [
            marked(Both("What the LSTM reads", "LSTM 读到的词"), spans, note),
            *(
                heat(title, rows, self.tokens, values[:, chosen].T, low, high)
                for title, (values, low, high) in zip(_TITLES, maps, strict=True)
            ),
            self._course(unit),
            self._worked(step, unit),
        ]

    def _course(self, unit: int) -> Panel:
        """Return the gates and the cell of a unit over the sentence, as curves."""
        place = [number + 1 for number in range(len(self.tokens))]
        curves = [
            series(Both("forget gate f", "遗忘门 f"), place, self.forget[:, unit]),
            series(Both("input gate i", "输入门 i"), place, self.input[:, unit]),
            series(Both("output gate o", "输出门 o"), place, self.output[:, unit]),
            series(Both("cell state c", "细胞状态 c"), place, self.cell[:, unit], "dashed"),
        ]
        title = Both(f"Unit {unit} over the sentence", f"单元 {unit} 随句子的变化")
        return lines(title, axis(Both("token", "第几个词")), axis(Both("value", "数值")), curves)

    def _worked(self, step: int, unit: int) -> Panel:
        """Return a step of a unit as a table."""
        token = self.tokens[step]
        title = Both(
            f"Unit {unit} at “{token}”: input + state + bias", f"单元 {unit} 在“{token}”处：输入 + 状态 + 偏置"
        )
        rows = [line.split(" = ", 1) for line in self.work_out(step, unit)]
        return table(title, [Both("value", "量"), Both("worked out", "计算过程")], rows)


def gates(
    model: Any = None, text: str = "", layer: int = 0, reverse: bool = False, progress: small.Progress | None = None
) -> Gates:
    """Follow the gates of a trained model's LSTM through a sentence.

    Parameters
    ----------
    model : SentimentClassifier or LanguageModel, optional
        A fitted one with an LSTM: the architectures ``"lstm"``, ``"bilstm"`` and ``"lecture-lstm"``, or the cell
        ``"lstm"``. By default a small classifier of the laboratory's own, trained in some seconds at the first call.
    text : str, optional
        The sentence; by default one of the laboratory's.
    layer : int, default=0
        Which layer, from 0.
    reverse : bool, default=False
        Of a bidirectional layer: whether to follow the one that reads from the end.
    progress : callable, optional
        Called with a line before a small model is trained.

    Returns
    -------
    Gates
        All gates and states as arrays; ``.figure()`` draws them.

    Raises
    ------
    TypeError, ValueError
        If the model has no LSTM, or no such layer, or the text has no token.
    sklearn.exceptions.NotFittedError
        If the model has not been fitted.
    RuntimeError
        If the gates and the layer disagree.

    Examples
    --------
    >>> texts, labels = ["a good book", "not good"] * 8, ["yes", "no"] * 8
    >>> options = dict(epochs=1, hidden_size=4, random_state=0, verbose=0)
    >>> model = textnn.SentimentClassifier("lstm", validation_fraction=0.0, **options).fit(texts, labels)
    >>> shown = textnn.lab.gates(model, "not a book")
    >>> shown.tokens, shown.forget.shape
    (['not', 'a', 'book'], (3, 4))
    """
    text = text or DEFAULT[samples.CHINESE]
    if model is None:
        model = small.classifier("lstm", samples.language_of(text), progress)
    tokens, known, ids, table, lstm, run = find_lstm(model, text)
    if not 0 <= layer < lstm.num_layers:
        raise ValueError(f"layer: expected a number from 0 to {lstm.num_layers - 1}, got {layer}")
    if reverse and not lstm.bidirectional:
        raise ValueError("reverse: expected False of a layer that only reads forwards, got True")
    with plain_torch(), torch.no_grad():
        own, (h_n, _), cells = run(ids)
        x64 = table[ids].double()
        for below in range(layer):
            sides = [run_direction(lstm, x64, below, d)["hidden"] for d in range(2 if lstm.bidirectional else 1)]
            x64 = torch.cat(sides, dim=1)
        found = run_direction(lstm, x64, layer, int(reverse))
        H = lstm.hidden_size
        side = slice(H, 2 * H) if reverse else slice(0, H)
        differences = [(found["cell"] - cells[layer][:, side].double()).abs().max()]
        last = found["hidden"][0 if reverse else -1]
        differences.append((last - h_n[layer * (2 if lstm.bidirectional else 1) + reverse, 0].double()).abs().max())
        if layer == lstm.num_layers - 1:
            differences.append((found["hidden"] - own[:, side].double()).abs().max())
        difference = float(torch.stack(differences).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the gates give other states than the layer itself: they differ by {difference:.2g}")
    arrays = {name: value.cpu().numpy() for name, value in found.items()}
    return Gates(tokens, known, **arrays, layer=layer, reverse=reverse, difference=difference)


def _figure(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'} {abs(value):.3f}"


def _inner(value: float) -> str:
    return f"({_figure(value)})" if value < 0 else _figure(value)


DEFAULT = {
    samples.CHINESE: "物流很快，但是质量太差，不会再买了。",
    samples.ENGLISH: "the film was not good, but i love this book",
}


def _run(text: str, units: int, sort: str, step: int, rank: int, model: Any = None) -> list[Panel]:
    try:
        return gates(model, text).panels(units, sort, step, rank)
    except NoLSTMError:
        first, *others = gates(None, text).panels(units, sort, step, rank)
        return [add_note(first, _OTHER), *others]
    except ValueError as error:  # no token, to this model
        raise SettingError(str(error)) from error


_OTHER = Both(
    "Your model has no LSTM: this is a small one of the laboratory's own.",
    "你的模型没有 LSTM：这里用的是实验室自带的小模型。",
)


_TITLES = (
    Both("Forget gate f: what stays in the cell", "遗忘门 f：细胞中保留多少"),
    Both("Input gate i: what may enter", "输入门 i：允许写入多少"),
    Both("Output gate o: what is shown", "输出门 o：输出多少"),
    Both("Candidate g: what would enter", "候选值 g：准备写入的内容"),
    Both("Cell state c", "细胞状态 c"),
    Both("Hidden state h", "隐藏状态 h"),
)

EXHIBIT = Exhibit(
    slug="gates",
    title=Both("Gates of an LSTM", "LSTM 的门"),
    text=Both(
        "At each word an LSTM decides how much of its cell to keep (forget gate), how much of something new to add "
        "(input gate), and how much of the cell to show (output gate). Each gate is a sigmoid of a weighted sum of the "
        "word's vector and the last hidden state, so it lies between 0 and 1. The maps show the gates and states of a "
        "trained classifier of reviews on your sentence. Where the forget gate is near 1, the cell carries what it has "
        "over many words. The table below works out one step of one unit in numbers.",
        "每读一个词，LSTM 都要决定：细胞状态保留多少（遗忘门），写入多少新内容（输入门），输出多少（输出门）。"
        "每个门都是词向量与上一隐藏状态的加权和再取 sigmoid，因此取值在 0 与 1 之间。"
        "下面的热力图是一个训练好的评论分类器读你的句子时的门与状态。"
        "遗忘门接近 1 的地方，细胞状态可以跨越很多词保存下来。最下面的表格用数字演算了一个单元的一步。",
    ),
    question=Both(
        "Which unit changes the sign of its cell state at “but” or “not”, and which gate allows it?",
        "哪个单元的细胞状态在“但是”或“不”处改变了符号？是哪个门放行的？",
    ),
    controls=(
        TextField("text", Both("Sentence", "句子"), DEFAULT[samples.CHINESE], 80),
        Slider("units", Both("Units shown", "显示的单元数"), 12, 4, 32),
        Choice(
            "sort",
            Both("Order of the units", "单元的排序"),
            RANGE,
            (
                (RANGE, Both("range of the cell state", "细胞状态的变化幅度")),
                (FORGET, Both("mean forget gate", "遗忘门的平均值")),
                (NUMBER, Both("number", "编号")),
            ),
        ),
        Slider("step", Both("Word worked out", "演算第几个词"), 4, 1, 40),
        Slider("rank", Both("Unit worked out (row)", "演算第几行的单元"), 1, 1, 32),
    ),
    run=_run,
    prepare=(lambda: small.classifier("lstm", samples.CHINESE),),
    code="""
import textnn.lab

found = textnn.lab.gates(text="物流很快，但是质量太差，不会再买了。")
print(found.tokens, found.forget.shape)  # [L tokens, H units]
unit = found.units("range")[0]
print(*found.work_out(step=3, unit=unit), sep="\\n")
found.figure()
""",
    model="classifier",
    presets=(
        (Both("in English", "英文句子"), {"text": DEFAULT[samples.ENGLISH]}),
        (Both("units that keep", "善于保存的单元"), {"sort": FORGET}),
    ),
)
