"""What every tokenizer is: a text in, tokens out, and what it is made of for a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar


class Tokenizer(ABC):
    """What every tokenizer does; derive from it and define ``split`` to make another.

    Parameters
    ----------
    stop_words : iterable of str, optional
        Tokens to leave out.

    Raises
    ------
    TypeError
        If a stop word is not a string.

    Examples
    --------
    >>> class Sentences(Tokenizer):
    ...     name = "sentences"
    ...
    ...     def split(self, text):
    ...         return text.split("。")
    >>> Sentences(stop_words=[""])("房间干净。服务好。")
    ['房间干净', '服务好']
    """

    name: ClassVar[str]
    at_once: ClassVar[int] = 1
    """Texts that :meth:`split_many` should be given at a time, where one by one would cost more."""

    def __init__(self, stop_words: Iterable[str] | None = None) -> None:
        self._stop_words = frozenset(check_strings("stop_words", stop_words))

    @abstractmethod
    def split(self, text: str) -> list[str]:
        """Return the tokens of a text, stop words included."""

    def __call__(self, text: str) -> list[str]:
        """Return the tokens of a text.

        Raises
        ------
        TypeError
            If ``text`` is not a string.
        """
        if not isinstance(text, str):
            raise TypeError(f"text: expected a string, got {type(text).__name__}")
        tokens = self.split(text)
        if self._stop_words:
            tokens = [token for token in tokens if token not in self._stop_words]
        return tokens

    def split_many(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the tokens of each text, without stop words: what a call with each gives, with less work around it.

        Raises
        ------
        TypeError
            If ``texts`` is one string, or holds something else than strings.
        """
        if isinstance(texts, str):
            raise TypeError("texts: expected a sequence of strings, got one string")
        texts = list(texts)
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"texts[{position}]: expected a string, got {type(text).__name__}")
        stop, token_lists = self._stop_words, self._split_each(texts)
        if stop:
            token_lists = [[token for token in tokens if token not in stop] for tokens in token_lists]
        return token_lists

    def _split_each(self, texts: list[str]) -> list[list[str]]:
        """Return ``split`` of each string; override it where many can be had for less than one at a time."""
        return [self.split(text) for text in texts]

    @property
    def stop_words(self) -> list[str]:
        """The tokens that are left out, sorted."""
        return sorted(self._stop_words)

    @property
    def user_dictionary(self) -> list[str]:
        """The lines of the user's dictionary, in their order; empty for tokenizers that have none."""
        return []

    @classmethod
    def version(cls) -> str | None:
        """Return the version of the library that finds the tokens; None where that is textnn itself.

        Raises
        ------
        ValueError
            If the library is not installed.
        """
        return None

    def config(self) -> dict[str, Any]:
        """Return the kind of tokenizer, its library's version and its options, for a JSON file.

        Dictionary and stop words are not in it: they may be long, and are kept in files of their own.
        """
        return {"kind": self.name}

    def describe(self) -> str:
        """Return kind and version for people."""
        config = self.config()
        return f"{config['kind']} {config['version']}" if config.get("version") else str(config["kind"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config()})"


def check_strings(argument: str, values: Iterable[str] | None) -> list[str]:
    """Return a list of strings; none for None.

    Raises
    ------
    TypeError
        If it is one string, or holds something else.
    """
    if values is None:
        return []
    if isinstance(values, str):
        raise TypeError(f"{argument}: expected a list of strings, got one string")
    strings = list(values)
    for position, value in enumerate(strings):
        if not isinstance(value, str):
            raise TypeError(f"{argument}[{position}]: expected a string, got {type(value).__name__}")
    return strings
