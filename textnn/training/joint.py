"""What a task hands to the training loop, in one process or in several that train together.

    process 0: prepares a Job --first--> every process: train -> the trained network in each

Process 0 alone reads, splits and encodes what there is to train on; only the loop knows of the others. A task thus fits
in four steps, each of which fails in all processes if it fails in one:

    rows = group.join(own_rows)                  # in process 0
    with group.together(): job = prepare(rows)   # in process 0, None in the others
    job, trained = train_job(job, group, ...)
    with group.together(): result = finish(...)  # in process 0; group.first(result) is that of all
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textnn.distributed import Group
from textnn.models import TextModel
from textnn.text import RaggedDataset
from textnn.training.checkpoint import Checkpoint
from textnn.training.loop import Trained, TrainingOptions, check_logits, random_state, seeded, train
from textnn.training.objective import Objective
from textnn.training.progress import Reporter


@dataclass(eq=False)
class Job:
    """A training that is about to begin.

    Attributes
    ----------
    model
        With its first weights.
    data, validation, objective, options
        As for :func:`textnn.training.loop.train`.
    seed
        Of the order of the batches, and of the dropout of process 0; process r draws from seed + r.
    random
        torch's generators after the first weights were drawn, from where process 0 goes on.
    """

    model: TextModel
    data: RaggedDataset
    validation: RaggedDataset
    objective: Objective
    options: TrainingOptions
    seed: int
    random: list[Tensor]


def train_job(
    job: Job | None,
    group: Group,
    device: torch.device,
    reporter: Reporter | None = None,
    checkpoint: Checkpoint | None = None,
    identity: Mapping[str, Any] | None = None,
) -> tuple[Job, Trained]:
    """Train the network of a job in all processes of a group.

    Parameters
    ----------
    job, identity
        In process 0; None in the others, which get the job from there.
    device
        Where this process trains.
    reporter, checkpoint
        As for :func:`textnn.training.loop.train`.

    Returns
    -------
    job, trained
        The job, whose model is trained, in each process.

    Raises
    ------
    TrainingError, CheckpointError, PeerError
        As :func:`textnn.training.loop.train` does, and if the network has come to infinite numbers or NaN.
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
            checkpoint, identity,
        )  # fmt: skip
    with group.together():
        check_logits(sent.model, sent.data, device)
    return sent, trained
