"""``textnn translate train | predict | evaluate``: what they write, exit codes, options."""

from __future__ import annotations

import importlib.util
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from pair_samples import CHINESE, ENGLISH, make_translator
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import SequenceTagger, Translator
from textnn.training.progress import LineReporter
from textnn.translation import fitting

PAIRS = [
    (f"{who} {what}.", f"{whom}{does}。")
    for who, whom in (("I", "我"), ("you", "你"), ("we", "我们"))
    for what, does in (("come", "来"), ("go", "走"), ("sleep", "睡"), ("eat", "吃"))
]
SIZES = ["--embedding-dim", 8, "--hidden-size", 8, "--batch-size", 16, "--min-count", 1, "--threads", 1]
QUICK = [*SIZES, "--epochs", 2, "--learning-rate", 0.02]
LEARNT = ["--embedding-dim", 16, "--hidden-size", 32, "--batch-size", 16, "--min-count", 1, "--threads", 1]
LEARNT += ["--epochs", 60, "--learning-rate", 0.01, "--dropout", 0, "--word-dropout", 0, "--validation-fraction", 0]


def run(*arguments: object, stdin: str | None = None) -> Any:
    """Run a command within this process."""
    return CliRunner().invoke(app, ["translate", *(str(argument) for argument in arguments)], input=stdin)


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
    folder = tmp_path_factory.mktemp("translate")
    lines = [f"{source}\t{target}\tfrom a book\n" for source, target in PAIRS * 5]
    (folder / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    succeed("train", folder / "pairs.tsv", "-o", folder / "model", "-q", *LEARNT)
    return folder / "model"


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_help_teaches_with_examples(command: str) -> None:
    assert command in succeed("--help").output
    assert f"textnn translate {command} " in succeed(command, "--help").output.partition("Examples")[2]
    assert " translate " in CliRunner().invoke(app, ["--help"]).output


def test_every_parameter_is_an_option() -> None:
    command: Any = typer.main.get_command(app)
    options = command.commands["translate"].commands["train"].load().params
    names = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    others = {"random_state": "--seed", "verbose": "--quiet"}
    for name in inspect.signature(Translator).parameters:
        assert others.get(name, f"--{name.replace('_', '-')}") in names, name


def test_train_says_what_was_read_and_how_good_the_model_is(folder: Path, tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "my model"
    result = succeed("train", folder / "pairs.tsv", "-o", directory, *QUICK, "--seed", 3)
    for expected in (
        "pairs.tsv: 60 pairs (tsv, utf-8, no header row, source in column 0, target in column 1)",
        "epoch 2/2",
        "perplexity",
    ):
        assert expected in result.stderr, expected
    assert "validation after epoch " in result.stdout
    assert f"next:  textnn translate predict '{directory}' --text" in result.stdout
    assert Translator.load(directory).seed_ == 3
    assert not list((tmp_path / "deep").glob(".*")), "no state of the training is left"


def test_train_takes_its_options(tmp_path: Path) -> None:
    rows = "".join(f'x,"{target}","{source}"\n' for source, target in PAIRS * 4)
    (tmp_path / "a.csv").write_text("id,zh-TW,eng\n" + rows, encoding="utf-8")
    lines = [json.dumps({"zh-TW": target, "eng": source}) for source, target in PAIRS]
    (tmp_path / "dev.jsonl").write_text("\n".join(lines), encoding="utf-8")
    columns = ["--source-column", "zh-TW", "--target-column", "eng", "--limit", 40, "-q"]
    options = ["--cell", "gru", "--attention", "none", "--source-level", "char", "--no-lowercase", "--num-layers", 2]
    reading = ["--validation", tmp_path / "dev.jsonl", *columns]
    result = succeed("train", tmp_path / "a.csv", "-o", tmp_path / "m", *QUICK, *options, *reading)
    assert result.output == ""
    model = Translator.load(tmp_path / "m")
    assert (model.cell, model.attention, model.source_level, model.options_["lowercase"]) == (
        "gru",
        None,
        "char",
        False,
    )
    assert model.state_.n_pairs == 40
    assert "走" in model.source_vocabulary_


def test_an_interrupted_training_is_resumed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["train", folder / "pairs.tsv", *QUICK, "--checkpoint-seconds", 0]
    succeed(*arguments, "-o", tmp_path / "whole", "-q")

    class Interrupted(LineReporter):
        left = 4

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
    assert "resumed" in result.stderr
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "model")]
    assert weights[0] == weights[1]


