"""Pictures of an evaluation.

    report, history -> a drawing function -> matplotlib's Figure -> PNG or SVG -> a file that appears complete or not

Matplotlib's settings stay as they are: there are Figure objects but no pyplot, and ours hold within ``_settings``.
Labels are drawn as they are written (a ``$`` starts no formula), in fonts that have their glyphs (``fonts``). In SVG
text stays text, which the reader's own fonts show.
"""

from __future__ import annotations

import io
import os
import unicodedata
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textnn.circumstances import warn
from textnn.classification.evaluation.scored import ScoredReport
from textnn.classification.evaluation.scores import Scores
from textnn.classification.evaluation.tables import shorten
from textnn.files import atomic_bytes
from textnn.fonts import BASE, find_families
from textnn.packages import PLOTS, need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, Any]]

FORMATS = ("png", "svg")
# Both are legible on white and on black.
BLUE, ORANGE, GREY = "#2f7fd6", "#d9730d", "#8a8a8a"
_LABELLED = ("confusion_matrix", "roc")  # the others show no label
_CURVES = 8
_MATRIX_CLASSES = 25
_LABEL_WIDTH = 18
_SIZE = (5.6, 5.0)  # of all that stand side by side on the page, so that their type has one size
_FEW = 10  # answers; what fewer come to is chance


class PictureError(ValueError):
    """What a picture shows is not there; the message says what."""


def write_plots(
    report: ScoredReport,
    directory: str | os.PathLike[str],
    history: History | None,
    format: str,  # noqa: A002
) -> list[Path]:
    """Write all pictures; see :meth:`EvaluationReport.plot`."""
    _check_format(format)
    need_matplotlib()
    folder, written = Path(directory), []
    folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        path = folder / f"{name}.{format}"
        try:
            content = draw(name, report, history, format)
        except PictureError as error:
            warn(f"{path.name} is left out: {error}")
            continue
        with atomic_bytes(path) as file:
            file.write(content)
        written.append(path)
    return written


def draw(name: str, report: ScoredReport, history: History | None = None, format: str = "png") -> bytes:  # noqa: A002
    """Return a picture as the content of a file.

    Parameters
    ----------
    name
        ``"confusion_matrix"``, ``"learning_curves"``, ``"reliability"``, ``"length_accuracy"`` or ``"roc"``.
    report, history
        The evaluation, and the classifier's ``history_``.
    format
        ``"png"`` or ``"svg"``.

    Raises
    ------
    PictureError
        If there is not what the picture shows; a ValueError.
    ValueError
        If there is no such picture or format.
    ImportError
        Without matplotlib.
    """
    _check_format(format)
    if name not in PICTURES:
        raise ValueError(f"name: expected one of {', '.join(PICTURES)}, got {name!r}")
    need_matplotlib()
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with _settings(name, _families(report, name, format)):
        figure = Figure(figsize=_SIZE, layout="constrained")
        PICTURES[name](figure, report, history)
        metadata = {"Date": None} if format == "svg" else None
        figure.savefig(content, format=format, dpi=120, metadata=metadata)
    return content.getvalue()


def need_matplotlib() -> None:
    """Raise an ImportError that says what to install where matplotlib is not."""
    need(PLOTS, "pictures need")


def _check_format(name: str) -> None:
    if name not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {name!r}")


def _families(report: ScoredReport, name: str, kind: str) -> list[str]:
    """Return the fonts to draw a picture with, with a warning where none has what its labels need."""
    if name not in _LABELLED:
        return [BASE]
    families, missing = find_families(_shown(label) for label in report.classes)
    if kind == "svg":
        return [*families, "sans-serif"]
    if missing:
        warn(
            f"{name}.png: no known font has {missing[:20]!r}, so that labels have boxes in it; install Noto Sans CJK "
            "(fonts-noto-cjk) for Chinese, or draw SVG",
        )
    return families


@contextmanager
def _settings(name: str, families: list[str]) -> Iterator[None]:
    """Use matplotlib's own defaults and ours; then what was set before."""
    from matplotlib import style

    ours = {
        "font.family": families,
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": False,
        "legend.frameon": False,
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": name,
    }
    with style.context(["default", ours]), warnings.catch_warnings():
        # It has been said once, above.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _shown(label: Hashable) -> str:
    """Return a label on one short line, without characters that cannot be drawn or written."""
    return shorten(clean(str(label)), _LABEL_WIDTH) or "(empty)"


