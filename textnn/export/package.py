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
import difflib
import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textnn.classification.state import State
from textnn.data.labels import labels_to_json
from textnn.export import onnx, program
from textnn.export.networks import ExportedNetwork
from textnn.export.readme import write_readme
from textnn.files import BYTECODE, finish_replacing, foreign_names, replacing, sync_directory, sync_file
from textnn.models import CHARACTERS, WORDS
from textnn.text import CallableTokenizer, Vocabulary
from textnn.text.tokenizers.dictionary import parse_entry

FORMATS = {"onnx": onnx.NAME, "torch": program.NAME}
"""What can be exported, and the file of the program."""

SETTINGS, LABELS, SCRIPT, README = "preprocessing.json", "labels.json", "predict.py", "README.md"
VOCABULARIES = {WORDS: "vocabulary.txt", CHARACTERS: "characters.txt"}
FILES = {*FORMATS.values(), onnx.DATA, SETTINGS, LABELS, SCRIPT, README, *VOCABULARIES.values()}
_REPLACED = {*FILES, BYTECODE}  # what an export may replace: whoever imports the script has its bytecode beside it
OUTPUTS = ("logits", "probabilities")
FORMAT, FORMAT_VERSION = "textnn-export", 1


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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, _REPLACED) as directory:
            _write(state, format, network, labels, directory)
    except OSError as error:
        if error.errno is None:
            raise
        # It would name a directory that nobody has heard of.
        raise OSError(error.errno, error.strerror, str(target)) from error


def check_format(format: str) -> None:  # noqa: A002
    """Refuse a format that there is not.

    Raises
    ------
    ValueError
        With the formats that there are.
    """
    if not isinstance(format, str) or format not in FORMATS:
        close = difflib.get_close_matches(str(format).lower(), FORMATS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"format: expected one of {', '.join(map(repr, FORMATS))}, got {format!r}{hint}")


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return where to export to, links resolved.

    Raises
    ------
    ValueError
        If something is there that an export must not replace.
    """
    target = Path(os.path.realpath(path))
    if target.suffix in (".onnx", ".pt2", ".pt") and not target.is_dir():
        raise ValueError(f"path: expected a directory, in which {' or '.join(FORMATS.values())} will be, got {target}")
    if not target.exists():
        return target
    if not target.is_dir():
        raise ValueError(f"path: expected a directory to export to, got the file {target}")
    if os.access(target, os.W_OK):
        finish_replacing(target, _REPLACED)
    foreign = foreign_names(target, _REPLACED)
    names = {*foreign, *(entry.name for entry in target.iterdir() if entry.name in _REPLACED)}
    if names and not _is_export(target / SETTINGS):
        raise ValueError(f"path: expected an empty directory or an earlier export to replace, got others in {target}")
    if foreign:
        raise ValueError(
            f"path: the export in {target} would be replaced, but with it {', '.join(foreign[:5])}, which textnn did "
            "not write; move it away or export elsewhere"
        )
    return target


def _is_export(settings: Path) -> bool:
    try:
        return bool(json.loads(settings.read_bytes())["format"] == FORMAT)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _write(
    state: State,
    format: str,  # noqa: A002
    network: ExportedNetwork,
    labels: list[Any],
    directory: Path,
) -> None:
    streams = state.model.streams
    inputs = [name for stream in streams for name in (stream, f"{stream.removesuffix('s')}_lengths")]
    axes = [shape for stream in streams for shape in ({0: "batch", 1: stream}, {0: "batch"})]
    example = tuple(tensor for _ in streams for tensor in _example())
    if format == "onnx":
        onnx.write_onnx(network, example, axes, inputs, OUTPUTS, directory)
    else:
        program.write_program(network, example, axes, directory)
    vocabularies = [state.vocabulary, state.characters][: len(streams)]
    for stream, vocabulary in zip(streams, vocabularies, strict=True):
        assert vocabulary is not None
        vocabulary.save(directory / VOCABULARIES[stream])
    settings = _settings(state, format)
    settings["inputs"] = [
        {"name": name, "dtype": "int64", "shape": list(shape.values())}
        for name, shape in zip(inputs, axes, strict=True)
    ]
    with torch.no_grad():
        results = network(*example)
    settings["outputs"] = [
        {"name": name, "dtype": str(result.dtype).removeprefix("torch."), "shape": ["batch", result.shape[1]]}
        for name, result in zip(OUTPUTS, results, strict=True)
    ]
    # Both in ASCII, as a label or a word may have half a surrogate pair.
    for name, content in ((LABELS, labels), (SETTINGS, settings)):
        (directory / name).write_text(json.dumps(content, indent=2) + "\n", encoding="ascii")
    script = files("textnn.export").joinpath("consumer.py").read_text(encoding="utf-8")
    (directory / SCRIPT).write_text(script, encoding="utf-8", newline="\n")
    (directory / README).write_text(write_readme(settings), encoding="utf-8", newline="\n")
    for file in directory.iterdir():
        sync_file(file)
    sync_directory(directory)


def _example() -> tuple[Tensor, Tensor]:
    return torch.full((3, 5), Vocabulary.UNK_ID), torch.tensor([5, 1, 3])


def _settings(state: State, format: str) -> dict[str, Any]:  # noqa: A002
    from textnn.version import __version__

    options, tokenizer = state.options, state.tokenizer
    limits = {WORDS: options["max_length"], CHARACTERS: options.get("max_characters")}
    streams = state.model.streams
    output = "sigmoid" if state.multilabel else options.get("output", "softmax")
    settings: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "textnn": __version__,
        "torch": torch.__version__,
        "program": {"file": FORMATS[format], **({"opset": onnx.OPSET} if format == "onnx" else {})},
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
