"""What users hand to the classifier, checked before any work begins.

    texts, validation data, device, seed -> plain values, or an error that names the argument

Mistakes that would otherwise go unnoticed are refused here: one string is a collection of one-letter texts to Python,
and a missing value in a column of texts is a float.
"""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import torch

from textnn.labels import check_labels


def check_texts(texts: Any, argument: str = "texts") -> list[str]:
    """Return texts as a list of strings.

    Raises
    ------
    TypeError
        If it is a single string, no collection, or holds anything but strings.
    ValueError
        If it is an array of more than one dimension.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(f"{argument}: expected a list of strings, got one string; write [text]")
    if not isinstance(texts, Iterable):
        raise TypeError(f"{argument}: expected a list of strings, got {type(texts).__name__}")
    shape = getattr(texts, "shape", None)
    if shape is not None and len(shape) != 1:
        raise ValueError(f"{argument}: expected a vector of strings, got the shape {tuple(shape)}")
    strings = list(texts)
    for position, text in enumerate(strings):
        if not isinstance(text, str):
            raise TypeError(f"{argument}[{position}]: expected a string, got {type(text).__name__} {text!r}")
    return strings


def check_validation(validation_data: Any) -> tuple[list[str], list[Hashable]]:
    """Return texts and labels of a pair ``(texts, labels)``.

    Raises
    ------
    TypeError, ValueError
        If it is no such pair.
    """
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        raise TypeError(f"validation_data: expected a pair (texts, labels), got {type(validation_data).__name__}")
    texts = check_texts(validation_data[0], "validation_data texts")
    if not texts:
        raise ValueError("validation_data: expected at least one text, got none")
    return texts, check_labels(validation_data[1], len(texts), "validation_data labels")


def check_device(name: str) -> torch.device:
    """Return a device that tensors can be made on.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device: {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def make_seed(random_state: Any) -> int:
    """Return a seed: the integer given, one drawn from a RandomState, or for None a new one.

    Raises
    ------
    TypeError, ValueError
        If it is none of these.
    """
    if random_state is None:
        return secrets.randbits(31)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, bool) or not hasattr(random_state, "__index__"):
        kind = type(random_state).__name__
        raise TypeError(f"random_state: expected an integer, a RandomState or None, got {kind}")
    seed = int(random_state.__index__())
    if not 0 <= seed < 2**32:
        raise ValueError(f"random_state: expected an integer from 0 to 2**32 - 1, got {seed}")
    return seed
