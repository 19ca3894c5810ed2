"""The command line: what it writes, its exit codes, and a quick --help; test_cli_predict.py has ``textnn predict``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from commands import ENVIRONMENT, QUICK, run, write_csv
from samples import make_reviews

import textnn
from _textnn_cli import app, tag_app, translate_app, write_app
from _textnn_cli.evaluate import match_labels
from textnn import SentimentClassifier
from textnn.models import ARCHITECTURES

# help


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["predict", "--help"],
        ["tag", "--help"],
        ["tag", "train", "--help"],
        ["cut", "--help"],
        ["sing"],
        ["train"],
        ["predict", "m", "-fx"],
    ],
)
def test_help_version_and_wrong_usage_do_not_wait_for_torch(arguments: list[str]) -> None:
    """What takes its time is imported by a command that is at work."""
    code = (
        "import sys\n"
        "from _textnn_cli import main\n"
        "sys.argv = ['textnn', *sys.argv[1:]]\n"
        "try:\n    main()\n"
        "finally:\n"
        "    heavy = {'textnn', 'torch', 'numpy', 'sklearn', 'jieba'} & set(sys.modules)\n"
        "    print(f'imported: {heavy or None}', file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.stderr.endswith("imported: None\n"), done.stderr
    assert done.returncode == (0 if arguments[-1].startswith("--") else 2), done.stderr


COMMANDS = {
    *("train", "predict", "evaluate", "explain", "cut", "serve", "lab", "export", "info", "demo", "bench"),
    *("tag.train", "tag.predict", "tag.evaluate", "write.train", "write.continuing", "write.score"),
    *("translate.train", "translate.predict", "translate.evaluate"),
}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], None),
        (["--version"], None),
        (["sing"], None),
        (["tag", "--help"], None),
        (["translate"], None),
        (["write", "continue", "--help"], "write.continuing"),
        (["tag", "train"], "tag.train"),
        (["bench", "--help"], "bench"),
        (["info", "too", "many"], "info"),
    ],
)
def test_the_overview_imports_no_command_and_a_command_no_other(arguments: list[str], expected: str | None) -> None:
    """Together, with the options that they make of tables, they would take a third of the time of ``--help``."""
    code = (
        "import sys\n"
        "from _textnn_cli import main\n"
        "sys.argv = ['textnn', *sys.argv[1:]]\n"
        "try:\n    main()\n"
        "finally:\n    print('imported', *(name for name in sys.modules if name.startswith('_textnn_cli.')))\n"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    first, *names = done.stdout.splitlines()[-1].split()
    assert first == "imported", done.stdout
    imported = {name.removeprefix("_textnn_cli.") for name in names} & COMMANDS
    assert imported == ({expected} if expected else set()), done.stderr
    assert done.returncode == (0 if arguments[-1].startswith("--") else 2), done.stderr


def test_the_overview_says_of_each_command_what_its_own_help_begins_with() -> None:
    found = set()
    groups = [typer.main.get_command(app), *map(typer.main.get_command, (tag_app, write_app, translate_app))]
    for group in groups:
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                continue
            loaded = command.load()
            found.add(loaded.callback.__module__.removeprefix("_textnn_cli."))
            assert command.name == loaded.name == name
            assert command.help == loaded.help, name
            assert len(command.help.split("\n\n")[0]) > 10, name
    assert found == COMMANDS


def test_the_console_script_begins_outside_of_textnn() -> None:
    """A script of ``textnn.anything`` would import ``textnn``, and with it torch, before its first line runs."""
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert '\n[project.scripts]\ntextnn = "_textnn_cli:main"\n\n' in project


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "info", "demo"])
def test_help_of_each_command_teaches_with_examples(command: str) -> None:
    overview = run("--help")
    assert overview.exit_code == 0
    assert command in overview.output
    result = run(command, "--help")
    assert result.exit_code == 0
    if command != "demo":
        assert f"textnn {command} " in result.output.partition("Examples")[2], result.output
    if command in ("train", "demo"):
        assert all(name in result.output for name in ARCHITECTURES), result.output


def test_version() -> None:
    assert run("--version").output == f"textnn {textnn.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["train", "reviews.csv"],
        ["train", "reviews.csv", "-o", "m", "--epochs", "many"],
        ["predict"],
        ["predict", "model", "file", "--text", "both"],
        ["predict", "model", "--text", "x", "--format", "xml"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("--lr", "--learning-rate"), ("--wd", "--weight-decay, --word-dropout"), ("--learning-rte", "--learning-rate")],
)
def test_an_option_that_there_is_not_is_taken_for_initials_or_for_a_mistyped_one(typed: str, meant: str) -> None:
    result = run("train", "reviews.csv", "-o", "m", typed, "1")
    assert result.exit_code == 2, result.output
    assert f"{typed} (Possible options: {meant})" in result.stderr


# train


def test_train_saves_a_model_and_says_how_good_it_is(tmp_path: Path) -> None:
    result = run("train", write_csv(tmp_path / "reviews.csv"), "--output", tmp_path / "deep" / "model", *QUICK)
    assert result.exit_code == 0, result.output
    for expected in ("accuracy", "confusion matrix", f"saved: {tmp_path / 'deep' / 'model'}", "textnn predict"):
        assert expected in result.stdout, expected
    for expected in ("60 texts", "labels: good ", ", bad ", "epoch 1/2", "epoch 2/2"):
        assert expected in result.stderr, expected
    classifier = SentimentClassifier.load(tmp_path / "deep" / "model")
    assert classifier.classes_.tolist() == ["bad", "good"]
    assert classifier.options_["embedding_dim"] == 8


def test_train_takes_its_options(tmp_path: Path) -> None:
    data, stop = write_csv(tmp_path / "reviews.csv"), tmp_path / "stop.txt"
    stop.write_text("的\n", encoding="utf-8")
    options = ["--kernel-sizes", "1,3", "--channels", "4", "--stop-words", stop, "--seed", "5", "--threads", "1"]
    columns = ["--text-column", "review", "--label-column", "0", "--input-format", "csv", "--encoding", "utf-8"]
    validation = ["--validation", write_csv(tmp_path / "dev.csv", 20, seed=1)]
    result = run("train", data, "-o", tmp_path / "m", *QUICK, *options, *columns, *validation, "-q", "--limit", 40)
    assert (result.exit_code, result.output) == (0, ""), result.output
    classifier = SentimentClassifier.load(tmp_path / "m")
    assert classifier.options_["kernel_sizes"] == (1, 3)
    assert (classifier.seed_, classifier.n_texts_) == (5, 40)
    assert classifier.tokenizer_.stop_words == ["的"]
    assert classifier.validation_report_ is not None
    assert classifier.validation_report_.texts == 20


def test_train_reads_standard_input(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "reviews.csv").read_text(encoding="utf-8")
    result = run("train", "-", "-o", tmp_path / "m", "-q", *QUICK, stdin=data)
    assert (result.exit_code, result.output) == (0, "")


def test_the_same_seed_trains_the_same_model(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "reviews.csv")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("train", data, "-o", tmp_path / name, "-q", "--seed", seed, *QUICK).exit_code == 0
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert weights["a"] == weights["b"] != weights["c"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, [], "reviews.csv: expected a file, but there is none of this name"),
        (b"", [], "reviews.csv, line 1: expected text, but the file is empty"),
        (b"label,review\n", [], "reviews.csv: expected rows with a text and a label, got no row below the header"),
        (b"label,review\na,x\n", [], "expected at least two different labels in column 'label', got only 'a'"),
        (
            b"label,review\na,x\nb,\xff\xff\n",
            [],
            "reviews.csv, line 3: expected utf-8 text, got the byte 0xff",
        ),
        (b"label,review\na,x\nb,y\n", ["--text-column", "body"], "line 1: expected a column 'body' for the text"),
        (b"label,review\na,x\nb,y,z\n", [], "reviews.csv, line 3: expected 2 fields as in the first row, got 3"),
        (b"label,review\na,x\nb,y\n", ["--architecture", "gpt"], "architecture: expected one of"),
        (
            b"label,review\na,x\nb,y\n",
            ["--hidden-size", "3"],
            "--hidden-size: the architecture 'tfidf-textcnn' has no such option",
        ),
        (b"label,review\na,x\nb,y\n", ["--kernel-sizes", "1;2"], "--kernel-sizes: expected integers with commas"),
        (b"label,review\na,x\nb,y\n", ["--stop-words", "/no/file"], "--stop-words: cannot read the file /no/file"),
        (b"label,review\na,x\nb,y\n", ["--input-format", "xls"], "format: expected one of csv, tsv"),
    ],
)
def test_bad_training_data_is_exit_code_2_with_one_line(
    content: bytes | None, options: list[str], message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "reviews.csv").write_bytes(content)
    result = run("train", tmp_path / "reviews.csv", "-o", tmp_path / "model", *options)
    assert result.exit_code == 2, result.output
    assert message in result.stderr.splitlines()[-1], result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert result.stdout == ""
    assert not (tmp_path / "model").exists()


def test_an_unknown_label_in_the_validation_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "dev.csv").write_text("label,review\ngood,很 好\nugly,很 丑\n", encoding="utf-8")
    data = write_csv(tmp_path / "reviews.csv")
    result = run("train", data, "-o", tmp_path / "m", "--validation", tmp_path / "dev.csv", *QUICK)
    assert result.exit_code == 2
    assert (
        "dev.csv, line 3: expected one of the labels of the training texts ('bad', 'good'), got 'ugly'" in result.stderr
    )


def test_a_place_where_no_model_can_be_saved_is_found_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("precious")
    result = run("train", write_csv(tmp_path / "reviews.csv"), "-o", tmp_path / "notes", *QUICK)
    assert result.exit_code == 2
    assert "expected an empty directory or a textnn model to replace" in result.stderr
    assert "epoch" not in result.stderr
    assert (tmp_path / "notes" / "diary.txt").read_text() == "precious"


def test_a_failing_training_is_exit_code_1(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "reviews.csv")
    result = run("train", data, "-o", tmp_path / "m", *QUICK, "--learning-rate", "1e30")
    assert result.exit_code == 1, result.output
    assert "error: the loss became" in result.stderr
    assert not (tmp_path / "m").exists()


def test_a_failing_save_is_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textnn import files

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "exchange", full)
    result = run("train", write_csv(tmp_path / "reviews.csv"), "-o", tmp_path / "m", *QUICK)
    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1] == f"error: {tmp_path / 'm'}: cannot be written: No space left on device"


def test_debug_shows_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTNN_DEBUG", "1")
    assert isinstance(run("train", tmp_path / "none.csv", "-o", tmp_path / "m").exception, ValueError)


def test_a_damaged_model_is_exit_code_2(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"")
    for arguments in (["predict", model, "-t", "x"], ["evaluate", model, "-"]):
        result = run(*arguments, stdin="label,review\na,x\n")
        assert result.exit_code == 2, result.output
        assert "model.safetensors: expected" in result.stderr
    result = run("predict", model.parent / "none", "-t", "x")
    assert (result.exit_code, "expected the directory of a textnn model" in result.stderr) == (2, True)


# evaluate, info


def test_evaluate_prints_tables_or_json(model: Path, fitted: SentimentClassifier, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "test.csv", 50, seed=2)
    report = fitted.evaluate(*make_reviews(50, seed=2), worst=3)
    result = run("evaluate", model, data, "--worst", 3)
    assert (result.exit_code, result.stdout) == (0, f"{report}\n"), result.output
    stored = json.loads(run("evaluate", model, data, "--json", "--worst", 3).stdout)
    with_lines = report.with_lines(range(2, 52))  # below the header
    assert stored == json.loads(json.dumps(with_lines.to_dict()))


def test_evaluate_tells_of_labels_that_the_model_does_not_know(model: Path) -> None:
    result = run("evaluate", model, "-", stdin="label,review\ngood,很 好\nugly,很 丑\n")
    assert result.exit_code == 0, result.output
    assert "labels that the model does not know count as errors: 'ugly'" in result.stderr


def test_a_file_of_which_the_model_knows_no_label_is_no_measure_of_it(model: Path) -> None:
    rows = "label,review\n" + "".join(f"l{number:02},很 好\n" for number in range(25))
    result = run("evaluate", model, "-", stdin=rows)
    assert (result.exit_code, result.stdout) == (2, "")
    error = result.stderr.splitlines()[-1]
    assert "expected labels of the model ('bad', 'good') in column 'label', got 'l00', 'l01', " in error
    assert error.endswith("'l19' and 5 more")


def test_labels_of_a_file_are_matched_to_numbers() -> None:
    assert match_labels(["0", "1", "x"], [0, 1]) == [0, 1, "x"]
    assert match_labels(["True"], [False, True]) == [True]
    assert match_labels(["1"], [1, "1"]) == ["1"]


def test_info_tells_of_the_installation_and_of_a_model(model: Path) -> None:
    import torch

    from textnn.backends import cpu_capability

    result = run("info")
    assert result.exit_code == 0, result.output
    for expected in (textnn.__version__, torch.__version__, cpu_capability(), "CUDA", "threads"):
        assert expected in result.stdout, expected
    assert run("info", model).stdout == (model / "README.md").read_text(encoding="utf-8")
    assert run("info", model.parent).exit_code == 2
