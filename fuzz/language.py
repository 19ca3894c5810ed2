"""Targets of the language model: saved language models."""

from __future__ import annotations

import math
import warnings

from fuzz import seeds
from fuzz.files import damage_model, folder
from fuzz.mutation import Entropy


def load_language_model(data: bytes) -> None:
    """Damage a saved language model, with sums that fit the damage or not; if it loads, it writes and scores."""
    from textnn import LanguageModel

    entropy = Entropy(data)
    directory = damage_model(dict(entropy.choice(seeds.language_models())), entropy, folder() / "language")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LanguageModel.load(directory)
        assert isinstance(model.generate("物流", n=4, seed=0), str)
        assert isinstance(model.generate("x", n=2, beam=2), str)
        assert len(model.next_tokens("", 3)) <= 3
        scores = model.score_texts(["物流 很好", "", "\ud800"]).tolist()
        assert all(math.isfinite(score) and score <= 1e-6 for score in scores), scores
        measured = model.state_.validation_perplexity
        assert measured is None or isinstance(measured, float), measured
