"""From words to numbers: a sentence through the tokenizers, and the recipe of the lecture with its five epochs.

    text -> tokenizer -> tokens -> vocabulary by falling frequency, [PAD] = 0, [UNK] = 1 -> ids
         -> cut or padded with 0 to length 10 -> Embedding(V, 100) -> LSTM, 2 layers, 256 units -> its last output
         -> Linear(256, 100) -> Linear(100, 2) -> cross entropy, Adam, rate 0.01, batches of 128, 5 epochs

The training is in ``recipe_course``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from textnn.lab import samples
from textnn.lab.exhibit import Exhibit, Slider, TextField
from textnn.lab.panels import Both, Panel, marked, span, table
from textnn.lab.recipe_course import LENGTH, Course, tokenizer_named, train_recipe
from textnn.lab.result import Result
from textnn.lab.small import kept
from textnn.models.base import cut_or_pad
from textnn.text import Tokenizer, Vocabulary

Array = np.ndarray[Any, np.dtype[Any]]

NAMES = ("jieba", "rjieba", "unicode", "mixed", "char", "whitespace")
"""The tokenizers, in the order of the exhibit."""

REVIEWS = 2000
"""From how many the vocabularies come, and on how many the recipe is trained at first."""

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
                    Both("number", "词数"),
                    Both("unknown", "未登录词数"),
                    Both("vocabulary", "词表大小"),
                ],
                rows,
                chosen=[0],
                note=Both(f"The vocabularies come from {self.texts:,} texts.", f"词表由 {self.texts:,} 条文本得到。"),
            ),
            marked(
                Both(f"The ids by {first.tokenizer}", f"{first.tokenizer} 分词后的编号"),
                spans,
                Both(
                    f"Framed: the {length} ids that are kept. {Vocabulary.UNK} is a word that no text has.",
                    f"加框的是保留下来的 {length} 个编号。{Vocabulary.UNK} 是文本中没有出现过的词。",
                ),
            ),
            table(
                Both(f"Cut or padded to length {length}", f"截断或填充到长度 {length}"),
                [str(place) for place in range(1, length + 1)],
                [kept_tokens, [int(id_) for id_ in first.padded], *[unknown] * any(unknown)],
                chosen=[1],
            ),
            table(
                Both("The head of the vocabulary: by falling frequency", "词表开头：按词频从高到低"),
                [Both("id", "编号"), Both("token", "词"), Both("count", "次数")],
                [
                    [0, Vocabulary.PAD, Both("padding", "填充")],
                    [1, Vocabulary.UNK, Both("everything else", "其余所有词")],
                    *(
                        [number + 2, token if token.strip() else "␣", count]
                        for number, (token, count) in enumerate(self.frequent)
                    ),
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
    source = list(texts) if texts is not None else samples.reviews(language)[0][:REVIEWS]
    names = [name for name in NAMES if importlib.util.find_spec(_NEEDS.get(name, "textnn"))]
    readings, frequent = [], list[tuple[str, int]]()
    for name in names if language == samples.CHINESE else ["unicode", *(name for name in names if name != "unicode")]:
        tokenizer = tokenizer_named(name)

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


DEFAULT = "物流很快，但是质量太差，不会再买了。"
LONG = "酒店位置很好，离地铁站只有五分钟，服务员也很热情，就是房间有点小，隔音不太好，总的来说还是值得再来的。"


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
        "classifies by the last output. Start the training to see its five epochs on reviews, which for English are "
        "made up.",
        "神经网络只能读数字：分词器把句子切成词，词表再给每个词一个编号。训练文本中最常见的词编号为 2；"
        "0 用于填充，1 代表训练文本中没有出现过的所有词。课堂上的配方把每条文本截断到十个编号，不足的补零。"
        "网络为每个编号查出一个向量，用两层 LSTM 依次读入，再根据最后一步的输出分类。"
        "点击“开始”，可以看到它在评论上训练的五个轮次（英文评论是编造的）。",
    ),
    question=Both(
        "What does the network see of a review of forty words, and what of one of three?",
        "一条四十个词的评论，网络能看到什么？一条三个词的评论呢？",
    ),
    controls=(
        TextField("text", Both("Sentence", "句子"), DEFAULT, 100),
        Slider("length", Both("Length (the recipe: 10)", "长度（配方为 10）"), LENGTH, 1, 20),
        Slider("reviews", Both("Reviews to train on", "训练用的评论数"), REVIEWS, 500, 4000, 500, live=True),
    ),
    run=_run,
    prepare=(words,),
    code="""
import textnn.lab

found = textnn.lab.words("物流很快，但是质量太差")
for reading in found.readings:
    print(reading.tokenizer, reading.tokens, reading.padded)
for course in textnn.lab.train_recipe(count=500):
    print(len(course.losses), course.losses[-1], course.epoch_accuracies)
course.figure()
""",
    live=_live,
    trains_on=("text",),
    presets=(
        (Both("a long review", "一条长评论"), {"text": LONG}),
        (Both("in English", "英文句子"), {"text": "the film was not good, but i love this zebra"}),
    ),
)
