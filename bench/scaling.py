"""How time and memory grow with each size of a layer, the others held fixed: a row a point, and plots of the curves.

    python -m bench.scaling [--data FILE] [--seconds S]

LSTM: (B, T, I=H, H), one layer. TextCNN: (B, L, D=C, C), kernel sizes 3, 4, 5; its tokens are those of real reviews
end to end, without padding; against V their ids are taken modulo V; against the share of distinct tokens in a batch
they are drawn at random so that the share comes out exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import textnn

from . import recurrent, reviews, text_conv
from .harness import Call, Effort, Row, compare
from .memory import Step, peak, row_of

Axes = dict[str, tuple[float, ...]]
LSTM_BASE = {"B": 32, "T": 50, "H": 128}
LSTM_AXES: Axes = {"B": (1, 4, 16, 64, 256), "T": (5, 20, 50, 100, 300), "H": (16, 32, 64, 128, 256, 512)}
CONV_BASE = {"B": 64, "L": 64, "C": 128}
CONV_SIZES = (3, 4, 5)
CONV_AXES: Axes = {
    "B": (1, 4, 16, 64, 256),
    "L": (8, 16, 32, 64, 128, 256),
    "C": (16, 32, 64, 128, 256),
    "V": (1000, 4000, 16000, 64000, 256000),
    "share": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
}
PEERS = ("Conv1d", "unfold")
LABELS = {
    "B": "batch B",
    "T": "time steps T",
    "H": "hidden units H (= inputs)",
    "L": "tokens L",
    "C": "channels C (= embedding D)",
    "V": "vocabulary V",
    "share": "share of distinct tokens",
}
WORK = {True: "forward and backward", False: "inference"}
COLOURS = {"textnn": "#2a7f62", "nn.LSTM": "#b5482a", "Conv1d": "#b5482a", "unfold": "#3b5ba5"}


def lstm_step(B: int, T: int, H: int, side: str, train: bool) -> Step:
    module = recurrent.pair(H, H, 1, 1)[side != "textnn"]
    x = torch.randn(T, B, H, requires_grad=train)
    if not train:
        return Step(recurrent.inference(module, x))
    return Step(recurrent.training(module, x, last=False), [x, *module.parameters()])


def conv_step(ids: np.ndarray, V: int, C: int, side: str, train: bool) -> Step:
    layer = textnn.EmbeddingTextConv(V, C, C, CONV_SIZES)
    module: nn.Module = text_conv.Ours(layer, None)
    if side != "textnn":
        module = text_conv.Peer(layer, text_conv.PEERS[side], None)
    tokens = torch.from_numpy(ids)
    torch.manual_seed(1)  # the same loss on all sides
    if not train:
        return Step(text_conv.inference(module, tokens))
    return Step(text_conv.training(module, tokens), list(module.parameters()))


def drawn(B: int, L: int, V: int, share: float) -> np.ndarray:
    """Ids [B, L] of which round(share * B * L) are distinct."""
    random = np.random.default_rng(0)
    distinct = random.choice(V, max(1, round(share * B * L)), replace=False)
    more = random.choice(distinct, B * L - len(distinct))
    return random.permutation(np.concatenate([distinct, more])).reshape(B, L).astype(np.int64)


def lstm_points(axes: Axes) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The name of each point and the arguments of its step."""
    for axis, values in axes.items():
        for value in values:
            size = {**LSTM_BASE, axis: int(value)}
            yield f"{axis}={value:g}", (size["B"], size["T"], size["H"])


def conv_points(axes: Axes, data: reviews.Reviews) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for axis, values in axes.items():
        for value in values:
            size = {**CONV_BASE, "V": data.V, axis: value}
            B, L, C, V = (int(size[name]) for name in ("B", "L", "C", "V"))
            ids = drawn(B, L, V, value) if axis == "share" else data.ids[: B * L].view(B, L).numpy() % V
            yield f"{axis}={value:.10g}", (ids, V, C)


def points(
    name: str, steps: Callable[..., Step], sides: Sequence[str], found: Iterator[tuple[str, tuple[Any, ...]]], e: Effort
) -> Iterator[Row]:
    """Time of inference and of training, and memory of training without its gradients."""
    for case, arguments in found:
        for train in (False, True):
            calls: dict[str, Call] = {}
            for side in sides:
                torch.manual_seed(0)  # the same weights on all sides
                calls[side] = steps(*arguments, side, train).call
            yield compare(f"{name}, scaling, {WORK[train]}", case, calls.pop("textnn"), calls, e)
        sizes = {side: peak(steps, *arguments, side, True).net for side in sides}
        yield row_of(f"{name}, scaling, training memory", case, sizes)


def rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    brief = replace(effort.share(0.2), sets=())
    yield from points("LSTM", lstm_step, ("textnn", "nn.LSTM"), lstm_points(LSTM_AXES), brief)
    data = reviews.load(data_path)
    yield from points("TextCNN", conv_step, ("textnn", *PEERS), conv_points(CONV_AXES, data), brief)


def curves(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return rows by the axis that their cases name."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.case.partition("=")[0], []).append(row)
    return found


def ends(found: Mapping[str, Sequence[Row]]) -> dict[str, list[str]]:
    """Return the columns of a table with the ratios at both ends of each curve of each group."""
    table: dict[str, list[str]] = {
        head: [] for head in ("group", "unit", "from", "first ratio", "to", "last ratio", "smallest ratio")
    }
    for group, members in found.items():
        for curve in curves(members).values():
            first, last, least = curve[0], curve[-1], min(row.ratio for row in curve)
            line = (group, first.unit, first.case, f"{first.ratio:.2f}", last.case, f"{last.ratio:.2f}", f"{least:.2f}")
            for cells, cell in zip(table.values(), line, strict=True):
                cells.append(cell)
    return table


def plot(path: Path, found: Mapping[str, Sequence[Row]], times: float) -> None:
    """Draw small multiples, a line of axes a group and a column a size, both scales logarithmic.

    A dotted line marks ``times`` what textnn needs.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator

    names = list(curves(next(iter(found.values()))))
    figure, all_axes = pyplot.subplots(
        len(found), len(names), figsize=(3 * len(names), 2.5 * len(found)), layout="constrained", squeeze=False
    )
    for line, (group, members) in zip(all_axes, found.items(), strict=True):
        for axes, (name, curve) in zip(line, curves(members).items(), strict=True):
            sizes = [float(row.case.partition("=")[2]) for row in curve]
            ours = [row.ours for row in curve]
            axes.plot(sizes, [times * y for y in ours], color="grey", ls=":", lw=0.8, label=f"{times:g} x textnn")
            for peer in curve[0].peers:
                values = [row.peers[peer] for row in curve]
                axes.plot(sizes, values, color=COLOURS[peer], marker="s", ms=3, lw=1, label=peer)
            axes.plot(sizes, ours, color=COLOURS["textnn"], marker="o", ms=3.5, lw=1.4, label="textnn")
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xticks(sizes, [f"{size:g}" if size < 10000 else f"{size / 1000:g}k" for size in sizes])
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.minorticks_off()
            axes.tick_params(labelsize=7)
            axes.grid(lw=0.3)
            axes.set_xlabel(LABELS[name], fontsize=8)
        line[0].set_ylabel(f"{group.rpartition(', ')[2]}, {members[0].unit}", fontsize=8)
    handles, labels = all_axes[0][0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper center", ncols=len(labels), fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    from .__main__ import run

    run(["scaling"])
