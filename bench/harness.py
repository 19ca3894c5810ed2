"""How a figure comes about here.

Both sides run in one process, in turn, call by call, after a warm-up; what is reported is the median time of each side
and the median and quartiles of the ratios peer / textnn of neighbouring calls, which hold where single times drift.
Where there are several peers, each call of ours is followed by one of each, and the peer with the smallest median
counts. The largest difference between both sides' results is reported with the times.

Nothing else may run on the machine: threads that spin against another process make such figures wrong by 100 times.
"""

from __future__ import annotations

import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import textnn

Call = Callable[[], Sequence[torch.Tensor]]
RESULTS = Path(__file__).parent / "results"
console = Console(width=180)


@dataclass
class Row:
    """One case: times in milliseconds, ratio = peer / textnn (above 1: textnn is faster)."""

    group: str
    case: str
    ours_ms: float
    peer: str
    peer_ms: float
    ratio: float
    low: float
    high: float
    difference: float
    extra: dict[str, float] = field(default_factory=dict)


@dataclass
class Effort:
    """How long to measure each case."""

    seconds: float = 2.0
    least: int = 7
    most: int = 101


def compare(group: str, case: str, ours: Call, peers: Mapping[str, Call], effort: Effort) -> Row:
    """Measure one case.

    Parameters
    ----------
    group, case : str
        Where the row belongs and what it is called.
    ours, peers
        Functions without arguments that do the work once and return tensors to be compared.
    effort : Effort
    """
    calls = {"textnn": ours, **peers}
    # The warm-up also gives the results to compare.
    results = {name: [t.detach().clone() for t in call()] for name, call in calls.items()}
    begin = time.perf_counter()
    for call in calls.values():
        call()
    once = time.perf_counter() - begin
    repeats = max(effort.least, min(effort.most, int(effort.seconds / max(once, 1e-9))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(t) for name, t in times.items()}
    peer = min(peers, key=lambda name: medians[name])
    ratios = sorted(p / o for p, o in zip(times[peer], times["textnn"], strict=True))
    quarter = statistics.quantiles(ratios, n=4)
    difference = max(
        (float((a - b).abs().max()) for a, b in zip(results["textnn"], results[peer], strict=True) if a.numel()),
        default=0.0,
    )
    return Row(
        group,
        case,
        1e3 * medians["textnn"],
        peer,
        1e3 * medians[peer],
        statistics.median(ratios),
        quarter[0],
        quarter[2],
        difference,
    )


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else math.nan


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return {
        "CPU": cpu,
        "threads": str(torch.get_num_threads()),
        "instruction set": textnn.backends.cpu_capability(),
        "torch": torch.__version__,
        "textnn": textnn.__version__,
        "Python": platform.python_version(),
    }


def show(title: str, rows: Sequence[Row]) -> None:
    """Print a table of the rows."""
    table = Table(title=title, title_justify="left")
    for name in ("case", "textnn ms", "best peer", "peer ms", "ratio", "quartiles", "difference", *_extras(rows)):
        table.add_column(name, justify="left" if name in ("case", "best peer") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, _extras(rows)))
    console.print(table)
    console.print(_summary(rows))


def _extras(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.extra))


def _cells(row: Row, extras: Sequence[str]) -> list[str]:
    return [
        row.case,
        f"{row.ours_ms:.3g}",
        row.peer,
        f"{row.peer_ms:.3g}",
        f"{row.ratio:.2f}",
        f"{row.low:.2f} to {row.high:.2f}",
        "" if math.isnan(row.difference) else f"{row.difference:.0e}",
        *(f"{row.extra[name]:.3g}" if name in row.extra else "" for name in extras),
    ]


def _summary(rows: Sequence[Row]) -> str:
    ratios = [row.ratio for row in rows]
    return f"Geometric mean of the ratios {geometric_mean(ratios):.2f}, smallest {min(ratios):.2f}."


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows of one group as a Markdown table with its summary."""
    extras = _extras(rows)
    head = ["case", "textnn, ms", "best peer", "peer, ms", "ratio", "quartiles", "largest difference", *extras]
    lines = [
        "| " + " | ".join(head) + " |",
        "| --- | ---: | --- | ---: | ---: | --- | ---: |" + " ---: |" * len(extras),
    ]
    lines += ["| " + " | ".join(_cells(row, extras)) + " |" for row in rows]
    return "\n".join([*lines, "", _summary(rows)])


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.group, []).append(row)
    return found


def save(name: str, rows: Sequence[Row]) -> None:
    """Write the rows with the machine's data to bench/results/NAME.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False))


def load(name: str) -> list[Row]:
    """Read what :func:`save` wrote.

    Raises
    ------
    SystemExit
        If there is nothing, or it was measured on another machine or version.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise SystemExit(f"{path}: no results; run python -m bench {name} first")
    content = json.loads(path.read_text())
    if content["machine"] != machine():
        raise SystemExit(
            f"{path}: measured on {content['machine']}, this is {machine()}; run python -m bench {name} again"
        )
    return [Row(**row) for row in content["rows"]]


def plot(path: Path, rows: Sequence[Row], title: str) -> None:
    """Draw the ratios of all groups as bars; a line at 1 says where both sides are equal."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = groups(rows)
    height = 0.28 * len(rows) + 0.7 * len(found) + 0.6
    figure, axes = pyplot.subplots(
        len(found), 1, figsize=(8, height), height_ratios=[len(r) + 1 for r in found.values()], layout="constrained"
    )
    for axis, (group, members) in zip([axes] if len(found) == 1 else axes, found.items(), strict=True):
        names, ratios = [r.case for r in members][::-1], [r.ratio for r in members][::-1]
        colours = ["#2a7f62" if ratio >= 1 else "#b5482a" for ratio in ratios]
        errors = [
            [max(0.0, r.ratio - r.low) for r in members][::-1],
            [max(0.0, r.high - r.ratio) for r in members][::-1],
        ]
        axis.barh(names, ratios, color=colours, xerr=errors, error_kw={"lw": 0.8})
        axis.axvline(1, color="black", lw=0.8)
        axis.set_title(group, loc="left", fontsize=9)
        axis.tick_params(labelsize=7)
        for y, ratio in enumerate(ratios):
            axis.text(max(ratio, 1) * 1.08, y - 0.22, f"{ratio:.2f}", va="center", ha="left", fontsize=6)
        axis.set_xscale("log")
        axis.set_xlim(0.5, 1.6 * max(2.0, *(r.high for r in members)))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    figure.suptitle(f"{title}: time of plain PyTorch / time of textnn", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
