"""Each parameter of the tagger is declared once, and the constructor's signature says the same.

python tests/tagging/test_tagger_parameters.py --write    writes the tables of docs/tagging.md anew
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tagged_samples import ARCHITECTURES

from _textnn_cli.parameters import table
from textnn import SequenceTagger
from textnn.models.options import CLASSIFICATION, OPTIONS, TAGGING, Parameter, chosen
from textnn.tagging import architectures
from textnn.tagging.parameters import NOT_STORED, parameters

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tagging.md"
PARAMETERS = parameters(Parameter)
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
    assert {"vectors", "random_state", "device", "verbose"} <= NOT_STORED < {*SIGNATURE}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_table_of_ngrams_has_fewer_rows_where_each_has_many_tags(architecture: str) -> None:
    options = architectures.resolve_options(architecture, {}, "segments")
    few = architectures.suit_tags(options, {}, 20)
    assert few == options
    many = architectures.suit_tags(options, {}, 2000)["ngram_buckets"]
    assert 2**25 < many * 2000 <= 2**26
    assert architectures.suit_tags(options, {"ngram_buckets": 2**20}, 2000) == options, "the user chose"


LEVELS = {"characters": "char", "segments": "segments", "words": "word"}


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def defaults_table() -> list[str]:
    """The table of each option's default, a column for architectures that have the same ones."""
    columns: list[tuple[str, dict[str, Any]]] = []
    for title, level in LEVELS.items():
        groups: dict[str, tuple[list[str], dict[str, Any]]] = {}
        for name in ARCHITECTURES:
            options = architectures.resolve_options(name, {}, level)
            groups.setdefault(str(options), ([], options))[0].append(f"`{name}`")
        columns += [(f"{', '.join(names)}: {title}", options) for names, options in groups.values()]
    order = dict.fromkeys(option for _, options in columns for option in options)
    shown = [option for option in order if option not in ("bucket", "sparse")]
    rows = [
        [f"`{option}`", *("–" if (v := options.get(option)) is None else _shown(v) for _, options in columns)]
        for option in shown
    ]
    return _table(["option", *(title for title, _ in columns)], rows)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def files_table() -> list[str]:
    """The table of the folder's files, each with the first sentence of its docstring."""
    rows = []
    for file in sorted((ROOT / "textnn" / "tagging").glob("[!_]*.py")):
        sentence = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        sentence = (sentence if sentence.endswith("...") else sentence.removesuffix(".")).replace("``", "`")
        rows.append([f"`{file.name}`", sentence[:1].lower() + sentence[1:]])
    return _table(["`textnn/tagging/`", "what it holds"], rows)


def with_tables(page: str) -> str:
    """Return the page with its tables as they should be."""
    for made in (defaults_table(), files_table()):
        start = page.index(made[0].partition(" | ")[0] + " | ")
        end = start + re.match(r"(\|.*\n)+", page[start:]).end()  # type: ignore[union-attr]
        page = page[:start] + "\n".join(made) + "\n" + page[end:]
    return page


def test_the_page_of_the_tagger_lists_every_default_and_every_file() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "the page is stale: python tests/tagging/test_tagger_parameters.py --write"


def test_the_tables_have_every_architecture_and_level() -> None:
    head = defaults_table()[0]
    found = {
        (name, t)
        for column in head.split(" | ")[1:]
        for names, _, t in [column.strip(" |").rpartition(": ")]
        for name in names.split(", ")
    }
    assert found == {(f"`{name}`", title) for name in ARCHITECTURES for title in LEVELS}


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
