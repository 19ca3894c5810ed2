"""The scripts of examples/: each one runs, says what it should, and is short enough to be read in one go."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parents[1] / "examples"
Run = Callable[..., str]
SCRIPTS = sorted([*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.cjs")])


@pytest.fixture(autouse=True)
def _state_of_torch() -> Iterator[None]:
    """Examples set seeds and compile; what comes after them does not notice."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
    torch.compiler.reset()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run an example as `python examples/NAME ARGUMENTS`; its output."""

    def run_example(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run_example


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_at_most_sixty_lines_and_says_how_to_call_it(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert f"examples/{script.name}" in text[:500]
    assert f'"{script.name}"' in Path(__file__).read_text(encoding="utf-8"), "no test runs it"


def test_the_tagger_learns_what_depends_on_tokens_far_away(run: Run) -> None:
    accuracy, usual = map(float, re.findall(r"\d\.\d+", run("tagger.py", "--steps", 60)))
    assert accuracy > 0.9 > usual, (accuracy, usual)


def test_an_accelerated_model_gives_the_same(run: Run) -> None:
    out = run("accelerate.py")
    assert out.startswith("textnn.LSTM(64, 96, num_layers=2")
    assert float(re.findall(r"difference: (\S+)", out)[0]) < 1e-6
    assert out.endswith("load into nn.LSTM\n")


def test_a_grid_search_finds_options_and_classifies(run: Run) -> None:
    out = run("grid_search.py", "--texts", 120)
    assert re.search(r"best options: \{'classify__channels': \d+, 'classify__learning_rate': 0.\d+\}", out), out
    assert out.endswith("['bad' 'good']\n"), out


def test_a_compiled_model_gives_the_same_for_all_sizes(run: Run) -> None:
    differences = re.findall(r"difference (\S+)", run("compile.py", "--backend", "eager"))
    assert len(differences) == 3
    assert max(map(float, differences)) < 1e-5


def test_an_exported_classifier_gives_the_same_in_node(run: Run, tmp_path: Path) -> None:
    rows = [line.split("\t") for line in run("onnx_export.py", tmp_path / "exported").splitlines()]
    assert [label for _, label, _ in rows] == ["good"] * 3 + ["bad"] * 3
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('onnxruntime-node')"], cwd=EXAMPLES).returncode:
        pytest.skip("onnxruntime-node is not there: npm install --prefix examples --ignore-scripts onnxruntime-node")
    texts = [text for text, _, _ in rows]
    command = [node, EXAMPLES / "onnx_node.cjs", tmp_path / "exported", *texts, "", "staff"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:2] for row in found[:6]] == [row[:2] for row in rows]
    for (text, _, here), (_, _, there) in zip(rows, found, strict=False):
        assert float(there) == pytest.approx(float(here), abs=2e-4), text
    assert len(found) == 8  # a text without a word, and one of a single word, too
