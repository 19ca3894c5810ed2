"""Ragged batches: from texts to what the layers read.

A batch holds its sentences one after the other, without padding (``nn.EmbeddingBag``'s convention):

    ids      [N]  17 4 9 | 3 | 8 8 2 5        N = 8 flat tokens
    offsets  [B]  0        3   4              B = 3 sentences; the last runs to the end

    texts -> tokenize -> ids -> RaggedDataset (one flat array) <- rows from LengthBucketSampler -> RaggedBatch

Sentences of similar length go into one batch: layers that work step by step then have little to wait for.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise

import torch
from torch import Tensor

from textnn.text.vocabulary import Vocabulary

WINDOW = 100
"""Batches among which sentences are sorted by length: enough for even batches, few enough to keep the order random."""

_REPORT_EVERY = 100
_AT_ONCE = 32  # batches that are gathered together: a dozen small operations for all of them, views for each


@dataclass(frozen=True, eq=False)
class RaggedBatch:
    """Some sentences of a dataset.

    Attributes
    ----------
    ids
        Token ids of all sentences, int64 [N].
    offsets
        Where each sentence begins in ``ids``, int64 [B].
    labels
        Class of each sentence, int64 [B], or None.
    index
        Row of each sentence in the dataset, int64 [B]: ``result[batch.index] = output`` undoes the sampler's order.
    """

    ids: Tensor
    offsets: Tensor
    labels: Tensor | None
    index: Tensor

    @property
    def size(self) -> int:
        """The number of sentences, B."""
        return self.offsets.numel()

    @property
    def lengths(self) -> Tensor:
        """The number of tokens of each sentence, int64 [B]."""
        return torch.diff(self.offsets, append=self.offsets.new_tensor([self.ids.numel()]))

    def to(self, device: torch.device | str) -> RaggedBatch:
        """Return the batch on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        return RaggedBatch(self.ids.to(device), self.offsets.to(device), labels, self.index.to(device))


