"""``textnn train --distributed`` under torchrun: one model, one voice, and an end of all processes when one ends."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import IO

import pytest
from commands import QUICK, write_csv
from launching import run_all, torchrun, workers
from samples import make_reviews
from typer.testing import CliRunner
from waiting import HANG

from _textnn_cli import app
from textnn import SentimentClassifier

pytestmark = pytest.mark.slow

NO_DROPOUT = ["--dropout", "0", "--word-dropout", "0", "--learning-rate", "0.01"]
FOREVER = ["--tokenizer", "whitespace", "--embedding-dim", "8", "--epochs", "1000000", "--patience", "0"]


def run(*arguments: object, processes: int = 2, stdin: IO[bytes] | None = None) -> tuple[int, str, str]:
    """Run ``textnn train --distributed`` in some processes."""
    return run_all("train", *arguments, processes=processes, stdin=stdin)


def alive(child: int) -> bool:
    try:
        return Path(f"/proc/{child}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    seen = ""
    while text not in seen and (line := process.stderr.readline()):
        seen += line
    assert text in seen, seen
    return seen


def test_two_processes_train_the_model_of_one(tmp_path: Path) -> None:
    texts, labels = make_reviews(301)
    rows = "".join(f'{label},"{text}\n的, 了"\n' for text, label in zip(texts, labels, strict=True))
    data = tmp_path / "reviews.csv"
    data.write_text("label,review\n" + rows, encoding="utf-8")
    options = [*QUICK, *NO_DROPOUT, "--batch-size", "32"]
    code, out, err = run(data, "-o", tmp_path / "two", *options)
    assert code == 0, err
    alone = CliRunner().invoke(app, ["train", str(data), "-o", str(tmp_path / "one"), *options])
    assert alone.exit_code == 0, alone.output
    for expected in ("processes: 2 (cpu)", "reviews.csv: 301 texts", "epoch 1/2", "epoch 2/2"):
        assert err.count(expected) == 1, f"{expected}: {err}"
    assert out.count("saved: ") == out.count("validation after epoch ") == 1, out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "reviews.csv", "two"]
    one, two = (SentimentClassifier.load(tmp_path / name) for name in ("one", "two"))
    assert two.vocabulary_.tokens == one.vocabulary_.tokens
    assert two.classes_.tolist() == one.classes_.tolist()
    assert (two.n_texts_, two.seed_, two.options_) == (one.n_texts_, one.seed_, one.options_)
    assert two.validation_report_ is not None
    assert two.validation_report_.texts == 15
    fresh, fresh_labels = make_reviews(100, seed=9)
    # float32 sums in another order, over two epochs
    assert abs(two.predict_proba(fresh) - one.predict_proba(fresh)).max() < 1e-3
    assert two.score(fresh, fresh_labels) > 0.9


def test_more_processes_than_texts_in_a_batch_and_other_options(tmp_path: Path) -> None:
    data, more = write_csv(tmp_path / "reviews.csv", 25), write_csv(tmp_path / "more.csv", 2, seed=1)
    options = ["--batch-size", "2", "--validation", more, "--limit", "23", "-a", "lecture-lstm", "--hidden-size", "8"]
    code, out, err = run(data, "-o", tmp_path / "model", *QUICK, *options, "--quiet", processes=3)
    assert (code, out) == (0, ""), err
    assert "epoch" not in err
    assert SentimentClassifier.load(tmp_path / "model").n_texts_ == 23


def test_two_processes_train_on_several_labels_a_text(tmp_path: Path) -> None:
    texts, labels = make_reviews(120)
    labels[1::2] = [""] * 60  # all that process 1 has
    rows = "".join(f"{text},{label};\n" for text, label in zip(texts, labels, strict=True))
    (tmp_path / "a.csv").write_text("text,label\n" + rows, encoding="utf-8")
    options = [*QUICK, "-a", "textcnn", "--label-separator", ";", "--class-weight", "good=2", "--threshold", "auto"]
    code, out, err = run(tmp_path / "a.csv", "-o", tmp_path / "m", *options)
    assert code == 0, err
    assert err.count("labels: 2, 0.50 a text; texts without one: 60") == err.count("no text has several labels") == 1
    assert out.count("all labels right") == 1, out
    assert SentimentClassifier.load(tmp_path / "m").class_weight == {"good": 2.0}
    code, _, err = run(tmp_path / "a.csv", "-o", tmp_path / "n", *options, "--class-weight", "fine=2")
    assert code != 0
    assert err.count("error: ") == err.count("--class-weight: expected a label of the texts") == 1, err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label,review\na,x y\nb,z\nb,too,many\na,x\n", "reviews.csv, line 4: expected 2 fields"),
        pytest.param(
            "label,review\na,x\na,y\na,z\n",
            "expected at least two different labels in column 'label', got only 'a'",
        ),
        pytest.param(None, "reviews.csv: expected a file, but there is none of this name", id="no file"),
    ],
)
def test_a_bad_file_is_told_once_and_ends_all(content: str | None, message: str, tmp_path: Path) -> None:
    data = tmp_path / "reviews.csv"
    if content is not None:
        data.write_text(content, encoding="utf-8")
    code, out, err = run(data, "-o", tmp_path / "model", *QUICK)
    assert code != 0
    assert out == ""
    assert err.count("error: ") == err.count(message) == 1, err
    assert not (tmp_path / "model").exists()


def test_a_loss_that_is_no_number_is_told_once_and_ends_all(tmp_path: Path) -> None:
    code, _, err = run(write_csv(tmp_path / "a.csv"), "-o", tmp_path / "m", *QUICK, "--learning-rate", "1e30")
    assert code != 0
    assert err.count("error: the loss became") == 1, err


def test_process_0_reads_standard_input(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "reviews.csv", 60)
    with data.open("rb") as stream:
        code, _, err = run("-", "-o", tmp_path / "model", *QUICK, "--validation", data, stdin=stream)
    assert code == 0, err
    assert SentimentClassifier.load(tmp_path / "model").n_texts_ == 60


def test_ctrl_c_ends_all_and_leaves_no_model(tmp_path: Path) -> None:
    with torchrun("train", write_csv(tmp_path / "reviews.csv", 200), "-o", tmp_path / "model", *FOREVER) as process:
        read_until(process, "epoch 1/")
        children = workers(process)
        assert len(children) == 2
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG)
    assert process.returncode != 0
    assert err.count("error: interrupted") == 1, err
    assert not any(map(alive, children))
    assert {path.name for path in tmp_path.iterdir()} <= {"reviews.csv", ".model.checkpoint"}


@pytest.mark.parametrize("number", [0, 1])
def test_a_process_that_dies_ends_all(number: int, tmp_path: Path) -> None:
    with torchrun("train", write_csv(tmp_path / "reviews.csv", 200), "-o", tmp_path / "model", *FOREVER) as process:
        read_until(process, "epoch 1/")
        children = workers(process)
        os.kill(children[number], signal.SIGKILL)
        _, err = process.communicate(timeout=HANG)
    assert process.returncode != 0
    assert "SIGKILL" in err
    assert not any(map(alive, children))
    assert {path.name for path in tmp_path.iterdir()} <= {"reviews.csv", ".model.checkpoint"}


def test_without_torchrun_it_says_how_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    arguments = ["train", str(write_csv(tmp_path / "a.csv")), "-o", str(tmp_path / "model"), "--distributed"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    for expected in ("expected to be started by torchrun", "lacks RANK, WORLD_SIZE", "torchrun --nproc-per-node=2 -m"):
        assert expected in result.stderr, result.stderr
