"""From texts to translations, any number of them, in order, in constant memory.

    texts -> chunks -> ids -> batches of similar length -> ``search`` -> ids -> tokens -> text         (a thread each)

The network may write the unknown token where it met one that it does not know, a name say. It is then replaced by the
source token that the attention looked at most, of those that are unknown if there are any (Luong et al., "Addressing
the Rare Word Problem in Neural Machine Translation", 2015, with the attention in the place of their aligner).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from textnn.circumstances import plain_torch
from textnn.models.options import integer, number
from textnn.models.predictor import in_chunks, ordered
from textnn.text import RaggedDataset
from textnn.text.levels import END, TOKENIZER, UNKNOWN
from textnn.translation.encoding import piece
from textnn.translation.search import Request, search
from textnn.translation.state import State

CHUNK = 256
"""Texts that a thread takes at a time."""
_TOKENS = 1 << 11  # source tokens of a batch
_LOGITS = 1 << 24  # of a step at most


def check_request(beam: Any, length_penalty: Any, max_tokens: Any) -> Request:
    """Return how translations are to be searched for.

    Raises
    ------
    TypeError, ValueError
        If it makes no sense.
    """
    return Request(
        integer(1, 1000)("beam", beam),
        number(0, 10, below=False)("length_penalty", length_penalty),
        integer(1)("max_tokens", max_tokens),
    )


def translate_each(state: State, texts: Iterable[str], request: Request) -> Iterator[str]:
    """Yield the translation of each text; "" of a text without tokens."""

    def chunk(part: list[str]) -> list[str]:
        with plain_torch(), torch.inference_mode():
            return _translate(state, part, request)

    for results in ordered(chunk, in_chunks(texts, CHUNK), torch.get_num_threads()):
        yield from results


def _translate(state: State, texts: Sequence[str], request: Request) -> list[str]:
    tokens = list(state.encoder.reader.split_each(texts))
    full = [row for row, own in enumerate(tokens) if own]
    found = [""] * len(texts)
    if not full:
        return found
    reader, vocabulary = state.encoder.reader, state.source_vocabulary
    data = RaggedDataset(vocabulary.encode(map(reader.fold, tokens[row])) for row in full)
    rows = max(1, _LOGITS // (request.beam * len(state.target_vocabulary)))
    device = state.model.bias.device
    for batch in data.batches(_parts(data.lengths, rows)):
        batch = batch.to(device)
        ids = search(state.model, batch.ids, batch.offsets, request)
        for row, own in zip(batch.index.tolist(), ids, strict=True):
            found[full[row]] = text_of(state, tokens[full[row]], own)
    return found


def _parts(lengths: Tensor, rows: int) -> Sequence[Tensor]:
    """Return rows from the longest to the shortest, in batches of so many tokens, and so many rows at most."""
    order = lengths.argsort(descending=True, stable=True)
    number = lengths[order].cumsum(0).sub_(1).div_(_TOKENS, rounding_mode="floor")
    parts = order.split(number.unique_consecutive(return_counts=True)[1].tolist())
    return [part for several in parts for part in several.split(rows)]


def text_of(state: State, source: Sequence[str], ids: Sequence[int]) -> str:
    """Return the text of a translation, unknown tokens replaced by those of its source."""
    return "".join(_pieces(state, source, ids))


def tokens_of(state: State, source: Sequence[str], ids: Sequence[int]) -> list[str]:
    """Return the tokens of a translation as they are written, without the space before them."""
    return [token.strip() or token for token in _pieces(state, source, ids)]


def _pieces(state: State, source: Sequence[str], ids: Sequence[int]) -> list[str]:
    """Return what each token adds to the text of a translation."""
    splitter, tokens = state.target_splitter, state.target_vocabulary.decode(ids)
    places = _copied(state, source, ids) if UNKNOWN in ids else []
    text, last, pieces = "", "", []
    for place, (id_, token) in enumerate(zip(ids, tokens, strict=True)):
        if id_ == UNKNOWN:
            token = piece(splitter, source[places[place]], text)
        pieces.append((splitter.gap(last, token) if splitter.level == TOKENIZER else "") + token)
        text, last = text + pieces[-1], token
    return pieces


def _copied(state: State, source: Sequence[str], ids: Sequence[int]) -> list[int]:
    """Return which source token would be copied in the place of each target token."""
    weights = look(state, source, ids)
    reader = state.encoder.reader
    unknown = [id_ == UNKNOWN for id_ in state.source_vocabulary.encode(map(reader.fold, source))]
    if any(unknown):
        weights = weights.masked_fill(~torch.tensor(unknown, device=weights.device), -1.0)
    found: list[int] = weights.argmax(dim=1).tolist()
    return found


def look(state: State, source: Sequence[str], ids: Sequence[int]) -> Tensor:
    """Return the weights [N, S] that the attention gives each source token where each target token is written."""
    network, reader = state.model, state.encoder.reader
    device = network.bias.device
    with plain_torch(), torch.inference_mode():
        read = torch.tensor(state.source_vocabulary.encode(map(reader.fold, source)), device=device)
        written = torch.tensor([END, *ids[:-1]], device=device)
        start = written.new_zeros(1)
        memory, states = network.encode(read, start)
        _, h = network.read(written, start, memory, start, states)
        return network.weights(h, memory)
