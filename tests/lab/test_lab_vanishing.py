"""Vanishing gradients: what the exhibit claims, and that its numbers are those of textnn's layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import textnn
from textnn.lab import memory_task, vanishing, vanishing_gradients
from textnn.lab.backward import cells_of, measure

FAR = 50


def test_over_fifty_steps_the_rnn_forgets_and_the_lstm_with_an_open_gate_does_not() -> None:
    found = vanishing_gradients(length=FAR).relative
    assert found["RNN tanh"][FAR] < 1e-6
    assert found["LSTM open"][FAR] > 1e-2


def test_the_lstm_forgets_too_with_the_bias_that_torch_gives_it() -> None:
    found = vanishing_gradients(length=FAR, forget_bias=0.0)
    assert found.relative["LSTM"][FAR] < 1e-6
    np.testing.assert_array_equal(found.gradients["LSTM"], found.gradients["LSTM open"])
    assert found.forget["LSTM"][FAR] ** (1 / FAR) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("init", ["orthogonal", "uniform"])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_no_gradient_is_above_the_product_of_slopes(init: str, scale: float) -> None:
    found = vanishing_gradients(length=30, hidden=12, scale=scale, init=init)
    assert list(found.bound) == ["RNN tanh", "RNN relu"]
    for name, bound in found.bound.items():
        assert (found.gradients[name] <= bound * (1 + 1e-12)).all(), name


def test_the_bound_of_a_relu_network_with_a_positive_state_is_the_power_of_the_norm() -> None:
    layer = textnn.RNN(1, 1, nonlinearity="relu", bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.fill_(-0.5)
    cell = cells_of({"own": layer})["own"]
    found = measure(cell, torch.ones(3, 1, 1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    np.testing.assert_allclose(found.bound(cell), [1, 0.5, 0.25, 0.125])


@pytest.mark.parametrize(
    ("activation", "names"), [("both", ["RNN tanh", "RNN relu"]), ("tanh", ["RNN tanh"]), ("relu", ["RNN relu"])]
)
def test_the_activation_says_which_rnn_is_measured(activation: str, names: list[str]) -> None:
    found = vanishing_gradients(length=5, hidden=4, activation=activation)
    assert list(found.gradients) == [*names, "GRU", "LSTM", "LSTM open"]
    assert list(found.bound) == names
    assert found.untrained == {}


def test_trained_weights_stand_beside_the_random_ones_that_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a step of training the two are the same, and training changes each of them."""
    given: dict[str, Any] = {"length": 12, "hidden": 8, "weights": "trained"}
    found = vanishing_gradients(**given)
    assert list(found.untrained) == list(found.gradients)
    assert all((found.untrained[name] != norms).any() for name, norms in found.gradients.items())
    monkeypatch.setattr(vanishing, "TRAININGS", 0)
    untrained = vanishing_gradients(**given)
    for name, norms in found.untrained.items():
        np.testing.assert_array_equal(untrained.gradients[name], norms)
        np.testing.assert_array_equal(untrained.untrained[name], norms)


def test_training_opens_the_gru_and_saves_neither_the_rnn_nor_the_lstm_with_a_closed_gate() -> None:
    """Orders of magnitude, as a hundred steps of training differ from machine to machine."""
    found = vanishing_gradients(length=FAR, weights="trained")
    left, before = found.relative, found.untrained["GRU"][FAR] / found.untrained["GRU"][0]
    assert left["GRU"][FAR] > 1e3 * before
    assert left["LSTM open"][FAR] > 1e-4
    assert left["RNN tanh"][FAR] < 1e-4
    assert left["LSTM"][FAR] < 1e-6


def test_the_page_shows_what_training_changes() -> None:
    panels = vanishing_gradients(length=5, hidden=4, weights="trained").panels()
    beside = panels[1]
    assert "before it (dashed)" in beside["title"]["en"]
    assert [one["style"] for one in beside["series"]] == ["line", "dashed"] * 5
    assert [column["en"] for column in panels[-1]["columns"]][1:3] == ["untrained", "left after 5 steps"]
    assert len(vanishing_gradients(length=5, hidden=4).panels()) == 3


def test_a_large_scale_explodes() -> None:
    assert vanishing_gradients(length=FAR, scale=2.0).relative["RNN relu"][FAR] > 1e3


