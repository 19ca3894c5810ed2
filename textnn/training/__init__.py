"""Training: a network, encoded texts and targets in, the network with its weights out; ``loop`` has the way."""

from __future__ import annotations

from textnn.training.checkpoint import Checkpoint
from textnn.training.joint import Job, train_job
from textnn.training.loop import Trained, TrainingOptions, train
from textnn.training.state import TrainingError

__all__ = ["Checkpoint", "Job", "Trained", "TrainingError", "TrainingOptions", "train", "train_job"]
