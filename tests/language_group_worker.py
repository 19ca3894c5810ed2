"""Fits for test_language_group.py: the same cases by one process and by several (process_group.py)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from language_samples import SENTENCES, VERSES, make_model
from process_group import work

from textnn import LanguageModel, circumstances

CASES: dict[str, dict[str, Any]] = {
    "text": {"epochs": 2},
    "stream": {"context": "stream", "epochs": 2, "shuffle": False, "patience": 1, "batch_size": 5},
    "words": {"level": "word", "cell": "gru", "epochs": 2, "batch_size": 3},
}


def fit(case: str, validation: bool = False, rank: int = 0, size: int = 1) -> LanguageModel:
    """Fit in float64, so that another order of additions hardly shows."""
    texts = SENTENCES if case == "words" else VERSES
    model = make_model(dropout=0.0, embedding_dropout=0.0, weight_dropout=0.0, **CASES[case])
    held_out = texts[5:15][rank::size] if validation else None
    torch.set_default_dtype(torch.float64)
    try:
        # Which a fit would otherwise hold at float32.
        with (
            mock.patch.object(circumstances, "_float32", contextlib.nullcontext),
            mock.patch("textnn.language.network._AFRESH", 0.0),
        ):
            return model.fit(texts[rank::size], validation_data=held_out, distributed=size > 1)
    finally:
        torch.set_default_dtype(torch.float32)


def describe(model: LanguageModel) -> dict[str, Any]:
    """Everything that is to be the same."""
    return {
        "weights": model.state_.model.state_dict(),
        "vocabulary": model.vocabulary_.tokens,
        "options": model.options_,
        "texts": model.state_.n_texts,
        "best": model.best_epoch_,
        "history": [{name: v for name, v in epoch.items() if name != "seconds"} for epoch in model.history_],
    }


def run(rank: int, size: int, folder: Path) -> dict[str, Any]:
    """Fit all cases, and one that must fail in both processes."""
    fits = {case: describe(fit(case, False, rank, size)) for case in CASES}
    fits["validation data"] = describe(fit("text", True, rank, size))
    try:
        make_model(epochs=1 + rank).fit(VERSES, distributed=True)
        error = ""
    except ValueError as failure:
        error = str(failure)
    return {"fits": fits, "error": error}


if __name__ == "__main__":
    work(run)
