"""Spark, on this machine: a Scorer in ``mapInArrow``, with a Python process killed midway."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyspark", reason="needs pyspark")
if shutil.which("java") is None:
    pytest.skip("needs java", allow_module_level=True)

import pyarrow.parquet as pq  # noqa: E402
from batch_killers import Killer  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema  # noqa: E402
from test_batch_local import FOLDERS  # noqa: E402

from textnn.batch import Scorer  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("PYTHONPATH", FOLDERS)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    builder = SparkSession.builder.master("local[2,3]")  # a task may fail twice
    for name, value in {
        "ui.enabled": "false",
        "driver.memory": "512m",
        "driver.host": "127.0.0.1",
        "driver.bindAddress": "127.0.0.1",
        "local.dir": str(tmp_path / "spark"),
        "sql.warehouse.dir": str(tmp_path / "warehouse"),
        "sql.execution.arrow.maxRecordsPerBatch": "50",
    }.items():
        builder = builder.config(f"spark.{name}", value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def test_no_row_is_lost_and_none_twice_where_a_process_is_killed(
    spark: Any, model: Path, tmp_path: Path, texts: list[str]
) -> None:
    texts = [*texts[:299], "kill"]
    (tmp_path / "in").mkdir()
    for number in range(3):
        rows = range(number * 100, number * 100 + 100)
        table = pa.table({"id": rows, "text": [*texts[rows.start : rows.stop - 1], None if number else ""]})
        if number == 2:
            table = pa.table({"id": rows, "text": texts[200:]})
        pq.write_table(table, tmp_path / f"in/part-{number}.parquet")
    score = Killer(model, tmp_path / "mark", times=1)
    frame = spark.read.parquet(str(tmp_path / "in"))
    schema = from_arrow_schema(score.schema(to_arrow_schema(frame.schema)))
    frame.mapInArrow(lambda batches: map(score, batches), schema).write.parquet(str(tmp_path / "out"))
    assert (tmp_path / "mark0").exists(), "one was killed"
    before, after = (pq.read_table(tmp_path / name).sort_by("id") for name in ("in", "out"))
    assert after["id"].to_pylist() == list(range(300))
    assert after["text"].to_pylist() == before["text"].to_pylist()
    expected = Scorer(model)(before)
    assert after["prediction"].to_pylist() == expected["prediction"].to_pylist()
    assert after["prediction"].null_count == 2


def test_entities_and_threads(spark: Any, tagger: Any, tmp_path: Path) -> None:
    tagger.save(tmp_path / "model")
    score = Scorer(tmp_path / "model")
    frame = spark.createDataFrame([("Bob met Ann.",), (None,)], "text string")
    schema = from_arrow_schema(score.schema(to_arrow_schema(frame.schema)))
    rows = {row.text: row.entities for row in frame.mapInArrow(lambda batches: map(score, batches), schema).collect()}
    assert rows[None] is None
    assert [(entity.start, entity.end, entity.type, entity.text) for entity in rows["Bob met Ann."]] == [
        (0, 3, "PER", "Bob"),
        (8, 11, "PER", "Ann"),
    ]

    def granted(batches: Any) -> Any:
        import os

        from textnn.batch import threads

        threads.usable_cpus = lambda: 64
        for _ in batches:
            yield pa.RecordBatch.from_pydict(
                {"openmp": [os.environ["OMP_NUM_THREADS"]], "n": [threads.granted_threads()]}
            )

    row = spark.range(1).repartition(1).mapInArrow(granted, "openmp string, n long").collect()[0]
    assert str(row.n) == row.openmp == "1", "a task has one core"
