"""Measure, and write docs/throughput.md; options in the package's docstring and in --help."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..accuracy.corpora import BUILT_IN, load, split
from ..harness import RESULTS, console, machine
from .page import write
from .pipelines import Pipeline, make_pipelines

SAMPLE = 2000  # texts that are enough for a slow pipeline
SINGLE = 1000  # texts that are classified one by one


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser("python -m bench.throughput", description=__doc__)
    parser.add_argument("--data", default=BUILT_IN, help=f"a file with labelled texts, or {BUILT_IN!r} (default)")
    parser.add_argument("--texts", type=int, default=60_000, help="texts to classify; repeated if there are fewer")
    parser.add_argument("--rounds", type=int, default=5, help="how often each pipeline classifies them (default 5)")
    parser.add_argument("--threads", type=int, help="default: torch's own")
    parser.add_argument("--page", action="store_true", help="measure nothing; write the page from the results")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    kept = RESULTS / "throughput.json"
    if not options.page:
        RESULTS.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(measure(options.data, options.texts, options.rounds), indent=1, ensure_ascii=False))
    if not kept.exists():
        raise SystemExit(f"{kept}: no results; run python -m bench.throughput first")
    write(json.loads(kept.read_text()))


def measure(data: str, texts: int, rounds: int) -> dict[str, Any]:
    """Train, then let the pipelines classify the same texts in turn; the first round is a warm-up."""
    corpus = load(data)
    parts = split(corpus, 0)
    learn, test = parts.training + parts.validation, parts.test
    console.print(f"{corpus.name}: training on {len(learn):,} texts")
    pipelines = make_pipelines(learn.texts, learn.labels)
    known = corpus.part.texts
    many = (known * -(-texts // len(known)))[:texts]
    times: dict[str, list[float]] = {one.name: [] for one in pipelines}
    labels: dict[str, list[Any]] = {}
    for number in range(rounds + 1):
        for one in pipelines:
            if one.slow and number > 2:
                continue
            chosen = many[:SAMPLE] if one.slow else many
            start = time.perf_counter()
            found = list(one.predict(chosen))
            if number:
                times[one.name].append((time.perf_counter() - start) / len(chosen))
            labels[one.name] = found
            console.print(f"round {number} {one.name}: {len(chosen) / (time.perf_counter() - start):,.0f} a second")
    _compare(pipelines, labels)
    return {
        "machine": machine(),
        "data": corpus.key,
        "rounds": rounds,
        "texts": len(many),
        "characters": statistics.mean(map(len, many)),
        "rows": [
            {
                "name": one.name,
                "texts": SAMPLE if one.slow else len(many),
                "rate": 1 / statistics.median(times[one.name]),
                "low": 1 / max(times[one.name]),
                "high": 1 / min(times[one.name]),
                "ratio": statistics.median(_ratios(times[pipelines[0].name], times[one.name])),
                **_single(one, test.texts),
                "accuracy": _accuracy(one, test.texts, test.labels),
            }
            for one in pipelines
        ],
        "start": {name: _start(code) for name, code in STARTS.items()},
    }


STARTS = {
    "import torch": [sys.executable, "-c", "import torch"],
    "import textnn": [sys.executable, "-c", "import textnn"],
    "textnn --help": [str(Path(sys.executable).with_name("textnn")), "--help"],
}
"""Programs whose start is timed."""


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [other / own for own, other in zip(ours, theirs, strict=False)]


def _compare(pipelines: Sequence[Pipeline], labels: dict[str, list[Any]]) -> None:
    """Complain where a pipeline of the same network gives other labels, but for rounding."""
    first = labels[pipelines[0].name]
    for one in pipelines:
        found = labels[one.name]
        other = sum(a != b for a, b in zip(first, found, strict=False)) / len(found)
        if one.same and other > 0.001:
            raise SystemExit(f"{one.name}: {other:.2%} of the labels are not those of the same network in textnn")


def _single(one: Pipeline, texts: Sequence[str]) -> dict[str, float]:
    """Return milliseconds of one text at a time, after some as a warm-up: median and 99th percentile."""
    some = [*texts[:50], *(texts * (SINGLE // len(texts) + 1))[:SINGLE]]
    seconds = []
    for text in some:
        start = time.perf_counter()
        one.predict([text])
        seconds.append(time.perf_counter() - start)
    cuts = statistics.quantiles(seconds[50:], n=100)
    return {"p50": 1e3 * cuts[49], "p99": 1e3 * cuts[98]}


def _accuracy(one: Pipeline, texts: list[str], labels: list[str]) -> float:
    return statistics.mean(float(a == b) for a, b in zip(one.predict(texts), labels, strict=True))


def _start(command: Sequence[str]) -> float:
    """Return the seconds that a program takes, the median of several after a first one."""
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
