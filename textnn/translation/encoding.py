"""From pairs of texts to ids: sources as they are read, targets as they are written.

    source -> tokens, without the space before them, in lower case -> ids              RaggedDataset, the other form
    target -> tokens, as ``textnn.text.levels`` has them -> ids behind END, what follows each      RaggedDataset

A source is only read, so its tokens need not be joined again: "The" and " the" are the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from textnn.text import RaggedDataset, TokenCounts, Vocabulary
from textnn.text.levels import WORD, Splitter, TextEncoder, is_spaced
from textnn.text.streams import NEXT


class SourceReader:
    """Cuts sources into tokens.

    Parameters
    ----------
    splitter
        How texts are cut.
    lowercase
        Whether tokens are read in lower case.

    Examples
    --------
    >>> SourceReader(Splitter("word"), True).split("The dog ran."), SourceReader(Splitter("word"), True).fold("The")
    (['The', 'dog', 'ran', '.'], 'the')
    """

    def __init__(self, splitter: Splitter, lowercase: bool) -> None:
        self.splitter, self.lowercase = splitter, lowercase

    def split(self, text: str) -> list[str]:
        """Return the tokens of a text as they stand there."""
        return next(self.split_each([text]))

    def split_each(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Yield the tokens of each text as they stand there; at the level of words, white space is no token."""
        for tokens in self.splitter.split_each(texts):
            if self.splitter.level == WORD:
                yield [word for token in tokens if (word := token.strip())]
            else:
                yield list(tokens)

    def fold(self, token: str) -> str:
        """Return a token as it is looked up."""
        return token.lower() if self.lowercase else token

    def count(self, texts: Iterable[str], min_count: int, max_size: int | None) -> Vocabulary:
        """Return the vocabulary of some texts."""
        counts = TokenCounts()
        for tokens in self.split_each(texts):
            counts.counts.update(map(self.fold, tokens))
        return Vocabulary.from_counts(counts, min_count, max_size)


class PairEncoder:
    """Gives the tokens of both sides their ids.

    Parameters
    ----------
    reader, source
        How sources are cut, and their vocabulary.
    splitter, target
        How targets are cut, and their vocabulary.
    """

    def __init__(self, reader: SourceReader, source: Vocabulary, splitter: Splitter, target: Vocabulary) -> None:
        self.reader, self.source, self.target = reader, source, target
        self._targets = TextEncoder(splitter, target)

    def sources(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the ids of each source."""
        return [self.source.encode(map(self.reader.fold, tokens)) for tokens in self.reader.split_each(texts)]

    def targets(self, texts: Iterable[str]) -> list[Tensor]:
        """Return the ids of each target behind END, int32."""
        ids, lengths = self._targets(texts)
        return list(ids.split(lengths.tolist()))

    def __call__(self, sources: Sequence[str], targets: Sequence[str], longest: int | None = None) -> RaggedDataset:
        """Return the pairs that have a token on either side, and none more than ``longest``, as a data set."""
        read, written = self.sources(sources), self.targets(targets)
        most = np.inf if longest is None else longest
        kept = [row for row, ids in enumerate(read) if 1 <= len(ids) <= most and 2 <= len(written[row]) <= most + 1]
        lengths = torch.tensor([len(written[row]) for row in kept], dtype=torch.int64)
        ids = torch.cat([written[row] for row in kept]) if kept else torch.zeros(0, dtype=torch.int32)
        # The mark before a target is also what follows the one before it.
        follows = ids.roll(-1)
        return RaggedDataset.of_flat(
            ids, lengths, others=(RaggedDataset(read[row] for row in kept),), aligned={NEXT: follows}
        )


_BEFORE_A_SPACE = ",.;:!?)]}%"


def piece(target: Splitter, token: str, before: str) -> str:
    """Return a token that is copied from a source as one of a target, behind the text before it."""
    if target.level != WORD or not before or not token or not is_spaced(token[0]):
        return token
    return f" {token}" if is_spaced(before[-1]) or before[-1] in _BEFORE_A_SPACE else token
