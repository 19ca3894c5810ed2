"""What users hand to an estimator, checked before any work begins.

    texts, device, seed -> plain values, or an error that names the argument

Mistakes that would otherwise go unnoticed are refused here: one string is a collection of one-letter texts to Python,
and a missing value in a column of texts is a float.
"""

from __future__ import annotations

import functools
import secrets
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

import numpy as np
import torch

from textnn.data.targets import as_array, column_hint
from textnn.text.layout import TEXT_NAMES

Method = TypeVar("Method", bound=Callable[..., Any])


def renamed(**names: str) -> Callable[[Method], Method]:
    """Let a method take arguments by their old names, too, for one release and with a warning.

    Parameters
    ----------
    names
        The new name of each old one.
    """

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        def call(*arguments: Any, **options: Any) -> Any:
            for old, new in names.items():
                if old in options:
                    if new in options:
                        raise TypeError(f"{method.__name__}: expected one of {new} and {old}, its old name, got both")
                    message = f"{method.__name__}: {old} is called {new} now; the old name goes with the next release"
                    warnings.warn(message, FutureWarning, stacklevel=2)
                    options[new] = options.pop(old)
            return method(*arguments, **options)

        return cast(Method, call)

    return decorate


PAIR_NAMES = ("validation_data[0]", "validation_data[1]")
"""What errors call both parts of validation data."""


def pair_of(validation_data: Any, what: str) -> tuple[Any, Any]:
    """Return both parts of validation data; ``what`` says in an error what they are.

    Raises
    ------
    TypeError
        If they are no pair.
    """
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        kind = type(validation_data).__name__
        number = f" of {len(validation_data)}" if isinstance(validation_data, tuple | list) else ""
        raise TypeError(f"validation_data: expected a pair, {what}, got {kind}{number}")
    return validation_data[0], validation_data[1]


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
    texts = as_array(texts)
    if not isinstance(texts, Iterable):
        raise TypeError(f"{argument}: expected a list of strings, got {type(texts).__name__}")
    shape = getattr(texts, "shape", None)
    if shape is not None and len(shape) != 1:
        hint = column_hint(texts, argument, TEXT_NAMES)
        if not hint and len(shape) == 2:
            hint = f"; pass one column: {argument}[:, 0]"
        raise ValueError(f"{argument}: expected a vector of strings, got the shape {tuple(shape)}{hint}")
    return list(_strings(texts, argument))


def iter_texts(texts: Any, argument: str = "texts") -> Iterator[str]:
    """Yield texts as they are asked for.

    Raises
    ------
    TypeError
        If it is a single string or no collection; later, when one of them is not a string.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(f"{argument}: expected strings, got one string; write [text]")
    if not isinstance(texts, Iterable):
        raise TypeError(f"{argument}: expected strings, got {type(texts).__name__}")
    return _strings(texts, argument)


def _strings(texts: Iterable[Any], argument: str) -> Iterator[str]:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{argument}[{position}]: expected a string, got {type(text).__name__} {text!r}")
        yield str(text) if type(text) is not str else text


def check_device(name: str) -> torch.device:
    """Return a device that tensors can be made on.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # one that holds no values gives none back
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device: {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def make_seed(random_state: Any, kept: bool = False) -> int:
    """Return a seed: the integer given, one drawn from a RandomState, or for None a new one.

    With ``kept``, of a training that keeps its state, None is refused.

    Raises
    ------
    TypeError, ValueError
        If it is none of these.
    """
    if random_state is None and kept:
        raise ValueError("random_state: expected a seed beside a checkpoint, got None: each fit is another training")
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
