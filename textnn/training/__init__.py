"""Training: a network, encoded texts and targets in, the network with its weights out; ``loop`` has the way."""

from __future__ import annotations

from textnn.training.checkpoint import Checkpoint
from textnn.training.loop import Trained, TrainingOptions, train
from textnn.training.state import TrainingError

__all__ = ["Checkpoint", "Trained", "TrainingError", "TrainingOptions", "train"]
