"""An evaluation as one HTML page that needs nothing else: no script, no request, pictures within it.

    report, history, facts, a function that explains errors -> values for ``page.html``, a template of Jinja2's
                                                            -> a page, everything that is not ours escaped

Jinja2 is there because torch needs it. The pictures are those of ``plots`` as SVG: their text is text, which the
reader's own fonts show, and their black is the colour of the page's text, so that they are legible on a dark page too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from textnn.circumstances import warn
from textnn.classification.evaluation.bootstrap import Interval
from textnn.classification.evaluation.metrics import WrongPrediction
from textnn.classification.evaluation.plots import History, PictureError, clean, draw
from textnn.classification.evaluation.scored import ScoredReport

if TYPE_CHECKING:
    from markupsafe import Markup


Cell = tuple[str, str, str]

_MATRIX_CLASSES = 60
_TEXT_CHARACTERS = 4000

_PICTURES = {
    "reliability": "Calibration. The bars are what was found; the line is what they would be if a probability meant "
    "what it says. Below it, how many answers there are of each probability; of few of them, in grey, a bar is chance.",
    "roc": "ROC curve: how many of a class are found, and how many others are taken for it, as the threshold falls. "
    "Guessing is the dotted line.",
    "length_accuracy": "Accuracy of short and of long texts, in groups of about as many, with 95 % intervals.",
    "learning_curves": "Loss and accuracy of each epoch of training. Where the figures of the training go on improving "
    "and those of the validation part do not, the network learns its texts by heart.",
}


def render(
    report: ScoredReport,
    title: str = "Evaluation",
    facts: Mapping[str, Any] | None = None,
    history: Iterable[Mapping[str, Any]] | None = None,
    explain: Callable[[WrongPrediction], str] | None = None,
    language: str = "en",
) -> str:
    """Return the page.

    Parameters
    ----------
    report
        The evaluation. One that was made of counts has no pictures of probabilities.
    title
        Of the page.
    facts
        What the model is, by name; :func:`model_facts` has those of a classifier.
    history
        The classifier's ``history_``, for the learning curves.
    explain
        Called with each of the errors; returns HTML to put in the place of its text, in which everything is escaped
        already. Where it raises ValueError the text stays as it is.
    language
        What the page's ``lang`` says; its own words are English.

    Raises
    ------
    ImportError
        Without matplotlib.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    folder = files("textnn.classification.evaluation")
    template = environment.from_string(folder.joinpath("page.html").read_text(encoding="utf-8"))
    single: Any = None if report.multilabel else report
    return template.render(
        title=clean(title),
        language=language,
        several=single is None,
        figures=_figures(report),
        comparison="" if single is None else clean(single.comparison),
        table=_class_table(report),
        matrix=None if single is None else _matrix(single),
        answers=_answers(report) if report.multilabel else [],
        pictures=_pictures(report, None if history is None else list(history)),
        errors=[_error(error, explain, report) for error in report.worst_errors],
        facts={clean(str(name)): clean(str(value)) for name, value in (facts or {}).items()},
    )


def _figures(report: Any) -> list[dict[str, str]]:
    """Return the main figures, each with what it means."""
    rows: list[tuple[str, float | None, Interval | None, str]]
    if not report.multilabel:
        means = "the mean over the classes, however many texts each has, of F1: precision and recall in one"
        rows = [
            (
                "Accuracy",
                report.accuracy,
                report.accuracy_interval,
                f"the share of right ones of {report.texts:,} texts",
            ),
            ("Macro F1", report.macro.f1, report.macro_f1_interval, means),
        ]
    else:
        rows = [
            ("All labels right", report.accuracy, report.accuracy_interval, f"the share of {report.texts:,} texts"),
            ("Micro F1", report.micro.f1, None, "precision and recall in one, over all labels together"),
            ("Macro F1", report.macro.f1, None, "the mean of F1 over the labels, however many texts each has"),
            ("Hamming loss", report.hamming_loss, None, "the share of wrong answers, one for each text and label"),
        ]
    rows += [
        ("ROC-AUC", report.roc_auc, None, "how often a text of a class ranks above another one; 0.5 is guessing"),
        ("Log loss", report.log_loss, None, "the mean of −ln of the probability of the truth; 0 is best"),
        (
            "Calibration error",
            report.calibration_error,
            None,
            "how far probabilities are from what comes true, on average",
        ),
    ]
    return [
        {
            "name": name,
            "value": f"{value:.4f}",
            "interval": "" if interval is None else str(interval),
            "meaning": meaning,
        }
        for name, value, interval, meaning in rows
        if value is not None
    ]


