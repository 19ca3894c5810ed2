"""The command; see the package."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .. import harness
from ..harness import console, machine
from ..report import DOCS, write_part
from .contestants import CONTESTANTS, train_language_model
from .corpora import divide, draw
from .page import table

PAGE = DOCS / "pretraining.md"
SIZES = ("500", "1000", "5000", "all")


def kept() -> dict[str, Any]:
    """Read the results so far."""
    path = harness.RESULTS / "pretraining.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": []}


def keep(rows: list[dict[str, Any]]) -> None:
    """Write results with the machine's data."""
    harness.RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "rows": rows}, indent=1, ensure_ascii=False)
    (harness.RESULTS / "pretraining.json").write_text(text, encoding="utf-8")


def run(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pretraining", description="What a language model is worth.")
    parser.add_argument("file", type=Path, nargs="?", help="texts with labels, as textnn train reads them, or a ZIP")
    parser.add_argument("--model", type=Path, help="directory of the language model")
    parser.add_argument("--train", action="store_true", help="train the language model, and do nothing else")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), help="numbers of labels, or all")
    parser.add_argument("--draws", type=int, default=5, help="draws of so many labels")
    parser.add_argument("--only", nargs="*", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    parser.add_argument("--limit", type=int, help="take so many texts only, to try the program")
    parser.add_argument("--page", action="store_true", help="write the results into docs/pretraining.md")
    options = parser.parse_args(arguments)
    if options.file is not None:
        if options.model is None:
            raise SystemExit("--model: expected the directory of the language model")
        pool, test = divide(options.file, options.limit)
        console.print(f"{len(pool):,} texts to learn from, {len(test):,} to test with")
        if options.train:
            train_language_model(pool, options.model)
            return
        measure(pool, test, options)
    if options.page:
        write_part(PAGE, "bench/pretraining", table(kept()))


def measure(pool: Any, test: Any, options: argparse.Namespace) -> None:
    """Add what is missing to the results that are kept."""
    rows = kept()["rows"]
    for size in (None if size == "all" else int(size) for size in options.sizes):
        for number in range(options.draws):
            split = draw(pool, test, size, number)
            for name in options.only:
                key = {"name": name, "size": len(split.training) + len(split.validation), "draw": number}
                if any(key.items() <= row.items() for row in rows):
                    continue
                rows.append({**key, **CONTESTANTS[name](split, number, options.model)})
                keep(rows)
                row = rows[-1]
                console.print(f"{key['size']:,} labels, draw {number}, {name}: {100 * row['accuracy']:.2f} %")


if __name__ == "__main__":
    run()
