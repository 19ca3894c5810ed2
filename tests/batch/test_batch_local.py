"""Several processes over files: the same answers, and what becomes of a file whose process is killed or fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq  # noqa: E402
from batch_killers import Killer, Waiter, Warner  # noqa: E402
from waiting import HANG, wait_until  # noqa: E402

import textnn  # noqa: E402
from textnn.batch import Scorer, local  # noqa: E402
from textnn.batch.files import FileError, Job  # noqa: E402

pytestmark = pytest.mark.slow

FOLDERS = os.pathsep.join([str(Path(textnn.__file__).parent.parent), str(Path(__file__).parent)])
ENVIRONMENT = {**os.environ, "PYTHONPATH": FOLDERS, "OMP_NUM_THREADS": "1"}


def make_jobs(folder: Path, texts: list[str], count: int = 4, special: str = "") -> list[Job]:
    """Files with the same number of texts each, in the last of which one text is another."""
    jobs, size = [], len(texts) // count
    for number in range(count):
        part = texts[number * size : (number + 1) * size]
        part += [special] if special and number == count - 1 else []
        source = folder / f"in-{number}.parquet"
        pq.write_table(pa.table({"text": part}), source, row_group_size=20)
        jobs.append(Job(str(source), str(folder / f"out-{number}.parquet"), "{}"))
    return jobs


class Run:
    """A run, with what it told on the way."""

    def __init__(self, scorer: Scorer, jobs: list[Job], workers: int = 2) -> None:
        self.rows = 0
        self.done: dict[str, int] = {}
        self.told: list[str] = []
        local.run(scorer, jobs, workers, self._show, self._done, self.told.append)

    def _show(self, rows: int) -> None:
        self.rows += rows

    def _done(self, job: Job, rows: int) -> None:
        assert job.target not in self.done, "twice"
        self.done[job.target] = rows


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("in-"))


def test_several_processes_give_what_one_gives(model: Path, tmp_path: Path, texts: list[str]) -> None:
    jobs = make_jobs(tmp_path, texts)
    run = Run(Warner(model), jobs)
    assert (run.rows, sorted(run.done), set(run.done.values())) == (300, [job.target for job in jobs], {75})
    assert run.told == ["a table came"], "once, of two processes"
    found = [pq.read_table(job.target) for job in jobs]
    assert all(table.num_rows == 75 for table in found)
    for job in jobs:
        Path(job.target).unlink()
    Run(Scorer(model), jobs, workers=1)
    for job, table in zip(jobs, found, strict=True):
        assert pq.read_table(job.target)["prediction"].equals(table["prediction"])
        assert pq.read_table(job.target)["text"].equals(table["text"])


def test_a_file_whose_process_is_killed_is_done_again(model: Path, tmp_path: Path, texts: list[str]) -> None:
    jobs = make_jobs(tmp_path, texts, special="kill")
    run = Run(Killer(model, tmp_path / "in-mark", times=1), jobs)
    assert sum(run.done.values()) == 301
    assert [message.split(": ")[1] for message in run.told] == [
        "the process that scored it was killed (SIGKILL); it is scored again"
    ]
    assert [text for job in jobs for text in pq.read_table(job.target)["text"].to_pylist()] == [*texts, "kill"]
    assert contents(tmp_path) == [f"out-{number}.parquet" for number in range(4)]


def test_a_file_that_kills_every_process_is_an_error(model: Path, tmp_path: Path, texts: list[str]) -> None:
    jobs = make_jobs(tmp_path, texts, count=1, special="kill")
    with pytest.raises(local.WorkerError, match=r"in-0\.parquet: the process .* \(SIGKILL\), 3 times in all; if mem"):
        Run(Killer(model, tmp_path / "in-mark", times=9), jobs)
    assert contents(tmp_path) == []
    assert len(list(tmp_path.glob("in-mark*"))) == local.ATTEMPTS


def test_an_error_ends_the_others_and_comes_as_it_is(model: Path, tmp_path: Path, texts: list[str]) -> None:
    jobs = make_jobs(tmp_path, texts, count=2, special="wait")
    Path(jobs[0].source).write_bytes(b"PAR1 no more")
    with pytest.raises(FileError, match=r"in-0\.parquet: "):
        Run(Waiter(model, tmp_path / "in-mark"), jobs)
    assert contents(tmp_path) == []


PROGRAM = """
import sys
from pathlib import Path
from batch_killers import Waiter
from textnn.batch import local
from textnn.batch.files import Job

if __name__ == "__main__":
    model, folder = map(Path, sys.argv[1:])
    jobs = [Job(str(folder / f"in-{n}.parquet"), str(folder / f"out-{n}.parquet"), "{}") for n in range(2)]
    local.run(Waiter(model, folder / "in-mark"), jobs, 2, print, print, print)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_what_is_interrupted(end: Any, model: Path, tmp_path: Path, texts: list[str]) -> None:
    """Ctrl-C comes to all processes; a kill to the parent alone."""
    make_jobs(tmp_path, [*texts[:20], "wait", *texts[:20], "wait"], count=2)
    (tmp_path / "in-program.py").write_text(PROGRAM, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, tmp_path / "in-program.py", model, tmp_path],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        start_new_session=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        marks = wait_until(lambda: len(found := list(tmp_path.glob("in-mark*"))) == 2 and found, "two files begun")
        if end == signal.SIGINT:
            assert all(is_blocked(number_of(mark), end) for mark in marks)
            os.killpg(process.pid, end)
        else:
            process.kill()
        _, err = process.communicate(timeout=HANG)
    finally:
        process.kill()
    for mark in marks:
        wait_until(lambda: not is_running(number_of(mark)), f"the end of {mark.name}'s process")  # noqa: B023  # at once
    if end == signal.SIGINT:
        assert err.count("KeyboardInterrupt") == 1, err
        assert contents(tmp_path) == []


def number_of(mark: Path) -> int:
    return int(mark.name.removeprefix("in-mark"))


def is_blocked(number: int, which: signal.Signals) -> bool:
    status = Path(f"/proc/{number}/status").read_text(encoding="ascii")
    return bool(int(status.split("SigBlk:")[1].split()[0], 16) >> (which - 1) & 1)


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
