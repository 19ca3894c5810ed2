"""Trainings in bfloat16: what they round and what they leave in float32; stored, resumed, refused, and spoken of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import QUICK, run, write_csv
from saved_models import edit_config
from torch import Tensor
from trainings import BATCHES, CPU, OPTIONS, Breaker, BrokenOffError, assert_same, make_data
from trainings import run as train

from textnn import SentimentClassifier, backends
from textnn.classification.objectives import Softmax
from textnn.models import ARCHITECTURES, build_model, resolve_options
from textnn.text import RaggedBatch
from textnn.training.checkpoint import Checkpoint
from textnn.training.objective import Sums
from textnn.training.precision import check_precision, forward

LONG = {"epochs": 12, "patience": 0, "batch_size": 16, "learning_rate": 0.02, "validation_fraction": 0.0}
HALF = replace(OPTIONS, precision="bfloat16")
SAYS = "bfloat16 is not faster on this CPU"


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_learns_as_well_and_keeps_weights_in_float32(
    architecture: str,
    bfloat16: None,
    make_classifier: Callable[..., SentimentClassifier],
    reviews: tuple[list[str], list[str]],
) -> None:
    full, half = (
        make_classifier(architecture, **LONG, precision=precision).fit(*reviews)
        for precision in ("float32", "bfloat16")
    )
    assert {tensor.dtype for tensor in half.model_.state_dict().values()} == {torch.float32}
    assert half.options_["precision"] == "bfloat16"
    accuracies = [classifier.score(*reviews) for classifier in (full, half)]
    assert accuracies[0] > 0.8
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.05)
    losses = [[epoch["loss"] for epoch in classifier.history_] for classifier in (full, half)]
    assert losses[1][:3] == pytest.approx(losses[0][:3], abs=0.05)  # later, a step that is too long may come earlier
    assert losses[0] != losses[1]


class Watch(Softmax):
    """Keeps the dtypes of what it is given."""

    def __init__(self) -> None:
        super().__init__(0.1)

    def sums(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        seen.add(("training", outputs.dtype, torch.is_autocast_enabled("cpu")))
        return super().sums(outputs, batch)

    def held_out(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        seen.add(("validation", outputs.dtype, torch.is_autocast_enabled("cpu")))
        return super().held_out(outputs, batch)


seen: set[tuple[str, torch.dtype, bool]] = set()


def test_the_loss_is_computed_in_float32_and_validation_altogether(bfloat16: None) -> None:
    seen.clear()
    train("bilstm", options=replace(HALF, patience=2), objective=Watch(), validation=make_data(10, seed=1))
    assert seen == {("training", torch.float32, False), ("validation", torch.float32, False)}


def test_a_step_has_the_gradients_of_autocast(bfloat16: None) -> None:
    model = build_model("bigru", [60], 2, resolve_options("bigru", {"embedding_dim": 8, "hidden_size": 16})).eval()
    batch = make_data(8).whole()
    weights = [model.get_parameter(name) for name in ("output.weight", "encoder.gru.weight_hh_l0")]
    found = []
    for precision in ("bfloat16", "float32"):
        outputs = forward(model, batch, precision, CPU)
        assert outputs.dtype == torch.float32
        found.append([outputs, *torch.autograd.grad(outputs.sum(), weights)])
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(*batch.inputs)
    assert outputs.dtype == torch.bfloat16
    expected = torch.autograd.grad(outputs.float().sum(), weights)
    for one, other in zip(found[0], [outputs.float(), *expected], strict=True):
        assert torch.equal(one, other)
    for half, full in zip(*found, strict=True):
        assert not torch.equal(half, full)
        torch.testing.assert_close(half, full, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("breaks", [[2], [BATCHES, BATCHES - 1]])
@pytest.mark.parametrize("name", ["bilstm", "lecture-lstm"])
def test_it_resumes_to_the_same_weights(name: str, breaks: list[int], bfloat16: None, tmp_path: Path) -> None:
    options = replace(HALF, patience=2)
    arguments: dict[str, Any] = {"validation": make_data(10, seed=1, flip=True)}
    expected = train(name, options=options, **arguments)
    for batches in breaks:
        with pytest.raises(BrokenOffError):
            train(name, Checkpoint(tmp_path, True, 0), options, reporter=Breaker(batches), **arguments)
    assert_same(train(name, Checkpoint(tmp_path, True, 0), options, **arguments), expected)


def test_what_was_trained_in_bfloat16_is_saved_and_predicts_in_float32(
    make_classifier: Callable[..., SentimentClassifier], reviews: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    classifier = make_classifier("lstm", epochs=2, precision="bfloat16").fit(*reviews)
    classifier.save(tmp_path / "model")
    assert "| precision | bfloat16 |" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert (loaded.precision, loaded.options_["precision"]) == ("bfloat16", "bfloat16")
    found = loaded.predict_proba(reviews[0])
    assert (found == classifier.predict_proba(reviews[0])).all()
    with torch.inference_mode():
        data = classifier.state_.predictor.encoder(reviews[0]).whole()
        logits = classifier.model_(*data.inputs)
    expected = classifier.state_.objective.probabilities(logits, classifier.temperature_)
    assert found == pytest.approx(expected, abs=1e-6)
    loaded.set_params(verbose=0).partial_fit(reviews[0], reviews[1])
    assert loaded.options_["precision"] == "bfloat16"


def test_a_model_from_before_there_was_a_choice_is_one_of_float32(model: Path) -> None:
    def older(config: dict[str, Any]) -> None:
        del config["options"]["precision"], config["parameters"]["precision"]

    edit_config(model, older)
    loaded = SentimentClassifier.load(model)
    assert (loaded.precision, loaded.options_["precision"]) == ("float32", "float32")


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("bf17", ValueError, "precision: expected one of 'float32', 'bfloat16', got 'bf17'"),
        ("float16", ValueError, "precision: expected one of 'float32', 'bfloat16', got 'float16'"),
        (16, TypeError, "precision: expected a string, got int 16"),
    ],
)
def test_other_precisions_are_refused(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SentimentClassifier(precision=value, verbose=0).fit(["a", "b"] * 9, ["x", "y"] * 9)


def test_a_device_without_bfloat16_is_refused() -> None:
    with pytest.raises(ValueError, match="precision: torch has no 'bfloat16' for training on the device 'meta'"):
        check_precision("bfloat16", "meta")
    assert check_precision("float32", "meta") is None


def test_it_is_said_once_where_it_gains_nothing(tmp_path: Path) -> None:
    arguments = ["train", write_csv(tmp_path / "a.csv"), *QUICK, "--precision"]
    with backends.use_cpu_capability("base"):
        slow = run(*arguments, "bfloat16", "-o", tmp_path / "m").stderr
        assert SAYS not in run(*arguments, "float32", "-o", tmp_path / "m").stderr
    assert slow.count(SAYS) == 1
    if "avx512_bf16" in backends.supported_cpu_capabilities():
        with backends.use_cpu_capability("avx512_bf16"):
            assert check_precision("bfloat16", "cpu") is None
    loaded = SentimentClassifier.load(tmp_path / "m")
    assert loaded.options_["precision"] == "float32"
