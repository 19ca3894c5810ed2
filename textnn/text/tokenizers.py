"""Tokenizers: from a text to its tokens.

    text -> split (jieba, characters, white space, a function of the user's) -> without stop words -> tokens

Each tokenizer tells what it is made of (``config``, ``user_dictionary``, ``stop_words``), so that a saved model can be
given the same one again. ``make_tokenizer`` turns what users write (a name, a function, paths) into a tokenizer.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

Words = str | os.PathLike[str] | Iterable[str]
"""A path to a UTF-8 text file with one entry a line, or the entries themselves."""

# "word", "word count", "word tag", "word count tag": the format of jieba's dictionaries.
_ENTRY = re.compile(r"(?P<word>.+?)(?: (?P<count>[0-9]+))?(?: (?P<tag>[a-z]+))?")


class Tokenizer(ABC):
    """What every tokenizer does; derive from it and define ``split`` to make another.

    Parameters
    ----------
    stop_words
        Tokens to leave out.
    """

    name: ClassVar[str]

    def __init__(self, stop_words: Iterable[str] | None = None) -> None:
        self._stop_words = frozenset(_strings("stop_words", stop_words))

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

    @property
    def stop_words(self) -> list[str]:
        """The tokens that are left out, sorted."""
        return sorted(self._stop_words)

    @property
    def user_dictionary(self) -> list[str]:
        """The lines of the user's dictionary, in their order; empty for tokenizers that have none."""
        return []

    def config(self) -> dict[str, Any]:
        """Return the kind of tokenizer, its library's version and its options, for a JSON file.

        Dictionary and stop words are not in it: they may be long, and are kept in files of their own.
        """
        return {"kind": self.name}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config()})"


class JiebaTokenizer(Tokenizer):
    """Chinese words, by jieba.

    The tokens are those of ``jieba.lcut``, spaces and punctuation included. The instance of jieba is this tokenizer's
    own: entries added to it are not seen by other users of jieba in the process, and theirs are not seen here. It is
    loaded at the first text, which takes a second, without jieba's messages and without its cache in the directory for
    temporary files, which any user of the machine could have written.

    Parameters
    ----------
    user_dictionary
        Lines ``word``, ``word count``, ``word tag`` or ``word count tag``. Without a count jieba takes one that keeps
        the word in one piece.
    stop_words
        Tokens to leave out.
    hmm
        Whether jieba guesses words that its dictionary does not hold.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a string, or is not a line of that form.
    """

    name = "jieba"

    def __init__(
        self,
        user_dictionary: Iterable[str] | None = None,
        stop_words: Iterable[str] | None = None,
        hmm: bool = True,
    ) -> None:
        super().__init__(stop_words)
        self.hmm = bool(hmm)
        lines = _strings("user_dictionary", user_dictionary)
        self._user_dictionary = [line.strip() for line in lines if line.strip()]
        for line in self._user_dictionary:
            _parse_entry(line)
        self._lock = threading.Lock()
        self._jieba: Any = None

    def split(self, text: str) -> list[str]:
        """Return jieba's words of a text."""
        return list(self._loaded().cut(text, HMM=self.hmm))

    @property
    def user_dictionary(self) -> list[str]:
        """The lines of the user's dictionary, in their order."""
        return list(self._user_dictionary)

    def config(self) -> dict[str, Any]:
        """Return kind, jieba's version and the options."""
        return {"kind": self.name, "version": _import_jieba().__version__, "options": {"hmm": self.hmm}}

    def _loaded(self) -> Any:
        if self._jieba is None:
            with self._lock:
                if self._jieba is None:
                    self._jieba = self._load()
        return self._jieba

    def _load(self) -> Any:
        tokenizer = _import_jieba().Tokenizer()
        # What its initialize() does, but for the messages and the cache file.
        with tokenizer.get_dict_file() as file:
            tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(file)
        tokenizer.initialized = True
        for line in self._user_dictionary:
            word, count = _parse_entry(line)
            tokenizer.add_word(word, count)
        return tokenizer

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles carry the settings; each loads its own jieba."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_lock", "_jieba")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _jieba=None)


class CharTokenizer(Tokenizer):
    """Each character is a token; white space is left out."""

    name = "char"

    def split(self, text: str) -> list[str]:
        """Return the characters of a text."""
        return [character for character in text if not character.isspace()]


class WhitespaceTokenizer(Tokenizer):
    """Tokens are what stands between white space."""

    name = "whitespace"

    def split(self, text: str) -> list[str]:
        """Return the words of a text."""
        return text.split()


