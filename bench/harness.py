"""How a figure comes about here.

Both sides run in one process, in turn, call by call, after a warm-up; what is reported is the median time of each side
and the median and quartiles of the ratios peer / textnn of neighbouring calls, which hold where single times drift.
Where there are several peers, each call of ours is followed by one of each, and the peer with the smallest median
counts. The largest difference between both sides' results is reported with the times.

The same peer is then compared with textnn on each lesser instruction set of the CPU, more briefly; the peer keeps its
own best. bench/report.py makes tables and plots of the rows.

Nothing else may run on the machine: threads that spin against another process make such figures wrong by 100 times.
"""

from __future__ import annotations

import json
import math
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

import textnn
from textnn import backends
from textnn.backends import has_bfloat16
from textnn.benchmark import Call, interleave
from textnn.files import atomic_text
from textnn.models.options import FLOAT32, PRECISIONS

RESULTS = Path(__file__).parent / "results"
SETS = {
    "base": "baseline",
    "dotprod": "SDOT",
    "avx2": "AVX2",
    "avx512": "AVX-512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX-BF16",
}
AUTOCAST = ", autocast"  # the end of a peer's name
console = Console(width=180)


def precisions(half: bool) -> list[bool]:
    """Return whether a peer runs under autocast: no and, beside textnn in bfloat16, yes where the CPU multiplies that.

    Elsewhere oneDNN refuses nn.LSTM under autocast, and torch's other layers take many times as long as in float32.
    """
    return [False, True] if half and has_bfloat16() else [False]


def training_precisions() -> tuple[str, ...]:
    """Return what textnn's trainings multiply: nothing but float32 where bfloat16 is not faster."""
    return PRECISIONS if has_bfloat16() else (FLOAT32,)


@dataclass
class Row:
    """One case: what each side took in ``unit``, ratio = peer / textnn (above 1: textnn is better).

    ``forced`` has the ratios with textnn held to lesser instruction sets, by their names in :data:`SETS`; ``peers``
    what each of several peers took; ``precision`` what the products of both sides multiply, where that is a question.
    """

    group: str
    case: str
    ours: float
    peer: str
    theirs: float
    ratio: float
    low: float
    high: float
    difference: float
    extra: dict[str, float] = field(default_factory=dict)
    unit: str = "ms"
    forced: dict[str, float] = field(default_factory=dict)
    peers: dict[str, float] = field(default_factory=dict)
    precision: str = ""
    peer_precision: str = ""

    def in_bfloat16(self) -> Row:
        """Return this row of a call under autocast, whose peers are named so where they run under it, too."""
        full = [took for name, took in self.peers.items() if not name.endswith(AUTOCAST)]
        self.precision, self.peer_precision = "bfloat16", "bfloat16" if self.peer.endswith(AUTOCAST) else "float32"
        self.peer = self.peer.removesuffix(AUTOCAST)
        self.extra["against float32"] = min(full) / self.ours
        return self


@dataclass(frozen=True)
class Effort:
    """How long to measure each case, and on which instruction sets besides the best."""

    seconds: float = 2.0
    least: int = 7
    most: int = 101
    sets: tuple[str, ...] = ()

    @property
    def limits(self) -> tuple[float, int, int]:
        return self.seconds, self.least, self.most

    def share(self, part: float) -> Effort:
        """Return a part of this effort, of at least three calls."""
        return replace(
            self,
            seconds=part * self.seconds,
            least=max(3, round(part * self.least)),
            most=max(3, round(part * self.most)),
        )


def lesser_sets() -> tuple[str, ...]:
    """Return the instruction sets that this CPU has below the one in use, the best first."""
    known = backends.supported_cpu_capabilities()
    return tuple(known[: known.index(backends.cpu_capability())][::-1])


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
    times, results = interleave({"textnn": ours, **peers}, *effort.limits)
    medians = {name: statistics.median(t) for name, t in times.items()}
    peer = min(peers, key=lambda name: medians[name])
    ratios = _ratios(times, peer)
    quarter = statistics.quantiles(ratios, n=4)
    differences, forced, brief = [_difference(results, peer)], {}, replace(effort.share(0.25), least=2)
    for name in effort.sets:
        with backends.use_cpu_capability(name):
            times, results = interleave({"textnn": ours, peer: peers[peer]}, *brief.limits)
        forced[SETS[name]] = statistics.median(_ratios(times, peer))
        differences.append(_difference(results, peer))
    return Row(
        group,
        case,
        1e3 * medians["textnn"],
        peer,
        1e3 * medians[peer],
        statistics.median(ratios),
        quarter[0],
        quarter[2],
        max(differences),
        forced=forced,
        peers={name: 1e3 * medians[name] for name in peers},
    )


def _ratios(times: Mapping[str, list[float]], peer: str) -> list[float]:
    return [p / o for p, o in zip(times[peer], times["textnn"], strict=True)]


def _difference(results: Mapping[str, list[Tensor]], peer: str) -> float:
    pairs = zip(results["textnn"], results[peer], strict=True)
    return max((float((a - b).abs().max()) for a, b in pairs if a.numel()), default=0.0)


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
        "instruction set": backends.cpu_capability(),
        "torch": torch.__version__,
        "textnn": textnn.__version__,
        "Python": platform.python_version(),
    }


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.group, []).append(row)
    return found


def keep(name: str, rows: Any) -> None:
    """Write results with the machine's data to bench/results/NAME.json; an interrupted write leaves the old ones."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with atomic_text(RESULTS / f"{name}.json") as file:
        file.write(json.dumps({"machine": machine(), "rows": rows}, indent=1, ensure_ascii=False))


def kept(name: str) -> Any:
    """Read what :func:`keep` wrote; None if it wrote nothing of this name."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def published(name: str) -> Any:
    """Read what a page is written from: what is kept, else what the repository has in bench/measured; else None.

    Measurements of hours are there, so that a page can be written again. None goes on with them: they are of another
    machine, and perhaps of other data.
    """
    path = RESULTS.with_name("measured") / f"{name}.json"
    found = kept(name)
    return json.loads(path.read_text(encoding="utf-8")) if found is None and path.exists() else found


def save(name: str, rows: Sequence[Row]) -> None:
    """Write the rows as :func:`keep` does."""
    keep(name, [asdict(row) for row in rows])


def load(name: str) -> list[Row]:
    """Read what :func:`save` wrote.

    Raises
    ------
    SystemExit
        If there is nothing, or it was measured on another machine or version.
    """
    path, content = RESULTS / f"{name}.json", kept(name)
    if content is None:
        raise SystemExit(f"{path}: no results; run python -m bench {name} first")
    if content["machine"] != machine():
        raise SystemExit(
            f"{path}: measured on {content['machine']}, this is {machine()}; run python -m bench {name} again"
        )
    return [Row(**row) for row in content["rows"]]
