"""textnn.functional.hash_ngrams: hashed n-grams of token ids."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from id_batches import LENGTHS, make

import textnn.functional as fast
import textnn.reference as slow

SIZES = [(1,), (2,), (1, 2), (3, 1, 2), (2, 5), (16,), tuple(range(16, 0, -1))]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("form", ["flat", "padded", "dense"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_equals_the_reference(lengths, form, sizes):
    ids, batch = make(lengths, form)
    # A table of every length from 16 to 1 takes the emulator seconds.
    for buckets in (2, 1000, 2**18, 2**31) if len(sizes) < 16 else (2**31,):
        for distinct in (False, True):
            got = fast.hash_ngrams(ids, sizes, buckets, distinct=distinct, **batch)
            assert got.shape == (*ids.shape, len(sizes))
            assert torch.equal(got, slow.hash_ngrams(ids, sizes, buckets, distinct=distinct, **batch)), buckets


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), max_size=9),
    sizes=st.lists(st.integers(1, 16), min_size=1, max_size=16, unique=True),
    buckets=st.integers(2, 2**31),
    V=st.sampled_from([1, 50, 2**31, 2**63 - 1]),
    form=st.sampled_from(["flat", "padded", "dense"]),
    threads=st.sampled_from([1, 3]),
)
def test_equals_the_reference_whatever_the_shape(lengths, sizes, buckets, V, form, threads):
    ids, batch = make(lengths, form, V)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        got = fast.hash_ngrams(ids, sizes, buckets, **batch)
        first = fast.hash_ngrams(ids, sizes, buckets, distinct=True, **batch)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(got, slow.hash_ngrams(ids, sizes, buckets, **batch))
    assert torch.equal(first, slow.hash_ngrams(ids, sizes, buckets, distinct=True, **batch))


def test_distinct_ones_are_all_there_and_each_only_once_a_sentence():
    ids, offsets = torch.tensor([7, 7, 7, 5, 7, 5]), torch.tensor([0, 4])
    every = fast.hash_ngrams(ids, (1, 2), 2**20, offsets=offsets)
    first = fast.hash_ngrams(ids, (1, 2), 2**20, offsets=offsets, distinct=True)
    assert (first > 0).tolist() == [
        [True, True],
        [False, False],
        [False, True],
        [True, False],
        [True, True],
        [True, False],
    ]
    assert torch.equal(every[first > 0], first[first > 0])
    for rows, kept in zip(every.split([4, 2]), first.split([4, 2]), strict=True):
        assert sorted(set(rows[rows > 0].tolist())) == sorted(kept[kept > 0].tolist())


def test_stays_what_it_is():
    """A saved model relies on every bucket."""
    got = fast.hash_ngrams(torch.tensor([[3, 1, 4, 1, 5]]), (1, 2, 3), 2**20)
    assert got.tolist() == [
        [
            [718521, 348124, 617686],
            [109946, 246755, 596216],
            [673782, 67313, 623139],
            [109946, 908234, 0],
            [923983, 0, 0],
        ]
    ]


def test_an_ngram_belongs_to_its_sentence():
    """0 where it would pass the end; the same wherever it stands, in whatever form the batch comes."""
    ids = torch.tensor([5, 7, 9, 5, 7, 5])
    y = fast.hash_ngrams(ids, (1, 2, 3), 1000, offsets=torch.tensor([0, 3, 3, 5]))
    assert (y > 0).tolist() == [
        [True, True, True],
        [True, True, False],
        [True, False, False],
        [True, True, False],
        [True, False, False],
        [True, False, False],
    ]
    assert torch.equal(y[0, :2], y[3, :2])
    padded = fast.hash_ngrams(torch.tensor([[5, 7, 9], [5, 7, 8]]), (1, 2, 3), 1000, lengths=torch.tensor([3, 2]))
    assert torch.equal(padded[0], y[:3])
    assert torch.equal(padded[1, :2], y[3:5])
    assert not padded[1, 2].any()


def test_order_counts_and_sizes_have_nothing_to_do_with_each_other():
    ids = torch.randint(0, 10**6, (100_000, 2))
    hashed = fast.hash_ngrams(ids, (1, 2), 2**31)
    turned = fast.hash_ngrams(ids.flip(1), (1, 2), 2**31)
    assert int((hashed[:, 0, 1] == turned[:, 0, 1]).sum()) < 10
    assert int((hashed[:, 0, 0] == hashed[:, 0, 1]).sum()) < 10
    same = torch.full((1, 16), 3)  # also where all tokens are one
    assert fast.hash_ngrams(same, range(1, 17), 2**31)[0, 0].unique().numel() == 16
    alone = fast.hash_ngrams(ids, (2,), 2**31)
    assert torch.equal(alone[..., 0], hashed[..., 1])


def evenness(buckets, counted):
    """How far the numbers of a chi-square statistic are from those of uniform draws, in standard deviations."""
    counts = torch.bincount(buckets, minlength=counted + 1).double()
    assert counts[0] == 0
    expected = buckets.numel() / counted
    statistic = float((counts[1:] - expected).square().sum() / expected)
    return (statistic - (counted - 1)) / (2 * (counted - 1)) ** 0.5


def test_random_bigrams_fill_all_buckets_evenly():
    pairs = torch.randint(0, 50_000**2, (1_020_000,)).unique()[:1_000_000]
    assert pairs.numel() == 1_000_000
    bigrams = torch.stack([pairs // 50_000, pairs % 50_000], dim=1)
    y = fast.hash_ngrams(bigrams, (2,), 2**16)[:, 0, 0]
    assert abs(evenness(y, 2**16 - 1)) < 5


@pytest.mark.parametrize("step", [1, 2**8, 2**20, 2**31])
@pytest.mark.parametrize("buckets", [2**16, 10_007])
def test_so_do_regular_ones(step, buckets):
    """All pairs of a thousand ids that follow a pattern: a weak hash maps a lattice to a lattice."""
    a = torch.arange(1000) * step
    bigrams = torch.cartesian_prod(a, a)
    y = fast.hash_ngrams(bigrams, (2,), buckets)[:, 0, 0]
    assert evenness(y, buckets - 1) < 5
    low = y % 64  # what a smaller table would see
    assert evenness(low + 1, 64) < 8


@pytest.mark.parametrize("position", [0, 1, 2])
def test_every_bit_of_every_token_moves_every_bit_of_the_bucket(position):
    ids = torch.randint(0, 2**31, (20_000, 3))
    before = fast.hash_ngrams(ids, (3,), 2**31)[:, 0, 0]
    for bit in range(31):
        changed = ids.clone()
        changed[:, position] ^= 1 << bit
        moved = before ^ fast.hash_ngrams(changed, (3,), 2**31)[:, 0, 0]
        share = torch.stack([(moved >> b & 1).double().mean() for b in range(31)])
        assert bool(((share - 0.5).abs() < 0.1).all()), (bit, share)


def test_not_contiguous_and_narrow_arguments():
    ids, lengths = torch.randint(0, 9, (6, 5)), torch.tensor([3, 0, 5, 6, 2])
    want = slow.hash_ngrams(ids.t(), (1, 3), 999, lengths=lengths)
    assert torch.equal(fast.hash_ngrams(ids.t(), (1, 3), 999, lengths=lengths), want)
    assert torch.equal(fast.hash_ngrams(ids.t().int(), (1, 3), 999, lengths=lengths.int()), want)
    strided = torch.randint(0, 9, (20,))[::2]
    offsets = torch.tensor([0, 9, 4, 9])[::2]
    want = slow.hash_ngrams(strided, (2,), 999, offsets=offsets)
    assert torch.equal(fast.hash_ngrams(strided, (2,), 999, offsets=offsets), want)


@pytest.mark.parametrize("form", ["flat", "padded", "dense"])
def test_opcheck(form):
    ids, batch = make(LENGTHS["ragged"], form)
    size = next(iter(batch.values()), None)
    torch.library.opcheck(torch.ops.textnn.hash_ngrams.default, (ids, [1, 3], 999, size, form == "flat"))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("form", ["flat", "padded", "dense"])
def test_compiles_to_one_graph(form, dynamic):
    compiled = torch.compile(fast.hash_ngrams, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([4, 2, 3], [5, 7], [1, 3, 6, 2]):
        ids, batch = make(lengths, form)
        assert torch.equal(compiled(ids, (1, 2), 999, **batch), slow.hash_ngrams(ids, (1, 2), 999, **batch)), lengths


def test_under_autocast():
    ids = torch.randint(0, 9, (3, 4))
    want = fast.hash_ngrams(ids, (1, 2), 99)
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        assert torch.equal(fast.hash_ngrams(ids, (1, 2), 99), want)


IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fast.hash_ngrams(IDS[0], (1,), 9), ValueError, r"ids must have shape \[B, L\], got \[3\]"),
        (lambda: fast.hash_ngrams(IDS, (1,), 9, offsets=IDS[0]), ValueError, r"ids must have shape \[N\] with offsets"),
        (lambda: fast.hash_ngrams(IDS.float(), (1,), 9), TypeError, "ids must be int64, got torch.float32"),
        (lambda: fast.hash_ngrams(IDS, (), 9), ValueError, r"sizes must be distinct, from 1 to 16 and at least one"),
        (lambda: fast.hash_ngrams(IDS, (1, 1), 9), ValueError, r"sizes must be distinct.*got \(1, 1\)"),
        (lambda: fast.hash_ngrams(IDS, (0,), 9), ValueError, r"from 1 to 16 .* got \(0,\)"),
        (lambda: fast.hash_ngrams(IDS, (17,), 9), ValueError, r"from 1 to 16 .* got \(17,\)"),
        (lambda: fast.hash_ngrams(IDS, 2, 9), TypeError, "sizes must be a sequence of integers, got 2"),
        (lambda: fast.hash_ngrams(IDS, (1.5,), 9), TypeError, "sizes must be a sequence of integers"),
        (lambda: fast.hash_ngrams(IDS, (1,), 1), ValueError, r"buckets must lie between 2 and 2\*\*31, got 1"),
        (lambda: fast.hash_ngrams(IDS, (1,), 2**31 + 1), ValueError, r"buckets must lie between 2 and 2\*\*31"),
        (lambda: fast.hash_ngrams(IDS, (1,), 9.0), TypeError, "buckets must be an integer, got float 9.0"),
        (lambda: fast.hash_ngrams(IDS, (1,), 9, lengths=torch.tensor([4, 1])), ValueError, "lengths must lie between"),
        (lambda: fast.hash_ngrams(IDS[0], (1,), 9, offsets=torch.tensor([1])), ValueError, "offsets must begin with 0"),
        (
            lambda: fast.hash_ngrams(IDS[0], (1,), 9, offsets=torch.tensor([0]), lengths=torch.tensor([3])),
            ValueError,
            "at most one of lengths and offsets",
        ),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.cpu
def test_ids_below_zero_are_refused():
    ids = torch.tensor([1, 2, -7, 3])
    with pytest.raises(ValueError, match="ids must be at least 0, got -7"):
        fast.hash_ngrams(ids, (1,), 9, offsets=torch.tensor([0]))
    with pytest.raises(RuntimeError, match="ids must be at least 0, got -7 at position 2"):  # as under torch.compile
        torch.ops.textnn.hash_ngrams(ids, [1], 9, torch.tensor([0]), True)


@pytest.mark.parametrize(
    ("ngrams", "buckets", "message"),
    [([], 9, "at least one"), ([0], 9, "got 0"), ([17], 9, "got 17"), ([2, 2], 9, "2 twice"), ([1], 1, "got 1")],
)
def test_the_operator_itself_refuses_what_it_cannot_do(ngrams, buckets, message):
    with pytest.raises(RuntimeError, match=message):
        torch.ops.textnn.hash_ngrams(IDS, ngrams, buckets, None, False)
