"""How a file is laid out, and the report of what was read of it.

Layout as asked for (None: to be found) -> ``sources`` finds the rest in the first lines -> Layout in the report
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from textnn.text.foreign import advise, find_foreign

Column = str | int
"""A column's name, or its number from 0. A string of digits is a number too, but in an object of JSON a name."""

# fmt: off
TEXT_NAMES = (
    "text", "review", "content", "sentence", "comment", "reviews", "comments", "review_text", "review_body",
    "comment_text", "message", "tweet", "body", "document", "texts", "sentences", "text_a", "phrase", "feedback",
    "文本", "评论", "内容", "句子", "评价", "评论内容", "評論", "內容", "文字", "description",
)
LABEL_NAMES = (
    "label", "sentiment", "class", "category", "target", "polarity", "labels", "rating", "stars", "star", "score",
    "overall", "topic", "class_index", "airline_sentiment", "is_spam",
    "标签", "情感", "类别", "分类", "情感倾向", "標籤", "類別", "情緒", "类型", "评分", "星级",
)
# fmt: on


def fold(name: str) -> str:
    """Return a column's name as names are compared: without case, spaces, ``_`` and ``-``."""
    return re.sub(r"[\s_-]", "", name.casefold())


USUAL_NAMES = frozenset(map(fold, (*TEXT_NAMES, *LABEL_NAMES)))
_USUAL_TEXTS = frozenset(map(fold, TEXT_NAMES))

FORMATS = ("csv", "tsv", "jsonl", "json", "lecture", "fasttext", "lines")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "|"}
LABEL_PREFIX = "__label__"

ONE_COLUMN = "\x1f"
"""Stands for the delimiter of a table that has none."""

_CHOICES = {"format": FORMATS, "encoding_errors": ("strict", "replace"), "on_error": ("stop", "skip")}
_USUAL_DELIMITERS = {"csv": (",", ONE_COLUMN), "tsv": ("\t",), "lecture": ("\t",)}

_SEP = re.compile(r'"?sep=(.)"?\s*?(?=[\r\n]|$)')  # how a file tells Excel its delimiter

_QUOTED, _NUMBER = re.compile(r'"[^"\n]*"'), re.compile(r"[-+]?\d+([.,]\d+)?")
AS_TABLE = "--input-format csv (format='csv')"
"""How it is said that a file is a table."""

_LABELLED = re.compile(rf"(?:^|\s){LABEL_PREFIX}\S")

