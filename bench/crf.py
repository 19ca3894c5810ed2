"""The conditional random field against pytorch-crf: loss with gradient, and decoding.

    python -m bench crf [--seconds S]      (needs pip install pytorch-crf)

The peer runs on padded batches with its mask. Ragged lengths are those of real reviews, cut at 200 tokens.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

import textnn

from . import reviews
from .harness import Call, Effort, Row, compare

# B, T, K
DENSE = [(64, 50, 7), (32, 100, 13), (16, 200, 29)]
RAGGED = [(64, 7), (64, 45)]  # B, K
OTHER = [(1, 30, 9), (8, 20, 9), (32, 40, 128), (4, 500, 17)]
LONGEST = 200


def layers(K: int) -> tuple[textnn.CRF, Any]:
    """Ours and pytorch-crf's, with the same parameters."""
    try:
        torchcrf = importlib.import_module("torchcrf")
    except ModuleNotFoundError as error:
        raise SystemExit("python -m bench crf compares with pytorch-crf: pip install pytorch-crf") from error
    ours, theirs = textnn.CRF(K, batch_first=True), torchcrf.CRF(K, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def training(layer: Any, x: Tensor, tags: Tensor, sizes: dict[str, Any]) -> Call:
    """The loss and all gradients."""

    def call() -> list[Tensor]:
        x.grad = None
        layer.zero_grad()
        loss = -layer(x, tags, reduction="mean", **sizes)
        loss.backward()
        assert x.grad is not None
        return [loss.detach(), x.grad, *[p.grad for p in layer.parameters()]]

    return call


def decoding(layer: Any, x: Tensor, sizes: dict[str, Any]) -> Call:
    """Lists of tags; as tensors they are compared elsewhere, not in the time that is taken."""

    @torch.inference_mode()
    def call() -> list[Tensor]:
        layer.decode(x, **sizes)
        return []

    return call


def other_tags(ours: Any, theirs: Any, x: Tensor, mine: dict[str, Any], peer: dict[str, Any]) -> float:
    """The share of tags that differ: paths whose scores are the same but for rounding."""
    pairs = zip(ours.decode(x, **mine), theirs.decode(x, **peer), strict=True)
    differ = [a != b for path, other in pairs for a, b in zip(path, other, strict=True)]
    return sum(differ) / len(differ)


def case(group: str, name: str, lengths: Tensor, K: int, effort: Effort) -> Iterator[Row]:
    B, T = len(lengths), int(lengths.max())
    mask = torch.arange(T) < lengths[:, None]
    ours, theirs = layers(K)
    x, tags = torch.randn(B, T, K), torch.randint(K, (B, T))
    mine, peer = ({}, {}) if bool(mask.all()) else ({"lengths": lengths}, {"mask": mask})
    leaf = x.clone().requires_grad_()
    peers = {"pytorch-crf": training(theirs, leaf, tags, peer)}
    yield compare(f"CRF, {group}, loss with gradient", name, training(ours, leaf, tags, mine), peers, effort)
    best = {"pytorch-crf": decoding(theirs, x, peer)}
    row = compare(f"CRF, {group}, decoding", name, decoding(ours, x, mine), best, effort)
    row.difference = other_tags(ours, theirs, x, mine, peer)
    yield row


def rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    torch.manual_seed(0)
    for B, T, K in DENSE:
        yield from case("dense", str((B, T, K)), torch.full((B,), T), K, effort)
    data = reviews.load(data_path)
    for B, K in RAGGED:
        yield from case("ragged", f"B={B} K={K}", data.padded(B, LONGEST)[1], K, effort)
    for B, T, K in OTHER:
        yield from case("other shapes", str((B, T, K)), torch.full((B,), T), K, effort.share(0.5))