def clean(text: str) -> str:
    """Return a text with a mark in place of what no file of text may have: control characters, halves of pairs."""
    kept = "\t\n\r"
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c not in kept else c for c in text)


def _confusion_matrix(figure: Figure, report: ScoredReport, history: History | None) -> None:
    """Counts by true and predicted class, coloured by their share of the true class."""
    if not report.multilabel:
        counts, rows, title = *_merged(report), "Texts by true and predicted class"
        columns, below, left = rows, "predicted class", "true class"
    else:
        counts, rows = _answers(report)
        columns = ["yes, is so", "yes, is not", "no, but is", "no, is not"]
        title, below, left = "Answers of each label", "answer and truth", "label"
    width, height = (0.62, 0.42) if len(columns) <= 12 else (0.4, 0.3)
    figure.set_size_inches(max(4.2, 2.4 + width * len(columns)), max(3.6, 1.8 + height * len(rows)))
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for place in np.ndindex(*counts.shape):
        axes.text(
            place[1], place[0], f"{counts[place]:,}",
            ha="center", va="center", color="white" if shares[place] > 0.55 else "black",
            fontsize=9 if len(columns) <= 12 else 6,
        )  # fmt: skip
    axes.set_xticks(range(len(columns)), columns)
    if len("".join(columns)) > 24:
        axes.tick_params(axis="x", rotation=45)
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel=below, ylabel=left)
    axes.set_title(title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, label=f"share of the {'class' if columns is rows else 'row'}")
    bar.outline.set_visible(False)


def _merged(report: Any) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Return the confusion matrix and its labels; of many classes those with the most texts, and the others as one."""
    counts, labels = report.confusion, [_shown(label) for label in report.classes]
    if len(labels) <= _MATRIX_CLASSES:
        return counts, labels
    most = np.argsort(-(counts.sum(axis=0) + counts.sum(axis=1)), kind="stable")[: _MATRIX_CLASSES - 1]
    kept = sorted(most.tolist())
    group = np.full(len(labels), len(kept))
    group[kept] = range(len(kept))
    merged = np.zeros((_MATRIX_CLASSES, _MATRIX_CLASSES), dtype=counts.dtype)
    true, predicted = counts.nonzero()
    np.add.at(merged, (group[true], group[predicted]), counts[true, predicted])
    return merged, [labels[number] for number in kept] + [f"{len(labels) - len(kept)} others"]


def _answers(report: Any) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Return true and false positives, false and true negatives of the labels with the most texts."""
    matrices = report.confusion
    kept = sorted(np.argsort(-matrices[:, 1].sum(axis=1), kind="stable")[:_MATRIX_CLASSES].tolist())
    counts = matrices[kept][:, [1, 0, 1, 0], [1, 1, 0, 0]]
    return counts, [_shown(report.classes[number]) for number in kept]


def _learning_curves(figure: Figure, report: ScoredReport, history: History | None) -> None:
    """Loss and accuracy of each epoch, on the training batches and on the validation part."""
    if not history:
        raise PictureError("it needs the figures of the epochs, and there are none")
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    marker = "o" if len(epochs) <= 30 else None
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, figure_name in ((above, "loss"), (below, "accuracy")):
        axes.plot(epochs, [row[figure_name] for row in history], color=BLUE, marker=marker, ms=4, label="training")
        held_out = [row.get(f"validation_{figure_name}") for row in history]
        if any(value is not None for value in held_out):
            values = [np.nan if value is None else value for value in held_out]
            axes.plot(epochs, values, color=ORANGE, marker=marker, ms=4, ls="--", label="validation")
        axes.set_title(figure_name.capitalize())
    below.set(xlabel="epoch")
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _grid(above, below)
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _reliability(figure: Figure, report: ScoredReport, history: History | None) -> None:
    """Accuracy by confidence, beside what it would be if probabilities meant what they say, and how many answers."""
    scores, bins = _needed(report), report.reliability or []
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    unit, width = "answers" if scores.several else "texts", 1 / len(bins)
    few = [row for row in bins if 0 < row.answers < _FEW]
    enough = [row for row in bins if row.answers >= _FEW]
    for rows, colour, label in ((enough, BLUE, "found"), (few, GREY, f"found, fewer than {_FEW} {unit}")):
        places = [(row.low + row.high) / 2 for row in rows]
        if rows:
            above.bar(places, [row.accuracy or 0 for row in rows], width * 0.9, color=colour, label=label)
            below.bar(places, [row.answers for row in rows], width * 0.9, color=colour)
    for row in few:  # bars too low to be read
        below.annotate(
            str(row.answers), ((row.low + row.high) / 2, row.answers), (0, 2), textcoords="offset points",
            ha="center", fontsize=9, color=GREY,
        )  # fmt: skip
    above.plot([0, 1], [0, 1], color=ORANGE, ls="--", label="if the probabilities were exact")
    above.set(ylabel="share of texts that have the label" if scores.several else "accuracy", xlim=(0, 1), ylim=(0, 1))
    above.set_title(f"Calibration error {report.calibration_error:.4f}")
    below.set(ylabel=unit)
    below.set_xlabel("probability of the label" if scores.several else "probability of the predicted class")
    _grid(above, below)
    (line, *bars), names = above.get_legend_handles_labels()
    figure.legend([*bars, line], [*names[1:], names[0]], loc="outside lower center", ncols=2)


