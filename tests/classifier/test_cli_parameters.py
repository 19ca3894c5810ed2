"""The options of ``textnn train`` are the parameters of the classifier: all of them, with what they come to."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import QUICK, run, write_csv

from _textnn_cli import app
from textnn import SentimentClassifier

OTHER_NAMES = {
    "architecture": "--architecture",
    "output": "--output-layer",  # --output is where the model goes
    "random_state": "--seed",  # the same model each time, unless it is asked for another
    "verbose": "--quiet",
}
LEFT_OUT = {
    "warm_start": "a command begins without a model, so there are no weights to go on from",
}
FIT_OPTIONS = {
    "X": "FILE",
    "y": "FILE",
    "validation_data": "--validation",
    "distributed": "--distributed",
    "checkpoint": "--resume",
}
FIT_LEFT_OUT = {
    "sample_weight": "a file has texts and labels; a text that counts twice can stand in it twice",
}
VECTORS = Path(__file__).with_name("few_words.vec")
TRIED: dict[str, tuple[list[str], Any]] = {
    "architecture": (["lstm"], "lstm"),
    "tokenizer": (["char"], "char"),
    "user_dictionary": (["words.txt"], Path("words.txt")),
    "stop_words": (["stop.txt"], Path("stop.txt")),
    "kernel_sizes": (["2,3"], (2, 3)),
    "character_kernel_sizes": (["2"], (2,)),
    "word_ngrams": ([""], ()),
    "character_ngrams": (["1,2"], (1, 2)),
    "schedule": (["cosine"], "cosine"),
    "precision": (["bfloat16"], "bfloat16"),
    "output": (["sigmoid"], "sigmoid"),
    "class_weight": (["good=2", " bad = 0.5 "], {"good": 2.0, "bad": 0.5}),
    "vectors": ([str(VECTORS)], VECTORS),
    "embedding_dim": (["6"], 6),  # that of the vectors
    "device": (["cpu:0"], "cpu:0"),
    "random_state": (["7"], 7),
}
WEIGHTS = "--class-weight: expected balanced alone, or LABEL=NUMBER with a number from 0"
FLAGS = {"calibrate": ("--no-calibrate", False), "verbose": ("--quiet", 0)}


def option_name(parameter: str) -> str:
    return OTHER_NAMES.get(parameter, f"--{parameter.replace('_', '-')}")


def option_names() -> set[str]:
    command: Any = typer.main.get_command(app)
    options = command.commands["train"].load().params
    return {name for option in options for name in (*option.opts, *option.secondary_opts)}


def parameters_of(method: Any) -> list[str]:
    return [name for name in inspect.signature(method).parameters if name != "self"]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The parameters of each classifier that was to be fitted; none is."""
    found: list[dict[str, Any]] = []

    def fit(classifier: SentimentClassifier, *_: object, **__: object) -> None:
        found.append(classifier.get_params())
        raise ValueError("that is enough")

    monkeypatch.setattr(SentimentClassifier, "fit", fit)
    return found


@pytest.mark.parametrize("parameter", parameters_of(SentimentClassifier.__init__))
def test_each_parameter_of_the_classifier_is_an_option_or_left_out_for_a_reason(parameter: str) -> None:
    assert (option_name(parameter) in option_names()) != (parameter in LEFT_OUT), parameter


def test_each_argument_of_fit_is_an_argument_or_left_out_for_a_reason() -> None:
    assert {*parameters_of(SentimentClassifier.fit)} == {*FIT_OPTIONS, *FIT_LEFT_OUT}
    assert {name for name in FIT_OPTIONS.values() if name != "FILE"} <= option_names()


def test_what_is_left_out_or_named_otherwise_is_a_parameter() -> None:
    assert {*LEFT_OUT, *OTHER_NAMES, *TRIED, *FLAGS} <= {*parameters_of(SentimentClassifier.__init__)}


