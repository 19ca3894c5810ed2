"""What the tests of ``textnn tag`` and ``textnn cut`` share: how a command is run, small files, small models."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from _textnn_cli import app

QUICK = ["-a", "ngram-crf", "--ngram-buckets", 512, "--epochs", 6, "--learning-rate", 0.05, "--threads", 1]
ONCE = ["-a", "ngram-crf", "--ngram-buckets", 64, "--epochs", 1, "--threads", 1]
NAMES = {"PER": [["Ann"], ["Bob", "Lee"]], "LOC": [["Rome"], ["New", "York"]]}
WORDS = {"我": "r", "他": "r", "来到": "v", "喜欢": "v", "北京": "ns", "天安门": "ns", "。": "w"}


def run(*arguments: object, stdin: str | bytes | None = None) -> Any:
    """Run a command within this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def succeed(*arguments: object, stdin: str | bytes | None = None) -> Any:
    """Run a command that has to end well."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result


def refuse(*arguments: object, stdin: str | bytes | None = None) -> str:
    """Run a command that has to be refused as bad input; return what it says, in one line."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.replace("│", " ").split())


def make_conll(count: int = 60, seed: int = 0) -> str:
    """Return columns of words: token, another column, tag."""
    source = random.Random(seed)
    lines = []
    for _ in range(count):
        for _ in range(source.randint(2, 5)):
            kind = source.choice(["PER", "LOC", "O", "O"])
            words = source.choice(NAMES[kind]) if kind != "O" else [source.choice(["met", "in", "and", "."])]
            for place, word in enumerate(words):
                tag = kind if kind == "O" else f"I-{kind}" if place else f"B-{kind}"
                lines.append(f"{word} x {tag}")
        lines.append("")
    return "\n".join(lines) + "\n"


def make_segmented(count: int = 80, tags: bool = False, seed: int = 0) -> str:
    """Return sentences of Chinese words, a line each, with or without parts of speech."""
    source = random.Random(seed)
    lines = (source.choices(list(WORDS), k=5) for _ in range(count))
    return "".join(" ".join(f"{word}/{WORDS[word]}" if tags else word for word in line) + "\n" for line in lines)


def write(path: Path, content: str | bytes) -> Path:
    """Write a file as it is."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def train(directory: Path, name: str, content: str, *options: object) -> Path:
    """Train a small model on a file; return its directory."""
    model = directory / f"model-of-{name}"
    succeed("tag", "train", write(directory / name, content), "-o", model, "-q", *QUICK, *options)
    return model
