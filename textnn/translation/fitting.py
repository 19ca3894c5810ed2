"""Fitting a translator: from pairs of texts to everything that a fitted one has.

sources, targets -> checked -> split -> vocabularies -> ids -> network trained -> State

In a group of processes each checks its own share, and process 0 prepares the training (``training.joint``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from textnn.data.inputs import PAIR_NAMES, check_device, check_texts, make_seed, pair_of
from textnn.data.splitting import hold_out, text_keys
from textnn.distributed import ALONE, Group
from textnn.text import RaggedDataset
from textnn.text.levels import UNKNOWN, Splitter, count
from textnn.training.checkpoint import Checkpoint
from textnn.training.joint import Job, join_rows, train_state
from textnn.training.loop import TrainingOptions, random_state, seeded
from textnn.training.progress import Reporter, make_reporter
from textnn.training.schedule import suit_steps
from textnn.translation.defaults import NAMES, build_network, resolve_options
from textnn.translation.encoding import SourceReader
from textnn.translation.objective import TranslationObjective
from textnn.translation.state import State

_OF_A_PROCESS = ("random_state", "device", "verbose", "source_level", "target_level")
_NONE: Any = None
_FEW = 5
"""With fewer different sources there is nothing to hold out that the others could teach."""


class Pairs(NamedTuple):
    """Texts and their translations."""

    sources: list[str]
    targets: list[str]

    def take(self, rows: list[int]) -> Pairs:
        """Return some of the pairs."""
        return Pairs([self.sources[row] for row in rows], [self.targets[row] for row in rows])


def check_pairs(X: Any, y: Any, names: tuple[str, str] = ("X", "y")) -> Pairs:
    """Return texts with their translations.

    Raises
    ------
    TypeError, ValueError
        If they are no such thing, or not as many of the one as of the other.
    """
    if y is None:
        raise TypeError(f"{names[1]}: expected a translation of each text, got None")
    sources, targets = check_texts(X, names[0]), check_texts(y, names[1])
    if len(sources) != len(targets):
        raise ValueError(f"{names[1]}: expected {len(sources)} texts, as many as in {names[0]}, got {len(targets)}")
    return Pairs(sources, targets)


def fit(
    parameters: Mapping[str, Any],
    X: Any,
    y: Any,
    validation_data: Any = None,
    group: Group = ALONE,
    checkpoint: Checkpoint | None = None,
) -> State:
    """Train a translator; see :meth:`Translator.fit`.

    Parameters
    ----------
    parameters
        Those of the translator, by name.
    X, y, validation_data
        Texts and their translations; in a group of processes the share of this one.
    group
        The processes that train together.
    checkpoint
        Where the training keeps its state.
    """
    with group.together():
        splitters = check_parameters(parameters)
        device, seed = check_device(parameters["device"]), make_seed(parameters["random_state"], checkpoint is not None)
        own, held_out = check_pairs(X, y), Pairs([], [])
        if validation_data is not None:
            held_out = check_pairs(*pair_of(validation_data, "texts and their translations"), PAIR_NAMES)
    settings = {name: value for name, value in parameters.items() if name not in _OF_A_PROCESS}
    group.check_same("fit", {**settings, "validation data": validation_data is not None})
    joined, joined_held_out, seed = join_rows(own, group), join_rows(held_out, group), group.first(seed)
    reporter = make_reporter(parameters["verbose"] if group.rank == 0 else 0)

    def prepare() -> tuple[State, Job[TranslationObjective]]:
        given = None if validation_data is None else joined_held_out
        return _prepare(parameters, splitters, joined, given, device, seed, reporter)

    return train_state(prepare, group, device, reporter, checkpoint)


def check_parameters(parameters: Mapping[str, Any]) -> tuple[Splitter, Splitter]:
    """Refuse what makes no sense before there is any work; return how the texts of both sides are cut into tokens.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter.
    """
    source, target = (Splitter.of(parameters[name], name) for name in ("source_level", "target_level"))
    resolve_options(parameters["cell"], parameters["attention"], given_options(parameters))
    return source, target


def given_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the user gave, None for the others."""
    return {name: parameters[name] for name in NAMES}


