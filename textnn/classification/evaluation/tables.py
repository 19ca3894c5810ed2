"""Text for a terminal: tables, and texts on a line, in which a wide character counts as two columns.

What a terminal obeys is shown as an escape: texts and labels may come from anywhere.
"""

from __future__ import annotations

from textnn.reading import escape_controls

TEXT_WIDTH = 100


def shorten(text: str, width: int = TEXT_WIDTH) -> str:
    """Return a text on one line, cut where it is longer than ``width`` columns of a terminal (Chinese has two each)."""
    from rich.cells import cell_len, set_cell_size

    line = escape_controls(" ".join(text.split()))
    return line if cell_len(line) <= width else set_cell_size(line, width - 1).rstrip() + "…"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Align a table for a terminal: first column to the left, numbers to the right, wide characters counted as two."""
    from rich.cells import cell_len

    header, *rows = [[_cell(text) for text in row] for row in [header, *rows]]
    widths = [max(cell_len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for row in [header, *rows]:
        pad = [" " * (width - cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
        cells = [row[0] + pad[0], *(space + cell for space, cell in zip(pad[1:], row[1:], strict=True))]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


def _cell(text: str) -> str:
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")
