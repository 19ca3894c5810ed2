"""Training steps of a translator against those of the same network in plain PyTorch, on the same batches.

A call trains on some pairs once, in the batches that the trainer of textnn would make of them, of similar lengths. The
peer is what people write, in its fastest form: ``nn.LSTM`` over packed sources, packed or padded targets, masked
attention by ``bmm``, a linear layer with the weights of the embedding, ``F.cross_entropy``, fused Adam, in float32 and
under autocast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from textnn.models.options import BFLOAT16
from textnn.optim import Adam
from textnn.text import RaggedDataset, Vocabulary
from textnn.text.levels import END, WORD, Splitter, count
from textnn.training.clipping import clip_gradients
from textnn.training.precision import forward
from textnn.translation.defaults import build_network, resolve_options
from textnn.translation.encoding import PairEncoder, SourceReader
from textnn.translation.objective import TranslationObjective

from ..harness import AUTOCAST, Effort, Row, compare, precisions, training_precisions
from . import plain
from .corpora import Corpus

PAIRS = 1024
"""Of a call."""
CASES = (("lstm", "general"), ("gru", "general"), ("rnn", "general"), ("lstm", None))
CPU = torch.device("cpu")
Pass = Callable[[], list[Tensor]]


class Data(NamedTuple):
    """Some of the pairs in batches, and what is known of all of them."""

    data: RaggedDataset
    batches: list[Tensor]
    sizes: tuple[int, int]
    share: float


def prepare(corpus: Corpus, options: dict[str, Any], number: int) -> Data:
    """Encode the pairs with the vocabularies of all of them, and take the first batches of an epoch."""
    sources, targets = corpus.training.pairs()
    splitter, reader = Splitter(WORD), SourceReader(Splitter(WORD), options["lowercase"])
    limits = options["min_count"], options["max_vocabulary"]
    vocabularies: tuple[Vocabulary, Vocabulary] = reader.count(sources, *limits), count(splitter, targets, *limits)
    encoder = PairEncoder(reader, vocabularies[0], splitter, vocabularies[1])
    data = encoder(sources, targets, options["max_length"])
    every = list(data.rows_to_train(options["batch_size"], options["bucket"], torch.Generator().manual_seed(0)))
    taken = every[: max(1, number // options["batch_size"])]
    share = sum(map(len, taken)) / len(data)
    return Data(data, taken, (len(vocabularies[0]), len(vocabularies[1])), share)


def our_pass(cell: str, attention: str | None, given: Data, options: dict[str, Any], precision: str) -> Pass:
    """Return a function that trains on the pairs once, as the trainer makes its steps."""
    model = build_network(cell, attention, *given.sizes, options).train()
    objective = TranslationObjective(model, options["label_smoothing"], precision)
    tables = model.sparse_parameters()
    dense = [p for p in model.parameters() if all(p is not table for table in tables)]
    groups = [{"params": group} for group in (dense, tables) if group]
    optimizer = Adam(groups, lr=options["learning_rate"])

    def call() -> list[Tensor]:
        for batch in given.data.batches(given.batches):
            optimizer.zero_grad(set_to_none=True)
            sums = objective.sums(forward(model, batch, precision, CPU), batch)
            loss = sums.loss / sums.weight
            loss.backward()
            loss.item()
            clip_gradients(model.parameters(), options["clip_norm"])
            optimizer.step()
        return []

    return call


def pairs_of(data: RaggedDataset, rows: Tensor) -> list[plain.Pair]:
    """Return the pairs of a batch as plain PyTorch takes them."""
    batch = data.batch(rows)
    (sources, offsets), mark = batch.others[0], torch.tensor([END])
    read = sources.tensor_split(offsets[1:])
    written = batch.ids.tensor_split(batch.offsets[1:])
    return [(source, torch.cat([target, mark])) for source, target in zip(read, written, strict=True)]


def plain_pass(
    cell: str, attention: str | None, given: Data, options: dict[str, Any], packed: bool, autocast: bool
) -> Pass:
    """Return the same of the plain network."""
    network = plain.PlainNetwork(cell, attention, *given.sizes, options, packed).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=options["learning_rate"], fused=True)
    batches: Sequence[Sequence[plain.Pair]] = [pairs_of(given.data, rows) for rows in given.batches]

    def call() -> list[Tensor]:
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
                loss, number = plain.losses(network, batch)
            loss = loss / number
            loss.backward()
            loss.item()
            nn.utils.clip_grad_norm_(network.parameters(), options["clip_norm"])
            optimizer.step()
        return []

    return call


def rows(corpus: Corpus, effort: Effort) -> Iterator[Row]:
    """Measure each case in both precisions; the peer in bfloat16 is the faster one of both."""
    torch.manual_seed(0)
    for cell, attention in CASES:
        options = resolve_options(cell, attention, {})
        given = prepare(corpus, options, PAIRS)
        for precision in training_precisions():
            peers = {
                ("packed" if packed else "padded") + (AUTOCAST if autocast else ""): plain_pass(
                    cell, attention, given, options, packed, autocast
                )
                for autocast in precisions(precision == BFLOAT16)
                for packed in (False, True)
            }
            ours = our_pass(cell, attention, given, options, precision)
            case = cell if attention is None else f"{cell}, attention"
            row = compare(f"A pass over {sum(map(len, given.batches)):,} pairs, {precision}", case, ours, peers, effort)
            row.difference = math.nan  # dropout draws other numbers
            row.extra |= {
                "textnn, s an epoch": row.ours / 1e3 / given.share,
                "peer, s an epoch": row.theirs / 1e3 / given.share,
            }
            yield row.in_bfloat16() if precision == BFLOAT16 else row
