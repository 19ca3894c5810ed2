"""What is exported of a tagger: a directory with a program, and all that stands before and behind it.

model.onnx or model.pt2   the network, from padded ids and numbers to emissions
preprocessing.json        level, folding, n-grams, pieces of a text, spelling of the tags; names and shapes
vocabulary.txt            one token a line, in the order of the ids
characters.txt            the same of the letters of words, where the network reads them
labels.json               the tags of the network, in the order of the emissions
arrays.npz                known pairs, kinds of the tokens, scores of the CRF
predict.py                reads these files: texts in, entities, words or tags out
README.md                 how to use it
"""

from __future__ import annotations

import copy
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textnn.export import onnx
from textnn.export.directory import (
    ARRAYS,
    CHARACTERS,
    VOCABULARY,
    check_format,
    check_target,
    versions,
    write_directory,
    write_network,
    write_texts,
)
from textnn.export.tagging import network as names
from textnn.export.tagging.network import ExportedTagger
from textnn.export.tagging.readme import write_readme
from textnn.tagging.encoding import LONGEST_WORD, fold_settings
from textnn.tagging.lexicon import lexicon_settings
from textnn.tagging.network import TaggingNetwork
from textnn.tagging.state import State
from textnn.tagging.tags import TagSet
from textnn.tagging.texts import piece_settings
from textnn.tagging.windows import Windows, hash_settings, lexicon_features, window_features

OUTPUT = "emissions"
_AXES = {0: "batch", 1: "tokens"}


def export_tagger(tagger: Any, format: str, path: str | os.PathLike[str]) -> None:  # noqa: A002
    """Export a fitted tagger; see :meth:`textnn.SequenceTagger.export`.

    Parameters
    ----------
    tagger
        The tagger, or its state.
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
    state = State.of(tagger)
    model = state.model
    if next(model.parameters()).device.type != "cpu":
        model = copy.deepcopy(model).cpu()
    network = ExportedTagger(model)
    write_directory(target, partial(_write, state, format, network))


def _write(state: State, format: str, network: ExportedTagger, directory: Path) -> None:  # noqa: A002
    lengths = torch.tensor([5, 1, 3])
    ones = torch.ones(3, 5, dtype=torch.int64)
    examples: dict[str, tuple[Tensor, dict[int, str]]] = {
        names.TOKENS: (ones, _AXES),
        names.LENGTHS: (lengths, {0: "batch"}),
        names.PAIRS: (ones[:, :, None].repeat(1, 1, 2), _AXES),
        names.LETTERS: (ones[:, :, None].repeat(1, 1, 4), {**_AXES, 2: "letters"}),
        names.LETTER_LENGTHS: (ones + 2, _AXES),
        names.KNOWN: (ones[:, :, None].repeat(1, 1, 3), _AXES),
        names.NGRAMS: (ones[:, :, None].repeat(1, 1, _count_features(state.model)), _AXES),
    }
    example = {name: examples[name][0] for name in network.inputs}
    axes = {name: examples[name][1] for name in network.inputs}
    written = write_network(format, network, example, axes, (OUTPUT,), directory)
    state.vocabulary.save(directory / VOCABULARY)
    if state.letters is not None:
        state.letters.save(directory / CHARACTERS)
    model = network.network
    with torch.no_grad():
        scores = dict(zip(("start", "end", "transitions"), model.crf.scores(), strict=True))
    arrays: dict[str, Tensor] = {"pairs": model.keys, "kinds": model.kinds, **scores}
    if state.encoder.lexicon is not None:
        arrays["words"] = torch.from_numpy(state.encoder.lexicon.keys)
    np.savez(directory / ARRAYS, **{name: tensor.detach().cpu().numpy() for name, tensor in arrays.items()})  # type: ignore[arg-type]
    settings = {**versions(), "program": written.pop("program"), **_settings(state), **written}
    write_texts(directory, settings, state.tags.names, "tagging/consumer.py", write_readme(settings))


def _settings(state: State) -> dict[str, Any]:
    tags, table = state.tags, state.model.ngrams
    return {
        "task": "tagging",
        "architecture": state.model.name,
        "level": state.level,
        "scheme": tags.scheme,
        "spans": tags.inner is not None,
        "segmentation": state.is_segmenter,
        "spelling": _spelling(tags) if tags.types else None,
        "fold": fold_settings(state.level, tags.is_segmentation),
        "longest_word": LONGEST_WORD,
        "pieces": piece_settings(),
        **({} if state.encoder.lexicon is None else {"lexicon": lexicon_settings()}),
        **({} if table is None else {"ngrams": {"buckets": table.num_embeddings, **hash_settings()}}),
    }


def _count_features(model: TaggingNetwork) -> int:
    ids = torch.ones(1, dtype=torch.int64)
    windows = Windows(ids, torch.zeros(1, dtype=torch.int64))
    known = lexicon_features(ids, torch.zeros(1, 3, dtype=torch.int64)) if model.has_lexicon else []
    return len(window_features(windows, windows)) + len(known)


def _spelling(tags: TagSet) -> dict[str, Any] | None:
    """Return how the user's scheme writes spans: what stands before the type in each tag.

    None if it writes them as the network does. Each has a form for a span that stands apart, and one for a span behind
    another of its type.
    """
    if tags.scheme == tags.inner:
        return None
    kind = max(tags.types, default="")
    numbers = {name[:1]: number for number, name in enumerate(tags.names) if name != "O" and name[2:] == kind}
    found = {}
    for form, before in (("apart", ""), ("touching", "S")):
        letters = f"{before}S", f"{before}BIE"
        written = [tags.decode([numbers[letter] for letter in each])[len(before) :] for each in letters]
        starts = [tag.removesuffix(kind) for each in written for tag in each]
        found[form] = dict(zip(("single", "first", "inside", "last"), starts, strict=True))
    return found
