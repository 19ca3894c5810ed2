"""Public docstrings: each has its sections and an example that runs, and stands in the API reference of `make docs`."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest
import torch

import textnn
from textnn import functional, layers, optim, reference

REFERENCE = Path(__file__).parents[1] / "docs/reference"
PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (functional, layers, optim)
    for name in module.__all__
}
NOT_IN_TORCH = {"hash_ngrams", "quantized_lstm", "frozen_text_conv"}


def sections(docstring: str) -> set[str]:
    return set(re.findall(r"^(\w[\w ]*)\n-+$", docstring, re.MULTILINE))


@pytest.mark.parametrize("name", PUBLIC)
def test_an_example_runs(name: str) -> None:
    docstring = inspect.getdoc(PUBLIC[name]) or ""
    assert "Examples" in sections(docstring), name
    test = doctest.DocTestParser().get_doctest(docstring, {"torch": torch, "textnn": textnn}, name, None, None)
    assert test.examples, name
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.failed == 0, "".join(said)
    assert any(example.want for example in test.examples) or name.endswith("Adam"), "an example shows what comes out"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_has_every_parameter(name: str) -> None:
    thing, docstring = PUBLIC[name], inspect.getdoc(PUBLIC[name]) or ""
    assert "Parameters" in sections(docstring), name
    if inspect.isfunction(thing):
        assert {"Returns", "Raises"} <= sections(docstring), name
    listed = docstring.partition("Parameters\n-")[2].partition("\n\n")[0]
    given = {
        one.strip()
        for line in listed.splitlines()
        if line and not line.startswith((" ", "-"))
        for one in line.partition(" : ")[0].split(",")
    }
    names = set(inspect.signature(thing).parameters) - {"args", "kwargs"}
    assert names - given == set(), name


@pytest.mark.parametrize("name", functional.__all__)
def test_the_first_line_says_what_a_function_equals(name: str) -> None:
    first = (inspect.getdoc(getattr(functional, name)) or "").splitlines()[0]
    assert first.endswith(".")
    assert "``" in first or name in NOT_IN_TORCH, first
    assert hasattr(reference, name), "each function has a twin in plain PyTorch"


def test_the_reference_has_every_public_name() -> None:
    named = {
        name for page in REFERENCE.glob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE)
    }
    assert set(PUBLIC) - named == set()
    assert {f"textnn.layers.{name}" for name in textnn.__all__ if hasattr(layers, name)} - named == set()
    assert "textnn.classifier.SentimentClassifier" in named
