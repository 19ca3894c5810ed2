"""textnn.optim.Adam on whole models: dense parameters beside tables, states that are saved, copies, shared passes."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from optimized_tables import D, V, draw_batches, step, tables, train_both
from torch import nn

from textnn import EmbeddingTextConv
from textnn.optim import Adam


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_dense_parameters_are_stepped_as_by_adamw(weight_decay):
    models = [nn.Linear(7, 5), nn.Linear(7, 5)]
    models[1].load_state_dict(models[0].state_dict())
    ours = Adam(models[0].named_parameters(), lr=0.01, weight_decay=weight_decay)
    theirs = torch.optim.AdamW(models[1].parameters(), lr=0.01, weight_decay=weight_decay, fused=True)
    schedulers = [torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=20) for o in (ours, theirs)]
    for _ in range(20):
        x = torch.randn(3, 7)
        for model, optimizer, scheduler in zip(models, (ours, theirs), schedulers, strict=True):

            def closure(model=model, optimizer=optimizer, x=x):
                optimizer.zero_grad()
                loss = model(x).square().sum()
                loss.backward()
                return loss

            assert optimizer.step(closure) > 0
            scheduler.step()
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_parameter_without_gradient_is_left_alone():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    optimizer = Adam(layers.parameters())
    before = copy.deepcopy(layers[1].state_dict())
    layers[0](torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before.values(), layers[1].state_dict().values(), strict=True))
    assert layers[1].weight not in optimizer.state


def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit():
    first, _ = tables()
    one = Adam(first.parameters(), exact=first)
    for ids, gradient in draw_batches(40):
        step(first, one, ids, gradient)
    saved = pickle.loads(pickle.dumps((first.state_dict(), one.state_dict())))
    second, _ = tables()
    second.load_state_dict(saved[0])
    other = Adam(second.parameters(), lr=5.0, exact=second)
    other.load_state_dict(saved[1])
    for ids, gradient in draw_batches(40, seed=1):
        for embedding, optimizer in ((first, one), (second, other)):
            step(embedding, optimizer, ids, gradient)
    one.flush()
    other.flush()
    assert torch.equal(first.weight, second.weight)


def test_state_dicts_of_torch_load_both_ways():
    sides = tables()
    ours, theirs = Adam(sides[0].parameters(), exact=sides[0]), torch.optim.Adam(sides[1].parameters())
    train_both(ours, theirs, sides, steps=20)
    new = tables()
    for embedding in new:
        embedding.load_state_dict(sides[0].state_dict())
    swapped = Adam(new[0].parameters(), exact=new[0]), torch.optim.Adam(new[1].parameters())
    swapped[0].load_state_dict(copy.deepcopy(theirs.state_dict()))
    swapped[1].load_state_dict(copy.deepcopy({**theirs.state_dict(), "state": ours.state_dict()["state"]}))
    train_both(*swapped, new, steps=20, seed=1)
    train_both(ours, theirs, sides, steps=20, seed=1)
    for optimizer in (swapped[0], ours):
        optimizer.flush()
    for embedding in (*new, sides[0]):
        torch.testing.assert_close(embedding.weight, sides[1].weight, rtol=1e-7, atol=1e-9)


def test_two_forward_passes_may_share_a_backward_pass():
    """Rows that catch up for the second are none that the first has read: autograd has nothing to complain of."""
    layer = EmbeddingTextConv(V, D, 4, sparse=True)
    optimizer = Adam(layer.parameters(), exact=layer)
    for _ in range(3):
        optimizer.zero_grad()
        (layer(torch.tensor([[1, 2, 3, 4, 5]])).sum() + layer(torch.tensor([[4, 5, 6, 7, 8]])).sum()).backward()
        optimizer.step()


def test_a_step_between_forward_and_backward_is_noticed():
    layer = EmbeddingTextConv(V, D, 4, sparse=True)
    optimizer = Adam(layer.parameters())
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    layer(ids).sum().backward()
    y = layer(ids).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_copies_of_a_model_are_free_and_never_behind():
    embedding, _ = tables()
    optimizer = Adam(embedding.parameters(), exact=embedding)
    for ids, gradient in draw_batches(3):
        step(embedding, optimizer, ids, gradient)
    for clone in (copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))):
        step(embedding, optimizer, torch.tensor([1]), torch.ones(1, D))
        with pytest.raises(RuntimeError, match=r"cannot be copied: call flush\(\) before"):
            clone(embedding)
        optimizer.flush()
        assert torch.equal(clone(embedding)(torch.tensor([2])), embedding(torch.tensor([2])))
    with pytest.raises(TypeError, match=r"save its state_dict\(\)"):
        copy.deepcopy(optimizer)
