"""A labelled corpus in memory, for training and evaluation.

    file -> records (``records``) -> Corpus(texts, labels, lines, report)

A corpus that is not as expected is refused as a whole, unless bad rows are to be left out. Rows without a text or a
label are left out, and the report says how many.
"""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from textnn.text.layout import LABEL_NAMES, TEXT_NAMES, Column, CorpusReport, Layout, fold
from textnn.text.records import Record, iter_records
from textnn.text.sources import CorpusError, Source


@dataclass
class Corpus:
    """Texts with their labels.

    Attributes
    ----------
    texts, labels : list of str, list of str or of list of str
        One of each a record; where a text may have several labels, a list of them.
    lines : list of int
        The line of the file, from 1, where each record begins.
    report : CorpusReport
        What was read and what was left out.

    Examples
    --------
    >>> import io
    >>> corpus = read_corpus(io.BytesIO(b"label,review\\ngood,I like it\\ngood,Lovely\\n"), format="csv")
    >>> len(corpus), corpus.several, corpus.label_counts()
    (2, False, {'good': 2})
    """

    texts: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    report: CorpusReport = field(default_factory=CorpusReport)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return bool(self.report.several)

    def label_counts(self) -> dict[str, int]:
        """Return how often each label occurs, the most frequent first."""
        labels = itertools.chain.from_iterable(self.labels) if self.several else self.labels
        return dict(Counter(labels).most_common())


def read_corpus(
    path: Source,
    text: Column | None = None,
    label: Column | None = None,
    format: str | None = None,  # noqa: A002
    encoding: str | None = None,
    limit: int | None = None,
    label_separator: str | None = None,
    **options: Any,
) -> Corpus:
    """Read texts with labels.

    Parameters
    ----------
    path, text, label, format, encoding : path or binary file, str or int, str or int, str, str
        As in :func:`textnn.text.iter_records`; all but ``path`` are optional.
    limit : int, optional
        Read this many records at most, from the start of the file.
    label_separator, options : str, optional, and others
        As in :func:`textnn.text.iter_records`: ``delimiter``, ``quoting``, ``header``, ``encoding_errors``,
        ``on_error``.

    Returns
    -------
    Corpus
        Labels are strings, whatever they look like; lists of strings with a separator, where JSONL has lists, or where
        any text of fastText's format has several.

    Warns
    -----
    UserWarning
        If the first row was read as a text, but its label makes it look like a header; if other columns than those
        that were found have usual names, too; and for each of the report's ``doubts``.

    Raises
    ------
    CorpusError
        With file and line, for anything in the file that is not as expected, and if it holds no record at all.
    TypeError, ValueError
        If an argument has no meaning.

    Examples
    --------
    >>> import io
    >>> corpus = read_corpus(io.BytesIO(b"label,review\\ngood,I like it\\nbad,\\n"), format="csv")
    >>> corpus.texts, corpus.labels, corpus.lines, corpus.report.empty_texts
    (['I like it'], ['good'], [2], 1)
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit: expected at least 1, got {limit}")
    corpus = Corpus()
    records = iter_records(
        path,
        text,
        label,
        format,
        encoding,
        need_label=True,
        report=corpus.report,
        label_separator=label_separator,
        **options,
    )
    report, first, several = corpus.report, None, False
    counts: Counter[str] = Counter()
    for number, record in enumerate(itertools.islice(records, limit)):
        assert record.label is not None
        if number == 0:
            for message in other_columns(record, report.layout, text is None, label is None):
                warnings.warn(f"{report.source}: {message}", stacklevel=2)
        several = several or (isinstance(record.label, list) and len(record.label) > 1)
        if report.layout.header is False:
            first = record if report.rows == 1 else first
            counts.update(_all_labels(record))
        corpus.texts.append(record.text)
        corpus.labels.append(record.label)
        corpus.lines.append(record.line)
    records.close()
    for message in report.doubts:
        warnings.warn(f"{report.source}: {message}", stacklevel=2)
    if not report.kept:
        raise CorpusError(f"{report.source}: expected rows with a text and a label, got {_nothing(report)}")
    if report.layout.format == "fasttext" and label_separator is None and not several:
        corpus.labels, report.several = [label for (label,) in corpus.labels], False
    if first is not None and _is_odd(first, counts):
        shown = ", ".join(repr(label[:40]) for label in _all_labels(first)[:3])
        warnings.warn(
            f"{report.source}, line {first.line}: the first row is read as a text, {first.text.strip()[:40]!r}, with a "
            f"label that no other row has, {shown}; if it is a header, ask for the columns by name (or --header)",
            stacklevel=2,
        )
    return corpus


def other_columns(record: Record, layout: Layout, text: bool = True, label: bool = True) -> Iterator[str]:
    """Yield a sentence if other columns than the one that was found by its usual name have such a name, too.

    Parameters
    ----------
    record : Record
        The first one of a file.
    layout : Layout
        How the file is laid out.
    text, label : bool, default=True
        Which columns were found by their names, and not asked for.

    Yields
    ------
    str

    Raises
    ------
    AttributeError
        If it is given no record.

    Examples
    --------
    >>> import io
    >>> report = CorpusReport()
    >>> record = next(iter_records(io.BytesIO(b"text,label,stars\\ngood,a,1\\n"), format="csv", report=report))
    >>> [sentence.split(";")[0] for sentence in other_columns(record, report.layout)]
    ["column 'label' is read as the label, not 'stars'"]
    """
    taken = layout.text, layout.label
    for looked, what, column, usual in (
        (text, "text", layout.text, TEXT_NAMES),
        (label, "label", layout.label, LABEL_NAMES),
    ):
        known = frozenset(map(fold, usual))
        names = record.row if looked and column is not None and isinstance(record.row, dict) else ()
        if others := [repr(name) for name in names if name not in taken and fold(name) in known]:
            yield (
                f"column {column!r} is read as the {what}, not {' or '.join(others)}; "
                f"--{what}-column (argument {what}) chooses another"
            )


def _all_labels(record: Record) -> list[str]:
    return record.label if isinstance(record.label, list) else [str(record.label)]


def _is_odd(first: Record, counts: Counter[str]) -> bool:
    """Whether no other row has the labels of the first one, while the other rows share few: so it is with a header."""
    own = _all_labels(first)
    others, different = counts.total() - len(own), len(counts) - len(own)
    return bool(own) and all(counts[label] == 1 for label in own) and others >= max(10, 5 * different)


def _nothing(report: CorpusReport) -> str:
    if report.rows:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in report.skipped.items())
        return f"{report.rows:,} rows of which none is complete ({reasons})"
    if report.bad_rows:
        return f"only bad rows: {report.bad_rows:,}"
    return "no row below the header" if report.layout.header else "only blank lines"
