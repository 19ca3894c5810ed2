"""What the blocks of docs/tutorial-classifier.md print: runs them in order, and writes their outputs into the page.

    python -m bench.walkthrough [--write]

page -> blocks of Python in one program -> what each prints -> the block of text behind it
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .harness import console

PAGE = Path(__file__).parents[1] / "docs/tutorial-classifier.md"
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def run(page: str) -> Iterator[tuple[re.Match[str], str, dict[str, Any]]]:
    """Run the blocks in the current directory; give each with what it printed and the names defined by then."""
    names: dict[str, Any] = {"__name__": "walkthrough"}
    for block in BLOCK.finditer(page):
        code = "\n" * page.count("\n", 0, block.start("code")) + block["code"]  # tracebacks name the line of the page
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, str(PAGE), "exec"), names)
        yield block, printed.getvalue(), names


def written(page: str) -> str:
    """Return the page with the outputs of its blocks as they are now."""
    parts, end = [], 0
    for block, printed, _ in run(page):
        console.print(printed, end="", markup=False, highlight=False)
        if block["output"] is not None:
            parts += [page[end : block.start("output")], printed]
            end = block.end("output")
    return "".join([*parts, page[end:]])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.walkthrough", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the outputs into the page")
    options = parser.parse_args()
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the page saves a model
        try:
            page = written(PAGE.read_text(encoding="utf-8"))
        finally:
            os.chdir(before)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
