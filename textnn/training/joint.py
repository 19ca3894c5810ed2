"""What a task hands to the training loop, in one process or in several that train together.

    own rows --group.join--> process 0: prepares a Job --train_job--> trained in every process -> process 0: judges

Process 0 alone reads, splits and encodes, as one process would; only the loop knows of the others. Steps of process 0
stand within ``group.together()``, and ``group.first`` sends what came of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
Rows = TypeVar("Rows", bound=tuple[Any, ...])  # a NamedTuple of lists
State = TypeVar("State", bound=Any)


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


def join_rows(rows: Rows, group: Group) -> Rows:
    """Return the rows of all processes, a list of each kind, as one process would have them; empty but in process 0."""
    kind: Any = type(rows)
    return kind(*(group.join(column) or [] for column in rows))


def train_state(
    prepare: Callable[[], tuple[State, Job[Goal]]],
    group: Group,
    device: torch.device,
    reporter: Reporter,
    checkpoint: Checkpoint | None,
    judge: Callable[[State], None] = lambda _: None,
    prefix: str = "",
) -> State:
    """Return in every process what process 0 prepares, a record, with the trained model, its history and best epoch.

    Parameters
    ----------
    prepare
        Called in process 0: the record, and the training.
    group, device, reporter, checkpoint
        As for :func:`train_job`.
    judge
        Called in process 0 with the record, once it is trained.
    prefix
        Of the figures of an epoch that get the name of the objective's measure instead of "accuracy".
    """
    state = job = None
    with group.together():
        if group.rank == 0:
            state, job = prepare()
    job, trained = train_job(job, group, device, reporter, checkpoint)
    with group.together():
        if state is not None:
            old, new = f"{prefix}accuracy", f"{prefix}{job.objective.measured_by.lower()}"
            epochs = [epoch.to_dict() for epoch in trained.history]
            history = [{name.replace(old, new): value for name, value in epoch.items()} for epoch in epochs]
            state = replace(state, model=job.model, history=history, best_epoch=trained.best_epoch)
            judge(state)
    state = group.first(state)
    assert state is not None
    state.model.to(device)
    return state
