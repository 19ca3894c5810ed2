"""What other programs write and textnn does not read, known by the first lines, and what to do about it."""

from __future__ import annotations

import re

_RULER = r"\|?\s*:?-{3,}:?\s*([|+]\s*:?-{3,}:?\s*)+\|?\s*?"

_TABLES = {
    r"\s*<(!doctype\s+html|html|table|tr|\?xml)\b": "a web page: save the table as CSV",
    r"\s*(--\s*\n)*-- (MySQL|MariaDB|PostgreSQL|SQLite)": "an SQL dump: export the table as CSV",
    r"\s*(/\*!\d|(insert\s+into|create\s+table)\s|copy\s.*from stdin;)": "an SQL dump: export the table as CSV",
    rf"\s*(\+--[-+]*\+\s*\n|[┌╭╔][─━═]|.*\n{_RULER}\n)": "a table that is drawn with lines: export it as CSV",
    r"""(\s*[\[(]?\(['"].*,\s*(['"].*['"]|[-\d.]+)\),?\s*\n){2}""": (
        "tuples of Python: write them as CSV, with csv.writer"
    ),
    r'\s*\{\s*"(index|create)"\s*:\s*\{[^{}]*\}\s*\}\s*\n\s*\{': (
        "Elasticsearch's bulk rows: leave the action lines out, such as with grep -v '^{\"index\"' FILE > NEW.jsonl"
    ),
}
_KNOWN = {re.compile(pattern, re.IGNORECASE): what for pattern, what in _TABLES.items()}
_SEPARATORS = ("|||", "_!_", "::", "##", "@@", "++", "~~")
_PYTHON = re.compile(r"\s*\[?\s*\{\s*'")


def find_foreign(head: list[str]) -> str | None:
    """Return what the first lines are, and what to do; None if they may be a corpus."""
    start = "".join(line.rstrip("\r\n")[:500] + "\n" for line in head[:4])
    return next((what for pattern, what in _KNOWN.items() if pattern.match(start)), None)


def advise(head: list[str]) -> str:
    """Return what to do about lines in which no label was found, "" where it is not known."""
    lines = [line.strip() for line in head if line.strip()]
    for each in _SEPARATORS:
        if lines and lines[0].count(each) and len({line.count(each) for line in lines}) == 1:
            way = f"such as with sed 's/ *{each} */\\t/g' FILE > NEW.tsv, and give --text-column and --label-column"
            return f"; {each!r} seems to separate its cells: make it a tab, {way}"
    if len(lines) >= 5 and 2 * len({line.split()[0] for line in lines}) <= len(lines):
        return "; if lines begin with a label and a blank, make it a tab, such as with sed 's/ /\\t/' FILE > NEW.txt"
    return ""


def explain_json(text: str) -> str:
    """Return why some text may be no JSON, "" where it is not known."""
    return "; it is in Python's notation: write it with json.dumps" if _PYTHON.match(text) else ""
