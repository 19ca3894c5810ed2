"""Markdown that programs write: tables, and the parts of pages between two comments."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path


def table(columns: Mapping[str, Sequence[str]], left: Collection[str] = ()) -> str:
    """Return columns as a table; those named in ``left`` are words, the others numbers."""
    lines = [_line(columns), _line("---" if head in left else "---:" for head in columns)]
    lines += [_line(cells) for cells in zip(*columns.values(), strict=True)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def replace_part(page: Path, begin: str, end: str, part: str) -> None:
    """Put ``part`` between two comments of a page.

    Raises
    ------
    ValueError
        If the page does not hold both comments, once each and in order.
    """
    text = page.read_text(encoding="utf-8")
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended) or begin in rest or end in before + after:
        raise ValueError(f"{page} must hold {begin} and, behind it, {end}, once each")
    page.write_text(f"{before}{begin}\n{part}\n{end}{after}", encoding="utf-8")
