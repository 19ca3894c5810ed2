"""Files of what is to be tagged: do they hold texts, or sentences that are tokens already?

first lines -> "conll", "conllu", "csv" or "jsonl", as which ``files.iter_tagged(need_tags=False)`` reads tokens; None:
texts
"""

from __future__ import annotations

import io
import itertools
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from textnn.tagging.formats import SAMPLE, find_token_format
from textnn.tagging.tables import table_delimiter
from textnn.text.layout import CorpusReport, Layout
from textnn.text.sources import CorpusError, open_rows

_PEEKED_AT = 1 << 16  # bytes
_SUFFIXES = {".conll": "conll", ".conllu": "conllu"}


def find_tokens(path: str, level: str, encoding: str | None = None, encoding_errors: str = "strict") -> str | None:
    """Tell what a file holds by its name and its first lines.

    Parameters
    ----------
    path
        A path, or ``"-"`` for standard input, of which nothing is taken away.
    level
        Whether the tokens of the model are characters or words.
    encoding, encoding_errors
        As in :func:`textnn.text.iter_records`.

    Returns
    -------
    str or None
        A format of tokens; None if these are texts.

    Raises
    ------
    CorpusError
        If the file cannot be read.
    """
    suffix = "" if path == "-" else Path(path).suffix.lower()
    if suffix in _SUFFIXES or suffix == ".xlsx":
        return _SUFFIXES.get(suffix)
    if path == "-":
        with suppress(CorpusError):  # of a line that is cut, too
            return find_token_format(_first_lines(_peek(), encoding, "replace"), level)
        return None
    lines = _first_lines(path, encoding, encoding_errors)
    if suffix == ".csv":
        return "csv" if table_delimiter(next(filter(str.strip, lines), ""), tagged=False) else None
    return find_token_format(lines, level)


def _first_lines(source: str | io.BytesIO, encoding: str | None, errors: str) -> list[str]:
    with open_rows(source, Layout("lines", encoding, encoding_errors=errors), True, False, CorpusReport()) as reading:
        return [str(cells[0]) for _, cells in itertools.islice(reading.rows, SAMPLE)]  # type: ignore[index]


def _peek() -> io.BytesIO:
    """Return the beginning of standard input, to its last line break, without taking it away."""
    stream: Any = getattr(sys.stdin, "buffer", None)
    head = b""
    if hasattr(stream, "peek"):
        head = stream.peek(_PEEKED_AT)
    elif stream is not None and stream.seekable():
        place = stream.tell()
        head = stream.read(_PEEKED_AT)
        stream.seek(place)
    return io.BytesIO(head[: head.rfind(b"\n") + 1] or head)
