"""The training step beside the kernels: what textnn's trainer does around forward and backward pass.

    python -m bench.step [--data FILE]

Both sides train the same architecture of textnn on the same batches, in turn. textnn: batches gathered together, sparse
gradients, ``textnn.optim.Adam``. The peer: each batch by itself, ``torch.optim.AdamW(fused=True)`` for dense gradients
and ``SparseAdam`` for sparse ones; for the lecture's recipe, where that would be another arithmetic, dense gradients.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch.nn.functional import cross_entropy

from textnn.models import TextModel, build_model, resolve_options
from textnn.optim import Adam
from textnn.text import LengthBucketSampler, RaggedBatch, RaggedDataset

from . import reviews
from .harness import Effort, Row

ARCHITECTURES = ("textcnn", "bilstm", "lecture-lstm")
PARTS = ("batch", "forward", "loss", "backward", "optimizer", "whole step")
WARM_UP = 5
REVIEWS = 8000


class Side:
    """A model that steps through batches and keeps the seconds of each part."""

    def __init__(
        self, model: TextModel, batches: Iterator[RaggedBatch], optimizers: list[torch.optim.Optimizer]
    ) -> None:
        self.model, self.batches, self.optimizers = model.train(), batches, optimizers
        self.times: dict[str, list[float]] = {part: [] for part in PARTS}

    def step(self) -> float:
        """Make a step; its loss."""
        marks = [time.perf_counter()]

        def mark() -> None:
            marks.append(time.perf_counter())

        batch = next(self.batches)
        mark()
        logits = self.model(batch.ids, batch.offsets)
        mark()
        loss = cross_entropy(logits, batch.labels)
        value = loss.item()
        int((logits.detach().argmax(1) == batch.labels).sum())
        mark()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        mark()
        for optimizer in self.optimizers:
            optimizer.step()
        mark()
        spans = [b - a for a, b in pairwise(marks)]
        for part, seconds in zip(PARTS, [*spans, marks[-1] - marks[0]], strict=True):
            self.times[part].append(seconds)
        return value


def _ours(model: TextModel, learning_rate: float) -> list[torch.optim.Optimizer]:
    return [Adam(model.parameters(), lr=learning_rate, exact=model if model.exact else None)]


def _theirs(model: TextModel, learning_rate: float) -> list[torch.optim.Optimizer]:
    tables = model.sparse_parameters()
    dense = [p for p in model.parameters() if not any(p is table for table in tables)]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(dense, lr=learning_rate, weight_decay=0.0, fused=True)]
    if tables:
        optimizers.append(torch.optim.SparseAdam(tables, lr=learning_rate))
    return optimizers


def rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    """A row for each part of the step of each architecture."""
    data = reviews.load(data_path)
    sequences = [s.tolist() for s in data.ids.split(data.lengths.tolist())[:REVIEWS]]
    for name in ARCHITECTURES:
        options = resolve_options(name, {"dropout": 0.0, "word_dropout": 0.0} if name != "lecture-lstm" else {})
        limit = options["max_length"]
        dataset = RaggedDataset([s[:limit] for s in sequences], data.labels[: len(sequences)])

        def make(
            sparse: bool,
            optimizers: Callable[[TextModel, float], list[torch.optim.Optimizer]],
            gather: Callable[[Iterator[torch.Tensor]], Iterator[RaggedBatch]],
            name: str = name,
            options: dict[str, object] = options,
            dataset: RaggedDataset = dataset,
        ) -> Side:
            torch.manual_seed(0)
            model = build_model(name, [data.V], 2, {**options, "sparse": sparse})
            generator = torch.Generator().manual_seed(0)
            sampler = LengthBucketSampler(dataset.lengths, int(str(options["batch_size"])), generator=generator)
            endless = (index for _ in iter(int, 1) for index in sampler)
            return Side(model, gather(endless), optimizers(model, float(str(options["learning_rate"]))))

        ours = make(True, _ours, dataset.batches)
        theirs = make(name != "lecture-lstm", _theirs, lambda index, d=dataset: map(d.batch, index))  # type: ignore[misc]
        steps, begin, difference = 0, time.perf_counter(), 0.0
        while steps < effort.least + WARM_UP or time.perf_counter() - begin < 4 * effort.seconds:
            a, b = ours.step(), theirs.step()
            # Later on, losses drift apart as those of any two orders of addition do.
            difference = max(difference, abs(a - b)) if steps < WARM_UP else difference
            steps += 1
        for part in PARTS:
            mine, other = ours.times[part][WARM_UP:], theirs.times[part][WARM_UP:]
            ratios = sorted(o / m for m, o in zip(mine, other, strict=True))
            quarter = statistics.quantiles(ratios, n=4)
            yield Row(
                "Parts of a training step",
                f"{name}: {part}",
                1e3 * statistics.median(mine),
                "torch.optim",
                1e3 * statistics.median(other),
                statistics.median(ratios),
                quarter[0],
                quarter[2],
                difference if part == "whole step" else math.nan,
            )


if __name__ == "__main__":
    from .__main__ import run

    run(["step"])
