"""The vocabulary: which token has which id.

An embedding table has one row a token; this class fixes the order of the rows. It is made once, from the training
texts, by falling frequency, and saved with every model:

    lists of tokens -> count -> [PAD], [UNK], most frequent, ... -> encode texts as ids -> rows of the table

Row 0 is the padding and row 1 stands for every token that is not listed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence

from textnn.text.wordlist import load_words, parse_words, save_words


class TokenCounts:
    """How often each token occurs in some texts.

    Attributes
    ----------
    counts : Counter of str
        Occurrences of each token, in the order of first appearance.

    Examples
    --------
    >>> counts = TokenCounts()
    >>> counts.add(0, ["很", "好"])
    >>> counts.add(1, ["很", "差"])
    >>> dict(counts.counts)
    {'很': 2, '好': 1, '差': 1}
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, number: int, tokens: Iterable[str]) -> None:
        """Count the tokens of a text of this number.

        Raises
        ------
        TypeError
            If the text is a string instead of a list of tokens.
        """
        if isinstance(tokens, str):
            raise TypeError(f"token_lists[{number}]: expected a list of tokens, got one string")
        self.counts.update(tokens)


class Vocabulary:
    """Tokens and their ids.

    Parameters
    ----------
    tokens : sequence of str
        All tokens in the order of their ids, each once; the first two are ``"[PAD]"`` and ``"[UNK]"``.

    Raises
    ------
    TypeError
        If a token is not a string.
    ValueError
        If the first two tokens are others, or a token occurs twice.

    Examples
    --------
    >>> vocabulary = Vocabulary.build([["很", "好"], ["很", "差"]])
    >>> vocabulary.tokens
    ['[PAD]', '[UNK]', '很', '好', '差']
    >>> vocabulary.encode(["很", "新"])
    [2, 1]
    """

    PAD = "[PAD]"
    UNK = "[UNK]"
    PAD_ID = 0
    UNK_ID = 1

    def __init__(self, tokens: Sequence[str]) -> None:
        if isinstance(tokens, str):
            raise TypeError("tokens: expected a sequence of strings, got one string")
        self._tokens = list(tokens)
        self._ids: dict[str, int] = {}
        for position, token in enumerate(self._tokens):
            if not isinstance(token, str):
                raise TypeError(f"tokens[{position}]: expected a string, got {type(token).__name__}")
            first = self._ids.setdefault(token, position)
            if first != position:
                raise ValueError(f"tokens[{position}]: {token!r} stands already at position {first}")
        if self._tokens[:2] != [self.PAD, self.UNK]:
            raise ValueError(f"tokens: expected {self.PAD!r} and {self.UNK!r} first, got {self._tokens[:2]}")
        # A text that spells out "[PAD]" must not turn into padding: in texts both names are unknown tokens.
        self._ids_in_texts = {token: number for token, number in self._ids.items() if number > self.UNK_ID}

    @classmethod
    def build(cls, token_lists: Iterable[Iterable[str]], min_count: int = 1, max_size: int | None = None) -> Vocabulary:
        """Make the vocabulary of a corpus: by falling frequency, equal ones by first appearance.

        Parameters
        ----------
        token_lists : iterable of iterable of str
            The tokens of each text; read once, so a generator will do.
        min_count : int, default=1
            Tokens that occur less often are left out.
        max_size : int, optional
            Size of the vocabulary at most, ``[PAD]`` and ``[UNK]`` included. None is no limit.

        Returns
        -------
        Vocabulary
            Of these tokens.

        Raises
        ------
        TypeError
            If a text is a string instead of a list of tokens.
        ValueError
            If ``min_count`` is below 1 or ``max_size`` below 2.
        """
        counts = TokenCounts()
        for position, tokens in enumerate(token_lists):
            counts.add(position, tokens)
        return cls.from_counts(counts, min_count, max_size)

    @classmethod
    def from_counts(cls, counts: TokenCounts, min_count: int = 1, max_size: int | None = None) -> Vocabulary:
        """Make the vocabulary of texts that have been counted; otherwise as :meth:`build`.

        Raises
        ------
        ValueError
            If ``min_count`` is below 1 or ``max_size`` below 2.
        """
        if min_count < 1:
            raise ValueError(f"min_count: expected at least 1, got {min_count}")
        if max_size is not None and max_size < 2:
            raise ValueError(f"max_size: expected at least 2 ({cls.PAD} and {cls.UNK} count), got {max_size}")
        # most_common keeps the order of first appearance among equal counts.
        ranked = (token for token, count in counts.counts.most_common() if count >= min_count)
        frequent = [token for token in ranked if token not in (cls.PAD, cls.UNK)]
        return cls([cls.PAD, cls.UNK, *frequent][:max_size])

    @property
    def tokens(self) -> list[str]:
        """All tokens, a token's position being its id (a copy)."""
        return list(self._tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        return self._tokens == other._tokens if isinstance(other, Vocabulary) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal by content, as a list is

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens)"

    def id(self, token: str) -> int:
        """Return a token's id, that of ``[UNK]`` if it is not listed."""
        return self._ids.get(token, self.UNK_ID)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return the ids of a text's tokens; ``[UNK]``'s for those not listed.

        A text may spell out ``[PAD]`` or ``[UNK]``: there they are tokens like others, and unknown.
        """
        ids, unknown = self._ids_in_texts, self.UNK_ID
        return [ids.get(token, unknown) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the tokens of ids.

        Raises
        ------
        IndexError
            If an id is outside the vocabulary.
        """
        tokens = []
        for position, number in enumerate(ids):
            if not 0 <= number < len(self._tokens):
                raise IndexError(f"ids[{position}]: expected an id from 0 to {len(self) - 1}, got {number}")
            tokens.append(self._tokens[number])
        return tokens

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokens as UTF-8, one a line; line n + 1 holds the token with id n.

        Characters that do not print (line breaks, say) are written as escapes, so every token survives.
        """
        save_words(self._tokens, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read a file that :meth:`save` wrote.

        Raises
        ------
        ValueError
            With file and line, if the file is damaged: not UTF-8, cut off, a token twice, other special tokens.
        OSError
            If the file cannot be read.
        """
        return cls._of_lines(load_words(path), path)

    @classmethod
    def parse(cls, data: bytes, path: str | os.PathLike[str]) -> Vocabulary:
        """Return the vocabulary that a file of :meth:`save` holds.

        Parameters
        ----------
        data : bytes
            The file's content.
        path : path
            Its name, for messages.

        Returns
        -------
        Vocabulary
            The one that was saved.

        Raises
        ------
        ValueError
            As :meth:`load` does.
        """
        return cls._of_lines(parse_words(data, path), path)

    @classmethod
    def _of_lines(cls, tokens: list[str], path: str | os.PathLike[str]) -> Vocabulary:
        for number, expected in enumerate((cls.PAD, cls.UNK)):
            found = f"{tokens[number]!r:.80}" if number < len(tokens) else "the end of the file"
            if found != repr(expected):
                raise ValueError(f"{path}, line {number + 1}: expected {expected!r}, got {found}")
        lines: dict[str, int] = {}
        for number, token in enumerate(tokens, 1):
            first = lines.setdefault(token, number)
            if first != number:
                raise ValueError(f"{path}, line {number}: the token {token!r:.80} stands already on line {first}")
        return cls(tokens)
