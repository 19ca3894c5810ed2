"""The configuration of a saved classifier: what stands in it.

    state, parameters -> values -> ``seal`` -> config.json -> ``parse_config`` -> parameters, prediction

Under ``parameters`` and ``training``, which tell how the model was made, unknown names are left aside.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from textnn.bundle import model
from textnn.bundle.config import Format
from textnn.bundle.files import CARD, CHARACTERS, CONFIG, STOP_WORDS, USER_DICTIONARY, VOCABULARY, WEIGHTS
from textnn.bundle.model import write_config
from textnn.bundle.tokenizer import TOKENIZER_FILES
from textnn.classification.evaluation.judging import report_counts
from textnn.classification.parameters import NOT_STORED
from textnn.classification.state import State
from textnn.data.labels import check_labels, classes_array, labels_from_json, labels_to_json
from textnn.data.targets import KINDS, LABEL
from textnn.text import CallableTokenizer
from textnn.text.tokenizers import ModelTokenizer

LABELS = "labels.json"
FORMAT = Format(
    "textnn-model",
    1,
    summed=(WEIGHTS, LABELS, VOCABULARY, USER_DICTIONARY, STOP_WORDS),
    optional=(CHARACTERS, *TOKENIZER_FILES),
    unsummed=(CONFIG, CARD),
    names=frozenset(
        {"textnn", "torch", "architecture", "options", "parameters", "tokenizer", "prediction", "training", "note"}
    ),
    parts={"prediction": frozenset({"labels", "temperature", "thresholds"})},
    not_stored=NOT_STORED,
)


def write_classifier_config(state: State, parameters: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Write and return the configuration of a fitted classifier, whose other files are written."""
    stored = {name: value for name, value in parameters.items() if name not in NOT_STORED}
    # A name is kept as a name; a tokenizer that the user made comes back as one, out of its own configuration, and so
    # does a model, whose path may not be there any more.
    if isinstance(parameters["tokenizer"], str) and not isinstance(state.tokenizer, ModelTokenizer):
        stored["tokenizer"] = parameters["tokenizer"]
    stored["class_weight"] = _weights_to_json(stored.get("class_weight"))
    own: dict[str, Any] = {
        "architecture": state.model.name,
        "parameters": stored,
        "tokenizer": state.tokenizer.config(),
        "prediction": {
            "labels": state.label_kind,
            "temperature": state.temperature,
            "thresholds": None if state.thresholds is None else state.thresholds.tolist(),
        },
    }
    training = {
        "texts": state.n_texts,
        **report_counts(state.validation_report),
        "calibration": None if state.calibration is None else asdict(state.calibration),
    }
    if isinstance(state.tokenizer, CallableTokenizer):
        own["note"] = "The tokenizer is a function, which is not stored: pass it to load(path, tokenizer=function)."
    return write_config(directory, FORMAT, state, parameters, training, own)


def stored_parameters(config: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the stored parameters of the classifier that are among some names.

    Raises
    ------
    ValueError
        If they are none.
    """
    parameters = model.stored_parameters(config, FORMAT, names)
    if isinstance(weights := parameters.get("class_weight"), dict):
        parameters["class_weight"] = _weights_from_json(weights)
    return parameters


def is_multilabel(config: dict[str, Any]) -> bool:
    """Return whether the configuration of a saved model says that a text may have several labels."""
    stored = config.get("prediction")
    return isinstance(stored, dict) and stored.get("labels") != LABEL


def stored_prediction(stored: Any, classes: int) -> dict[str, Any]:
    """Return what predictions follow from beside the network; models from before there was a choice have None.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if stored is None:
        return {"label_kind": LABEL}
    if not isinstance(stored, dict):
        raise ValueError(f"expected 'prediction' to be of the type dict, got {type(stored).__name__}")
    kind, temperature, thresholds = (stored.get(name) for name in ("labels", "temperature", "thresholds"))
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"expected 'labels' to be one of {', '.join(KINDS)}, got {kind!r}")
    if not isinstance(temperature, int | float) or not 0 < temperature < math.inf:
        raise ValueError(f"expected 'temperature' to be a number above 0, got {temperature!r}")
    found: dict[str, Any] = {"label_kind": kind, "temperature": float(temperature)}
    if kind != LABEL:
        numbers = thresholds if isinstance(thresholds, list) else []
        if len(numbers) != classes or not all(isinstance(number, int | float) for number in numbers):
            raise ValueError(f"expected 'thresholds' to be {classes} numbers, got {thresholds!r:.80}")
        found["thresholds"] = np.array(numbers, dtype=np.float64)
    return found


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
