"""From words to numbers: a sentence through the tokenizers, and the recipe of the lecture with its five epochs.

    text -> tokenizer -> tokens -> vocabulary by falling frequency, [PAD] = 0, [UNK] = 1 -> ids
         -> cut or padded with 0 to length 10 -> Embedding(V, 100) -> LSTM, 2 layers, 256 units -> its last output
         -> Linear(256, 100) -> Linear(100, 2) -> cross entropy, Adam, rate 0.01, batches of 128, 5 epochs

The network is the package's own ``lecture-lstm``; its training stands here as the lecture writes it down, a loop.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from textnn.circumstances import plain_torch
from textnn.demo import find_jieba
from textnn.lab import samples
from textnn.lab.exhibit import Exhibit, Slider, TextField
from textnn.lab.panels import Both, Panel, axis, lines, marked, series, span, table
from textnn.lab.result import Result
from textnn.lab.small import kept
from textnn.models.base import cut_or_pad
from textnn.models.recurrent import LectureLSTM
from textnn.optim import Adam
from textnn.text import Tokenizer, Vocabulary, make_tokenizer

Array = np.ndarray[Any, np.dtype[Any]]

LENGTH = 10
"""Ids of a text in the recipe."""

EPOCHS, BATCH, RATE = 5, 128, 0.01

NAMES = ("jieba", "rjieba", "unicode", "mixed", "char", "whitespace")
"""The tokenizers, in the order of the exhibit."""

_NEEDS = {"rjieba": "rjieba", "jieba": "jieba", "mixed": "jieba"}


@dataclass(frozen=True, eq=False)
class Reading:
    """What one tokenizer makes of a sentence.

    Attributes
    ----------
    tokenizer : str
        Its name.
    tokens : list of str
        Of the sentence.
    ids : list of int
        Of the tokens, in the vocabulary that this tokenizer makes of the texts.
    padded : ndarray int64 [length]
        The first ids, and 0 behind them where there are fewer.
    vocabulary_size : int
        V, ``[PAD]`` and ``[UNK]`` included.
    """

    tokenizer: str
    tokens: list[str]
    ids: list[int]
    padded: Array
    vocabulary_size: int

    @property
    def unknown(self) -> list[str]:
        """The tokens that the texts do not have."""
        return [token for token, id_ in zip(self.tokens, self.ids, strict=True) if id_ == Vocabulary.UNK_ID]


@dataclass(frozen=True, eq=False)
class Words(Result):
    """A sentence as tokens and as numbers.

    Attributes
    ----------
    text : str
        The sentence.
    readings : list of Reading
        One a tokenizer.
    frequent : list of (str, int)
        The most frequent tokens of the texts by the first tokenizer, with their counts, the first of which has the
        id 2.
    texts : int
        How many texts the vocabularies are made of.
    """

    text: str
    readings: list[Reading]
    frequent: list[tuple[str, int]]
    texts: int

    def panels(self) -> list[Panel]:
        """Return the tokens of each tokenizer, the ids of the first in the recipe, and the head of its vocabulary."""
        first = self.readings[0]
        length = len(first.padded)
        rows = [
            [one.tokenizer, " | ".join(one.tokens), len(one.tokens), len(one.unknown), one.vocabulary_size]
            for one in self.readings
        ]
        spans = []
        for place, (token, id_) in enumerate(zip(first.tokens, first.ids, strict=True)):
            note = f"{id_} {Vocabulary.UNK}" if id_ == Vocabulary.UNK_ID else str(id_)
            spans.append(span(token, -1.0 if id_ == Vocabulary.UNK_ID else 0.0, note, place < length))
        spans += [span(Vocabulary.PAD, 0.0, "0", True)] * (length - len(first.tokens))
        kept_tokens = [*first.tokens[:length], *[Vocabulary.PAD] * (length - len(first.tokens))]
        unknown = [Vocabulary.UNK if id_ == Vocabulary.UNK_ID else "" for id_ in first.padded]
        return [
            table(
                Both("One sentence, several tokenizers", "同一句话，不同的分词器"),
                [
                    Both("tokenizer", "分词器"),
                    Both("tokens", "词"),
                    Both("tokens", "词数"),
                    Both("unknown", "未登录词数"),
                    Both("vocabulary", "词表大小"),
                ],
                rows,
                chosen=[0],
                note=Both(f"Vocabularies are made of {self.texts:,} reviews.", f"词表由 {self.texts:,} 条评论得到。"),
            ),
            marked(
                Both(f"The ids by {first.tokenizer}", f"{first.tokenizer} 分词后的编号"),
                spans,
                Both(
                    f"Framed: the {length} ids that the recipe keeps. {Vocabulary.UNK} is a word that no review has.",
                    f"加框的是配方保留的 {length} 个编号。{Vocabulary.UNK} 是评论中没有出现过的词。",
                ),
            ),
            table(
                Both(f"Cut or padded to length {length}", f"截断或填充到长度 {length}"),
                [str(place) for place in range(1, length + 1)],
                [kept_tokens, [int(id_) for id_ in first.padded], unknown],
                chosen=[1],
            ),
            table(
                Both("The head of the vocabulary: by falling frequency", "词表开头：按词频从高到低"),
                [Both("id", "编号"), Both("token", "词"), Both("count", "次数")],
                [
                    [0, Vocabulary.PAD, Both("padding", "填充")],
                    [1, Vocabulary.UNK, Both("everything else", "其余所有词")],
                    *([number + 2, token, count] for number, (token, count) in enumerate(self.frequent)),
                ],
            ),
        ]


def words(text: str = "", texts: Sequence[str] | None = None, length: int = LENGTH) -> Words:
    """Turn a sentence into numbers with every tokenizer that is installed.

    Parameters
    ----------
    text : str, optional
        The sentence; by default one of the laboratory's.
    texts : sequence of str, optional
        What the vocabularies are made of, by falling frequency with ``[PAD]`` = 0 and ``[UNK]`` = 1; by default
        reviews.
    length : int, default=10
        Ids to cut or pad to.

    Returns
    -------
    Words
        Tokens and ids of each tokenizer; ``.figure()`` draws them.

    Raises
    ------
    ValueError
        If there is no text, or ``length`` is below 1.

    Examples
    --------
    >>> found = textnn.lab.words("不 好 吃", texts=["好 吃", "好 看"])
    >>> by_spaces = found.readings[-1]
    >>> by_spaces.tokens, by_spaces.ids, by_spaces.padded.tolist()
    (['不', '好', '吃'], [1, 2, 3], [1, 2, 3, 0, 0, 0, 0, 0, 0, 0])
    """
    text = text or DEFAULT
    if length < 1:
        raise ValueError(f"length: expected at least 1, got {length}")
    if texts is not None and not texts:
        raise ValueError("texts: expected at least one, got none")
    language = samples.language_of(text)
    source = list(texts) if texts is not None else samples.reviews(language)[0]
    names = [name for name in NAMES if importlib.util.find_spec(_NEEDS.get(name, "textnn"))]
    readings, frequent = [], list[tuple[str, int]]()
    for name in names if language == samples.CHINESE else ["unicode", *(name for name in names if name != "unicode")]:
        tokenizer = _tokenizer(name)

        def count(tokenizer: Tokenizer = tokenizer) -> tuple[Vocabulary, list[tuple[str, int]]]:
            lists = list(map(tokenizer, source))
            vocabulary = Vocabulary.build(lists)
            head = vocabulary.tokens[2:12]
            return vocabulary, [(token, sum(tokens.count(token) for tokens in lists)) for token in head]

        if texts is None:
            vocabulary, head = kept(("vocabulary", name, language), f"counting the words of {name}", count, None)
        else:
            vocabulary, head = count()
        tokens = tokenizer(text)
        ids = vocabulary.encode(tokens)
        padded = cut_or_pad(torch.tensor(ids, dtype=torch.int64), torch.zeros(1, dtype=torch.int64), length)[0]
        readings.append(Reading(name, tokens, ids, padded.numpy(), len(vocabulary)))
        frequent = frequent or head
    return Words(text, readings, frequent, len(source))


@cache
def _tokenizer(name: str) -> Tokenizer:
    """Return a tokenizer, made once: jieba reads its dictionary each time."""
    return make_tokenizer(name)


@dataclass(frozen=True, eq=False)
class Course(Result):
    """The course of the recipe's training so far.

    Attributes
    ----------
    batches : int
        Batches of an epoch.
    losses : ndarray float64 [steps]
        The cross entropy of each batch, before its step.
    epoch_losses, epoch_accuracies : ndarray float64 [epochs]
        Of each finished epoch: means over the training batches as they were seen.
    vocabulary_size : int
        V.
    probability : float or None
        The probability that the sentence is positive, after the last step.
    """

    batches: int
    losses: Array
    epoch_losses: Array
    epoch_accuracies: Array
    vocabulary_size: int
    probability: float | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs are over."""
        return len(self.epoch_losses) == EPOCHS

    def panels(self) -> list[Panel]:
        """Return the loss of each batch, and a table of the epochs."""
        place = (np.arange(len(self.losses)) + 1) / self.batches
        curves = [series(Both("loss of a batch", "每个批次的损失"), place, self.losses)]
        if len(self.epoch_losses):
            ends = np.arange(len(self.epoch_losses)) + 1
            curves.append(series(Both("mean of the epoch", "整个轮次的平均"), ends, self.epoch_losses, "points"))
        epochs = enumerate(zip(self.epoch_losses, self.epoch_accuracies, strict=True), 1)
        rows = [[number, round(float(loss), 4), round(float(accuracy), 4)] for number, (loss, accuracy) in epochs]
        note: Any = ""
        if self.probability is not None:
            chance = f"{self.probability:.3f}"
            note = Both(f"Your sentence is positive with probability {chance}.", f"你的句子为正面的概率是 {chance}。")
        return [
            lines(
                Both("The recipe as it trains", "配方的训练过程"),
                axis(Both("epochs", "轮次"), low=0, high=EPOCHS),
                axis(Both("cross entropy", "交叉熵"), low=0),
                curves,
                note,
            ),
            table(
                Both("Each epoch, on the training batches as they were seen", "每个轮次在训练批次上的表现"),
                [Both("epoch", "轮次"), Both("loss", "损失"), Both("accuracy", "准确率")],
                rows,
            ),
        ]


