"""Objectives: losses, weights and probabilities are those of PyTorch's own functions, for one network or several."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from textnn.classification.objectives import Multilabel, Objective, Sigmoid, Softmax, make_objective

ROWS, CLASSES = 7, 3


def make_case(kind: str, members: int | None = None, smoothing: float = 0.0) -> tuple[Objective, Tensor, Tensor]:
    """An objective, logits [ROWS, K] or [members, ROWS, K] in double precision, and labels."""
    source = torch.Generator().manual_seed(3)
    shape = (ROWS,) if members is None else (members, ROWS)
    if kind == "softmax":
        labels = torch.randint(CLASSES, (ROWS,), generator=source)
        return Softmax(smoothing), torch.randn(*shape, CLASSES, generator=source, dtype=torch.float64), labels
    if kind == "sigmoid":
        labels = torch.randint(2, (ROWS,), generator=source)
        return Sigmoid(smoothing), torch.randn(*shape, 1, generator=source, dtype=torch.float64), labels
    labels = torch.randint(2, (ROWS, CLASSES), generator=source).float()
    return Multilabel(smoothing), torch.randn(*shape, CLASSES, generator=source, dtype=torch.float64), labels


KINDS = ["softmax", "sigmoid", "multilabel"]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_are_the_cross_entropies_of_pytorch(smoothing: float) -> None:
    objective, logits, labels = make_case("softmax", smoothing=smoothing)
    expected = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(objective.loss(logits, labels), expected)
    objective, logits, labels = make_case("sigmoid", smoothing=smoothing)
    # One logit z is softmax over the logits 0 and z, smoothing included.
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    torch.testing.assert_close(objective.loss(logits, labels), F.cross_entropy(two, labels, label_smoothing=smoothing))
    objective, logits, labels = make_case("multilabel", smoothing=smoothing)
    targets = labels.double() * (1 - smoothing) + smoothing / 2
    torch.testing.assert_close(objective.loss(logits, labels), F.binary_cross_entropy_with_logits(logits, targets))


@pytest.mark.parametrize("kind", KINDS)
def test_members_of_an_ensemble_have_each_a_loss_of_its_own(kind: str) -> None:
    objective, logits, labels = make_case(kind, members=4, smoothing=0.1)
    weights = torch.rand(ROWS)
    expected = torch.stack([objective.loss(member, labels, weights) for member in logits]).mean()
    torch.testing.assert_close(objective.loss(logits, labels, weights), expected, msg=kind)
    assert objective.hits(logits, labels) == objective.hits(logits.mean(0), labels)


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_n_is_a_row_n_times(kind: str) -> None:
    objective, logits, labels = make_case(kind)
    times = torch.tensor([0, 1, 2, 3, 1, 0, 2])
    weights = times.float() / times.float().mean()
    repeated = logits.repeat_interleave(times, 0), labels.repeat_interleave(times, 0)
    torch.testing.assert_close(
        objective.loss(logits, labels, weights).item(), objective.loss(*repeated).item(), rtol=1e-6, atol=0, msg=kind
    )
    assert objective.measure(logits, labels, times) == pytest.approx(objective.measure(*repeated)), kind


@pytest.mark.parametrize("kind", KINDS)
def test_batches_add_up_to_the_whole(kind: str) -> None:
    """Which is why weights are not normalised in each batch."""
    objective, logits, labels = make_case(kind)
    weights = torch.rand(ROWS, dtype=torch.float64)
    whole = objective.loss(logits, labels, weights) * ROWS
    parts = [torch.arange(0, 2), torch.arange(2, ROWS)]
    summed = sum(objective.loss(logits[part], labels[part], weights[part]) * len(part) for part in parts)
    torch.testing.assert_close(summed, whole)


@pytest.mark.parametrize("kind", KINDS)
def test_figures_of_a_held_out_part_have_no_smoothing(kind: str) -> None:
    smooth, logits, labels = make_case(kind, smoothing=0.2)
    plain, _, _ = make_case(kind)
    loss, accuracy = smooth.measure(logits, labels)
    assert loss == pytest.approx(plain.loss(logits, labels).item())
    assert accuracy == pytest.approx(smooth.hits(logits, labels) / ROWS)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_probabilities(temperature: float) -> None:
    objective, logits, labels = make_case("softmax")
    probabilities = objective.probabilities(logits.float(), temperature)
    assert (probabilities.dtype, probabilities.shape) == (np.float64, (ROWS, CLASSES))
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=0, atol=1e-15)
    assert (probabilities.argmax(1) == logits.argmax(1).numpy()).all()
    assert (probabilities.argmax(1) == labels.numpy()).sum() == objective.hits(logits, labels)

    objective, logits, labels = make_case("sigmoid")
    probabilities = objective.probabilities(logits, temperature)
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-logits[:, 0].numpy() / temperature)))
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=0, atol=1e-15)
    assert (probabilities.argmax(1) == labels.numpy()).sum() == objective.hits(logits, labels)

    objective, logits, labels = make_case("multilabel")
    probabilities = objective.probabilities(logits, temperature)
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits.numpy() / temperature)))
    assert ((probabilities >= 0.5) == labels.numpy()).all(1).sum() == objective.hits(logits, labels)


def test_large_logits_have_finite_losses_and_probabilities() -> None:
    for kind in KINDS:
        objective, logits, labels = make_case(kind)
        huge = logits.float() * 1e6
        assert objective.loss(huge, labels).isfinite(), kind
        assert np.isfinite(objective.probabilities(huge)).all(), kind


def test_positive_weights_are_those_of_pytorch() -> None:
    _, logits, labels = make_case("multilabel")
    factors = [0.5, 1.0, 8.0]
    expected = F.binary_cross_entropy_with_logits(
        logits, labels.double(), pos_weight=torch.tensor(factors, dtype=torch.float64)
    )
    torch.testing.assert_close(Multilabel(positive_weights=factors).loss(logits, labels), expected)


def test_numbers_of_logits() -> None:
    assert Softmax().outputs(5) == Multilabel().outputs(5) == 5
    assert Multilabel().outputs(1) == Sigmoid().outputs(2) == 1
    with pytest.raises(ValueError, match="output: 'sigmoid' is for two classes, got 3; write output='softmax'"):
        Sigmoid().outputs(3)


def test_the_kind_follows_from_option_and_labels() -> None:
    assert isinstance(make_objective("softmax", False, 0.1), Softmax)
    assert isinstance(make_objective("sigmoid", False, 0.1), Sigmoid)
    for output in ("softmax", "sigmoid"):
        made = make_objective(output, True, 0.1, [1.0, 2.0])
        assert isinstance(made, Multilabel), output
        assert made.positive_weights is not None
        assert (made.label_smoothing, made.positive_weights.tolist()) == (0.1, [1, 2])
