"""The model card: what a saved tagger is, for whoever finds its directory."""

from __future__ import annotations

from typing import Any

from textnn.tagging.state import State

_SHOWN = 50
_NOT = "The model was not evaluated when it was saved."


def write_card(state: State, config: dict[str, Any]) -> str:
    """Return the card's Markdown: of a fitted tagger, and the content of its ``config.json``."""
    tags = state.tags
    what = "segmenter" if state.is_segmenter else "tagger"
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
        "## Metrics",
        "",
    ]
    if state.validation_scores is not None:
        lines += ["On the validation split:", "", "```", str(state.validation_scores), "```", ""]
    elif "validation_accuracy" in (best := state.history[state.best_epoch - 1] if state.history else {}):
        accuracy = best["validation_accuracy"]
        lines += [f"On the validation split: accuracy of tags {accuracy:.4f}" if accuracy is not None else _NOT, ""]
    else:
        lines += [_NOT, ""]
    use = 'tagger.cut("...")' if state.is_segmenter else 'tagger.entities("...")'
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
