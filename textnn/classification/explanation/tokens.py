"""Tokens in their text, and which of them each input of a network belongs to.

text -> tokens, their spans                                  what is shown
     -> ids of words, of characters, as the network reads them
     -> owners: the token of each id                         leads what is said of inputs back to tokens
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textnn.classification.explanation.alignment import Span, align
from textnn.text import Encoder, RaggedDataset, character_places


@dataclass(frozen=True, eq=False)
class TokenizedText:
    """A text as its reader sees it and as the network does.

    Attributes
    ----------
    text
        The text.
    tokens, spans
        All tokens and where they stand in the text: stop words, those that were cut off, and what is in no token but
        among the characters that the network reads.
    ids
        Of each form in which the network reads the text, int64 [L]; a single [PAD] where it has nothing in it.
    owners
        For each form the number of the token that each id belongs to, int64 [L], or [0] where there is nothing in it.
    places
        For each form where in the text each id comes from.
    """

    text: str
    tokens: list[str]
    spans: list[Span]
    ids: list[Tensor]
    owners: list[Tensor]
    places: list[list[Span]]

    @property
    def inputs(self) -> list[Tensor]:
        """What a network is called with for this text alone."""
        return [tensor for ids in self.ids for tensor in (ids, ids.new_zeros(1))]

    def to(self, device: torch.device) -> TokenizedText:
        """Return it with ids and owners on a device."""
        ids, owners = ([tensor.to(device) for tensor in tensors] for tensors in (self.ids, self.owners))
        return TokenizedText(self.text, self.tokens, self.spans, ids, owners, self.places)


class TextReader:
    """Reads texts as an encoder does, and remembers where everything stood.

    Parameters
    ----------
    encoder
        Of a classifier.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._stop_words = frozenset(encoder.tokenizer.stop_words)

    def __call__(self, text: str) -> TokenizedText:
        """Read a text."""
        encoder = self._encoder
        tokens = encoder.tokenizer.split(text)
        spans = align(text, tokens)
        kept = [number for number, token in enumerate(tokens) if token not in self._stop_words][: encoder.max_length]
        words = encoder.vocabulary.encode(tokens[number] for number in kept)
        owners, places, others = [kept], [[spans[number] for number in kept]], []
        if encoder.characters is not None:
            others = [encoder.characters.encode([text], encoder.max_characters)]
            read = character_places(text, encoder.characters.form)[: encoder.max_characters]
            tokens, spans, moved = _fill_gaps(text, tokens, spans)
            owners[0] = [moved[number] for number in kept]
            owner = _owners(text, spans)
            owners.append([owner[place] if end > place else owner[max(0, place - 1)] for place, end in read])
            places.append(read)
        inputs = RaggedDataset([words], others=others).whole().inputs
        numbers = [torch.tensor(numbers, dtype=torch.int64) for numbers in owners]
        return TokenizedText(text, tokens, spans, list(inputs[::2]), numbers, places)


def _fill_gaps(text: str, tokens: Sequence[str], spans: Sequence[Span]) -> tuple[list[str], list[Span], list[int]]:
    """Return tokens and spans with what is between them, but for white space, and the new number of each old one."""
    all_tokens: list[str] = []
    all_spans: list[Span] = []
    moved, place = [], 0

    def fill(end: int) -> None:
        gap = text[place:end]
        if word := gap.strip():
            start = place + len(gap) - len(gap.lstrip())
            all_tokens.append(word)
            all_spans.append((start, start + len(word)))

    for token, (start, end) in zip(tokens, spans, strict=True):
        fill(start)
        moved.append(len(all_tokens))
        all_tokens.append(token)
        all_spans.append((start, end))
        place = end
    fill(len(text))
    return all_tokens, all_spans, moved


def _owners(text: str, spans: Sequence[Span]) -> list[int]:
    """Return the number of the token that each character is in; of white space in none, that of the token before it."""
    owners = [0] * len(text)
    for number, (start, end) in enumerate(spans):
        following = spans[number + 1][0] if number + 1 < len(spans) else len(text)
        owners[start : max(end, following)] = [number] * (max(end, following) - start)
    return owners