def _prepare(
    parameters: Mapping[str, Any],
    splitters: tuple[Splitter, Splitter],
    pairs: Pairs,
    held_out: Pairs | None,
    device: torch.device,
    seed: int,
    reporter: Reporter,
) -> tuple[State, Job[TranslationObjective]]:
    """Return the state but for what training gives, and the training."""
    cell, attention, given = parameters["cell"], parameters["attention"], given_options(parameters)
    options = resolve_options(cell, attention, given)
    if not pairs.sources:
        raise ValueError("X: expected at least one text, got none")
    if held_out is not None and not held_out.sources:
        raise ValueError("validation_data: expected at least one pair, got none")
    is_given = held_out is not None
    if held_out is None:
        training, rows = _hold_out(pairs.sources, options["validation_fraction"], seed)
        pairs, held_out = pairs.take(training), pairs.take(rows)
    source, target = splitters
    reader, limits = SourceReader(source, options["lowercase"]), (options["min_count"], options["max_vocabulary"])
    vocabularies = reader.count(pairs.sources, *limits), count(target, pairs.targets, *limits)
    state = State(source, vocabularies[0], target, vocabularies[1], _NONE, options, seed, 0, 0, [], 0)
    data, measured = (state.encoder(*part, options["max_length"]) for part in (pairs, held_out))
    _check_data(data, len(pairs.sources), vocabularies, options)
    if is_given:
        _check_pairs_of("validation_data", measured, len(held_out.sources), options)
    options = suit_steps(options, given, len(data))
    state = replace(state, options=options, n_pairs=len(data), n_tokens=int(data.lengths.sum()))
    _report(state, data, measured, len(pairs.sources), reporter)
    identity = {
        **options,
        "cell": cell,
        "attention": attention,
        "source_level": source.config(),
        "target_level": target.config(),
        "vocabularies": [vocabulary.tokens for vocabulary in vocabularies],
        "seed": seed,
    }
    with seeded(seed, device):
        model = build_network(cell, attention, len(vocabularies[0]), len(vocabularies[1]), options)
        random = random_state(device)
    objective = TranslationObjective(model, options["label_smoothing"], options["precision"])
    return state, Job(model, data, measured, objective, TrainingOptions.of(options), seed, random, identity)


def _check_data(data: RaggedDataset, number: int, vocabularies: Any, options: Mapping[str, Any]) -> None:
    _check_pairs_of("X", data, number, options)
    for name, vocabulary in zip(("X", "y"), vocabularies, strict=True):
        if len(vocabulary) == 2:
            raise ValueError(
                f"min_count: expected tokens in {name} that occur at least {options['min_count']} times, got none; "
                "give more text, or a smaller min_count"
            )


def _check_pairs_of(name: str, data: RaggedDataset, number: int, options: Mapping[str, Any]) -> None:
    if not len(data):
        raise ValueError(
            f"{name}: expected at least one pair with tokens on both sides, and at most {options['max_length']} "
            f"(max_length) on each, got none among {number:,}"
        )


def _report(state: State, data: RaggedDataset, measured: RaggedDataset, number: int, reporter: Reporter) -> None:
    sizes = len(state.source_vocabulary), len(state.target_vocabulary)
    shares = (100 * float((part.whole().ids == UNKNOWN).float().mean()) for part in (data.others[0], data))
    sides = (
        f"{name}: vocabulary of {size:,}, {share:.2g} % unknown"
        for name, size, share in zip(("source", "target"), sizes, shares, strict=True)
    )
    left_out = number - len(data)
    reporter.note(
        f"{len(data):,} pairs, {len(measured):,} held out; {'; '.join(sides)}"
        + (f"; {left_out:,} pairs left out that are empty or longer than max_length" if left_out else "")
    )


def _hold_out(sources: list[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Return the rows to train on and those that are held out; pairs of the same source go to the same side.

    None is held out of fewer than ``_FEW`` different sources.
    """
    keys = text_keys(sources)
    if len(set(keys)) < _FEW:
        return list(range(len(sources))), []
    return hold_out(keys, fraction, seed)
