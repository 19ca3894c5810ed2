"""How a file is laid out, and the report of what was read of it.

Layout as asked for (None: to be found) -> ``sources`` finds the rest in the first lines -> Layout in the report
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

Column = str | int
"""A column's name, or its number from 0; strings of digits are numbers unless all that are asked for name columns."""

# fmt: off
TEXT_NAMES = (
    "text", "review", "content", "sentence", "comment", "reviews", "comments", "review_text", "message", "tweet",
    "body", "document", "texts", "sentences",
    "文本", "评论", "内容", "句子", "评价", "评论内容", "評論", "內容", "文字",
)
LABEL_NAMES = (
    "label", "sentiment", "class", "category", "target", "polarity", "labels", "rating", "stars", "star", "score",
    "标签", "情感", "类别", "分类", "情感倾向", "標籤", "類別", "情緒",
)
# fmt: on
USUAL_NAMES = frozenset((*TEXT_NAMES, *LABEL_NAMES))

FORMATS = ("csv", "tsv", "jsonl", "json", "lecture", "fasttext", "lines")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "|"}
LABEL_PREFIX = "__label__"

ONE_COLUMN = "\x1f"
"""Stands for the delimiter of a table that has none."""

_CHOICES = {"format": FORMATS, "encoding_errors": ("strict", "replace"), "on_error": ("stop", "skip")}
_USUAL_DELIMITERS = {"csv": (",", ONE_COLUMN), "tsv": ("\t",), "lecture": ("\t",)}


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: what the user asks for, None where it is to be found; or what was found.

    Attributes
    ----------
    format
        ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"json"``, ``"lecture"``, ``"fasttext"`` or ``"lines"``; see
        ``textnn.text.sources``. It is found by the file's suffix and, for others than these, by its first lines.
    encoding
        UTF-8, UTF-16, GB18030 and Big5 are found, others are refused with a guess.
    delimiter
        What separates the cells of a table, or in fastText's format what else ends a label; None where nothing does.
    quoting
        Whether cells of a table may be in quotes.
    header
        Whether the first row has the columns' names; None where a format has no such row.
    text, label
        The columns, by name or by number from 0; found by usual names: ``text``, ``review``, ``content``, ... and
        ``label``, ``sentiment``, ``class``, ... In fastText's format the label's is its prefix.
    label_separator
        What stands between the labels of a text, which may then have any number. Spaces around a label and empty ones
        do not count, a label that stands twice counts once; an empty cell is no label, and not a missing one. In JSON
        a list of labels needs none. In fastText's format the labels of a text are always a list and never split; there
        a separator, whichever, says that a text without a label is not one whose label is missing.
    encoding_errors
        ``"strict"`` refuses a byte that does not fit the encoding, ``"replace"`` reads it as U+FFFD and counts it.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    header: bool | None = None
    text: Column | None = None
    label: Column | None = None
    label_separator: str | None = None
    encoding_errors: str = "strict"

    def describe(self, several: bool = False) -> str:
        """Return what was found, in a line; ``several`` is whether a text may have several labels."""
        facts = [str(self.format), str(self.encoding)]
        if self.delimiter not in (None, *_USUAL_DELIMITERS.get(facts[0], ())):
            facts[0] += f" separated by {DELIMITERS.get(str(self.delimiter), repr(self.delimiter))}"
        if self.quoting is False and self.format != "lecture":
            facts.append("no quotes")
        if self.header is not None:
            facts.append("header row" if self.header else "no header row")
        columns = {"text": self.text, "labels" if several else "label": self.label}
        facts += [f"{what} in column {column!r}" for what, column in columns.items() if column is not None]
        return ", ".join(facts)


def check_layout(on_error: str = "stop", **asked: object) -> Layout:
    """Return a layout of what the user asks for, checked; ``on_error`` says what is done about bad rows.

    Raises
    ------
    TypeError, ValueError
        Naming the argument that has no meaning.
    """
    layout = Layout(**asked)  # type: ignore[arg-type]
    for argument in ("text", "label"):
        column = getattr(layout, argument)
        if isinstance(column, bool) or not isinstance(column, str | int | None):
            raise TypeError(f"{argument}: expected a column's name or number, got {type(column).__name__}")
        if isinstance(column, int) and column < 0:
            raise ValueError(f"{argument}: expected a column number from 0, got {column}")
    for argument, known in _CHOICES.items():
        value = on_error if argument == "on_error" else getattr(layout, argument)
        if value not in known and (argument, value) != ("format", None):
            raise ValueError(f"{argument}: expected one of {', '.join(known)}, got {value!r}")
    if not isinstance(layout.label_separator, str | None):
        raise TypeError(f"label_separator: expected a string, got {type(layout.label_separator).__name__}")
    if layout.label_separator == "":
        raise ValueError("label_separator: expected at least one character, got ''")
    delimiter = layout.delimiter
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ValueError(f"delimiter: expected one character that is no quote or line break, got {delimiter!r}")
    if layout.encoding is not None:
        try:
            io.TextIOWrapper(io.BytesIO(), layout.encoding)  # refuses codecs that are not of text, such as "hex"
        except (LookupError, ValueError):
            expected = "expected a text encoding such as 'utf-8'"
            raise ValueError(f"encoding: {expected}, got {layout.encoding!r}") from None
    return layout


@dataclass
class CorpusReport:
    """What was read of a corpus and what was left out; filled while it is read.

    Attributes
    ----------
    source
        The file's name.
    layout
        How the file is laid out, as given or as found.
    several
        Whether a text may have several labels; None before the first label, and where none is needed.
    rows, kept
        Rows of the file without its header, and but in the format "lines" without its blank lines; those handed on.
    blank_lines, empty_texts, missing_labels, bad_rows
        What was left out, by its reason. A row without text and label counts as an empty text.
    problems
        The messages of the first bad rows that were left out.
    replaced
        Bytes that did not fit the encoding and were replaced.
    """

    source: str = ""
    layout: Layout = field(default_factory=Layout)
    several: bool | None = None
    rows: int = 0
    kept: int = 0
    blank_lines: int = 0
    empty_texts: int = 0
    missing_labels: int = 0
    bad_rows: int = 0
    problems: list[str] = field(default_factory=list)
    replaced: int = 0

    @property
    def skipped(self) -> dict[str, int]:
        """What was left out and why, without the reasons that did not occur."""
        reasons = ("blank lines", "empty texts", "missing labels", "bad rows")
        counts = {reason: getattr(self, reason.replace(" ", "_")) for reason in reasons}
        return {reason: count for reason, count in counts.items() if count}

    def __str__(self) -> str:
        skipped = ", ".join(f"{reason}: {count:,}" for reason, count in self.skipped.items())
        replaced = f"; bytes replaced by U+FFFD: {self.replaced:,}" if self.replaced else ""
        about = self.layout.describe(bool(self.several))
        return f"{self.source}: {self.kept:,} texts ({about}); left out: {skipped or 'nothing'}{replaced}"
