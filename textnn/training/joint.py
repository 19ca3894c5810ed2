"""What a task hands to the training loop, in one process or in several that train together.

    own rows --group.join--> process 0: prepares a Job --train_job--> trained in every process -> process 0: judges

Process 0 alone reads, splits and encodes, as one process would; only the loop knows of the others. Steps of process 0
stand within ``group.together()``, and ``group.first`` sends what came of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from textnn.distributed import Group
from textnn.models import Network
from textnn.text import RaggedDataset
from textnn.training.checkpoint import Checkpoint
from textnn.training.loop import Trained, TrainingOptions, check_logits, random_state, seeded, train
from textnn.training.objective import Objective
from textnn.training.progress import Reporter

Goal = TypeVar("Goal", bound=Objective)


@dataclass(eq=False)
class Job(Generic[Goal]):
    """A training that is about to begin.

    Attributes
    ----------
    model
        With its first weights.
    data, validation, objective, options, identity
        As for :func:`textnn.training.loop.train`.
    seed
        Of the order of the batches. Process r draws dropout from seed + r, but process 0 goes on from ``random``.
    random
        The state of torch's generators after the first weights were drawn; see :func:`random_state`.
    """

    model: Network
    data: RaggedDataset
    validation: RaggedDataset
    objective: Goal
    options: TrainingOptions
    seed: int
    random: list[Tensor]
    identity: Mapping[str, Any]


def train_job(
    job: Job[Goal] | None,
    group: Group,
    device: torch.device,
    reporter: Reporter | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Job[Goal], Trained]:
    """Train the network of process 0's job in every process; return the job with it.

    Parameters
    ----------
    job
        In process 0; None in the others.
    device
        Where this process trains.
    group, reporter, checkpoint
        As for :func:`textnn.training.loop.train`, which raises the same errors.

    Raises
    ------
    TrainingError
        Also if the network has come to infinite numbers or NaN.
    """
    sent = group.first(job)
    assert sent is not None
    sent.model.to(device)
    with seeded(sent.seed + group.rank, device):
        if group.rank == 0:
            random_state(device, sent.random)
        generator = torch.Generator().manual_seed(sent.seed)
        trained = train(
            sent.model, sent.data, sent.options, generator, sent.objective, sent.validation, reporter, device, group,
            checkpoint, sent.identity,
        )  # fmt: skip
    with group.together():
        check_logits(sent.model, sent.data, device)
    return sent, trained
