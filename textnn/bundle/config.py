"""The configuration of a saved model, ``config.json``: what stands in it, and that it is what was written.

    classifier -> values -> a sum over all of them, among them -> config.json
    config.json -> JSON -> format and version -> sum -> known names only -> sizes and sums of the other files

A name that this version does not know is refused where predictions follow from what stands there: at the top, under
``files``, ``options``, ``prediction`` and ``tokenizer``. Under ``parameters`` and ``training``, which tell how the
model was made, it is left aside. Configurations from before there was a sum have none and are read without it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from textnn.bundle.files import CHARACTERS, SUMMED, Sum, to_json
from textnn.data.labels import check_labels, classes_array, labels_from_json, labels_to_json
from textnn.evaluation.judging import report_counts
from textnn.fitted import prediction_config
from textnn.reading import parse_json
from textnn.text import CallableTokenizer

if TYPE_CHECKING:
    from textnn.classifier import SentimentClassifier

FORMAT = "textnn-model"
FORMAT_VERSION = 1

# Parameters of the classifier that are not stored as they are: files hold the lists, the others belong to a machine.
NOT_STORED = {"tokenizer", "user_dictionary", "stop_words", "vectors", "random_state", "device", "verbose"}

_SUM = "sha256"
_KEYS = {
    *("format", "format_version", "textnn", "torch", "architecture", "options", "parameters", "tokenizer"),
    *("prediction", "training", "note", "files", _SUM),
}
_PREDICTION = {"labels", "temperature", "thresholds"}
_DIGEST = re.compile("[0-9a-f]{64}")


def make_config(classifier: SentimentClassifier, files: dict[str, Sum]) -> dict[str, Any]:
    """Return the configuration of a fitted classifier, with its sum.

    Parameters
    ----------
    classifier
        The classifier.
    files
        Sizes and sums of the model's other files.
    """
    from textnn import __version__

    tokenizer = classifier.tokenizer_
    parameters = {name: value for name, value in classifier.get_params().items() if name not in NOT_STORED}
    # A name is kept as a name; a tokenizer that the user made comes back as one, out of its own configuration.
    if isinstance(classifier.tokenizer, str):
        parameters["tokenizer"] = classifier.tokenizer
    parameters["class_weight"] = _weights_to_json(parameters.get("class_weight"))
    config: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "textnn": __version__,
        "torch": torch.__version__,
        "architecture": classifier.model_.name,
        "options": classifier.options_,
        "parameters": parameters,
        "tokenizer": tokenizer.config(),
        "prediction": prediction_config(classifier),
        "training": {
            "texts": classifier.n_texts_,
            "seed": classifier.seed_,
            "best_epoch": classifier.best_epoch_,
            "history": classifier.history_,
            **report_counts(classifier.validation_report_),
            "calibration": None if classifier.calibration_ is None else asdict(classifier.calibration_),
        },
    }
    if isinstance(tokenizer, CallableTokenizer):
        config["note"] = "The tokenizer is a function, which is not stored: pass it to load(path, tokenizer=function)."
    config["files"] = files
    return seal(config)


def seal(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration in plain values, with the sum of what stands in it; an older sum is replaced."""
    plain = _finite(json.loads(to_json(config)))
    return {**plain, _SUM: _sum(plain)}


def parse_config(data: bytes) -> dict[str, Any]:
    """Return the configuration that a file holds.

    Raises
    ------
    ValueError
        If it is damaged, or of another program or format version.
    """
    try:
        config = parse_json(data)
    except ValueError as error:
        raise ValueError(f"{error}; the file is damaged") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ValueError(f"expected the configuration of a textnn model ('format': {FORMAT!r}), got another file")
    version = config.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ValueError(
            f"the model has the format version {version!r:.40}, this textnn reads version {FORMAT_VERSION}; "
            "use the textnn that wrote it, or a newer one"
        )
    if _SUM in config and config[_SUM] != _sum(config):
        raise ValueError("expected other content (its SHA-256 differs); the file is damaged or was changed")
    refuse_unknown("names", config, _KEYS)
    if isinstance(config.get("prediction"), dict):
        refuse_unknown("'prediction'", config["prediction"], _PREDICTION)
    return config


def file_sums(config: dict[str, Any]) -> dict[str, Sum]:
    """Return size and sum of each file of the model but the configuration.

    Raises
    ------
    ValueError
        If they are not stored as they should be.
    """
    sums = get(config, "files", dict)
    refuse_unknown("'files'", sums, {*SUMMED, CHARACTERS})
    for name in (*SUMMED, *({CHARACTERS} & set(sums))):
        stored = sums.get(name)
        if not isinstance(stored, dict) or set(stored) != {"bytes", "sha256"}:
            raise ValueError(f"expected bytes and sha256 of {name} in 'files', got {stored!r:.80}")
        if type(stored["bytes"]) is not int or not _DIGEST.fullmatch(str(stored["sha256"])):
            raise ValueError(f"expected bytes and sha256 of {name} in 'files', got {stored!r:.80}")
    return sums


def stored_parameters(config: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return the stored parameters of the classifier that are among some names.

    Raises
    ------
    ValueError
        If they are none.
    """
    stored = get(config, "parameters", dict)
    parameters = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items() if name in names}
    if isinstance(weights := parameters.get("class_weight"), dict):
        parameters["class_weight"] = _weights_from_json(weights)
    return parameters


def get(config: dict[str, Any], key: str, kind: type) -> Any:
    """Return a value of a configuration, of the type that it must have.

    Raises
    ------
    ValueError
        If it is missing or of another type.
    """
    value = config.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = "nothing" if key not in config else type(value).__name__
        raise ValueError(f"expected {key!r} to be of the type {kind.__name__}, got {found}")
    return value


def refuse_unknown(where: str, values: dict[str, Any], known: set[str]) -> None:
    """Refuse names that this version does not know.

    Raises
    ------
    ValueError
        If there is one.
    """
    if unknown := sorted(set(values) - known):
        names = ", ".join(repr(name[:40]) for name in unknown[:5])
        raise ValueError(
            f"expected only {', '.join(sorted(known))} as {where if where == 'names' else f'names in {where}'}, "
            f"got {names}; was the model written by a newer textnn?"
        )


def _sum(config: dict[str, Any]) -> str:
    """Sum what a configuration says, however it is laid out."""
    content = {name: value for name, value in config.items() if name != _SUM}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def _finite(value: Any) -> Any:
    """Replace numbers that JSON does not have (a loss that became infinite, say) by null."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _weights_to_json(weights: Any) -> Any:
    """Keep the types of the labels that weights are given for: names in JSON are strings."""
    if not isinstance(weights, Mapping) or all(isinstance(label, str) for label in weights):
        return weights
    return {"labels": labels_to_json(classes_array(check_labels(weights))), "weights": list(weights.values())}


def _weights_from_json(stored: dict[str, Any]) -> dict[Any, Any]:
    labels, weights = stored.get("labels"), stored.get("weights")
    if len(stored) != 2 or not isinstance(labels, list) or not isinstance(weights, list):
        return stored
    return dict(zip(labels_from_json(labels, fewest=1).tolist(), weights, strict=True))
