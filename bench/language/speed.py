"""Training steps of a language model against those of the same network in plain PyTorch, on the same verses.

A call trains on all of some verses once: textnn on windows of parallel streams, the peer on batches of verses of about
the same length, with as many tokens a batch. The peer is what people write, in its fastest form: ``nn.LSTM`` over
padded or packed verses, a linear layer with the embedding's weights, ``F.cross_entropy``, fused Adam, in float32 and
under autocast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from textnn.language.defaults import build_network, resolve_options
from textnn.language.objective import LanguageObjective
from textnn.models.options import BFLOAT16, FLOAT32
from textnn.optim import Adam
from textnn.text import TokenStreams
from textnn.training.clipping import clip_gradients
from textnn.training.precision import forward

from ..harness import AUTOCAST, Effort, Row, compare, precisions, training_precisions
from ..peak import matrix_product_peak
from . import plain
from .corpora import Coder, Verses

VERSES = 2000
"""Of a call."""
CPU = torch.device("cpu")
Pass = Callable[[], list[Tensor]]


def our_pass(cell: str, rows: Sequence[Tensor], vocabulary_size: int, options: dict[str, Any], precision: str) -> Pass:
    """Return a function that trains on all rows once, as the trainer makes its steps."""
    model = build_network(cell, vocabulary_size, options).train()
    ids, lengths = torch.cat([row[:-1] for row in rows]).int(), torch.tensor([len(row) - 1 for row in rows])
    streams = TokenStreams(ids, lengths, options["batch_size"], options["window"], options["shuffle"])
    model.streams = streams.streams
    objective = LanguageObjective(model, precision)
    tables = model.sparse_parameters()
    dense = [p for p in model.parameters() if all(p is not table for table in tables)]
    groups = [{"params": group} for group in (dense, tables) if group]
    optimizer, generator = Adam(groups, lr=options["learning_rate"]), torch.Generator().manual_seed(0)

    def call() -> list[Tensor]:
        model.begin_pass()
        for part in streams.rows_to_train(options["batch_size"], False, generator):
            batch = streams.batch(part)
            optimizer.zero_grad(set_to_none=True)
            sums = objective.sums(forward(model, batch, precision, CPU), batch)
            loss = sums.loss / sums.weight
            loss.backward()
            loss.item()
            clip_gradients(model.parameters(), options["clip_norm"])
            optimizer.step()
        return []

    return call


def plain_pass(
    cell: str, rows: Sequence[Tensor], vocabulary_size: int, options: dict[str, Any], packed: bool, autocast: bool
) -> Pass:
    """Return the same of the plain network."""
    network = plain.PlainNetwork(vocabulary_size, options, cell, packed).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=options["learning_rate"], fused=True)
    size = plain.verses_a_step(rows, options)
    ordered = sorted(rows, key=len)
    batches = [ordered[first : first + size] for first in range(0, len(ordered), size)]

    def call() -> list[Tensor]:
        for part in torch.randperm(len(batches)).tolist():
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
                loss, number = plain.losses(network, batches[part])
            loss = loss / number
            loss.backward()
            loss.item()
            nn.utils.clip_grad_norm_(network.parameters(), options["clip_norm"])
            optimizer.step()
        return []

    return call


def operations(network: nn.Module, tokens: int) -> float:
    """Return the multiplications and additions of the products of a pass: three of each matrix for each token."""
    return 3 * 2 * tokens * sum(p.numel() for p in network.parameters() if p.dim() == 2)


def rows(data: Verses, effort: Effort) -> Iterator[Row]:
    """Measure each cell in both precisions; the peer in bfloat16 is the faster one of both."""
    torch.manual_seed(0)
    coder = Coder(data.training)
    texts = coder.rows(data.training[:VERSES])
    size, tokens = len(coder.vocabulary), sum(len(row) - 1 for row in texts)
    peaks = {FLOAT32: matrix_product_peak(), BFLOAT16: matrix_product_peak(torch.bfloat16)}
    for cell in plain.LAYERS:
        options = resolve_options(cell, {})
        for precision in training_precisions():
            peers = {
                ("packed" if packed else "padded") + (AUTOCAST if autocast else ""): plain_pass(
                    cell, texts, size, options, packed, autocast
                )
                for autocast in precisions(precision == BFLOAT16)
                for packed in (False, True)
            }
            ours = our_pass(cell, texts, size, options, precision)
            row = compare(f"A pass over {len(texts):,} verses, {precision}", cell, ours, peers, effort)
            row.difference = math.nan  # other windows, and dropout draws other numbers
            rate = operations(build_network(cell, size, options), tokens) / row.ours / 1e6
            row.extra = {"GFLOP/s": rate, "of the peak": rate / peaks[precision]}
            yield row.in_bfloat16() if precision == BFLOAT16 else row
