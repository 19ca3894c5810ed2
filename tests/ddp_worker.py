"""Training runs for test_distributed.py: the same cases by one process and by several (process_group.py).

The processes train under DistributedDataParallel; the test itself calls ``train`` with the joint batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from process_group import work
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import textnn

V, D, STEPS = 40, 6, 6
# Sentences of each step's batch that processes 0 and 1 have: shares of different size.
SHARES = [(4, 3), (1, 6), (5, 5), (2, 1), (6, 1), (3, 4)]


class Conv(nn.Module):
    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.encoder = textnn.EmbeddingTextConv(V, D, 5, (1, 2, 3), sparse=sparse, dtype=torch.float64)
        self.output = nn.Linear(15, 3, dtype=torch.float64)

    def forward(self, ids: Tensor, offsets: Tensor, second: bool) -> Tensor:
        return self.output(self.encoder(ids, offsets=offsets))


class TwoHeads(Conv):
    """A second head that only batches with a flag use: in a step it may have no gradient in one of the processes."""

    def __init__(self, sparse: bool) -> None:
        super().__init__(sparse)
        self.second = nn.Linear(15, 3, dtype=torch.float64)

    def forward(self, ids: Tensor, offsets: Tensor, second: bool) -> Tensor:
        features = self.encoder(ids, offsets=offsets)
        return self.second(features) if second else self.output(features)


class EmbeddingLSTM(nn.Module):
    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.encoder = textnn.EmbeddingLSTM(V, D, 7, bidirectional=True, sparse=sparse, dtype=torch.float64)
        self.output = nn.Linear(28, 3, dtype=torch.float64)

    def forward(self, ids: Tensor, offsets: Tensor, second: bool) -> Tensor:
        steps, _ = self.encoder(ids, offsets=offsets)
        return self.output(textnn.functional.max_mean_pool(steps, offsets=offsets))


class TwoLayers(nn.Module):
    """Layers of torch and textnn in turn, two layers of LSTM, a text convolution without embedding."""

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, D, sparse=sparse, dtype=torch.float64)
        self.lstm = textnn.LSTM(D, 4, num_layers=2, batch_first=True, dtype=torch.float64)
        self.conv = textnn.TextConv(4, 5, (2, 3), dtype=torch.float64)
        self.output = nn.Linear(10, 3, dtype=torch.float64)

    def forward(self, ids: Tensor, offsets: Tensor, second: bool) -> Tensor:
        lengths = torch.diff(offsets, append=torch.tensor([len(ids)]))
        padded = nn.utils.rnn.pad_sequence(self.embedding(ids).split(lengths.tolist()), batch_first=True)
        steps, _ = self.lstm(padded, lengths=lengths)
        return self.output(self.conv(steps, lengths=lengths))


def plain_adam(model: nn.Module) -> Any:
    return torch.optim.Adam(model.parameters(), lr=0.01)


def plain_sgd(model: nn.Module) -> Any:
    return torch.optim.SGD(model.parameters(), lr=3.0)


def rows_adam(model: nn.Module) -> Any:
    return textnn.optim.Adam(model.parameters(), lr=0.01)


def exact_adam(model: nn.Module) -> Any:
    return textnn.optim.Adam(model.parameters(), lr=0.01, exact=model)


@dataclass(frozen=True)
class Case:
    model: Callable[[bool], nn.Module]
    sparse: bool
    optimizer: Callable[[nn.Module], Any]

    @property
    def name(self) -> str:
        return f"{self.model.__name__}-{'sparse' if self.sparse else 'dense'}-{self.optimizer.__name__}"


CASES = {
    case.name: case
    for case in [
        *(Case(kind, False, make) for kind in (Conv, EmbeddingLSTM, TwoLayers) for make in (plain_adam, rows_adam)),
        *(Case(kind, True, plain_sgd) for kind in (Conv, EmbeddingLSTM, TwoLayers)),
        *(Case(kind, True, make) for kind in (Conv, EmbeddingLSTM) for make in (rows_adam, exact_adam)),
        Case(TwoHeads, False, plain_adam),
        Case(TwoHeads, True, rows_adam),
    ]
}


def draw(step: int) -> list[tuple[Tensor, Tensor, bool]]:
    """Sentences, their classes and the flag of each share of a step's batch."""
    generator = torch.Generator().manual_seed(step)
    shares = []
    for rank, size in enumerate(SHARES[step]):
        lengths = torch.randint(1, 9, (size,), generator=generator).tolist()
        # Each process has words of its own, and words that all have.
        words = [torch.randint(1 + 10 * rank, 25 + 10 * rank, (n,), generator=generator) for n in lengths]
        classes = torch.randint(0, 3, (size,), generator=generator)
        shares.append((words, classes, rank == 0 and step % 2 == 0))
    return shares


def ragged(words: list[Tensor]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(sentence) for sentence in words])
    return torch.cat(words), lengths.cumsum(0) - lengths


def loss_sum(model: nn.Module, words: list[Tensor], classes: Tensor, second: bool) -> Tensor:
    return nn.functional.cross_entropy(model(*ragged(words), second), classes, reduction="sum")


def train(case: Case, rank: int | None) -> dict[str, Tensor]:
    """Return the weights after some steps; ``rank`` None takes the joint batches, without any process group."""
    torch.manual_seed(0)
    model = case.model(case.sparse)
    optimizer = case.optimizer(model)
    parallel = model
    if rank is not None:
        parallel = DistributedDataParallel(model, find_unused_parameters=case.model is TwoHeads)
    for step, shares in enumerate(map(draw, range(STEPS))):
        optimizer.zero_grad()
        size = sum(SHARES[step])
        if rank is not None:
            # DDP takes the mean over the processes: what each adds has to be as many times larger.
            loss = loss_sum(parallel, *shares[rank]) * (len(shares) / size)
        elif case.model is TwoHeads:
            loss = sum(loss_sum(model, *share) for share in shares) / size
        else:
            words, classes, _ = zip(*shares, strict=True)
            loss = (
                loss_sum(model, [sentence for share in words for sentence in share], torch.cat(classes), False) / size
            )
        loss.backward()
        if rank is not None and case.sparse:
            assert any(parameter.grad.is_sparse for parameter in model.parameters() if parameter.grad is not None)
        optimizer.step()
    return model.state_dict()


def run_cases(rank: int, size: int, folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name, case in CASES.items():
        try:
            results[name] = train(case, rank)
        except Exception as error:  # it fails in all processes alike, or the next case does
            results[name] = f"{type(error).__name__}: {error}"
    return results


if __name__ == "__main__":
    work(run_cases)
