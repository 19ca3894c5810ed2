"""Fitting a classifier: from raw texts and labels to everything that a fitted classifier has.

    texts, labels -> planning -> split -> tokens -> vocabulary -> ids -> model trained -> judged -> State

In a group of processes each begins with a share of the texts and tokenizes it; only small things go between them:

    labels -> classes; codes, weights, keys -> the same split everywhere
    texts that occur more than once         -> warnings, from process 0
    counts of the tokens of each share      -> the vocabulary
    ids of each share                       -> the ids of all texts, in the order of one process that has them all
    probabilities, texts of the errors      -> the report on the validation part

Alone a process is a group of one. A fit may go on from an earlier one, whose classes, vocabulary and weights it takes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from textnn.classification import linear
from textnn.classification.evaluation.judging import judge
from textnn.classification.intake import (
    check_vocabularies,
    split_corpus,
    tell_of_texts,
    warn_of_duplicates,
    warn_of_labels,
)
from textnn.classification.objectives import Objective, make_objective
from textnn.classification.planning import Plan, make_plan
from textnn.classification.state import Array, State
from textnn.classification.weighting import class_factors, row_weights
from textnn.data.splitting import Part
from textnn.data.targets import LABEL
from textnn.distributed import ALONE, Group
from textnn.models import CHARACTERS, TextModel, build_model
from textnn.models.tfidf import TfidfTextCNN
from textnn.text import (
    RaggedDataset,
    TokenCounts,
    Vectors,
    Vocabulary,
    encode_tokens,
    split_characters,
    tokenize,
)
from textnn.training import pretrained
from textnn.training.checkpoint import Checkpoint
from textnn.training.loop import TrainingOptions, check_logits, seeded, set_seed, train
from textnn.training.progress import Reporter, make_reporter

FEW_TEXTS = 10_000
"""Below this many texts to train on, the linear part learns from those that were held out too, in the end."""


def fit(
    parameters: Mapping[str, Any],
    texts: Iterable[str],
    labels: Any,
    validation_data: tuple[Iterable[str], Any] | None = None,
    group: Group = ALONE,
    sample_weight: Any = None,
    checkpoint: Checkpoint | None = None,
    before: State | None = None,
    one_pass: bool = False,
    classes: Iterable[Hashable] | None = None,
) -> State:
    """Train a classifier; see :meth:`SentimentClassifier.fit`.

    Parameters
    ----------
    parameters
        Those of the classifier, by name.
    texts, labels, validation_data, sample_weight
        In a group of processes the share of this one.
    group
        The processes that train together.
    checkpoint
        Where the training keeps its state.
    before
        The fit to go on from, which stays as it is: with its classes, tokenizer, vocabulary and weights; a file of
        vectors is not read again.
    one_pass
        Whether to see each text once and hold none out, and, when going on, to do without texts of some classes.
    classes
        All classes, where the labels are not all of them; with ``before``, its own if any.
    """
    kept = checkpoint is not None
    plan = make_plan(parameters, texts, labels, validation_data, group, sample_weight, kept, before, one_pass, classes)
    options, corpus, seed, device = plan.options, plan.corpus, plan.seed, plan.device
    if before is None or not one_pass:
        warn_of_labels(plan.targets, plan.weights, plan.classes, not one_pass, group)
    training, held_out = split_corpus(corpus, options["validation_fraction"], seed, group)
    warn_of_duplicates(corpus, training, held_out, group)

    reporter = make_reporter(parameters["verbose"] if group.rank == 0 else 0)
    for line in plan.chosen():
        reporter.note(line)
    with reporter.tokenizing(len(corpus.texts)) as progress, group.together():
        tokens = list(tokenize(corpus.texts, plan.tokenizer, progress))
    streams, limits = [tokens], [options["max_length"]]
    if CHARACTERS in plan.architecture.streams:
        streams.append([split_characters(text, options.get("character_form", "text")) for text in corpus.texts])
        limits.append(options["max_characters"])
    tell_of_texts(corpus.texts, streams, limits, reporter, group)
    if before is not None:
        vocabularies = [known for known in (before.vocabulary, before.characters) if known is not None]
    else:
        vocabularies = [_make_vocabulary(stream, training, options, group) for stream in streams]
        check_vocabularies(vocabularies, streams, group)
    vectors, source = None, 0
    if plan.reads_vectors:
        vectors = _read_vectors(plan, vocabularies[0], reporter, group)
        facts = group.first(None if vectors is None else (vectors.dim, pretrained.checksum(vectors)))
        assert facts is not None
        options["embedding_dim"], source = facts
    data, validation = (
        _encode(streams, vocabularies, limits, corpus.codes, part, group) for part in (training, held_out)
    )
    del tokens, streams
    objective = _weigh(plan, (training, held_out), (data, validation), group)
    if issubclass(plan.architecture, TfidfTextCNN) and plan.given["ngram_buckets"] is None and before is None:
        sizes = options["word_ngrams"], options["character_ngrams"]
        texts_known = None if one_pass else data
        options["ngram_buckets"] = linear.suit_buckets(sizes, texts_known, options["ngram_buckets"], plan.outputs)
    identity = {
        **plan.settings,
        "classes": plan.classes.tolist(),
        "vocabulary": [words.tokens for words in vocabularies],
        "checksum of the vectors": source,
        "seed": seed,
    }
    with seeded(seed, device):
        model = build_model(parameters["architecture"], [*map(len, vocabularies)], plan.outputs, options).to(device)
        if before is not None:
            with group.together():
                _take_weights(model, before, options)
        elif vectors is not None:
            pretrained.set_first_weights(model, vectors)
        if isinstance(model, TfidfTextCNN):
            model.learn_linear(plan.by_steps)
            if not plan.by_steps:
                _solve(model, data, objective, reporter, group)
        group.share_weights(model)
        if group.rank:  # other dropout in each part of a batch
            set_seed(seed + group.rank, device)
        generator, chosen = torch.Generator().manual_seed(seed), TrainingOptions.of(options)
        trained = train(
            model, data, chosen, generator, objective, validation, reporter, device, group, checkpoint, identity
        )
    check_logits(model, data, device)
    judged = judge(
        model,
        validation,
        objective,
        plan.kind,
        plan.classes,
        corpus.texts,
        held_out,
        device,
        group,
        calibrate=parameters["calibrate"],
        threshold=parameters["threshold"],
    )
    few = len(validation) and not corpus.validation and len(data) < FEW_TEXTS
    if isinstance(model, TfidfTextCNN) and few and not plan.by_steps:
        # To so few others the held-out texts are worth more than what else they could tell about the model.
        _solve(model, RaggedDataset.chained([data, validation]), objective, reporter, group)
        group.share_weights(model)
    state = State(
        plan.kind,
        plan.classes,
        plan.tokenizer,
        vocabularies[0],
        vocabularies[1] if len(vocabularies) > 1 else None,
        model,
        options,
        seed,
        len(training),
        [epoch.to_dict() for epoch in trained.history],
        trained.best_epoch,
        judged.temperature,
        judged.calibration,
        judged.thresholds,
        judged.report,
    )
    return _added(before, state) if before is not None and one_pass else state


def _added(before: State, state: State) -> State:
    """Return the state after one more pass: texts and epochs add up, what held-out texts gave stays."""
    last = len(before.history) + 1
    return replace(
        state,
        seed=before.seed,
        n_texts=before.n_texts + state.n_texts,
        history=[*before.history, {**state.history[0], "epoch": last}],
        best_epoch=last,
        temperature=before.temperature,
        calibration=before.calibration,
        thresholds=before.thresholds,
    )


def _solve(model: TfidfTextCNN, data: RaggedDataset, objective: Objective, reporter: Reporter, group: Group) -> None:
    """Solve the linear part in process 0, whose weights the others get."""
    with group.together():
        if group.rank == 0 and model.bags:
            with reporter.solving(len(model.linear_bias)) as progress:
                linear.solve(model, data, objective, progress)


def _weigh(plan: Plan, parts: tuple[Part, Part], data: tuple[RaggedDataset, RaggedDataset], group: Group) -> Objective:
    """Give each text its weight; return the objective, which has those of the classes where a text may have several."""
    corpus, class_weight = plan.corpus, plan.parameters["class_weight"]
    codes, weights = ([part.join(values, group) for part in parts] for values in (corpus.codes, corpus.weights))
    several = corpus.kind != LABEL
    with group.together(), np.errstate(over="ignore"):
        factors = class_factors(class_weight, corpus.classes, codes[0], weights[0])
        own = None if several else factors
        mean = float(np.mean(weights[0] if own is None else weights[0] * own[codes[0]]))
        if not 0 < mean < np.inf:
            argument, got = ("sample_weight", mean) if own is None else ("class_weight", class_weight)
            raise ValueError(f"{argument}: expected weights whose mean over the texts is finite and above 0, got {got}")
    for part, found in zip(data, row_weights(weights, codes, own, mean), strict=True):
        part.weights = None if found is None else torch.from_numpy(found)
    return make_objective(
        plan.options["output"],
        several,
        plan.options["label_smoothing"],
        factors.tolist() if several and factors is not None else None,
    )


def _take_weights(model: TextModel, before: State, options: dict[str, Any]) -> None:
    """Give a network the weights that an earlier fit has."""
    old = before.model.state_dict()
    if {name: tensor.shape for name, tensor in model.state_dict().items()} != {n: t.shape for n, t in old.items()}:
        changed = [
            f"{name} {options.get(name)!r} instead of {value!r}"
            for name, value in before.options.items()
            if options.get(name) != value
        ]
        raise ValueError(
            f"the network: expected the one that the classifier was fitted with, got another: {', '.join(changed)}"
        )
    model.load_state_dict(old)


def _make_vocabulary(
    tokens: Sequence[Sequence[str]], training: Part, options: dict[str, Any], group: Group
) -> Vocabulary:
    """Count the tokens of each share; process 0 makes the vocabulary for all."""
    counts = TokenCounts()
    for row, place in zip(training.rows, training.places[group.rank].tolist(), strict=True):
        counts.add(place, tokens[row])
    parts = group.collect(counts)
    vocabulary = None
    if parts is not None:
        vocabulary = Vocabulary.from_counts(TokenCounts.joint(parts), options["min_count"], options["max_vocabulary"])
    vocabulary = group.first(vocabulary)
    assert vocabulary is not None
    return vocabulary


def _read_vectors(plan: Plan, vocabulary: Vocabulary, reporter: Reporter, group: Group) -> Vectors | None:
    """Read the file of vectors in process 0, whose weights the others get; None in them."""
    with group.together():
        if group.rank == 0:
            return pretrained.read(plan.parameters["vectors"], vocabulary, plan.given["embedding_dim"], reporter)
    return None


def _encode(
    streams: Sequence[Sequence[Sequence[str]]],
    vocabularies: Sequence[Vocabulary],
    limits: Sequence[int | None],
    codes: Array,
    part: Part,
    group: Group,
) -> RaggedDataset:
    """Return the ids of all texts of the part in each form, those of the other processes included."""
    labels = torch.from_numpy(codes[part.rows])
    forms = [
        encode_tokens((tokens[row] for row in part.rows), vocabulary, limit, labels)
        for tokens, vocabulary, limit in zip(streams, vocabularies, limits, strict=True)
    ]
    own, own.others = forms[0], tuple(forms[1:])
    if group.size == 1:
        return own
    return RaggedDataset.joint(group.gather(own), [torch.from_numpy(places) for places in part.places])
