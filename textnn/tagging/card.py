"""The model card: what a saved tagger is, for whoever finds its directory."""

from __future__ import annotations

from typing import Any

from textnn.tagging.state import State

_SHOWN = 50


def write_card(state: State, config: dict[str, Any]) -> str:
    """Return the card's Markdown: of a fitted tagger, and the content of its ``config.json``."""
    tags = state.tags
    what = "segmenter" if tags.is_segmentation else "tagger"
    names = [f"`{name}`" for name in (tags.types or tags.names) if name][:_SHOWN]
    parameters = sum(parameter.numel() for parameter in state.model.parameters())
    lines = [
        f"# A {what}",
        "",
        f"Made with textnn {config['textnn']} and torch {config['torch']}.",
        "",
        *([f"- {'Types' if tags.types else 'Tags'}: {', '.join(names)}"] if names else []),
        f"- Tags: {'in ' + tags.scheme if tags.scheme else 'of tokens, without spans'}",
        f"- Architecture: `{config['architecture']}`, {parameters:,} parameters",
        f"- Tokens: {state.level}s, vocabulary of {len(state.vocabulary):,}",
        f"- Trained on {state.n_sentences:,} sentences, {len(state.history)} epochs, "
        f"weights of epoch {state.best_epoch}, seed {state.seed}",
        "",
        "## Figures",
        "",
    ]
    if state.validation_scores is not None:
        lines += ["On the validation part:", "", "```", str(state.validation_scores), "```", ""]
    else:
        lines += ["The model was not evaluated when it was saved.", ""]
    use = 'tagger.cut("...")' if tags.is_segmentation else 'tagger.entities("...")'
    use = 'tagger.predict([["..."]])' if tags.inner is None else use
    lines += [
        "## Use",
        "",
        "```python",
        "import textnn",
        "",
        'tagger = textnn.SequenceTagger.load("this directory")',
        use,
        "```",
        "",
        "## Options",
        "",
        "| option | value |",
        "| --- | --- |",
    ]
    lines += [f"| {name} | {value} |" for name, value in config["options"].items()]
    return "\n".join(lines) + "\n"
