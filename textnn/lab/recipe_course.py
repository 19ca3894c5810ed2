"""The training of the lecture's recipe, a loop as the lecture writes it down, with its course at every moment.

    ids [N, 10] -> Embedding(V, 100) -> LSTM, 2 layers, 256 units -> its last output -> Linear(256, 100)
                -> Linear(100, 2) -> cross entropy, Adam, rate 0.01, batches of 128, 5 epochs

The network is the package's own ``lecture-lstm``.
"""

from __future__ import annotations

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
from textnn.lab.panels import Both, Panel, axis, lines, series, table
from textnn.lab.result import Result
from textnn.models.recurrent import LectureLSTM
from textnn.optim import Adam
from textnn.text import Tokenizer, Vocabulary, make_tokenizer

Array = np.ndarray[Any, np.dtype[Any]]

LENGTH = 10
"""Ids of a text in the recipe."""

EPOCHS, BATCH, RATE = 5, 128, 0.01


@cache
def tokenizer_named(name: str) -> Tokenizer:
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
        texts, labels = samples.reviews(samples.language_of(text) if text else samples.CHINESE)
    texts, labels = list(texts[:count]), list(labels[:count])
    kinds = sorted(set(labels))
    if len(kinds) != 2 or len(texts) != len(labels):
        raise ValueError(f"labels: expected one a text, of two kinds, got {len(labels)} of {len(kinds)} kinds")
    chinese = samples.language_of("".join(texts[:20])) == samples.CHINESE
    tokenizer = tokenizer_named(find_jieba() if chinese else "unicode")
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
        return Course(batches, np.array(losses), np.array(means), np.array(accuracies), len(vocabulary), chance)

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
