"""From texts to what a network reads.

    texts -> tokenize -> tokens -> vocabulary -> ids of words           --+
    texts -> split_characters -> their vocabulary -> ids of characters  --+-> RaggedDataset

``Encoder`` does all of it for texts that are to be classified; training, which makes the vocabularies first, takes the
steps one by one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor

from textnn.text.batches import RaggedDataset
from textnn.text.tokenizers import Tokenizer
from textnn.text.vocabulary import Vocabulary

_REPORT_EVERY = 100


def tokenize(
    texts: Iterable[str], tokenizer: Callable[[str], list[str]], progress: Callable[[int], None] | None = None
) -> Iterator[list[str]]:
    """Yield the tokens of each text.

    Equal tokens are one object, so that a corpus's lists of tokens can be kept: the vocabulary and the ids are both
    made from them, and tokenizing is the slow part.

    Parameters
    ----------
    texts : iterable of str
        The texts.
    tokenizer : callable
        From a text to its tokens. A :class:`Tokenizer` for which it pays is given many texts at a time.
    progress : callable, optional
        Called now and then with the number of texts done since its last call.

    Yields
    ------
    list of str

    Raises
    ------
    TypeError
        If a text is not a string.

    Examples
    --------
    >>> list(tokenize(["so it is", "so be it"], str.split))
    [['so', 'it', 'is'], ['so', 'be', 'it']]
    """
    if isinstance(texts, str):
        raise TypeError("texts: expected a sequence of strings, got one string")
    return _tokenize(texts, tokenizer, progress)


def _tokenize(
    texts: Iterable[str], tokenizer: Callable[[str], list[str]], progress: Callable[[int], None] | None
) -> Iterator[list[str]]:
    known: dict[str, str] = {}
    waiting = 0
    for tokens in _token_lists(_checked(texts), tokenizer):
        yield [known.setdefault(token, token) for token in tokens]
        waiting += 1
        if progress is not None and waiting == _REPORT_EVERY:
            progress(waiting)
            waiting = 0
    if progress is not None and waiting:
        progress(waiting)


def _checked(texts: Iterable[str]) -> Iterator[str]:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}]: expected a string, got {type(text).__name__}")
        yield text


def _token_lists(texts: Iterator[str], tokenizer: Callable[[str], list[str]]) -> Iterator[list[str]]:
    if not isinstance(tokenizer, Tokenizer) or tokenizer.at_once == 1:
        yield from map(tokenizer, texts)
        return
    while chunk := list(islice(texts, tokenizer.at_once)):
        yield from tokenizer.split_many(chunk)


def encode_tokens(
    token_lists: Iterable[Sequence[str]],
    vocabulary: Vocabulary,
    max_length: int | None = None,
    labels: Sequence[int] | Tensor | None = None,
) -> RaggedDataset:
    """Make a dataset of texts that are tokens already.

    Parameters
    ----------
    token_lists : iterable of sequences of str
        The tokens of each text.
    vocabulary : Vocabulary
        Gives the ids.
    max_length : int, optional
        Tokens after this many are cut off; None keeps all.
    labels : sequence of int or Tensor, optional
        Class of each text, integers from 0.

    Returns
    -------
    RaggedDataset

    Raises
    ------
    ValueError
        If ``max_length`` is below 1, or the number of labels is not that of the texts.

    Examples
    --------
    >>> lists = [["so", "it", "is"], ["so", "be", "it"]]
    >>> len(encode_tokens(lists, Vocabulary.build(lists), labels=[0, 1]))
    2
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

    Parameters
    ----------
    texts, tokenizer, progress : iterable of str, callable, callable
        As in :func:`tokenize`; ``progress`` is optional.
    vocabulary, max_length, labels : Vocabulary, int, sequence of int or Tensor
        As in :func:`encode_tokens`; the last two are optional.

    Returns
    -------
    RaggedDataset

    Raises
    ------
    TypeError
        If a text is not a string.
    ValueError
        If ``max_length`` is below 1, or the number of labels is not that of the texts.

    Examples
    --------
    >>> vocabulary = Vocabulary.build([["so", "it", "is"]])
    >>> len(encode(["so it is", "so be it"], str.split, vocabulary))
    2
    """
    return encode_tokens(tokenize(texts, tokenizer, progress), vocabulary, max_length, labels)


CHARACTER_FORMS = ("text", "words", "all")
"""What counts of a text's characters: all but white space; all, case folded, with a blank around each word; or all."""


def split_characters(text: str, form: str = "text") -> list[str]:
    """Return the characters of a text in one of the :data:`CHARACTER_FORMS`.

    Parameters
    ----------
    text : str
        The text.
    form : {"text", "words", "all"}, default="text"
        All but white space; or all, case folded, with a blank around each word; or all as they are.

    Returns
    -------
    list of str

    Raises
    ------
    TypeError
        If the text is not a string.

    Examples
    --------
    >>> "".join(split_characters("So  it is"))
    'Soitis'
    >>> "".join(split_characters("So  it is", "words"))
    ' so it is '
    """
    if form == "all":
        return list(text)
    if form == "words":
        return list(_in_words(text))
    return [character for character in text if not character.isspace()]


