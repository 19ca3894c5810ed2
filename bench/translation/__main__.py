"""The command; see the package."""

from __future__ import annotations

import argparse
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import textnn
from textnn.training import Checkpoint
from textnn.translation.defaults import resolve_options
from textnn.translation.evaluation import bleu

from .. import harness
from ..harness import console, keep, kept, published
from ..report import DOCS, sentence_of, write_part
from . import page, speed
from .corpora import Corpus, corpus

PAGE = DOCS / "translation.md"
NETWORKS: dict[str, dict[str, Any]] = {
    name: {"cell": cell, "attention": attention}
    for cell in ("rnn", "gru", "lstm")
    for name, attention in ((cell, None), (f"{cell}, general", "general"))
}


def run(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.translation", description="Benchmarks of the translator.")
    parser.add_argument("what", choices=["bleu", "speed", "page"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the corpus")
    parser.add_argument("--only", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="fewer or more epochs than the default")
    parser.add_argument("--precision", help="bfloat16, where the CPU has instructions for it")
    parser.add_argument("--limit", type=int, help="read so many sentences only, to try the program")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each comparison of speed")
    parser.add_argument("--page", action="store_true", help="write the results into docs/translation.md")
    options = parser.parse_args(arguments)
    if options.what != "page":
        data = corpus(options.data, options.limit)
        console.print(" ".join(f"{name}: {len(part.sources):,} sources" for name, part in data._asdict().items()))
        WORK[options.what](data, options)
    if options.page or options.what == "page":
        for name, (results, write) in page.WRITERS.items():
            if (content := published(f"translation-{results}")) is not None:
                write_part(PAGE, f"bench/translation {name}", write(content))


def measure(data: Corpus, options: argparse.Namespace) -> None:
    """Make the runs that are not kept yet, seed by seed."""
    rows = {(row["name"], row["seed"]): row for row in (kept("translation-bleu") or {"rows": []})["rows"]}
    given = {name: getattr(options, name) for name in ("epochs", "precision") if getattr(options, name) is not None}
    for seed in range(options.seeds):
        for name in options.only:
            network = NETWORKS[name]
            asked = {**resolve_options(network["cell"], network["attention"], given), "limit": options.limit}
            if (name, seed) in rows and rows[name, seed]["asked"] == asked:
                console.print(f"{name}, seed {seed}: kept")
                continue
            folder = harness.RESULTS / f"translation-{zlib.crc32(repr((name, seed, asked)).encode()):08x}.checkpoint"
            checkpoint = Checkpoint(folder, resume=True)
            found = translate(data, checkpoint, random_state=seed, **network, **given)
            row = {"name": name, "seed": seed, "asked": asked, **found}
            rows[name, seed] = row
            order = [rows[key] for each in NETWORKS for key in sorted(rows) if key[0] == each]
            keep("translation-bleu", order)
            checkpoint.remove()
            console.print(f"{name}, seed {seed}: BLEU {row['bleu']:.2f}, {row['seconds']:.0f} s")


def translate(data: Corpus, checkpoint: Checkpoint, **given: Any) -> dict[str, Any]:
    """Train a translator and measure it; a training that was broken off is resumed."""
    model = textnn.Translator(**given)
    model.fit(*data.training.pairs(), validation_data=data.validation.pairs(), checkpoint=checkpoint)
    sources, references = data.test
    found = model.predict(sources)
    return {
        "bleu": bleu(found, references),
        "greedy": bleu(model.predict(sources, beam=1), references),
        "perplexity": model.state_.validation_perplexity,
        "epochs": model.best_epoch_,
        "seconds": sum(epoch["seconds"] for epoch in model.history_),
        "examples": list(zip(sources, found, (several[0] for several in references), strict=True))[: page.EXAMPLES],
    }


def measure_speed(data: Corpus, options: argparse.Namespace) -> None:
    """Time passes beside those of plain PyTorch."""
    found = []
    for row in speed.rows(data, harness.Effort(seconds=options.seconds, least=3)):
        console.print(sentence_of(row))
        found.append(row)
    keep("translation-speed", [asdict(row) for row in found])


WORK = {"bleu": measure, "speed": measure_speed}

if __name__ == "__main__":
    run()
