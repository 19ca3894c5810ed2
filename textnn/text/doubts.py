"""What about the rows of a file looks like a mistake: counted while they are read, told when they have been.

row, its record -> ``Watch.see`` -> counts -> ``Watch.sentences`` -> ``CorpusReport.doubts``
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

_MOST_LABELS = 10_000
_ESCAPED = re.compile(r"""\\(?:["'\\ntr\t,;]|$)""")


class Watch:
    """Counts what looks like a mistake.

    ``delimiter``, ``width`` and ``label`` are those of a table: what separates its cells, how many a row has, and which
    one is the label; ``label`` is None where there is none. ``escapes`` is whether backslashes have been undone.
    """

    def __init__(self, delimiter: str | None, width: int, label: int | None, escapes: bool) -> None:
        self.delimiter, self.width, self.label, self.escapes = delimiter, width, label, escapes
        self.texts = self.escaped = 0
        self.labels: set[str] = set()
        # What stands where the label does in lines within a cell: how often, and the first row.
        self.inner: Counter[str] = Counter()
        self.first: dict[str, int] = {}

    def see(self, number: int, cells: Any, text: str) -> None:
        """Take a row into account, and the text of its record."""
        self.texts += 1
        if "\\" in text and not self.escapes:
            self.escaped += _ESCAPED.search(text) is not None
        if self.label is None or len(cells) != self.width or self.delimiter is None:
            return
        if not any("\n" in cell for cell in cells):
            if len(self.labels) < _MOST_LABELS:
                self.labels.add(cells[self.label].strip())
            return
        # The label of the row itself does not count.
        others = ["" if place == self.label and "\n" not in cell else cell for place, cell in enumerate(cells)]
        for line in self.delimiter.join(others).splitlines():
            parts = line.split(self.delimiter)
            if len(parts) == self.width and len(self.inner) < _MOST_LABELS:
                label = parts[self.label].strip().strip('"')
                self.inner[label] += 1
                self.first.setdefault(label, number)

    def sentences(self) -> Iterator[str]:
        """Yield what there is to say."""
        swallowed = {label: count for label, count in self.inner.items() if label and label in self.labels}
        if swallowed:
            count, first = sum(swallowed.values()), min(self.first[label] for label in swallowed)
            yield (
                f"lines within quoted cells that look like rows of the table: {count:,}, the first in the row of line "
                f"{first}; if a quote there is a part of a text, read it with --no-quoting (quoting=False)"
            )
        if self.escaped >= 2 and self.escaped * 100 >= self.texts:
            yield (
                f'{self.escaped:,} of {self.texts:,} texts have backslashes as in \\n or \\", and they are kept; '
                "if they stand for line breaks, tabs or quotes, undo them with --escape (escape=True)"
            )
