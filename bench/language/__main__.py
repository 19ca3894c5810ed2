"""The command; see the package."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import textnn

from .. import harness
from ..harness import console, keep, kept, published
from ..report import DOCS, sentence_of, write_part
from . import page, speed
from .contestants import CONTESTANTS, WITHOUT_SEED, default_model, run_textnn
from .corpora import Verses, verses

PAGE = DOCS / "language.md"
PROMPTS = ("", "春", "明月", "山中")
WAYS: dict[str, dict[str, Any]] = {
    "drawn, temperature 1": {},
    "drawn, temperature 0.7": {"temperature": 0.7},
    "drawn, top_p 0.9": {"top_p": 0.9},
    "beam of 16": {"beam": 16},
}


def run(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.language", description="Benchmarks of the language model.")
    parser.add_argument("what", choices=["perplexity", "verses", "speed", "page"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the corpus")
    parser.add_argument("--only", nargs="*", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="fewer or more epochs than the default")
    parser.add_argument("--limit", type=int, help="read so many verses only, to try the program")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each comparison of speed")
    parser.add_argument("--page", action="store_true", help="write the results into docs/language.md")
    options = parser.parse_args(arguments)
    given = {} if options.epochs is None else {"epochs": options.epochs}
    if options.what != "page":
        data = verses(options.data, options.limit)
        console.print(" ".join(f"{name}: {len(part):,} verses" for name, part in data._asdict().items()))
        WORK[options.what](data, options, given)
    if options.page or options.what == "page":
        for name, write in page.WRITERS.items():
            if (content := published(f"language-{name}")) is not None:
                write_part(PAGE, f"bench/language {name}", write(content))


def measure(data: Verses, options: argparse.Namespace, given: dict[str, Any]) -> None:
    """Add runs to those that are kept, in the place of the same ones."""
    rows = {(row["name"], row["seed"]): row for row in (kept("language-perplexity") or {"rows": []})["rows"]}
    for name in options.only:
        for seed in range(options.seeds):
            key = (name, None if name in WITHOUT_SEED else seed)
            if name in WITHOUT_SEED and seed:
                continue
            found = CONTESTANTS[name](data, seed, given)
            rows[key] = {"name": name, "seed": key[1], **found}
            keep("language-perplexity", list(rows.values()))
            console.print(f"{name}, seed {key[1]}: perplexity {found['perplexity']:.2f}, {found['seconds']:.0f} s")


def measure_speed(data: Verses, options: argparse.Namespace, _: dict[str, Any]) -> None:
    """Time passes beside those of plain PyTorch."""
    found = []
    for row in speed.rows(data, harness.Effort(seconds=options.seconds, least=3)):
        console.print(sentence_of(row))
        found.append(row)
    keep("language-speed", [asdict(row) for row in found])


def write_verses(data: Verses, _: argparse.Namespace, given: dict[str, Any]) -> None:
    """Let the model of all defaults write; train it, unless the measurement of perplexity has."""
    if not default_model(0).exists():
        run_textnn(data, 0, given)
    model = textnn.LanguageModel.load(default_model(0))
    rows = []
    for how, drawing in WAYS.items():
        found = []
        for number, prompt in enumerate(PROMPTS * (1 if "beam" in drawing else 3)):
            more = {} if "beam" in drawing else {"seed": number}
            found.append(prompt + model.generate(prompt, n=60, **drawing, **more))
        rows.append({"how": how, "verses": found})
        console.print(how, *found, sep="\n  ")
    keep("language-verses", rows)


WORK = {"perplexity": measure, "verses": write_verses, "speed": measure_speed}

if __name__ == "__main__":
    run()
