"""The command; see the package."""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path
from typing import Any

from ..harness import console, keep, kept, published
from ..report import DOCS, write_part
from .contestants import CONTESTANTS, PRETRAINED, train_language_model
from .corpora import divide, draw
from .page import table

PAGE = DOCS / "pretraining.md"
SIZES = ("500", "1000", "5000", "all")


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
        write_part(PAGE, "bench/pretraining", table(published("pretraining") or {"rows": []}))


def fingerprint(model: Path) -> str:
    """Return what tells a language model from another: a sum of its ``config.json``, which has those of all files.

    Raises
    ------
    SystemExit
        If there is no such file.
    """
    if not (model / "config.json").is_file():
        raise SystemExit(f"--model: expected the directory of a saved language model, got {model}; see --train")
    return f"{zlib.crc32((model / 'config.json').read_bytes()):08x}"


def measure(pool: Any, test: Any, options: argparse.Namespace) -> None:
    """Add what is missing to the results that are kept."""
    rows = (kept("pretraining") or {"rows": []})["rows"]
    model, data = fingerprint(options.model), f"{zlib.crc32(options.file.read_bytes()):08x}"
    for size in (None if size == "all" else int(size) for size in options.sizes):
        for number in range(options.draws):
            split = draw(pool, test, size, number)
            for name in options.only:
                key = {"name": name, "size": len(split.training) + len(split.validation), "draw": number}
                key |= {"limit": options.limit, "data": data, "model": model if name in PRETRAINED else None}
                older = {"limit": None, "data": data, "model": key["model"]}  # what older rows do not say
                if any(key.items() <= {**older, **row}.items() for row in rows):
                    continue
                rows.append({**key, **CONTESTANTS[name](split, number, options.model)})
                keep("pretraining", rows)
                row = rows[-1]
                console.print(f"{key['size']:,} labels, draw {number}, {name}: {100 * row['accuracy']:.2f} %")


if __name__ == "__main__":
    run()
