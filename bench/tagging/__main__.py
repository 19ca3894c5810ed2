"""The command; see the package."""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..harness import RESULTS, Effort, console, machine
from ..report import DOCS, show, write_part
from . import accuracy, page, speed, training

PAGE = DOCS / "tagging.md"


def keep(name: str, content: Any) -> None:
    """Write results with the machine's data."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "rows": content}, indent=1, ensure_ascii=False)
    (RESULTS / f"tagging-{name}.json").write_text(text, encoding="utf-8")


def kept(name: str) -> Any:
    """Read them; None if there are none."""
    path = RESULTS / f"tagging-{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def run() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tagging", description="Benchmarks of the tagger.")
    parser.add_argument("what", choices=["accuracy", "speed", "training", "page"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the corpora")
    parser.add_argument("--task", nargs="*", choices=accuracy.TASKS, default=list(accuracy.TASKS))
    parser.add_argument("--architecture", nargs="*", choices=accuracy.ARCHITECTURES, default=["bilstm-crf"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="time for each case of the training")
    parser.add_argument("--page", action="store_true", help="write the results into docs/tagging.md")
    options = parser.parse_args()
    if options.what == "accuracy":
        measure_accuracy(options)
    elif options.what == "speed":
        keep("speed", found := speed.run(options.data))
        for row in found:
            console.print(f"{row['name']:24} {row['characters a second']:12,.0f}")
    elif options.what == "training":
        rows = []
        for row in training.rows(options.data, Effort(options.seconds, least=3)):
            rows.append(row)
            show(row.group, [row])
        keep("training", [asdict(row) for row in rows])
    if options.page or options.what == "page":
        for name in ("accuracy", "speed", "training"):
            if (content := kept(name)) is not None:
                write_part(PAGE, f"bench/tagging {name}", page.WRITERS[name](content))


def measure_accuracy(options: argparse.Namespace) -> None:
    """Add runs to those that are kept, in the place of the same ones."""
    rows = {key(row): row for row in (kept("accuracy") or {"rows": []})["rows"]}
    for task in options.task:
        for row in accuracy.others(task, options.data):
            rows[key(row)] = row
            console.print(f"{task}: {row['name']} F1 {row['F1']:.4f}")
        for name in options.architecture:
            found = []
            for seed in range(options.seeds):
                row = accuracy.run(task, name, seed, options.data, {})
                rows[key(row)] = row
                found.append(row["F1"])
                console.print(f"{task}: {name}, seed {seed}: F1 {row['F1']:.4f}, {row['seconds']:.0f} s")
                keep("accuracy", list(rows.values()))
            console.print(f"{task}: {name}: mean {statistics.mean(found):.4f}")


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells runs apart."""
    return row["task"], row["name"], row.get("seed")


if __name__ == "__main__":
    run()
