"""What the readers of all formats share: which words are wanted, and the vectors of those that were found."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from textnn.reading import printable
from textnn.text.vocabulary import Vocabulary

LARGEST_DIM = 1 << 16  # what an embedding may have

# After so many vectors, and at the end, most words must have been UTF-8.
_SAMPLE = 1000


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors that a file has for the words of a vocabulary.

    Attributes
    ----------
    rows : Tensor
        Ids of the words that were found, int64 [n], in the order of the file, each once.
    values : Tensor
        Their vectors, float32 [n, D].
    lines : int
        The number of vectors in the file.
    wanted : int
        The number of words that were looked for: those of the vocabulary without its two special tokens.
    duplicates : int
        Vectors that were left out because their word, a wanted one, had been found before.
    undecodable : int
        Vectors that were left out because their word is not UTF-8, as where a tool cut a word within a character.
    promised : int or None
        The number of vectors that the header tells of; None without one.

    Examples
    --------
    >>> rows, values = torch.tensor([2]), torch.zeros(1, 300)
    >>> found = Vectors(rows, values, lines=10, wanted=4, duplicates=0, undecodable=0, promised=10)
    >>> found.dim, found.coverage
    (300, 0.25)
    """

    rows: Tensor
    values: Tensor
    lines: int
    wanted: int
    duplicates: int
    undecodable: int
    promised: int | None

    @property
    def dim(self) -> int:
        """The number of values of each vector, D."""
        return self.values.shape[1]

    @property
    def coverage(self) -> float:
        """The share of the wanted words that was found; 0 where none was wanted."""
        return len(self.rows) / self.wanted if self.wanted else 0.0


class Collector:
    """Keeps the vectors of wanted words.

    Parameters
    ----------
    name
        The file, for messages.
    vocabulary
        The wanted words.
    expected
        The D that the vectors must have; None takes any.
    unit
        What the file consists of, for messages: ``"line"``, ``"vector"``.

    Attributes
    ----------
    ids
        The id of each wanted word, which is given in UTF-8.
    dim
        D, once it is known; before, 0.
    promised
        The number of vectors that a header tells of; None without one.
    number
        The unit in work, from 1.
    vectors
        The vectors so far, wanted or not.
    """

    def __init__(self, name: str, vocabulary: Vocabulary, expected: int | None, unit: str) -> None:
        self.name, self.unit, self.number = name, unit, 0
        # Lone surrogates cannot be written in UTF-8, so no file has words with them.
        words = ((word.encode("utf-8", "replace"), word, row) for row, word in enumerate(vocabulary.tokens))
        self.ids = {key: row for key, word, row in words if row > Vocabulary.UNK_ID and key.decode() == word}
        self.dim, self.vectors = 0, 0
        self.promised: int | None = None
        self._expected, self._wanted = expected, max(0, len(vocabulary) - 2)
        self._found: dict[int, None] = {}
        self._values = array("f")
        self._duplicates = self._undecodable = 0

    def set_dim(self, dim: int) -> None:
        """Take D, which a header or the first vector tells."""
        if dim < 1:
            self.fail("expected a word and its values, or a header of count and dim, got no values (dim 0)")
        if dim > LARGEST_DIM:
            self.fail(f"expected vectors of dim {LARGEST_DIM:,} at most, got dim {dim:,}")
        if self._expected not in (None, dim):
            self.fail(f"expected vectors of dim {self._expected}, got dim {dim}")
        self.dim = dim

    def count(self, word: bytes) -> None:
        """Count a vector; its word, or the first piece of it, is looked at for its encoding alone."""
        self.vectors += 1
        if not word.isascii() and not is_utf8(word):
            self._undecodable += 1
        if self.vectors == _SAMPLE:
            self._check_encoding()

    def wants(self, word: bytes) -> bool:
        """Whether the vector of a word is to be kept; one that was found before is counted."""
        row = self.ids.get(word)
        if row in self._found:
            self._duplicates += 1
            return False
        return row is not None

    def keep(self, word: bytes, values: Sequence[float]) -> None:
        """Keep the D values of a word that :meth:`wants` told to."""
        self._values.extend(values)
        if not all(map(math.isfinite, self._values[-self.dim :])):
            self.fail(f"expected numbers that float32 can hold after {word.decode()!r}, got one that is too large")
        self._found[self.ids[word]] = None

    def finish(self) -> Vectors:
        """Return what was kept, after the end of the file."""
        if not self.vectors:
            below = " below the header" if self.dim else ""
            raise ValueError(f"{self.name}: expected word vectors, but there are none{below}; the file is empty")
        self._check_encoding()
        values = torch.frombuffer(self._values, dtype=torch.float32) if self._values else torch.empty(0)
        return Vectors(
            torch.tensor(list(self._found), dtype=torch.int64),
            values.view(len(self._found), self.dim),
            self.vectors,
            self._wanted,
            self._duplicates,
            self._undecodable,
            self.promised,
        )

    def _check_encoding(self) -> None:
        if self._undecodable > self.vectors / 2:
            raise ValueError(
                f"{self.name}: expected UTF-8 text, but {self._undecodable:,} of {self.vectors:,} words up to "
                f"{self.unit} {self.number} are not; convert the file"
            )

    def fail(self, message: str) -> NoReturn:
        """Raise the error of the unit in work."""
        raise ValueError(f"{self.name}, {self.unit} {self.number}: {printable(message)}")


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def shown(piece: bytes) -> str:
    """Return the begin of some bytes for a message."""
    return repr(piece[:40].decode("utf-8", "replace"))
