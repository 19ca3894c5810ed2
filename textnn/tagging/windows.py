"""What a character's neighbours say: numbers of the n-grams around each position, without a vocabulary of them.

    ids [N], offsets [B] --Windows--> ids at -2 to 2 [N] each --hash--> buckets [N, templates] --> rows of a table

It is the classical way to segment and to tag: a linear model of the characters in a window of five and of their n-grams
(Xue, "Chinese Word Segmentation as Character Tagging", 2003; Peng et al., "Chinese Segmentation and New Word Detection
using Conditional Random Fields", 2004). A deep network generalises; this one remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

REACH = 2
TEMPLATES = (
    (-2,), (-1,), (0,), (1,), (2,),
    (-2, -1), (-1, 0), (0, 1), (1, 2), (-1, 1),
    (-2, -1, 0), (-1, 0, 1), (0, 1, 2),
)  # fmt: skip
"""Which places, counted from a character, make an n-gram together."""
KIND_TEMPLATES = ((-1, 0, 1), (-2, -1, 0, 1, 2))
"""The same of the kinds of the characters."""
EQUAL = ((-1, 0), (0, 1), (-2, 0), (0, 2), (-1, 1))
"""Pairs of places that may hold the same character."""

_MIXING = (0xFF51AFD7ED558CCD - (1 << 64), 0xC4CEB9FE1A85EC53 - (1 << 64))
_PRIME, _SALT = 1099511628211, 0x9E3779B97F4A7C15 - (1 << 64)  # of FNV-1a; 2**64 over the golden ratio


class Windows:
    """The neighbours of each token of a flat batch.

    Parameters
    ----------
    ids
        int64 [N], each above 0.
    offsets
        int64 [B].
    """

    def __init__(self, ids: Tensor, offsets: Tensor) -> None:
        N, B = ids.shape[0], offsets.shape[0]
        sentence = torch.zeros(N, dtype=torch.int64, device=ids.device)
        sentence[offsets[1:]] = 1
        self._places = torch.arange(N, device=ids.device) + REACH * (sentence.cumsum(0) + 1)
        self._apart = ids.new_zeros(N + REACH * (B + 1))
        self._apart[self._places] = ids

    def at(self, place: int) -> Tensor:
        """Return the ids so many places behind each token, 0 outside of its sentence, int64 [N]."""
        return self._apart[self._places + place]

    def with_ids(self, ids: Tensor) -> Windows:
        """Return the windows of the same sentences over other ids [N]."""
        other = object.__new__(Windows)
        other._places, other._apart = self._places, self._apart.new_zeros(self._apart.shape)
        other._apart[self._places] = ids
        return other


def pair_keys(left: Tensor, right: Tensor, size: int) -> Tensor:
    """Return a number for each pair of ids below ``size``."""
    return left * size + right


def window_features(windows: Windows, kinds: Windows) -> list[Tensor]:
    """Return a number for each n-gram around each token, and for the kinds of its neighbours: int64 [N] each.

    Parameters
    ----------
    windows, kinds
        Of the ids, and of the kinds of the characters.
    """
    ids = {place: windows.at(place) for place in range(-REACH, REACH + 1)}
    kind = {place: kinds.at(place) for place in range(-REACH, REACH + 1)}
    equal = sum((ids[a] == ids[b]).to(torch.int64) << bit for bit, (a, b) in enumerate(EQUAL))
    assert isinstance(equal, Tensor)
    hashes = [_join([ids[place] for place in template]) for template in TEMPLATES]
    hashes += [_join([kind[place] for place in template]) for template in KIND_TEMPLATES]
    return [*hashes, equal]


def lexicon_features(ids: Tensor, known: Tensor) -> list[Tensor]:
    """Return numbers of what a lexicon knows of each token: of each of its columns, with the token, and of all.

    Parameters
    ----------
    ids
        int64 [N].
    known
        int64 [N, 3], as :meth:`textnn.tagging.lexicon.Lexicon.find` gives it.
    """
    columns = list(known.unbind(dim=1))
    return [*columns, _join(columns), *(_join([column, ids]) for column in columns)]


def hash_features(features: Sequence[Tensor], buckets: int) -> Tensor:
    """Number features, each of its own kind: int64 [N] each -> [N, features] in [1, buckets).

    Parameters
    ----------
    features
        In an order that stays.
    buckets
        At least 2. Different features may share one.
    """
    found = torch.stack(list(features), dim=1)
    found = found + torch.arange(1, len(features) + 1, device=found.device) * _SALT
    return _mix(found).remainder(buckets - 1) + 1


def _join(columns: Sequence[Tensor]) -> Tensor:
    joined = torch.zeros_like(columns[0])
    for column in columns:
        joined = (joined ^ (column + 1)) * _PRIME
    return joined


def _mix(h: Tensor) -> Tensor:
    """Spread the bits of numbers (the end of MurmurHash3)."""
    for factor in _MIXING:
        h = (h ^ ((h >> 33) & 0x7FFFFFFF)) * factor
    return h ^ ((h >> 33) & 0x7FFFFFFF)


def hash_settings() -> dict[str, Any]:
    """Return all that the numbers of :func:`hash_features` follow from, for exported models, which make them alone."""
    return {
        "reach": REACH,
        "templates": TEMPLATES,
        "kind_templates": KIND_TEMPLATES,
        "equal": EQUAL,
        "prime": _PRIME,
        "salt": _SALT,
        "mixing": _MIXING,
    }
