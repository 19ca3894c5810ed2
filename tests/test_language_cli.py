"""``textnn write train | continue | score``: what they write, exit codes, options."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path
from typing import Any

import pytest
import typer
from language_samples import SENTENCES, VERSES
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import LanguageModel, SequenceTagger
from textnn.language import fitting
from textnn.training.progress import LineReporter

SIZES = ["--embedding-dim", 6, "--hidden-size", 8, "--window", 8, "--batch-size", 4, "--threads", 1]
QUICK = [*SIZES, "--epochs", 2, "--learning-rate", 0.02]


def run(*arguments: object, stdin: str | None = None) -> Any:
    """Run a command within this process."""
    return CliRunner().invoke(app, ["write", *(str(argument) for argument in arguments)], input=stdin)


def succeed(*arguments: object, stdin: str | None = None) -> Any:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result


def refuse(*arguments: object, stdin: str | None = None) -> str:
    """Run a command that has to be refused as bad input; return what it says, in one line."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("write")
    (folder / "verses.txt").write_text("\n".join(VERSES) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    succeed("train", folder / "verses.txt", "-o", folder / "model", "-q", *QUICK)
    return folder / "model"


@pytest.mark.parametrize("command", ["train", "continue", "score"])
def test_help_teaches_with_examples(command: str) -> None:
    assert command in succeed("--help").output
    assert f"textnn write {command} " in succeed(command, "--help").output.partition("Examples")[2]
    assert " write " in CliRunner().invoke(app, ["--help"]).output


def test_every_parameter_is_an_option() -> None:
    command: Any = typer.main.get_command(app)
    options = command.commands["write"].commands["train"].load().params
    names = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    others = {"random_state": "--seed", "verbose": "--quiet"}
    for name in inspect.signature(LanguageModel).parameters:
        assert others.get(name, f"--{name.replace('_', '-')}") in names, name
    assert {"--no-tied", "--no-shuffle"} <= names


def test_train_says_what_was_read_and_how_good_the_model_is(folder: Path, tmp_path: Path) -> None:
    result = succeed("train", folder / "verses.txt", "-o", tmp_path / "deep" / "model", *QUICK, "--seed", 3)
    for expected in ("verses.txt: 54 texts (lines, utf-8)", "vocabulary of 15", "held out", "epoch 2/2", "perplexity"):
        assert expected in result.stderr, expected
    for expected in ("validation after epoch ", f"saved: {tmp_path}", "textnn write continue"):
        assert expected in result.stdout, expected
    assert LanguageModel.load(tmp_path / "deep" / "model").seed_ == 3
    assert not list((tmp_path / "deep").glob(".*")), "no state of the training is left"


def test_the_next_command_is_quoted_for_the_shell(folder: Path, tmp_path: Path) -> None:
    directory = tmp_path / "my model"
    shown = succeed("train", folder / "verses.txt", "-o", directory, *QUICK).stdout
    assert f"next:  textnn write continue '{directory}' --prompt" in shown


def test_train_takes_its_options(tmp_path: Path) -> None:
    rows = "".join(f'"{text}",x\n' for text in SENTENCES)
    (tmp_path / "a.csv").write_text("body,label\n" + rows, encoding="utf-8")
    (tmp_path / "dev.csv").write_text("body,label\n" + rows[:100].rpartition("\n")[0], encoding="utf-8")
    options = [
        "--level",
        "word",
        "--cell",
        "gru",
        "--no-tied",
        "--no-shuffle",
        "--context",
        "stream",
        "--num-layers",
        2,
    ]
    reading = ["--text-column", "body", "--validation", tmp_path / "dev.csv", "--limit", 30, "-q"]
    result = succeed("train", tmp_path / "a.csv", "-o", tmp_path / "m", *QUICK, *options, *reading)
    assert result.output == ""
    model = LanguageModel.load(tmp_path / "m")
    used = model.options_
    assert (model.level, model.cell, used["tied"], used["shuffle"], used["context"]) == (
        "word", "gru", False, False, "stream",
    )  # fmt: skip
    assert model.state_.n_texts == 30


@pytest.mark.parametrize(("unit", "texts"), [("line", 4), ("paragraph", 2), ("file", 1)])
def test_a_text_is_a_line_a_paragraph_or_the_file(unit: str, texts: int, tmp_path: Path) -> None:
    file = tmp_path / "poems.txt"
    file.write_text("春风来去\n秋月何时\n\n\n春风何时\n秋月来去\n", encoding="utf-8")
    succeed("train", file, "-o", tmp_path / "m", "-q", *QUICK, "--unit", unit, "--validation-fraction", 0)
    model = LanguageModel.load(tmp_path / "m")
    assert model.state_.n_texts == texts
    assert ("\n" in model.vocabulary_) is (unit != "line")
    result = succeed("score", tmp_path / "m", file, "--unit", unit, "-o", "-")
    lines = {"line": [1, 2, 5, 6], "paragraph": [1, 5], "file": [1]}[unit]
    assert [json.loads(line)["line"] for line in result.stdout.splitlines()] == lines


def test_an_interrupted_training_is_resumed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["train", folder / "verses.txt", *QUICK, "--checkpoint-seconds", 0]
    succeed(*arguments, "-o", tmp_path / "whole", "-q")

    class Interrupted(LineReporter):
        left = 8

        def batch(self, loss: float, accuracy: float) -> None:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "make_reporter", lambda _: Interrupted())
        result = run(*arguments, "-o", tmp_path / "model")
    assert result.exit_code == 130
    assert "resume with: " in result.stderr
    result = succeed(*arguments, "-o", tmp_path / "model", "--resume")
    assert "resumed after batch" in result.stderr
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "model")]
    assert weights[0] == weights[1]
    assert "is complete, there is nothing to resume" in succeed(*arguments, "-o", tmp_path / "model", "--resume").stderr


