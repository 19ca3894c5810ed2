"""Training: steps of our tagger against those of a plain BiLSTM-CRF of PyTorch and pytorch-crf, on the same batches.

The plain one is what people write: embeddings of characters and of their pairs, ``nn.LSTM`` over padded or packed
sentences, a linear layer, pytorch-crf with its mask, Adam (fused; for the tables sparse gradients or dense ones). It
has the sizes, the dropout and the batches of ours, and no table of n-grams: ours is measured without it, and with it,
in float32 and in bfloat16.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from textnn.models.options import BFLOAT16, FLOAT32, TAGGING, chosen
from textnn.optim import Adam
from textnn.tagging.architectures import SEGMENTS, build_network, resolve_options
from textnn.tagging.encoding import CHAR, make_vocabularies
from textnn.tagging.fitting import count_pairs, encode
from textnn.tagging.intake import Tagged
from textnn.tagging.network import find_keys
from textnn.tagging.objective import TAGS, TaggingObjective
from textnn.tagging.segmented import tags_of_words
from textnn.tagging.state import State
from textnn.tagging.tags import TagSet
from textnn.tagging.windows import Windows, pair_keys
from textnn.text import LengthBucketSampler, RaggedBatch
from textnn.training.clipping import clip_gradients
from textnn.training.precision import forward

from ..harness import Effort, Row, compare, has_bfloat16, training_precisions
from .corpora import named_entities, newspaper

FORMS = {
    "padded, dense gradients": (False, False, False),
    "padded": (False, True, False),
    "packed": (True, True, False),
    "padded, autocast": (False, True, True),
}
"""Of the plain one: whether it packs, whether tables have sparse gradients, whether it multiplies bfloat16."""
OURS = (
    ("the same network", FLOAT32, False),
    ("the same network, in bfloat16", BFLOAT16, False),
    ("with the table of n-grams", FLOAT32, True),
    ("with the table of n-grams, in bfloat16", BFLOAT16, True),
)
"""Of ours: a name, what its products multiply, whether it has the table."""
CPU = torch.device("cpu")
BATCHES = 8
"""Of a call: steps on so many batches of different lengths."""


class Plain(nn.Module):
    """The plain BiLSTM-CRF."""

    def __init__(self, sizes: tuple[int, int], K: int, options: dict[str, Any], packed: bool, sparse: bool) -> None:
        super().__init__()
        crf = importlib.import_module("torchcrf").CRF
        D, P, H = options["embedding_dim"], options["bigram_dim"], options["hidden_size"]
        self.tokens = nn.Embedding(sizes[0], D, padding_idx=0, sparse=sparse)
        self.pairs = nn.Embedding(sizes[1] + 1, P, sparse=sparse)
        self.before, self.after = nn.Dropout(options["embedding_dropout"]), nn.Dropout(options["dropout"])
        self.lstm = nn.LSTM(D + 2 * P, H, options["num_layers"], batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * H, K)
        self.crf = crf(K, batch_first=True)
        self.packed = packed

    def forward(self, ids: Tensor, left: Tensor, right: Tensor, lengths: Tensor) -> Tensor:
        x = self.before(torch.cat([self.tokens(ids), self.pairs(left), self.pairs(right)], dim=2))
        if self.packed:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        else:
            x, _ = self.lstm(x)
        emissions: Tensor = self.output(self.after(x))
        return emissions


def plain_step(
    net: Plain, batches: list[tuple[Tensor, ...]], options: dict[str, Any], autocast: bool
) -> Callable[[], list[Tensor]]:
    """Return a function that makes a step on each batch."""
    tables = [p for p in (net.tokens.weight, net.pairs.weight) if net.tokens.sparse]
    dense = [p for p in net.parameters() if all(p is not table for table in tables)]
    optimizers: list[Any] = [torch.optim.Adam(dense, lr=options["learning_rate"], fused=True)]
    if tables:
        optimizers.append(torch.optim.SparseAdam(tables, lr=options["learning_rate"]))

    def call() -> list[Tensor]:
        for ids, left, right, lengths, tags, mask in batches:
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
                emissions = net(ids, left, right, lengths)
            loss = -net.crf(emissions.float(), tags, mask, reduction="token_mean")
            loss.backward()
            loss.item()
            torch.nn.utils.clip_grad_norm_(dense, options["clip_norm"])
            for optimizer in optimizers:
                optimizer.step()
        return []

    return call


def our_step(
    model: Any, tags: TagSet, batches: list[RaggedBatch], options: dict[str, Any], precision: str
) -> Callable[[], list[Tensor]]:
    """The same with ours, as the trainer makes a step, decoding for the accuracy of the epoch included."""
    tables = model.sparse_parameters()
    dense = [p for p in model.parameters() if all(p is not table for table in tables)]
    optimizer = Adam([{"params": dense}, {"params": tables}], lr=options["learning_rate"])
    objective = TaggingObjective(model.crf, tags)

    def call() -> list[Tensor]:
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            sums = objective.sums(forward(model, batch, precision, CPU), batch)
            loss = sums.loss / sums.weight
            loss.backward()
            loss.item()
            clip_gradients(model.parameters(), options["clip_norm"])
            optimizer.step()
        return []

    return call


def corpora(data: Path) -> Iterator[tuple[str, Tagged, str]]:
    """Yield name, sentences and scheme of what is trained on."""
    words = newspaper().words[:6000]
    pairs = [tags_of_words(each) for each in words]
    yield "words of a newspaper, 4 tags", Tagged([tokens for tokens, _ in pairs], [tags for _, tags in pairs]), "BMES"
    training, _ = named_entities(data)
    yield "named entities, 41 tags", Tagged(list(training.tokens), training.tags), "BIOES"


def rows(data: Path, effort: Effort) -> Iterator[Row]:
    torch.manual_seed(0)
    for name, sentences, scheme in corpora(data):
        tags = TagSet.of(sentences.tags, scheme)
        reads = SEGMENTS if tags.is_segmentation else CHAR
        options = resolve_options("bilstm-crf", dict.fromkeys(chosen(TAGGING)), reads)
        vocabulary, _ = make_vocabularies(sentences.tokens, CHAR, tags.is_segmentation, options["min_count"])
        none: Any = None
        whole = encode(State(CHAR, tags, vocabulary, None, None, none, options, 0, 0, [], 0), sentences)
        size = len(vocabulary)
        keys = count_pairs(whole, size, options["min_count"])
        generator = torch.Generator().manual_seed(0)
        sampler = LengthBucketSampler(whole.lengths, options["batch_size"], generator=generator)
        batches = [whole.batch(rows) for _, rows in zip(range(BATCHES), sampler, strict=False)]
        padded = [pad(batch, keys, size) for batch in batches]
        peers = {}
        for title, (packed, sparse, autocast) in FORMS.items():
            if autocast and not has_bfloat16():
                continue
            net = Plain((size, len(keys)), len(tags), options, packed, sparse)
            peers[title] = plain_step(net, padded, options, autocast)
        for title, precision, with_table in OURS:
            more = options["ngram_buckets"] if with_table else 0
            if precision not in training_precisions() or (with_table and not more):
                continue
            model = build_network("bilstm-crf", size, 0, len(keys), False, tags, {**options, "ngram_buckets": more})
            model.keys.copy_(keys)
            ours = our_step(model.train(), tags, batches, options, precision)
            row = compare(f"BiLSTM-CRF, {BATCHES} steps, {title}", name, ours, peers, effort)
            row.difference = math.nan  # dropout draws other numbers
            yield row


def pad(batch: RaggedBatch, keys: Tensor, size: int) -> tuple[Tensor, ...]:
    """Return ids, pairs, lengths, tags and mask of a batch as a padded one."""
    windows, lengths = Windows(batch.ids, batch.offsets), batch.lengths
    left = find_keys(keys, pair_keys(windows.at(-1), batch.ids, size))
    right = find_keys(keys, pair_keys(batch.ids, windows.at(1), size))
    parts = [batch.ids, left, right, batch.aligned[TAGS]]
    ids, left, right, tags = (pad_sequence(part.split(lengths.tolist()), batch_first=True) for part in parts)
    mask = torch.arange(ids.shape[1]) < lengths[:, None]
    return ids, left, right, lengths, tags, mask
