"""``textnn train --resume``: killed, interrupted or failed, the same command goes on to the same model."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kills
import pytest
from commands import ENVIRONMENT, write_csv
from kills import stop_behind
from typer.testing import CliRunner
from waiting import HANG, wait_until

from _textnn_cli import app
from textnn.training.checkpoint import FILE, Checkpoint

pytestmark = pytest.mark.slow

SMALL = ["--tokenizer", "whitespace", "--embedding-dim", "8", "--batch-size", "8", "--epochs", "4", "--patience", "2"]
ARCHITECTURES = {
    "wide-textcnn": [*SMALL, "--channels", "8", "--ngram-buckets", "1024", "--ensemble", "2", "--clip-norm", "1"],
    "lecture-lstm": [*SMALL, "-a", "lecture-lstm", "--hidden-size", "8"],
}
ALWAYS = ["--checkpoint-seconds", "0"]
Process = subprocess.Popen[str]


def start(*arguments: object, processes: int = 0, program: tuple[object, ...] = ("-m", "textnn")) -> Process:
    """Start ``textnn train``, under torchrun if there are to be several processes."""
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes else []
    return subprocess.Popen(
        [sys.executable, *run, *map(str, program), "train", *map(str, arguments)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "GLOO_SOCKET_IFNAME": "lo"},
    )


def finish(*arguments: object, processes: int = 0) -> tuple[str, str]:
    process = start(*arguments, processes=processes)
    out, err = process.communicate(timeout=HANG)
    assert process.returncode == 0, err
    return out, err


def wait_for_states(process: Process, checkpoint: Checkpoint, states: int) -> None:
    """Return when so many more states have been seen."""
    before = checkpoint.version()
    while states:
        assert process.poll() is None, process.communicate()
        now = checkpoint.version()
        states, before = states - (now != before), now
        time.sleep(0.0005)


class Forked:
    """``textnn train`` in a fork of this process, which has everything imported; it stops behind so many states."""

    def __init__(self, states: int, reached: Path, *arguments: object) -> None:
        self.pid = os.fork()
        if not self.pid:
            try:
                stop_behind(states, reached)
                run(*arguments)
            finally:
                os._exit(0)

    def kill(self) -> bool:
        """Kill it; return whether it still ran."""
        os.kill(self.pid, signal.SIGKILL)
        return os.WIFSIGNALED(os.waitpid(self.pid, 0)[1])


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


def history(model: Path) -> list[dict[str, Any]]:
    epochs = json.loads((model / "config.json").read_bytes())["training"]["history"]
    return [{name: figure for name, figure in epoch.items() if name != "seconds"} for epoch in epochs]


def assert_same_model(one: Path, other: Path) -> None:
    assert weights(one) == weights(other)
    assert history(one) == history(other)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_killed_again_and_again_it_saves_the_model_of_an_uninterrupted_run(architecture: str, tmp_path: Path) -> None:
    data, options = write_csv(tmp_path / "reviews.csv", 300), ARCHITECTURES[architecture]
    assert run(data, "-o", tmp_path / "whole", *options).exit_code == 0
    checkpoint = Checkpoint(tmp_path / ".model.checkpoint")
    source, reached = random.Random(architecture), tmp_path / "reached"
    for _ in range(6):
        process = Forked(source.randint(1, 20), reached, data, "-o", tmp_path / "model", *options, *ALWAYS, "--resume")
        wait_until(reached.exists)
        time.sleep(source.uniform(0, 0.01))
        assert process.kill()
        assert checkpoint.exists()
        reached.unlink()
    result = run(data, "-o", tmp_path / "model", *options, "--resume")
    assert result.exit_code == 0, result.output
    assert "resumed after " in result.stderr
    assert_same_model(tmp_path / "model", tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "reviews.csv", "whole"]


def test_several_processes_killed_go_on_to_the_same_model(tmp_path: Path) -> None:
    data, options = write_csv(tmp_path / "reviews.csv", 120), [*ARCHITECTURES["wide-textcnn"], "--distributed"]
    finish(data, "-o", tmp_path / "whole", *options, processes=2)
    program = Path(kills.__file__), 17, tmp_path / "reached"
    process = start(data, "-o", tmp_path / "model", *options, *ALWAYS, processes=2, program=program)
    wait_until((tmp_path / "reached").exists)
    # torchrun puts its processes into sessions of their own.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    for child in [process.pid, *map(int, children)]:
        os.kill(child, signal.SIGKILL)
    process.communicate()
    _, err = finish(data, "-o", tmp_path / "model", *options, "--resume", processes=2)
    assert err.count("resumed after ") == 1, err
    assert_same_model(tmp_path / "model", tmp_path / "whole")
    assert not (tmp_path / ".model.checkpoint").exists()


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "re views.csv", 200)
    arguments = [data, "-o", tmp_path / "model", *SMALL, "--epochs", "1000000", "--patience", "0"]
    for resume in ([], ["--resume"]):
        process = start(*arguments, *ALWAYS, *resume)
        wait_for_states(process, Checkpoint(tmp_path / ".model.checkpoint"), 3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG)
        assert process.returncode == 130, err
        command = shlex.join(["textnn", "train", *map(str, [*arguments, *ALWAYS]), "--resume"])
        assert err.endswith(f"error: interrupted; resume with: {command}\n")
        assert "Traceback" not in err
        assert sorted(path.name for path in tmp_path.iterdir()) == [".model.checkpoint", "re views.csv"]


def test_ctrl_c_before_there_is_a_state_says_that_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textnn import SentimentClassifier

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SentimentClassifier, "fit", interrupt)
    result = run(write_csv(tmp_path / "a.csv"), "-o", tmp_path / "m", *SMALL, "--checkpoint-seconds", "90")
    assert result.exit_code == 130, result.output
    assert result.stderr.splitlines()[-1] == (
        "error: interrupted; nothing of this training is kept yet, "
        "its state is after each epoch, and every 90 s (--checkpoint-seconds)"
    )


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def broken_off(data: Path, model: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> Any:
    """Train, and fail when the model is to be saved."""
    from textnn import SentimentClassifier
    from textnn.bundle import BundleError

    def fail(*_: object) -> None:
        raise BundleError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(SentimentClassifier, "save", fail)
        return run(data, "-o", model, *SMALL, *options)


def test_a_model_that_cannot_be_saved_need_not_be_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_csv(tmp_path / "reviews.csv")
    result = broken_off(data, tmp_path / "model", monkeypatch)
    assert result.exit_code == 1
    told, error = result.stderr.splitlines()[-2:]
    assert told.startswith("the training so far is kept; resume with: textnn ")
    assert told.endswith(" --resume")
    assert error == "error: no space"
    result = run(data, "-o", tmp_path / "model", *SMALL, "--resume")
    assert result.exit_code == 0, result.output
    assert "epoch " not in result.stderr.partition("resumed after epoch ")[2]
    assert run(data, "-o", tmp_path / "whole", *SMALL).exit_code == 0
    assert_same_model(tmp_path / "model", tmp_path / "whole")
    assert not (tmp_path / ".model.checkpoint").exists()


def test_other_arguments_or_another_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, more = write_csv(tmp_path / "reviews.csv"), write_csv(tmp_path / "more.csv", seed=1)
    broken_off(data, tmp_path / "model", monkeypatch, "-a", "wide-textcnn")
    before = (tmp_path / ".model.checkpoint" / FILE).read_bytes()
    for file, options, expected in [
        (data, ["--learning-rate", "0.5"], "--learning-rate was 0.001 and is 0.5 now"),
        (data, ["--seed", "3"], "seed was 0 and is 3 now"),
        (data, ["-a", "bilstm"], "architecture was 'wide-textcnn' and is 'bilstm' now"),
        (more, [], "the texts to train on changed"),
        (data, ["--validation", str(more)], "the validation texts changed"),
    ]:
        result = run(file, "-o", tmp_path / "model", *SMALL, "-a", "wide-textcnn", "--resume", *options)
        assert result.exit_code == 2, result.output
        error = result.stderr.splitlines()[-1]
        assert "the checkpoint is of another training: " in error, options
        assert expected in error, options
        assert "resume with" not in result.stderr
        assert (tmp_path / ".model.checkpoint" / FILE).read_bytes() == before


def test_resume_without_a_checkpoint_starts_and_says_so(tmp_path: Path) -> None:
    result = run(write_csv(tmp_path / "reviews.csv"), "-o", tmp_path / "deep" / "model", *SMALL, "--resume")
    assert result.exit_code == 0, result.output
    assert f"no checkpoint in {tmp_path / 'deep' / '.model.checkpoint'}: the training starts" in result.stderr
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model"]


def test_without_resume_the_checkpoint_of_an_earlier_run_is_replaced_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_csv(tmp_path / "reviews.csv")
    broken_off(data, tmp_path / "model", monkeypatch, "--seed", "5")
    result = run(data, "-o", tmp_path / "model", *SMALL)
    assert result.exit_code == 0, result.output
    assert ".model.checkpoint is replaced, as there was no resume" in result.stderr
    assert not (tmp_path / ".model.checkpoint").exists()


def test_a_loss_that_is_no_number_names_the_state_before_and_does_not_advise_to_repeat_it(tmp_path: Path) -> None:
    result = run(write_csv(tmp_path / "a.csv"), "-o", tmp_path / "m", *SMALL, *ALWAYS, "--learning-rate", "1e25")
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith("error: ")
    assert error.endswith(f"is kept in {tmp_path / '.m.checkpoint'}")
    assert "resume with" not in result.stderr


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf"])
def test_the_time_between_checkpoints_is_a_number(seconds: str, tmp_path: Path) -> None:
    result = run(write_csv(tmp_path / "a.csv"), "-o", tmp_path / "m", "--checkpoint-seconds", seconds)
    assert result.exit_code == 2
    assert "seconds" in result.stderr