def train_recipe(
    texts: Sequence[str] | None = None,
    labels: Sequence[Any] | None = None,
    text: str = "",
    count: int = 2000,
    every: int = 1,
    seed: int = 0,
) -> Iterator[Course]:
    """Train the recipe of the lecture, to the letter, and yield its course as it goes.

    Parameters
    ----------
    texts, labels : sequence of str and sequence, optional
        What to train on, labels of two kinds, the second of which in order counts as positive; by default reviews.
    text : str, optional
        A sentence to be classified on the way.
    count : int, default=2000
        How many of the texts to take.
    every : int, default=1
        Batches between two courses; one comes at the end of each epoch anyway.
    seed : int, default=0
        Of the first weights and of the order of the texts.

    Yields
    ------
    Course
        Losses and accuracies so far.

    Raises
    ------
    ValueError
        If there are not two labels, or numbers are below 1.

    Examples
    --------
    >>> texts, labels = ["很 好", "很 差"] * 64, ["good", "bad"] * 64
    >>> *_, last = textnn.lab.train_recipe(texts, labels)
    >>> last.finished, len(last.losses)
    (True, 5)
    """
    if count < 1 or every < 1:
        raise ValueError(f"count and every: expected numbers from 1, got {count} and {every}")
    if texts is None or labels is None:
        texts, labels = samples.reviews(samples.language_of(text or DEFAULT))
    texts, labels = list(texts[:count]), list(labels[:count])
    kinds = sorted(set(labels))
    if len(kinds) != 2 or len(texts) != len(labels):
        raise ValueError(f"labels: expected one a text, of two kinds, got {len(labels)} of {len(kinds)} kinds")
    chinese = samples.language_of("".join(texts[:20])) == samples.CHINESE
    tokenizer = _tokenizer(find_jieba() if chinese else "unicode")
    lists = list(map(tokenizer, texts))
    vocabulary = Vocabulary.build(lists)
    ids = torch.tensor([_recipe_ids(vocabulary, tokens) for tokens in lists])  # [N, 10]
    targets = torch.tensor([kinds.index(label) for label in labels])
    own = torch.tensor([_recipe_ids(vocabulary, tokenizer(text))]) if text else None
    random_numbers = torch.Generator().manual_seed(seed)
    with plain_torch(gradients=True), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = {"max_length": LENGTH, "embedding_dim": 100, "hidden_size": 256, "num_layers": 2}
        network = LectureLSTM(len(vocabulary), 2, sparse=False, **sizes)
    optimizer = Adam(network.parameters(), lr=RATE)
    batches = -(-len(ids) // BATCH)
    losses, means, accuracies = list[float](), list[float](), list[float]()

    def course() -> Course:
        chance = None
        if own is not None:
            with plain_torch(), torch.no_grad():
                chance = float(network(own, torch.tensor([LENGTH])).softmax(1)[0, 1])
        arrays: list[Any] = [np.array(values) for values in (losses, means, accuracies)]
        return Course(batches, *arrays, len(vocabulary), chance)

    for _ in range(EPOCHS):
        total = right = 0.0
        for number, rows in enumerate(torch.randperm(len(ids), generator=random_numbers).split(BATCH), 1):
            with plain_torch(gradients=True):
                logits = network(ids[rows], torch.full((len(rows),), LENGTH))
                loss = F.cross_entropy(logits, targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
            total += losses[-1] * len(rows)
            right += int((logits.argmax(1) == targets[rows]).sum())
            if number % every == 0 and number < batches:
                yield course()
        means.append(total / len(ids))
        accuracies.append(right / len(ids))
        yield course()


def _recipe_ids(vocabulary: Vocabulary, tokens: Sequence[str]) -> list[int]:
    """Return the first ids of a text, and 0 behind them where there are fewer."""
    ids = vocabulary.encode(tokens[:LENGTH])
    return ids + [Vocabulary.PAD_ID] * (LENGTH - len(ids))


DEFAULT = "物流很快，但是质量太差，不会再买了。"


def _run(text: str, length: int, reviews: int) -> list[Panel]:
    return words(text, length=length).panels()


def _live(text: str, length: int, reviews: int) -> Iterator[list[Panel]]:
    nothing = np.empty(0)
    yield Course(1, nothing, nothing, nothing, 0).panels()
    for course in train_recipe(text=text, count=reviews, every=2):
        yield course.panels()


EXHIBIT = Exhibit(
    slug="words",
    title=Both("Words to numbers", "从词到数字"),
    text=Both(
        "A network reads numbers, so a tokenizer cuts a sentence into tokens and a vocabulary gives each token a "
        "number, its id. The most frequent token of the training texts has the id 2: 0 is padding, and 1 stands for "
        "every word that the training texts do not have. The recipe of the lecture cuts each text to ten ids, or pads "
        "it with zeros. Its network looks up a vector for each id, reads them with an LSTM of two layers, and "
        "classifies by the last output. Start the training to see its five epochs on real reviews.",
        "神经网络只能读数字：分词器把句子切成词，词表再给每个词一个编号。训练文本中最常见的词编号为 2；"
        "0 用于填充，1 代表训练文本中没有出现过的所有词。课堂上的配方把每条文本截断到十个编号，不足的补零。"
        "网络为每个编号查出一个向量，用两层 LSTM 依次读入，再根据最后一步的输出分类。"
        "点击训练，可以看到它在真实评论上的五个轮次。",
    ),
    question=Both(
        "What does the network see of a review of forty words, and what of one of three?",
        "一条四十个词的评论，网络能看到什么？一条三个词的评论呢？",
    ),
    controls=(
        TextField("text", Both("Sentence", "句子"), DEFAULT, 100),
        Slider("length", Both("Length (the recipe: 10)", "长度（配方为 10）"), LENGTH, 1, 20),
        Slider("reviews", Both("Reviews to train on", "训练用的评论数"), 2000, 500, 4000, 500, live=True),
    ),
    run=_run,
    code="""
import textnn.lab

found = textnn.lab.words("物流很快，但是质量太差")
for reading in found.readings:
    print(reading.tokenizer, reading.tokens, reading.padded)
for course in textnn.lab.train_recipe(count=500):
    print(len(course.losses), course.losses[-1], course.epoch_accuracies)
course.figure().savefig("recipe.png")
""",
    live=_live,
)