def _class_table(report: Any) -> dict[str, Any]:
    means = [report.macro] if not report.multilabel else [report.micro, report.macro]
    header, rows = report._class_rows(report.per_class, means)
    rows = [[_name(row[0]), *row[1:]] for row in rows]
    return {"header": header, "classes": rows[: -len(means)], "means": rows[-len(means) :]}


def _matrix(report: Any) -> dict[str, Any] | None:
    """Return the confusion matrix with the share that each cell is of its row, or None of one that is too large."""
    if len(report.classes) > _MATRIX_CLASSES:
        return None
    names = [_name(label) for label in report.classes]
    return {"names": names, "rows": list(zip(names, map(_cells, report.confusion.tolist()), strict=True))}


def _answers(report: Any) -> list[tuple[str, list[Cell]]]:
    """Return for each label the four cells of its matrix: the texts that have it, found and not, then the others."""
    tables = [(_cells(has[::-1]), _cells(has_not[::-1])) for has_not, has in report.confusion.tolist()]
    return [(_name(label), has + others) for label, (has, others) in zip(report.classes, tables, strict=True)]


def _cells(row: list[int]) -> list[Cell]:
    """Return of each count how it is written, and its share of the row as a number and in percent."""
    shares = [count / max(sum(row), 1) for count in row]
    return [(f"{count:,}", f"{share:.3f}", f"{share:.1%}") for count, share in zip(row, shares, strict=True)]


def _pictures(report: ScoredReport, history: History | None) -> list[dict[str, Any]]:
    found = []
    for name, caption in _PICTURES.items():
        try:
            picture = draw(name, report, history, "svg").decode("utf-8")
        except PictureError:
            continue
        found.append({"name": name, "svg": _inline(picture, name), "caption": caption})
    return found


def _inline(picture: str, name: str) -> Markup:
    """Return an SVG file as a part of a page: ids of its own, the page's text colour for black, no background."""
    from markupsafe import Markup

    svg = picture[picture.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    # In tags alone: what stands between them may be a label.
    svg = re.sub("<[^>]+>", lambda tag: _adapted(tag[0], name), svg)
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-labelledby="{name}" ', 1))


def _adapted(tag: str, name: str) -> str:
    if tag.startswith("<svg"):
        tag = re.sub(r' (width|height)="[^"]*"', "", tag)
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'(url\(|href=")#', rf"\1#{name}-", tag)
    # Black is the page's colour, and the white of the figure and the axes nothing.
    return tag.replace("#000000", "currentColor").replace("fill: #ffffff", "fill: none")


def _error(
    error: WrongPrediction, explain: Callable[[WrongPrediction], str] | None, report: ScoredReport
) -> dict[str, Any]:
    text: Any = clean(error.text)
    if len(text) > _TEXT_CHARACTERS:
        text = text[:_TEXT_CHARACTERS] + "…"
    elif explain is not None:
        from markupsafe import Markup

        try:
            text = Markup(clean(explain(error)))
        except ValueError as reason:
            warn(f"{error.place} is not explained: {reason}")
    predicted, label = (clean(report.label_text(found)) for found in (error.predicted, error.label))
    return {
        "text": text,
        "place": error.place,
        "probability": f"{error.probability:.3f}",
        "predicted": predicted,
        "label": label,
    }


def _name(label: Any) -> str:
    return clean(str(label)) or "(empty)"
