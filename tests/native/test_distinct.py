"""find_distinct() numbers the distinct ids in rising order, with a map of bits and by sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import Array, Memory

DENSE = 16 * 64  # the map serves while V is at most this many times N


def find(native: Any, memory: Memory, ids: Array, V: int) -> tuple[int, Array, Array]:
    distinct = memory.empty("distinct", (min(len(ids), V),), np.int64)
    token = memory.empty("token", (len(ids),), np.int32)
    U = native.find_distinct({"ids": ids, "V": V, "distinct": distinct, "token": token})
    return U, distinct, token


def check(native: Any, memory: Memory, ids: Array, V: int) -> None:
    U, distinct, token = find(native, memory, ids, V)
    expected, places = np.unique(ids, return_inverse=True)
    assert distinct[:U].tolist() == expected.tolist()
    assert token.tolist() == places.tolist()
    assert (distinct[U:] == -7).all(), "what lies behind the distinct ids is not written"


@pytest.mark.parametrize("V", [1, 2, 63, 64, 65, 5000, 10**6, 10**12, 2**62], ids=lambda V: f"V={V}")
@pytest.mark.parametrize("N", [0, 1, 2, 3, 64, 300], ids=lambda N: f"N={N}")
def test_random_ids(native: Any, memory: Memory, N: int, V: int) -> None:
    rng = np.random.default_rng(N)
    check(native, memory, rng.integers(0, V, N), V)
    check(native, memory, rng.integers(max(0, V - 5), V, N), V)


@pytest.mark.parametrize("V", [DENSE * 40 + 63, DENSE * 40 + 64], ids=["map", "sorting"])
def test_both_sides_of_the_seam(native: Any, memory: Memory, V: int) -> None:
    ids = np.random.default_rng(0).integers(0, V, 40)
    check(native, memory, ids, V)
    check(native, memory, np.arange(40)[::-1].copy() + V - 40, V)
    check(native, memory, np.full(40, V - 1), V)


@pytest.mark.parametrize("V", [100, 10**9], ids=["map", "sorting"])
@pytest.mark.parametrize("wrong", [-1, "V", "V+1", -(2**63), 2**63 - 1], ids=str)
@pytest.mark.parametrize("place", [0, 7, 19])
def test_an_id_outside_the_table_is_reported_with_its_place(
    native: Any, memory: Memory, place: int, wrong: Any, V: int
) -> None:
    ids = np.random.default_rng(1).integers(0, V, 20)
    ids[place] = {"V": V, "V+1": V + 1}.get(wrong, wrong)
    assert find(native, memory, ids, V)[0] == -1 - place
    ids[-1] = -1
    assert find(native, memory, ids, V)[0] == -1 - place, "the first wrong id counts"


def test_an_empty_table_has_no_ids(native: Any, memory: Memory) -> None:
    assert find(native, memory, np.array([0, 0]), 0)[0] == -1
    assert find(native, memory, np.array([], np.int64), 0)[0] == 0
