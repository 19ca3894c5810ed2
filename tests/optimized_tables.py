"""Tables of vectors that two optimizers train side by side, on the same ids and gradients."""

from __future__ import annotations

import math

import torch
from torch import nn

V, D = 30, 13
SCHEDULES = {
    "constant": lambda t: 0.01,
    "cosine": lambda t: 0.01 * (1 + math.cos(t / 30)),
    "falling": lambda t: 0.01 * 0.1 ** (t // 100),
    "warm-up with rests": lambda t: 0.0 if t % 7 == 3 else 0.01 * min(1.0, t / 50),
}


def seeded(seed):
    return torch.Generator(torch.get_default_device()).manual_seed(seed)


def tables(dtype=torch.float64):
    """A sparse table, and a dense one with the same rows."""
    sparse, dense = nn.Embedding(V, D, sparse=True, dtype=dtype), nn.Embedding(V, D, dtype=dtype)
    dense.load_state_dict(sparse.state_dict())
    return sparse, dense


def draw_batches(steps, seed=0):
    """Ids, some in nearly each batch and some in nearly none, and gradients over four orders of magnitude."""
    generator = seeded(seed)
    chance = torch.rand(V, generator=generator) ** 6
    for step in range(steps):
        there = torch.rand(V, generator=generator) < chance
        ids = torch.arange(V) if step == 0 else there.nonzero()[:, 0].repeat(2)  # each twice
        size = 10 ** (4 * torch.rand(len(ids), D, generator=generator, dtype=torch.float64) - 5)
        yield ids, size * torch.randn(len(ids), D, generator=generator, dtype=torch.float64)


def step(embedding, optimizer, ids, gradient):
    optimizer.zero_grad()
    (embedding(ids) * gradient.to(embedding.weight.dtype)).sum().backward()
    optimizer.step()


def train_both(ours, theirs, sides, steps=300, schedule=SCHEDULES["constant"], seed=0):
    """Step both sides; the length of the path of each element of the peer."""
    path = torch.zeros(V, D, dtype=torch.float64)
    for t, (ids, gradient) in enumerate(draw_batches(steps, seed)):
        before = sides[1].weight.detach().clone()
        for embedding, optimizer in zip(sides, (ours, theirs), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = schedule(t)
            step(embedding, optimizer, ids, gradient)
        path += (sides[1].weight.detach() - before).abs()
    return path
