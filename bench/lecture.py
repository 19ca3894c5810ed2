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
from .harness import Row, console, precisions
from .recurrent import autocast, in_words, peer_name

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
    """A network with its optimizer, its times in seconds and its counts; ``half``: trained under autocast."""

    name: str
    model: Recipe
    optimizer: torch.optim.Optimizer
    half: bool
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    right: int = 0
    accuracies: list[tuple[float, float]] = field(default_factory=list)
    times: list[dict[str, float]] = field(default_factory=list)

    def step(self, ids: Tensor, labels: Tensor) -> None:
        begin = time.perf_counter()
        with autocast(self.half):
            logits = self.model(ids)
        loss = F.cross_entropy(logits.float(), labels)
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


def make_sides(V: int, half: bool) -> list[Side]:
    """textnn and plain PyTorch, with the same weights; of the latter one under autocast and one in float32 if half."""
    torch.manual_seed(0)
    plain = Recipe(Plain(V))
    weights = plain.state_dict()
    model = Recipe(textnn.EmbeddingLSTM(V, 100, 256, 2, padding_idx=None, sparse=True))
    model.load_state_dict({k.replace("encoder.table.", "encoder."): v for k, v in weights.items()})
    sides = [Side("textnn", model, textnn.optim.Adam(model.parameters(), lr=0.01, exact=model), half)]
    for narrow in precisions(half):
        peer = Recipe(Plain(V))
        peer.load_state_dict(weights)
        optimizer = torch.optim.Adam(peer.parameters(), lr=0.01, fused=True)
        sides.append(Side(peer_name("plain PyTorch", narrow), peer, optimizer, narrow))
    return sides


def compare_training(data_path: str | None, epochs: int = EPOCHS, half: bool = False) -> tuple[list[Row], Side, Side]:
    """Train all sides; a row an epoch. Return textnn's side, too, and that of the fastest peer."""
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

    ours, *peers = sides = make_sides(data.V, half)
    rows, title = [], in_words("Lecture recipe", half)
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(len(train_ids)).split(BATCH):
            for side in sides[::-1]:
                side.step(train_ids[batch], train_labels[batch])
        for side in sides:
            side.validate(ids[validation], labels[validation], len(train_ids))
        took = {side.name: 1e3 * sum(side.times[-1].values()) for side in sides}
        theirs = min(peers, key=lambda side: took[side.name])
        (a, b), (c, d) = ours.accuracies[-1], theirs.accuracies[-1]
        case = f"epoch {epoch}"
        seconds = took.pop(ours.name)
        ratio = took[theirs.name] / seconds
        row = Row(f"{title}, an epoch", case, seconds, theirs.name, took[theirs.name], *[ratio] * 3, abs(a - c))
        row.peers = took
        row.extra = {"training accuracy": a, "PyTorch's": c, "validation": b, "PyTorch's validation": d}
        console.print(
            f"{case}: textnn {a:.3f} training, {b:.3f} validation, {seconds / 1e3:.1f} s; "
            f"{row.peer} {c:.3f}, {d:.3f}, {row.theirs / 1e3:.1f} s"
        )
        rows.append(row.in_bfloat16() if half else row)
    steps = epochs * -(-len(train_ids) // BATCH)
    return rows + [_part_row(f"{title}, parts of a step", part, ours, theirs, steps) for part in PARTS], ours, theirs


def _part_row(title: str, part: str, ours: Side, theirs: Side, steps: int) -> Row:
    """A part of the step, mean over all epochs."""
    seconds, peer = (sum(times[part] for times in side.times) / steps for side in (ours, theirs))
    ratio = peer / seconds
    return Row(title, part, 1e3 * seconds, theirs.name, 1e3 * peer, *[ratio] * 3, math.nan)


def half_rows(data_path: str | None) -> list[Row]:
    """Of trainings under autocast to bfloat16; accuracies are measured in float32."""
    return compare_training(data_path, half=True)[0]


if __name__ == "__main__":
    from .__main__ import run

    run(["lecture"])
