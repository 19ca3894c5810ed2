"""Each parameter of the tagger is declared once, and the constructor's signature says the same."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from tagged_samples import ARCHITECTURES

from textnn import SequenceTagger
from textnn.models.options import CLASSIFICATION, OPTIONS, TAGGING, chosen
from textnn.tagging import architectures
from textnn.tagging.parameters import NOT_STORED, PARAMETERS
from textnn_cli.parameters import table

DEFAULTS = {row.name: row.default for row in PARAMETERS} | {name: OPTIONS[name].default for name in chosen(TAGGING)}
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
    options = architectures.resolve_options(architecture, {}, "segments")
    few = architectures.suit_tags(options, {}, 20)
    assert few == options
    many = architectures.suit_tags(options, {}, 2000)["ngram_buckets"]
    assert 2**25 < many * 2000 <= 2**26
    assert architectures.suit_tags(options, {"ngram_buckets": 2**20}, 2000) == options, "the user chose"


LEVELS = {"characters": "char", "segments": "segments", "words": "word"}


LEVELS = {"characters": "char", "segments": "segments", "words": "word"}


def test_the_page_of_the_tagger_lists_every_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tagging.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    head = next(row for row in rows if row[0] == "option")
    listed = {row[0].strip("`"): row[1:] for row in rows[rows.index(head) + 2 :] if len(row) == len(head)}
    seen = set()
    for column, title in enumerate(head[1:]):
        names, level = title.split(": ")
        for name in names.replace("`", "").split(", "):
            options = architectures.resolve_options(name, {}, LEVELS[level])
            shown = {o: f"{v:g}" if isinstance(v, float) else str(v) for o, v in options.items()}
            found = {option: cells[column] for option, cells in listed.items() if cells[column] != "–"}
            assert found == {o: v for o, v in shown.items() if o not in ("bucket", "sparse")}, (name, level)
            seen.add((name, level))
    assert len(seen) == len(LEVELS) * len(ARCHITECTURES)


def test_the_page_of_the_tagger_lists_every_file_of_the_folder() -> None:
    root = Path(__file__).parents[2]
    listed = re.findall(r"^\| `(\w+\.py)` \|", (root / "docs" / "tagging.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == sorted({file.name for file in (root / "textnn" / "tagging").glob("*.py")} - {"__init__.py"})
