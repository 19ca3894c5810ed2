"""From what users write, or a file holds, to a tokenizer."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from textnn.reading import read_regular
from textnn.text.scripts import Scripts
from textnn.text.tokenizers.base import Tokenizer, check_strings
from textnn.text.tokenizers.dictionary import DictionaryTokenizer
from textnn.text.tokenizers.jieba import JiebaTokenizer
from textnn.text.tokenizers.model import SEGMENTER, provided
from textnn.text.tokenizers.plain import CallableTokenizer, CharTokenizer, WhitespaceTokenizer
from textnn.text.tokenizers.rjieba import RJiebaTokenizer
from textnn.text.tokenizers.unicode import MixedTokenizer, UnicodeTokenizer, chinese_tokenizer
from textnn.text.wordlist import LARGEST_FILE

Words = str | os.PathLike[str] | Iterable[str]
"""A path to a UTF-8 text file with one entry a line, or the entries themselves."""

TOKENIZERS: dict[str, type[Tokenizer]] = {
    kind.name: kind
    for kind in (
        *(JiebaTokenizer, RJiebaTokenizer, UnicodeTokenizer, MixedTokenizer),
        *(CharTokenizer, WhitespaceTokenizer, CallableTokenizer),
    )
}
AUTO = "auto"
"""In the place of a name: the tokenizer that suits the scripts of the training texts."""
NAMES = tuple(name for name in TOKENIZERS if name != CallableTokenizer.name)
"""What may be given by name."""


def make_tokenizer(
    tokenizer: str | os.PathLike[str] | Callable[[str], list[str]] | Tokenizer,
    user_dictionary: Words | None = None,
    stop_words: Words | None = None,
    scripts: Scripts | None = None,
) -> Tokenizer:
    """Make a tokenizer of a name, a saved segmenter, a function, or a tokenizer.

    Parameters
    ----------
    tokenizer : str, path, callable or Tokenizer
        ``"auto"``, ``"jieba"``, ``"rjieba"``, ``"unicode"``, ``"mixed"``, ``"char"``, ``"whitespace"``, the directory
        of a saved :class:`textnn.SequenceTagger` that cuts words, a function from a text to a list of tokens, or a
        tokenizer, which is returned as it is.
    user_dictionary : path or iterable of str, optional
        For jieba, rjieba, mixed and segmenters: path of a UTF-8 text file, or its lines. A string is a path.
    stop_words : path or iterable of str, optional
        Path of a UTF-8 text file with one word a line, or the words. A string is a path. Words from a file are
        stripped of surrounding white space; words given directly are taken exactly.
    scripts : Scripts, optional
        Those of the texts, by which ``"auto"`` chooses: jieba for Chinese (rjieba where it is installed), unicode for
        scripts with spaces, mixed for both, char for others. None counts as Chinese.

    Returns
    -------
    Tokenizer
        A new one, or the one that was given.

    Raises
    ------
    ValueError
        If the name is unknown, the package that it needs is not installed, a file is missing or not UTF-8 text, or an
        option does not go with the tokenizer.
    TypeError
        If ``tokenizer`` is none of these, or an entry is not a string.
    BundleError
        If a directory is no saved tagger, or is damaged.

    Examples
    --------
    >>> make_tokenizer("unicode", stop_words=["the"])("The room was clean")
    ['room', 'was', 'clean']
    >>> make_tokenizer(str.split)("The room")
    ['The', 'room']
    """
    if isinstance(tokenizer, Tokenizer):
        if user_dictionary is not None or stop_words is not None:
            given = "user_dictionary" if user_dictionary is not None else "stop_words"
            raise ValueError(f"{given}: expected None beside a {type(tokenizer).__name__}; give it to the tokenizer")
        return tokenizer
    kind = None
    if names_model(tokenizer):
        return provided(SEGMENTER).load(tokenizer, **_read_lists(user_dictionary, stop_words))
    if tokenizer == AUTO:
        chosen = Scripts(han=1).tokenizer if scripts is None else scripts.tokenizer
        kind = chinese_tokenizer() if chosen == JiebaTokenizer.name else TOKENIZERS[chosen]
    elif isinstance(tokenizer, str):
        check_name(tokenizer)
        kind = TOKENIZERS[tokenizer]
    elif not callable(tokenizer):
        raise TypeError(f"tokenizer: expected a name, a function or a Tokenizer, got {type(tokenizer).__name__}")
    has_dictionary = kind is not None and issubclass(kind, DictionaryTokenizer)
    if user_dictionary is not None and not has_dictionary:
        raise ValueError(
            "user_dictionary: only the tokenizers 'jieba', 'rjieba', 'mixed' and saved segmenters have one, got the "
            "tokenizer "
            f"{tokenizer!r}{f', which is {kind.name!r} for these texts' if kind and tokenizer == AUTO else ''}"
        )
    options = _read_lists(user_dictionary, stop_words)
    if not has_dictionary:
        del options["user_dictionary"]
    return CallableTokenizer(tokenizer, **options) if kind is None else kind(**options)  # type: ignore[arg-type]


def names_model(tokenizer: Any) -> bool:
    """Whether this is a path, and of a directory unless it is surely one: not a tokenizer's name."""
    if isinstance(tokenizer, os.PathLike):
        return True
    return isinstance(tokenizer, str) and tokenizer not in (AUTO, *NAMES) and Path(tokenizer).is_dir()


