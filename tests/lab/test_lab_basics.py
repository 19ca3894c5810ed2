"""Neurons, the playground, loss and descent: against figures worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from textnn.lab import descent, neurons, playground
from textnn.lab.loss import X, Y


def test_a_house_is_priced_by_a_weighted_sum() -> None:
    found = neurons(area=90, age=10, weight_area=1.2, weight_age=-0.8, bias=20)
    assert found.price == pytest.approx(90 * 1.2 - 10 * 0.8 + 20, rel=1e-15)
    rows = found.panels()[1]["rows"]
    assert [row[-1] for row in rows] == [108, -8, 20, 120]


def test_two_linear_layers_are_one_and_relu_bends_them() -> None:
    found = neurons(hidden=6)
    np.testing.assert_allclose(found.two, found.one, rtol=1e-12, atol=1e-12)
    assert abs(np.diff(found.two, 2)).max() < 1e-12, "a straight line"
    assert abs(np.diff(found.bent, 2)).max() > 1e-4


def test_slopes_are_the_derivatives() -> None:
    found = neurons(z=0.5)
    s, t = 1 / (1 + math.exp(-0.5)), math.tanh(0.5)
    assert found.at["sigmoid"] == pytest.approx((s, s * (1 - s)))
    assert found.at["tanh"] == pytest.approx((t, 1 - t * t))
    assert found.at["relu"] == (0.5, 1.0)
    assert found.slopes["sigmoid"].max() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({"data": "circles"}, 0.99, 1),
        ({"data": "circles", "activation": "none"}, 0, 0.7),
        ({"data": "circles", "layers": 0}, 0, 0.7),
        ({"data": "circles", "layers": 0, "features": "squares"}, 0.99, 1),
        ({"data": "blobs", "layers": 0}, 0.99, 1),
        ({"data": "xor", "layers": 0}, 0, 0.7),
        ({"data": "xor", "layers": 0, "features": "squares"}, 0.95, 1),
        ({"data": "spirals", "layers": 3, "units": 16, "noise": 0.0, "rate": 0.01, "steps": 500}, 0.99, 1),
    ],
)
def test_what_a_small_network_can_and_cannot_separate(options: dict[str, Any], low: float, high: float) -> None:
    found = playground(**options)
    assert low <= found.accuracy <= high
    assert found.losses[-1] < found.losses[0]
    assert ((found.plane >= 0) & (found.plane <= 1)).all()


def test_the_plane_agrees_with_the_points() -> None:
    found = playground("blobs", noise=0.0)
    assert found.plane[0, 0] < 0.1, "the lower left corner, with class 0"
    assert found.plane[-1, -1] > 0.9
    assert (np.bincount(found.classes) == [120, 120]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "moons"}, "data: expected one of circles, spirals, xor, blobs, got 'moons'"),
        ({"features": "all"}, "features: expected one of plain, squares, waves, got 'all'"),
        ({"activation": "gelu"}, "activation: expected one of tanh, relu, sigmoid, none, got 'gelu'"),
        ({"units": 0}, "layers, units: expected 0 or more and 1 or more, got 1 and 0"),
    ],
)
def test_a_playground_refuses_what_it_does_not_know(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        playground(**options)


def test_cross_entropy_is_the_mean_of_minus_the_log_likelihood() -> None:
    found = descent(positives=7, labels=10)
    np.testing.assert_allclose(found.entropy, -np.log(found.likelihood) / 10, rtol=1e-12)
    assert found.probabilities[found.entropy.argmin()] == pytest.approx(0.7)
    assert found.probabilities[found.likelihood.argmax()] == pytest.approx(0.7)


def test_a_step_is_minus_rate_times_slope() -> None:
    found = descent(start=1.0, good=2.0, steps=1)
    x, y = np.array(X), np.array(Y)
    slope = ((1 / (1 + np.exp(-x)) - y) * x).mean()
    assert found.paths["2"].tolist() == pytest.approx([1.0, 1.0 - 2.0 * slope])
    loss = -(y * np.log(1 / (1 + np.exp(-x))) + (1 - y) * np.log(1 - 1 / (1 + np.exp(-x)))).mean()
    assert found.path_losses["2"][0] == pytest.approx(loss)


def test_a_small_rate_crawls_a_good_one_arrives_and_a_large_one_jumps() -> None:
    found = descent()
    small, good, large = found.paths.values()
    best = found.losses.min()
    ends = [losses[-1] for losses in found.path_losses.values()]
    assert ends[0] > best + 0.1
    assert ends[1] == pytest.approx(best, abs=1e-3)
    assert (np.diff(small) > 0).all()
    assert large[1] > found.weights[found.losses.argmin()] + 5, "across the valley"
    assert (np.diff(large) < 0).any()
    assert (np.diff(good) > 0).all()


def test_softmax_shares_out_one_and_sigmoids_do_not() -> None:
    found = descent(room=2.0, price=2.0, service=-2.0)
    assert found.softmax.sum() == pytest.approx(1)
    assert found.softmax[0] < 0.5
    np.testing.assert_allclose(found.sigmoids, torch.tensor([2.0, 2.0, -2.0]).sigmoid(), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probability": 0}, "probability: expected a number between 0 and 1, got 0"),
        ({"positives": 3, "labels": 2}, "positives: expected 0 to labels, got 3 of 2"),
        ({"steps": 0}, "steps: expected 1 or more, got 0"),
    ],
)
def test_a_descent_refuses_what_makes_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        descent(**options)
