"""Several processes over files, of which each takes the next one; a file whose process is killed is done again.

    jobs -> a pipe to each process -> ``score_file`` -> rows, warnings, the end or an error of each job -> back

Whatever ends the parent ends its processes: a pipe that closes, an exception, Ctrl-C, or a kill.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from textnn.batch.files import Job, Show, remove_left, score_file
from textnn.batch.scorer import Scorer

ATTEMPTS = 3
"""How often a file is begun at most, where the processes that score it are killed."""
_PATIENCE = 30.0  # seconds for a process to end that was asked to


class WorkerError(OSError):
    """A process was killed, each time that it scored a file; the message names it."""


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: Job | None = None


def run(
    scorer: Scorer,
    jobs: Iterable[Job],
    workers: int,
    show: Show,
    done: Callable[[Job, int], object],
    tell: Callable[[str], object],
) -> None:
    """Score files in several processes, or in this one.

    Parameters
    ----------
    scorer
        The model as a function; each process uses as many threads as it says.
    jobs
        The files, no two with one output, and nobody else at work on them.
    workers
        How many processes; 1 is this one.
    show
        Called with numbers of rows.
    done
        Called with each file that is complete, and its rows.
    tell
        Called with warnings, once each, and with what happened to a process.

    Raises
    ------
    WorkerError
        If the processes that score a file are killed again and again.
    FileError, OSError, ...
        As :func:`textnn.batch.files.score_file` does. Files that are complete stay; no other is left.
    """
    if workers == 1:
        for job in jobs:
            done(job, score_file(scorer, job, show))
        return
    waiting, attempts, told = deque(jobs), Counter[Job](), set[str]()
    team: list[_Worker] = []
    try:
        while waiting or any(worker.job for worker in team):
            while waiting and len(team) < workers:
                team.append(_start(scorer))
            for worker in team:
                if waiting and worker.job is None:
                    worker.job = waiting.popleft()
                    attempts[worker.job] += 1
                    _send(worker, worker.job)
            ready = wait([worker.pipe for worker in team])
            for worker in [worker for worker in team if worker.pipe in ready]:
                message = _receive(worker)
                if message is None:
                    team.remove(worker)
                    if worker.job is not None:
                        _lost(worker, worker.job, attempts[worker.job], tell)
                        waiting.appendleft(worker.job)
                elif message[0] == "rows":
                    show(message[1])
                elif message[0] == "warning":
                    if message[1] not in told:
                        told.add(message[1])
                        tell(message[1])
                elif message[0] == "done":
                    assert worker.job is not None
                    job, worker.job = worker.job, None
                    done(job, message[1])
                else:
                    raise message[1]
    finally:
        _end(team)


def _start(scorer: Scorer) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, scorer), daemon=True)
    # Ctrl-C reaches every process of the terminal; this one alone is to answer, from the child's first moment on. The
    # first child would start the tracker, whose start lets the signal through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    there.close()
    return _Worker(process, here)


def _send(worker: _Worker, job: Job) -> None:
    with suppress(OSError):  # it is gone, as will be noticed when its answer is read
        worker.pipe.send(job)


def _receive(worker: _Worker) -> Any:
    """Return a message, None if the process is gone."""
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        return None


def _lost(worker: _Worker, job: Job, attempts: int, tell: Callable[[str], object]) -> None:
    worker.process.join()
    code = worker.process.exitcode or 0
    how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit status {code}"
    remove_left(job)
    if attempts == ATTEMPTS:
        raise WorkerError(
            f"{job.source}: the process that scored it {how}, {attempts} times in all; if memory was short, try fewer "
            "workers"
        )
    tell(f"{job.source}: the process that scored it {how}; it is scored again")


def _end(team: list[_Worker]) -> None:
    """End the processes: at once if they are at work."""
    for worker in team:
        if worker.job is not None:
            worker.process.terminate()
        worker.pipe.close()
    for worker in team:
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        if worker.job is not None:
            remove_left(worker.job)


# ---- in the process --------------------------------------------------------------------------------------------------


def _work(pipe: Connection, scorer: Scorer) -> None:
    """Score the files that come through a pipe, until it is closed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # removes what is half written
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(message: Warning | str, *_: Any, **__: Any) -> None:
        pipe.send(("warning", str(message)))

    warnings.showwarning = tell
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[str, Any] = ("done", score_file(scorer, job, lambda rows: pipe.send(("rows", rows))))
        except Exception as error:
            answer = ("error", portable(error))
        with suppress(OSError):  # nobody waits for it any more
            pipe.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def portable(error: Exception) -> Exception:
    """Return an error itself if it can be pickled and comes back, else one with its message."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
