"""Fitting a tagger: from sentences and tags to everything that a fitted tagger has.

sentences, tags -> checked -> split -> vocabularies -> ids -> network trained -> judged -> State

In a group of processes each checks its own share, process 0 prepares the training (``training.joint``) and judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from textnn.data.inputs import PAIR_NAMES, check_device, make_seed, pair_of
from textnn.distributed import ALONE, Group
from textnn.models.options import TAGGING, choice, chosen
from textnn.tagging.architectures import SEGMENTS, build_network, resolve_options, suit_tags
from textnn.tagging.encoding import CHAR, LEVELS, Tokens, make_vocabularies
from textnn.tagging.intake import (
    Tagged,
    check_tagged,
    choose_level,
    hold_out,
    warn_of_nothing,
    warn_of_tags,
)
from textnn.tagging.kinds import kinds_of
from textnn.tagging.lexicon import Lexicon
from textnn.tagging.metrics import score_spans
from textnn.tagging.objective import TAGS, TaggingObjective
from textnn.tagging.prediction import MOST_SCORES, check_scores, predict_numbers
from textnn.tagging.schemes import spans_of
from textnn.tagging.state import State
from textnn.tagging.tags import AUTO, TagSet, check_tag_scheme
from textnn.tagging.windows import Windows, pair_keys
from textnn.text import RaggedDataset, Vocabulary
from textnn.training import pretrained
from textnn.training.checkpoint import Checkpoint
from textnn.training.joint import Job, join_rows, train_state
from textnn.training.loop import TrainingOptions, random_state, seeded
from textnn.training.progress import Reporter, make_reporter
from textnn.training.schedule import suit_steps


def fit(
    parameters: Mapping[str, Any],
    X: Any,
    y: Any,
    validation_data: tuple[Any, Any] | None = None,
    group: Group = ALONE,
    checkpoint: Checkpoint | None = None,
) -> State:
    """Train a tagger; see :meth:`SequenceTagger.fit`.

    Parameters
    ----------
    parameters
        Those of the tagger, by name.
    X, y, validation_data
        Sentences and their tags; in a group of processes the share of this one.
    group
        The processes that train together.
    checkpoint
        Where the training keeps its state.
    """
    with group.together():
        scheme = _check_parameters(parameters)
        device, seed = check_device(parameters["device"]), make_seed(parameters["random_state"], checkpoint is not None)
        own, held_out = check_tagged(X, y), Tagged([], [])
        if validation_data is not None:
            held_out = check_tagged(*pair_of(validation_data, "sentences and their tags"), PAIR_NAMES)
    settings = {name: value for name, value in parameters.items() if name not in _OF_A_PROCESS}
    group.check_same("fit", {**settings, "validation data": validation_data is not None})
    data, held_out, seed = join_rows(own, group), join_rows(held_out, group), group.first(seed)
    reporter = make_reporter(parameters["verbose"] if group.rank == 0 else 0)

    def prepare() -> tuple[State, Job[TaggingObjective]]:
        nonlocal held_out
        split = None if validation_data is None else held_out
        state, held_out, job = _prepare(parameters, data, split, scheme, device, seed, reporter)
        return state, job

    def judge(state: State) -> None:
        if held_out.tokens and state.tags.inner is not None:
            state.validation_scores = score(state, held_out)
            warn_of_nothing(state.validation_scores)

    return train_state(prepare, group, device, reporter, checkpoint, judge, prefix="validation_")


def _prepare(
    parameters: Mapping[str, Any],
    data: Tagged,
    held_out: Tagged | None,
    scheme: str | None,
    device: torch.device,
    seed: int,
    reporter: Reporter,
) -> tuple[State, Tagged, Job[TaggingObjective]]:
    """Return the state but for what training gives, what is held out, and the training."""
    architecture, level = parameters["architecture"], parameters["level"]
    given = {name: parameters[name] for name in chosen(TAGGING)}
    if not any(data.tokens):
        raise ValueError("X: expected at least one sentence, got none")
    level = choose_level(level, data.tokens)
    tags = TagSet.of(data.tags, scheme)
    options = resolve_options(architecture, given, SEGMENTS if tags.is_segmentation and level == CHAR else level)
    warn_of_tags(data, tags.scheme, scheme == AUTO)
    data = data.without_empty()
    if held_out is not None:
        _check_validation(held_out, tags)
        held_out = held_out.without_empty()
    else:
        training, rest = hold_out(data.tokens, options["validation_fraction"], seed)
        data, held_out = data.take(training), data.take(rest)
    options = suit_steps(suit_tags(options, given, len(tags)), given, len(data.tokens))
    _check_batches([*data.tokens, *held_out.tokens], options["batch_size"], len(tags))
    marks = "tags that mark no spans" if tags.scheme is None else f"tags in {tags.inner}"
    if tags.scheme != tags.inner:
        marks += f" (yours: {tags.scheme})"
    reporter.note(f"{len(data.tokens):,} sentences of {level}s, {len(held_out.tokens):,} held out; {len(tags)} {marks}")
    vocabulary, letters = make_vocabularies(data.tokens, level, tags.is_segmentation, options["min_count"])
    vectors, source = None, 0
    if parameters["vectors"] is not None:
        vectors = pretrained.read(parameters["vectors"], vocabulary, given["embedding_dim"], reporter)
        options["embedding_dim"], source = vectors.dim, pretrained.checksum(vectors)
    state = State(level, tags, vocabulary, letters, None, _NONE, options, seed, len(data.tokens), [], 0)
    if tags.inner is not None and level == CHAR:
        state = with_lexicon(state, data)
    sets = encode(state, data, training=True), encode(state, held_out)
    identity = {
        **options,
        "architecture": architecture,
        "tags": tags.names,
        "vocabulary": [vocabulary.tokens, letters.tokens if letters else []],
        "checksum of the vectors": source,
        "seed": seed,
    }
    with seeded(seed, device):
        keys = count_pairs(sets[0], len(vocabulary), options["min_count"]) if options.get("bigram_dim") else None
        sizes = len(vocabulary), len(letters) if letters else 0, 0 if keys is None else len(keys)
        model = build_network(architecture, *sizes, state.words is not None, tags, options)
        if keys is not None:
            model.keys.copy_(keys)
        model.kinds.copy_(torch.tensor([kinds_of(token) for token in vocabulary.tokens]))
        if vectors is not None:
            pretrained.set_first_weights(model, vectors)
        random = random_state(device)
    objective = TaggingObjective(model.crf, tags)
    return state, held_out, Job(model, *sets, objective, TrainingOptions.of(options), seed, random, identity)


_NONE: Any = None
_OF_A_PROCESS = ("random_state", "device", "verbose")


def _check_parameters(parameters: Mapping[str, Any]) -> str | None:
    """Refuse what makes no sense before there is any work; return the scheme."""
    given = {name: parameters[name] for name in chosen(TAGGING)}
    options = resolve_options(parameters["architecture"], given)
    choice(AUTO, *LEVELS)("level", parameters["level"])
    if parameters["vectors"] is not None:
        if "embedding_dim" not in options:
            name = parameters["architecture"]
            raise ValueError(f"vectors: the architecture {name!r} has no embedding that could begin with them")
        pretrained.check(parameters["vectors"], given["embedding_dim"])
    return check_tag_scheme(parameters["scheme"])


def _check_batches(sentences: Sequence[Tokens], batch_size: int, tags: int) -> None:
    """Refuse a training whose largest batch would take too much memory."""
    check_scores("X", max(map(len, sentences), default=0), tags)
    largest = sum(sorted(map(len, sentences), reverse=True)[:batch_size])
    if largest * tags > MOST_SCORES:
        raise ValueError(
            f"batch_size: expected batches of at most {MOST_SCORES // tags:,} tokens with {tags:,} tags, got "
            f"{largest:,} tokens in {batch_size} sentences; cut long sentences, or take fewer of them"
        )


def _check_validation(held_out: Tagged, tags: TagSet) -> None:
    if not any(held_out.tokens):
        raise ValueError("validation_data: expected at least one sentence, got none")
    for number, those in enumerate(held_out.tags):
        try:
            tags.encode(those)
        except ValueError as error:
            raise ValueError(f"validation_data[1][{number}]: {error}") from None


def with_lexicon(state: State, data: Tagged) -> State:
    """Return the state with the spans of what it is trained on, and in which parts of it each occurs."""
    scheme = state.scheme
    assert scheme is not None
    words = [
        ["".join(tokens[start:end]) for start, end, _ in spans_of(tags, scheme)]
        for tokens, tags in zip(data.tokens, data.tags, strict=True)
    ]
    lexicon = Lexicon.of(words, state.encoder.encode, Vocabulary.UNK_ID)
    state = replace(state, words=lexicon.words)
    state.encoder.lexicon = lexicon
    return state


def encode(state: State, data: Tagged, training: bool = False) -> RaggedDataset:
    """Return the ids of sentences, with the numbers of their tags beside them."""
    numbers = [number for tags in data.tags for number in state.tags.encode(tags)]
    made = state.encoder(data.tokens, training)
    made.aligned = {TAGS: torch.tensor(numbers, dtype=torch.int64)}
    return made


def count_pairs(data: RaggedDataset, size: int, min_count: int) -> Tensor:
    """Return the keys of pairs of neighbours that occur often enough, sorted, int64 [P]; 0 is beside a sentence."""
    batch = data.whole()
    windows = Windows(batch.ids, batch.offsets)
    pairs = torch.cat([pair_keys(windows.at(-1), batch.ids, size), pair_keys(batch.ids, windows.at(1), size)])
    keys, counts = pairs.unique(return_counts=True)
    # Each pair within a sentence was counted from both sides.
    inside = (keys >= size) & (keys.remainder(size) != Vocabulary.PAD_ID)
    return keys[counts >= torch.where(inside, 2 * min_count, min_count)]


def score(state: State, data: Tagged) -> Any:
    """Return the scores of the spans of sentences."""
    numbers = predict_numbers(state, data.tokens)
    found = [state.tags.named(state.tags.spans(each)) for each in numbers]
    true = [state.tags.named(state.tags.spans(torch.tensor(state.tags.encode(tags)).numpy())) for tags in data.tags]
    return score_spans(true, found)
