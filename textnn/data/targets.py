"""Targets: what the labels of texts come to, whether a text has one or several.

    one label a text          ["pos", "neg"]                        -> codes int64 [texts]
    a list or set of labels   [["price", "service"], []]            -> indicators float32 [texts, classes]
    a matrix of 0 and 1       numpy, scipy.sparse [texts, classes]  -> the same; classes are the numbers of its columns

A tuple is hashable, and so a single label, as any other hashable value is.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from textnn.circumstances import warn
from textnn.data.labels import Classes, check_labels, encode_labels, find_classes

Array = np.ndarray[Any, np.dtype[Any]]

LABEL, LISTS, MATRIX = "label", "lists", "matrix"
KINDS = (LABEL, LISTS, MATRIX)
_NAMES = {LABEL: "one label a text", LISTS: "a list of labels for each text", MATRIX: "a matrix of 0 and 1"}


@dataclass(frozen=True, eq=False)
class Targets:
    """The labels of some texts.

    Attributes
    ----------
    kind
        ``"label"``, ``"lists"`` or ``"matrix"``.
    values
        For each text its label, or a tuple of its labels; of a matrix the numbers of the columns that have a 1.
    columns
        Columns of a matrix, else 0.
    """

    kind: str
    values: list[Any]
    columns: int = 0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return self.kind != LABEL

    def names(self, rows: Iterable[int] | None = None) -> list[Hashable]:
        """Return the different labels, or those of some rows, in the order of their first occurrence."""
        if self.kind == MATRIX:
            return list(range(self.columns))
        chosen = self.values if rows is None else [self.values[row] for row in rows]
        if self.kind == LISTS:
            chosen = [label for labels in chosen for label in labels]
        return list(dict.fromkeys(chosen))

    def encode(self, classes: Classes, argument: str = "labels", counted: Array | None = None) -> Array:
        """Return the code of each label, int64 [texts], or where a text may have several, float32 [texts, classes].

        Parameters
        ----------
        classes
            The labels by their codes.
        argument
            The name to use in messages.
        counted
            bool [texts]: the labels of the other texts do not matter, and may be unknown.

        Raises
        ------
        ValueError
            If a label is none of the classes, or a matrix has not a column for each of them.
        """
        if self.kind == MATRIX and self.columns != len(classes):
            raise ValueError(f"{argument}: expected a matrix of {len(classes)} columns, got {self.columns}")
        found = self.values
        if counted is not None:
            nothing = () if self.several else classes.tolist()[0]
            found = [value if matters else nothing for value, matters in zip(found, counted.tolist(), strict=True)]
        if self.kind == LABEL:
            return np.array(encode_labels(found, classes, argument), dtype=np.int64)
        if self.kind == LISTS:
            found = [encode_labels(labels, classes, f"{argument}[{row}]") for row, labels in enumerate(found)]
        return _indicators(found, len(classes))

    def sorted_values(self, classes: Classes) -> list[Any]:
        """Return the values with the labels of each text in the order of the classes."""
        if self.kind != LISTS:
            return self.values
        place = {label: number for number, label in enumerate(classes.tolist())}
        return [tuple(sorted(labels, key=lambda label: place.get(label, -1))) for labels in self.values]


def read_targets(labels: Any, texts: int | None = None, argument: str = "labels") -> Targets:
    """Return what users hand over as the labels of texts.

    Parameters
    ----------
    labels
        A list, vector or series with a label, or a list, set or vector of labels, for each text; or a matrix of 0 and
        1, [texts, classes], dense or sparse. A matrix of one column is a vector, as for scikit-learn.
    texts
        The number of texts, to compare with.
    argument
        The name to use in messages.

    Raises
    ------
    TypeError
        If it is no such collection.
    ValueError
        If a label is missing (None or NaN) or stands twice in its list, lists look like rows of a matrix, a matrix has
        other values than 0 and 1, or there are not as many as texts.
    """
    labels = as_array(labels)
    shape = getattr(labels, "shape", None)
    if shape is not None and len(shape) == 2:
        hint = column_hint(labels, argument)
        matrix = np.asarray(labels.toarray() if hasattr(labels, "toarray") else labels)
        if shape[1] != 1:
            return _from_matrix(matrix, texts, argument, hint)
        from sklearn.exceptions import DataConversionWarning

        warn(
            f"A column-vector y was passed when a 1d array was expected; {argument}: it is taken as one label a text",
            DataConversionWarning,
        )
        labels = matrix[:, 0]
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        return Targets(LABEL, check_labels(labels, texts, argument))
    values: Any = labels if getattr(labels, "shape", None) is not None else list(labels)
    if not any(map(_is_collection, values)):
        return Targets(LABEL, check_labels(values, texts, argument))
    if texts is not None and len(values) != texts:
        raise ValueError(f"{argument}: expected one list for each of {texts:,} texts, got {len(values):,}")
    found = [_label_list(value, f"{argument}[{row}]") for row, value in enumerate(values)]
    if found and not any(
        isinstance(value, set) or {*labels} != {0, 1} for value, labels in zip(values, found, strict=True)
    ):
        # With three columns or more a label stands twice in a list.
        raise ValueError(
            f"{argument}: expected a label for each text, got lists in each of which both 0 and 1 stand; a matrix of "
            "0 and 1 has to be a numpy array, lists of the labels 0 and 1 have to be sets"
        )
    return Targets(LISTS, found)


def as_array(values: Any) -> Any:
    """Return tensors, and values that are no collection but can be made an array, as that array; all else as it is."""
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    return np.asarray(values) if hasattr(values, "__array__") and not isinstance(values, Iterable) else values


def column_hint(table: Any, argument: str, usual: Collection[str] = ()) -> str:
    """Return how to pass one column of a data frame, "" of anything else; best one with one of the ``usual`` names."""
    names = list(getattr(table, "columns", ()))
    if not names:
        return ""
    best = next((name for name in names if str(name).casefold() in usual), names[0])
    return f"; pass one column, such as {argument}[{best!r}]"


def joint_kind(shares: Sequence[tuple[str, int, int]], argument: str = "labels") -> tuple[str, int]:
    """Return kind and columns of labels that come in shares.

    Parameters
    ----------
    shares
        Of each the kind, the columns and the number of texts; without texts it is of any kind.
    argument
        The name to use in messages.

    Raises
    ------
    ValueError
        If the kinds differ.
    """
    kinds = sorted({(kind, columns) for kind, columns, texts in shares if texts})
    if len(kinds) > 1:
        found = [_NAMES[kind] + (f" with {columns} columns" if columns else "") for kind, columns in kinds]
        raise ValueError(f"{argument}: expected the same in every process, got {' and '.join(found)}")
    return kinds[0] if kinds else (LABEL, 0)


def find_target_classes(targets: Targets, rows: Iterable[int], given: Any = None) -> Classes:
    """Return the classes of labels.

    Parameters
    ----------
    targets, rows
        The labels, and which of them count.
    given
        All classes, where the labels are not all of them; or None.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two classes (one where a text may have several), or a label is not among those given.
    """
    names = targets.names(rows)
    if not names and targets.kind == LABEL:
        raise ValueError("sample_weight: expected a number above 0 for at least one text, got zeros only")
    fewest = 1 if targets.several else 2
    if given is None:
        return find_classes(names, fewest, "y")
    classes = find_classes(check_labels(given, argument="classes"), fewest, "classes")
    if targets.kind != MATRIX:
        encode_labels(names, classes, "y")
    return classes


def check_target_classes(targets: Targets, rows: Iterable[int], kind: str, classes: Classes, all_of_them: bool) -> None:
    """Check that labels go with a classifier that is fitted.

    Parameters
    ----------
    targets, rows
        The labels, and which of them count.
    kind, classes
        Of the classifier.
    all_of_them
        Whether, with one label a text, each class has to occur.

    Raises
    ------
    ValueError
        If not.
    """
    check_kind(targets, kind, "y")
    known, names = classes.tolist(), set() if targets.kind == MATRIX else set(targets.names(rows))
    unknown = [label for label in names if label not in known]
    missing = [label for label in known if label not in names] if all_of_them and kind == LABEL else []
    if unknown or missing:
        found = f"{unknown[0]!r} as well" if unknown else f"no {missing[0]!r}"
        some = ", ".join(map(repr, known[:20]))
        raise ValueError(f"y: expected the classes that the classifier was fitted with, {some}, got {found}")


def check_kind(targets: Targets, kind: str, argument: str = "labels") -> None:
    """Check that labels are of a kind, or of the other one that allows a text several.

    Raises
    ------
    ValueError
        If not.
    """
    if len(targets) and targets.several != (kind != LABEL):
        raise ValueError(f"{argument}: expected {_NAMES[kind]}, as the classifier was fitted with, got another kind")


def decode(indicators: Array, classes: Classes) -> list[list[Any]]:
    """Return for each row of a matrix [texts, classes] the list of the classes whose column is not 0."""
    names = classes.tolist()
    return [[names[number] for number in np.flatnonzero(row)] for row in indicators]


def _is_collection(value: Any) -> bool:
    return isinstance(value, list | set) or (isinstance(value, np.ndarray | torch.Tensor) and value.ndim == 1)


def _label_list(value: Any, argument: str) -> tuple[Hashable, ...]:
    if not _is_collection(value):
        raise TypeError(f"{argument}: expected a list of labels as other texts have, got {type(value).__name__}")
    labels = tuple(check_labels(value, argument=argument))
    if len(set(labels)) < len(labels):
        twice = next(label for number, label in enumerate(labels) if label in labels[:number])
        raise ValueError(
            f"{argument}: expected different labels, got {twice!r} twice; a matrix of 0 and 1 has to be a numpy array"
        )
    return labels


def _from_matrix(matrix: Array, texts: int | None, argument: str, hint: str) -> Targets:
    if texts is not None and len(matrix) != texts:
        raise ValueError(f"{argument}: expected one row for each of {texts:,} texts, got the shape {matrix.shape}")
    # Of object arrays as well, as a table of mixed columns comes.
    other = np.argwhere((matrix != 0) & (matrix != 1))
    if matrix.dtype.kind not in "biufO" or len(other):
        row, column = other[0].tolist() if len(other) else (0, 0)
        found = matrix[row, column] if matrix.size else matrix.dtype
        raise ValueError(
            f"{argument}[{row}, {column}]: expected a matrix of 0 and 1 or one label a text, got {found!r}{hint}"
        )
    return Targets(MATRIX, [tuple(np.flatnonzero(row).tolist()) for row in matrix], matrix.shape[1])


def _indicators(codes: Sequence[Sequence[int]], classes: int) -> Array:
    matrix = np.zeros((len(codes), classes), dtype=np.float32)
    for row, numbers in enumerate(codes):
        matrix[row, list(numbers)] = 1
    return matrix