def test_continue_writes_prompt_and_text(model: Path, folder: Path) -> None:
    loaded = LanguageModel.load(model)
    result = succeed("continue", model, "--prompt", "春", "-p", "秋", "--count", 2, "--seed", 5, "--tokens", 6)
    texts = [loaded.generate("春", n=6, seed=5), loaded.generate("春", n=6, seed=6)]
    texts += [loaded.generate("秋", n=6, seed=7), loaded.generate("秋", n=6, seed=8)]
    assert result.stdout.splitlines() == [prompt + text for prompt, text in zip("春春秋秋", texts, strict=True)]
    assert len(succeed("continue", model).stdout.splitlines()) == 1, "without a prompt a text begins"
    found = succeed("continue", model, "-", "--jsonl", "--temperature", 0, "-q", stdin="春\n山\n").stdout.splitlines()
    assert [json.loads(line) for line in found] == [
        {"prompt": prompt, "text": loaded.generate(prompt, temperature=0)} for prompt in "春山"
    ]
    piped = succeed("continue", model, "--jsonl", "--temperature", 0, "-q", stdin="春\n山\n")
    assert piped.stdout.splitlines() == found
    last = 2**63 - 1
    found = succeed("continue", model, "-p", "春", "--count", 2, "--seed", last, "-n", 3).stdout.splitlines()
    assert found == [f"春{loaded.generate('春', n=3, seed=seed)}" for seed in (last, 0)], "the first behind the last"
    assert len(succeed("continue", model, stdin="\n").stdout.splitlines()) == 1, "nor with a pipe that holds none"
    (folder / "prompts.txt").write_text("春\n", encoding="utf-8")
    result = succeed("continue", model, folder / "prompts.txt", "--beam", 3, "-n", 4, "-o", folder / "texts.txt")
    assert (folder / "texts.txt").read_text(encoding="utf-8") == f"春{loaded.generate('春', n=4, beam=3)}\n"
    assert "texts.txt: 1 texts" in result.stderr


def test_continue_tells_of_unknown_tokens(model: Path) -> None:
    result = succeed("continue", model, "-p", "龍", "--seed", 0)
    assert "warning: prompt: no token of it is in the vocabulary ('龍')" in result.stderr


