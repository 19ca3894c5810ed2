"""``textnn train --distributed`` on two hosts: over a slow link, over one that is cut, and resumed afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from commands import ENVIRONMENT, write_csv
from launching import workers
from two_hosts import ADDRESSES, Link, lack
from waiting import HANG

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing := lack()), reason=f"two hosts: {missing}")]
SILENCE = 20  # seconds after which a host counts as lost; more than this link and two busy cores ever need
OPTIONS = ["--tokenizer", "whitespace", "--embedding-dim", "8", "--batch-size", "8", "--epochs", "4", "--patience", "0"]


@contextmanager
def started(link: Link, host: int, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of ``textnn train --distributed`` on a host, under torchrun as docs/distributed.md has it."""
    places = ["--nnodes=2", f"--node-rank={host}", f"--master-addr={ADDRESSES[0]}", "--master-port=29500"]
    launcher = [sys.executable, "-m", "torch.distributed.run", *places, "--nproc-per-node=1", "-m", "textnn"]
    process = subprocess.Popen(
        link.command(host, *launcher, "train", *map(str, arguments), *OPTIONS, "--distributed"),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "GLOO_SOCKET_IFNAME": "wire", "TEXTNN_PEER_TIMEOUT": str(SILENCE)},
    )
    try:
        yield process
    finally:
        for child in (*workers(process), process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        process.communicate()


def train(link: Link, folder: Path, name: str, *options: str, cut: str = "") -> list[tuple[int, str]]:
    """Train on both hosts, each with a folder of its own; the link is cut as soon as host 0 says ``cut``."""
    data = write_csv(folder / "reviews.csv")  # on host 0; the other is given a name that leads nowhere
    with (
        started(link, 0, data, "-o", folder / "0" / name, *options) as first,
        started(link, 1, folder / "1" / "reviews.csv", "-o", folder / "1" / name, *options) as second,
    ):
        seen = ""
        assert first.stderr is not None
        while cut and cut not in seen and (line := first.stderr.readline()):
            seen += line
        assert cut in seen, seen
        link.cut = bool(cut)
        ended = []
        for process in (first, second):
            _, rest = process.communicate(timeout=HANG)
            ended.append((process.returncode, rest))
    return ended


def test_a_link_that_is_cut_ends_both_and_resume_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    for host in "01":
        (tmp_path / host).mkdir()
    with Link(delay=0.05, rate=1_000_000) as link:
        assert [code for code, _ in train(link, tmp_path, "whole")] == [0, 0]

        ended = train(link, tmp_path, "cut", cut="epoch 2/4")
        for code, err in ended:
            assert code == 1, err
            assert err.count("error: another process ended or cannot be reached (") == 1, err
        assert ended[0][1].count("the training so far is kept; resume with the same command plus --resume") == 1
        assert [path.name for path in (tmp_path / "0").iterdir() if path.name.startswith("cut")] == []

        link.cut = False
        resumed = train(link, tmp_path, "cut", "--resume")
        assert [code for code, _ in resumed] == [0, 0], resumed
        assert "resumed " in resumed[0][1], resumed[0][1]
    whole, cut = (tmp_path / "0" / name / "model.safetensors" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()
    assert list((tmp_path / "1").iterdir()) == []  # process 0 alone reads and writes
