"""The base of all estimators, by the smallest task there is: its model is the length of its longest text."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import textnn
from textnn.estimator import Estimator, fitted
from textnn.training.checkpoint import Checkpoint


@dataclass(eq=False)
class Record:
    longest: int
    options: dict[str, Any]
    seed: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 1
    seen: dict[str, Any] = field(default_factory=dict)
    twice: int = field(init=False)

    def __post_init__(self) -> None:
        self.twice = 2 * self.longest


class Files:
    """A module of saved models."""

    @staticmethod
    def save(state: Record, parameters: dict[str, Any], path: Path) -> None:
        kept = {name: value for name, value in parameters.items() if name != "device"}
        Path(path).write_text(json.dumps([state.longest, state.options, kept]))

    @staticmethod
    def load(path: Path, add: int, device: str, names: list[str]) -> tuple[Record, dict[str, Any]]:
        longest, options, parameters = json.loads(Path(path).read_text())
        return Record(longest + add, options), {name: value for name, value in parameters.items() if name in names}


def train(parameters: dict[str, Any], X: Iterable[str], group: Any, checkpoint: Any, **more: Any) -> Record:
    seen = {"gradients": torch.is_grad_enabled(), "group": group, "checkpoint": checkpoint, **more}
    return Record(max(map(len, X)), parameters, seen=seen)


@dataclass(eq=False, repr=False, match_args=False)
class Longest(Estimator[Record]):
    unit: str = "char"
    epochs: int | None = None
    device: str = "cpu"

    _bundle: ClassVar[Any] = Files

    def fit(self, X: Iterable[str], checkpoint: Any = None, **more: Any) -> Longest:
        return self._fit(train, X, checkpoint=checkpoint, **more)

    @property
    def twice_(self) -> int:
        return self._state.twice

    @classmethod
    def load(cls, path: Path, add: int = 0, device: str = "cpu") -> Longest:
        return cls._loaded(path, add, device=device)


class Named(Longest):
    longest_: int = fitted()


def test_parameters_are_those_of_the_class_and_a_clone_has_them_unfitted() -> None:
    one = Named("word", epochs=3).fit(["abc"])
    assert one.get_params() == {"unit": "word", "epochs": 3, "device": "cpu"}
    assert repr(one) == "Named(epochs=3, unit='word')"
    assert not hasattr(clone(one), "state_")
    assert clone(one).get_params() == one.get_params()
    assert one != clone(one), "two models are the same only if they are one"


@pytest.mark.parametrize("name", ["options_", "history_", "best_epoch_", "seed_", "longest_", "twice_"])
def test_a_fitted_attribute_is_absent_before_a_fit(name: str) -> None:
    assert not hasattr(Named(), name)
    with pytest.raises(NotFittedError, match="Named instance is not fitted yet"):
        getattr(Named(), name)
    assert getattr(Named().fit(["abc"]), name) is not None


def test_saving_needs_a_fit(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        Named().save(tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_a_fit_has_gradients_and_its_checkpoint(tmp_path: Path) -> None:
    with torch.inference_mode():
        seen = Named().fit(["abc"], tmp_path, before=3).state_.seen
    assert seen["gradients"]
    assert seen["before"] == 3
    assert isinstance(seen["checkpoint"], Checkpoint)
    assert seen["group"].size == 1
    assert Named().fit(["abc"]).state_.seen["checkpoint"] is None


def test_parameters_that_the_data_decide_leave_the_estimator_as_it_is() -> None:
    one = Named("char").fit(["abc"], forms={"unit": "word"})
    assert one.options_["unit"] == "word"
    assert one.unit == "char"


def test_a_fit_that_fails_leaves_the_model_as_it_was() -> None:
    one = Named().fit(["abc"])
    before = one.state_
    with pytest.raises(ValueError, match="empty"):
        one.fit([])
    assert one.state_ is before


def test_setting_an_attribute_renews_what_follows_from_it_and_leaves_copies_alone() -> None:
    one = Named().fit(["abc"])
    record = one.state_
    one.longest_ = 5
    assert (one.longest_, one.twice_) == (5, 10)
    assert (record.longest, record.twice) == (3, 6)


def test_a_loaded_model_is_the_saved_one_on_another_device(tmp_path: Path) -> None:
    Named("word", epochs=2).fit(["abc"]).save(tmp_path / "model")
    loaded = Named.load(tmp_path / "model", 1, device="meta")
    assert isinstance(loaded, Named)
    assert (loaded.unit, loaded.epochs, loaded.device, loaded.longest_) == ("word", 2, "meta", 4)


def test_a_warning_names_the_line_that_called_the_package(tmp_path: Path) -> None:
    texts, labels = ["so good", "so bad"] * 10, ["good", "bad"] * 10
    model = textnn.SentimentClassifier("mlp", tokenizer=str.split, epochs=1, verbose=0, random_state=0, embedding_dim=2)
    model.fit(texts, labels).save(tmp_path / "model")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit([*texts, " "], [*labels, "good"])
        model.evaluate(["so"], ["never seen"])
        textnn.SentimentClassifier.load(tmp_path / "model", tokenizer="whitespace")
        textnn.LanguageModel(epochs=1, verbose=0, random_state=0, hidden_size=2).fit(texts).generate("Ω", n=1)
    assert {each.filename for each in told} == {__file__}
    assert len({each.lineno for each in told}) == 4


def test_a_pickle_from_before_a_parameter_has_its_default() -> None:
    one = Named("word").fit(["abc"])
    del vars(one)["epochs"]
    assert pickle.loads(pickle.dumps(one)).get_params() == {"unit": "word", "epochs": None, "device": "cpu"}
