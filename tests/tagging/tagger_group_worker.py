"""Fits for test_tagger_group.py: the same cases by one process and by several (process_group.py)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from process_group import work
from tagged_samples import make_sentences, make_tagger

from textnn import SequenceTagger, circumstances

X, Y = make_sentences(61)
HELD_OUT = make_sentences(21, seed=5)
CASES: dict[str, dict[str, Any]] = {
    "bilstm-crf": {"channels": 4, "epochs": 2},
    "cnn-crf": {"level": "char", "bigram_dim": 3, "min_count": 1, "epochs": 2},
    "ngram-crf": {},
}


def fit(architecture: str, validation: bool = False, rank: int = 0, size: int = 1) -> SequenceTagger:
    """Fit in float64, so that another order of additions hardly shows."""
    options = {"dropout": 0.0, "embedding_dropout": 0.0, "word_dropout": 0.0} if architecture != "ngram-crf" else {}
    tagger = make_tagger(architecture, ngram_dropout=0.0, batch_size=8, **options, **CASES[architecture])
    held_out = tuple(items[rank::size] for items in HELD_OUT) if validation else None
    torch.set_default_dtype(torch.float64)
    try:
        # Which a fit would otherwise hold at float32.
        with mock.patch.object(circumstances, "_float32", contextlib.nullcontext):
            return tagger.fit(X[rank::size], Y[rank::size], held_out, distributed=size > 1)
    finally:
        torch.set_default_dtype(torch.float32)


def describe(tagger: SequenceTagger) -> dict[str, Any]:
    """Everything that is to be the same."""
    state = tagger.state_
    return {
        "weights": state.model.state_dict(),
        "vocabulary": state.vocabulary.tokens,
        "tags": tagger.tags_,
        "options": tagger.options_,
        "sentences": state.n_sentences,
        "best epoch": tagger.best_epoch_,
        "history": [{name: v for name, v in epoch.items() if name != "seconds"} for epoch in tagger.history_],
        "scores": str(state.validation_scores),
    }


def fail(name: str, rank: int) -> str:
    """Do what is an error in one process, or only because they differ, and return its message."""
    tagger = make_tagger(epochs=1 + rank if name == "options" else 1)
    y = [["O"]] if name == "tags" and rank else Y
    held_out = HELD_OUT if name == "validation" and not rank else None
    try:
        tagger.fit(X, y, held_out, distributed=True)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def run(rank: int, size: int, folder: Path) -> dict[str, Any]:
    """Return what came of all cases."""
    fits = {name: describe(fit(name, False, rank, size)) for name in CASES}
    fits["validation data"] = describe(fit("ngram-crf", True, rank, size))
    return {"fits": fits, "errors": {name: fail(name, rank) for name in ("options", "validation", "tags")}}


if __name__ == "__main__":
    work(run)
