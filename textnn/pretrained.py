"""Word vectors from a file as first weights: what the words of the training texts meant elsewhere.

    file, vocabulary -> ``text.read_vectors`` -> directions -> at the scale of the network's own fresh weights

Only the first weights come from the file; the training goes on from there, for known and unknown words alike ("CNN-non-
static" of Kim, "Convolutional Neural Networks for Sentence Classification", 2014). Files differ in the length of their
vectors by a factor of a hundred, and a network's learning rate and dropout are made for weights of one scale. So each
vector is taken as a direction: it gets the length that a fresh vector of the table has.
"""

from __future__ import annotations

import os
import warnings
import zlib
from pathlib import Path
from typing import Any

import torch

from textnn.models import TextModel
from textnn.reading import open_regular, printable
from textnn.text import Vectors, Vocabulary, read_vectors
from textnn.training.progress import Reporter

_LOW = 0.1


def check(path: Any) -> str:
    """Return the name of a file that can be read; whether it has vectors is seen when it is.

    Raises
    ------
    TypeError
        If ``path`` is no path.
    ValueError
        If there is no such file.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"vectors: expected the path of a file, got {type(path).__name__}")
    name = str(os.fspath(path))
    try:
        open_regular(name, follow=True).close()
    except OSError as error:
        raise ValueError(f"vectors: {printable(name)}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"vectors: {printable(name)}: {error}") from error
    return name


def read(path: Any, vocabulary: Vocabulary, dim: int | None, reporter: Reporter) -> Vectors:
    """Read the vectors of a vocabulary's words.

    Parameters
    ----------
    path
        The file.
    vocabulary
        Of the training texts.
    dim
        The D that was asked for, if any.
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
        If it has few of the words.
    """
    name = check(path)
    with reporter.reading(printable(name), Path(name).stat().st_size) as progress:
        try:
            vectors = read_vectors(name, vocabulary, dim, progress)
        except ValueError as error:
            raise ValueError(f"vectors: {printable(str(error))}") from error
    name = printable(name)
    found = f"{len(vectors.rows):,} of {vectors.wanted:,} words of the vocabulary ({vectors.coverage:.0%})"
    if not len(vectors.rows):
        raise ValueError(f"vectors: {name}: expected vectors of words of the training texts, got {found}")
    if vectors.coverage < _LOW:
        warnings.warn(f"vectors: {name} has {found} only; is it of another language or tokenizer?", stacklevel=2)
    reporter.note(f"vectors of {found}, {vectors.dim} values each")
    return vectors


def checksum(vectors: Vectors) -> int:
    """Return a sum over what was read: a training that is gone on with needs the same."""
    return zlib.crc32(vectors.values.numpy().tobytes(), zlib.crc32(vectors.rows.numpy().tobytes()))


@torch.no_grad()
def set_first_weights(model: TextModel, vectors: Vectors) -> None:
    """Give a fresh network the vectors that were found; vectors of zeros are left aside.

    Parameters
    ----------
    model
        Its tables of words have D columns.
    vectors
        For rows of them.
    """
    lengths = vectors.values.norm(dim=1)
    rows, directions = vectors.rows[lengths > 0], (vectors.values / lengths[:, None])[lengths > 0]
    for table in model.word_tables():
        fresh = table[rows].norm(dim=1).mean()
        table[rows] = (directions * fresh).to(table)
