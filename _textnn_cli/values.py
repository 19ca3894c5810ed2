"""Options of ``textnn train`` whose values are more than one number: what was typed -> what the classifier takes."""

from __future__ import annotations

import math
from collections.abc import Sequence


def parse_sizes(option: str, sizes: str) -> tuple[int, ...]:
    """Return the integers of a list with commas; none of an empty one.

    Raises
    ------
    ValueError
        Naming the option, if it is something else.
    """
    try:
        return tuple(int(size) for size in sizes.split(",")) if sizes else ()
    except ValueError:
        raise ValueError(f"{option}: expected integers with commas such as 1,2,3, got {sizes!r}") from None


def parse_class_weight(values: Sequence[str] | None) -> str | dict[str, float] | None:
    """Return ``balanced``, or the number of each label, of ``LABEL=NUMBER`` any number of times; None of none.

    Raises
    ------
    ValueError
        If it is something else, or has a label twice.
    """
    if not values:
        return None
    if list(values) == ["balanced"]:
        return "balanced"
    weights: dict[str, float] = {}
    for value in values:
        label, _, number = value.rpartition("=")
        label, weight = label.strip(), _number(number)
        if not label or not 0 <= weight < math.inf:
            raise ValueError(
                f"--class-weight: expected balanced alone, or LABEL=NUMBER with a number from 0, got {value!r}"
            )
        if label in weights:
            raise ValueError(f"--class-weight: expected one number for a label, got {label!r} twice")
        weights[label] = weight
    return weights


def parse_threshold(value: str) -> float | str:
    """Return ``auto``, or a number between 0 and 1.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if value != "auto" and not 0 < _number(value) < 1:
        raise ValueError(f"--threshold: expected a number between 0 and 1, or auto, got {value!r}")
    return value if value == "auto" else _number(value)


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan
