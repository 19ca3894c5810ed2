"""Labels: from whatever users call their classes to codes from 0, and to JSON and back.

    labels (list, array, series) -> plain Python values -> classes, sorted -> code of each label -> the model
    codes -> classes_[codes], of the type that the user gave

Labels are any hashable values. They keep their type, also through a saved model: 1, True and "1" must not turn into
each other. A text has one label; textnn/data/targets.py has what comes where it may have several.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

Classes = np.ndarray[Any, np.dtype[Any]]


def check_labels(labels: Iterable[Hashable], texts: int | None = None, argument: str = "labels") -> list[Hashable]:
    """Return labels as a list of plain Python values.

    Parameters
    ----------
    labels
        A list, a vector, a series, ... with one label a text.
    texts
        The number of texts, to compare with.
    argument
        The name to use in messages.

    Raises
    ------
    TypeError
        If it is no such collection, or a label cannot be hashed.
    ValueError
        If a label is missing (None or NaN), or there are not as many as texts.
    """
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        raise TypeError(f"{argument}: expected a list of labels, got {type(labels).__name__}")
    shape = getattr(labels, "shape", None)
    if shape is not None and len(shape) != 1:
        raise ValueError(f"{argument}: expected a vector with one label a text, got the shape {tuple(shape)}")
    values = [_plain(label) for label in labels]
    if texts is not None and len(values) != texts:
        raise ValueError(f"{argument}: expected one for each of {texts:,} texts, got {len(values):,}")
    for position, value in enumerate(values):
        if _is_missing(value):
            raise ValueError(f"{argument}[{position}]: expected a label, got a missing value, {value!r}")
        try:
            hash(value)
        except TypeError:
            kind = type(value).__name__
            raise TypeError(
                f"{argument}[{position}]: expected one hashable label a text (a string, a number, ...), got {kind}"
            ) from None
    return values


def _plain(label: Any) -> Any:
    """Return a label by its value: numbers of numpy, and arrays and tensors without dimensions, are plain ones."""
    number = hasattr(label, "item") and label is not np.ma.masked and getattr(label, "shape", None) == ()
    return label.item() if number else label


def _is_missing(value: Any) -> bool:
    """Whether a label is None, NaN, NaT, pandas' NA or a masked value."""
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # NA compares to NA
        return type(value).__name__ == "NAType"


def find_classes(labels: Sequence[Hashable], fewest: int = 2, argument: str = "labels") -> Classes:
    """Return the different labels, as an array of the narrowest type that keeps each as it is.

    Strings and numbers are sorted by value, other and mixed labels by type and text.

    Raises
    ------
    ValueError
        If there are fewer than ``fewest``.
    """
    different: list[Any] = list(dict.fromkeys(labels))
    if len(different) < fewest:
        found = f"only one class, {different[0]!r}" if different else "none"
        least = "two classes" if fewest == 2 else "one class"
        raise ValueError(f"{argument}: expected at least {least}, got {found}")
    if all(isinstance(label, str) for label in different) or all(
        isinstance(label, bool | int | float) for label in different
    ):
        different.sort()
    else:
        different.sort(key=lambda label: (type(label).__qualname__, repr(label)))
    return classes_array(different)


def classes_array(labels: Sequence[Any]) -> Classes:
    """Return labels as an array, of type object where another would change one of them."""
    kinds = {type(label) for label in labels}
    if len(kinds) == 1 and kinds <= {str, bool, int, float}:
        try:
            # Python's int may be too large for int64; numpy drops NUL at the end of a string.
            array = np.array(labels, dtype=np.int64) if kinds == {int} else np.array(labels)
            if array.tolist() == list(labels):
                return array
        except OverflowError:
            pass
    array = np.empty(len(labels), dtype=object)
    for position, label in enumerate(labels):
        array[position] = label
    return array


def encode_labels(labels: Sequence[Hashable], classes: Classes, argument: str = "labels") -> list[int]:
    """Return the position of each label among the classes.

    Raises
    ------
    ValueError
        If a label is not among them.
    """
    code = {label: number for number, label in enumerate(classes.tolist())}
    codes = []
    for position, label in enumerate(labels):
        if label not in code:
            known = ", ".join(map(repr, list(code)[:20]))
            raise ValueError(f"{argument}[{position}]: expected one of the classes {known}, got {label!r}")
        codes.append(code[label])
    return codes


def labels_to_json(classes: Classes) -> list[Any]:
    """Return the classes as a list for JSON, from which :func:`labels_from_json` makes the same array.

    Raises
    ------
    ValueError
        If a class is of a type that JSON cannot hold.
    """
    return [_to_json(label) for label in classes.tolist()]


def labels_from_json(values: Any, fewest: int = 2) -> Classes:
    """Return the classes that gave a list in JSON.

    Raises
    ------
    ValueError
        If it is not such a list, or holds fewer than ``fewest`` different classes.
    """
    if not isinstance(values, list):
        raise ValueError(f"expected a list of labels, got {type(values).__name__}")
    labels = [_from_json(value) for value in values]
    if len(labels) < fewest or len(set(labels)) < len(labels):
        raise ValueError(f"expected {fewest} or more different labels, got {labels[:20]!r:.400}")
    return classes_array(labels)


def _to_json(label: Any) -> Any:
    # bool is an int, and a named tuple or an enum would not come back as what it was: exact types only.
    if type(label) in (str, bool, int, float):
        return label
    if type(label) is tuple:
        return {"tuple": [_to_json(part) for part in label]}
    if type(label) is bytes:
        return {"bytes": label.hex()}
    raise ValueError(
        f"labels: a model can be saved with labels that are strings, numbers, booleans, bytes or tuples of these; "
        f"got {label!r} of the type {type(label).__name__}"
    )


def _from_json(value: Any) -> Hashable:
    if isinstance(value, str | bool | int | float) and value == value:
        return value
    if isinstance(value, dict) and len(value) == 1:
        if isinstance(parts := value.get("tuple"), list):
            return tuple(_from_json(part) for part in parts)
        if isinstance(digits := value.get("bytes"), str):
            return bytes.fromhex(digits)
    raise ValueError(f"expected a string, a number or a boolean as a label, got {value!r:.80}")
