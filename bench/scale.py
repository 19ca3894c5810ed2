"""Scoring at scale: rows a second of ``textnn predict`` on Parquet in some processes, and memory over many rows.

    python -m bench.scale --model DIRECTORY [--data FILE] [--rows N] [--rounds N] [--memory-rows N] [--page]

Texts are drawn from those of FILE (CSV or the like; without it, from generated words), each used many times and with a
number behind it, so that no two are the same. Every run is a command of its own, so that its start counts, too:

    the same rows as CSV -> textnn predict           one process and all its threads
    eight Parquet files  -> textnn predict --workers 1, 2, ...
    one Parquet file of --memory-rows rows -> one process, whose resident memory is read on the way

``--page`` writes the figures into docs/scale.md. It wants an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

from tools.markdown import replace_part, table

from .harness import RESULTS, machine

FILES = 8
PAGE = Path(__file__).parents[1] / "docs/scale.md"
BEGIN, END = "<!-- figures of bench/scale.py -->", "<!-- end of figures -->"
_LOOKS = 20  # at the memory


def source_texts(data: str | None) -> list[str]:
    """The texts of a file, or generated ones of 2 to 40 words."""
    if data is not None:
        from textnn.text import iter_records

        return [record.text for record in islice(iter_records(data), 20_000)]
    draw = random.Random(0)
    words = ["房间", "物流", "价格", "服务", "很好", "很差", "喜欢", "退货", "的", "了", "不错", "一般"]
    return [" ".join(draw.choices(words, k=draw.randint(2, 40))) for _ in range(5_000)]


def numbered(texts: Sequence[str], rows: range) -> Iterator[str]:
    """So many different texts."""
    return (f"{text} {row}" for row, text in zip(rows, cycle(texts), strict=False))


def write_parquet(path: Path, texts: Sequence[str], rows: range) -> None:
    """Write a file piece by piece, of any number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"id": pa.int64(), "text": pa.string()})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(rows.start, rows.stop, 100_000):
            part = range(start, min(start + 100_000, rows.stop))
            writer.write_table(pa.table({"id": part, "text": list(numbered(texts, part))}, schema=schema))


def run(model: str, *arguments: object) -> tuple[float, float]:
    """Run ``textnn predict``; return its wall-clock and its CPU seconds, those of its processes included."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "textnn", "predict", model, *map(str, arguments), "--quiet"]
    subprocess.run(command, check=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def speeds(model: str, texts: Sequence[str], rows: int, workers: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Measure each way in turn, some rounds; the median of each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        size = rows // FILES
        for number in range(FILES):
            write_parquet(folder / f"in/{number}.parquet", texts, range(number * size, (number + 1) * size))
        with (folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(chain([["text"]], ([text] for text in numbered(texts, range(size * FILES)))))
        ways: dict[str, Sequence[object]] = {"CSV, one process": [folder / "in.csv", "-o", folder / "out.csv"]}
        for number in workers:
            ways[f"Parquet, --workers {number}"] = [folder / "in", "-o", folder / "out", "--workers", number]
        taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, arguments in ways.items():
                taken[way].append(run(model, *arguments))
                for made in folder.glob("out*/*"):
                    made.unlink()  # else it would be there already
        return [
            {
                "way": way,
                "rows": size * FILES,
                "rows a second": size * FILES / statistics.median(wall for wall, _ in times),
                "CPU seconds a million": statistics.median(cpu for _, cpu in times) / (size * FILES) * 1e6,
            }
            for way, times in taken.items()
        ]


def memory(model: str, texts: Sequence[str], rows: int) -> list[tuple[int, float]]:
    """Return (rows, resident megabytes) on the way through one file, in this process."""
    from textnn.batch import Scorer
    from textnn.batch.files import Job, score_file

    looks: list[tuple[int, float]] = []
    done = 0
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "in.parquet"), Path(name, "out.parquet")
        write_parquet(source, texts, range(rows))

        def look(count: int) -> None:
            nonlocal done
            done += count
            if done >= rows * (len(looks) + 1) / _LOOKS:
                pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
                looks.append((done, pages * os.sysconf("SC_PAGE_SIZE") / 1e6))

        score_file(Scorer(model), Job(str(source), str(target), "{}"), look)
    return looks


def markdown(results: dict[str, Any]) -> str:
    """Return the figures as a part of the page."""
    ways, looks = results["speeds"], results["memory"]
    columns = {
        "way": [way["way"] for way in ways],
        "rows a second": [f"{way['rows a second']:,.0f}" for way in ways],
        "CPU seconds for a million rows": [f"{way['CPU seconds a million']:,.0f}" for way in ways],
    }
    facts = ", ".join(f"{name}: {value}" for name, value in results["machine"].items())
    quarter = looks[max(0, len(looks) // 4 - 1)][1]
    held = f"{quarter:,.0f} MB after a quarter of the rows and {looks[-1][1]:,.0f} MB at the end"
    return (
        f"{ways[0]['rows']:,} texts of {results['characters']:.0f} characters in the mean, starts included, the median "
        f"of {results['rounds']} rounds. {facts}.\n\n{table(columns, ['way'])}\n\n"
        f"One file of {looks[-1][0]:,} rows in one process: {held}, resident."
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data")
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--memory-rows", type=int, default=2_000_000)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    texts = source_texts(options.data)
    results = {
        "machine": machine(),
        "rounds": options.rounds,
        "characters": statistics.mean(map(len, texts)),
        "speeds": speeds(options.model, texts, options.rows, options.workers, options.rounds),
        "memory": memory(options.model, texts, options.memory_rows),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scale.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(markdown(results))
    if options.page:
        replace_part(PAGE, BEGIN, END, markdown(results))


if __name__ == "__main__":
    main()
