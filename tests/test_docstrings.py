"""Public docstrings: each has its sections and an example that runs, and stands in the API reference of `make docs`."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import textnn
from textnn import (
    LanguageModel,
    SentimentClassifier,
    SequenceTagger,
    Translator,
    backends,
    functional,
    layers,
    optim,
    reference,
    tagging,
    text,
)
from textnn.classification.evaluation import Calibration, EvaluationReport, MultilabelReport, WrongPrediction
from textnn.classification.explanation import Explanation, NgramContribution, TokenContribution
from textnn.training import Checkpoint
from textnn.translation.alignment import Alignment

REFERENCE = Path(__file__).parents[1] / "docs/reference"
MODULES = (functional, layers, optim, backends, text, tagging)
RESULTS = {  # what the classifier's methods give and take
    "textnn.evaluation": (Calibration, EvaluationReport, MultilabelReport, WrongPrediction),
    "textnn.explanation": (Explanation, NgramContribution, TokenContribution),
    "textnn.training": (Checkpoint,),
}
PUBLIC = {
    "textnn.classification.estimator.SentimentClassifier": SentimentClassifier,
    "textnn.language.estimator.LanguageModel": LanguageModel,
    "textnn.tagging.estimator.SequenceTagger": SequenceTagger,
    "textnn.translation.alignment.Alignment": Alignment,
    "textnn.translation.estimator.Translator": Translator,
    **{f"{module}.{kind.__name__}": kind for module, kinds in RESULTS.items() for kind in kinds},
    **{
        f"{module.__name__}.{name}": getattr(module, name)
        for module in MODULES
        for name in module.__all__
        if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name))
    },
}
if importlib.util.find_spec("pyarrow"):
    from textnn.batch import Scorer

    PUBLIC["textnn.batch.scorer.Scorer"] = Scorer
METHODS = {
    f"{name}.{method}": getattr(thing, method)
    for name, thing in PUBLIC.items()
    if inspect.isclass(thing)
    for method, value in vars(thing).items()
    if not method.startswith("_") and isinstance(value, property | classmethod | staticmethod | type(lambda: None))
    if not getattr(value, "__module__", "").startswith("torch.")
}
NOT_IN_TORCH = {"quantized_lstm"}
FULL = sorted(PUBLIC)


def sections(thing: object) -> dict[str, str]:
    """The sections of a docstring, by their headings."""
    parts = re.split(r"^(\w[\w ]*)\n-+$", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section: str) -> dict[str, str]:
    """The names that a section lists, each with its type, or the place that has it."""
    lines = section.strip("\n").splitlines()
    found = {}
    for line, below in zip(lines, [*lines, ""][1:], strict=True):
        names, _, kind = line.partition(" : ")
        if line and not line.startswith(" "):
            kind = kind or (below.strip() if below.startswith("    As ") else "")
            found |= {name.strip(): kind for name in names.split(",")}
    return found


def run(name: str, docstring: str) -> list[doctest.Example]:
    """Run the examples; what they show is what comes out."""
    names = {"torch": torch, "np": np, "textnn": textnn, **{one: getattr(text, one) for one in text.__all__}}
    names |= {one: getattr(tagging, one) for one in tagging.__all__}
    names |= {one: getattr(textnn.lab, one) for one in textnn.lab.__all__}
    module = inspect.getmodule(PUBLIC.get(name))
    names |= {} if module is None else {key: value for key, value in vars(module).items() if key[0].isupper()}
    test = doctest.DocTestParser().get_doctest(docstring, names, name, None, None)
    said: list[str] = []
    state = torch.get_rng_state()
    result = doctest.DocTestRunner().run(test, out=said.append)
    torch.set_rng_state(state)
    assert result.failed == 0, "".join(said)
    return test.examples


@pytest.mark.parametrize("name", FULL)
def test_an_example_runs(name: str) -> None:
    examples = run(name, inspect.getdoc(PUBLIC[name]) or "")
    assert examples, name
    shows = any(example.want for example in examples)
    assert shows or name.startswith("textnn.backends") or name.endswith(("Adam", "Checkpoint")), (
        "an example shows what comes out"
    )


@pytest.mark.parametrize("name", sorted({*textnn.lab.__all__} - {"exhibits"}))
def test_an_example_of_the_laboratory_runs(name: str) -> None:
    assert any(example.want for example in run(name, inspect.getdoc(getattr(textnn.lab, name)) or "")), name


@pytest.mark.parametrize("name", functional.__all__)
def test_a_reference_takes_the_same_and_gives_the_same(name: str) -> None:
    """Its docstring names the function of textnn.functional, whose parameters and examples are its own."""
    twin, own = getattr(functional, name), getattr(reference, name)
    assert (inspect.getdoc(own) or "").endswith(f"see :func:`textnn.functional.{name}`.")
    given = [[(p.name, p.kind, p.default) for p in inspect.signature(one).parameters.values()] for one in (own, twin)]
    assert given[0] == given[1]
    assert run(name, (inspect.getdoc(twin) or "").replace("textnn.functional.", "textnn.reference."))


def test_a_reference_is_there_for_each_function() -> None:
    assert sorted(reference.__all__) == sorted(functional.__all__)


@pytest.mark.parametrize("name", FULL)
def test_a_docstring_has_its_sections(name: str) -> None:
    thing, found = PUBLIC[name], sections(PUBLIC[name])
    summary, _, rest = (inspect.getdoc(thing) or "").partition("\n")
    assert summary.endswith("."), "a sentence of one line"
    assert not rest or rest.startswith("\n"), "a blank line behind it"
    listed = entries(found.get("Parameters", "")) | entries(found.get("Attributes", ""))
    is_error = inspect.isclass(thing) and issubclass(thing, Exception)
    names = set() if is_error else set(inspect.signature(thing).parameters) - {"args", "kwargs"}
    assert names - set(listed) == set()
    assert [one for one, kind in listed.items() if not kind] == [], "each has its type"
    if not inspect.isfunction(thing):
        return
    result = inspect.signature(thing).return_annotation
    expected = "Yields" if re.match("Iterator|Generator", str(result)) else "Returns"
    assert result in (None, "None") or expected in found
    assert "Raises" in found or thing.__module__ == backends.__name__


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_says_what_it_does(name: str) -> None:
    summary = (inspect.getdoc(METHODS[name]) or "").partition("\n")[0]
    assert summary.endswith((".", ":")) or summary.count(" ") > 3, name


@pytest.mark.parametrize("name", functional.__all__)
def test_the_first_line_says_what_a_function_equals(name: str) -> None:
    first = (inspect.getdoc(getattr(functional, name)) or "").splitlines()[0]
    assert first.endswith(".")
    assert "``" in first or ":func:`" in first or name in NOT_IN_TORCH, first


def test_the_reference_has_every_public_name() -> None:
    named = {
        name for page in REFERENCE.glob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE)
    }
    assert set(PUBLIC) - named == set()
    assert {f"textnn.reference.{name}" for name in reference.__all__} - named == set()
    assert {f"textnn.layers.{name}" for name in textnn.__all__ if hasattr(layers, name)} - named == set()


def test_a_docstring_that_lacks_something_is_found() -> None:
    def short(x: int) -> int:
        """Do it.

        Parameters
        ----------
        x
            A number.
        """
        return x

    assert entries(sections(short)["Parameters"]) == {"x": ""}
    with pytest.raises(AssertionError, match="Expected"):
        run("short", ">>> 1 + 1\n3\n")
