"""textnn.TextConv and EmbeddingTextConv as modules."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import textnn.reference as reference
from textnn import EmbeddingTextConv, NgramBag, TextConv


def kernels(layer):
    return [c.weight for c in layer.convs], [c.bias for c in layer.convs] if layer.convs[0].bias is not None else None


def test_a_jagged_nested_tensor_is_a_flat_batch():
    parts = [torch.randint(0, 11, (n,)) for n in (3, 1, 4)]
    ids, nested = torch.cat(parts), torch.nested.nested_tensor(parts, layout=torch.jagged)
    table = torch.randn(11, 5)
    vectors = torch.nested.nested_tensor([table[part] for part in parts], layout=torch.jagged)
    conv = EmbeddingTextConv(11, 5, 4)
    cases = (TextConv(5, 4), vectors, table[ids]), (conv, nested, ids), (NgramBag(50, 3), nested, ids)
    for layer, batch, flat in (*cases, (conv.freeze(), nested, ids)):
        assert torch.equal(layer(batch), layer(flat, offsets=[0, 3, 4]))
        with pytest.raises(ValueError, match="a nested tensor has its own lengths"):
            layer(batch, offsets=[0, 3, 4])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
def test_layers_are_their_functions(bias, padding, activation):
    options = dict(kernel_sizes=(2, 3), padding=padding, bias=bias, activation=activation)
    conv, embedded = TextConv(6, 5, **options), EmbeddingTextConv(20, 6, 5, **options)
    embedded.convs.load_state_dict(conv.convs.state_dict())
    ids, lengths = torch.randint(0, 20, (4, 9)), torch.tensor([9, 1, 0, 5])
    x = embedded.weight[ids]
    want = reference.text_conv(x, *kernels(conv), lengths=lengths, padding=padding, activation=activation)
    assert want.shape == (4, 10)
    torch.testing.assert_close(conv(x, lengths=lengths), want)
    torch.testing.assert_close(embedded(ids, lengths=lengths), want)
    flat = torch.cat([ids[b, :n] for b, n in enumerate(lengths)])
    torch.testing.assert_close(embedded(flat, offsets=lengths.cumsum(0) - lengths), want)


def test_without_lengths_padding_tokens_count_as_in_an_embedding():
    layer = EmbeddingTextConv(20, 6, 5)
    ids = torch.randint(0, 20, (4, 9))
    ids[:, 5:] = 0
    embedding = nn.Embedding(20, 6, padding_idx=0)
    embedding.load_state_dict({"weight": layer.weight.detach()})
    torch.testing.assert_close(layer(ids), reference.text_conv(embedding(ids), *kernels(layer)))


def test_the_padding_row_begins_as_zero_and_gets_no_gradient():
    layer = EmbeddingTextConv(20, 6, 5, padding_idx=3)
    assert not layer.weight[3].any()
    layer(torch.randint(0, 5, (4, 9))).sum().backward()
    assert not layer.weight.grad[3].any()
    assert layer.weight.grad[4].any()


def test_sparse_gradients_train_with_sparse_adam():
    layer = EmbeddingTextConv(1000, 6, 5, sparse=True)
    before = layer.weight.detach().clone()
    optimizer = torch.optim.SparseAdam([layer.weight], lr=0.1)
    layer(torch.tensor([[1, 2, 3, 4, 5, 6]])).sum().backward()
    optimizer.step()
    changed = (layer.weight != before).any(dim=1).nonzero()[:, 0]
    assert set(changed.tolist()) <= {1, 2, 3, 4, 5, 6}
    assert len(changed) > 0


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_and_state_dicts(clone):
    layer = EmbeddingTextConv(20, 6, 5)
    ids = torch.randint(0, 20, (4, 9))
    other = clone(layer)
    assert torch.equal(layer(ids), other(ids))
    fresh = EmbeddingTextConv(20, 6, 5)
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(layer(ids), fresh(ids))
    assert list(layer.state_dict())[:3] == ["weight", "convs.0.weight", "convs.0.bias"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes(dtype):
    layer = EmbeddingTextConv(20, 6, 5, dtype=dtype)
    y = layer(torch.randint(0, 20, (4, 9)))
    assert y.dtype == dtype
    y.sum().backward()
    assert layer.weight.grad.dtype == dtype


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_to_one_graph(dynamic):
    layer = EmbeddingTextConv(20, 6, 5)
    compiled = torch.compile(layer, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for B, L in [(2, 5), (3, 7)]:
        ids = torch.randint(0, 20, (B, L))
        torch.testing.assert_close(compiled(ids), layer(ids))
        compiled(ids).sum().backward()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(kernel_sizes=()), "kernel_sizes must be positive and at least one"),
        (dict(kernel_sizes=(0, 2)), "kernel_sizes must be positive"),
        (dict(padding="full"), "padding must be"),
        (dict(activation="gelu"), "activation must be"),
        (dict(channels=0), "channels must be positive, got 0"),
        (dict(padding_idx=20), "padding_idx must be within num_embeddings = 20, got 20"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingTextConv(**{"num_embeddings": 20, "embedding_dim": 6, "channels": 5, **options})