class RaggedDataset:
    """Sentences as token ids, in one flat array.

    Parameters
    ----------
    sequences
        The ids of each sentence; read once, so a generator will do. An empty sentence becomes a single ``[PAD]``, so
        that every row has a token.
    labels
        Class of each sentence, integers from 0, or None.

    Attributes
    ----------
    lengths
        Tokens of each row, int64 [rows].
    labels
        int64 [rows] or None.

    Raises
    ------
    TypeError
        If an id is not an integer.
    ValueError
        If an id is negative or above the 32-bit range, or the number of labels is not that of the sentences.
    """

    def __init__(self, sequences: Iterable[Sequence[int]], labels: Sequence[int] | Tensor | None = None) -> None:
        flat, lengths = array("i"), array("q")
        for row, sequence in enumerate(sequences):
            before = len(flat)
            try:
                flat.extend(sequence)
            except (TypeError, OverflowError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"sequences[{row}]: expected token ids, integers from 0 to 2**31 - 1 ({error})") from error
            if len(flat) == before:
                flat.append(Vocabulary.PAD_ID)
            lengths.append(len(flat) - before)
        self._flat = _tensor(flat, torch.int32)
        self.lengths = _tensor(lengths, torch.int64)
        self._starts = self.lengths.cumsum(0) - self.lengths
        if len(flat) and int(self._flat.min()) < 0:
            at = int((self._flat < 0).nonzero()[0])
            row = int(torch.searchsorted(self._starts, at, right=True)) - 1
            raise ValueError(f"sequences[{row}]: expected token ids from 0, got {int(self._flat[at])}")
        self.labels: Tensor | None = None
        if labels is not None:
            self.labels = torch.as_tensor(labels)
            if self.labels.dim() != 1 or len(self.labels) != len(self):
                shape = list(self.labels.shape)
                raise ValueError(f"labels: expected one for each of {len(self)} sequences, got the shape {shape}")
            if self.labels.is_floating_point() and len(self):
                raise TypeError(f"labels: expected integers, got {self.labels.dtype}")
            self.labels = self.labels.to(torch.int64)

    @classmethod
    def joint(cls, parts: Sequence[RaggedDataset], places: Sequence[Tensor]) -> RaggedDataset:
        """Put datasets together.

        Parameters
        ----------
        parts
            Datasets that all have labels.
        places
            For each of them the row of the whole, int64 [rows], that each of its rows becomes; all places together
            are 0, 1, 2, ... in any order.
        """
        whole = cls([])
        place = torch.cat(list(places))
        ends = list(accumulate(part._flat.numel() for part in parts))
        starts = [part._starts + (end - part._flat.numel()) for part, end in zip(parts, ends, strict=True)]
        whole._flat = torch.cat([part._flat for part in parts])
        whole.lengths, whole._starts, whole.labels = (
            torch.empty_like(place).index_copy_(0, place, torch.cat(vectors))
            for vectors in ([part.lengths for part in parts], starts, [_labels(part) for part in parts])
        )
        return whole

    def __len__(self) -> int:
        return self.lengths.numel()

    def batch(self, index: Tensor | Sequence[int]) -> RaggedBatch:
        """Put rows into a batch, in the order of ``index``.

        Parameters
        ----------
        index
            Rows, int64 [B].

        Raises
        ------
        IndexError
            If a row is outside the dataset.
        """
        index = torch.as_tensor(index, dtype=torch.int64)
        if index.dim() != 1:
            raise ValueError(f"index: expected a vector of rows, got the shape {list(index.shape)}")
        if index.numel() and (int(index.min()) < 0 or int(index.max()) >= len(self)):
            low, high = int(index.min()), int(index.max())
            raise IndexError(f"index: expected rows from 0 to {len(self) - 1}, got rows from {low} to {high}")
        lengths = self.lengths[index]
        ends = lengths.cumsum(0)
        offsets = ends - lengths
        # Token n of sentence b stands at n - offsets[b] + starts[row of b] in the flat array.
        shift = torch.repeat_interleave(self._starts[index] - offsets, lengths)
        ids = self._flat[torch.arange(shift.numel()) + shift].to(torch.int64)
        return RaggedBatch(ids, offsets, None if self.labels is None else self.labels[index], index)

    def batches(self, rows: Iterable[Tensor]) -> Iterator[RaggedBatch]:
        """Yield the batch of each vector of rows, as :meth:`batch` makes it, at a small part of the cost.

        Parameters
        ----------
        rows
            Rows of each batch, int64 [B].

        Raises
        ------
        IndexError
            If a row is outside the dataset.
        """
        vectors = iter(rows)
        while group := list(islice(vectors, _AT_ONCE)):
            whole = self.batch(torch.cat(group))
            parts = [len(vector) for vector in group]
            starts = torch.cat([whole.offsets, whole.offsets.new_tensor([whole.ids.numel()])])
            bounds = starts[torch.tensor([0, *accumulate(parts)])].tolist()
            labels = [None] * len(group) if whole.labels is None else whole.labels.split(parts)
            columns = zip(whole.offsets.split(parts), labels, whole.index.split(parts), pairwise(bounds), strict=True)
            for offsets, label, index, (begin, end) in columns:
                yield RaggedBatch(whole.ids[begin:end], offsets - begin, label, index)


