"""Convolution over the words of a sentence, with the kernels of a trained TextCNN.

    text -> tokens -> vectors [L, D] -> padding -> windows of K words -> sums [P, C] -> ReLU -> maximum over the windows
                                                   P = floor((L + 2 padding - K) / stride) + 1

Sums come from textnn's convolution over places in float64; with no padding and a stride of 1 they are those of the
model, and their maxima are compared with the features of its own layer.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from textnn.circumstances import plain_torch
from textnn.functional import embedding_text_conv_positions
from textnn.lab import samples, small
from textnn.lab.convolution_basics import smooth, two_dice
from textnn.lab.exhibit import Exhibit, SettingError, Slider, TextField
from textnn.lab.panels import Both, Panel, add_note, heat, marked, span, table
from textnn.lab.result import Result
from textnn.layers import EmbeddingTextConv
from textnn.layers.text_conv import kernel_weights
from textnn.text import Vocabulary

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-4
"""By how much a feature in float32 may differ from that in float64."""


@dataclass(frozen=True, eq=False)
class Convolution(Result):
    """A convolution over one sentence: L tokens, P windows, C channels of one kernel size K.

    Attributes
    ----------
    tokens : list of str
        Of the sentence.
    known : list of bool
        Whether each is in the model's vocabulary.
    kernel, padding, stride : int
        K, zero vectors on either side, and words between two windows.
    taps : ndarray float64 [P, K, C]
        What each word of each window adds to the sum of each channel; 0 for padding.
    bias : ndarray float64 [C]
        Of each channel.
    sums : ndarray float64 [P, C]
        All taps and the bias, before ReLU.
    pooled : ndarray float64 [C]
        The maximum of each channel after ReLU.
    winners : ndarray int64 [C]
        The window that has it, the first of several.
    effects : ndarray float64 [C]
        What the maximum of each channel adds to the score of ``label``, against the other classes.
    label : object
        The class that the model finds the most probable.
    probability : float
        Its probability.
    difference : float or None
        The largest difference of the maxima from the features of the model's own layer, in float32; None with other
        padding or stride than its own.
    """

    tokens: list[str]
    known: list[bool]
    kernel: int
    padding: int
    stride: int
    taps: Array
    bias: Array
    sums: Array
    pooled: Array
    winners: Array
    effects: Array
    label: Any
    probability: float
    difference: float | None

    @property
    def size_rule(self) -> str:
        """How many windows there are, worked out."""
        L, P, S, K = len(self.tokens), self.padding, self.stride, self.kernel
        return f"floor(({L} + 2 · {P} − {K}) / {S}) + 1 = floor({L + 2 * P - K} / {S}) + 1 = {len(self.sums)}"

    def channels(self, count: int | None = None) -> list[int]:
        """Return numbers of channels, those first that add most for the label or against it."""
        return [int(number) for number in np.argsort(-np.abs(self.effects), kind="stable")[:count]]

    def window(self, number: int) -> list[str]:
        """Return the words of a window; an empty string for padding."""
        first = number * self.stride - self.padding
        return [self.tokens[t] if 0 <= t < len(self.tokens) else "" for t in range(first, first + self.kernel)]

    def work_out(self, channel: int, window: int | None = None) -> str:
        """Return the sum of a window of a channel in figures, by default of the one that won.

        Parameters
        ----------
        channel : int
            Its number, from 0.
        window : int, optional
            Its number, from 0.
        """
        number = int(self.winners[channel]) if window is None else window
        words = [*(word or "0" for word in self.window(number)), "b"]
        values = [*self.taps[number, :, channel], self.bias[channel]]
        shown = "".join(
            f" {'−' if value < 0 else '+'} {abs(value):.3f} ({word})" for value, word in zip(values, words, strict=True)
        )
        shown = shown.removeprefix(" + ") if values[0] >= 0 else f"−{shown.removeprefix(' − ')}"
        total = self.sums[number, channel]
        return f"{shown} = {'−' if total < 0 else ''}{abs(total):.3f}; ReLU {max(total, 0.0):.3f}"

    def shares(self) -> Array:
        """Return what each token adds for the label through the windows that won, [L]: each in equal parts."""
        found = np.zeros(len(self.tokens))
        for channel, effect in enumerate(self.effects):
            first = int(self.winners[channel]) * self.stride - self.padding
            places = [t for t in range(first, first + self.kernel) if 0 <= t < len(self.tokens)]
            found[places] += effect / max(1, len(places))
        return found

    def panels(self, channels: int = 6) -> list[Panel]:
        """Return the number of windows, the channels at each of them, and the windows that won.

        Parameters
        ----------
        channels : int
            How many are shown, those first that add most for the label or against it.
        """
        chosen = self.channels(channels)
        windows = [" ".join(word or "0" for word in self.window(number)) for number in range(len(self.sums))]
        values = np.maximum(self.sums[:, chosen], 0).T
        rows = [Both(f"channel {number}", f"通道 {number}") for number in chosen]
        agree = Both("", "")
        if self.difference is not None:
            agree = Both(
                f"The model's own layer, in float32, gives the same maxima up to {self.difference:.1e}.",
                f"模型自身的层以 float32 计算，得到的最大值与此最多相差 {self.difference:.1e}。",
            )
        rule = Both("floor((words + 2 · padding − kernel) / stride) + 1", "⌊(词数 + 2 · 填充 − 核宽) / 步长⌋ + 1")
        won = [
            [number, windows[self.winners[number]], self.work_out(number), round(float(self.effects[number]), 3)]
            for number in chosen
        ]
        return [
            table(
                Both("How many windows", "有多少个窗口"),
                [Both("rule", "公式"), Both("here", "此处")],
                [[rule, self.size_rule]],
                note=Both("In the windows below, 0 is a padding vector.", "下面的窗口中，0 表示填充的零向量。"),
            ),
            heat(
                Both("Each channel at each window, after ReLU", "各通道在各窗口上的值（ReLU 之后）"),
                *(rows, windows, values, 0, max(float(values.max()), 1e-9), agree),
            ),
            self._marked(chosen[0]),
            table(
                Both("The window that won in each channel", "每个通道选中的窗口"),
                [Both("channel", "通道"), Both("window", "窗口"), Both("worked out", "计算过程"), Both("adds", "贡献")],
                won,
            ),
        ]

    def _marked(self, channel: int) -> Panel:
        """Return the sentence with what each word adds, and the window that won in a channel."""
        shares = self.shares()
        largest = max(float(np.abs(shares).max()), 1e-9)
        first = int(self.winners[channel]) * self.stride - self.padding
        spans = [
            span(token, value / largest, "" if known else Vocabulary.UNK, first <= place < first + self.kernel)
            for place, (token, known, value) in enumerate(zip(self.tokens, self.known, shares, strict=True))
        ]
        answer = f"{self.label} ({self.probability:.2f})"
        title = Both(f"What the windows that won add for “{answer}”", f"最大池化选中的窗口对“{answer}”的贡献")
        note = Both(f"Marked: the window that won in channel {channel}.", f"标出的是通道 {channel} 选中的窗口。")
        return marked(title, spans, note)


def convolution(
    model: Any = None,
    text: str = "",
    kernel: int = 2,
    padding: int = 0,
    stride: int = 1,
    progress: small.Progress | None = None,
) -> Convolution:
    """Slide the kernels of a trained TextCNN over a sentence.

    Parameters
    ----------
    model : SentimentClassifier, optional
        A fitted one of the architecture ``"textcnn"``. By default a small one of the laboratory's own, with kernels of
        1 to 5 words, trained in some seconds at the first call.
    text : str, optional
        The sentence; by default one of the laboratory's.
    kernel : int, default=2
        Words of a window; one of the model's kernel sizes.
    padding : int, default=0
        Zero vectors on either side of the sentence.
    stride : int, default=1
        Words between the beginnings of two windows.
    progress : callable, optional
        Called with a line before a small model is trained.

    Returns
    -------
    Convolution
        Sums of all windows, maxima, and the windows that won; ``.figure()`` draws them.

    Raises
    ------
    TypeError, ValueError
        If the model has no such convolution, a number is out of its range, or the text has too few tokens.
    sklearn.exceptions.NotFittedError
        If the model has not been fitted.
    RuntimeError
        If the maxima and the model's own features disagree.

    Examples
    --------
    >>> texts, labels = ["a good book", "not good"] * 8, ["yes", "no"] * 8
    >>> options = dict(epochs=1, channels=4, random_state=0, verbose=0)
    >>> model = textnn.SentimentClassifier("textcnn", validation_fraction=0.0, **options).fit(texts, labels)
    >>> found = textnn.lab.convolution(model, "not a good book", kernel=2, padding=1, stride=2)
    >>> found.size_rule
    'floor((4 + 2 · 1 − 2) / 2) + 1 = floor(4 / 2) + 1 = 3'
    >>> found.window(0), found.window(1)
    (['', 'not'], ['a', 'good'])
    """
    text = text or DEFAULT
    if model is None:
        model = small.classifier("textcnn", samples.language_of(text), progress)
    state, encoder = _parts(model)
    sizes = _sizes(encoder)
    if kernel not in sizes:
        raise ValueError(f"kernel: expected one of the model's sizes, {', '.join(map(str, sizes))}, got {kernel}")
    if padding < 0 or stride < 1:
        raise ValueError(f"padding and stride: expected numbers from 0 and from 1, got {padding} and {stride}")
    tokens = state.tokenizer(text)[: state.options["max_length"]]
    L, which = len(tokens), sizes.index(kernel)
    if not L or L + 2 * padding < kernel:
        raise ValueError(
            f"text: expected at least {max(1, kernel - 2 * padding)} tokens for a kernel of {kernel} with a padding of "
            f"{padding}, got {L}"
        )
    ids = torch.tensor(state.vocabulary.encode(tokens))
    with plain_torch(), torch.no_grad():
        weights, biases = kernel_weights(encoder.convs)
        w = weights[which].detach().cpu().double()  # [C, D, K]
        C = w.shape[0]
        bias = w.new_zeros(C) if biases is None else biases[which].detach().cpu().double()
        vectors = encoder.weight.detach().cpu().double()
        sums, _ = embedding_text_conv_positions(
            ids[None], vectors, [w], [bias], padding=padding, stride=stride, activation="identity"
        )
        sums = sums[0]
        padded = torch.nn.functional.pad(vectors[ids], (0, 0, padding, padding))  # [L + 2 padding, D]
        taps = torch.stack(
            [torch.stack([padded[p * stride + k] @ w[:, :, k].T for k in range(kernel)]) for p in range(len(sums))]
        )
        pooled, winners = sums.relu().max(dim=0)
        difference = None
        if padding == 0 and stride == 1:
            own = encoder(ids.to(encoder.weight.device), offsets=[0])[0, which * C : (which + 1) * C].cpu().double()
            difference = float((own - pooled).abs().max())
            if not difference <= TOLERANCE:
                raise RuntimeError(f"the maxima differ from the model's own features by {difference:.2g}")
    chances = model.predict_proba([text])[0]
    best = int(chances.argmax())
    effects = pooled.numpy() * _direction(state.model.output.weight, best, len(chances))[which * C : (which + 1) * C]
    known = [id_ != Vocabulary.UNK_ID for id_ in ids.tolist()]
    arrays = (taps.numpy(), bias.numpy(), sums.numpy(), pooled.numpy(), winners.numpy(), effects)
    label = model.classes_[best]
    label = label.item() if hasattr(label, "item") else label
    return Convolution(tokens, known, kernel, padding, stride, *arrays, label, float(chances[best]), difference)


def _parts(model: Any) -> tuple[Any, EmbeddingTextConv]:
    from sklearn.utils.validation import check_is_fitted

    if not hasattr(model, "predict_proba") or not hasattr(model, "get_params"):
        raise TypeError(f"model: expected a SentimentClassifier, got {type(model).__name__}")
    check_is_fitted(model, "state_")
    encoder = getattr(model.state_.model, "encoder", None)
    if model.state_.model.name != "textcnn" or not isinstance(encoder, EmbeddingTextConv):
        raise ValueError(f"model: expected the architecture 'textcnn', got {model.state_.model.name!r}")
    return model.state_, encoder


def _sizes(encoder: EmbeddingTextConv) -> list[int]:
    return [int(weight.shape[2]) for weight in kernel_weights(encoder.convs)[0]]


def _direction(weight: torch.Tensor, best: int, classes: int) -> Array:
    """Return the weights [F] of the best class against the mean of the others; of a single output its own."""
    rows = weight.detach().cpu().double().numpy()
    if len(rows) == 1:
        return np.asarray(rows[0] if best == classes - 1 else -rows[0])
    others = np.delete(rows, best, axis=0).mean(axis=0)
    return np.asarray(rows[best] - others)


DEFAULT = "物流很快，但是质量太差，不会再买了。"


def _run(
    loaded: int, noise: float, text: str, kernel: int, padding: int, stride: int, channels: int, model: Any = None
) -> list[Panel]:
    found, own = _fitting(model, text, kernel, padding, stride)
    first, *others = found.panels(channels)
    if model is not None and not own:
        first = add_note(first, _OTHER)
    return [*two_dice(second=[1, 1, 1, 1, 1, loaded]).panels(), *smooth(noise).panels(), first, *others]


def _fitting(model: Any, text: str, kernel: int, padding: int, stride: int) -> tuple[Convolution, bool]:
    """Convolve with the user's model if it is a TextCNN that has this kernel size, else with the laboratory's own.

    A sentence that is too short for the kernel gets the widest one that it has room for. The second of what is returned
    is whether it was the user's model.
    """
    sizes: list[int] = []
    if model is not None:
        with suppress(TypeError, ValueError):
            sizes = _sizes(_parts(model)[1])
    try:
        return convolution(model if kernel in sizes else None, text, kernel, padding, stride), kernel in sizes
    except ValueError as error:
        if kernel == 1:
            raise SettingError(str(error)) from error
    return _fitting(model, text, kernel - 1, padding, stride)


_OTHER = Both(
    "Your model is no TextCNN with this kernel size: this is a small one of the laboratory's own.",
    "你的模型不是带有该核宽的 TextCNN：这里用的是实验室自带的小模型。",
)


EXHIBIT = Exhibit(
    slug="convolution",
    title=Both("Convolution", "卷积"),
    text=Both(
        "The chances of the sum of two dice are a convolution: each is a sum of products along a window that slides. A "
        "mean over the 3x3 points around each point of a picture is one, too, and removes noise. In text the "
        "window covers whole words: a kernel of K words has a weight for each value of their K vectors and gives one "
        "sum a window, and each such kernel makes one channel. Max pooling keeps the largest sum of each channel, so a "
        "phrase counts wherever it stands. The kernels here are those of a trained classifier of reviews.",
        "两个骰子点数之和的概率就是一个卷积：窗口滑动，每个位置是若干乘积之和。"
        "图像中每个点取周围 3×3 个点的均值，也是卷积，它能去掉噪声。"
        "在文本中，窗口覆盖整个词：宽为 K 的卷积核对 K 个词向量的每个分量各有一个权重，"
        "每个窗口得到一个和，每个这样的核产生一个通道。"
        "最大池化只保留每个通道的最大值，因此一个短语出现在哪里都算数。这里的卷积核来自一个训练好的评论分类器。",
    ),
    question=Both(
        "Work it out before you move the sliders: how many windows does a kernel of 3 have on your sentence with a "
        "padding of 1 and a stride of 2?",
        "先算一算，再拖动滑块验证：宽为 3 的卷积核，填充为 1、步长为 2 时，在你的句子上有多少个窗口？",
    ),
    controls=(
        Slider("loaded", Both("Second die: weight of the six", "第二个骰子：六点的权重"), 1, 0, 10),
        Slider("noise", Both("Noise of the picture", "图像噪声"), 0.3, 0.0, 1.0, 0.05),
        TextField("text", Both("Sentence", "句子"), DEFAULT, 80),
        Slider("kernel", Both("Words of the kernel", "卷积核宽度（词）"), 2, 1, 5),
        Slider("padding", Both("Padding", "填充"), 0, 0, 4),
        Slider("stride", Both("Stride", "步长"), 1, 1, 4),
        Slider("channels", Both("Channels shown", "显示的通道数"), 6, 1, 16),
    ),
    run=_run,
    prepare=(lambda: small.classifier("textcnn", samples.CHINESE),),
    code="""
import textnn.lab

print(36 * textnn.lab.two_dice().total)  # ways to 2, 3, ..., 12
textnn.lab.smooth(noise=0.3).figure()
found = textnn.lab.convolution(text="物流很快，但是质量太差", kernel=2, padding=1)
print(found.size_rule, found.sums.shape)  # [P windows, C channels]
for channel in found.channels(3):
    print(found.window(found.winners[channel]), found.work_out(channel))
found.figure()
""",
    model="classifier",
    presets=(
        (Both("padding and stride", "填充与步长"), {"kernel": 3, "padding": 1, "stride": 2}),
        (Both("a loaded die", "灌铅的骰子"), {"loaded": 6}),
        (Both("in English", "英文句子"), {"text": "the film was not good at all, but i love this book"}),
    ),
)
