"""The model card: what a saved model is, for whoever finds its directory.

classifier + config.json's values + an evaluation, if there is one -> README.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textnn.evaluation.judging import Report

if TYPE_CHECKING:
    from textnn.classifier import SentimentClassifier

_LABELS_SHOWN = 50


def write_card(classifier: SentimentClassifier, config: dict[str, Any], report: Report | None) -> str:
    """Return the card's Markdown.

    Parameters
    ----------
    classifier
        The fitted classifier.
    config
        The content of its ``config.json``.
    report
        An evaluation on texts that were in no part of the training, or None.
    """
    labels = [f"`{label}`" for label in classifier.classes_[:_LABELS_SHOWN].tolist()]
    if len(classifier.classes_) > _LABELS_SHOWN:
        labels.append(f"... ({len(classifier.classes_):,} in all)")
    parameters = sum(parameter.numel() for parameter in classifier.model_.parameters())
    lines = [
        "# A text classifier",
        "",
        f"Made with textnn {config['textnn']} and torch {config['torch']}.",
        "",
        f"- Classes: {', '.join(labels)}",
        f"- Architecture: `{config['architecture']}`, {parameters:,} parameters",
        f"- Tokenizer: `{_tokenizer(config['tokenizer'])}`, vocabulary of {len(classifier.vocabulary_):,} tokens",
        f"- Trained on {classifier.n_texts_:,} texts, {len(classifier.history_)} epochs, "
        f"weights of epoch {classifier.best_epoch_}, seed {classifier.seed_}",
        "",
        "## Figures",
        "",
    ]
    validation = classifier.validation_report_
    if validation is None and report is None:
        lines += ["The model was not evaluated when it was saved.", ""]
    if report is not None:
        lines += ["On texts that had no part in the training:", "", *_figures(report), ""]
    if validation is not None:
        lines += ["On the validation part:", "", *_figures(validation), ""]
    argument = ""
    if "note" in config:
        lines += ["## Note", "", config["note"], ""]
        argument = ", tokenizer=function"
    lines += [
        "## Use",
        "",
        "```python",
        "import textnn",
        "",
        f'classifier = textnn.SentimentClassifier.load("this directory"{argument})',
        'classifier.predict_proba(["..."])',
        "```",
        "",
    ]
    if not argument:
        lines += ["```", "textnn predict THIS_DIRECTORY reviews.csv --output predictions.csv", "```", ""]
    lines += ["## Options", "", "| option | value |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in config["options"].items()]
    return "\n".join(lines) + "\n"


def _tokenizer(config: dict[str, Any]) -> str:
    """Return kind and version: where these are not installed, the model is used on request only."""
    return f"{config['kind']} {config.get('version', '')}".rstrip()


def _figures(report: Report) -> list[str]:
    return ["```", report.summary(), "```"]