def test_predict_translates_line_by_line(model: Path, folder: Path) -> None:
    expected = [target for _, target in PAIRS]
    assert succeed("predict", model, "-t", "you sleep.", "-t", "we eat.").stdout.splitlines() == ["你睡。", "我们吃。"]
    lines = "".join(f"{source}\n" for source, _ in PAIRS)
    assert succeed("predict", model, "-q", stdin=lines).stdout.splitlines() == expected
    (folder / "texts.txt").write_text("I go.\n\nyou eat.\n", encoding="utf-8")
    result = succeed("predict", model, folder / "texts.txt", "-o", folder / "out.txt", "--beam", 1)
    assert (folder / "out.txt").read_text(encoding="utf-8") == "我走。\n\n你吃。\n", "a line for each line"
    assert "out.txt: 3 texts" in result.stderr
    assert succeed("predict", model, folder / "pairs.tsv", "--limit", 12, "-q").stdout.splitlines() == expected


def test_predict_writes_tables_and_json(model: Path, folder: Path) -> None:
    (folder / "new.csv").write_text('id,en\n1,I go.\n2,"we, eat."\n', encoding="utf-8")
    arguments = ["predict", model, folder / "new.csv", "--source-column", "en"]
    rows = [json.loads(line) for line in succeed(*arguments, "-f", "jsonl").stdout.splitlines()]
    assert [(row["line"], row["source"]) for row in rows] == [(2, "I go."), (3, "we, eat.")]
    assert rows[0]["translation"] == "我走。"
    succeed(*arguments, "-o", folder / "out.tsv")
    assert (folder / "out.tsv").read_text(encoding="utf-8").startswith("source\ttranslation\nI go.\t我走。\n")
    table = succeed(*arguments, "--output-format", "csv").stdout.splitlines()
    assert table[2].startswith('"we, eat.",')


def test_the_attention_of_a_text_is_written(model: Path, folder: Path) -> None:
    succeed("predict", model, "-t", "we eat.", "--attention", folder / "attention.json")
    found = json.loads((folder / "attention.json").read_text(encoding="utf-8"))
    assert found["translation"] == "我们吃。"
    assert len(found["weights"]) == len(found["target"])
    if importlib.util.find_spec("matplotlib") is not None:
        result = succeed("predict", model, "-t", "we eat.", "--attention", folder / "attention.svg")
        assert "<svg" in (folder / "attention.svg").read_text(encoding="utf-8")
        assert "attention.svg: the attention of each of " in result.stderr


