"""Files of what is to be tagged: do they hold texts, or sentences that are tokens already?

first lines -> "conll", "conllu" or "jsonl", as which ``files.iter_tagged(need_tags=False)`` reads tokens; None: texts
"""

from __future__ import annotations

import io
import itertools
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from textnn.reading import parse_json
from textnn.tagging.annotations import list_of_tokens
from textnn.tagging.columns import is_tag, split_columns
from textnn.tagging.encoding import CHAR
from textnn.text.layout import CorpusReport, Layout
from textnn.text.sources import CorpusError, open_rows

_LOOKED_AT = 1000  # lines
_PEEKED_AT = 1 << 16  # bytes
_TABLES = (".csv", ".xlsx")
_SUFFIXES = {".conll": "conll", ".conllu": "conllu"}
_LONGEST_MEAN = 12  # letters of a word, where each line may be one


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
    if suffix in _SUFFIXES or suffix in _TABLES:
        return _SUFFIXES.get(suffix)
    if path == "-":
        with suppress(CorpusError):  # of a line that is cut, too
            return tokens_of_lines(_first_lines(_peek(), encoding, "replace"), level)
        return None
    return tokens_of_lines(_first_lines(path, encoding, encoding_errors), level)


def tokens_of_lines(head: list[str], level: str) -> str | None:
    """Return the format of the tokens that some first lines of a file hold, None for texts.

    Columns are told by tags in the last one, or by blank lines between groups of lines with as many columns. A token a
    line without a tag is told by characters alone, for a model of them, or else by short words in groups.

    Examples
    --------
    >>> tokens_of_lines(["Ann NNP", "ran VBD", "", "Bob NNP", "ran VBD"], "word"), tokens_of_lines(["Ann ran."], "word")
    ('conll', None)
    """
    full = [line for line in head if line.strip() and not line.startswith("-DOCSTART-")]
    if not full:
        return None
    if full[0].lstrip().startswith(("{", "[{")):
        return _tokens_of_json(full[0])
    rows = [split_columns(line) for line in full if not line.startswith("# ")]
    if not rows:
        return None
    if sum(len(cells) == 10 and cells[0][:1].isdigit() for cells in rows) > 0.9 * len(rows):
        return "conllu"
    if sum(len(cells) > 1 and is_tag(cells[-1]) for cells in rows) > 0.5 * len(rows):
        return "conll"
    blank = [not line.strip() for line in head]
    grouped = any(blank[:-1]) and any(not a and not b for a, b in itertools.pairwise(blank))
    most = max(Counter(map(len, rows)).values())
    if most < 0.9 * len(rows):
        return None
    lengths = [len(cells[0]) for cells in rows]
    if level == CHAR:
        return "conll" if lengths.count(1) > 0.9 * len(rows) and len(rows) > 1 else None
    short = sum(lengths) <= _LONGEST_MEAN * len(rows)
    return "conll" if grouped and short else None


def _tokens_of_json(line: str) -> str | None:
    line = line.strip().removeprefix("[").rstrip(",")
    with suppress(ValueError):
        row = parse_json(line)
        if isinstance(row, dict) and list_of_tokens(row) is not None:
            return "jsonl"
    return None


def _first_lines(source: str | io.BytesIO, encoding: str | None, errors: str) -> list[str]:
    with open_rows(source, Layout("lines", encoding, encoding_errors=errors), True, False, CorpusReport()) as reading:
        return [str(cells[0]) for _, cells in itertools.islice(reading.rows, _LOOKED_AT)]  # type: ignore[index]


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
