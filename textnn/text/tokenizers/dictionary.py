"""What the tokenizers with a dictionary share: the user's lines, loading at the first text, copies, the configuration.

lines "word count tag" -> (word, count or None) -> a library's own instance, made once, whichever thread asks first
"""

from __future__ import annotations

import re
import threading
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from textnn.circumstances import warn
from textnn.text.tokenizers.base import Tokenizer, check_strings

# "word", "word count", "word tag", "word count tag": the format of jieba's dictionaries; and with tabs, commas or
# several spaces between them, as other programs write it.
_GAP = r"(?:[^\S\r\n]*[,，][^\S\r\n]*|[^\S\r\n]+)"
_ENTRY = re.compile(rf"(?P<word>[^\s,，]+)(?:{_GAP}(?P<count>[0-9]+))?(?:{_GAP}(?P<tag>[a-zA-Z]+))?")
_LOOKED_AT = 10_000  # entries that are looked for in themselves
# Above all counts of jieba's own dictionary, together 60 million; a million of such lines still fit into 64 bits.
_MAX_COUNT = 10**12
# jieba makes an entry of each prefix of a word: their memory grows with the square of its length.
_LONGEST_WORD = 100

Entry = tuple[str, int | None]
"""A word and how often it occurs, None where the library has to say."""


class DictionaryTokenizer(Tokenizer):
    """A tokenizer that looks words up in a dictionary, and guesses others with a hidden Markov model.

    Parameters
    ----------
    user_dictionary
        Lines ``word``, ``word count``, ``word tag`` or ``word count tag``, with spaces, a tab or a comma between them.
        A word without a count takes one that keeps it in one piece.
    stop_words
        Tokens to leave out.
    hmm
        Whether to guess words that the dictionary does not hold.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a string, or is not a line of that form.

    Warns
    -----
    UserWarning
        At the first text, if entries are such that the tokenizer never finds them.
    """

    def __init__(
        self,
        user_dictionary: Iterable[str] | None = None,
        stop_words: Iterable[str] | None = None,
        hmm: bool = True,
    ) -> None:
        super().__init__(stop_words)
        self.hmm = bool(hmm)
        lines = check_strings("user_dictionary", user_dictionary)
        self._user_dictionary = [_normal(line) for line in lines if line.strip()]
        self._unseen = bool(self._user_dictionary)
        self._lock = threading.Lock()
        self._instance: Any = None

    @abstractmethod
    def _load(self, entries: list[Entry]) -> Any:
        """Make an instance of the library, with the user's entries added to its dictionary."""

    def _loaded(self) -> Any:
        if self._instance is None:
            with self._lock:
                if self._instance is None:
                    self._instance = self._load(
                        [parse_entry(line) for line in self._user_dictionary if _normal_form(line)]
                    )
        if self._unseen:
            self._unseen = False
            self._warn_of_unfound()
        return self._instance

    def _warn_of_unfound(self) -> None:
        words = [parse_entry(line)[0] for line in self._user_dictionary[:_LOOKED_AT]]
        never = [word for word in words if word not in self.split(word)]
        if never:
            some = ", ".join(map(repr, never[:5]))
            warn(
                f"user_dictionary: {len(never):,} of {len(words):,} entries are never found, such as {some}: their "
                "count is too small, or they have characters that end a word",
            )

    def restore_dictionary(self, lines: Iterable[str]) -> None:
        """Take the lines that a saved tokenizer had; older ones kept lines of other forms, which had no effect.

        Raises
        ------
        ValueError
            If a count or a word is out of range.
        """
        lines = list(lines)
        for line in filter(_ENTRY.fullmatch, lines):
            parse_entry(line)
        self._user_dictionary, self._unseen = lines, False

    @property
    def user_dictionary(self) -> list[str]:
        """The lines of the user's dictionary, in their order."""
        return list(self._user_dictionary)

    def config(self) -> dict[str, Any]:
        """Return kind, the library's version and the options."""
        return {"kind": self.name, "version": self.version(), "options": {"hmm": self.hmm}}

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles carry the settings; each loads its own dictionary."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_lock", "_instance")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _instance=None)


def parse_entry(line: str) -> Entry:
    """Return word and count of a dictionary line; the tag says nothing about where a word ends.

    Raises
    ------
    ValueError
        If the line has another form, or the count is out of range.
    """
    entry = _ENTRY.fullmatch(line.strip())
    if entry is None:
        form = "lines 'word', 'word count' or 'word count tag', of a word without spaces and commas"
        raise ValueError(f"user_dictionary: expected {form}, got {line!r:.120}")
    word, count = entry["word"], None if entry["count"] is None else int(entry["count"].lstrip("0")[:20] or 0)
    if count is not None and not 1 <= count <= _MAX_COUNT:
        # jieba would keep words of count 0 in a list shared by all its instances.
        raise ValueError(f"user_dictionary: expected a count from 1 to {_MAX_COUNT:,}, got {line!r:.120}")
    if len(word) > _LONGEST_WORD:
        found = f"{len(word):,} in {word[:20]!r}..."
        raise ValueError(f"user_dictionary: expected words of at most {_LONGEST_WORD} characters, got {found}")
    return word, count


def _normal(line: str) -> str:
    """Return a line with single spaces and a tag in lower case, the one form that is stored."""
    parse_entry(line)
    word, count, tag = _ENTRY.fullmatch(line.strip()).groups()  # type: ignore[union-attr]  # or parse_entry had raised
    return " ".join(part for part in (word, count, tag and tag.lower()) if part)


def _normal_form(line: str) -> bool:
    return _ENTRY.fullmatch(line) is not None and _normal(line) == line
