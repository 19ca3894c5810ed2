"""How to train: the options of an architecture that the training loop reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from textnn.models.options import FLOAT32


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes
    ----------
    epochs
        Passes over the training texts at most.
    batch_size
        Texts of a batch, in a group of processes of all parts together.
    learning_rate, weight_decay
        Adam's step size, and what each step takes from the weights (not from the embedding).
    patience
        Stop after this many epochs in a row that were not better than the best one on the validation part, and go back
        to the best one's weights. 0: train all epochs, keep the last weights.
    bucket
        Whether a batch holds texts of similar length; else they are drawn at random.
    clip_norm
        Norm of all gradients together at most, or 0 for no limit; see :func:`textnn.training.clipping.clip_gradients`.
    schedule, warmup
        How the learning rate changes over all steps of all epochs; see :func:`textnn.training.schedule.rate_share`.
        Where ``patience`` ends the training before, the rate has not come to its end.
    precision
        What the products of a step multiply; see :mod:`textnn.training.precision`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int
    bucket: bool
    clip_norm: float = 0.0
    schedule: str = "constant"
    warmup: float = 0.0
    precision: str = FLOAT32

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> TrainingOptions:
        """Pick the options of the training out of all options of an architecture."""
        return cls(**{field.name: options[field.name] for field in fields(cls)})

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the options that have a default: those that older checkpoints may not know are among them."""
        return {field.name: field.default for field in fields(cls) if field.default is not MISSING}
