"""bench.language: the n-gram model is a distribution and the one of the textbook; the programs run on toy verses."""

from __future__ import annotations

import itertools
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import harness
from bench.language import __main__ as command
from bench.language import page, plain, speed
from bench.language.corpora import Coder, verses
from textnn.language import ngrams
from textnn.language.defaults import build_network, resolve_options
from textnn.text import RaggedBatch
from textnn.training.objective import Sums


def make_texts(count: int = 40, seed: int = 0) -> list[list[int]]:
    source = random.Random(seed)
    return [[0, *(source.choice([2, 2, 3, 3, 4]) for _ in range(source.randint(0, 5))), 0] for _ in range(count)]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_of_all_that_may_follow_add_up_to_one(order: int) -> None:
    model = ngrams.KneserNey(make_texts(), 5, order)
    for context in itertools.chain(itertools.product([2, 3, 4], repeat=2), [(), (2,), (4, 4, 4), (1, 2)]):
        total = 0.0
        for token in range(5):
            # The last but one position is that of the token; what comes behind it does not matter.
            text = [0, *context, token, 0]
            total += float(np.exp(model.log_probabilities([text])[len(context)]))
        assert total == pytest.approx(1.0), context


def by_hand(texts: list[list[int]], V: int, context: tuple[int, ...], token: int) -> float:
    """Modified Kneser-Ney of order 2, from the definition."""
    pairs = [pair for text in texts for pair in itertools.pairwise(text)]
    counts = {pair: pairs.count(pair) for pair in set(pairs)}
    lower = {w: len({a for a, b in counts if b == w}) for w in range(V)}

    def discounts(values: list[int]) -> list[float]:
        n = [sum(value == k for value in values) for k in range(5)]
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
        raw = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else y for k in (1, 2, 3)]
        return [0.0, *(min(max(d, 0.0), k) for k, d in enumerate(raw, 1))]

    low = discounts(list(lower.values()))
    total = sum(lower.values())
    left = sum(low[min(c, 3)] for c in lower.values()) / total
    p = max(lower[token] - low[min(lower[token], 3)], 0) / total + left / V
    high = discounts(list(counts.values()))
    own = {b: c for (a, b), c in counts.items() if a == context[-1]}
    if not own:
        return p
    left = sum(high[min(c, 3)] for c in own.values()) / sum(own.values())
    c = own.get(token, 0)
    return max(c - high[min(c, 3)], 0) / sum(own.values()) + left * p


def test_pairs_have_the_probabilities_of_the_definition() -> None:
    texts = make_texts()
    model = ngrams.KneserNey(texts, 5, 2)
    for text in make_texts(10, seed=1):
        found = np.exp(model.log_probabilities([text]))
        expected = [by_hand(texts, 5, tuple(text[:place]), text[place]) for place in range(1, len(text))]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_longer_context_helps_where_there_is_one() -> None:
    texts = [[0, 2, 3, 4, 2, 4, 3, 0]] * 20
    found = [ngrams.perplexity(ngrams.KneserNey(texts, 5, order), texts) for order in (1, 2, 3)]
    assert found[0] > found[1] > found[2]
    assert found[2] < 1.2


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("cell", plain.LAYERS)
def test_the_plain_network_leaves_padding_out(cell: str, packed: bool) -> None:
    torch.manual_seed(0)
    sizes = {"embedding_dim": 4, "hidden_size": 6, "num_layers": 1, "dropout": 0.0, "embedding_dropout": 0.0}
    network = plain.PlainNetwork(5, sizes, cell, packed)
    rows = [torch.tensor(text) for text in make_texts(7)]
    with torch.no_grad():
        together, tokens = plain.losses(network, rows)
        alone = [plain.losses(network, [row]) for row in rows]
    assert tokens == sum(len(row) - 1 for row in rows) == sum(number for _, number in alone)
    torch.testing.assert_close(together, sum(loss for loss, _ in alone))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source = random.Random(0)
    lines = ["".join(source.choices("春风秋月山雨", k=5)) + "。" for _ in range(400)]
    with zipfile.ZipFile(tmp_path / "tang_poetry.zip", "w") as archive:
        archive.writestr("poetry.txt", "\n".join(lines) + "\n")
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    target = tmp_path / "language.md"
    marks = [f"<!-- bench/language {name} -->\n<!-- end -->\n" for name in page.WRITERS]
    target.write_text("\n".join(marks), encoding="utf-8")
    monkeypatch.setattr(command, "PAGE", target)
    return tmp_path


def test_no_verse_is_in_two_parts(folder: Path) -> None:
    data = verses(folder)
    parts = [set(part) for part in data]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert len(data.test) == -(-sum(map(len, parts)) // 20)
    row = Coder(data.training).rows(["春风。"])[0]
    assert row[0] == row[-1] == 0
    assert len(row) == 5
    with pytest.raises(SystemExit, match="no such file"):
        verses(folder / "none")


def test_the_program_measures_and_writes_the_page(folder: Path) -> None:
    names = ["textnn, lstm", "PyTorch, nn.LSTM", "Kneser-Ney n-grams"]
    command.run(["perplexity", "--data", str(folder), "--epochs", "1", "--only", *names, "--page"])
    text = command.PAGE.read_text(encoding="utf-8")
    for name in names:
        row = next(line for line in text.splitlines() if name in line)
        assert 3.6 < float(row.split("|")[2].split("±")[0]) < 20, row
    command.run(["verses", "--data", str(folder), "--epochs", "1", "--page"])
    text = command.PAGE.read_text(encoding="utf-8")
    assert text.count("\n> ") == 3 * 12 + 4
    assert "beam of 16:" in text
    assert "Kneser-Ney" in text, "the other part stays"


def test_passes_are_timed_side_by_side(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "VERSES", 40)
    command.run(["speed", "--data", str(folder), "--seconds", "0.01", "--page"])
    text = command.PAGE.read_text(encoding="utf-8")
    precisions = len(harness.training_precisions())
    assert text.count("A pass over 40 verses") == precisions
    assert text.count("of the peak") == precisions
    for cell in plain.LAYERS:
        assert text.count(f"| {cell} |") == precisions


def test_operations_are_those_of_the_products() -> None:
    """Of the recurrent layer and of the output, which has the weights of the embedding."""
    network = build_network("lstm", 7, resolve_options("lstm", {"embedding_dim": 3, "hidden_size": 4}))
    assert speed.operations(network, 10) == 6 * 10 * (4 * 4 * (3 + 4) + 4 * 3 + 7 * 3)


@pytest.mark.parametrize("side", ["textnn", "padded", "packed"])
def test_each_side_trains_on_every_token(folder: Path, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    texts = verses(folder).training[:50]
    rows, options = Coder(texts).rows(texts), resolve_options("lstm", {})
    tokens = []
    loss, sums = plain.losses, speed.LanguageObjective.sums

    def their_loss(network: plain.PlainNetwork, rows: list[torch.Tensor]) -> tuple[torch.Tensor, int]:
        found = loss(network, rows)
        tokens.append(found[1])
        return found

    def our_sums(self: speed.LanguageObjective, outputs: torch.Tensor, batch: RaggedBatch) -> Sums:
        found = sums(self, outputs, batch)
        tokens.append(int(found.weight))
        return found

    monkeypatch.setattr(plain, "losses", their_loss)
    monkeypatch.setattr(speed.LanguageObjective, "sums", our_sums)
    if side == "textnn":
        speed.our_pass("lstm", rows, 9, options, "float32")()
    else:
        speed.plain_pass("lstm", rows, 9, options, side == "packed", False)()
    assert sum(tokens) == sum(len(row) - 1 for row in rows)
