"""textnn.functional.hash_ngrams and NgramBag: hashed n-grams of token ids, and the linear model on them."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import TOLERANCE
from torch import nn

import textnn
import textnn.functional as fast
import textnn.reference as slow
from textnn import NgramBag

LENGTHS = {
    "one token": [1],
    "shorter than n": [1, 2, 1],
    "empty": [0, 4, 0, 0, 3, 0],
    "all empty": [0, 0],
    "no sentence": [],
    "ragged": [7, 2, 9, 5, 1, 6],
    "more than a unit of work": [5000, 3, 0, 4200, 1],
}
SIZES = [(1,), (2,), (1, 2), (3, 1, 2), (2, 5), (16,), tuple(range(16, 0, -1))]


def make(lengths, form, V=1000):
    """Ids and the arguments that say how long the sentences are."""
    sizes = torch.tensor(lengths, dtype=torch.int64)
    if form == "flat":
        return torch.randint(0, V, (int(sizes.sum()),)), {"offsets": sizes.cumsum(0) - sizes}
    return torch.randint(0, V, (len(lengths), max(lengths, default=0))), {"lengths": sizes} if form == "padded" else {}


# --- the operator ---


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("form", ["flat", "padded", "dense"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_equals_the_reference(lengths, form, sizes):
    ids, batch = make(lengths, form)
    for buckets in (2, 1000, 2**18, 2**31):
        got = fast.hash_ngrams(ids, sizes, buckets, **batch)
        assert got.shape == (*ids.shape, len(sizes))
        assert torch.equal(got, slow.hash_ngrams(ids, sizes, buckets, **batch)), buckets


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
    finally:
        torch.set_num_threads(before)
    assert torch.equal(got, slow.hash_ngrams(ids, sizes, buckets, **batch))


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


# --- the layer ---


def bag_by_hand(layer, ids, **batch):
    """The definition, sentence by sentence; what is dropped is not."""
    rows = slow.hash_ngrams(ids, layer.sizes, layer.num_embeddings, **batch)
    sums = []
    for sentence in slow._sentences(rows, batch.get("lengths"), batch.get("offsets")):
        found = sentence[sentence > 0]
        sums.append(layer.weight[found].sum(dim=0) / max(1, found.numel()) ** 0.5)
    return torch.stack(sums) if sums else layer.weight[:0]


def random_bag(*arguments, **options):
    layer = NgramBag(*arguments, **options)
    nn.init.normal_(layer.weight)
    with torch.no_grad():
        layer.weight[0] = 0
    return layer


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("form", ["flat", "padded", "dense"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layer_equals_its_definition(lengths, form, sparse, dtype):
    layer = random_bag(97, 3, (1, 3), sparse=sparse, dtype=dtype)
    ids, batch = make(lengths, form)
    results = []
    for function in (layer, lambda *a, **b: bag_by_hand(layer, *a, **b)):
        layer.weight.grad = None
        y = function(ids, **batch)
        (y * torch.linspace(-1, 1, y.numel(), dtype=dtype).reshape(y.shape)).sum().backward()
        gradient = layer.weight.grad
        dense = torch.zeros_like(layer.weight) if gradient is None else gradient.to_dense()
        results.append((y.detach(), dense))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, **TOLERANCE[dtype])


def test_begins_as_zero_and_draws_nothing():
    state = torch.get_rng_state()
    layer = NgramBag(50, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert not layer.weight.any()
    assert not layer(torch.randint(0, 9, (3, 4))).any()
    assert list(layer.state_dict()) == ["weight"]
    assert layer.weight.shape == (50, 2)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("sparse", [False, True])
def test_row_zero_gets_no_gradient(sparse, dropout):
    layer = NgramBag(50, 2, (1, 3), dropout=dropout, sparse=sparse)
    layer(torch.randint(0, 9, (30, 2))).sum().backward()
    gradient = layer.weight.grad
    assert gradient.is_sparse is sparse
    assert not gradient.to_dense()[0].any()
    assert gradient.to_dense()[1:].any()


def test_the_sparse_gradient_has_a_row_for_each_distinct_bucket():
    layer = NgramBag(2**20, 2, sparse=True)
    ids = torch.randint(0, 9, (8, 30))
    layer(ids).sum().backward()
    rows = layer.weight.grad._indices()[0]
    assert torch.equal(rows, layer.rows_read(ids).unique())


class WithDenseGradient(torch.autograd.Function):
    """The tensor itself; gradcheck and torch.cat take no sparse gradient for it."""

    @staticmethod
    def forward(ctx, weight):
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.to_dense()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradcheck(sparse, dropout):
    layer = random_bag(11, 2, (1, 2), dropout=dropout, sparse=sparse, dtype=torch.float64)
    ids, batch = make([3, 0, 1, 4], "flat", 5)

    def f(weight):
        torch.manual_seed(1)  # drops the same n-grams at every call
        table = WithDenseGradient.apply(torch.cat([weight.new_zeros(1, 2), weight]))  # row 0 is no variable
        return torch.func.functional_call(layer, {"weight": table}, (ids,), batch)

    assert torch.autograd.gradcheck(f, [layer.weight.detach()[1:].clone().requires_grad_()])


def test_dropout_keeps_the_expectation_and_ends_with_training():
    layer = random_bag(5000, 3, (1, 2), dropout=0.25, dtype=torch.float64)
    ids = torch.randint(0, 1000, (1, 12))
    want = layer.eval()(ids)
    torch.testing.assert_close(want, bag_by_hand(layer, ids))
    layer.train()
    draws = torch.cat([layer(ids) for _ in range(4000)])
    error = draws.std(dim=0) / len(draws) ** 0.5
    assert bool(error.gt(0).all())
    assert bool(((draws.mean(dim=0) - want[0]).abs() < 5 * error).all())
    # Each n-gram is there as a whole or not at all: a sentence of one token is 0 or 1 / 0.75 of what it would be.
    one = torch.randint(0, 1000, (400, 1))
    share = (3 * layer(one) / bag_by_hand(layer, one)).flatten()
    torch.testing.assert_close(share, share.round())
    assert set(share.round().int().tolist()) == {0, 4}


def test_drops_as_many_as_it_says_in_the_gradient_too():
    layer = NgramBag(2**20, 1, (1,), dropout=0.25)
    ids = torch.arange(10_000).reshape(10_000, 1)
    layer(ids).sum().backward()
    touched = int((layer.weight.grad != 0).sum())
    assert abs(touched - 7500) < 5 * (10_000 * 0.25 * 0.75) ** 0.5 + 60  # and some that share a bucket


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("form", ["flat", "padded", "dense"])
def test_layer_compiles_to_one_graph(form, dynamic):
    layer = random_bag(97, 2, (1, 2), dtype=torch.float64)
    compiled = torch.compile(layer, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([4, 2, 3], [5, 7], [1, 3, 6, 2]):
        ids, batch = make(lengths, form)
        results = []
        for function in (layer, compiled):
            y = function(ids, **batch)
            results.append((y.detach(), *torch.autograd.grad(y.square().sum(), layer.weight)))
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b)


def test_halves_and_autocast():
    layer = random_bag(97, 2)
    ids = torch.randint(0, 9, (3, 4))
    want = layer(ids)
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        torch.testing.assert_close(layer(ids), want)
    half = copy.deepcopy(layer).bfloat16()
    y = half(ids)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), want, rtol=0.02, atol=0.02)
    y.sum().backward()
    layer(ids).sum().backward()
    torch.testing.assert_close(half.weight.grad.float(), layer.weight.grad, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("sparse", [False, True])
def test_learns_what_only_the_order_of_words_says(sparse):
    """With textnn's Adam; row 0 stays zero."""
    layer = NgramBag(2**16, 2, (1, 2), dropout=0.1, sparse=sparse)
    optimizer = textnn.optim.Adam(layer.parameters(), lr=0.1)
    ids = torch.randint(0, 20, (256, 6))
    labels = (ids[:, :1] == 3).any(dim=1).long()
    ids[:, 1] = torch.where(labels == 1, 4, 5)
    ids[:, 2] = torch.where(labels == 1, 5, 4)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(layer(ids), labels).backward()
        optimizer.step()
    layer.eval()
    assert bool((layer(ids).argmax(dim=1) == labels).all())
    assert not layer.weight[0].any()