def test_a_picture_of_the_attention_says_what_to_install(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    result = run("predict", model, "-t", "we eat.", "--attention", tmp_path / "a.svg")
    assert result.exit_code == 1
    expected = "--attention needs matplotlib: pip install matplotlib; or write .json"
    assert expected in " ".join(result.stderr.split()), result.stderr
    succeed("predict", model, "-t", "we eat.", "--attention", tmp_path / "a.json")


def test_evaluate_shows_bleu(model: Path, folder: Path) -> None:
    pytest.importorskip("sacrebleu")
    result = succeed("evaluate", model, folder / "pairs.tsv", "-o", folder / "each.jsonl", "--json", folder / "s.json")
    assert result.stdout == "BLEU 100.00 of characters; 100.0 % of 12 texts as in the file\n"
    rows = [json.loads(line) for line in (folder / "each.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 12
    assert rows[0] == {"source": "I come.", "translation": "我来。", "references": ["我来。"] * 5}
    scores = json.loads((folder / "s.json").read_text(encoding="utf-8"))
    assert (scores["bleu"], scores["same"], scores["texts"]) == (pytest.approx(100), 1.0, 12)
    assert json.loads(succeed("evaluate", model, folder / "pairs.tsv", "--json", "-").stdout)["tokens"] == "characters"


def test_evaluate_says_what_to_install(model: Path, folder: Path) -> None:
    if importlib.util.find_spec("sacrebleu") is not None:
        pytest.skip("sacrebleu is installed")
    result = run("evaluate", model, folder / "pairs.tsv")
    assert result.exit_code == 1
    assert "sacrebleu" in result.stderr


def test_pairs_that_are_the_same_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("".join(f"a b {number}\ta b {number}\n" for number in range(40)), encoding="utf-8")
    result = succeed("train", tmp_path / "a.tsv", "-o", tmp_path / "m", *QUICK)
    assert "warning: " in result.stderr
    assert "40 pairs have the same text on both sides; are these the right columns" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "FILE", "-o", "NEW", "--hidden-size", 7], "--hidden-size: expected an even number"),
        (["train", "FILE", "-o", "NEW", "--attention", "soft"], "--attention: expected"),
        (["train", "FILE", "-o", "NEW", "--target-level", "letters"], "--target-level: expected"),
        (["train", "FILE", "-o", "NEW", "--source-column", "en"], "expected a column 'en' for the source"),
        (["train", "FILE", "-o", "NEW", "--input-format", "lines"], "--input-format: 'lines' has no pairs of texts"),
        (["train", "FILE", "-o", "NEW", "--encoding", "x"], "--encoding: expected a text encoding"),
        (["train", "LINES", "-o", "NEW"], "expected two columns with a tab between them, a table or JSON"),
        (["train", "FILE", "-o", "TAGGER"], "tagger"),
        (["predict", "MODEL", "FILE", "-t", "x"], "give a FILE or --text, not both"),
        (["predict", "MODEL", "NONE"], "expected a file, but there is none of this name; for a text use --text"),
        (["predict", "MODEL", "FILE", "-o", "FILE"], "--output: expected another file than the input"),
        (["predict", "MODEL", "FILE", "-f", "xml"], "expected one of lines, tsv, csv, jsonl, got 'xml'"),
        (["predict", "MODEL", "FILE", "-o", "a.docx"], "--output: expected a name in .txt, .tsv, .csv or .jsonl"),
        (["predict", "MODEL", "-t", "x", "--attention", "a.pdf"], "--attention: expected a file .png, .svg or .json"),
        (["predict", "MODEL", "FILE", "--attention", "a.png"], "expected one --text beside it"),
        (["predict", "MODEL", "-t", " ", "--attention", "NEW.svg"], "--text: expected one with tokens"),
        (
            ["predict", "BLIND", "-t", "x", "--attention", "NEW.json"],
            "--attention: this model has none; train one",
        ),
        (["predict", "MODEL", "-t", "x", "--length-penalty", 10.5], "--length-penalty"),
        (
            ["predict", "MODEL", "-t", "x", "-f", "jsonl", "-o", "NEW.json", "--attention", "NEW.json"],
            "--attention: expected another file than that of --output, got",
        ),
        (
            ["evaluate", "MODEL", "FILE", "-o", "-", "--json", "-"],
            "--json: expected another file than that of --output, got - for both",
        ),
        (
            ["evaluate", "MODEL", "FILE", "-o", "NEW", "--json", "AGAIN"],
            "--json: expected another file than that of --output, got",
        ),
        (["train", "FILE", "-o", "NEW", "--validation", "LONG", *QUICK], "expected at least one pair with tokens on"),
        (["predict", "TAGGER", "-t", "x"], "expected a translator, got a tagger; textnn tag predict"),
        (["predict", "MODEL", "-t", "x", "--source-tokenizer", "jieba"], "--source-tokenizer: expected"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[Any], message: str, model: Path, folder: Path, tmp_path: Path
) -> None:
    if "TAGGER" in arguments:
        tagger = SequenceTagger("ngram-crf", verbose=0, epochs=1)
        tagger.fit([["Ann", "ran"]] * 20, [["x", "y"]] * 20).save(tmp_path / "tagger")
    if "BLIND" in arguments:
        make_translator(epochs=1, attention=None).fit(ENGLISH, CHINESE).save(tmp_path / "blind")
    (tmp_path / "lines.txt").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "long.tsv").write_text("a " * 300 + "\tb\n", encoding="utf-8")
    places = {
        "MODEL": model, "FILE": folder / "pairs.tsv", "NONE": tmp_path / "none", "TAGGER": tmp_path / "tagger",
        "NEW": tmp_path / "new", "LINES": tmp_path / "lines.txt", "BLIND": tmp_path / "blind",
        "LONG": tmp_path / "long.tsv", "NEW.svg": tmp_path / "new.svg", "NEW.json": tmp_path / "new.json",
        "AGAIN": tmp_path / ".." / tmp_path.name / "new",
    }  # fmt: skip
    assert message in refuse(*(places.get(argument, argument) for argument in arguments))
    assert not (tmp_path / "new").exists()


def test_a_model_of_another_task_is_named(model: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(model)])
    assert result.stdout.startswith("# A translator")
    result = CliRunner().invoke(app, ["write", "continue", str(model)])
    assert "got a translator; textnn translate predict and textnn translate evaluate use it" in (
        " ".join(result.stderr.split())
    )