_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
_BEGINNINGS = {
    re.compile(r"\s*(\[\s*[\[{]|\{)"): "json",
    re.compile(r"\s*" + LABEL_PREFIX): "fasttext",
    _SEP: "csv",
}


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: what the user asks for, None where it is to be found; or what was found.

    Attributes
    ----------
    format : str, optional
        ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"json"``, ``"lecture"``, ``"fasttext"`` or ``"lines"``; see
        ``textnn.text.sources``. It is found by the file's suffix and, for others than these, by its first lines.
    encoding : str, optional
        UTF-8, UTF-16, GB18030 and Big5 are found, others are refused with a guess.
    delimiter : str, optional
        What separates the cells of a table, or in fastText's format what else ends a label; None where nothing does.
    quoting : bool, optional
        Whether cells of a table may be in quotes.
    header : bool, optional
        Whether the first row has the columns' names; None where a format has no such row.
    text, label : str or int, str or int
        The columns, by name or by number from 0; found by usual names: ``text``, ``review``, ``content``, ... and
        ``label``, ``sentiment``, ``class``, ... In fastText's format the label's is its prefix.
    label_separator : str, optional
        What stands between the labels of a text, which may then have any number. Spaces around a label and empty ones
        do not count, a label that stands twice counts once; an empty cell is no label, and not a missing one. In JSON
        a list of labels needs none. In fastText's format the labels of a text are always a list and never split; there
        a separator, whichever, says that a text without a label is not one whose label is missing.
    encoding_errors : {"strict", "replace"}, default="strict"
        ``"strict"`` refuses a byte that does not fit the encoding, ``"replace"`` reads it as U+FFFD and counts it.
    escape : bool, optional
        Whether a backslash in a table says how the character behind it is read, as databases dump tables: ``\\n``,
        ``\\t`` and ``\\r`` are white space, others stand for themselves: quotes, delimiters, line breaks.

    Examples
    --------
    >>> Layout("csv", "utf-8", header=True, text="review", label="stars").describe()
    "csv, utf-8, header row, text in column 'review', label in column 'stars'"
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
    escape: bool | None = None

    def describe(self, several: bool = False) -> str:
        """Return what was found, in a line; ``several`` is whether a text may have several labels."""
        facts = [str(self.format), str(self.encoding)]
        if self.delimiter not in (None, *_USUAL_DELIMITERS.get(facts[0], ())):
            facts[0] += f" separated by {DELIMITERS.get(str(self.delimiter), repr(self.delimiter))}"
        if self.quoting is False and self.format != "lecture":
            facts.append("no quotes")
        if self.escape:
            facts.append("backslashes undone")
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
    source : str
        The file's name.
    layout : Layout
        How the file is laid out, as given or as found.
    several : bool, optional
        Whether a text may have several labels; None before the first label, and where none is needed.
    rows, kept : int, int
        Rows of the file without its header, and but in the format "lines" without its blank lines; those handed on.
    blank_lines, empty_texts, missing_labels, bad_rows : int, int, int, int
        What was left out, by its reason. A row without text and label counts as an empty text.
    repeated_headers : int
        Rows below the header that are the same as it; they are left out and not counted as rows.
    problems : list of str
        The messages of the first bad rows that were left out.
    replaced : int
        Bytes that did not fit the encoding and were replaced.
    doubts : list of str
        Sentences about what looks like a mistake, complete once the file has been read.

    Examples
    --------
    >>> print(CorpusReport("a.csv", Layout("csv", "utf-8"), kept=9, bad_rows=1))
    a.csv: 9 texts (csv, utf-8); left out: bad rows: 1
    """

    texts: ClassVar[str] = "text"
    """The argument that names the column of the texts, and begins its option."""

    source: str = ""
    layout: Layout = field(default_factory=Layout)
    several: bool | None = None
    rows: int = 0
    kept: int = 0
    blank_lines: int = 0
    empty_texts: int = 0
    missing_labels: int = 0
    repeated_headers: int = 0
    bad_rows: int = 0
    problems: list[str] = field(default_factory=list)
    replaced: int = 0
    doubts: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> dict[str, int]:
        """What was left out and why, without the reasons that did not occur."""
        reasons = ("blank lines", "empty texts", "missing labels", "repeated headers", "bad rows")
        counts = {reason: getattr(self, reason.replace(" ", "_")) for reason in reasons}
        return {reason: count for reason, count in counts.items() if count}

    def __str__(self) -> str:
        skipped = ", ".join(f"{reason}: {count:,}" for reason, count in self.skipped.items())
        replaced = f"; bytes replaced by U+FFFD: {self.replaced:,}" if self.replaced else ""
        about = self.layout.describe(bool(self.several))
        return f"{self.source}: {self.kept:,} texts ({about}); left out: {skipped or 'nothing'}{replaced}"


def find_layout(
    asked: Layout,
    head: list[str],
    suffix: str,
    labelled: bool,
    fail: Callable[[int, str], Exception],
    texts: str = CorpusReport.texts,
) -> Layout:
    """Return the layout of a file: as asked for, and where nothing is, as its ending and its first lines have it.

    ``fail`` makes the error of a line's number and a message, if it cannot be told or the file has no texts; ``texts``
    is the argument that names their column.
    """
    columns = [column for column in (asked.text, asked.label) if column is not None]
    number, line = next(((number, line) for number, line in enumerate(head, 1) if line.strip()), (1, ""))
    # By these the first line has a column that is asked for, or with a usual name.
    named = [each for each in DELIMITERS if len(names := _split(line, each)) > 1 and _are_known(names, columns)]
    found = asked.format or _SUFFIXES.get(suffix) or _find_format(line, head[number - 1 :], columns, named)
    if asked.format in (None, "csv") and (what := find_foreign(head[number - 1 :])):
        raise fail(number, f"expected a table, got {what}")
    if asked.format is None and asked.delimiter is not None and found in (None, "lecture"):
        found = "csv"  # who names a delimiter has a table
    if found is None and labelled:
        tables = "text<TAB>label, a table with usual column names, JSON or __label__..."
        advice = advise(head) or (f"; if it is a table, say so: {AS_TABLE}" if _even(head) else "")
        raise fail(number, f"expected {tables}, got none of these{advice}")
    place = None
    if asked == replace(asked, format=None, delimiter=None, quoting=None, header=None, text=None, label=None):
        place = _label_place(head)
        if place is not None and found in ("csv", "tsv") and _is_row(line, place, head):
            found = "lecture"
        if place is None and found == "lecture" and _is_numbered(head):
            way = f"say where the texts are: --{texts}-column 1 ({texts}=1)"
            raise fail(number, f"expected texts first, got numbers; {way}")
    layout = replace(asked, format=found or "lines")
    if found == "fasttext":
        return replace(layout, quoting=None)
    if found not in ("csv", "tsv", "lecture"):
        return replace(layout, delimiter=None, quoting=None)
    if found == "lecture":
        layout = replace(layout, header=bool(asked.header))
        if place == 0:
            layout = replace(layout, text=1, label=0)
    delimiter = asked.delimiter or (_find_delimiter(head, line, columns, named) if found == "csv" else "\t")
    quoting = asked.quoting
    if quoting is None:
        quoting = found != "lecture" and (delimiter != "\t" or _is_quoted(head))
    return replace(layout, delimiter=delimiter, quoting=quoting)


def _split(line: str, delimiter: str) -> list[str]:
    """Split a table's first line without regard for what is quoted: enough to know names by."""
    return [cell.strip().strip('"').strip() for cell in line.split(delimiter, 1 << 16)]


