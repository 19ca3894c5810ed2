"""Fits for test_translator_group.py: the same cases by one process and by several (process_group.py)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from pair_samples import CHINESE, ENGLISH, PAIRS, make_translator
from process_group import work

from textnn import Translator, circumstances

CASES: dict[str, dict[str, Any]] = {
    "attention": {"batch_size": 9},
    "none": {"attention": None, "cell": "gru", "tied": False},
}


def fit(case: str, validation: bool = False, rank: int = 0, size: int = 1) -> Translator:
    """Fit in float64, so that another order of additions hardly shows."""
    model = make_translator(**{"dropout": 0.0, "word_dropout": 0.0, **CASES[case]})
    sides = [list(side)[rank::size] for side in zip(*PAIRS, strict=True)]
    torch.set_default_dtype(torch.float64)
    try:
        # Which a fit would otherwise hold at float32.
        with mock.patch.object(circumstances, "_float32", contextlib.nullcontext):
            held_out = (sides[0], sides[1]) if validation else None
            return model.fit(ENGLISH[rank::size], CHINESE[rank::size], held_out, distributed=size > 1)
    finally:
        torch.set_default_dtype(torch.float32)


def describe(model: Translator) -> dict[str, Any]:
    """Everything that is to be the same."""
    return {
        "weights": model.state_.model.state_dict(),
        "vocabularies": [model.source_vocabulary_.tokens, model.target_vocabulary_.tokens],
        "options": model.options_,
        "pairs": model.state_.n_pairs,
        "best": model.best_epoch_,
        "history": [{name: v for name, v in epoch.items() if name != "seconds"} for epoch in model.history_],
    }


def run(rank: int, size: int, folder: Path) -> dict[str, Any]:
    """Fit all cases, and one that must fail in both processes."""
    fits = {case: describe(fit(case, False, rank, size)) for case in CASES}
    fits["validation data"] = describe(fit("attention", True, rank, size))
    try:
        make_translator(epochs=1).fit(ENGLISH, CHINESE if rank else CHINESE[1:], distributed=True)
        error = ""
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    return {"fits": fits, "error": error}


if __name__ == "__main__":
    work(run)
