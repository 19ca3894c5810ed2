"""Scoring at scale: a saved model over tables, in the engines that users have, and over folders of Parquet files.

    a table -> ``Scorer``: text column -> model, loaded once a process -> the same table with columns added
    Ray Data, Spark, pandas -> call a Scorer themselves (docs/scale.md)
    Parquet files -> ``files``: one file scored into another -> ``local``: several processes, or ``cluster``: Ray

It needs pyarrow, which nothing else of the package does.
"""

from __future__ import annotations

from textnn.packages import BATCH, need

need(BATCH, "textnn.batch needs")

from textnn.batch.scorer import Scorer  # noqa: E402  # it imports pyarrow

__all__ = ["Scorer"]
