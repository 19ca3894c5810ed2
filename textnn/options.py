"""The options of architectures and training: what a sensible value is.

    value from a user or from a model's config.json -> ``check_option`` -> the same value in its plain type, or an error

The limits are wide. They catch slips (a rate of 10, a size of 0), and they keep a tampered config.json from asking for
more than any machine has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Check = Callable[[str, Any], Any]


def check_option(option: str, value: Any) -> Any:
    """Return the value of an option as a plain Python value.

    Raises
    ------
    TypeError
        If the value is of another type than the option's.
    ValueError
        If the value is outside the option's range.
    """
    return CHECKS[option](option, value)


def integer(low: int, high: int = 2**31) -> Check:
    """Make a check for integers from ``low`` to ``high``."""

    def check(option: str, value: Any) -> int:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"{option}: expected an integer, got {type(value).__name__} {value!r}")
        number = int(value.__index__())
        if not low <= number <= high:
            raise ValueError(f"{option}: expected an integer from {low} to {high}, got {number}")
        return number

    return check


def number(low: float, high: float = math.inf, *, above: bool = False, below: bool = True) -> Check:
    """Make a check for numbers from ``low``, or ``above`` it, to ``high``, or ``below`` it."""

    def check(option: str, value: Any) -> float:
        if isinstance(value, bool | str) or not hasattr(value, "__float__"):
            raise TypeError(f"{option}: expected a number, got {type(value).__name__} {value!r}")
        plain = float(value)
        if not ((low < plain if above else low <= plain) and (plain < high if below else plain <= high)):
            start = f"{'above' if above else 'from'} {low:g}"
            end = "" if math.isinf(high) else f" {'and below' if below else 'to'} {high:g}"
            raise ValueError(f"{option}: expected a number {start}{end}, got {plain:g}")
        return plain

    return check


def _kernel_sizes(option: str, value: Any) -> tuple[int, ...]:
    sizes = [value] if hasattr(value, "__index__") else value
    if isinstance(sizes, str) or not isinstance(sizes, Sequence) or not 1 <= len(sizes) <= 32:
        raise ValueError(f"{option}: expected 1 to 32 integers such as (1, 2, 3), got {value!r}")
    return tuple(integer(1, 64)(option, size) for size in sizes)


def _boolean(option: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{option}: expected True or False, got {type(value).__name__} {value!r}")
    return value


CHECKS: Mapping[str, Check] = {
    "min_count": integer(1),
    "max_vocabulary": integer(3),
    "max_length": integer(1),
    "embedding_dim": integer(1, 65536),
    "hidden_size": integer(1, 65536),
    "num_layers": integer(1, 32),
    "channels": integer(1, 65536),
    "kernel_sizes": _kernel_sizes,
    "dropout": number(0, 1),
    "word_dropout": number(0, 1),
    "epochs": integer(1),
    "batch_size": integer(1),
    "learning_rate": number(0, above=True),
    "weight_decay": number(0),
    "label_smoothing": number(0, 1),
    "validation_fraction": number(0, 1),
    "patience": integer(0),
    "bucket": _boolean,
    "sparse": _boolean,
}
"""The check of every option, by its name."""