def is_number(column: Column) -> bool:
    """Whether a column is asked for by number, which may be typed as a string."""
    return isinstance(column, int) or (column.isascii() and column.isdecimal())


def _are_known(names: list[str], asked: list[Column]) -> bool:
    # Names of labels alone do not count: a text may begin "Overall, ".
    return any(fold(name) in _USUAL_TEXTS or (name in asked and not is_number(name)) for name in names)


def _find_format(line: str, head: list[str], columns: list[Column], named: list[str]) -> str | None:
    for pattern, found in _BEGINNINGS.items():
        if pattern.match("".join(head[:3])):
            return found
    if line and not columns and all(map(_LABELLED.search, filter(str.strip, head[:3]))):
        return "fasttext"
    if "\t" in line:
        return "tsv" if columns or "\t" in named or line.count("\t") > 1 else "lecture"
    if named or (columns and any(delimiter in line for delimiter in DELIMITERS)):
        return "csv"
    # One column, and its name.
    return "csv" if len(head) > 1 and _are_known(_split(line, ",")[:1], []) else None


def _find_delimiter(head: list[str], line: str, columns: list[Column], named: list[str]) -> str:
    if marked := _SEP.match(line):
        return marked[1]
    last = max((int(column) for column in columns if is_number(column)), default=0)
    found = named + [each for each in DELIMITERS if len(_split(line, each)) > last > 0]
    if not found and _are_known(_split(line, ",")[:1], []):
        return ONE_COLUMN  # commas are a part of its texts
    return (*found, *_even(head), ",")[0]


def _even(head: list[str]) -> list[str]:
    """Return the delimiters that occur in each of the first lines, and as often, but for those within quotes."""
    rows = [_QUOTED.sub("", row) for row in head if row.strip()]
    counts = {each: {row.count(each) for row in rows} for each in DELIMITERS}
    return [each for each, found in counts.items() if len(rows) > 1 and len(found) == 1 and max(found)]


def looks_like_table(head: list[str]) -> bool:
    """Whether lines seem to be a table: a column has numbers, or cells in quotes, but for its name in the first line.

    Cells alone do not tell: lines of verse have as many commas each, too.
    """
    for each in _even(head):
        rows = [_split(_QUOTED.sub("0", row), each) for row in head if row.strip()]
        columns = [[_NUMBER.fullmatch(cell) is not None for cell in column] for column in zip(*rows, strict=True)]
        if len(rows) > 2 and any(not first and all(rest) for first, *rest in columns):
            return True
    return False


def _pairs(head: list[str]) -> list[list[str]]:
    """Return the first rows of two cells with a tab between them, none if they are too few to tell anything."""
    rows = [cells for line in head if len(cells := line.rstrip("\r\n").split("\t")) == 2]
    return rows if len(rows) >= 5 else []


def _label_place(head: list[str]) -> int | None:
    """Which of two columns holds few different values, the other one at least twice as many, and longer."""
    columns = list(zip(*_pairs(head), strict=True))
    for place, (labels, texts) in enumerate((columns, columns[::-1]) if columns else ()):
        few = len(set(labels))
        if 2 * few <= min(len(labels), len(set(texts))) and sum(map(len, labels)) < sum(map(len, texts)):
            return place
    return None


def _is_row(line: str, place: int, head: list[str]) -> bool:
    """Whether the first line is a row and no header: another row has its label, which stands at ``place``."""
    cells, rows = line.rstrip("\r\n").split("\t"), _pairs(head)
    known = any(fold(cell) in USUAL_NAMES for cell in cells)
    return cells == rows[0] and not known and sum(row[place] == cells[place] for row in rows) > 1


def _is_numbered(head: list[str]) -> bool:
    """Whether the first of two columns has numbers, all different."""
    numbers = [cells[0] for cells in _pairs(head)]
    return bool(numbers) and len(set(numbers)) == len(numbers) and all(map(str.isdecimal, numbers))


def _is_quoted(head: list[str]) -> bool:
    """Whether the quotes in the first lines of a table with tabs are marks around cells, and not a part of texts."""
    lines = [line for line in head if line.strip()]
    # Where each line has all cells, no quote holds a line break.
    whole = len({line.count("\t") for line in lines}) == 1
    try:
        rows = [cells for cells in csv.reader(lines, delimiter="\t", strict=True) if cells]
    except csv.Error as error:
        return "unexpected end" in str(error) and not whole
    return not whole or len(rows) == len(lines)
