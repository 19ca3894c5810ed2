"""Fitting a language model: from texts to everything that a fitted one has.

texts -> checked -> split -> vocabulary -> streams of ids -> network trained -> State

In a group of processes each checks its own share, and process 0 prepares the training (``training.joint``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from textnn.data.inputs import check_device, check_texts, make_seed
from textnn.data.splitting import hold_out, text_keys
from textnn.distributed import ALONE, Group
from textnn.language.defaults import build_network, resolve_options
from textnn.language.encoding import Splitter, TextEncoder, count
from textnn.language.network import END, UNKNOWN
from textnn.language.objective import LanguageObjective
from textnn.language.state import State
from textnn.models.options import LANGUAGE, chosen
from textnn.text import TokenStreams
from textnn.training.checkpoint import Checkpoint
from textnn.training.joint import Job, train_state
from textnn.training.loop import TrainingOptions, random_state, seeded
from textnn.training.progress import Reporter, make_reporter
from textnn.training.schedule import suit_steps

_FEW = 5
"""With fewer different texts, the end of each is held out instead of some of the texts."""
_OF_A_PROCESS = ("random_state", "device", "verbose", "level")
_NONE: Any = None


def fit(
    parameters: Mapping[str, Any],
    texts: Any,
    validation_data: Any = None,
    group: Group = ALONE,
    checkpoint: Checkpoint | None = None,
) -> State:
    """Train a language model; see :meth:`LanguageModel.fit`.

    Parameters
    ----------
    parameters
        Those of the language model, by name.
    texts, validation_data
        Texts; in a group of processes the share of this one.
    group
        The processes that train together.
    checkpoint
        Where the training keeps its state.
    """
    with group.together():
        splitter = check_parameters(parameters)
        device, seed = check_device(parameters["device"]), make_seed(parameters["random_state"], checkpoint is not None)
        own, held_out = check_texts(texts, "X"), list[str]()
        if validation_data is not None:
            held_out = check_texts(validation_data, "validation_data")
    settings = {name: value for name, value in parameters.items() if name not in _OF_A_PROCESS}
    group.check_same("fit", {**settings, "validation data": validation_data is not None})
    joined, joined_held_out, seed = group.join(own), group.join(held_out), group.first(seed)
    reporter = make_reporter(parameters["verbose"] if group.rank == 0 else 0)

    def prepare() -> tuple[State, Job[LanguageObjective]]:
        given = None if validation_data is None else joined_held_out
        return _prepare(parameters, splitter, joined or [], given, device, seed, reporter)

    return train_state(prepare, group, device, reporter, checkpoint)


def check_parameters(parameters: Mapping[str, Any]) -> Splitter:
    """Refuse what makes no sense before there is any work; return how texts are cut into tokens.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter.
    """
    splitter = Splitter.of(parameters["level"])
    resolve_options(parameters["cell"], given_options(parameters), splitter.words)
    return splitter


def given_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the network that the user gave, None for the others."""
    return {name: parameters[name] for name in chosen(LANGUAGE)}


class Encoded(NamedTuple):
    """Texts as ids, int32 [N], each behind END, and their lengths, int64 [texts]."""

    ids: Tensor
    lengths: Tensor

    def cut(self, fraction: float) -> tuple[Encoded, Encoded]:
        """Return the beginning and the end of each text; the latter has this share of its tokens, behind END."""
        held_out = ((self.lengths - 1) * fraction).long()
        last = torch.repeat_interleave(held_out, self.lengths)
        behind = torch.repeat_interleave(self.lengths.cumsum(0), self.lengths) - torch.arange(len(self.ids))
        is_end = behind <= last
        begins = (held_out.cumsum(0) - held_out)[held_out > 0]
        ends = np.insert(self.ids[is_end].numpy(), begins.numpy(), END)
        return (
            Encoded(self.ids[~is_end], self.lengths - held_out),
            Encoded(torch.from_numpy(ends), held_out[held_out > 0] + 1),
        )


def _prepare(
    parameters: Mapping[str, Any],
    splitter: Splitter,
    texts: list[str],
    held_out: list[str] | None,
    device: torch.device,
    seed: int,
    reporter: Reporter,
) -> tuple[State, Job[LanguageObjective]]:
    """Return the state but for what training gives, and the training."""
    cell, given = parameters["cell"], given_options(parameters)
    options = resolve_options(cell, given, splitter.words)
    number, fraction = len(texts), 0.0
    texts = [text for text in texts if text]
    empty = number - len(texts)
    if held_out is not None:
        held_out = [text for text in held_out if text]
        if not held_out:
            raise ValueError("validation_data: expected at least one text that is not empty, got none")
    elif len(set(texts)) < _FEW:
        fraction, held_out = options["validation_fraction"], []
    else:
        texts, held_out = _hold_out(texts, options["validation_fraction"], seed)
    vocabulary = count(splitter, texts, options["min_count"], options["max_vocabulary"])
    encoder = TextEncoder(splitter, vocabulary)
    data, measured = (Encoded(*encoder(part)) for part in (texts, held_out))
    if not (data.lengths > 1).any():
        found = "no token in any of them" if texts else "none" if not number else "empty ones alone"
        raise ValueError(f"X: expected at least one text that is not empty, got {found}")
    if len(vocabulary) == 2:
        raise ValueError(
            f"min_count: expected tokens that occur at least {options['min_count']} times, got none; "
            "give more text, or a smaller min_count"
        )
    if fraction:
        data, measured = data.cut(fraction)
    window = options["window"]
    options = suit_steps(options, given, -(-len(data.ids) // window))
    options["batch_size"] = max(1, min(options["batch_size"], len(data.ids) // window))
    shape = options["batch_size"], window
    streams = TokenStreams(*data, *shape, options["shuffle"])
    validation = TokenStreams(*measured, *shape, shuffle=False, whole=True) if len(measured.ids) else None
    unknown = float((data.ids == UNKNOWN).float().mean())
    reporter.note(
        f"{len(texts):,} texts, {len(data.ids):,} tokens with their ends; vocabulary of {len(vocabulary):,}, "
        f"{100 * unknown:.2g} % of the tokens are unknown; {len(measured.ids):,} tokens held out"
        + (f"; {empty:,} empty texts left out" if empty else "")
    )
    reporter.note(
        f"{streams.streams} streams, {-(-len(streams) // streams.streams):,} windows of {window} tokens an epoch"
    )
    state = State(splitter, vocabulary, _NONE, options, seed, len(texts), len(data.ids), [], 0)
    identity = {
        **options,
        "cell": cell,
        "level": splitter.config(),
        "vocabulary": vocabulary.tokens,
        "seed": seed,
    }
    with seeded(seed, device):
        model = build_network(cell, len(vocabulary), options)
        random = random_state(device)
    model.streams = max(streams.streams, validation.streams if validation is not None else 0)
    objective = LanguageObjective(model, options["precision"])
    nothing = validation if validation is not None else _no_streams(streams)
    return state, Job(model, streams, nothing, objective, TrainingOptions.of(options), seed, random, identity)


def _no_streams(streams: TokenStreams) -> Any:
    return streams.take(torch.zeros(0, dtype=torch.int64))


def _hold_out(texts: list[str], fraction: float, seed: int) -> tuple[list[str], list[str]]:
    """Return the texts to train on and those that are held out; texts that are the same go to the same side."""
    training, held_out = hold_out(text_keys(texts), fraction, seed)
    return [texts[row] for row in training], [texts[row] for row in held_out]
