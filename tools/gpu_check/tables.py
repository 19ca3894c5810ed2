"""What the parts found, as tables for the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from tools.gpu_check.rows import Row
from tools.markdown import table

HALVES = ("float16", "bfloat16")
SIDES = ("textnn", "textnn, steps", "textnn, persistent", "padded", "packed")
FAILURES = 60  # that a page lists


def of_kind(rows: Iterable[Row], kind: str) -> list[Row]:
    """Return the rows of one kind."""
    return [row for row in rows if row["kind"] == kind]


def number(value: float | None) -> str:
    """Three figures."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def line(text: str) -> str:
    """One line that a table can hold."""
    return " ".join(text.split()).replace("|", "\\|")


def machine(rows: Sequence[Row]) -> str:
    """The facts of the machine, and the first kernel."""
    parts = [f"- {name}: {value}" for row in of_kind(rows, "machine") for name, value in row.items() if name != "kind"]
    for row in of_kind(rows, "first"):
        parts.append(f"- first LSTM: {row['seconds']} s, largest difference {row['difference']:.0e}")
    return "\n".join(parts)


def broken(rows: Sequence[Row]) -> str:
    """The measurements that ended their process."""
    return "\n".join(f"- {row['case']}: {line(row['message'])}" for row in of_kind(rows, "broken"))


def failures(rows: Sequence[Row]) -> str:
    """Each test that failed or crashed, with the last line of its message."""
    bad = [row for row in rows if row["kind"] == "test" and row["outcome"] in ("failed", "crashed")]
    lines = [f"- `{row['test']}` {row['outcome']}: {line(last(row['message']))}" for row in bad[:FAILURES]]
    if len(bad) > FAILURES:
        lines.append(f"- and {len(bad) - FAILURES} more, in results.json")
    return "\n".join(lines)


def last(message: str) -> str:
    """The line of a failure that says most: pytest's last one marked E, or the last of all."""
    lines = [text.strip() for text in message.splitlines() if text.strip()]
    errors = [text.removeprefix("E").strip() for text in lines if text.startswith("E ")]
    return (errors or lines or [""])[-1]


def sanitizers(rows: Sequence[Row]) -> str:
    """What each tool looked at and found."""
    found = of_kind(rows, "sanitizer")
    if not found:
        return ""
    parts = [
        table(
            {
                "tool": [row["tool"] for row in found],
                "cases checked": [str(len(row["checked"])) for row in found],
                "left out": [str(len(row["left"])) for row in found],
                "wrong results": [str(len(row["wrong"])) for row in found],
                "faults": [str(sum(row["faults"].values())) for row in found],
            },
            left=("tool",),
        )
    ]
    listed = [f"- {row['tool']}: {line(f)} ({n} times)" for row in found for f, n in row["faults"].items()]
    listed += [f"- {row['tool']}, {case}: {line(m)}" for row in found for case, m in row["wrong"].items()]
    listed += [f"- {row['tool']}: {line(row['trouble'])}" for row in found if row["trouble"]]
    listed += [f"- {row['tool']} left out: {', '.join(row['left'])}" for row in found if row["left"]]
    return "\n\n".join([*parts, "\n".join(listed)] if listed else parts)


def ceilings(rows: Sequence[Row]) -> str:
    """The device's limits."""
    lines: list[tuple[str, str, str]] = []
    for row in rows:
        if row["kind"] == "copy":
            lines.append((f"copy of {row['MiB']} MiB, read and written", number(row["TB/s"]), "TB/s"))
        elif row["kind"] == "product":
            lines.append((f"product {row['of']}, {row['size']} square", number(row["TFLOP/s"]), "TFLOP/s"))
        elif row["kind"] == "barrier":
            blocks = "" if row["of"] == "block" else f", {row['blocks']} blocks"
            lines.append(
                (f"barrier of the {row['of']}{blocks}, {row['threads']} threads each", number(row["us"]), "µs")
            )
    if not lines:
        return ""
    limit, value, unit = zip(*lines, strict=True)
    return table({"limit": limit, "measured": value, "unit": unit}, left=("limit", "unit"))


def lstm(rows: Sequence[Row]) -> str:
    """Microseconds a step of every case, a table for each T, input and direction of work."""
    found = of_kind(rows, "lstm")
    halves = {place(row): row["us"].get("padded") for row in found if row["precision"] == "float16"}

    def group(row: Row) -> tuple[Any, ...]:
        return row["T"], row["ragged"], row["train"]

    parts = []
    for (T, ragged, train), members in groupby(sorted(found, key=group), key=group):
        listed = list(members)
        columns = {"B, H, precision": [f"{row['B']}, {row['H']}, {row['precision']}" for row in listed]}
        for side in SIDES:
            columns[side] = [number(row["us"].get(side)) for row in listed]
        columns["padded float16"] = [number(halves.get(place(row))) for row in listed]
        columns["ratio"] = [number(ratio(row)) for row in listed]
        columns["largest difference"] = [difference(row) for row in listed]
        columns["note"] = [line("; ".join(f"{n}: {t}" for n, t in row["trouble"].items())) for row in listed]
        columns = {head: cells for head, cells in columns.items() if any(cells)}
        work = f"{'ragged' if ragged else 'dense'}, {'forward and backward' if train else 'forward'}"
        parts.append(f"**T = {T}, {work}**\n\n{table(columns, left=('B, H, precision', 'note'))}")
    return "\n\n".join(parts)


