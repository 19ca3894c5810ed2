"""Tokenizers that need no dictionary: characters, white space, a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from textnn.text.tokenizers.base import Tokenizer


class CharTokenizer(Tokenizer):
    """Each character is a token; white space is left out, unless it is asked for.

    Parameters
    ----------
    stop_words : iterable of str, optional
        Tokens to leave out.
    spaces : bool, default=False
        Whether white space counts, too.

    Raises
    ------
    TypeError
        If a stop word is not a string, or ``spaces`` is something else than True or False.

    Examples
    --------
    >>> CharTokenizer()("很 好")
    ['很', '好']
    >>> CharTokenizer(spaces=True)("很 好")
    ['很', ' ', '好']
    """

    name = "char"

    def __init__(self, stop_words: Iterable[str] | None = None, spaces: bool = False) -> None:
        super().__init__(stop_words)
        if not isinstance(spaces, bool):
            raise TypeError(f"spaces: expected True or False, got {type(spaces).__name__}")
        self.spaces = spaces

    def split(self, text: str) -> list[str]:
        """Return the characters of a text."""
        return [character for character in text if self.spaces or not character.isspace()]

    def config(self) -> dict[str, Any]:
        """Return the kind, and whether white space counts if it does."""
        return {**super().config(), **({"options": {"spaces": True}} if self.spaces else {})}


class WhitespaceTokenizer(Tokenizer):
    """Tokens are what stands between white space.

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
    >>> WhitespaceTokenizer(stop_words=["很"])("很 好")
    ['好']
    """

    name = "whitespace"

    def split(self, text: str) -> list[str]:
        """Return the words of a text."""
        return text.split()


class CallableTokenizer(Tokenizer):
    """A function of the user's, from a text to a list of tokens.

    Parameters
    ----------
    function : callable
        Called with each text, returns its tokens, a list of str.
    stop_words : iterable of str, optional
        Tokens to leave out of what it returns.

    Raises
    ------
    TypeError
        If ``function`` cannot be called; when used, if it returns something else than a list of strings.

    Examples
    --------
    >>> CallableTokenizer(lambda text: text.lower().split("-"))("State-of-the-art")
    ['state', 'of', 'the', 'art']
    """

    name = "callable"

    def __init__(self, function: Callable[[str], list[str]], stop_words: Iterable[str] | None = None) -> None:
        super().__init__(stop_words)
        if not callable(function):
            raise TypeError(f"function: expected a callable, got {type(function).__name__}")
        self.function = function

    def split(self, text: str) -> list[str]:
        """Return what the function makes of a text."""
        tokens = self.function(text)
        if not isinstance(tokens, list | tuple):
            raise TypeError(f"tokenizer {self._function_name}: expected a list of strings, got {type(tokens).__name__}")
        for token in tokens:
            if not isinstance(token, str):
                raise TypeError(f"tokenizer {self._function_name}: expected strings, got {type(token).__name__}")
        return list(tokens)

    def config(self) -> dict[str, Any]:
        """Return the kind and the function's name; the function itself is not stored."""
        return {"kind": self.name, "function": self._function_name}

    @property
    def _function_name(self) -> str:
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return f"{getattr(self.function, '__module__', None) or type(self.function).__module__}.{name}"
