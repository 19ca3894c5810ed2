"""Raw texts -> what a tagger finds in them: entities with their places, or words.

text -> pieces -> tags -> spans -> Entity(start, end, type, text, confidence) | words
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from textnn.functional import crf_log_likelihood
from textnn.tagging.dictionary import Dictionary, forced_tags
from textnn.tagging.encoding import Tokens
from textnn.tagging.prediction import Array, Work, best_tags, rows_at_once, stream
from textnn.tagging.state import State
from textnn.tagging.texts import Piece, pieces
from textnn.text import RaggedBatch

_ROWS = 1 << 16
"""Tokens, about, of the copies of sentences that are worked on at once: there is one for each span."""


class Entity(NamedTuple):
    """Something that was found in a text.

    Attributes
    ----------
    start, end : int, int
        Its first character, and the one behind its last.
    type : str
        What it is; empty where spans have no types.
    text : str
        ``text[start:end]``.
    confidence : float
        The probability, under the model, that just this span is an entity of this type.

    Examples
    --------
    >>> entity = Entity(0, 3, "PER", "Ann", 0.9)
    >>> "Ann met Bob."[entity.start : entity.end]
    'Ann'
    """

    start: int
    end: int
    type: str
    text: str
    confidence: float


def entities(state: State, texts: Iterable[str]) -> Iterator[list[Entity]]:
    """Yield the entities of each text.

    Raises
    ------
    ValueError
        If the tags mark no spans.
    """
    check_entities(state)
    return _found(state, texts)


def check_entities(state: State) -> None:
    """Raise a ValueError unless a model's tags mark spans."""
    if state.tags.inner is None:
        raise ValueError(
            "entities: the tags of this model mark no spans, such as B-PER and I-PER do; predict gives them"
        )


def _found(state: State, texts: Iterable[str]) -> Iterator[list[Entity]]:
    for text, parts in _by_text(state, texts, _tags_and_confidence):
        found: list[Entity] = []
        for piece, rows in parts:
            numbers, chances = rows[:, 0].astype(np.int64), rows[:, 1]
            for span in state.tags.named(state.tags.spans(numbers)):
                start, end = piece.starts[span.start], piece.ends[span.end - 1]
                found.append(Entity(start, end, span.type, text[start:end], float(chances[span.start])))
        yield found


def _tags_and_confidence(state: State, emissions: Tensor, batch: RaggedBatch) -> Tensor:
    """Return tags and, at the beginning of each span, its probability, [N, 2]."""
    numbers = best_tags(state, emissions, batch)
    both = torch.zeros(len(numbers), 2, dtype=torch.float64)
    both[:, 0] = numbers
    flat = numbers.cpu().numpy()
    spans = state.tags.spans(flat)
    if len(spans.start):
        chances = span_chances(state, emissions, batch, spans.start, spans.end, numbers)
        both[torch.from_numpy(spans.start), 1] = chances.double().cpu()
    return both


def span_chances(
    state: State, emissions: Tensor, batch: RaggedBatch, starts: Array, ends: Array, numbers: Tensor
) -> Tensor:
    """Return the probability of each span: of all sequences of tags of its sentence that have these tags there.

    Parameters
    ----------
    emissions, batch
        [N, K], of some sentences.
    starts, ends
        Places of the spans in the batch, [S].
    numbers
        Tags of the batch, [N].
    """
    offsets, lengths = batch.offsets.cpu().numpy(), batch.lengths.cpu().numpy()
    sentence = np.searchsorted(offsets, starts, side="right") - 1
    sizes = lengths[sentence]
    part = (np.cumsum(sizes) - 1) // rows_at_once(_ROWS, emissions.shape[1])
    cuts = np.flatnonzero(np.diff(part)) + 1
    places = zip(*(np.split(each, cuts) for each in (starts, ends, offsets[sentence], sizes)), strict=True)
    return torch.cat([_chances(state, emissions, numbers, *each) for each in places])


