"""Lists of strings in text files, one a line, exactly.

A vocabulary, a user dictionary and a list of stop words must come back from disk as they were, or a loaded model would
read its texts differently from the one that was saved. Tokens hold anything that a text holds: line breaks, byte order
marks, lone surrogates. So everything that an editor or a decoder could change is written as an escape:

    words -> escape each -> UTF-8 lines -> temporary file -> renamed into place
    UTF-8 lines -> unescape each, errors with their line -> words

These files are the package's own. A stop-word list that a user wrote by hand has no escapes; ``tokenizers`` reads it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from textnn.reading import read_regular

LARGEST_FILE = 1 << 28
"""Bytes of a list at most."""

LONGEST_LIST = 1 << 24
"""Lines of a list at most: a vocabulary of so many words would have some GB of weights."""

_ESCAPE = re.compile(r"\\(?:[\\nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|\\")


def escape(word: str) -> str:
    r"""Write a string as one printable line, with Python's escapes (``\n``, ``\\``, ``\u3000``) for all else."""
    if word.isprintable() and "\\" not in word:
        return word
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii") for c in word)


def unescape(line: str) -> str:
    """Undo :func:`escape`.

    Raises
    ------
    ValueError
        If the line holds a backslash that starts no escape.
    """
    if "\\" not in line:
        return line

    def character(match: re.Match[str]) -> str:
        if match[0] == "\\":
            raise ValueError(f"a backslash at character {match.start() + 1} starts no escape (write it twice)")
        return match[0].encode("ascii").decode("unicode_escape")

    return _ESCAPE.sub(character, line)


def save_words(words: Iterable[str], path: str | os.PathLike[str]) -> None:
    """Write strings one a line, escaped, as UTF-8; the file appears complete or not at all.

    Parameters
    ----------
    words : iterable of str
        Any strings, the empty one included.
    path : path
        The file to write; an existing one is replaced.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_words(["好", "two\\nlines"], Path(folder, "words.txt"))
    ...     Path(folder, "words.txt").read_bytes().decode("utf-8").splitlines()
    ['好', 'two\\\\nlines']
    """
    target = Path(path)
    # The name is new, so that two processes which save side by side do not write into each other's file.
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(escape(word) + "\n" for word in words)
        temporary.chmod(_new_file_mode(target))
        temporary.replace(target)
    except BaseException:
        temporary.unlink()
        raise


def load_words(path: str | os.PathLike[str]) -> list[str]:
    """Read the strings that :func:`save_words` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    list of str
        The strings, in the order of the lines.

    Raises
    ------
    ValueError
        With file and line, if it is no regular file, has more than 268 MB or 16 million lines, is not UTF-8, ends
        within a line or holds a wrong escape.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_words(["好", "two\\nlines"], Path(folder, "words.txt"))
    ...     load_words(Path(folder, "words.txt"))
    ['好', 'two\\nlines']
    """
    try:
        data = read_regular(path, LARGEST_FILE, follow=True)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return parse_words(data, path)


def parse_words(data: bytes, path: str | os.PathLike[str]) -> list[str]:
    """Return the strings that a file of :func:`save_words` holds.

    Parameters
    ----------
    data : bytes
        Its content.
    path : path
        Its name, for messages.

    Returns
    -------
    list of str
        The strings, in the order of the lines.

    Raises
    ------
    ValueError
        As :func:`load_words` does.

    Examples
    --------
    >>> parse_words(b"one\\ntwo\\n", "words.txt")
    ['one', 'two']
    """
    count = data.count(b"\n")
    if count > LONGEST_LIST:
        raise ValueError(f"{path}: expected at most {LONGEST_LIST:,} lines, got {count:,}")
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: expected UTF-8 text, got the byte 0x{data[error.start]:02x}") from error
    lines = content.split("\n")
    if lines.pop():
        raise ValueError(f"{path}, line {len(lines) + 1}: the file ends within a line, so a part of it is missing")
    words = []
    for number, written in enumerate(lines, 1):
        try:
            # A carriage return is always escaped: one that stands here was put there by a tool for Windows.
            words.append(unescape(written.removesuffix("\r")))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return words


def _new_file_mode(target: Path) -> int:
    """Permissions for a replaced file: those it had, else those that ``open`` would give."""
    try:
        return target.stat().st_mode & 0o777
    except OSError:
        # The mask can only be read by setting it.
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask
