"""The model card: what a saved model is, for whoever finds its directory.

state + config.json's values + an evaluation, if there is one -> README.md
"""

from __future__ import annotations

from typing import Any

from textnn.classification.evaluation.judging import Report
from textnn.classification.state import State

_LABELS_SHOWN = 50


def write_card(state: State, config: dict[str, Any], report: Report | None) -> str:
    """Return the card's Markdown.

    Parameters
    ----------
    state
        The fitted classifier.
    config
        The content of its ``config.json``.
    report
        An evaluation on texts that were in no part of the training, or None.
    """
    labels = [f"`{label}`" for label in state.classes[:_LABELS_SHOWN].tolist()]
    if len(state.classes) > _LABELS_SHOWN:
        labels.append(f"... ({len(state.classes):,} in all)")
    parameters = sum(parameter.numel() for parameter in state.model.parameters())
    lines = [
        "# A text classifier",
        "",
        f"Made with textnn {config['textnn']} and torch {config['torch']}.",
        "",
        f"- Classes: {', '.join(labels)}",
        f"- Architecture: `{config['architecture']}`, {parameters:,} parameters",
        f"- Tokenizer: `{_tokenizer(config['tokenizer'])}`, vocabulary of {len(state.vocabulary):,} tokens",
        f"- Trained on {state.n_texts:,} texts, {len(state.history)} epochs, "
        f"weights of epoch {state.best_epoch}, seed {state.seed}",
        "",
        "## Metrics",
        "",
    ]
    validation = state.validation_report
    if validation is None and report is None:
        lines += ["The model was not evaluated when it was saved.", ""]
    if report is not None:
        lines += ["On texts that had no part in the training:", "", *_figures(report), ""]
    if validation is not None:
        lines += ["On the validation split:", "", *_figures(validation), ""]
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
