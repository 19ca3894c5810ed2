"""The model card: what a saved language model is, for whoever finds its directory."""

from __future__ import annotations

from typing import Any

from textnn.language.state import State


def write_card(state: State, config: dict[str, Any]) -> str:
    """Return the card's Markdown: of a fitted language model, and the content of its ``config.json``."""
    parameters = sum(parameter.numel() for parameter in state.model.parameters())
    measured = state.validation_perplexity
    lines = [
        "# A language model",
        "",
        f"Made with textnn {config['textnn']} and torch {config['torch']}.",
        "",
        f"- Network: `{config['cell']}`, {parameters:,} parameters",
        f"- Tokens: {state.splitter.describe()}, vocabulary of {len(state.vocabulary):,}",
        f"- Trained on {state.n_texts:,} texts with {state.n_tokens:,} tokens, {len(state.history)} epochs, "
        f"weights of epoch {state.best_epoch}, seed {state.seed}",
        "",
        "## Metrics",
        "",
        "The model was not evaluated when it was saved."
        if measured is None
        else f"On the validation split: perplexity {measured:.4f} a token.",
        "",
        "## Use",
        "",
        "```python",
        "import textnn",
        "",
        'model = textnn.LanguageModel.load("this directory")',
        'model.generate("...")',
        "```",
        "",
        "## Options",
        "",
        "| option | value |",
        "| --- | --- |",
    ]
    lines += [f"| {name} | {value} |" for name, value in config["options"].items()]
    return "\n".join(lines) + "\n"
