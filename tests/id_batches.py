"""Ragged batches of token ids, in every form that functions on ids take."""

from __future__ import annotations

import torch

LENGTHS = {
    "one token": [1],
    "shorter than n": [1, 2, 1],
    "empty": [0, 4, 0, 0, 3, 0],
    "all empty": [0, 0],
    "no sentence": [],
    "ragged": [7, 2, 9, 5, 1, 6],
    "more than a unit of work": [5000, 3, 0, 4200, 1],
}


def make(lengths, form, V=1000):
    """Ids and the arguments that say how long the sentences are."""
    sizes = torch.tensor(lengths, dtype=torch.int64)
    if form == "flat":
        return torch.randint(0, V, (int(sizes.sum()),)), {"offsets": sizes.cumsum(0) - sizes}
    return torch.randint(0, V, (len(lengths), max(lengths, default=0))), {"lengths": sizes} if form == "padded" else {}
