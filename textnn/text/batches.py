"""Ragged batches: from ids to what the layers read.

A batch holds its sentences one after the other, without padding (``nn.EmbeddingBag``'s convention):

    ids      [N]  17 4 9 | 3 | 8 8 2 5        N = 8 flat tokens
    offsets  [B]  0        3   4              B = 3 sentences; the last runs to the end

Other arrays go along: labels and weights, one value a sentence, and any number of arrays with one value a token.

A network may read the same sentences in more than one form, words and characters, say: a dataset then has others
beside it, with the same rows, and a batch has ids and offsets of each.

    ids -> RaggedDataset (one flat array a form) <- rows from LengthBucketSampler -> RaggedBatch
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice, pairwise

import torch
from torch import Tensor

from textnn.text.sampler import LengthBucketSampler
from textnn.text.vocabulary import Vocabulary

_AT_ONCE = 32  # batches that are gathered together: a dozen small operations for all of them, views for each

Ragged = tuple[Tensor, Tensor]
"""Flat ids [N], and offsets [B]: where each sentence begins."""


@dataclass(frozen=True, eq=False)
class RaggedBatch:
    """Some sentences of a dataset.

    Attributes
    ----------
    ids : Tensor
        Token ids of all sentences, int64 [N].
    offsets : Tensor
        Where each sentence begins in ``ids``, int64 [B].
    labels : Tensor or None
        Class of each sentence, int64 [B]; or for each class whether a sentence has it, float32 [B, classes]; or None.
    index : Tensor
        Row of each sentence in the dataset, int64 [B]: ``result[batch.index] = output`` undoes the sampler's order.
    weights : Tensor or None, default=None
        How much each sentence counts, float32 [B], or None where all count the same.
    others : tuple of (Tensor, Tensor), default=()
        Ids and offsets of the same sentences in other forms.
    aligned : dict of str to Tensor, default={}
        Arrays with a value for each token, [N, ...], by name: tags, say.

    Examples
    --------
    >>> batch = RaggedDataset([[17, 4, 9], [3], [8, 8]]).batch([2, 0])
    >>> batch.ids.tolist(), batch.offsets.tolist(), batch.lengths.tolist()
    ([8, 8, 17, 4, 9], [0, 2], [2, 3])
    """

    ids: Tensor
    offsets: Tensor
    labels: Tensor | None
    index: Tensor
    weights: Tensor | None = None
    others: tuple[Ragged, ...] = ()
    aligned: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of sentences, B."""
        return self.offsets.numel()

    @property
    def lengths(self) -> Tensor:
        """The number of tokens of each sentence, int64 [B]."""
        return torch.diff(self.offsets, append=self.offsets.new_tensor([self.ids.numel()]))

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a network is called with: ids and offsets, then those of the other forms."""
        return (self.ids, self.offsets, *(tensor for form in self.others for tensor in form))

    def to(self, device: torch.device | str) -> RaggedBatch:
        """Return the batch on a device."""

        def move(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device)

        others = tuple((ids.to(device), offsets.to(device)) for ids, offsets in self.others)
        ids, offsets, index = self.ids.to(device), self.offsets.to(device), self.index.to(device)
        aligned = {name: values.to(device) for name, values in self.aligned.items()}
        return RaggedBatch(ids, offsets, move(self.labels), index, move(self.weights), others, aligned)


class RaggedDataset:
    """Sentences as token ids, in one flat array.

    Parameters
    ----------
    sequences : iterable of sequence of int
        The ids of each sentence; read once, so a generator will do. An empty sentence becomes a single ``[PAD]``, so
        that every row has a token.
    labels : sequence of int or Tensor, optional
        Class of each sentence, integers from 0 [rows]; or for each class whether a sentence has it, floats
        [rows, classes].
    weights : sequence of float or Tensor, optional
        How much each sentence counts, [rows].
    others : sequence of RaggedDataset, default=()
        The same sentences in other forms, datasets of as many rows; their labels and weights are ignored.
    aligned : dict of str to Tensor, optional
        Arrays with a value for each token, [N, ...] in the order of the flat ids, by name.

    Attributes
    ----------
    lengths : Tensor
        Tokens of each row, int64 [rows].
    labels : Tensor or None
        int64 [rows], float32 [rows, classes] or None.
    weights : Tensor or None
        float32 [rows] or None.
    others : tuple of RaggedDataset
        As given.
    aligned : dict of str to Tensor
        As given.

    Raises
    ------
    TypeError
        If an id is not an integer.
    ValueError
        If an id is negative or above the 32-bit range, the number of labels, of weights or of rows of another form is
        not that of the sentences, or an aligned array has another length than the flat ids.

    Examples
    --------
    >>> dataset = RaggedDataset([[17, 4, 9], [], [8, 8]], labels=[1, 0, 1])
    >>> len(dataset), dataset.lengths.tolist()
    (3, [3, 1, 2])
    >>> dataset.whole().ids.tolist()
    [17, 4, 9, 0, 8, 8]
    """

    def __init__(
        self,
        sequences: Iterable[Sequence[int]],
        labels: Sequence[int] | Tensor | None = None,
        weights: Sequence[float] | Tensor | None = None,
        others: Sequence[RaggedDataset] = (),
        aligned: Mapping[str, Tensor] | None = None,
    ) -> None:
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
        self._set(_tensor(flat, torch.int32), _tensor(lengths, torch.int64), labels, weights, others, aligned)

    @classmethod
    def of_flat(
        cls,
        ids: Tensor,
        lengths: Tensor,
        labels: Sequence[int] | Tensor | None = None,
        weights: Sequence[float] | Tensor | None = None,
        others: Sequence[RaggedDataset] = (),
        aligned: Mapping[str, Tensor] | None = None,
    ) -> RaggedDataset:
        """Make a dataset of ids that are flat already; none of them is copied.

        Parameters
        ----------
        ids
            The ids of all sentences, int32 [N].
        lengths
            The number of ids of each, int64 [rows], each at least 1.
        labels, weights, others, aligned
            As for the class.

        Raises
        ------
        ValueError
            As for the class, and if the lengths do not fit the ids.
        """
        if int(lengths.sum()) != ids.numel() or (len(lengths) and int(lengths.min()) < 1):
            raise ValueError(
                f"lengths: expected numbers from 1 with the sum {ids.numel()}, got the sum {lengths.sum()}"
            )
        whole = cls.__new__(cls)
        whole._set(ids, lengths, labels, weights, others, aligned)
        return whole

    def _set(
        self,
        flat: Tensor,
        lengths: Tensor,
        labels: Sequence[int] | Tensor | None,
        weights: Sequence[float] | Tensor | None,
        others: Sequence[RaggedDataset],
        aligned: Mapping[str, Tensor] | None,
    ) -> None:
        self._flat, self.lengths, self.others, self.aligned = flat, lengths, tuple(others), dict(aligned or {})
        self._starts = lengths.cumsum(0) - lengths
        if flat.numel() and int(flat.min()) < 0:
            at = int((flat < 0).nonzero()[0])
            row = int(torch.searchsorted(self._starts, at, right=True)) - 1
            raise ValueError(f"sequences[{row}]: expected token ids from 0, got {int(flat[at])}")
        self.labels = None if labels is None else self._check_labels(torch.as_tensor(labels))
        self.weights: Tensor | None = None
        if weights is not None:
            self.weights = torch.as_tensor(weights, dtype=torch.float32)
            if self.weights.shape != (len(self),):
                shape = list(self.weights.shape)
                raise ValueError(f"weights: expected one for each of {len(self)} sequences, got the shape {shape}")
        for other in self.others:
            if len(other) != len(self):
                raise ValueError(f"others: expected {len(self)} rows as in the first form, got {len(other)}")
        for name, values in self.aligned.items():
            if values.dim() < 1 or len(values) != len(flat):
                shape = list(values.shape)
                raise ValueError(f"{name}: expected one value for each of {len(flat)} tokens, got the shape {shape}")

    def _check_labels(self, labels: Tensor) -> Tensor:
        if labels.dim() not in (1, 2) or len(labels) != len(self):
            shape = list(labels.shape)
            raise ValueError(f"labels: expected one for each of {len(self)} sequences, got the shape {shape}")
        if labels.dim() == 2:
            return labels.to(torch.float32)
        if labels.is_floating_point() and len(self):
            raise TypeError(f"labels: expected integers, got {labels.dtype}")
        return labels.to(torch.int64)

    def take(self, index: Tensor) -> RaggedDataset:
        """Return the dataset of some rows, int64 [rows]."""
        batch = self.batch(index)
        forms = ((batch.ids, batch.offsets), *batch.others)
        made = [
            RaggedDataset.of_flat(ids.to(torch.int32), torch.diff(starts, append=starts.new_tensor([len(ids)])))
            for ids, starts in forms
        ]
        whole = made[0]
        whole.labels, whole.weights, whole.others = batch.labels, batch.weights, tuple(made[1:])
        whole.aligned = dict(batch.aligned)
        return whole

    @classmethod
    def chained(cls, parts: Sequence[RaggedDataset]) -> RaggedDataset:
        """Put datasets one behind the other: all with labels or none, and so for weights, other forms and arrays."""
        others = [cls.chained(forms) for forms in zip(*(part.others for part in parts), strict=True)]
        aligned = {name: torch.cat([part.aligned[name] for part in parts]) for name in parts[0].aligned}
        labels, weights = (_chained(vectors) for vectors in zip(*((p.labels, p.weights) for p in parts), strict=True))
        flat, lengths = torch.cat([part._flat for part in parts]), torch.cat([part.lengths for part in parts])
        return cls.of_flat(flat, lengths, labels, weights, others, aligned)

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
        places, offsets = self._places(index)
        others = tuple(other._gather(index) for other in self.others)
        aligned = {name: values[places] for name, values in self.aligned.items()}
        ids, labels, weights = self._flat[places].to(torch.int64), _rows(self.labels, index), _rows(self.weights, index)
        return RaggedBatch(ids, offsets, labels, index, weights, others, aligned)

    def _gather(self, index: Tensor) -> Ragged:
        places, offsets = self._places(index)
        return self._flat[places].to(torch.int64), offsets

    def _places(self, index: Tensor) -> Ragged:
        """Where the tokens of rows stand in the flat array, [N], and the rows' offsets in a batch."""
        lengths = self.lengths[index]
        ends = lengths.cumsum(0)
        offsets = ends - lengths
        # Token n of sentence b stands at n - offsets[b] + starts[row of b] in the flat array.
        shift = torch.repeat_interleave(self._starts[index] - offsets, lengths)
        return torch.arange(shift.numel()) + shift, offsets

    def whole(self) -> RaggedBatch:
        """Put all rows into one batch, in their order."""
        forms = [(form._flat.to(torch.int64), form._starts) for form in (self, *self.others)]
        (ids, offsets), *others = forms
        index = torch.arange(len(self))
        return RaggedBatch(ids, offsets, self.labels, index, self.weights, tuple(others), self.aligned)

    def rows_to_train(self, batch_size: int, bucket: bool, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the rows of each batch of a pass in random order, those of similar lengths together if ``bucket``."""
        if bucket:
            return iter(LengthBucketSampler(self.lengths, batch_size, shuffle=True, generator=generator))
        return iter(torch.randperm(len(self), generator=generator).split(batch_size))

    def rows_in_order(self, batch_size: int) -> Iterator[Tensor]:
        """Yield the rows of each batch of a pass that measures, from the longest to the shortest."""
        return iter(LengthBucketSampler(self.lengths, batch_size, shuffle=False))

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
            forms = [_split(form, parts) for form in ((whole.ids, whole.offsets), *whole.others)]
            nothing: list[Tensor | None] = [None] * len(group)
            labels = nothing if whole.labels is None else whole.labels.split(parts)
            weights = nothing if whole.weights is None else whole.weights.split(parts)
            tokens = [len(ids) for ids, _ in forms[0]]
            cut = [values.split(tokens) for values in whole.aligned.values()]
            aligned = (
                [dict(zip(whole.aligned, values, strict=True)) for values in zip(*cut, strict=True)] if cut else []
            )
            columns = zip(labels, whole.index.split(parts), weights, zip(*forms, strict=True), strict=True)
            for number, (label, index, weight, ((ids, offsets), *others)) in enumerate(columns):
                yield RaggedBatch(ids, offsets, label, index, weight, tuple(others), aligned[number] if cut else {})


def _split(form: Ragged, parts: Sequence[int]) -> list[Ragged]:
    """Cut ids and offsets into those of batches with so many sentences each."""
    ids, offsets = form
    starts = torch.cat([offsets, offsets.new_tensor([ids.numel()])])
    bounds = starts[torch.tensor([0, *accumulate(parts)])].tolist()
    return [
        (ids[begin:end], part - begin)
        for part, (begin, end) in zip(offsets.split(parts), pairwise(bounds), strict=True)
    ]


def _chained(vectors: Sequence[Tensor | None]) -> Tensor | None:
    present = [vector for vector in vectors if vector is not None]
    return torch.cat(present) if len(present) == len(vectors) else None


def _rows(values: Tensor | None, index: Tensor) -> Tensor | None:
    return None if values is None else values[index]


def _tensor(values: array[int], dtype: torch.dtype) -> Tensor:
    """A tensor over an array's memory; torch keeps the array alive."""
    return torch.frombuffer(values, dtype=dtype) if values else torch.empty(0, dtype=dtype)
