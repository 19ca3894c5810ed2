"""``_textnn_cli.checks.option_errors``: errors of the package name the options that were typed, not its arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from _textnn_cli import app
from _textnn_cli.checks import name_options, option_errors
from textnn.training.checkpoint import CheckpointError

OPTIONS = {"beam": "--beam", "seed": "--seed", "top_k": "--top-k", "top_p": "--top-p", "min_count": "--min-count"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("beam: expected 1", "--beam: expected 1"),
        ("top_k: expected 1", "--top-k: expected 1"),
        ("beam: expected no top_k, top_p or seed", "--beam: expected no --top-k, --top-p or --seed"),
        ("X: nothing; a smaller min_count helps", "X: nothing; a smaller --min-count helps"),
        ("X: a beam and a seed are words, too", "X: a beam and a seed are words, too"),
        ("X: beam or seed", "X: beam or seed"),
        ("top_k: got 'top_k' and \"min_count\"", "--top-k: got 'top_k' and \"min_count\""),
        ("a.csv: the column my_min_count", "a.csv: the column my_min_count"),
        ("no colon, min_count", "no colon, --min-count"),
    ],
)
def test_arguments_are_named_as_options(message: str, expected: str) -> None:
    assert name_options(message, OPTIONS) == expected


@pytest.mark.parametrize("kind", [ValueError, CheckpointError, RuntimeError])
def test_an_error_stays_what_it_is(kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^--min-count: expected 1$") as raised, option_errors(**OPTIONS):
        raise kind("min_count: expected 1")
    assert type(raised.value) is kind
    with pytest.raises(OSError, match="min_count: "), option_errors(**OPTIONS):
        raise OSError("min_count: a file")


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        (["train"], ["--hidden-size", "0", "-a", "lstm"], "--hidden-size: expected an integer from 1"),
        (["train"], ["--learning-rate", "-1"], "--learning-rate: expected a number"),
        (["train"], ["-a", "transformer"], "--architecture: expected"),
        (["tag", "train"], ["--hidden-size", "0"], "--hidden-size: expected an integer from 1"),
        (["tag", "train"], ["--clip-norm", "-1"], "--clip-norm: expected a number"),
        (["write", "train"], ["--clip-norm", "-1"], "--clip-norm: expected a number"),
    ],
)
def test_the_commands_that_train_name_options(
    command: list[str], options: list[str], message: str, tmp_path: Path
) -> None:
    content = "Ann\tB-PER\nran\tO\n\n" * 20 if command[0] == "tag" else "text\tlabel\n" + "good\t1\nbad\t0\n" * 20
    (tmp_path / "a.tsv").write_text(content, encoding="utf-8")
    arguments = [*command, str(tmp_path / "a.tsv"), "-o", str(tmp_path / "m"), "--threads", "1", *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "m").exists()
