"""textnn.LSTM on a device, as chosen and with each form forced, against nn.LSTM padded and packed.

Every sequence is full in the dense cases. In the ragged ones lengths lie between a quarter of T and T: there nn.LSTM
takes a PackedSequence, or computes the padding and has it masked. Cases stand in the order in which they tell most,
for a run that is cut short.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from textnn import backends
from textnn.benchmark import Call

from ..recurrent import Packed, Ragged, inference, pair, training
from .timing import measure

PRECISIONS = {"float16": torch.float16, "float32": torch.float32, "bfloat16": torch.bfloat16, "tf32": torch.float32}
PUBLISHED = (16, 1024, 768)  # B, T, H that FlashRNN and haste were measured at
SIZES = [(B, H) for H in (256, 128, 512, 768, 1024) for B in (64, 16, 32, 128)]
FORMS = ("steps", "persistent")


@dataclass(frozen=True)
class Case:
    """What is measured; ``precision`` names one of PRECISIONS, "tf32" lets float32 products be made in TF32."""

    B: int
    T: int
    H: int
    precision: str
    train: bool
    ragged: bool

    def __str__(self) -> str:
        work = "forward and backward" if self.train else "forward"
        return f"B {self.B}, T {self.T}, H {self.H}, {self.precision}, {'ragged' if self.ragged else 'dense'}, {work}"


def cases() -> list[Case]:
    """Return all cases, those that tell most first."""

    def some(shapes: Sequence[tuple[int, int, int]], precisions: Sequence[str], ragged: bool = False) -> Iterator[Case]:
        for p, (B, T, H), train in itertools.product(precisions, shapes, (False, True)):
            yield Case(B, T, H, p, train, ragged)

    def at(T: int) -> list[tuple[int, int, int]]:
        return [(B, T, H) for B, H in SIZES]

    ordered = [
        *some([PUBLISHED], ("float16", "bfloat16", "float32", "tf32")),
        *some(at(200), ("float16", "float32")),
        *some(at(200), ("float32", "float16"), ragged=True),
        *some(at(50), ("float16", "float32")),
        *some(at(200), ("bfloat16",)),
        *some(at(1024), ("float16",)),
        *some(at(50), ("bfloat16",)),
        *some(at(1024), ("float32", "bfloat16")),
        *some(at(200), ("tf32",)),
    ]
    return list(dict.fromkeys(ordered))


TINY = [Case(2, 3, 4, "float32", train, ragged) for train in (False, True) for ragged in (False, True)]


def run(case: Case, device: str, seconds: float) -> dict[str, Any]:
    """Measure one case; times are microseconds for each of the T steps."""
    dtype = PRECISIONS[case.precision]
    ours, theirs = (layer.to(device, dtype) for layer in pair(case.H, case.H, 1, 1))
    x = torch.zeros(case.T, case.B, case.H, device=device, dtype=dtype, requires_grad=case.train)
    sides: dict[str, nn.Module] = {"textnn": ours, "padded": theirs}
    if case.ragged:
        lengths = torch.randint(max(1, case.T // 4), case.T + 1, (case.B,))
        lengths[0] = case.T
        sides = {
            "textnn": Ragged(ours, lengths, masked=False),
            "packed": Packed(theirs, lengths),
            "padded": Ragged(theirs, lengths.to(device), masked=True),
        }

    def refresh() -> None:
        with torch.no_grad():
            x.normal_()

    calls: dict[str, Call] = {}
    with tf32_allowed(case.precision == "tf32"):
        for name, side in sides.items():
            torch.manual_seed(1)  # the same loss for all sides
            calls[name] = training(side, x, last=False) if case.train else inference(side, x)
        if device == "cuda":
            calls |= {f"textnn, {form}": forced(calls["textnn"], form) for form in FORMS}
        found = measure(calls, refresh, device, seconds)
    per_step = {name: us / case.T for name, us in found.us.items()}
    quartiles = {name: [q / case.T for q in pair] for name, pair in found.quartiles.items()}
    return {**asdict(case), **asdict(found), "case": str(case), "us": per_step, "quartiles": quartiles}


@contextmanager
def tf32_allowed(allowed: bool) -> Iterator[None]:
    """Let float32 products be made in TF32, or not, by torch and by cuDNN."""
    before, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = cudnn


def forced(call: Call, form: str) -> Call:
    """Return the call with one form of the LSTM."""

    def run() -> Sequence[torch.Tensor]:
        with backends.use_cuda_recurrence(form):
            return call()

    return run
