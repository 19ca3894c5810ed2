"""What a classifier is, for the reader of a report."""

from __future__ import annotations

from typing import Any

from textnn.classification.state import State


def model_facts(classifier: Any) -> dict[str, Any]:
    """Return architecture, tokenizer, training and all options of a fitted classifier, or of its state."""
    state = State.of(classifier)
    tokenizer = state.tokenizer.config()
    history, calibration = state.history, state.calibration
    return {
        "architecture": state.model.name,
        "parameters": f"{sum(parameter.numel() for parameter in state.model.parameters()):,}",
        "tokenizer": " ".join(str(tokenizer[name]) for name in ("kind", "version") if name in tokenizer),
        "vocabulary": f"{len(state.vocabulary):,} tokens",
        "trained on": f"{state.n_texts:,} texts",
        "epochs": f"{len(history)}, weights of epoch {state.best_epoch}",
        "seed": state.seed,
        "temperature": f"{state.temperature:.4f}" + ("" if calibration else ", not fitted"),
        # Also "epochs", which is how many were asked for.
        **{f"option {name}": value for name, value in sorted(state.options.items())},
    }
