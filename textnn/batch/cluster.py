"""Actors of Ray over files, each with the model loaded; a file whose actor is lost is done again by another.

    jobs -> Ray Data -> actors: ``score_file`` -> a row for each file that is complete

Files have the same paths in all processes: on several machines they are on a file system that these share.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import asdict

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError

from textnn.batch.files import Job, Show, remove_left, score_file
from textnn.batch.local import portable
from textnn.batch.scorer import Scorer


class ClusterError(OSError):
    """The cluster failed, not a file; the message says what Ray says."""


class _Actor:
    """What an actor does: files in; with each its number of rows out, or the error as a pickle."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def __call__(self, batch: pa.Table) -> pa.Table:
        results = [self._score(Job(**row)) for row in batch.to_pylist()]
        batch = batch.append_column("rows", pa.array([rows for rows, _ in results], pa.int64()))
        return batch.append_column("error", pa.array([error for _, error in results], pa.binary()))

    def _score(self, job: Job) -> tuple[int | None, bytes | None]:
        try:
            return score_file(self._scorer, job, lambda rows: None), None
        except Exception as error:  # as a value: Ray would begin again, and change its type
            return None, pickle.dumps(portable(error))


def run(
    scorer: Scorer,
    jobs: Sequence[Job],
    workers: int | None,
    threads: int,
    show: Show,
    done: Callable[[Job, int], object],
) -> None:
    """Score files in the actors of a cluster: the one that ``RAY_ADDRESS`` names or that runs here, else a new one.

    Parameters
    ----------
    scorer, jobs, show, done
        As for :func:`textnn.batch.local.run`.
    workers
        How many actors; None is as many as the cluster has CPUs for, and files.
    threads
        CPUs of each.

    Raises
    ------
    ClusterError
        If Ray cannot go on.
    FileError, OSError, ...
        As :func:`textnn.batch.files.score_file` does. Files that are complete stay.
    """
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "WARNING")  # the command has a progress of its own
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    try:
        cpus = int(ray.cluster_resources().get("CPU", 1))
        size = min(len(jobs), workers or max(1, cpus // threads))
        DataContext.get_current().enable_progress_bars = False
        data = ray.data.from_arrow([pa.Table.from_pylist([asdict(job)]) for job in jobs])
        scored = data.map_batches(
            _Actor,
            fn_constructor_args=(scorer,),
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),  # a file each at a time
            num_cpus=threads,
        )
        for row in scored.iter_rows():
            rows, error = row.pop("rows"), row.pop("error")
            if error is not None:
                raise pickle.loads(error)
            show(rows)
            done(Job(**row), rows)
    except RayError as error:
        raise ClusterError(str(error).strip().splitlines()[-1]) from error
    finally:
        if started:
            ray.shutdown()
            for job in jobs:
                remove_left(job)
