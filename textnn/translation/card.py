"""The model card: what a saved translator is, for whoever finds its directory."""

from __future__ import annotations

from typing import Any

from textnn.translation.state import State


def write_card(state: State, config: dict[str, Any]) -> str:
    """Return the card's Markdown: of a fitted translator, and the content of its ``config.json``."""
    parameters = sum(parameter.numel() for parameter in state.model.parameters())
    attention = f"attention by the score {config['attention']!r}" if config["attention"] else "no attention"
    measured = state.validation_perplexity
    sides = {
        "Source": (state.source_splitter, state.source_vocabulary),
        "Target": (state.target_splitter, state.target_vocabulary),
    }
    lines = [
        "# A translator",
        "",
        f"Made with textnn {config['textnn']} and torch {config['torch']}.",
        "",
        f"- Network: `{config['cell']}`, {attention}, {parameters:,} parameters",
    ]
    for name, (splitter, vocabulary) in sides.items():
        lines.append(f"- {name}: {splitter.describe()}, vocabulary of {len(vocabulary):,}")
    lines += [
        f"- Trained on {state.n_pairs:,} pairs with {state.n_tokens:,} target tokens, {len(state.history)} epochs, "
        f"weights of epoch {state.best_epoch}, seed {state.seed}",
        "",
        "## Metrics",
        "",
        "The model was not evaluated when it was saved."
        if measured is None
        else f"On the validation split: perplexity {measured:.4f} a target token.",
        "",
        "## Use",
        "",
        "```python",
        "import textnn",
        "",
        'translator = textnn.Translator.load("this directory")',
        'translator.predict(["..."])',
        "```",
        "",
        "## Options",
        "",
        "| option | value |",
        "| --- | --- |",
    ]
    lines += [f"| {name} | {value} |" for name, value in config["options"].items()]
    return "\n".join(lines) + "\n"
