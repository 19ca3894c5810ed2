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

# What textnn.training.schedule knows.
SCHEDULES = ("constant", "linear", "cosine")


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
            raise TypeError(f"{option}: expected an integer, got {type(value).__name__} {value!r:.80}")
        number = int(value.__index__())
        if not low <= number <= high:
            raise ValueError(f"{option}: expected an integer from {low} to {high}, got {_shown(number)}")
        return number

    return check


def number(low: float, high: float = math.inf, *, above: bool = False, below: bool = True) -> Check:
    """Make a check for numbers from ``low``, or ``above`` it, to ``high``, or ``below`` it."""

    def check(option: str, value: Any) -> float:
        if isinstance(value, bool | str) or not hasattr(value, "__float__"):
            raise TypeError(f"{option}: expected a number, got {type(value).__name__} {value!r:.80}")
        try:
            plain = float(value)
        except OverflowError:
            raise ValueError(f"{option}: expected a number that a float can hold, got a larger one") from None
        if not ((low < plain if above else low <= plain) and (plain < high if below else plain <= high)):
            start = f"{'above' if above else 'from'} {low:g}"
            end = "" if math.isinf(high) else f" {'and below' if below else 'to'} {high:g}"
            raise ValueError(f"{option}: expected a number {start}{end}, got {plain:g}")
        return plain

    return check


def sizes(low: int, high: int, largest: int) -> Check:
    """Make a check for ``low`` to ``high`` sizes from 1 to ``largest``; a single integer stands for itself."""
    expected = f"expected {low} to {high} integers such as (1, 2, 3)"

    def check(option: str, value: Any) -> tuple[int, ...]:
        several = [value] if hasattr(value, "__index__") else value
        if isinstance(several, str) or not isinstance(several, Sequence) or not low <= len(several) <= high:
            raise ValueError(f"{option}: {expected}, got {value!r:.80}")
        return tuple(integer(1, largest)(option, size) for size in several)

    return check


def choice(*names: str) -> Check:
    """Make a check for one of some names."""

    def check(option: str, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{option}: expected a string, got {type(value).__name__} {value!r:.80}")
        if value not in names:
            raise ValueError(f"{option}: expected one of {', '.join(map(repr, names))}, got {value!r:.80}")
        return str(value)

    return check


def _shown(number: int) -> str:
    """Return a number's digits, where there are not too many of them."""
    return str(number) if abs(number) < 10**30 else f"{'-' if number < 0 else ''}an integer of more than 30 digits"


def _boolean(option: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{option}: expected True or False, got {type(value).__name__} {value!r:.80}")
    return value


CHECKS: Mapping[str, Check] = {
    "min_count": integer(1),
    "max_vocabulary": integer(3),
    "max_length": integer(1),
    "embedding_dim": integer(1, 65536),
    "hidden_size": integer(1, 65536),
    "num_layers": integer(1, 32),
    "channels": integer(1, 65536),
    "kernel_sizes": sizes(1, 32, 64),
    "max_characters": integer(1),
    "character_embedding_dim": integer(1, 65536),
    "character_kernel_sizes": sizes(1, 32, 64),
    "word_ngrams": sizes(0, 8, 16),
    "character_ngrams": sizes(0, 8, 16),
    "ngram_buckets": integer(0, 2**26),
    "ngram_dropout": number(0, 1),
    "ensemble": integer(1, 16),
    "output": choice("softmax", "sigmoid"),
    "dropout": number(0, 1),
    "word_dropout": number(0, 1),
    "epochs": integer(1),
    "batch_size": integer(1),
    "learning_rate": number(0, above=True),
    "weight_decay": number(0),
    "label_smoothing": number(0, 1),
    "clip_norm": number(0),
    "schedule": choice(*SCHEDULES),
    "warmup": number(0, 1),
    "validation_fraction": number(0, 1),
    "patience": integer(0),
    "character_form": choice("text", "words"),
    "min_steps": integer(0),
    "full_steps": integer(0),
    "bucket": _boolean,
    "sparse": _boolean,
}
"""The check of every option, by its name."""
