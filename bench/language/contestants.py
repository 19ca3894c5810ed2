"""Who is compared: names -> a function from verses to perplexity on those that were held out, seconds and settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import textnn
from textnn.language import ngrams
from textnn.language.defaults import resolve_options

from .. import harness
from . import plain
from .corpora import Coder, Verses

Result = dict[str, Any]
Contestant = Callable[[Verses, int, dict[str, Any]], Result]
ORDERS = (2, 3, 4, 5, 6)


def default_model(seed: int) -> Path:
    """Return where the model of all defaults is kept."""
    return harness.RESULTS / f"language-model-{seed}"


def run_textnn(verses: Verses, seed: int, given: dict[str, Any], **own: Any) -> Result:
    """Train textnn's model, the epoch being chosen on the validation verses; keep the one of all defaults."""
    model = textnn.LanguageModel(random_state=seed, verbose=1, **{**own, **given})
    start = time.perf_counter()
    model.fit(verses.training, validation_data=verses.validation)
    seconds = time.perf_counter() - start
    if not own:
        model.save(default_model(seed))
    found = {"perplexity": model.perplexity(verses.test), "seconds": seconds, "epochs": len(model.history_)}
    return {**found, "settings": f"epoch {model.best_epoch_} of {model.options_['epochs']}"}


def run_plain(verses: Verses, seed: int, given: dict[str, Any]) -> Result:
    """Train the network in plain PyTorch with the same options."""
    options = resolve_options("lstm", given)
    coder = Coder(verses.training, options["min_count"])
    parts = [coder.rows(texts) for texts in verses]
    start = time.perf_counter()
    network, epoch = plain.train(parts[0], parts[1], len(coder.vocabulary), options, seed)
    seconds = time.perf_counter() - start
    found = {"perplexity": plain.perplexity(network, parts[2]), "seconds": seconds, "epochs": epoch}
    return {**found, "settings": f"epoch {epoch} of {options['epochs']}"}


def run_ngrams(verses: Verses, seed: int, given: dict[str, Any]) -> Result:
    """Choose the order on the validation verses."""
    coder = Coder(verses.training, resolve_options("lstm", given)["min_count"])
    training, validation, test = ([row.tolist() for row in coder.rows(texts)] for texts in verses)
    start = time.perf_counter()
    models = {order: ngrams.KneserNey(training, len(coder.vocabulary), order) for order in ORDERS}
    best = min(ORDERS, key=lambda order: ngrams.perplexity(models[order], validation))
    seconds = time.perf_counter() - start
    return {"perplexity": ngrams.perplexity(models[best], test), "seconds": seconds, "settings": f"order {best}"}


CONTESTANTS: Mapping[str, Contestant] = {
    "textnn, lstm": run_textnn,
    "textnn, lstm, states through texts": partial(run_textnn, context="stream"),
    "textnn, lstm, bfloat16": partial(run_textnn, precision="bfloat16"),
    "textnn, gru": partial(run_textnn, cell="gru"),
    "textnn, rnn": partial(run_textnn, cell="rnn"),
    "PyTorch, nn.LSTM": run_plain,
    "Kneser-Ney n-grams": run_ngrams,
}
WITHOUT_SEED = ("Kneser-Ney n-grams",)
