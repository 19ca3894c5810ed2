"""Fitting a classifier: from raw texts and labels to everything that a fitted classifier has.

    texts, labels -> planning -> split -> tokens -> vocabulary -> ids -> model trained -> judged -> State

In a group of processes, process 0 does all of this as one process would. The others have three parts in it:

    join_inputs       their texts, labels and weights go to process 0
    tokenize_shares   process 0 deals the texts out to be tokenized, which is slow, and gets the tokens
    train_job         each trains on its part of every batch

Alone a process is a group of one. A fit may go on from an earlier one, whose classes, vocabulary and weights it takes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from textnn.classification import linear
from textnn.classification.evaluation.judging import judge
from textnn.classification.intake import check_vocabularies, join_inputs, read_inputs, tell_of_texts
from textnn.classification.objectives import Objective, make_objective
from textnn.classification.planning import Plan, agree, given_options, make_plan
from textnn.classification.state import State
from textnn.classification.weighting import class_factors, row_weights
from textnn.data.inputs import check_device
from textnn.data.splitting import Numbers
from textnn.data.targets import LABEL
from textnn.distributed import ALONE, Group
from textnn.models import CHARACTERS, TextModel, build_model, resolve_options
from textnn.models.tfidf import TfidfTextCNN
from textnn.text import RaggedDataset, Tokenizer, Vocabulary, encode_tokens, split_characters, tokenize
from textnn.training import pretrained
from textnn.training.checkpoint import Checkpoint
from textnn.training.joint import Job, train_job
from textnn.training.loop import Trained, TrainingOptions, random_state, seeded
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
        Those of the classifier, by name; ``pretrained`` as :class:`~textnn.training.transfer.LanguageWeights`.
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
    with group.together():
        resolve_options(parameters["architecture"], given_options(parameters))
        if parameters["pretrained"] is not None and before is None:
            parameters["pretrained"].check(parameters["architecture"], parameters)
        device = check_device(parameters["device"])
        own = read_inputs(texts, labels, sample_weight, validation_data)
    inputs = join_inputs(own, group)
    reporter = make_reporter(parameters["verbose"] if group.rank == 0 else 0)
    plan = job = facts = vocabularies = None
    with group.together():
        if inputs is not None:
            plan = make_plan(parameters, inputs, checkpoint is not None, before, one_pass, classes)
            for line in plan.chosen():
                reporter.note(line)
    tokenizer = agree(parameters, plan, before, group)
    tokens = tokenize_shares(None if plan is None else plan.corpus.texts, tokenizer, reporter, group)
    with group.together():
        if plan is not None and tokens is not None:
            vocabularies, data = encode(plan, tokens, reporter)
            del tokens
            job = prepare(plan, vocabularies, data, device, reporter)
    job, trained = train_job(job, group, device, reporter, checkpoint)
    with group.together():
        if plan is not None and vocabularies is not None:
            facts = finish(plan, vocabularies, job, trained, device, reporter)
    facts = group.first(facts)
    assert facts is not None
    facts["model"].to(device)
    state = State(tokenizer=tokenizer, **facts)
    return _added(before, state) if before is not None and one_pass else state


def tokenize_shares(
    texts: list[str] | None, tokenizer: Tokenizer, reporter: Reporter, group: Group
) -> list[list[str]] | None:
    """Return the tokens of texts in process 0, which has them; None in the others. Each tokenizes a share."""
    own = group.deal(texts)
    with reporter.tokenizing(len(own)) as progress, group.together():
        tokens = list(tokenize(own, tokenizer, progress))
    return group.join(tokens)


def encode(
    plan: Plan, tokens: list[list[str]], reporter: Reporter
) -> tuple[list[Vocabulary], tuple[RaggedDataset, RaggedDataset]]:
    """Return the vocabulary of each form of the texts, and the ids of both parts, from the tokens of all texts."""
    options, corpus, before = plan.options, plan.corpus, plan.before
    streams, limits = [tokens], [options["max_length"]]
    if CHARACTERS in plan.architecture.streams:
        streams.append([split_characters(text, options.get("character_form", "text")) for text in corpus.texts])
        limits.append(options["max_characters"])
    tell_of_texts(corpus.texts, streams, limits, reporter)
    if before is not None:
        vocabularies = [known for known in (before.vocabulary, before.characters) if known is not None]
    else:
        limit = options["min_count"], options["max_vocabulary"]
        vocabularies = [Vocabulary.build((stream[row] for row in plan.parts[0]), *limit) for stream in streams]
        if (language := plan.language) is not None:
            form = language.reads(plan.parameters["architecture"])
            vocabularies[plan.architecture.streams.index(form)] = language.vocabulary
        check_vocabularies(vocabularies, streams)

    def of_part(rows: Numbers) -> RaggedDataset:
        labels = torch.from_numpy(corpus.codes[rows])
        forms = zip(streams, vocabularies, limits, strict=True)
        whole, *others = (
            encode_tokens((stream[row] for row in rows), vocabulary, limit, labels)
            for stream, vocabulary, limit in forms
        )
        whole.others = tuple(others)
        return whole

    return vocabularies, (of_part(plan.parts[0]), of_part(plan.parts[1]))


def prepare(
    plan: Plan,
    vocabularies: list[Vocabulary],
    data: tuple[RaggedDataset, RaggedDataset],
    device: torch.device,
    reporter: Reporter,
) -> Job[Objective]:
    """Weigh the texts, and make the network with its first weights."""
    parameters, options, before, seed = plan.parameters, plan.options, plan.before, plan.seed
    vectors, source = None, 0
    if plan.reads_vectors:
        vectors = pretrained.read(parameters["vectors"], vocabularies[0], plan.given["embedding_dim"], reporter)
        options["embedding_dim"], source = vectors.dim, pretrained.checksum(vectors)
    objective = _weigh(plan, data)
    if issubclass(plan.architecture, TfidfTextCNN) and plan.given["ngram_buckets"] is None and before is None:
        sizes = options["word_ngrams"], options["character_ngrams"]
        texts_known = None if plan.one_pass else data[0]
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
            _take_weights(model, before, options)
        elif vectors is not None:
            pretrained.set_first_weights(model, vectors)
        elif plan.language is not None:
            plan.language.set_first_weights(model, options["epochs"])
        if isinstance(model, TfidfTextCNN):
            model.learn_linear(plan.by_steps)
            if not plan.by_steps:
                _solve(model, data[0], objective, reporter)
        random = random_state(device)
    return Job(model, *data, objective, TrainingOptions.of(options), seed, random, identity)


def finish(
    plan: Plan,
    vocabularies: list[Vocabulary],
    job: Job[Objective],
    trained: Trained,
    device: torch.device,
    reporter: Reporter,
) -> dict[str, Any]:
    """Judge the trained network; return the fields of the state but for the tokenizer: a function cannot be sent."""
    parameters, corpus, model = plan.parameters, plan.corpus, job.model
    assert isinstance(model, TextModel)
    judged = judge(
        model,
        job.validation,
        job.objective,
        plan.kind,
        plan.classes,
        [corpus.texts[row] for row in plan.parts[1]],
        device,
        calibrate=parameters["calibrate"],
        threshold=parameters["threshold"],
    )
    few = len(job.validation) and not corpus.validation and len(job.data) < FEW_TEXTS
    if isinstance(model, TfidfTextCNN) and few and not plan.by_steps:
        # To so few others the held-out texts are worth more than what else they could tell about the model.
        _solve(model, RaggedDataset.chained([job.data, job.validation]), job.objective, reporter)
    words, *characters = vocabularies
    return {
        "label_kind": plan.kind,
        "classes": plan.classes,
        "vocabulary": words,
        "characters": characters[0] if characters else None,
        "model": model,
        "options": plan.options,
        "seed": plan.seed,
        "n_texts": len(job.data),
        "history": [epoch.to_dict() for epoch in trained.history],
        "best_epoch": trained.best_epoch,
        "temperature": judged.temperature,
        "calibration": judged.calibration,
        "thresholds": judged.thresholds,
        "validation_report": judged.report,
    }


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


def _solve(model: TfidfTextCNN, data: RaggedDataset, objective: Objective, reporter: Reporter) -> None:
    if model.bags:
        with reporter.solving(len(model.linear_bias)) as progress:
            linear.solve(model, data, objective, progress)


def _weigh(plan: Plan, data: tuple[RaggedDataset, RaggedDataset]) -> Objective:
    """Give each text its weight; return the objective, which has those of the classes where a text may have several."""
    corpus, class_weight = plan.corpus, plan.parameters["class_weight"]
    codes, weights = ([values[rows] for rows in plan.parts] for values in (corpus.codes, corpus.weights))
    several = corpus.kind != LABEL
    with np.errstate(over="ignore"):
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