class LengthBucketSampler:
    """Rows for batches of sentences with similar lengths; every row comes exactly once a pass.

    Shuffled: rows in random order, sorted by length within windows of 100 batches, batches in random order. Otherwise:
    all rows from the longest to the shortest, so that memory is asked for once; ``RaggedBatch.index`` leads back to the
    original order.

    Parameters
    ----------
    lengths
        Tokens of each row, [rows].
    batch_size
        Rows of a batch; one batch has what remains.
    shuffle
        Whether the order is random, and new in each pass.
    generator
        Source of the random order, on the CPU; torch's global one if None. The same state gives the same passes.

    Raises
    ------
    ValueError
        If ``batch_size`` is below 1 or ``lengths`` is no vector.
    """

    def __init__(
        self,
        lengths: Tensor | Sequence[int],
        batch_size: int,
        shuffle: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        self._lengths = torch.as_tensor(lengths, dtype=torch.int64)
        if self._lengths.dim() != 1:
            raise ValueError(f"lengths: expected a vector, got the shape {list(self._lengths.shape)}")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-self._lengths.numel() // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the rows of each batch, int64 [at most batch_size]."""
        rows = self._lengths.numel()
        if not rows:
            return
        if not self.shuffle:
            yield from _parts(self._longest_first(torch.arange(rows)), self.batch_size)
            return
        order = torch.randperm(rows, generator=self.generator)
        # A window holds whole batches, so only the last batch of the last window may be smaller.
        windows = [self._longest_first(window) for window in _parts(order, self.batch_size * WINDOW)]
        batches = _parts(torch.cat(windows), self.batch_size)
        for number in torch.randperm(len(batches), generator=self.generator).tolist():
            yield batches[number]

    def _longest_first(self, rows: Tensor) -> Tensor:
        return rows[self._lengths[rows].argsort(descending=True, stable=True)]


def tokenize(
    texts: Iterable[str], tokenizer: Callable[[str], list[str]], progress: Callable[[int], None] | None = None
) -> Iterator[list[str]]:
    """Yield the tokens of each text.

    Equal tokens are one object, so that a corpus's lists of tokens can be kept: the vocabulary and the ids are both
    made from them, and tokenizing is the slow part.

    Parameters
    ----------
    texts
        The texts.
    tokenizer
        From a text to its tokens.
    progress
        Called now and then with the number of texts done since its last call.

    Raises
    ------
    TypeError
        If a text is not a string.
    """
    if isinstance(texts, str):
        raise TypeError("texts: expected a sequence of strings, got one string")
    return _tokenize(texts, tokenizer, progress)


def _tokenize(
    texts: Iterable[str], tokenizer: Callable[[str], list[str]], progress: Callable[[int], None] | None
) -> Iterator[list[str]]:
    known: dict[str, str] = {}
    waiting = 0
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}]: expected a string, got {type(text).__name__}")
        yield [known.setdefault(token, token) for token in tokenizer(text)]
        waiting += 1
        if progress is not None and waiting == _REPORT_EVERY:
            progress(waiting)
            waiting = 0
    if progress is not None and waiting:
        progress(waiting)


def encode_tokens(
    token_lists: Iterable[Sequence[str]],
    vocabulary: Vocabulary,
    max_length: int | None = None,
    labels: Sequence[int] | Tensor | None = None,
) -> RaggedDataset:
    """Make a dataset of texts that are tokens already.

    Parameters
    ----------
    token_lists
        The tokens of each text.
    vocabulary
        Gives the ids.
    max_length
        Tokens after this many are cut off; None keeps all.
    labels
        Class of each text, integers from 0, or None.

    Raises
    ------
    ValueError
        If ``max_length`` is below 1, or the number of labels is not that of the texts.
    """
    if max_length is not None and max_length < 1:
        raise ValueError(f"max_length: expected at least 1, got {max_length}")
    return RaggedDataset((vocabulary.encode(tokens[:max_length]) for tokens in token_lists), labels)


def encode(
    texts: Iterable[str],
    tokenizer: Callable[[str], list[str]],
    vocabulary: Vocabulary,
    max_length: int | None = None,
    labels: Sequence[int] | Tensor | None = None,
    progress: Callable[[int], None] | None = None,
) -> RaggedDataset:
    """Make a dataset of raw texts: :func:`tokenize`, then :func:`encode_tokens`.

    Raises
    ------
    TypeError
        If a text is not a string.
    ValueError
        If ``max_length`` is below 1, or the number of labels is not that of the texts.
    """
    return encode_tokens(tokenize(texts, tokenizer, progress), vocabulary, max_length, labels)


def _labels(data: RaggedDataset) -> Tensor:
    assert data.labels is not None
    return data.labels


def _parts(rows: Tensor, size: int) -> list[Tensor]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _tensor(values: array[int], dtype: torch.dtype) -> Tensor:
    """A tensor over an array's memory; torch keeps the array alive."""
    return torch.frombuffer(values, dtype=dtype) if values else torch.empty(0, dtype=dtype)