def test_score_shows_the_perplexity_and_writes_the_score_of_each_text(model: Path, folder: Path) -> None:
    loaded = LanguageModel.load(model)
    result = succeed("score", model, folder / "verses.txt")
    assert result.stdout == (
        f"perplexity {loaded.perplexity(VERSES):.4f} of {len(''.join(VERSES)) + 54} tokens in 54 texts\n"
    )
    succeed("score", model, folder / "verses.txt", "-o", folder / "scores.jsonl", "--limit", 3)
    rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == VERSES[:3]
    assert [row["line"] for row in rows] == [1, 2, 3]
    for row, score in zip(rows, loaded.score_texts(VERSES[:3]), strict=True):
        assert row["log_probability"] == pytest.approx(score)
        assert row["perplexity"] == pytest.approx(math.exp(-score / row["tokens"]))
    (line,) = succeed("score", model, "-t", "春风", "--tokens").stdout.splitlines()
    each = json.loads(line)["each"]
    assert [name for name, _ in each] == ["春", "风", ""]
    assert sum(value for _, value in each) == pytest.approx(json.loads(line)["log_probability"])
    assert succeed("score", model, stdin="春风\n").stdout.endswith("of 3 tokens in 1 texts\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["continue", "MODEL", "FILE", "-p", "x"], "give a FILE or --prompt, not both"),
        (["continue", "MODEL", "--beam", 2, "--count", 2], "--count: expected 1 beside --beam"),
        (["continue", "MODEL", "--top-p", 2], "--top-p: expected a number above 0 to 1, got 2"),
        (["continue", "MODEL", "--temperature", -1], "--temperature: expected a number from 0"),
        (
            ["continue", "MODEL", "--beam", 2, "--top-k", 2],
            "--beam: expected no --temperature, --top-k, --top-p or --seed beside it",
        ),
        (["continue", "MODEL", "--beam", 2, "--seed", 2], "--beam: expected no --temperature"),
        (["continue", "MODEL", "--top-k", 0], "--top-k: expected an integer from 1"),
        (["continue", "MODEL", "--seed", -1], "greater than or equal to 0"),
        (["continue", "MODEL", "EMPTY"], "empty.txt: expected at least one prompt, got none"),
        (["continue", "MODEL", "NONE"], "expected a file, but there is none of this name; for a text use --prompt"),
        (["score", "MODEL", "-t", "x", "--tokenizer", "jieba"], "--tokenizer: expected none for a model whose tokens"),
        (["score", "MODEL", "-t", "x", "--limit", 1], "it is of a FILE, got --text"),
        (["continue", "MODEL", "--stop", ""], "--stop: expected a string"),
        (["continue", "NONE"], "expected the directory of a textnn model, got nothing of this name"),
        (["continue", "TAGGER"], "expected a language model, got a tagger; textnn tag predict"),
        (["score", "MODEL", "FILE", "-t", "x"], "give a FILE or --text, not both"),
        (["score", "MODEL", "NONE"], "expected a file, but there is none of this name; for a text use --text"),
        (["score", "MODEL", "FILE", "-o", "FILE"], "--output: expected another file than the input"),
        (["score", "MODEL", "FILE", "--tokens"], "it is written with the score of each text, to --output"),
        (["score", "MODEL", "FILE", "--unit", "page"], "--unit: expected line, paragraph or file, got 'page'"),
        (["score", "MODEL", "EMPTY"], "expected"),
        (["train", "FILE", "-o", "NEW", "--level", "letters"], "--level: expected 'char', 'word' or a tokenizer"),
        (["train", "FILE", "-o", "NEW", "--cell", "x"], "--cell: expected one of 'lstm', 'gru', 'rnn', got 'x'"),
        (["train", "FILE", "-o", "NEW", "--hidden-size", 0], "--hidden-size: expected an integer from 1"),
        (["train", "FILE", "-o", "NEW", "--min-count", 999], "--min-count: expected tokens that occur at least 999"),
        (
            ["train", "FILE", "-o", "NEW", "--unit", "file", "--input-format", "csv"],
            "--unit: only plain text has a file",
        ),
        (["train", "FILE", "-o", "TAGGER"], "tagger"),
        (["train", "EMPTY", "-o", "NEW"], "expected"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[Any], message: str, model: Path, folder: Path, tmp_path: Path
) -> None:
    if "TAGGER" in arguments:
        tagger = SequenceTagger("ngram-crf", verbose=0, epochs=1)
        tagger.fit([["Ann", "ran"]] * 20, [["x", "y"]] * 20).save(tmp_path / "tagger")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    places = {
        "MODEL": model, "FILE": folder / "verses.txt", "NONE": tmp_path / "none", "TAGGER": tmp_path / "tagger",
        "NEW": tmp_path / "new", "EMPTY": tmp_path / "empty.txt",
    }  # fmt: skip
    assert message in refuse(*(places.get(argument, argument) for argument in arguments))
    assert not (tmp_path / "new").exists()


def test_the_card_of_a_model_is_shown(model: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(model)])
    assert result.stdout.startswith("# A language model")
    result = CliRunner().invoke(app, ["predict", str(model), "--text", "x"])
    assert "expected a classifier, got a language model; textnn write continue and textnn write score use it" in (
        " ".join(result.stderr.split())
    )
