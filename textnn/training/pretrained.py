"""Word vectors from a file as first weights: what the words of the training texts meant elsewhere.

    file, vocabulary -> ``text.read_vectors`` -> directions -> at the scale of the network's own fresh weights

Only the first weights come from the file; the training goes on from there, for known and unknown words alike ("CNN-non-
static" of Kim, "Convolutional Neural Networks for Sentence Classification", 2014). Files differ in the length of their
vectors by a factor of a hundred, and a network's learning rate and dropout are made for weights of one scale. So each
vector is taken as a direction: it gets the length that a fresh vector of the table has.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from textnn.circumstances import warn
from textnn.models import Network
from textnn.reading import printable
from textnn.text import Vectors, Vocabulary
from textnn.text.vectors import missing, read_dim, scan
from textnn.training.progress import Reporter

_LOW = 0.1


def check(path: Any, dim: int | None = None) -> str:
    """Return the name of a file whose first line is one of vectors; the rest of it is seen when it is read.

    Parameters
    ----------
    path
        The file.
    dim
        The number of values that the network's embedding is to have, if that was asked for.

    Raises
    ------
    TypeError
        If ``path`` is no path.
    ValueError
        If there is no such file, it is another kind of file, or its vectors have another number of values.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"vectors: expected the path of a file, got {type(path).__name__}")
    name = os.fsdecode(path)
    with _naming_the_argument():
        found = read_dim(name)
    if dim not in (None, found):
        raise ValueError(f"embedding_dim: expected {found} as in {printable(name)}, or none, got {dim}")
    return name


def read(path: Any, vocabulary: Vocabulary, dim: int | None, reporter: Reporter) -> Vectors:
    """Read the vectors of a vocabulary's words.

    Parameters
    ----------
    path, dim
        As for :func:`check`.
    vocabulary
        Of the training texts.
    reporter
        Shows how much is read, and tells what was found.

    Raises
    ------
    TypeError
        If ``path`` is no path.
    ValueError
        If the file is none of vectors, is damaged, or has none of the words.

    Warns
    -----
    UserWarning
        If it has few of the words, or another number of vectors than its header says.
    """
    name = check(path, dim)
    if len(vocabulary) <= 2:
        raise ValueError("vectors: expected words to look for, got an empty vocabulary; is min_count too high?")
    with reporter.reading(printable(name), Path(name).stat().st_size) as progress, _naming_the_argument():
        vectors = scan(name, vocabulary, dim, progress)
    if shortfall := missing(name, vectors):
        warn(f"vectors: {printable(shortfall)}")
    name = printable(name)
    found = f"{len(vectors.rows):,} of {vectors.wanted:,} words of the vocabulary ({vectors.coverage:.0%})"
    if not len(vectors.rows):
        raise ValueError(f"vectors: {name}: expected vectors of words of the training texts, got {found}")
    if vectors.coverage < _LOW:
        warn(f"vectors: {name} has {found} only; is it of another language or tokenizer?")
    reporter.note(f"vectors of {found}, {vectors.dim} values each")
    return vectors


@contextmanager
def _naming_the_argument() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"vectors: {printable(str(error))}") from error


def checksum(vectors: Vectors) -> int:
    """Return a sum over what was read: a training that is gone on with needs the same."""
    return zlib.crc32(vectors.values.numpy().tobytes(), zlib.crc32(vectors.rows.numpy().tobytes()))


@torch.no_grad()
def set_first_weights(model: Network, vectors: Vectors) -> None:
    """Give a fresh network the vectors that were found; vectors of zeros are left aside.

    Parameters
    ----------
    model
        Its tables of words have D columns.
    vectors
        For rows of them.
    """
    values = vectors.values.double()  # squares of float32 may be more, or less, than float32 can hold
    lengths = values.norm(dim=1)
    rows, directions = vectors.rows[lengths > 0], (values / lengths[:, None])[lengths > 0]
    for table in model.word_tables():
        fresh = table[rows].norm(dim=1).mean()
        table[rows] = (directions * fresh).to(table)
