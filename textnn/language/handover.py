"""What a classifier takes of a language model: weights, tokens and vocabulary, out of its state or its directory.

fitted LanguageModel, its state, or a directory -> State -> ``textnn.training.transfer.LanguageWeights``
"""

from __future__ import annotations

import os
from typing import Any

from textnn.bundle import BundleError
from textnn.language import bundle
from textnn.language.encoding import WORD
from textnn.language.state import State
from textnn.reading import printable
from textnn.training.transfer import LanguageWeights


def language_weights(given: Any) -> LanguageWeights:
    """Return the weights of a language model.

    Parameters
    ----------
    given
        A fitted :class:`textnn.LanguageModel`, or the directory of a saved one.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If it is not fitted, there is no such model, the directory is damaged, or the model reads words of its own level
        "word", which no classifier cuts.
    """
    if isinstance(given, str | os.PathLike):
        source = printable(os.fsdecode(given))
        try:
            state, _ = bundle.load(given, None, "cpu", ())
        except BundleError as error:
            raise ValueError(f"pretrained: {error}") from error
    else:
        found, source = getattr(given, "state_", None), "the language model"
        if found is None and hasattr(given, "score_texts"):
            raise ValueError("pretrained: expected a fitted language model, got one that has not been fitted")
        if not isinstance(found, State):
            kind = type(given).__name__
            raise TypeError(f"pretrained: expected a fitted LanguageModel or the directory of one, got {kind}")
        state = found
    splitter, network = state.splitter, state.model
    if splitter.level == WORD:
        raise ValueError(
            "pretrained: expected a language model of characters or of a tokenizer, such as LanguageModel('jieba') or "
            "LanguageModel('unicode'), got one of the level 'word'"
        )
    return LanguageWeights(
        source,
        network.name,
        splitter.level if splitter.tokenizer is None else splitter.tokenizer.name,
        splitter.tokenizer,
        state.vocabulary,
        network.embedding.weight.detach().cpu().clone(),
        {name: parameter.detach().cpu().clone() for name, parameter in network.layers.named_parameters()},
    )
