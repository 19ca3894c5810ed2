"""The READMEs: their code runs, their figures are those of the measured pages, both say the same and stay short."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

import textnn

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh-CN.md"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", read(name), re.DOTALL | re.MULTILINE)


def measured() -> dict[str, float]:
    """The geometric mean of each group of the benchmarks."""
    found = re.findall(r"^\| ([^|]+) \| \d+ \| ([\d.]+) \|", read("docs/benchmarks.md"), re.MULTILINE)
    return {group: float(mean) for group, mean in found}


@pytest.mark.parametrize("name", READMES)
def test_the_code_of_the_classifier_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = blocks(name)[0]
    small = code.replace("random_state=0", "random_state=0, epochs=1, verbose=0").replace("* 50", "* 10")
    names: dict[str, object] = {}
    exec(compile(small, name, "exec"), names)
    said = re.search(r"^clf\.predict\((.*?)\)  # array\(\['(.*?)'\]", code, re.MULTILINE)
    assert said, "the prediction and what comes out"
    assert names["clf"].predict(eval(said[1])).tolist() == [said[2]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", READMES)
def test_the_code_of_the_tagger_runs(name: str) -> None:
    code, names = blocks(name)[1], dict[str, object]()
    exec(compile(code.replace("SequenceTagger(", "SequenceTagger(verbose=0, "), name, "exec"), names)
    said = re.search(r"^segmenter\.cut\((.*?)\)  # (\[.*?\])", code, re.MULTILINE)
    assert said, "the words and what comes out"
    assert names["segmenter"].cut(eval(said[1])) == eval(said[2])  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", READMES)
def test_the_code_of_the_language_model_and_the_translator_runs(name: str) -> None:
    code, names = blocks(name)[2], dict[str, object]()
    exec(
        compile(
            code.replace("random_state=0", "random_state=0, verbose=0").replace("r(r", "r(epochs=30, r"), name, "exec"
        ),
        names,
    )
    for call in ("model.generate", "translator.predict"):
        said = re.search(rf"^({re.escape(call)}\(.*?\))  # (.*)$", code, re.MULTILINE)
        assert said, "the call and what comes out"
        assert eval(said[1], names) == eval(said[2])


@pytest.mark.parametrize("name", READMES)
def test_the_code_of_the_layers_runs(name: str) -> None:
    model = nn.Sequential(nn.LSTM(4, 4))
    lengths, ids, offsets = torch.tensor([3, 5]), torch.tensor([1, 2, 3, 4]), torch.tensor([0, 3])
    names = dict(model=model, x=torch.randn(2, 5, 128), lengths=lengths, ids=ids, offsets=offsets)
    exec(compile(blocks(name)[3], name, "exec"), names)
    assert isinstance(model[0], textnn.LSTM)
    assert names["output"].shape == (2, 5, 512)
    assert names["features"].shape == (2, 300)


@pytest.mark.parametrize("name", READMES)
def test_the_figures_are_those_of_the_pages(name: str) -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| \d+ \| ([\d.]+) \|", read("docs/benchmarks.md"), re.MULTILINE))
    convolution, recurrence = (
        float(rows["TextCNN, forward and backward"]),
        float(rows["LSTM, ragged, forward and backward"]),
    )
    few = re.findall(r"^\| \w+ \| 1,000 \| (0\.\d+) \| (0\.\d+) \|", read("docs/accuracy.md"), re.MULTILINE)
    assert len(few) == 5
    ours, theirs = (sum(map(float, side)) / len(few) for side in zip(*few, strict=True))
    shown = [
        re.findall(r"\d\.\d+", line)
        for line in read(name).splitlines()
        if line.startswith("|") and line.endswith(("(docs/accuracy.md) |", "(docs/benchmarks.md) |"))
    ]
    assert shown == [[f"{ours:.3f}", f"{theirs:.3f}"], [f"{convolution:.1f}"], [f"{recurrence:.1f}"]]


@pytest.mark.parametrize("name", READMES)
def test_what_to_use_says_what_the_table_of_accuracies_shows(name: str) -> None:
    table = read(name).partition("<!-- accuracy -->")[2].partition("<!-- /accuracy -->")[0]
    rows = [re.findall(r"(0\.\d+|–)", line) for line in table.splitlines()[3:]]
    assert len(rows) == 5
    behind = [[round(100 * (float(row[i]) - float(row[2 + i])), 1) for row in rows] for i in (0, 1)]
    advice = next(line for line in read(name).splitlines() if line.startswith("|") and "scikit-learn" in line)
    assert re.findall(r"\d\.\d", advice) == [str(end(part)) for part in behind for end in (min, max)]
    best = [
        max(row[i::2], key=lambda figure: float(figure.replace("–", "0"))) == row[i] for row in rows for i in (0, 1)
    ]
    assert sum(best) == 8, "the best on four of five sets, with few texts and with all"


def test_the_times_of_the_page_of_layers_are_those_of_the_benchmarks() -> None:
    means = {
        f"{float(mean):.1f}"
        for mean in re.findall(r"^\| [^|]+ \| \d+ \| ([\d.]+) \|", read("docs/benchmarks.md"), re.MULTILINE)
    }
    table = read("docs/layers.md").partition("## How fast")[2].partition("![")[0]
    shown = re.findall(r"^\| .* \| \**([\d.]+)\** \|$", table, re.MULTILINE)
    assert len(shown) == 8
    assert set(shown) - means == set()


def test_both_readmes_say_the_same() -> None:
    english, chinese = map(read, READMES)
    for pattern in (r"^#+ ", r"^\|", r"^```"):
        assert len(re.findall(pattern, english, re.MULTILINE)) == len(re.findall(pattern, chinese, re.MULTILINE)), (
            pattern
        )
    links = [set(re.findall(r"\]\(([^)]+)\)", text)) - set(READMES) for text in (english, chinese)]
    assert links[0] == links[1]


@pytest.mark.parametrize("name", READMES)
def test_a_reader_sees_what_it_is_on_one_screen_for_each_half(name: str) -> None:
    lines = read(name).splitlines()
    headings = [number for number, line in enumerate(lines) if line.startswith("## ")]
    assert headings[0] <= 20, "what it is, the picture, the commands"
    assert all(after - before <= 32 for before, after in pairwise(headings))
    assert max(len(line) for block in blocks(name) for line in block.splitlines()) <= 118, "it does not scroll"
