"""Predictions follow ``model_``: what changes its weights after they were frozen reaches the next prediction."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from textnn import SentimentClassifier
from textnn.models.changes import Unchanged

TEXTS = ["很 好", "太 差 了", "包装 很 好 ， 物流 很 快", ""]


def load(model: nn.Module) -> None:
    model.load_state_dict({name: value * 2 for name, value in model.state_dict().items()})


def assign(model: nn.Module) -> None:
    model.load_state_dict({name: value * 2 for name, value in model.state_dict().items()}, assign=True)


def move(model: nn.Module) -> None:
    model.to(torch.bfloat16).to(torch.float32)


def change_in_place(model: nn.Module) -> None:
    with torch.no_grad():
        next(model.parameters()).mul_(3)


def change_in_inference_mode(model: nn.Module) -> None:
    with torch.inference_mode():
        next(model.parameters()).mul_(3)


def step(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9).step()


def replace_a_parameter(model: nn.Module) -> None:
    output: Any = model.output
    output.weight = nn.Parameter(output.weight.detach() * 2)


def replace_a_module(model: nn.Module) -> None:
    output: Any = model.output
    model.output = nn.Linear(output.in_features, output.out_features)


CHANGES = [
    load,
    assign,
    move,
    change_in_place,
    change_in_inference_mode,
    step,
    replace_a_parameter,
    replace_a_module,
]


def expected(classifier: SentimentClassifier) -> Any:
    """Of the live model."""
    return copy.deepcopy(classifier).unfreeze().predict_proba(TEXTS)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("limit", ["by itself", None, 2000])
def test_predictions_follow_the_model(
    make_classifier: Any, reviews: Any, change: Callable[..., None], limit: Any
) -> None:
    classifier = make_classifier(epochs=1).fit(*reviews)
    if limit != "by itself":
        classifier.freeze(limit)
    before = classifier.predict_proba(TEXTS)
    frozen = classifier.frozen_
    assert classifier.predict_proba(TEXTS).tolist() == before.tolist()
    assert classifier.frozen_ is frozen, "nothing has changed, so nothing is frozen again"
    change(classifier.model_)
    after = classifier.predict_proba(TEXTS)
    assert not np.allclose(after, before, rtol=0, atol=1e-4)
    np.testing.assert_allclose(after, expected(classifier), rtol=0, atol=1e-5)
    assert classifier.frozen_ is not frozen
    np.testing.assert_array_equal(np.concatenate(list(classifier.stream_proba(TEXTS))), after)


def test_they_are_frozen_in_the_same_way(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier("lstm", epochs=1).fit(*reviews).freeze(dtype="int8")
    change_in_place(classifier.model_)
    assert classifier.predict_proba(TEXTS).tolist() == classifier.freeze(dtype="int8").predict_proba(TEXTS).tolist()
    assert classifier.predict_proba(TEXTS).tolist() != expected(classifier).tolist(), "int8 rounds"


def test_a_network_with_nothing_to_freeze_warns_once(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier("mlp", epochs=1).fit(*reviews)
    with pytest.warns(UserWarning, match="has nothing to freeze"):
        classifier.freeze()
    change_in_place(classifier.model_)
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), expected(classifier))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_copies_follow_their_own_model(make_classifier: Any, reviews: Any, clone: Any, when: str) -> None:
    classifier = make_classifier(epochs=1).fit(*reviews)
    before = classifier.predict_proba(TEXTS)
    if when == "before":
        load(classifier.model_)
        other = clone(classifier)
    else:
        other = clone(classifier)
        load(other.model_)
        assert classifier.predict_proba(TEXTS).tolist() == before.tolist()
    assert not np.allclose(other.predict_proba(TEXTS), before, rtol=0, atol=1e-4)
    np.testing.assert_allclose(other.predict_proba(TEXTS), expected(other), rtol=0, atol=1e-5)


def test_tensors_of_inference_mode_have_no_count_of_changes() -> None:
    with torch.inference_mode():
        module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    unchanged = Unchanged(module)
    assert unchanged()
    module[0].weight = nn.Parameter(torch.ones(3, 3))
    assert not unchanged()


def test_buffers_and_absent_tensors_count() -> None:
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3))
    unchanged = Unchanged(module)
    assert unchanged()
    module(torch.randn(4, 3))  # the running mean
    assert not unchanged()
    unchanged = Unchanged(module)
    module[0].bias = nn.Parameter(torch.ones(3))
    assert not unchanged()
    unchanged = Unchanged(module)
    module.append(nn.ReLU())
    assert not unchanged()
