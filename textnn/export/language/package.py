"""What is exported of a language model: a directory with a program of one step, and a script that runs it.

model.onnx or model.pt2   the network: token and states in, logits and states out
preprocessing.json        how texts are cut and joined; names and shapes
vocabulary.txt            one token a line, in the order of the ids
predict.py                reads these files: prompts in, text out; texts in, their log-probabilities out
README.md                 how to use it
"""

from __future__ import annotations

import copy
import os
from functools import partial
from pathlib import Path

import torch

from textnn.export import onnx
from textnn.export.directory import (
    VOCABULARY,
    check_format,
    check_target,
    versions,
    write_directory,
    write_network,
    write_texts,
)
from textnn.export.language import network as names
from textnn.export.language.network import ExportedStep
from textnn.export.language.readme import write_readme
from textnn.language.state import State
from textnn.text.levels import splitting_settings


def export_language_model(state: State, format: str, path: str | os.PathLike[str]) -> None:  # noqa: A002
    """Export a fitted language model; see :meth:`textnn.LanguageModel.export`.

    Parameters
    ----------
    state
        Of the language model.
    format, path
        As there.

    Raises
    ------
    ValueError, ImportError, OSError
        As there.
    """
    check_format(format)
    target = check_target(path)
    if format == "onnx":
        onnx.check_packages()
    network = state.model
    if network.bias.device.type != "cpu":
        network = copy.deepcopy(network).cpu()
    write_directory(target, partial(_write, state, format, ExportedStep(network)))


def _write(state: State, format: str, network: ExportedStep, directory: Path) -> None:  # noqa: A002
    example = {names.TOKENS: torch.tensor([0, 1, 2]), names.STATES: state.model.fresh(3).cpu()}
    axes = {names.TOKENS: {0: "batch"}, names.STATES: {2: "batch"}}
    outputs = {names.LOGITS: {0: "batch"}, names.NEW_STATES: {2: "batch"}}
    written = write_network(format, network, example, axes, outputs, directory)
    state.vocabulary.save(directory / VOCABULARY)
    settings = {
        **versions(),
        "program": written.pop("program"),
        "task": "language",
        "architecture": state.model.name,
        **splitting_settings(state.splitter),
        **written,
    }
    write_texts(directory, settings, None, "language/consumer.py", write_readme(settings))
