"""Small trainings for the tests of checkpoints: where they break off, and what has to be the same afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from textnn.classification.objectives import Softmax
from textnn.models import TextModel, build_model, resolve_options
from textnn.text import RaggedDataset
from textnn.training.checkpoint import Checkpoint
from textnn.training.loop import Trained, TrainingOptions, seeded, train
from textnn.training.progress import Epoch, Reporter

CPU = torch.device("cpu")
ROWS, BATCH, EPOCHS = 26, 8, 3
BATCHES = 4
OPTIONS = TrainingOptions(
    epochs=EPOCHS,
    batch_size=BATCH,
    learning_rate=0.02,
    weight_decay=0.01,
    patience=0,
    bucket=True,
    clip_norm=1.0,
    schedule="cosine",
    warmup=0.2,
)
SIZES = {
    "textcnn": {"embedding_dim": 4, "channels": 4, "kernel_sizes": (1, 2)},
    "bilstm": {"embedding_dim": 4, "hidden_size": 4},
    "rnn": {"embedding_dim": 4, "hidden_size": 4},
    "bigru": {"embedding_dim": 4, "hidden_size": 4},
    "mlp": {"embedding_dim": 4, "hidden_size": 4},
    "lecture-lstm": {"embedding_dim": 4, "hidden_size": 4},
}


class BrokenOffError(Exception):
    """What breaks a training off."""


class Breaker(Reporter):
    """Raises when so many batches, or epochs, have been told of; keeps the notes."""

    def __init__(self, batches: int | None = None, epochs: int | None = None) -> None:
        self.batches, self.epochs = batches, epochs
        self.seen, self.told, self.notes = 0, 0, []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def batch(self, loss: float, accuracy: float) -> None:
        self.seen += 1
        if self.seen == self.batches:
            raise BrokenOffError

    def epoch(self, record: Epoch, measure: str) -> None:
        self.told += 1
        if self.told == self.epochs:
            raise BrokenOffError


def make_data(rows: int = ROWS, seed: int = 0, flip: bool = False, length: int = 6) -> RaggedDataset:
    """Texts of 1 to ``length`` ids from 2 to 59, so that most are seldom; the first one gives the class away."""
    source = torch.Generator().manual_seed(seed)
    texts, labels = [], []
    for row in range(rows):
        size = int(torch.randint(0, length, (), generator=source))
        texts.append([2 + row % 2, *torch.randint(4, 60, (size,), generator=source).tolist()])
        labels.append((row + flip) % 2)
    return RaggedDataset(texts, labels)


def run(
    name: str,
    checkpoint: Checkpoint | None = None,
    options: TrainingOptions = OPTIONS,
    data: RaggedDataset | None = None,
    seed: int = 0,
    model_options: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> tuple[TextModel, Trained]:
    """Train a small network from its first weights on; "textcnn" is an ensemble."""
    extra = {**({"ensemble": 2} if name == "textcnn" else {}), **(model_options or {})}
    with seeded(seed, CPU):
        model = build_model(name, [60], 2, resolve_options(name, {**SIZES[name], **extra}))
        generator = torch.Generator().manual_seed(seed)
        objective = arguments.pop("objective", None) or Softmax(0.1)
        trained = train(model, data or make_data(), options, generator, objective, checkpoint=checkpoint, **arguments)
    return model, trained


def assert_same(one: tuple[TextModel, Trained], other: tuple[TextModel, Trained]) -> None:
    """The same weights to the bit, the same best epoch, the same figures but for the time."""
    for (name, weights), expected in zip(one[0].state_dict().items(), other[0].state_dict().values(), strict=True):
        assert torch.equal(weights, expected), name
    assert one[1].best_epoch == other[1].best_epoch
    assert [replace(epoch, seconds=0) for epoch in one[1].history] == [
        replace(epoch, seconds=0) for epoch in other[1].history
    ]
