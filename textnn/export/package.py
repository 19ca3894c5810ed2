"""What is exported: a directory with a program, and all that makes its input of texts and labels of its output.

    model.onnx or model.pt2   the network, from padded ids to logits and probabilities
    preprocessing.json        tokenizer, lengths, names and shapes, temperature, thresholds
    vocabulary.txt            one token a line, in the order of the ids
    characters.txt            the same of characters, where the network reads them
    labels.json               the classes, in the order of the probabilities
    predict.py                reads these files: texts in, labels out, without textnn
    README.md                 how to use it

classifier -> network on padded batches -> program --+
           -> the other files ----------------------+-> hidden directory beside the target -> exchanged with the target
"""

from __future__ import annotations

import copy
import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textnn.classification.state import State
from textnn.data.labels import labels_to_json
from textnn.export import directory, onnx
from textnn.export.directory import check_format, check_target, write_directory
from textnn.export.networks import ExportedNetwork
from textnn.export.readme import write_readme
from textnn.models import CHARACTERS, WORDS
from textnn.text import CallableTokenizer, Vocabulary
from textnn.text.tokenizers.dictionary import parse_entry

VOCABULARIES = {WORDS: directory.VOCABULARY, CHARACTERS: directory.CHARACTERS}
OUTPUTS = ("logits", "probabilities")


def export_classifier(
    classifier: Any,
    format: str,  # noqa: A002
    path: str | os.PathLike[str],
    tables: bool | None = None,
) -> None:
    """Export a fitted classifier; see :meth:`textnn.SentimentClassifier.export`.

    Parameters
    ----------
    classifier
        The classifier, or its state.
    format, path
        As there.
    tables : bool, optional
        Whether the program has, in the place of convolutions, tables of the products of tokens and kernels, which make
        it larger and several times as quick; without it, where a table takes 256 MB at most. LSTMs have none.

    Raises
    ------
    TypeError
        If ``tables`` is something else.
    ValueError, ImportError, OSError
        As there.
    """
    check_format(format)
    if tables is not None and not isinstance(tables, bool):
        raise TypeError(f"tables: expected True, False or None, got {type(tables).__name__} {tables!r}")
    target = check_target(path)
    if format == "onnx":
        onnx.check_packages()
    state = State.of(classifier)
    model = state.model
    if next(model.parameters()).device.type != "cpu":
        model = copy.deepcopy(model).cpu()
    network = ExportedNetwork(model, state.objective, state.temperature, tables)
    labels = labels_to_json(state.classes)
    write_directory(target, partial(_write, state, format, network, labels))


def _write(
    state: State,
    format: str,  # noqa: A002
    network: ExportedNetwork,
    labels: list[Any],
    target: Path,
) -> None:
    streams = state.model.streams
    inputs = [name for stream in streams for name in (stream, f"{stream.removesuffix('s')}_lengths")]
    axes = [shape for stream in streams for shape in ({0: "batch", 1: stream}, {0: "batch"})]
    example = [tensor for _ in streams for tensor in _example()]
    named = dict(zip(inputs, example, strict=True)), dict(zip(inputs, axes, strict=True))
    written = directory.write_network(format, network, *named, OUTPUTS, target)
    vocabularies = [state.vocabulary, state.characters][: len(streams)]
    for stream, vocabulary in zip(streams, vocabularies, strict=True):
        assert vocabulary is not None
        vocabulary.save(target / VOCABULARIES[stream])
    settings = {**directory.versions(), "program": written.pop("program"), **_settings(state), **written}
    directory.write_texts(target, settings, labels, "consumer.py", write_readme(settings))


def _example() -> tuple[Tensor, Tensor]:
    return torch.full((3, 5), Vocabulary.UNK_ID), torch.tensor([5, 1, 3])


def _settings(state: State) -> dict[str, Any]:
    options, tokenizer = state.options, state.tokenizer
    limits = {WORDS: options["max_length"], CHARACTERS: options.get("max_characters")}
    streams = state.model.streams
    output = "sigmoid" if state.multilabel else options.get("output", "softmax")
    settings: dict[str, Any] = {
        "architecture": state.model.name,
        "tokenizer": {
            **tokenizer.config(),
            "stop_words": tokenizer.stop_words,
            "user_dictionary": [parse_entry(line) for line in tokenizer.user_dictionary],
        },
        "forms": [
            {
                "name": stream,
                "vocabulary": VOCABULARIES[stream],
                **({"form": options.get("character_form", "text")} if stream == CHARACTERS else {}),
                "max_length": limits[stream],
                "pad_id": Vocabulary.PAD_ID,
                "unk_id": Vocabulary.UNK_ID,
            }
            for stream in streams
        ],
        "several_labels": state.multilabel,
        "output": output,
        "temperature": state.temperature,
        "thresholds": None if state.thresholds is None else state.thresholds.tolist(),
    }
    if "ngram_buckets" in options:
        settings["ngrams"] = {
            "buckets": options["ngram_buckets"],
            WORDS: options["word_ngrams"],
            CHARACTERS: options["character_ngrams"],
        }
    if isinstance(tokenizer, CallableTokenizer):
        settings["note"] = "The tokenizer is a function, which is not exported: Classifier(tokenize=function)."
    return settings
