"""bench.translation: the plain network is the same one; runs are kept, and a run that was broken off goes on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from pair_samples import WHAT, WHO
from test_translator_fitting import Breaker

from bench import harness
from bench.translation import __main__ as command
from bench.translation import page, plain, speed
from bench.translation.corpora import corpus
from textnn.text import RaggedBatch
from textnn.training.objective import Sums
from textnn.translation import defaults, fitting
from textnn.translation.defaults import build_network, resolve_options
from textnn.translation.network import TranslationNetwork
from textnn.translation.objective import TranslationObjective

SMALL = {"embedding_dim": 6, "hidden_size": 8, "batch_size": 16}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lines = [
        f"{who} {what} {number}.\t{WHO[who]}{WHAT[what]}{number}{mark}\tCC-BY"
        for who in WHO
        for what in WHAT
        for number in range(10)
        for mark in "。！"
    ]
    with zipfile.ZipFile(tmp_path / "tatoeba_en_zh.zip", "w") as archive:
        archive.writestr("cmn.txt", "\n".join(lines) + "\n")
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    target = tmp_path / "translation.md"
    target.write_text("\n".join(f"<!-- bench/translation {name} -->\n<!-- end -->\n" for name in page.WRITERS))
    monkeypatch.setattr(command, "PAGE", target)
    monkeypatch.setattr(defaults, "_DEFAULTS", resolve_options("lstm", None, SMALL))
    return tmp_path


def test_no_source_is_in_two_parts(folder: Path) -> None:
    data = corpus(folder)
    parts = [set(part.sources) for part in data]
    assert list(map(len, parts)) == [144, 8, 8]
    assert len(set().union(*parts)) == 160
    sources, targets = data.test.pairs()
    assert len(sources) == len(targets) == 16
    assert data.test.references[0] == targets[:2]
    assert len(corpus(folder, limit=40).training.sources) == 36
    with pytest.raises(SystemExit, match="no such file"):
        corpus(folder / "none")


def copy_weights(ours: TranslationNetwork, theirs: plain.PlainNetwork) -> None:
    weights = {}
    for name, tensor in ours.state_dict().items():
        side, _, rest = name.partition(".")
        if rest == "weight" and side in ("encoder", "decoder"):
            weights[{"encoder": "source", "decoder": "target"}[side] + ".weight"] = tensor
        else:
            weights[name.replace(f"{side}.{ours.name}.", f"{side}.")] = tensor
    theirs.load_state_dict(weights)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("cell", "attention"), [("lstm", "general"), ("gru", "dot"), ("rnn", None)])
def test_the_plain_network_is_the_same_one(
    cell: str, attention: str | None, training: bool, packed: bool, folder: Path
) -> None:
    """The same loss and the same gradients, of batches whose sources and targets have different lengths."""
    options = resolve_options(cell, attention, {**SMALL, "num_layers": 2, "dropout": 0.0, "word_dropout": 0.0})
    given = speed.prepare(corpus(folder), options, 64)
    ours = build_network(cell, attention, *given.sizes, options).train(training)
    theirs = plain.PlainNetwork(cell, attention, *given.sizes, options, packed).train(training)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    copy_weights(ours, theirs)
    batch = given.data.batch(torch.tensor([0, 5, 31, 77, 100]))
    objective = TranslationObjective(ours, options["label_smoothing"])
    found = (objective.sums if training else objective.held_out)(ours(*batch.inputs), batch)
    loss, tokens = plain.losses(theirs, speed.pairs_of(given.data, batch.index))
    assert tokens == found.weight
    torch.testing.assert_close(loss, found.loss.float(), rtol=1e-5, atol=0)
    if training:
        found.loss.backward()
        loss.backward()
        torch.testing.assert_close(ours.decoder.weight.grad, theirs.target.weight.grad, rtol=1e-3, atol=1e-5)
        dense = ours.encoder.weight.grad.to_dense()
        torch.testing.assert_close(dense, theirs.source.weight.grad, rtol=1e-3, atol=1e-5)


def test_runs_are_kept_and_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    pytest.importorskip("sacrebleu")
    arguments = ["bleu", "--data", str(folder), "--epochs", "2", "--seeds", "2", "--only", "rnn", "lstm, general"]
    make = fitting.make_reporter
    monkeypatch.setattr(fitting, "make_reporter", lambda _: Breaker(50, KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        command.run(arguments)
    assert [path.suffix for path in harness.RESULTS.iterdir()] == [".checkpoint"]
    monkeypatch.setattr(fitting, "make_reporter", make)
    with monkeypatch.context() as patch:
        patch.setattr(command, "bleu", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            command.run(arguments)
    assert [path.suffix for path in harness.RESULTS.iterdir()] == [".checkpoint"], "the training is not lost"
    command.run([*arguments, "--page"])
    shown = capsys.readouterr()
    assert "resumed after " in shown.err
    content = json.loads((harness.RESULTS / "translation-bleu.json").read_text(encoding="utf-8"))
    assert [(row["name"], row["seed"]) for row in content["rows"]] == [
        ("rnn", 0), ("rnn", 1), ("lstm, general", 0), ("lstm, general", 1),
    ]  # fmt: skip
    assert all(0 <= row["bleu"] <= 100 and row["perplexity"] > 1 for row in content["rows"])
    assert [path.name for path in harness.RESULTS.iterdir()] == ["translation-bleu.json"]
    text = command.PAGE.read_text(encoding="utf-8")
    assert "| RNN | none | " in text
    assert "| LSTM | general | " in text
    assert corpus(folder).test.sources[0] in text
    command.run(arguments)
    assert capsys.readouterr().out.count(": kept") == 4
    command.run([*arguments[:4], "1", "--seeds", "1", "--only", "rnn"])
    assert "rnn, seed 0: BLEU" in capsys.readouterr().out, "with other epochs it is another run"


def test_passes_are_timed_side_by_side(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "PAIRS", 32)
    command.run(["speed", "--data", str(folder), "--seconds", "0.01", "--page"])
    text = command.PAGE.read_text(encoding="utf-8")
    assert text.count("A pass over 32 pairs") == len(harness.training_precisions())
    for name in ("lstm, attention", "gru, attention", "rnn, attention", "lstm"):
        assert text.count(f"| {name} |") == len(harness.training_precisions())
    assert "textnn, s an epoch" in text


@pytest.mark.parametrize("side", ["textnn", "padded", "packed"])
def test_each_side_trains_on_every_token(folder: Path, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    options = resolve_options("lstm", "general", SMALL)
    given = speed.prepare(corpus(folder), options, 64)
    tokens = []
    loss, sums = plain.losses, TranslationObjective.sums

    def their_loss(network: plain.PlainNetwork, pairs: list[plain.Pair]) -> tuple[torch.Tensor, int]:
        found = loss(network, pairs)
        tokens.append(found[1])
        return found

    def our_sums(self: TranslationObjective, outputs: torch.Tensor, batch: RaggedBatch) -> Sums:
        found = sums(self, outputs, batch)
        tokens.append(int(found.weight))
        return found

    monkeypatch.setattr(plain, "losses", their_loss)
    monkeypatch.setattr(TranslationObjective, "sums", our_sums)
    if side == "textnn":
        speed.our_pass("lstm", "general", given, options, "float32")()
    else:
        speed.plain_pass("lstm", "general", given, options, side == "packed", False)()
    assert sum(tokens) == int(given.data.lengths[torch.cat(given.batches)].sum())
