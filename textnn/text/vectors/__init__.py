"""Word vectors from a file, for the words of a vocabulary.

    path -> decompressed (``opening``) -> text (``lines``) or word2vec's binary format (``binary``)
         -> is the word wanted? (``collecting``) -> values -> Vectors(rows, values)

Such files have gigabytes and millions of words, of which a vocabulary has a few per cent. So they are read a piece at a
time, and the values are looked at only if their word is wanted. What is kept grows with the rows that were found; what
a header promises is never allocated.
"""

from __future__ import annotations

import lzma
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from textnn.text.vectors.binary import is_binary, read_binary
from textnn.text.vectors.collecting import Collector, Vectors
from textnn.text.vectors.lines import read_lines
from textnn.text.vectors.opening import Source, open_source
from textnn.text.vocabulary import Vocabulary

__all__ = ["Vectors", "read_vectors"]

_HEAD = 1 << 12
# What is often taken for a file of vectors, by its first bytes.
_OTHERS = {
    (793712314).to_bytes(4, "little"): "a model of fastText; give its .vec file",
    b"\x80": "a pickle, as gensim's save() writes; use save_word2vec_format()",
    b"\x93NUMPY": "an array of numpy, which has no words",
}


def read_vectors(
    path: str | os.PathLike[str],
    vocabulary: Vocabulary,
    dim: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Vectors:
    """Read the vectors of a vocabulary's words from a file of word2vec's or fastText's formats.

    These are the text format of both, a word and its D values on each line, and the binary one of word2vec. The file
    may be compressed by gzip, bzip2 or xz, or be the only file of a ZIP archive, whatever its name. A first line of two
    whole numbers is a header, count and D; a text without one has the D of the number of values on its first line.
    Words are compared exactly; the first of several equal ones counts. ``[PAD]`` and ``[UNK]`` are not looked for.

    Of the lines of other words it is only checked that they are long enough. A wanted word followed by one value too
    many is an error where the piece looks like a value (a sign, an exponent or three decimals); otherwise it is read as
    a word with a space.

    Parameters
    ----------
    path : path
        The file.
    vocabulary : Vocabulary
        The words to look for.
    dim : int, optional
        The D that is expected. None takes the file's own.
    progress : callable, optional
        Called now and then with the number of bytes of the file done since its last call; the sum is the file's size.

    Returns
    -------
    Vectors
        Those of the words that the file has.

    Raises
    ------
    ValueError
        With file and line, or number of the vector: if the file cannot be read, is empty or cut off, is in another
        encoding than UTF-8 or in another format, D is 0 or not ``dim``, a line has a wrong number of values, or a value
        is no finite number that float32 can hold; if ``dim`` is below 1.

    Warns
    -----
    UserWarning
        If the file has another number of vectors than its header says.

    References
    ----------
    Mikolov et al., "Efficient Estimation of Word Representations in Vector Space", 2013; Grave et al., "Learning Word
    Vectors for 157 Languages", 2018.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "好", "差"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "words.vec").write_text("2 3\\n好 1 0 0.5\\n人 0 1 0\\n", encoding="utf-8")
    ...     vectors = read_vectors(Path(folder, "words.vec"), vocabulary)
    >>> vectors.rows.tolist(), vectors.values.tolist(), vectors.coverage
    ([2], [[1.0, 0.0, 0.5]], 0.5)
    """
    vectors = scan(path, vocabulary, dim, progress)
    if shortfall := missing(path, vectors):
        warnings.warn(shortfall, stacklevel=2)
    return vectors


def scan(
    path: str | os.PathLike[str],
    vocabulary: Vocabulary,
    dim: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Vectors:
    """Do as :func:`read_vectors`, without its warning."""
    if dim is not None and dim < 1:
        raise ValueError(f"dim: expected at least 1, got {dim}")
    collector = Collector(os.fspath(path), vocabulary, dim, "line")
    with _named_errors(collector), open_source(Path(path), progress) as source:
        if _is_binary(source, collector):
            read_binary(source, collector)
        else:
            read_lines(source, collector)
        source.report(end=True)
    return collector.finish()


def read_dim(path: str | os.PathLike[str]) -> int:
    """Return the D of a file, from its first line.

    Raises
    ------
    ValueError
        If it cannot be read, or has no vectors there.
    """
    collector = Collector(os.fspath(path), Vocabulary(["[PAD]", "[UNK]"]), None, "line")
    with _named_errors(collector), open_source(Path(path), None) as source:
        _is_binary(source, collector)
        read_lines(source, collector, 1)
    return collector.dim or collector.finish().dim


def missing(path: str | os.PathLike[str], vectors: Vectors) -> str | None:
    """Return what is to be said of a file with another number of vectors than its header says."""
    if vectors.promised in (None, vectors.lines):
        return None
    return (
        f"{os.fspath(path)}: the header says {vectors.promised:,} vectors, the file has {vectors.lines:,}; "
        "a part of it may be missing"
    )


def _is_binary(source: Source, collector: Collector) -> bool:
    head = source.stream.read(_HEAD)
    source.stream.seek(0)
    for begin, what in _OTHERS.items():
        if head.startswith(begin):
            raise ValueError(f"{collector.name}: expected word vectors, got {what}")
    if not is_binary(head):
        return False
    collector.unit = "vector"
    return True


@contextmanager
def _named_errors(collector: Collector) -> Iterator[None]:
    """Say in which file, and where, reading it failed."""
    try:
        yield
    except (
        EOFError,
        OSError,
        MemoryError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        NotImplementedError,
    ) as error:
        where = f"{collector.name}, after {collector.unit} {collector.number}" if collector.number else collector.name
        what = "the file is cut off" if isinstance(error, EOFError) else getattr(error, "strerror", None) or error
        if isinstance(error, MemoryError):
            what = "it takes too much memory"
        raise ValueError(f"{where}: cannot be read: {what}") from error
