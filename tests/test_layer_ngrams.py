"""NgramBag: the linear model on hashed n-grams of token ids."""

from __future__ import annotations

import copy

import pytest
import torch
from id_batches import LENGTHS, make
from ragged import TOLERANCE
from torch import nn

import textnn
import textnn.reference as slow
from textnn import NgramBag

IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])


def bag_by_hand(layer, ids, **batch):
    """The definition, sentence by sentence; what is dropped is not."""
    rows = slow.hash_ngrams(ids, layer.sizes, layer.num_embeddings, **batch)
    sums = []
    for sentence in slow.convolution._sentences(rows, batch.get("lengths"), batch.get("offsets")):
        found = sentence[sentence > 0]
        sums.append(layer.weight[found].sum(dim=0) / max(1, found.numel()) ** 0.5)
    return torch.stack(sums) if sums else layer.weight[:0]


def weighted_by_hand(layer, ids, **batch):
    """The definition of a weighted bag: TF-IDF vectors of length 1, with importance in the place of frequencies."""
    rows = slow.hash_ngrams(ids, layer.sizes, layer.num_embeddings, **batch)
    sums = []
    for sentence in slow.convolution._sentences(rows, batch.get("lengths"), batch.get("offsets")):
        found = sentence[sentence > 0].unique()
        importance = layer.importance[found]
        norm = importance.square().sum().sqrt() if len(found) else importance.new_ones(())
        sums.append((importance[:, None] * layer.weight[found]).sum(dim=0) / (norm if norm > 0 else 1.0))
    return torch.stack(sums) if sums else layer.weight[:0]


def random_bag(*arguments, **options):
    layer = NgramBag(*arguments, **options)
    nn.init.normal_(layer.weight)
    with torch.no_grad():
        layer.weight[0] = 0
        if layer.weighted:
            layer.importance[1:].uniform_()
            layer.importance[5::7] = 0
    return layer


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("form", ["flat", "padded", "dense"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layer_equals_its_definition(lengths, form, sparse, dtype, weighted):
    layer = random_bag(97, 3, (1, 3), sparse=sparse, dtype=dtype, weighted=weighted)
    ids, batch = make(lengths, form)
    results = []
    definition = weighted_by_hand if weighted else bag_by_hand
    for function in (layer, lambda *a, **b: definition(layer, *a, **b)):
        layer.weight.grad = None
        y = function(ids, **batch)
        (y * torch.linspace(-1, 1, y.numel(), dtype=dtype).reshape(y.shape)).sum().backward()
        gradient = layer.weight.grad
        dense = torch.zeros_like(layer.weight) if gradient is None else gradient.to_dense()
        results.append((y.detach(), dense))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, **TOLERANCE[dtype])


def test_a_weighted_bag_comes_from_the_meta_device_as_a_new_one():
    layer = NgramBag(50, 2, weighted=True, device="meta").to_empty(device="cpu")
    layer.importance.fill_(7.0)
    layer.reset_parameters()
    assert layer.importance.tolist() == [0.0, *[1.0] * 49]
    assert not layer.weight.any()


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


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradcheck(sparse, dropout, weighted):
    layer = random_bag(11, 2, (1, 2), dropout=dropout, sparse=sparse, weighted=weighted, dtype=torch.float64)
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
    assert repr(NgramBag(9, 2, dropout=0.5)) == "textnn.NgramBag(9, 2, sizes=(1, 2), dropout=0.5, sparse=False)"
