"""Records of a corpus, one after the other, in constant memory.

Training reads a corpus whole, prediction as a stream of any length; both go through here:

    source -> lines (``sources``) -> format found -> records (``formats``) -> those with a text, the others counted
"""

from __future__ import annotations

import itertools
from collections.abc import Generator

from textnn.text.columns import Column, check_column, has_usual_name, split_line
from textnn.text.formats import LABEL_PREFIX, READERS, CorpusReport, Options, Record
from textnn.text.sources import Lines, Source, open_lines

FORMATS = tuple(READERS)

_LOOK_AHEAD = 1000
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


def iter_records(
    path: Source,
    text: Column | None = None,
    label: Column | None = None,
    format: str | None = None,  # noqa: A002
    encoding: str | None = None,
    *,
    need_label: bool = False,
    keep_empty: bool = False,
    report: CorpusReport | None = None,
    label_separator: str | None = None,
) -> Generator[Record, None, None]:
    """Read the records of a corpus one by one.

    Parameters
    ----------
    path
        A path, ``"-"`` for standard input, or an open stream.
    text, label
        Columns, by name or by number from 0. None looks for usual names: ``text``, ``review``, ``content``, ... and
        ``label``, ``sentiment``, ``class``, ...; see ``textnn.text.columns``, also for what makes a header.
    format
        ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"lecture"``, ``"fasttext"`` or ``"lines"``. None goes by the file's suffix
        and, for others than these, by the first line that is not blank: ``{`` begins JSONL, ``__label__`` fastText's
        format; a tab is in TSV or lecture; a comma or semicolon, with usual names of columns or with columns asked
        for, is in CSV; all else is lines.
    encoding
        None finds UTF-8, with or without byte order mark, or GB18030.
    need_label
        Whether records without a label are left out, and counted; the others then all have one, or all a list.
    keep_empty
        Whether records without a text are handed on too; else they are left out, and counted. In the format "lines"
        a blank line is such a record.
    report
        A report to fill on the way.
    label_separator
        What stands between the labels of a text, which may then have any number. Spaces around a label and empty ones
        do not count, a label that stands twice counts once; an empty cell is no label, and not a missing one. In JSONL
        a list of labels needs none. In fastText's format the labels of a text are always a list and never split; there
        a separator, whichever, says that a text without a label is not one whose label is missing.

    Yields
    ------
    Record

    Raises
    ------
    CorpusError
        With file and line, for anything in the file that is not as expected.
    TypeError, ValueError
        If an argument has no meaning.
    """
    check_column("text", text)
    check_column("label", label)
    if format is not None and format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    if need_label and format == "lines":
        raise ValueError("format: 'lines' has no labels, expected another format where labels are needed")
    if not isinstance(label_separator, str | None):
        raise TypeError(f"label_separator: expected a string, got {type(label_separator).__name__}")
    if label_separator == "":
        raise ValueError("label_separator: expected at least one character, got ''")
    options = Options(text, label, need_label, CorpusReport() if report is None else report, label_separator)
    # A generator of its own, so that wrong arguments are reported by the call and not by the first record.
    return _records(path, format, encoding, keep_empty, options)


def _records(
    path: Source, kind: str | None, encoding: str | None, keep_empty: bool, options: Options
) -> Generator[Record, None, None]:
    report = options.report
    with open_lines(path, encoding) as lines:
        head: list[str] = []
        for line in lines:
            head.append(line)
            if line.strip() or len(head) == _LOOK_AHEAD:
                break
        # Blank lines at the start are kept: they count, and the numbers of the lines after them depend on them.
        options.first_line = head[-1]
        kind = kind or _find_format(head[-1], len(head), lines, options)
        report.source, report.format, report.encoding = lines.name, kind, lines.encoding
        for record in READERS[kind](itertools.chain(head, lines), lines, options):
            report.rows += 1
            if options.need_label and record.label is not None:
                _check_kind(record, lines, report)
            if not record.text.strip() and not keep_empty:
                report.empty_texts += 1
            elif options.need_label and record.label is None:
                report.missing_labels += 1
            else:
                report.kept += 1
                yield record


def _check_kind(record: Record, lines: Lines, report: CorpusReport) -> None:
    """Refuse one label where the records before have a list, and the reverse."""
    several = isinstance(record.label, list)
    if report.several is None:
        report.several = several
    elif several != report.several:
        one, other = "one label", "a list of labels"
        expected, got = (one, other) if several else (other, one)
        raise lines.error(record.line, f"expected {expected} as in the rows before, got {got}")


def _find_format(line: str, number: int, lines: Lines, options: Options) -> str:
    if lines.suffix in _SUFFIXES:
        return _SUFFIXES[lines.suffix]
    if line.lstrip().startswith("{"):
        return "jsonl"
    if line.lstrip().startswith(LABEL_PREFIX):
        return "fasttext"
    asked = options.text is not None or options.label is not None
    for delimiter, kind in (("\t", "tsv"), (",", "csv"), (";", "csv")):
        cells = split_line(line, delimiter)
        if len(cells) > 1 and (asked or has_usual_name(cells)):
            return kind
        if len(cells) > 1 and delimiter == "\t":
            return "lecture" if len(cells) == 2 else "tsv"
    if options.need_label:
        raise lines.error(
            number, "expected text<TAB>label, a table with usual column names, JSONL or __label__..., got none of these"
        )
    return "lines"
