"""Quotes that are never closed: an error, or one row that is left out while all others are read."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from textnn.text import CorpusError, CorpusReport, iter_records, sources

Write = Callable[..., str]


@pytest.mark.parametrize(
    ("content", "kept", "problems"),
    [
        pytest.param(
            'text,label\n"a,1\n"b",0\nc,1\n',
            ["b", "c"],
            ["line 2: expected a comma or the end of the line after a closing quote"],
            id="up to the next quote",
        ),
        pytest.param(
            'text,label\na,1\n"b,1\nc,0\nd,1\n',
            ["a", "c", "d"],
            ["line 3: expected a closing quote for a field of the row that begins here, got the end of the file"],
            id="up to the end",
        ),
        pytest.param(
            'text,label\n"a,1\n\nb,1,2\n"c\nd",1\ne,0\n',
            ["c\nd", "e"],
            ["line 2: expected a comma or the end", "line 4: expected 2 fields as in the first row, got 3"],
            id="the line with the next quote begins a row of two lines",
        ),
        pytest.param(
            'text,label\n"a,1\nb,0\n"c,0\nd,0\n',
            ["b", "d"],
            ["line 2: expected a comma or the end of the line", "line 4: expected a closing quote"],
            id="twice",
        ),
        pytest.param(
            'text,label\n"a","\n' + 'a","\n' * 3 + "b,1\n",
            ["b"],
            [
                "line 2: expected a closing quote for a field of the row that begins here, got the end",
                *(f"line {n}: expected a closing" for n in (3, 4, 5)),
            ],
            id="each line closes a quote and opens one",
        ),
    ],
)
def test_a_quote_that_is_never_closed_costs_one_row(
    write: Write, content: str, kept: list[str], problems: list[str]
) -> None:
    report = CorpusReport()
    assert [record.text for record in iter_records(write(content), on_error="skip", report=report)] == kept
    assert report.bad_rows == len(problems)
    for found, expected in zip(report.problems, problems, strict=True):
        assert expected in found
    with pytest.raises(CorpusError, match=problems[0]):
        list(iter_records(write(content)))


@pytest.mark.parametrize("limit", ["MAX_LINES", "LONGEST_LINE"])
def test_a_quote_that_is_never_closed_takes_bounded_memory_and_loses_no_other_row(
    write: Write, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, limit, 1000)
    path = write('text,label\n"a,1\n' + "好好好好好,1\n" * 5_000)
    expected = "line 2: expected rows of at most .* characters, got more in the row that begins here; is a quote not cl"
    with pytest.raises(CorpusError, match=expected):
        list(iter_records(path))
    report = CorpusReport()
    tracemalloc.start()
    assert sum(record.text == "好好好好好" for record in iter_records(path, on_error="skip", report=report)) == 5_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000, f"{peak:,} bytes"
    assert (report.rows, report.bad_rows, report.kept) == (5_000, 1, 5_000)


def test_quotes_that_open_on_every_line_take_linear_time(write: Write) -> None:
    """Each line closes the quote of the line before and opens one: read again from each, 10,000 would take minutes."""
    start = time.process_time()
    report = CorpusReport()
    assert not list(iter_records(write("text,label\n" + 'a","\n' * 10_000), on_error="skip", report=report))
    assert time.process_time() - start < 5
    assert report.bad_rows == 10_000
