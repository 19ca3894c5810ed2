"""The lecture's recipe in plain PyTorch and in textnn: same initial weights, same batches, step by step in turn.

    python -m bench.lecture [--data FILE]

jieba tokens; vocabulary of the training texts; ids cut or padded to 10; Embedding(V, 100); LSTM of 2 layers and 256
units; the output at the last step; Linear(256, 100); Linear(100, 2); cross entropy; Adam, learning rate 0.01; batches
of 128; 5 epochs. Both sides have the same optimizer, ``torch.optim.Adam(fused=True)``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import textnn

from . import reviews
from .harness import Row, console

EPOCHS, BATCH, LENGTH = 5, 128, 10


class Recipe(nn.Module):
    """The lecture's network on ids [B, 10], with either LSTM."""

    def __init__(self, V: int, lstm: type[nn.Module]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, 100)
        self.lstm = lstm(100, 256, 2, batch_first=True)
        self.hidden, self.output = nn.Linear(256, 100), nn.Linear(100, 2)

    def forward(self, ids: Tensor) -> Tensor:
        y, _ = self.lstm(self.embedding(ids))
        logits: Tensor = self.output(self.hidden(y[:, -1]))
        return logits


@dataclass
class Side:
    """A network with its optimizer, its time and its counts."""

    model: Recipe
    seconds: float = 0.0
    right: int = 0
    accuracies: list[tuple[float, float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01, fused=True)

    def step(self, ids: Tensor, labels: Tensor) -> None:
        begin = time.perf_counter()
        logits = self.model(ids)
        loss = F.cross_entropy(logits, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.right += int((logits.detach().argmax(1) == labels).sum())
        self.seconds += time.perf_counter() - begin

    @torch.inference_mode()
    def validate(self, ids: Tensor, labels: Tensor, seen: int) -> None:
        right = sum(
            int((self.model(i).argmax(1) == y).sum()) for i, y in zip(ids.split(512), labels.split(512), strict=True)
        )
        self.accuracies.append((self.right / seen, right / len(labels)))
        self.times.append(self.seconds)
        self.right, self.seconds = 0, 0.0


def compare_training(data_path: str | None, epochs: int = EPOCHS) -> tuple[list[Row], Side, Side]:
    """Train both sides; a row an epoch."""
    data = reviews.load(data_path)
    ids, _ = data.padded(len(data.offsets), LENGTH)
    order = torch.randperm(len(data.offsets), generator=torch.Generator().manual_seed(0))  # of padded(): the same seed
    labels = data.labels[order]
    tenth = len(ids) // 10
    validation, train_ids, train_labels = slice(0, tenth), ids[2 * tenth :], labels[2 * tenth :]
    # Words of the training texts only; all others are [UNK] = 1.
    known = torch.zeros(data.V, dtype=torch.bool)
    known[train_ids.unique()] = True
    ids = torch.where(known[ids], ids, torch.ones_like(ids))

    torch.manual_seed(0)
    theirs = Side(Recipe(data.V, nn.LSTM))
    ours = Side(Recipe(data.V, textnn.LSTM))
    ours.model.load_state_dict(theirs.model.state_dict())
    rows = []
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(len(train_ids)).split(BATCH):
            for side in (theirs, ours):
                side.step(train_ids[batch], train_labels[batch])
        for side in (theirs, ours):
            side.validate(ids[validation], labels[validation], len(train_ids))
        (a, b), (c, d) = ours.accuracies[-1], theirs.accuracies[-1]
        case = f"epoch {epoch}"
        ratio = theirs.times[-1] / ours.times[-1]
        row = Row(
            "Lecture recipe, an epoch",
            case,
            1e3 * ours.times[-1],
            "plain PyTorch",
            1e3 * theirs.times[-1],
            ratio,
            ratio,
            ratio,
            0,
        )
        row.difference = abs(a - c)
        row.extra = {"training accuracy": a, "PyTorch's": c, "validation": b, "PyTorch's validation": d}
        rows.append(row)
        console.print(
            f"{case}: textnn {a:.3f} training, {b:.3f} validation, {ours.times[-1]:.1f} s; "
            f"PyTorch {c:.3f}, {d:.3f}, {theirs.times[-1]:.1f} s"
        )
    return rows, ours, theirs


if __name__ == "__main__":
    from .__main__ import run

    run(["lecture"])
