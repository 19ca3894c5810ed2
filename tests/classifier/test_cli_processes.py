"""The command line as a process: Ctrl-C, a sudden end, and a reader that leaves early."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import ENVIRONMENT, QUICK, run, write_csv
from waiting import HANG

from _textnn_cli.predict import CHUNK

pytestmark = pytest.mark.slow


def start(*arguments: object, python: tuple[str, ...] = ("-m", "textnn"), **settings: Any) -> subprocess.Popen[str]:
    """Start a command in a process of its own, which Ctrl-C ends even where the tests run in the background."""
    command = [sys.executable, *python, *map(str, arguments)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": ENVIRONMENT}
    return subprocess.Popen(
        command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes, **settings
    )


def wait_for(condition: Any, what: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + HANG
    while not condition():
        if process.poll() is not None:
            pytest.fail(f"{what}: the process ended with {process.returncode}: {process.communicate()}")
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"{what}: not within {HANG} s")
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("end", "code", "said"), [(signal.SIGINT, 130, "error: interrupted\n"), (signal.SIGTERM, 143, "")]
)
def test_predict_that_is_ended_leaves_no_file(
    end: signal.Signals, code: int, said: str, model: Path, tmp_path: Path
) -> None:
    process = start("predict", model, "-", "-o", tmp_path / "out.csv", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write("很 好\n" * (2 * CHUNK))
    process.stdin.flush()
    wait_for(lambda: len(list(tmp_path.iterdir())) == 2, "a temporary file beside the model", process)
    process.send_signal(end)
    _, errors = process.communicate(timeout=HANG)
    assert process.returncode == code, errors
    assert errors == f"standard input: lines, utf-8\n{said}"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


FLUSHING = """
import signal, sys, _textnn_cli
from _textnn_cli import partial

last, flush, partial.SECONDS = int(sys.argv.pop(1)), partial.PartialFile.flush, 0

def flush_and_stop(file):
    flush(file)
    while file.state.texts >= last:
        signal.pause()

partial.PartialFile.flush = flush_and_stop
_textnn_cli.main()
"""


def test_killed_at_any_moment_predict_goes_on_to_the_same_bytes(model: Path, tmp_path: Path) -> None:
    """Flushing after every chunk instead of now and then makes a kill in the middle of that likely.

    The command stops some chunks later, so that the kill is certain to come before its end.
    """
    data, out = write_csv(tmp_path / "new.csv", 24 * CHUNK + 5), tmp_path / "out.csv"
    assert run("predict", model, data, "-o", tmp_path / "whole.csv", "--probabilities").exit_code == 0
    state = tmp_path / ".out.csv.partial.json"

    def texts_done() -> int:
        return json.loads(state.read_bytes())["texts"] if state.exists() else 0

    moments, resumed_at = random.Random(0), [0]
    for more in (2, 0, 5):
        arguments = "predict", model, data, "-o", out, "--probabilities", *["--resume"][: len(resumed_at) - 1]
        process = start(*arguments, python=("-c", FLUSHING, str(resumed_at[-1] + (more + 3) * CHUNK)))
        wait_for(lambda more=more: texts_done() > resumed_at[-1] + more * CHUNK, "progress", process)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        process.communicate()
        assert not out.exists(), "the output appears only when it is complete"
        resumed_at.append(texts_done())
    assert 0 < resumed_at[1] < resumed_at[2] < resumed_at[3] < 24 * CHUNK, resumed_at
    process = start("predict", model, data, "-o", out, "--probabilities", "--resume")
    _, errors = process.communicate(timeout=HANG)
    read = f"{data}: csv, utf-8, header row, text in column 'review'\n"
    assert (process.returncode, errors) == (0, f"{read}{out}: {24 * CHUNK + 5:,} texts\n")
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"model", "new.csv", "out.csv", "whole.csv"}


def test_ctrl_c_in_train_leaves_no_model(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "reviews.csv", 500)
    process = start("train", data, "-o", tmp_path / "model", *QUICK[:-1], "1000000", "--patience", "0")
    assert process.stderr is not None
    read: list[str] = []
    while "epoch 1/" not in "".join(read) and (line := process.stderr.readline()):
        read.append(line)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=HANG)
    assert process.returncode == 130, f"{read} {errors}"
    assert errors.splitlines()[-1].startswith("error: interrupted")
    assert "Traceback" not in errors
    assert {path.name for path in tmp_path.iterdir()} <= {"reviews.csv", ".model.checkpoint"}


def test_a_reader_that_leaves_early_is_no_error(model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "new.csv", 5 * CHUNK)
    process = start("predict", model, data, "--quiet")
    assert process.stdout is not None
    assert process.stdout.readline() == "line,text,prediction,probability\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=HANG) == 0