def place(row: Row) -> tuple[Any, ...]:
    """What a case has in common with the same case in another precision."""
    return tuple(row[name] for name in ("B", "T", "H", "train", "ragged"))


def peers(row: Row) -> dict[str, float]:
    """The times of the sides that are not textnn's."""
    return {name: us for name, us in row["us"].items() if not name.startswith("textnn")}


def ratio(row: Row) -> float | None:
    """The best peer's time divided by that of textnn as it chooses by itself."""
    ours, theirs = row["us"].get("textnn"), peers(row)
    return min(theirs.values()) / ours if ours and theirs else None


def difference(row: Row) -> str:
    """The largest difference of any side, textnn's forced forms included, from what textnn gives by itself."""
    known = [value for value in row["difference"].values() if value is not None]
    return f"{max(known):.0e}" if known else ""


def text_conv(rows: Sequence[Row]) -> str:
    """Microseconds a call."""
    found = of_kind(rows, "text_conv")
    if not found:
        return ""
    columns = {"case": [row["case"] for row in found]}
    for side in ("textnn", "Conv1d", "unfold"):
        columns[side] = [number(row["us"].get(side)) for row in found]
    columns["ratio"] = [number(ratio(row)) for row in found]
    columns["largest difference"] = [difference(row) for row in found]
    return table(columns, left=("case",))


def counters(rows: Sequence[Row]) -> str:
    """A column for each kernel."""
    found = of_kind(rows, "counters")
    if not found:
        return ""
    names = [name for name in found[0] if name not in ("kind", "case", "kernel")]
    columns = {"counter": names}
    for i, row in enumerate(found):
        columns[f"{line(row['kernel'].partition('(')[0])} {i + 1}"] = [row.get(name, "") for name in names]
    return f"{found[0]['case']}.\n\n{table(columns, left=('counter',))}"


def left_out(rows: Sequence[Row]) -> str:
    """The cases that there was no time for."""
    return "\n".join(f"- {row['of']}: {'; '.join(row['cases'])}" for row in of_kind(rows, "left out"))


# --- the targets, for a time step on an H100 ---


def spread(rows: Iterable[Row], of: Callable[[Row], float | None]) -> str:
    """The least and the most of some rows, and how many there are."""
    values = sorted(v for row in rows if (v := of(row)) is not None)
    if not values:
        return "–"
    return f"{number(values[0])} to {number(values[-1])} ({len(values)} cases)"


def targets(rows: Sequence[Row]) -> str:
    """The targets beside what was measured of textnn as it chooses by itself."""
    found = of_kind(rows, "lstm")

    def ours(row: Row) -> float | None:
        us: Mapping[str, float] = row["us"]
        return us.get("textnn")

    forward = [row for row in found if not row["train"] and not row["ragged"]]
    small = [row for row in forward if row["H"] <= 128]
    middle = [row for row in forward if row["H"] == 256 and row["precision"] in HALVES and row["B"] <= 64]
    large = [row for row in found if (row["B"], row["H"]) == (16, 768) and row["precision"] in HALVES]
    large = [row for row in large if row["T"] == 1024 and not row["ragged"]]
    wide = [row for row in found if row["H"] > 192 and (row["ragged"] or row["precision"] in ("float32", "bfloat16"))]
    both = " / ".join(spread([row for row in large if row["train"] == train], ours) for train in (False, True))
    lines = (
        ("H <= 128, µs", "cuDNN 0.7 to 2.7", "1.5", "0.8", spread(small, ours)),
        ("H = 256, 16 bit, B <= 64, µs", "cuDNN about 1.5 to 2", "2.5", "1.5", spread(middle, ours)),
        (
            "B = 16, H = 768, 16 bit, forward / with backward, µs",
            "cuDNN 1.96 / 5.07, FlashRNN 4.8 / 13.3, haste 18 / 43",
            "3 / 9",
            "2 / 5.5",
            both if large else "–",
        ),
        (
            "ragged, float32 or bfloat16 at H > 192, times faster than the best of nn.LSTM",
            "cuDNN leaves its persistent kernels: 9 to 26 µs",
            "2",
            "4",
            spread(wide, ratio),
        ),
    )
    case, others, good, excellent, measured = zip(*lines, strict=True)
    columns = {"case": case, "others": others, "good": good, "excellent": excellent, "measured": measured}
    return table(columns, left=("case", "others"))
