"""Ray, a local cluster of two CPUs: the recipe of docs/scale.md and ``--engine ray``, with an actor killed midway."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
ray = pytest.importorskip("ray", reason="needs ray[data]")
pytest.importorskip("ray.data", reason="needs ray[data]")

import pyarrow.parquet as pq  # noqa: E402
from batch_killers import Killer  # noqa: E402
from test_batch_local import FOLDERS, make_jobs  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from _textnn_cli import app  # noqa: E402
from textnn.batch import Scorer, cluster  # noqa: E402
from textnn.batch.files import FileError, Job, find_files  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", FOLDERS)
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init(num_cpus=2, object_store_memory=200_000_000, **options)
    yield
    ray.shutdown()


def write(folder: Path, texts: list[str], files: int = 6) -> None:
    folder.mkdir()
    size = len(texts) // files
    for number in range(files):
        rows = range(number * size, (number + 1) * size)
        table = pa.table({"id": rows, "text": texts[rows.start : rows.stop]})
        pq.write_table(table, folder / f"part-{number}.parquet")


def check(out: Path, model: Path, texts: list[str]) -> None:
    """Each row is there once, with its own prediction."""
    table = pq.read_table(out).sort_by("id")
    assert table["id"].to_pylist() == list(range(len(texts)))
    assert table["text"].to_pylist() == texts
    expected = Scorer(model)(pa.table({"text": texts}))
    assert table["prediction"].to_pylist() == expected["prediction"].to_pylist()


def test_the_recipe_loses_no_row_and_doubles_none_where_an_actor_is_killed(
    model: Path, tmp_path: Path, texts: list[str]
) -> None:
    texts = [*texts[:299], "kill"]
    write(tmp_path / "in", texts)
    scored = ray.data.read_parquet(str(tmp_path / "in")).map_batches(
        Killer,
        fn_constructor_kwargs={"path": str(model), "marks": tmp_path / "mark", "times": 1},
        batch_format="pyarrow",
        batch_size=50,
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=0.5,  # reading and writing need some, too
    )
    scored.write_parquet(str(tmp_path / "out"))
    assert (tmp_path / "mark0").exists(), "one was killed"
    check(tmp_path / "out", model, texts)


def test_files_are_scored_by_actors_and_one_whose_actor_is_killed_is_done_again(
    model: Path, tmp_path: Path, texts: list[str]
) -> None:
    jobs = make_jobs(tmp_path, texts, special="kill")
    done: dict[Job, int] = {}
    cluster.run(Killer(model, tmp_path / "mark", times=1), jobs, 2, 1, lambda rows: None, done.__setitem__)
    assert (tmp_path / "mark0").exists(), "one was killed"
    assert done == {job: 75 + (job is jobs[-1]) for job in jobs}
    assert [text for job in jobs for text in pq.read_table(job.target)["text"].to_pylist()] == [*texts, "kill"]
    assert not list(tmp_path.glob(".*"))
    assert ray.is_initialized(), "a cluster that was there stays"
    Path(jobs[0].target).unlink()
    Path(jobs[0].source).write_bytes(b"PAR1 no more")
    with pytest.raises(FileError, match=r"in-0\.parquet: "):
        cluster.run(Scorer(model), jobs[:1], 1, 1, print, print)


def test_an_error_of_a_file_is_a_value_of_the_actor(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.parquet").write_bytes(b"PAR1 no more")
    job = Job(str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet"), "{}")
    (row,) = cluster._Actor(Scorer(model))(pa.Table.from_pylist([asdict(job)])).to_pylist()
    assert row["rows"] is None
    with pytest.raises(FileError, match=r"in\.parquet: "):
        raise pickle.loads(row["error"])


def test_the_command_resumes_by_the_files_that_are_there(model: Path, tmp_path: Path, texts: list[str]) -> None:
    write(tmp_path / "in", texts, files=3)
    command = ["predict", str(model), str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--engine", "ray"]
    assert CliRunner().invoke(app, [*command, "--workers", "2"]).exit_code == 0
    check(tmp_path / "out", model, texts)
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in find_files(str(tmp_path / "out"))}
    (tmp_path / "out/part-1.parquet").unlink()
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, "2 of 3 files there already" in result.stderr) == (0, True)
    after = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in find_files(str(tmp_path / "out"))}
    assert {name for name in before if before[name] != after[name]} == {"part-1.parquet"}
    check(tmp_path / "out", model, texts)


def test_a_task_has_the_threads_that_it_was_given() -> None:
    def granted() -> int:
        import torch

        from textnn.batch import threads

        torch.set_num_threads(64)
        threads.usable_cpus = lambda: 64
        os.environ.pop("OMP_NUM_THREADS", None)
        return threads.granted_threads()

    remote = ray.remote(granted)
    assert ray.get([remote.options(num_cpus=cpus).remote() for cpus in (2, 1, 0.5)]) == [2, 1, 1]
