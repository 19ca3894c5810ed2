"""Measure, and write docs/serving-load.md; options in the package's docstring and in --help."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from textnn import SentimentClassifier

from ..accuracy.corpora import BUILT_IN, load, split
from ..harness import RESULTS, console, machine
from .client import Outcome, Request, make_requests
from .client import load as ask
from .page import write
from .process import ServerProcess

CONNECTIONS = (1, 8, 64, 256)
SETTINGS = {
    "batches of up to 64": ("--max-batch", "64"),
    "one text at a time": ("--max-batch", "1"),
}
ALWAYS = ("--rate-limit", "0", "--log-level", "info")
TEXTS = 2000
WARM_UP = 1.0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser("python -m bench.serving", description=__doc__)
    parser.add_argument("--data", default=BUILT_IN, help=f"a file with labelled texts, or {BUILT_IN!r} (default)")
    parser.add_argument("--model", type=Path, help="a saved model; default: one is trained, with rjieba")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement (default 8)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is taken (default 3)")
    parser.add_argument("--threads", type=int, default=1, help="of the network (default 1)")
    parser.add_argument("--page", action="store_true", help="measure nothing; write the page from the results")
    options = parser.parse_args()
    kept = RESULTS / "serving.json"
    if not options.page:
        results = measure(options.data, options.model, options.seconds, options.rounds, options.threads)
        RESULTS.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(results, indent=1, ensure_ascii=False))
    if not kept.exists():
        raise SystemExit(f"{kept}: no results; run python -m bench.serving first")
    write(json.loads(kept.read_text()))


def measure(data: str, model: Path | None, seconds: float, rounds: int, threads: int) -> dict[str, Any]:
    """Start a server for each of the settings, put each under load by turns, and end one in the middle of it."""
    corpus = load(data)
    parts = split(corpus, 0)
    with tempfile.TemporaryDirectory() as folder:
        if model is None:
            model = Path(folder, "model")
            learn = parts.training + parts.validation
            console.print(f"{corpus.name}: training on {len(learn):,} texts")
            SentimentClassifier(tokenizer="rjieba", random_state=0).fit(learn.texts, learn.labels).save(model)
        torch.set_num_threads(threads)
        classifier = SentimentClassifier.load(model)
        texts = parts.test.texts[:TEXTS]
        requests = make_requests(texts, classifier.predict(texts).tolist())
        return {
            "machine": machine(),
            "data": corpus.key,
            "characters": statistics.mean(map(len, texts)),
            "seconds": seconds,
            "rounds": rounds,
            "rows": _measure_all(model, requests, seconds, rounds, threads),
            "end": end_under_load(model, requests, threads=threads),
        }


def _measure_all(
    model: Path, requests: Sequence[Request], seconds: float, rounds: int, threads: int
) -> list[dict[str, Any]]:
    found: dict[tuple[str, int], list[Outcome]] = {}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(ServerProcess(model, *ALWAYS, *options, threads=threads))
            for name, options in SETTINGS.items()
        }
        for connections in CONNECTIONS:
            for number in range(rounds):
                for name, server in servers.items():
                    if not number:
                        asyncio.run(ask(server.port, requests, connections, WARM_UP))
                    outcome = asyncio.run(ask(server.port, requests, connections, seconds))
                    found.setdefault((name, connections), []).append(outcome)
                    rate = outcome.answered / outcome.seconds
                    console.print(f"{connections} connections, {name}: {rate:,.0f} a second, {outcome.errors} errors")
    return [{"name": name, "connections": many, **_row(outcomes)} for (name, many), outcomes in found.items()]


def _row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    cuts = statistics.quantiles([1e3 * one for outcome in outcomes for one in outcome.latencies], n=100)
    rates = [outcome.answered / outcome.seconds for outcome in outcomes]
    return {
        "requests": sum(outcome.answered for outcome in outcomes),
        "errors": sum(outcome.errors for outcome in outcomes),
        "rate": statistics.median(rates),
        "low": min(rates),
        "high": max(rates),
        "p50": cuts[49],
        "p99": cuts[98],
    }


def end_under_load(
    model: Path,
    requests: Sequence[Request],
    connections: int = 64,
    after: float = 2.0,
    least: int = 1,
    threads: int = 1,
    **more: Any,
) -> dict[str, Any]:
    """Send SIGTERM to a server in the middle of load; return what became of the requests.

    Parameters
    ----------
    model, requests, connections, threads
        As for the measurements.
    after, least
        Seconds and answers before the signal.
    more
        Of the process.
    """
    with ServerProcess(model, *ALWAYS, threads=threads, **more) as server:
        outcome, signalled = Outcome(), 0.0

        async def end() -> None:
            nonlocal signalled
            await asyncio.sleep(after)
            while outcome.answered < least:
                await asyncio.sleep(0.01)
            signalled = time.perf_counter()
            server.signal(signal.SIGTERM)

        async def run() -> None:
            # The load lasts until the server takes no connection.
            await asyncio.gather(end(), ask(server.port, requests, connections, outcome=outcome))

        asyncio.run(run())
        code = server.wait()
        return {
            "connections": connections,
            "answered": outcome.answered,
            "counted by the server": server.answered() - server.health_checks,
            "lost": outcome.lost,
            "errors": outcome.errors,
            "refused": outcome.refused,
            "seconds to end": time.perf_counter() - signalled,
            "exit code": code,
        }


if __name__ == "__main__":
    main()
