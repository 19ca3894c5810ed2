"""Commands under torchrun: ``textnn train ... --distributed`` in some processes, of which none is left afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from waiting import HANG

import textnn

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(textnn.__file__).parent.parent),
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    "GLOO_SOCKET_IFNAME": "lo",
}


@contextmanager
def torchrun(*command: object, processes: int = 2, stdin: IO[bytes] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start ``textnn COMMAND --distributed`` in some processes; none of them is left afterwards."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    process = subprocess.Popen(
        [*launcher, "-m", "textnn", *map(str, command), "--distributed"],
        # Ctrl-C ends it even where the tests run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        yield process
    finally:
        for child in [*workers(process), process.pid]:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.communicate()


def run_all(*command: object, processes: int = 2, stdin: IO[bytes] | None = None) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error, without what torchrun itself says."""
    with torchrun(*command, processes=processes, stdin=stdin) as process:
        out, err = process.communicate(timeout=HANG)
    return process.returncode, out, err


def workers(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun has started, and that still run."""
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(child) for child in children.split()]
