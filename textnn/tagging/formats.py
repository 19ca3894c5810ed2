"""What the first lines of a file say: in which format its sentences are, with tags or without.

first lines -> ``find_format`` -> a format of tagged sentences
            -> ``find_token_format`` -> a format of sentences that are tokens already; None: texts
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from contextlib import suppress

from textnn.reading import parse_json
from textnn.tagging.annotations import list_of_tokens
from textnn.tagging.columns import is_tag, split_columns
from textnn.tagging.encoding import CHAR
from textnn.tagging.tables import table_delimiter

SAMPLE = 1000
"""Lines that tell a format."""
_JSON = re.compile(r'\s*(\{|\[\s*(\{|$|\["))')
_LONGEST_MEAN = 12  # letters of a word, where each line may be one


class _Head:
    """The first lines of a file.

    Attributes
    ----------
    full
        Those with something on them.
    rows
        Their cells as columns, without comments and lines between documents.
    """

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self.full = [line for line in lines if line.strip()]
        self.rows = [split_columns(line) for line in self.full if not line.startswith(("#", "-DOCSTART-"))]

    @property
    def is_json(self) -> bool:
        """Whether they are objects of JSON, or an array begins."""
        return bool(self.full) and _JSON.match(self.full[0]) is not None

    @property
    def tagged_columns(self) -> str | None:
        """The format of columns that have tags of spans, or are CoNLL-U; None for others."""
        if sum(len(cells) == 10 and cells[0][:1].isdigit() for cells in self.rows) > 0.9 * len(self.rows):
            return "conllu"
        tagged = sum(len(cells) > 1 and is_tag(cells[-1]) for cells in self.rows)
        return "conll" if tagged >= 0.5 * len(self.rows) else None

    @property
    def in_groups(self) -> bool:
        """Whether blank lines stand between lines, some of which stand together."""
        blank = [not line.strip() for line in self._lines]
        return any(blank[:-1]) and any(not a and not b for a, b in itertools.pairwise(blank))

    @property
    def width(self) -> int:
        """How many cells nine of ten lines have; 0 if they differ."""
        width, count = Counter(map(len, self.rows)).most_common(1)[0]
        return width if count >= 0.9 * len(self.rows) else 0


def find_format(lines: list[str], separator: str) -> str:
    """Tell the format of tagged sentences by the first lines of their file.

    ``separator`` stands between a word and its tag.

    Examples
    --------
    >>> find_format(["Ann B-PER", "ran O"], "/"), find_format(["我/r 来到/v"], "/"), find_format(["我 来到 北京"], "/")
    ('conll', 'word/tag', 'words')
    """
    head = _Head(lines)
    if head.is_json:
        return "jsonl"
    if head.full and table_delimiter(head.full[0]):
        return "csv"
    if not head.rows:
        return "words"
    if (columns := head.tagged_columns) is not None:
        return columns
    words = [word for line in head.full for word in line.split()]
    if sum(separator in word[1:-1] for word in words) > 0.9 * len(words):
        return "word/tag"
    if head.width > 1 and (head.in_groups or all("\t" in line for line in head.full)):
        return "conll"
    return "words"


def find_token_format(lines: list[str], level: str) -> str | None:
    """Return the format of the tokens that some first lines of a file hold, None for texts.

    Columns are told by tags in the last one, or by blank lines between groups of lines with as many columns. A token a
    line without a tag is told by characters alone, for a model of them, or else by short words in groups.

    Examples
    --------
    >>> lines = ["Ann NNP", "ran VBD", "", "Bob NNP", "ran VBD"]
    >>> find_token_format(lines, "word"), find_token_format(["Ann ran."], "word")
    ('conll', None)
    """
    head = _Head(lines)
    if head.is_json:
        return _tokens_of_json(head.full[0])
    if head.full and table_delimiter(head.full[0], tagged=False):
        return "csv"
    if not head.rows or (columns := head.tagged_columns) is not None:
        return columns if head.rows else None
    if not head.width:
        return None
    lengths = [len(cells[0]) for cells in head.rows]
    if level == CHAR:
        return "conll" if lengths.count(1) > 0.9 * len(lengths) and len(lengths) > 1 else None
    return "conll" if head.in_groups and sum(lengths) <= _LONGEST_MEAN * len(lengths) else None


def _tokens_of_json(line: str) -> str | None:
    line = line.strip().removeprefix("[").rstrip(",")
    with suppress(ValueError):
        row = parse_json(line)
        if isinstance(row, dict) and list_of_tokens(row) is not None:
            return "jsonl"
    return None