def test_each_option_reaches_the_classifier(trained: list[dict[str, Any]], tmp_path: Path) -> None:
    arguments, expected = [], {}
    for parameter in parameters_of(SentimentClassifier.__init__):
        if parameter in FLAGS:
            flag, expected[parameter] = FLAGS[parameter]
            arguments.append(flag)
        elif parameter not in {*LEFT_OUT, "threshold", "pretrained"}:  # the latter goes with few of them
            values, expected[parameter] = TRIED.get(parameter, (["1"], 1))
            arguments += [word for value in values for word in (option_name(parameter), value)]
    data = write_csv(tmp_path / "a.csv")
    assert run("train", data, "-o", tmp_path / "m", *arguments).stderr.endswith("error: that is enough\n")
    assert {name: trained[0][name] for name in expected} == expected
    assert trained[0]["threshold"] == 0.5
    run("train", data, "-o", tmp_path / "m", "--label-separator", ";", "--threshold", "0.25")
    assert (trained[1]["threshold"], trained[1]["calibrate"], trained[1]["class_weight"]) == (0.25, True, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--class-weight good", f"{WEIGHTS}, got 'good'"),
        ("--class-weight =2", f"{WEIGHTS}, got '=2'"),
        ("--class-weight good=-1", f"{WEIGHTS}, got 'good=-1'"),
        ("--class-weight good=inf", f"{WEIGHTS}, got 'good=inf'"),
        ("--class-weight good=nan", f"{WEIGHTS}, got 'good=nan'"),
        ("--class-weight good=2 --class-weight balanced", f"{WEIGHTS}, got 'balanced'"),
        (
            "--class-weight good=1 --class-weight good=2",
            "--class-weight: expected one number for a label, got 'good' twice",
        ),
        ("--class-weight fine=2", "--class-weight: expected a label of the texts ('bad', 'good'), got 'fine'"),
        ("--output-layer tanh", "--output-layer: expected one of 'softmax', 'sigmoid', got 'tanh'"),
        (
            "--output-layer softmax --label-separator ;",
            "--output-layer: expected sigmoid where a text may have several",
        ),
        ("--precision bf17", "--precision: expected one of 'float32', 'bfloat16', got 'bf17'"),
        ("--threshold some", "--threshold: expected a number between 0 and 1, or auto, got 'some'"),
        ("--threshold 1 --label-separator ;", "--threshold: expected a number between 0 and 1, or auto, got '1'"),
        ("--threshold auto", "--threshold: expected texts that may have several labels (--label-separator, lists in"),
        ("--device abacus", "--device: 'abacus' cannot be used"),
        ("--device cpu --distributed", "--device: with --distributed each process has its own, got 'cpu'"),
    ],
)
def test_values_that_make_no_sense_are_refused_before_the_training(
    options: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[dict[str, Any]]
) -> None:
    _alone_in_a_group(monkeypatch)
    result = run("train", write_csv(tmp_path / "a.csv"), "-o", tmp_path / "m", *QUICK, *options.split())
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith(f"error: {message}"), result.stderr
    assert not trained


def test_one_logit_is_for_two_labels(tmp_path: Path, trained: list[dict[str, Any]]) -> None:
    options = [*QUICK, "--output-layer", "sigmoid"]
    result = run("train", "-", "-o", tmp_path / "m", *options, stdin="label,text\na,x\nb,y\nc,z\n")
    assert result.exit_code == 2
    assert "--output-layer: expected softmax for more than two labels, got 'sigmoid' for 3" in result.stderr
    assert not trained
    run("train", "-", "-o", tmp_path / "m", *options, "--label-separator", ";", stdin="label,text\na;b,x\nb;c,y\n")
    assert trained[0]["output"] == "sigmoid"


def test_a_label_with_an_equals_sign_is_weighted(tmp_path: Path, trained: list[dict[str, Any]]) -> None:
    options = ["--class-weight", "a=b=2", "--class-weight", "balanced=3"]
    run("train", "-", "-o", tmp_path / "m", *options, stdin="label,text\na=b,x\nbalanced,y\n")
    assert trained[0]["class_weight"] == {"a=b": 2.0, "balanced": 3.0}


def test_balanced_weights_one_logit_and_no_temperature_are_trained_and_saved(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", 300)
    options = ["--class-weight", "balanced", "--output-layer", "sigmoid", "--validation-fraction", "0.4"]
    for name, more in (("with", []), ("without", ["--no-calibrate"])):
        result = run("train", data, "-o", tmp_path / name, *QUICK, "-a", "textcnn", *options, *more)
        assert result.exit_code == 0, result.output
    one, other = (SentimentClassifier.load(tmp_path / name) for name in ("with", "without"))
    assert (one.class_weight, one.options_["output"]) == ("balanced", "sigmoid")
    assert one.temperature_ != other.temperature_ == 1
    assert other.calibration_ is None


def _alone_in_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let --distributed find a group of one process, which needs no torchrun."""
    from contextlib import nullcontext

    from textnn import distributed

    monkeypatch.setattr(distributed, "joined", lambda: nullcontext(distributed.ALONE))
