"""Text convolution from token ids to pooled features on a device, against Conv1d and unfold with a matrix product.

Lengths and tokens are drawn as a language has them (textnn.benchmark), so that nothing has to be installed or read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from textnn.benchmark import Call, frequent_tokens

from ..reviews import generated
from ..text_conv import SHAPES, Shape, case_of, inference, sides, training
from .lstm import PRECISIONS, tf32_allowed
from .timing import measure

PEERS = ("Conv1d", "unfold")
FRESH = 1 << 18  # tokens that new batches are drawn from


@dataclass(frozen=True)
class Case:
    """What is measured."""

    shape: Shape
    precision: str
    train: bool

    def __str__(self) -> str:
        return f"{case_of(self.shape)}, {self.precision}, {'forward and backward' if self.train else 'forward'}"


def cases() -> list[Case]:
    """Return all cases, those that tell most first."""
    return [Case(s, p, t) for p in ("float32", "float16", "tf32") for t in (True, False) for s in reversed(SHAPES)]


TINY = [Case((4, L, 5, 6, (2, 3)), "float32", train) for train in (False, True) for L in (None, 7)]


def run(case: Case, device: str, seconds: float) -> dict[str, Any]:
    """Measure one case; times are microseconds a call."""
    random = torch.Generator().manual_seed(0)
    data = generated(512, random)
    ids, modules = sides(case.shape, data)
    pool, ids = (frequent_tokens(FRESH, random) + 1).to(device), ids.to(device)
    tokens = ids != 0

    def refresh() -> None:
        ids.copy_(pool[torch.randint(0, FRESH, ids.shape, device=device)] * tokens)

    calls: dict[str, Call] = {}
    with tf32_allowed(case.precision == "tf32"):
        for name, module in modules.items():
            if name == "textnn" or name in PEERS:
                torch.manual_seed(1)  # the same loss for all sides
                module.to(device, PRECISIONS[case.precision])
                if module.lengths is not None:
                    module.lengths = module.lengths.to(device)
                calls[name] = training(module, ids) if case.train else inference(module, ids)
        found = measure(calls, refresh, device, seconds)
    return {"precision": case.precision, "train": case.train, **asdict(found), "case": str(case)}