def check_name(tokenizer: str) -> None:
    """Refuse a string that is no tokenizer's name.

    Raises
    ------
    ValueError
        If it is none.
    """
    if tokenizer not in NAMES:
        names = ", ".join(NAMES)
        raise ValueError(
            f"tokenizer: expected one of {names}, the directory of a saved segmenter or a function, got {tokenizer!r}"
        )


def tokenizer_from_config(
    config: dict[str, Any], user_dictionary: Sequence[str] = (), stop_words: Sequence[str] = ()
) -> Tokenizer:
    """Make the tokenizer again that gave ``config()``, ``user_dictionary`` and ``stop_words``.

    Parameters
    ----------
    config : dict
        What :meth:`Tokenizer.config` returned.
    user_dictionary : sequence of str, default=()
        The tokenizer's ``user_dictionary``.
    stop_words : sequence of str, default=()
        The tokenizer's ``stop_words``.

    Returns
    -------
    Tokenizer
        One that gives the same tokens.

    Raises
    ------
    ValueError
        If the configuration is of a function, which no file holds, of an unknown kind, or has unknown options, or the
        package that it needs is not installed.

    Examples
    --------
    >>> tokenizer = make_tokenizer("whitespace", stop_words=["很"])
    >>> tokenizer_from_config(tokenizer.config(), stop_words=tokenizer.stop_words)("很 好")
    ['好']
    """
    kind = config.get("kind")
    if kind == CallableTokenizer.name:
        raise ValueError(f"tokenizer: the function {config.get('function')} is not stored with a model; pass it again")
    if kind not in TOKENIZERS:
        raise ValueError(f"tokenizer: expected one of {', '.join(TOKENIZERS)}, got {kind!r}")
    options = dict(config.get("options", {}))
    try:
        made = TOKENIZERS[kind](stop_words=stop_words, **options)
        if user_dictionary:
            if not isinstance(made, DictionaryTokenizer):
                raise TypeError("it has no user dictionary")
            made.restore_dictionary(user_dictionary)
        return made
    except TypeError as error:
        raise ValueError(f"tokenizer: the options {options} do not suit {kind!r}: {error}") from error


def _read_lists(user_dictionary: Words | None, stop_words: Words | None) -> dict[str, Any]:
    """Return the arguments of a tokenizer for what is given."""
    given = {"user_dictionary": user_dictionary, "stop_words": stop_words}
    return {name: None if words is None else _read_words(name, words) for name, words in given.items()}


def _read_words(argument: str, words: Words) -> list[str]:
    """Return the entries of a file, without blank lines, or those given directly."""
    if not isinstance(words, str | os.PathLike):
        return check_strings(argument, words)
    try:
        content = read_regular(words, LARGEST_FILE, follow=True).decode("utf-8-sig")
        return [line.strip() for line in io.StringIO(content, newline=None) if line.strip()]
    except UnicodeDecodeError as error:
        reason = f"byte 0x{error.object[error.start]:02x} at {error.start:,}"
        raise ValueError(f"{argument}: expected UTF-8 text in {os.fspath(words)}, got other bytes ({reason})") from None
    except ValueError as error:
        raise ValueError(f"{argument}: {os.fspath(words)}: {error}") from error
    except OSError as error:
        raise ValueError(f"{argument}: cannot read the file {os.fspath(words)}: {error.strerror or error}") from error