def character_places(text: str, form: str = "text") -> list[tuple[int, int]]:
    """Return where in the text each of its :func:`split_characters` comes from, as (start, end).

    Parameters
    ----------
    text, form : str, str
        As in :func:`split_characters`.

    Returns
    -------
    list of tuple of (int, int)

    Raises
    ------
    TypeError
        If the text is not a string.

    Examples
    --------
    >>> character_places("a  b")
    [(0, 1), (3, 4)]
    >>> character_places("a  b", "words")
    [(0, 0), (0, 1), (1, 3), (3, 4), (4, 4)]
    """
    if form == "all":
        return [(place, place + 1) for place in range(len(text))]
    places = [(place, place + 1) for place, character in enumerate(text) if not character.isspace()]
    if form == "text" or not places:
        return places
    found: list[tuple[int, int]] = []
    end = 0
    for start, after in places:
        if start > end or not found:  # white space, or the text's beginning
            found.append((end, start))
        found += [(start, after)] * len(text[start].casefold())
        end = after
    return [*found, (end, len(text))]


def _in_words(text: str) -> str:
    words = text.casefold().split()
    return f" {' '.join(words)} " if words else ""


class CharacterTable:
    """The id of every character there is, for texts that are encoded in bulk.

    Parameters
    ----------
    vocabulary : Vocabulary
        Of characters; longer tokens are of no effect.
    form : {"text", "words", "all"}, default="text"
        One of the :data:`CHARACTER_FORMS`.

    Examples
    --------
    >>> table = CharacterTable(Vocabulary.build([["s", "o"]]))
    >>> len(table.encode(["so it is", "so"]))
    2
    """

    _SPACE = -1
    _SPACES = tuple(code for code in range(0x3001) if chr(code).isspace())  # there are none beyond

    def __init__(self, vocabulary: Vocabulary, form: str = "text") -> None:
        self.form = form
        self._ids = np.full(0x110000, Vocabulary.UNK_ID, dtype=np.int32)
        for number, token in enumerate(vocabulary.tokens):
            if len(token) == 1:
                self._ids[ord(token)] = number
        if form == "text":
            self._ids[list(self._SPACES)] = self._SPACE

    def encode(
        self,
        texts: Sequence[str],
        max_length: int | None = None,
        labels: Sequence[int] | Tensor | None = None,
        weights: Sequence[float] | Tensor | None = None,
    ) -> RaggedDataset:
        """Return the ids of each text's characters: those that the vocabulary gives to its ``split_characters``.

        Parameters
        ----------
        texts
            The texts.
        max_length
            Characters after this many are cut off; None keeps all.
        labels, weights
            Of each text; see :class:`RaggedDataset`.
        """
        if self.form == "words":
            texts = [_in_words(text) for text in texts]
        joined = "".join(texts).encode("utf-32-le", "surrogatepass")
        ids = self._ids[np.frombuffer(joined, dtype=np.uint32) if joined else np.empty(0, dtype=np.uint32)]
        rows = np.repeat(np.arange(len(texts)), np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
        kept = ids != self._SPACE
        ids, rows = ids[kept], rows[kept]
        lengths = np.bincount(rows, minlength=len(texts))
        if max_length is not None and len(lengths) and lengths.max() > max_length:
            starts = np.cumsum(lengths) - lengths
            inside = np.arange(len(ids)) - starts[rows] < max_length
            ids, lengths = ids[inside], np.minimum(lengths, max_length)
        return _dataset(ids, lengths, labels, weights)


@dataclass(frozen=True, eq=False)
class Encoder:
    """All that turns texts into what a network reads.

    Attributes
    ----------
    tokenizer, vocabulary : Tokenizer, Vocabulary
        Give the ids of words.
    characters : CharacterTable, optional
        Gives those of characters; None for a network that does not read them.
    max_length, max_characters : int, int
        Words and characters of a text after this many are cut off; None, the default, keeps all.

    Examples
    --------
    >>> encoder = Encoder(make_tokenizer("whitespace"), Vocabulary.build([["so", "it", "is"]]))
    >>> len(encoder(["so it is", "so be it"]))
    2
    """

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    characters: CharacterTable | None = None
    max_length: int | None = None
    max_characters: int | None = None

    def __call__(self, texts: Sequence[str]) -> RaggedDataset:
        """Encode texts; a text without a word has a single ``[PAD]``.

        Raises
        ------
        TypeError
            If the tokenizer, a function of a user's, does not return strings.
        """
        lists = self.tokenizer.split_many(texts)
        if self.max_length is not None:
            lists = [tokens[: self.max_length] for tokens in lists]
        # An array takes a list of small integers several times faster than numpy does.
        flat = array("i", self.vocabulary.encode(chain.from_iterable(lists)))
        ids = np.frombuffer(flat, dtype=np.int32) if flat else np.empty(0, dtype=np.int32)
        lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        others = [] if self.characters is None else [self.characters.encode(texts, self.max_characters)]
        return _dataset(ids, lengths, others=others)


def _dataset(
    ids: np.ndarray[tuple[int], np.dtype[np.int32]],
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]],
    labels: Sequence[int] | Tensor | None = None,
    weights: Sequence[float] | Tensor | None = None,
    others: Sequence[RaggedDataset] = (),
) -> RaggedDataset:
    """Make a dataset of flat ids; an empty text gets a single [PAD]."""
    if len(lengths) and lengths.min() == 0:
        empty = np.flatnonzero(lengths == 0)
        ids = np.insert(ids, (np.cumsum(lengths) - lengths)[empty], Vocabulary.PAD_ID)
        lengths = np.maximum(lengths, 1)
    flat = torch.from_numpy(np.require(ids, requirements="W"))
    return RaggedDataset.of_flat(flat, torch.from_numpy(lengths), labels, weights, others)