def test_a_frozen_model_has_a_copy_of_it():
    from textnn.models import TextModel

    class Both(TextModel):
        name, defaults = "both", {}

        def __init__(self):
            super().__init__()
            self.deep, self.wide = textnn.EmbeddingTextConv(9, 4, 2, (2,)), random_bag(97, 2, (1, 2), sparse=True)

        def forward(self, ids, offsets):
            return self.deep(ids, offsets=offsets) + self.wide(ids, offsets=offsets)

    model = Both().eval()
    frozen = model.freeze()
    ids, offsets = torch.randint(0, 9, (12,)), torch.tensor([0, 5, 5])
    with torch.no_grad():
        torch.testing.assert_close(frozen(ids, offsets), model(ids, offsets))
    assert isinstance(frozen.deep, textnn.FrozenTextConv)
    assert isinstance(frozen.wide, NgramBag)
    assert frozen.wide.weight is not model.wide.weight
    assert any(table is model.wide.weight for table in model.sparse_parameters())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: NgramBag(1, 2), ValueError, "buckets must lie between 2"),
        (lambda: NgramBag(9, 2, ()), ValueError, "sizes must be distinct"),
        (lambda: NgramBag(9, 2, dropout=1.0), ValueError, r"dropout must be a probability from 0 to below 1, got 1.0"),
        (lambda: NgramBag(9, 2, dropout=-0.1), ValueError, "dropout must be a probability"),
        (lambda: NgramBag(9, 2)(IDS[0]), ValueError, r"ids must have shape \[B, L\]"),
    ],
)
def test_layer_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_shows_what_it_is():
    assert repr(NgramBag(9, 2, dropout=0.5)) == "NgramBag(9, 2, sizes=(1, 2), dropout=0.5, sparse=False)"
