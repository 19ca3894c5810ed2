"""Kinds of tables, and how columns are added to each: the kind that comes in goes out.

pyarrow Table or RecordBatch | pandas DataFrame | dict of arrays -> ``texts_of``: an Arrow column of strings
the same, and arrays of new columns -> ``with_columns`` -> the same kind with these columns at its end
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Strings: TypeAlias = pa.Array | pa.ChunkedArray

BLOCK = 4096
"""Texts that are made Python's strings at a time."""


def kind_of(batch: Any) -> str:
    """Return ``"table"``, ``"batch"``, ``"frame"`` or ``"dict"``.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if isinstance(batch, pa.Table):
        return "table"
    if isinstance(batch, pa.RecordBatch):
        return "batch"
    if isinstance(batch, Mapping):
        return "dict"
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(batch, pandas.DataFrame):
        return "frame"
    raise TypeError(
        "batch: expected a pyarrow Table or RecordBatch, a pandas DataFrame or a dictionary of arrays, got "
        f"{type(batch).__name__}"
    )


def names_of(batch: Any) -> list[Any]:
    """Return the names of a table's columns."""
    if isinstance(batch, pa.Table | pa.RecordBatch):
        return list(batch.schema.names)
    return list(batch) if isinstance(batch, Mapping) else batch.columns.tolist()


def check_names(names: list[Any], text: str, added: Collection[str]) -> None:
    """Refuse a table without just one column of the texts, or with a column of a name that is to be added.

    Raises
    ------
    ValueError
        Naming the argument of :class:`textnn.batch.Scorer`.
    """
    count = names.count(text)
    if count != 1:
        shown = ", ".join(repr(str(name)[:40]) for name in names[:50]) or "none"
        found = "no column of this name" if not count else f"{count} columns of this name"
        raise ValueError(f"text: expected a column {text!r}, got {found}; the columns are: {shown}")
    if taken := [name for name in added if name in names]:
        raise ValueError(
            f"prefix: expected one that makes new names, but there is a column {taken[0]!r} already; give another "
            "prefix, or drop the column"
        )


def check_strings(kind: pa.DataType, text: str) -> None:
    """Refuse a column that is not of strings; one of nulls alone may have no other type.

    Raises
    ------
    ValueError
        If it is another.
    """
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(test(value) for test in tests):
        raise ValueError(f"text: expected a column of strings, but {text!r} has the type {kind}")


def texts_of(batch: Any, text: str) -> Strings:
    """Return the column of the texts.

    Raises
    ------
    ValueError
        If it is not of strings.
    """
    values = batch[text]
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        try:
            values = pa.array(values, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise ValueError(f"text: expected a column of strings, but {text!r} is none: {error}") from error
    check_strings(values.type, text)
    return values


def iter_strings(values: Strings) -> Iterator[str | None]:
    """Yield the strings of a column, None for a null, with some of them in memory at a time.

    Raises
    ------
    ValueError
        If one is not UTF-8, which Arrow does not check.
    """
    for start in range(0, len(values), BLOCK):
        part = values.slice(start, BLOCK)
        for chunk in part.chunks if isinstance(part, pa.ChunkedArray) else (part,):
            try:
                yield from (chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk).to_pylist()
            except UnicodeDecodeError as error:
                rows = f"of the rows {start:,} to {start + len(part) - 1:,}"
                raise ValueError(f"text: expected strings in UTF-8, but one {rows} is not: {error.reason}") from None


def with_columns(batch: Any, schema: pa.Schema | None, columns: dict[str, pa.Array]) -> Any:
    """Return a table of the same kind with more columns; what comes in is left as it is.

    Parameters
    ----------
    batch
        The table.
    schema
        Of the result, where the kind has one.
    columns
        What is added, a value for each row.
    """
    if isinstance(batch, pa.Table | pa.RecordBatch):
        return type(batch).from_arrays([*batch.columns, *columns.values()], schema=schema)
    if isinstance(batch, Mapping):
        return {**batch, **{name: _to_numpy(array) for name, array in columns.items()}}
    import pandas

    return batch.assign(**{name: pandas.Series(_to_numpy(array), batch.index) for name, array in columns.items()})


def _to_numpy(array: pa.Array) -> Any:
    """Return an array of numpy: nulls are NaN among floats, else None among objects; lists are lists."""
    kind = array.type
    if pa.types.is_floating(kind) or (pa.types.is_primitive(kind) and not array.null_count):
        return array.to_numpy(zero_copy_only=False)
    values = np.empty(len(array), dtype=object)
    values[:] = array.to_pylist()
    return values