def _chances(
    state: State, emissions: Tensor, numbers: Tensor, starts: Array, ends: Array, offsets: Array, sizes: Array
) -> Tensor:
    """Return the probability of each span, each with a copy of its sentence, from the first row on."""
    ahead = np.cumsum(sizes) - sizes
    rows = torch.from_numpy(np.arange(sizes.sum()) + np.repeat(offsets - ahead, sizes)).to(emissions.device)
    place = np.arange(sizes.sum()) - np.repeat(ahead, sizes)
    first = np.repeat(starts - offsets, sizes)
    last = np.repeat(ends - offsets, sizes)
    fixed = torch.from_numpy((place >= first) & (place < last)).to(emissions.device)
    K = emissions.shape[1]
    possible = torch.ones(len(rows), K, dtype=torch.bool, device=emissions.device)
    possible[fixed] = torch.nn.functional.one_hot(numbers[rows[fixed]], K).bool()
    copies = torch.from_numpy(ahead).to(emissions.device)
    scores = [score.to(emissions.dtype) for score in state.model.crf.scores()]
    return crf_log_likelihood(emissions[rows], possible, *scores, offsets=copies, reduction="none").exp().clamp(max=1.0)


def cut(state: State, texts: Iterable[str], dictionary: Dictionary | None = None) -> Iterator[list[tuple[str, str]]]:
    """Yield the words of each text, with their types; white space is in none.

    Raises
    ------
    ValueError
        If the model is none of word segmentation.
    """
    check_segmenter(state)
    return _cut(state, texts, dictionary)


def _cut(state: State, texts: Iterable[str], dictionary: Dictionary | None) -> Iterator[list[tuple[str, str]]]:
    work = best_tags if dictionary is None else forced_tags
    for text, parts in _by_text(state, texts, work, True, dictionary):
        words: list[tuple[str, str]] = []
        for piece, numbers in parts:
            if not piece.tokens:
                continue
            spans, begin = state.tags.spans(numbers), piece.starts[0]
            types = [state.tags.types[kind] for kind in spans.kind.tolist()]
            places = zip((spans.start + begin).tolist(), (spans.end + begin).tolist(), types, strict=True)
            words += [(text[start:end], kind) for start, end, kind in places]
        yield words


def tagged(state: State, texts: Iterable[str]) -> Iterator[list[tuple[str, str]]]:
    """Yield the tokens of each text with their tags, in the scheme of the training data; white space is none."""
    for _, parts in _by_text(state, texts, best_tags):
        pairs = (
            pair
            for piece, numbers in parts
            for pair in zip(piece.tokens, state.tags.decode(numbers.tolist()), strict=True)
        )
        yield [(token, tag) for token, tag in pairs if not token.isspace()]


def check_segmenter(state: State) -> None:
    """Raise a ValueError unless a model cuts texts into words."""
    if not state.is_segmenter:
        raise ValueError(
            "cut: this model does not cut text into words: it was trained on other tags than those of words"
        )


def _by_text(
    state: State, texts: Iterable[str], work: Work, words: bool = False, dictionary: Dictionary | None = None
) -> Iterator[tuple[str, list[tuple[Piece, Array]]]]:
    """Yield each text with its pieces and what ``work`` gives for each of them."""
    waiting: deque[tuple[str, list[Piece]] | None] = deque()

    def all_pieces() -> Iterator[Tokens]:
        for text in texts:
            # Something goes along for a text without a piece, too: so many texts wait at most as tokens are ahead.
            whole = None if dictionary is None else dictionary.find
            found = list(pieces(text, state.level, words, whole)) or [Piece("", (), ())]
            waiting.append((text, found))
            yield from (piece.tokens for piece in found)
        waiting.append(None)

    results = stream(state, all_pieces(), work, dictionary)
    result = next(results, None)
    while (each := waiting.popleft()) is not None:
        text, found = each
        parts: list[tuple[Piece, Array]] = []
        for piece in found:
            assert result is not None
            parts.append((piece, result))
            result = next(results, None)
        yield text, parts
