"""Each parameter of the classifier is declared once, and the constructor's signature says the same."""

from __future__ import annotations

import inspect

import pytest

from _textnn_cli.parameters import table
from textnn import SentimentClassifier
from textnn.classification.parameters import NOT_STORED, parameters
from textnn.models import ARCHITECTURES
from textnn.models.options import CLASSIFICATION, OPTIONS, Parameter, chosen

PARAMETERS = parameters(Parameter)
DEFAULTS = {row.name: row.default for row in PARAMETERS} | {
    name: OPTIONS[name].default for name in chosen(CLASSIFICATION)
}
SIGNATURE = {name: value.default for name, value in inspect.signature(SentimentClassifier).parameters.items()}


def test_the_constructor_has_the_parameters_that_are_declared_with_their_defaults() -> None:
    assert SIGNATURE == DEFAULTS
    assert len(DEFAULTS) == len(PARAMETERS) + len(chosen(CLASSIFICATION)), "a parameter is declared twice"


def test_the_class_describes_each_parameter() -> None:
    described = (inspect.getdoc(SentimentClassifier) or "").partition("Attributes\n")[0]
    names = {name.strip() for line in described.splitlines() if " : " in line for name in line.split(":")[0].split(",")}
    assert names == {*SIGNATURE}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_defaults_of_an_architecture_are_declared_and_make_sense(architecture: str) -> None:
    kind = ARCHITECTURES[architecture]
    for name, value in {**kind.defaults, **kind.spaced_defaults}.items():
        if value is not None:
            assert OPTIONS[name].check(name, value) == value, name


def test_the_options_of_the_command_line_are_those_that_have_a_sentence() -> None:
    own = [row.name for row in PARAMETERS if row.sentence]
    assert {*table("classification")} == {*chosen(CLASSIFICATION), *own}
    assert {"architecture", "warm_start", "random_state", "device", "verbose"} == {*SIGNATURE} - {
        *table("classification")
    }


def test_a_saved_model_keeps_what_does_not_belong_to_a_machine() -> None:
    assert {"vectors", "random_state", "device", "verbose"} < NOT_STORED < {*SIGNATURE}
