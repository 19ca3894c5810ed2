"""The temperature: probabilities become as sure as they are right, and predictions stay what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from samples import make_reviews
from saved_models import edit_config

from textnn import SentimentClassifier
from textnn.bundle import BundleError
from textnn.classification.evaluation.calibration import Calibration, fit_temperature
from textnn.classification.objectives import Multilabel, Objective, Sigmoid, Softmax

pytestmark = pytest.mark.filterwarnings("ignore:training|labels:UserWarning")


def make_logits(kind: str, rows: int, seed: int = 0) -> tuple[Objective, torch.Tensor, torch.Tensor]:
    """Logits that are right as often as their softmax or sigmoid says, and labels drawn by them."""
    source = torch.Generator().manual_seed(seed)
    columns = {"softmax": 3, "sigmoid": 1, "multilabel": 4}[kind]
    logits = torch.randn(rows, columns, generator=source) * 2
    if kind == "softmax":
        return Softmax(), logits, torch.multinomial(logits.softmax(1), 1, generator=source)[:, 0]
    labels = torch.bernoulli(logits.sigmoid(), generator=source)
    return (Sigmoid(), logits, labels[:, 0].long()) if kind == "sigmoid" else (Multilabel(), logits, labels)


@pytest.mark.parametrize("factor", [0.25, 1.0, 5.0])
@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "multilabel"])
def test_the_temperature_undoes_a_factor(kind: str, factor: float) -> None:
    objective, logits, labels = make_logits(kind, 4000)
    found = fit_temperature(objective, logits * factor, labels)
    assert found.temperature == pytest.approx(factor, rel=0.1), kind
    assert found.loss == pytest.approx(objective.measure(logits * factor, labels)[0])
    assert found.calibrated_loss == pytest.approx(objective.measure(logits * factor / found.temperature, labels)[0])
    assert found.calibrated_loss <= found.loss + 1e-6
    assert found.texts == 4000


def test_rows_count_by_their_weights() -> None:
    objective, logits, labels = make_logits("softmax", 2000)
    # Half of the rows are twice too sure; with a weight of 0 they do not count.
    logits[1000:] *= 4
    weights = torch.cat([torch.ones(1000), torch.zeros(1000)])
    assert fit_temperature(objective, logits, labels, weights).temperature == pytest.approx(1, abs=0.1)
    assert fit_temperature(objective, logits, labels).temperature > 1.5


def test_all_right_does_not_make_it_certain() -> None:
    logits = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(50, 1)
    found = fit_temperature(Softmax(), logits, torch.tensor([0, 1]).repeat(50))
    # One more text of each class: 101 of 102 would be right.
    expected = 2 / np.log(101)
    assert found.temperature == pytest.approx(expected, rel=0.01)


def test_few_texts_give_no_temperature() -> None:
    objective, logits, labels = make_logits("softmax", 99)
    assert fit_temperature(objective, logits, labels) is None


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_a_classifier_is_calibrated_on_its_validation_part(output: str, make_classifier: Any, tmp_path: Any) -> None:
    texts, labels = make_reviews(1500)
    # Every seventh label is wrong: a network that is trained for long becomes too sure.
    labels = [("bad" if label == "good" else "good") if row % 7 == 0 else label for row, label in enumerate(labels)]
    given = {"validation_fraction": 0.2, "patience": 0, "epochs": 15, "output": output, "dropout": 0.0}
    plain = make_classifier(calibrate=False, **given).fit(texts, labels)
    classifier = make_classifier(**given).fit(texts, labels)
    assert (plain.temperature_, plain.calibration_) == (1.0, None)
    found = classifier.calibration_
    assert classifier.temperature_ == found.temperature > 1.05
    assert found.calibrated_loss < found.loss
    assert found.loss == pytest.approx(classifier.history_[-1]["validation_loss"], rel=1e-4)
    assert found.texts == classifier.validation_report_.texts > 100
    assert classifier.predict(texts).tolist() == plain.predict(texts).tolist()
    assert classifier.predict_proba(texts).max(1).mean() < plain.predict_proba(texts).max(1).mean()

    classifier.save(tmp_path / "model")
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert (loaded.temperature_, loaded.calibration_) == (classifier.temperature_, found)
    assert (loaded.predict_proba(texts) == classifier.predict_proba(texts)).all()


def test_a_small_validation_part_gives_none(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier(validation_fraction=0.2).fit(*reviews)
    assert (classifier.temperature_, classifier.calibration_) == (1.0, None)


def test_a_model_from_before_there_were_temperatures_is_loaded(
    make_classifier: Any, reviews: Any, tmp_path: Any
) -> None:
    classifier = make_classifier(calibrate=False).fit(*reviews)
    classifier.save(tmp_path / "model")

    def age(config: dict[str, Any]) -> None:
        del config["prediction"], config["training"]["calibration"]
        for name in ("output", "clip_norm", "schedule", "warmup"):
            del config["options"][name]

    edit_config(tmp_path / "model", age)
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert (loaded.predict_proba(reviews[0]) == classifier.predict_proba(reviews[0])).all()
    assert (loaded.multilabel_, loaded.thresholds_, loaded.temperature_) == (False, None, 1.0)


@pytest.mark.parametrize("stored", [3, {}, {"temperature": 1}, {**vars(Calibration(1.0, 1.0, 1.0, 1)), "loss": "x"}])
def test_damaged_figures_are_an_error(stored: Any) -> None:
    with pytest.raises(ValueError, match="expected 'calibration' to have"):
        Calibration.from_dict(stored)


def test_a_damaged_configuration_names_its_file(make_classifier: Any, reviews: Any, tmp_path: Any) -> None:
    make_classifier().fit(*reviews).save(tmp_path / "model")
    edit_config(tmp_path / "model", lambda config: config["training"].update(calibration="hot"))
    with pytest.raises(BundleError, match=r"config\.json: expected 'calibration' to have"):
        SentimentClassifier.load(tmp_path / "model")
