"""The lecture's recipe in plain PyTorch and in textnn: same initial weights, same batches, step by step in turn.

    python -m bench.lecture [--data FILE]

jieba tokens; vocabulary of the training texts; ids cut or padded to 10; Embedding(V, 100); LSTM of 2 layers and 256
units; the output at the last step; Linear(256, 100); Linear(100, 2); cross entropy; Adam, learning rate 0.01; batches
of 128; 5 epochs. Plain PyTorch has ``torch.optim.Adam(fused=True)``. textnn has what its user writes: ``EmbeddingLSTM``
with sparse gradients and ``textnn.optim.Adam`` with exact tables, whose steps are those of a dense Adam up to rounding.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import textnn

from . import reviews
from .harness import Row, console

EPOCHS, BATCH, LENGTH = 5, 128, 10
PARTS = ("forward", "backward", "optimizer")


class Recipe(nn.Module):
    """The lecture's network on ids [B, 10]; ``encoder`` gives the states [B, 10, 256]."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.hidden, self.output = nn.Linear(256, 100), nn.Linear(100, 2)

    def forward(self, ids: Tensor) -> Tensor:
        y, _ = self.encoder(ids)
        logits: Tensor = self.output(self.hidden(y[:, -1]))
        return logits


class Plain(nn.Module):
    """Embedding and LSTM of PyTorch, with the parameters' names of ``textnn.EmbeddingLSTM``."""

    def __init__(self, V: int) -> None:
        super().__init__()
        self.table = nn.Embedding(V, 100)
        self.lstm = nn.LSTM(100, 256, 2, batch_first=True)

    def forward(self, ids: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        output: tuple[Tensor, tuple[Tensor, Tensor]] = self.lstm(self.table(ids))
        return output


@dataclass
class Side:
    """A network with its optimizer, its times in seconds and its counts."""

    model: Recipe
    optimizer: torch.optim.Optimizer
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    right: int = 0
    accuracies: list[tuple[float, float]] = field(default_factory=list)
    times: list[dict[str, float]] = field(default_factory=list)

    def step(self, ids: Tensor, labels: Tensor) -> None:
        begin = time.perf_counter()
        logits = self.model(ids)
        loss = F.cross_entropy(logits, labels)
        forward = time.perf_counter()
        self.optimizer.zero_grad()
        loss.backward()
        backward = time.perf_counter()
        self.optimizer.step()
        end = time.perf_counter()
        for part, seconds in zip(PARTS, (forward - begin, backward - forward, end - backward), strict=True):
            self.parts[part] += seconds
        self.right += int((logits.detach().argmax(1) == labels).sum())

    @torch.inference_mode()
    def validate(self, ids: Tensor, labels: Tensor, seen: int) -> None:
        right = sum(
            int((self.model(i).argmax(1) == y).sum()) for i, y in zip(ids.split(512), labels.split(512), strict=True)
        )
        self.accuracies.append((self.right / seen, right / len(labels)))
        self.times.append(self.parts)
        self.right, self.parts = 0, dict.fromkeys(PARTS, 0.0)


def make_sides(V: int) -> tuple[Side, Side]:
    """textnn and plain PyTorch, with the same weights."""
    torch.manual_seed(0)
    plain = Recipe(Plain(V))
    model = Recipe(textnn.EmbeddingLSTM(V, 100, 256, 2, padding_idx=None, sparse=True))
    model.load_state_dict({k.replace("encoder.table.", "encoder."): v for k, v in plain.state_dict().items()})
    return (
        Side(model, textnn.optim.Adam(model.parameters(), lr=0.01, exact=model)),
        Side(plain, torch.optim.Adam(plain.parameters(), lr=0.01, fused=True)),
    )


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

    ours, theirs = make_sides(data.V)
    rows = []
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(len(train_ids)).split(BATCH):
            for side in (theirs, ours):
                side.step(train_ids[batch], train_labels[batch])
        for side in (theirs, ours):
            side.validate(ids[validation], labels[validation], len(train_ids))
        (a, b), (c, d) = ours.accuracies[-1], theirs.accuracies[-1]
        case = f"epoch {epoch}"
        seconds, peer = (sum(side.times[-1].values()) for side in (ours, theirs))
        ratio = peer / seconds
        row = Row(
            "Lecture recipe, an epoch",
            case,
            1e3 * seconds,
            "plain PyTorch",
            1e3 * peer,
            ratio,
            ratio,
            ratio,
            0,
        )
        row.difference = abs(a - c)
        row.extra = {"training accuracy": a, "PyTorch's": c, "validation": b, "PyTorch's validation": d}
        rows.append(row)
        console.print(
            f"{case}: textnn {a:.3f} training, {b:.3f} validation, {seconds:.1f} s; "
            f"PyTorch {c:.3f}, {d:.3f}, {peer:.1f} s"
        )
    return (
        rows + [_part_row(part, ours, theirs, steps=epochs * -(-len(train_ids) // BATCH)) for part in PARTS],
        ours,
        theirs,
    )


def _part_row(part: str, ours: Side, theirs: Side, steps: int) -> Row:
    """A part of the step, mean over all epochs."""
    seconds, peer = (sum(times[part] for times in side.times) / steps for side in (ours, theirs))
    ratio = peer / seconds
    return Row(
        "Lecture recipe, parts of a step", part, 1e3 * seconds, "plain PyTorch", 1e3 * peer, *[ratio] * 3, math.nan
    )


if __name__ == "__main__":
    from .__main__ import run

    run(["lecture"])