def test_a_relu_network_of_one_unit_is_worked_out_by_hand() -> None:
    """h_t = relu(x_t + u h_{t-1}) with positive x: d loss / d h_t is u^(T - t) times that at T."""
    layer = textnn.RNN(1, 1, nonlinearity="relu", bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.fill_(0.5)
    cell = cells_of({"own": layer})["own"]
    found = measure(cell, torch.ones(4, 1, 1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    np.testing.assert_allclose(found.norms(), [1, 0.5, 0.25, 0.125, 0.0625], rtol=1e-12)
    # h = 0, 1, 1.5, 1.75, 1.875; what step t adds to d loss / d u is d loss / d h_t times h_{t-1}.
    np.testing.assert_allclose(found.states[:, 0, 0], [0, 1, 1.5, 1.75, 1.875])
    terms = np.array([0.125 * 0, 0.25 * 1, 0.5 * 1.5, 1 * 1.75])
    np.testing.assert_allclose(found.shares(), terms / terms.sum(), rtol=1e-12)


LAYERS: dict[str, Any] = {
    "tanh": lambda: textnn.RNN(5, 7, dtype=torch.float64),
    "relu": lambda: textnn.RNN(5, 7, nonlinearity="relu", dtype=torch.float64),
    "gru": lambda: textnn.GRU(5, 7, dtype=torch.float64),
    "lstm": lambda: textnn.LSTM(5, 7, dtype=torch.float64),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_gradients_are_those_of_the_layers_own_backward_pass(name: str) -> None:
    """The step-by-step run against the kernel of the whole sequence: d loss / d h_t from a run that starts at h_t."""
    torch.manual_seed(0)
    layer, T = LAYERS[name](), 6
    x, direction = torch.randn(T, 3, 5, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    found = measure(cells_of({"own": layer})["own"], x, direction)
    states, cells = [torch.zeros(1, 3, 7, dtype=torch.float64)], [torch.zeros(1, 3, 7, dtype=torch.float64)]
    for now in x:
        if name == "lstm":
            _, (h, c) = layer(now[None], (states[-1], cells[-1]))
        else:
            _, h = layer(now[None], states[-1])
            c = h
        states.append(h.detach())
        cells.append(c.detach())
    np.testing.assert_allclose(found.states, torch.cat(states), rtol=1e-12)
    for t in range(T):
        start = states[t].clone().requires_grad_()
        output, _ = layer(x[t:], (start, cells[t]) if name == "lstm" else start)
        (output[-1] @ direction).sum().backward()
        assert start.grad is not None
        np.testing.assert_allclose(found.gradients[t], start.grad[0], rtol=1e-9, atol=1e-15)


def test_the_terms_of_the_steps_add_up_to_the_gradient_of_u() -> None:
    """Of one unit and one sequence the terms are numbers of one sign: their sum is what the kernel's backward gives."""
    layer = textnn.RNN(1, 1, dtype=torch.float64)
    with torch.no_grad():
        for name, value in zip(
            ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), (1, 0.7, 0, 0), strict=True
        ):
            layer.get_parameter(name).fill_(value)
    x = torch.rand(9, 1, 1, dtype=torch.float64)
    output, _ = layer(x)
    output[-1].sum().backward()
    assert layer.weight_hh_l0.grad is not None
    found = measure(cells_of({"own": layer})["own"], x, torch.ones(1, dtype=torch.float64))
    assert found.terms.sum().item() == pytest.approx(layer.weight_hh_l0.grad.item(), rel=1e-12)


def test_the_first_step_adds_nothing_because_the_state_before_it_is_zero() -> None:
    shares = vanishing_gradients(length=20, hidden=8).shares
    assert {float(share[0]) for share in shares.values()} == {0.0}
    assert all(share.sum() == pytest.approx(1) for share in shares.values())


def test_layers_of_ones_own_are_measured_by_their_names() -> None:
    found = vanishing_gradients(length=8, layers={"mine": textnn.GRU(4, 6), "theirs": torch.nn.LSTM(4, 6)})
    assert list(found.gradients) == ["mine", "theirs"]
    assert found.bound == {}
    assert list(found.forget) == ["theirs"]
    assert all(norms.shape == (9,) and (norms > 0).all() for norms in found.gradients.values())
    assert len(found.panels()) == 3


@pytest.mark.parametrize("weights", ["random", "trained"])
def test_two_runs_are_the_same_and_leave_the_random_numbers_alone(weights: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    runs = []
    for _ in range(2):
        vanishing._train.cache_clear()
        runs.append(vanishing_gradients(length=5, hidden=4, weights=weights))
    first, second = runs
    assert torch.equal(before, torch.get_rng_state())
    for name, norms in first.gradients.items():
        np.testing.assert_array_equal(norms, second.gradients[name])


def test_small_numbers_are_not_lost_on_the_way() -> None:
    norms = vanishing_gradients(length=200, hidden=4, scale=0.05).gradients["RNN tanh"]
    assert 0 < norms[200] < 1e-250


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "length: expected 1 or more, got 0"),
        ({"hidden": 0}, "hidden: expected 1 or more, got 0"),
        ({"scale": math.inf}, "scale: expected 0 or more, got inf"),
        ({"init": "zeros"}, "init: expected one of orthogonal, uniform, got 'zeros'"),
        ({"activation": "gelu"}, "activation: expected one of both, tanh, relu, got 'gelu'"),
        ({"weights": "good"}, "weights: expected one of random, trained, got 'good'"),
        ({"layers": {"a": textnn.LSTM(2, 2, 2)}}, r"layers\['a'\]: expected an RNN, GRU or LSTM of one layer"),
        ({"layers": {"a": torch.nn.Linear(2, 2)}}, r"layers\['a'\]: .*, got Linear"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vanishing_gradients(**options)


def test_the_rnn_does_not_learn_what_the_lstm_with_an_open_gate_learns() -> None:
    found = memory_task(steps=30, trainings=120)
    last = {name: right[-20:].mean() for name, right in found.accuracy.items()}
    assert last["LSTM open"] > 0.95
    assert last["RNN tanh"] < 0.4
    assert last["LSTM"] < 0.4
    assert found.gradients["RNN tanh"][-1] < 1e-3 * found.gradients["LSTM open"][-1]
    measured = vanishing_gradients(length=10, layers=found.layers)
    assert list(measured.gradients) == ["RNN tanh", "LSTM", "LSTM open"]


def test_a_single_step_adds_nothing_to_the_recurrent_weights() -> None:
    found = textnn.lab.vanishing_gradients(length=1, hidden=4)
    assert all(shares.tolist() == [0.0] for shares in found.shares.values())