class CallableTokenizer(Tokenizer):
    """A function of the user's, from a text to a list of tokens.

    Parameters
    ----------
    function
        Called with each text.
    stop_words
        Tokens to leave out of what it returns.

    Raises
    ------
    TypeError
        If ``function`` cannot be called; when used, if it returns something else than a list of strings.
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


TOKENIZERS: dict[str, type[Tokenizer]] = {
    kind.name: kind for kind in (JiebaTokenizer, CharTokenizer, WhitespaceTokenizer, CallableTokenizer)
}


def make_tokenizer(
    tokenizer: str | Callable[[str], list[str]] | Tokenizer,
    user_dictionary: Words | None = None,
    stop_words: Words | None = None,
) -> Tokenizer:
    """Make a tokenizer of a name, a function, or a tokenizer.

    Parameters
    ----------
    tokenizer
        ``"jieba"``, ``"char"``, ``"whitespace"``, a function from a text to a list of tokens, or a tokenizer, which is
        returned as it is.
    user_dictionary
        For jieba: path of a UTF-8 text file, or its lines. A string is a path.
    stop_words
        Path of a UTF-8 text file with one word a line, or the words. A string is a path. Words from a file are
        stripped of surrounding white space; words given directly are taken exactly.

    Raises
    ------
    ValueError
        If the name is unknown, a file is missing or not UTF-8 text, or an option does not go with the tokenizer.
    TypeError
        If ``tokenizer`` is none of these, or an entry is not a string.
    """
    if isinstance(tokenizer, Tokenizer):
        if user_dictionary is not None or stop_words is not None:
            given = "user_dictionary" if user_dictionary is not None else "stop_words"
            raise ValueError(f"{given}: expected None beside a {type(tokenizer).__name__}; give it to the tokenizer")
        return tokenizer
    if user_dictionary is not None and tokenizer != JiebaTokenizer.name:
        raise ValueError(f"user_dictionary: only the tokenizer 'jieba' has one, got the tokenizer {tokenizer!r}")
    stop = None if stop_words is None else _read_words("stop_words", stop_words)
    if tokenizer == JiebaTokenizer.name:
        words = None if user_dictionary is None else _read_words("user_dictionary", user_dictionary)
        return JiebaTokenizer(words, stop)
    if isinstance(tokenizer, str):
        names = [name for name in TOKENIZERS if name != CallableTokenizer.name]
        if tokenizer not in names:
            raise ValueError(f"tokenizer: expected one of {', '.join(names)} or a function, got {tokenizer!r}")
        return TOKENIZERS[tokenizer](stop)
    if callable(tokenizer):
        return CallableTokenizer(tokenizer, stop)
    raise TypeError(f"tokenizer: expected a name, a function or a Tokenizer, got {type(tokenizer).__name__}")


def tokenizer_from_config(
    config: dict[str, Any], user_dictionary: Sequence[str] = (), stop_words: Sequence[str] = ()
) -> Tokenizer:
    """Make the tokenizer again that gave ``config()``, ``user_dictionary`` and ``stop_words``.

    Raises
    ------
    ValueError
        If the configuration is of a function, which no file holds, of an unknown kind, or has unknown options.
    """
    kind = config.get("kind")
    if kind == CallableTokenizer.name:
        raise ValueError(f"tokenizer: the function {config.get('function')} is not stored with a model; pass it again")
    if kind not in TOKENIZERS:
        raise ValueError(f"tokenizer: expected one of {', '.join(TOKENIZERS)}, got {kind!r}")
    options = dict(config.get("options", {}))
    if user_dictionary:
        options["user_dictionary"] = user_dictionary
    try:
        return TOKENIZERS[kind](stop_words=stop_words, **options)
    except TypeError as error:
        raise ValueError(f"tokenizer: the options {options} do not suit {kind!r}: {error}") from error


def _strings(argument: str, values: Iterable[str] | None) -> list[str]:
    """Check a list of strings that each fit on a line of a file."""
    if values is None:
        return []
    if isinstance(values, str):
        raise TypeError(f"{argument}: expected a list of strings, got one string")
    strings = list(values)
    for position, value in enumerate(strings):
        if not isinstance(value, str):
            raise TypeError(f"{argument}[{position}]: expected a string, got {type(value).__name__}")
    return strings


def _parse_entry(line: str) -> tuple[str, int | None]:
    """Return word and count of a dictionary line; the tag says nothing about where a word ends."""
    entry = _ENTRY.fullmatch(line)
    if entry is None:
        raise ValueError(f"user_dictionary: expected lines 'word', 'word count' or 'word count tag', got {line!r}")
    count = None if entry["count"] is None else int(entry["count"])
    if count == 0:
        # jieba would keep such words in a list shared by all its instances.
        raise ValueError(f"user_dictionary: expected a count of at least 1, got {line!r}")
    return entry["word"], count


def _read_words(argument: str, words: Words) -> list[str]:
    """Return the entries of a file, without blank lines, or those given directly."""
    if not isinstance(words, str | os.PathLike):
        return _strings(argument, words)
    try:
        with Path(words).open(encoding="utf-8-sig") as file:
            return [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{argument}: expected UTF-8 text in {os.fspath(words)}, got other bytes ({error})") from error
    except OSError as error:
        raise ValueError(f"{argument}: cannot read the file {os.fspath(words)}: {error.strerror or error}") from error


def _import_jieba() -> Any:
    """Import jieba without its warnings (invalid escapes in its source, pkg_resources)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba
    return jieba
