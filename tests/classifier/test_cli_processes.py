"""The command line as a process: Ctrl-C, and a reader that leaves early."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import ENVIRONMENT, QUICK, write_csv

from textnn.cli.predict import CHUNK


def start(*arguments: object, **settings: Any) -> subprocess.Popen[str]:
    """Start a command in a process of its own, which Ctrl-C ends even where the tests run in the background."""
    command = [sys.executable, "-m", "textnn", *map(str, arguments)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": ENVIRONMENT}
    return subprocess.Popen(
        command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes, **settings
    )


def wait_for(condition: Any, what: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if process.poll() is not None:
            pytest.fail(f"{what}: the process ended with {process.returncode}: {process.communicate()}")
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"{what}: not within 60 s")
        time.sleep(0.02)


def test_ctrl_c_in_predict_leaves_no_file(model: Path, tmp_path: Path) -> None:
    process = start("predict", model, "-", "-o", tmp_path / "out.csv", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write("很 好\n" * (2 * CHUNK))
    process.stdin.flush()
    wait_for(lambda: len(list(tmp_path.iterdir())) == 2, "a temporary file beside the model", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "error: interrupted\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_ctrl_c_in_train_leaves_no_model(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "reviews.csv", 500)
    process = start("train", data, "-o", tmp_path / "model", *QUICK[:-1], "1000000", "--patience", "0")
    assert process.stderr is not None
    read: list[str] = []
    while "epoch 1/" not in "".join(read) and (line := process.stderr.readline()):
        read.append(line)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, f"{read} {errors}"
    assert errors.endswith("error: interrupted\n")
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.csv"]


def test_a_reader_that_leaves_early_is_no_error(model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "new.csv", 5 * CHUNK)
    process = start("predict", model, data)
    assert process.stdout is not None
    assert process.stdout.readline() == "line,text,prediction,probability\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 0