def _length_accuracy(figure: Figure, report: ScoredReport, history: History | None) -> None:
    """Accuracy of short and long texts, in groups of about as many, with intervals."""
    scores, bins = _needed(report), report.length_bins or []
    axes = figure.subplots()
    accuracy = np.array([row.accuracy for row in bins])
    # Rounding can put an end of the interval a hair beyond the share itself.
    errors = np.maximum(
        [accuracy - [row.interval.low for row in bins], [row.interval.high for row in bins] - accuracy], 0
    )
    axes.errorbar(range(len(bins)), accuracy, errors, fmt="o", color=BLUE, capsize=4)
    axes.axhline(float(scores.right.mean()), color=ORANGE, ls="--", label=f"all texts, {scores.right.mean():.4f}")
    for place, row in enumerate(bins):
        axes.annotate(
            f"{row.texts:,}", (place, row.interval.low), (0, -4), textcoords="offset points",
            ha="center", va="top", fontsize=9, color=GREY,
        )  # fmt: skip
    names = [f"{row.low:,}–{row.high:,}" if row.low < row.high else f"{row.low:,}" for row in bins]
    axes.set_xticks(range(len(bins)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set(xlabel=f"length in {scores.unit}", ylabel="all labels right" if scores.several else "accuracy")
    axes.set_title("Accuracy by length: 95 % intervals, numbers of texts")
    axes.margins(x=0.06, y=0.15)
    _grid(axes)
    axes.legend()


def _roc(figure: Figure, report: ScoredReport, history: History | None) -> None:
    """The share of a class that is found, by the share of the others that is taken for it, over all thresholds."""
    from matplotlib import colormaps
    from sklearn.metrics import roc_curve

    scores, areas = _needed(report), report.class_roc_auc
    defined = [code for code, area in enumerate(areas) if area is not None]
    if not defined:
        raise PictureError("it needs texts of two classes or more, and labels that the classifier knows")
    if not scores.several and scores.classes == 2:
        defined = [1]
    shown = sorted(sorted(defined, key=lambda code: -int(scores.has(code).sum()))[:_CURVES])
    axes = figure.subplots()
    colours = [BLUE] if len(shown) == 1 else [colormaps["tab10"](number) for number in range(len(shown))]
    for code, colour in zip(shown, colours, strict=True):
        wrong, right, _ = roc_curve(scores.has(code), scores.probabilities[:, code])
        axes.plot(wrong, right, color=colour, label=f"{areas[code]:.4f}  {_shown(report.classes[code])}")
    axes.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1)
    axes.set(xlabel="share of other texts taken for the class", ylabel="share of the class that is found")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    some = "" if len(shown) == len(defined) or len(shown) == 1 else f"; the {_CURVES} classes with the most texts"
    axes.set_title(f"ROC-AUC {report.roc_auc:.4f}{some}")
    _grid(axes)
    axes.legend(loc="lower right", title="area and class")


def _needed(report: ScoredReport) -> Scores:
    if report.scores is None:
        raise PictureError("it needs the probabilities, which a report made of counts does not have")
    return report.scores


def _grid(*every: Axes) -> None:
    for axes in every:
        axes.grid(color=GREY, alpha=0.3, lw=0.6)
        axes.set_axisbelow(True)


PICTURES: dict[str, Callable[[Any, ScoredReport, History | None], None]] = {
    "confusion_matrix": _confusion_matrix,
    "learning_curves": _learning_curves,
    "reliability": _reliability,
    "length_accuracy": _length_accuracy,
    "roc": _roc,
}
