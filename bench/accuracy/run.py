"""Runs every contestant on every split that has no result yet."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .. import harness
from .contestants import HALF, Contestant, Outcome, default_name
from .corpora import Corpus, split
from .results import Entry, Results
from .tokens import SNOWNLP, Tokens

RESULTS = Path(harness.RESULTS, "accuracy.json")


def measure(
    corpora: Sequence[Corpus],
    choose: Callable[[Corpus], Sequence[Contestant]],
    seeds: int,
    results: Results,
    threads: int,
    console: Console,
) -> list[str]:
    """Measure what the results lack, all contestants on one split after the other.

    A contestant whose packages are not installed is noted with the reason, and so is one that fails; the others go on.

    Parameters
    ----------
    corpora
        The data sets.
    choose
        Returns the contestants for one.
    seeds
        The number of splits of each data set.
    results
        Grows by an entry whenever a contestant is done.
    threads
        For those who take a number; torch's must have been set.
    console
        Where progress is shown.

    Returns
    -------
    list of str
        The failures, a line each.
    """
    failures = []
    results.set_default(default_name())
    columns = TextColumn("{task.description}"), BarColumn(bar_width=28), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("", total=seeds * sum(len(choose(corpus)) for corpus in corpora))
        for corpus in corpora:
            contestants = choose(corpus)
            classes = {label: corpus.part.labels.count(label) for label in sorted(set(corpus.part.labels))}
            results.describe(corpus.key, name=corpus.title, texts=len(corpus.part), labels=classes)
            words: dict[str, Tokens] = {}
            for seed in range(seeds):
                parts = split(corpus, seed)
                for contestant in contestants:
                    progress.update(task, description=f"{corpus.title}, seed {seed}, {contestant.name}")
                    try:
                        settings = contestant.settings()
                        if not results.has(corpus.key, contestant.name, settings, seed):
                            tokens = _tokens(contestant.tokenizer, corpus, words, results, progress)
                            outcome = contestant.run(parts, tokens, seed, threads)
                            entry = _entry(corpus, contestant, settings, seed, parts.test.labels, outcome)
                            results.add(entry)
                            seconds = outcome.choosing + outcome.seconds
                            where = f"{corpus.title}, seed {seed}, {contestant.name}"
                            _say(console, f"{where}: accuracy {entry['accuracy']:.4f}, {seconds:.1f} s")
                    except ImportError as error:
                        results.add_not_run(corpus.key, contestant.name, str(error))
                    except Exception as error:
                        # Hours of the others' work are worth more than stopping here.
                        _say(console, traceback.format_exc())
                        failures.append(f"{corpus.title}, seed {seed}, {contestant.name}: {error}")
                        results.add_not_run(corpus.key, contestant.name, f"failed: {type(error).__name__}: {error}")
                    progress.advance(task)
    return failures


def _entry(
    corpus: Corpus, contestant: Contestant, settings: Entry, seed: int, labels: Sequence[str], outcome: Outcome
) -> Entry:
    right = sum(predicted == label for predicted, label in zip(outcome.predicted, labels, strict=True))
    return {
        "data": corpus.key,
        "contestant": contestant.name,
        "settings": settings,
        "seed": seed,
        "accuracy": right / len(labels),
        "test": len(labels),
        "learns from": contestant.learns_from,
        "seconds": outcome.seconds,
        "choosing": outcome.choosing,
        "megabytes": outcome.megabytes,
        "chosen": outcome.chosen,
        **({"in bfloat16": outcome.halved} if outcome.halved else {}),
        "machine": harness.machine(),
    }


def _tokens(
    name: str | None, corpus: Corpus, words: dict[str, Tokens], results: Results, progress: Progress
) -> Tokens | None:
    """Return the words of all texts by a tokenizer, which it finds once."""
    if name is None:
        return None
    if name not in words:
        _say(progress.console, f"{corpus.name}: finding the {name} words of {len(corpus.part):,} texts")
        task = progress.add_task(f"{name} words of {corpus.name}", total=len(corpus.part))
        # snownlp takes hours for what the others do in seconds.
        kept = harness.RESULTS / f"{re.sub('[^0-9A-Za-z]+', '-', corpus.key)}-{name}.jsonl" if name == SNOWNLP else None
        tokens = Tokens(name).prepare(corpus.part.texts, lambda count: progress.advance(task, count), kept)
        progress.remove_task(task)
        words[name] = tokens
        known = results.content["data"][corpus.key].get("tokenizing", {})
        results.describe(corpus.key, tokenizing={**known, name: round(tokens.seconds, 2)})
    return words[name]


def _say(console: Console, message: str) -> None:
    console.print(message, highlight=False, markup=False, soft_wrap=True)


def choose(contestants: Sequence[Contestant], only: Sequence[str]) -> list[Contestant]:
    """Return those of these names; ``"textnn"`` stands for all ``"textnn/..."``.

    Raises
    ------
    SystemExit
        If a name is none of theirs.
    """
    names = [contestant.name for contestant in contestants]
    for name in only:
        if not any(_is_of(known, name) for known in names):
            raise SystemExit(f"--only: expected some of {', '.join(names)}, or what stands before a /, got {name!r}")
    return [one for one in contestants if not only or any(_is_of(one.name, name) for name in only)]


def _is_of(contestant: str, name: str) -> bool:
    return contestant.removesuffix(HALF) == name or contestant == name or contestant.startswith(f"{name}/")
