"""bench/faithfulness: tokens are cut out as they are named, and a method that knows beats one that does not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from rich.progress import Progress

from bench.faithfulness import page
from bench.faithfulness.contestants import RANDOM, contestants
from bench.faithfulness.measure import AHEAD, SHARES, cut, measure
from textnn import SentimentClassifier

pytestmark = pytest.mark.slow

FILLERS = list("的了我你他她它们这那里书本天地")


def make_texts(count: int, seed: int) -> tuple[list[str], list[int]]:
    """Twelve to sixteen words, one of which gives the label away."""
    source = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        label = source.randint(0, 1)
        words = source.choices(FILLERS, k=source.randint(11, 15))
        words.insert(source.randint(0, len(words)), "坏好"[label])
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


@pytest.fixture(scope="module")
def classifiers() -> dict[str, SentimentClassifier]:
    torch.set_num_threads(1)
    found = {}
    for name, sizes in {"textcnn": {"channels": 8}, "bilstm": {"hidden_size": 8}}.items():
        options: dict[str, Any] = {"embedding_dim": 8, "epochs": 15, "learning_rate": 0.02, "verbose": 0, **sizes}
        classifier = SentimentClassifier(name, "whitespace", random_state=0, **options)
        found[name] = classifier.fit(*make_texts(300, 0))
    return found


@pytest.fixture(scope="module")
def rows(classifiers: Any) -> list[dict[str, Any]]:
    with Progress(console=Console(quiet=True)) as progress:
        return [
            row
            for name, one in classifiers.items()
            for row in measure(one, [*make_texts(30, 1)[0], "短"], progress, name)
        ]


def test_cutting_takes_named_tokens_and_no_more(classifiers: Any) -> None:
    one = classifiers["textcnn"].explain("好 的 了 好")
    assert cut(one, {0, 2}) == " 的  好"
    assert cut(one, set()) == one.text


def test_every_contestant_has_a_figure_for_each_token(classifiers: Any) -> None:
    for name, classifier in classifiers.items():
        one = classifier.explain("好 的 了 坏")
        for contestant, function in contestants(classifier).items():
            figures = function(classifier, one)
            assert figures.shape[-1] == 4, (name, contestant)
        assert next(iter(contestants(classifier))) == one.method


def test_the_word_that_decides_is_found_and_chance_does_not_find_it(rows: list[dict[str, Any]]) -> None:
    for name in ("textcnn", "bilstm"):
        first = {row["method"]: row for row in rows if row["architecture"] == name and row["share"] == "1 token"}
        assert {row["texts"] for row in first.values()} == {30}
        assert first[RANDOM][AHEAD]["low"] > 0
        assert [row[AHEAD]["mean"] for row in first.values() if row["auto"]] == [0.0]
        chance = first.pop(RANDOM)["log-odds lost"]
        for method, row in first.items():
            assert row["log-odds lost"]["low"] > chance["high"], (name, method)
            assert row["log-odds lost"]["low"] <= row["log-odds lost"]["mean"] <= row["log-odds lost"]["high"]
        assert all(row["label changed"]["mean"] <= 1 for row in rows)


def test_the_page_has_every_figure(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    parts = {
        name: {"machine": {"CPU": "any"}, "accuracy": 0.5, "rows": [row for row in rows if row["architecture"] == name]}
        for name in ("textcnn", "bilstm")
    }
    results = {"data": "x", "architectures": parts}
    page.write(results, tmp_path / "faithfulness.md")
    text = (tmp_path / "faithfulness.md").read_text(encoding="utf-8")
    assert (tmp_path / "images" / "faithfulness.png").stat().st_size > 10_000
    assert text.count("Without them: log-odds lost") == 2
    assert "| **exact** |" in text
    assert "| **integrated gradients** |" in text
    for row in rows:
        assert f"{row['log-odds lost']['mean']:.2f} (" in text, row
    assert all(f"| {share} " in text for share in SHARES)
