"""Each parameter of the tagger is declared once, and the constructor's signature says the same."""

from __future__ import annotations

import inspect

import pytest
from tagged_samples import ARCHITECTURES

from textnn import SequenceTagger
from textnn.models.options import CLASSIFICATION, OPTIONS, TAGGING, chosen
from textnn.tagging import architectures
from textnn.tagging.parameters import NOT_STORED, PARAMETERS
from textnn_cli.parameters import table

DEFAULTS = {row.name: row.default for row in PARAMETERS} | dict.fromkeys(chosen(TAGGING))
SIGNATURE = {name: value.default for name, value in inspect.signature(SequenceTagger).parameters.items()}


def test_the_constructor_has_the_parameters_that_are_declared_with_their_defaults() -> None:
    assert SIGNATURE == DEFAULTS
    assert len(DEFAULTS) == len(PARAMETERS) + len(chosen(TAGGING)), "a parameter is declared twice"


def test_the_class_describes_each_parameter() -> None:
    described = (inspect.getdoc(SequenceTagger) or "").partition("Attributes\n")[0]
    names = {name.strip() for line in described.splitlines() if " : " in line for name in line.split(":")[0].split(",")}
    assert names == {*SIGNATURE}


@pytest.mark.parametrize("level", [None, "char", "word"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_defaults_of_an_architecture_are_declared_and_make_sense(architecture: str, level: str | None) -> None:
    for name, value in architectures.resolve_options(architecture, {}, level).items():
        assert OPTIONS[name].check(name, value) == value, name
        assert TAGGING in OPTIONS[name].tasks, name


def test_each_option_belongs_to_an_architecture() -> None:
    known = {name for one in ARCHITECTURES for name in architectures.resolve_options(one, {})}
    assert {*chosen(TAGGING)} <= known
    assert tuple(architectures.ARCHITECTURES) == ARCHITECTURES


def test_the_options_of_the_command_line_are_those_that_have_a_sentence() -> None:
    own = [row.name for row in PARAMETERS if row.sentence]
    assert {*table("tagging")} == {*chosen(TAGGING), *own}
    assert {"architecture", "random_state", "device", "verbose"} == {*SIGNATURE} - {*table("tagging")}
    assert "bigram_dim" not in chosen(CLASSIFICATION)


def test_a_saved_model_keeps_what_does_not_belong_to_a_machine() -> None:
    assert {"vectors", "random_state", "device", "verbose"} == NOT_STORED


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_table_of_ngrams_has_fewer_rows_where_each_has_many_tags(architecture: str) -> None:
    options = architectures.resolve_options(architecture, {})
    few = architectures.suit_tags(options, {}, 20)
    assert few == options
    many = architectures.suit_tags(options, {}, 2000)["ngram_buckets"]
    assert 2**25 < many * 2000 <= 2**26
    assert architectures.suit_tags(options, {"ngram_buckets": 2**20}, 2000) == options, "the user chose"
