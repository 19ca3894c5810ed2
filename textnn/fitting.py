"""Fitting a classifier: from raw texts and labels to everything that a fitted classifier has.

    texts, labels -> split -> tokens -> vocabulary -> ids -> model trained -> temperature, thresholds -> Fitted

In a group of processes each begins with a share of the texts and tokenizes it; only small things go between them:

    labels -> classes; codes, weights, keys -> the same split everywhere
    texts that occur more than once         -> warnings, from process 0
    counts of the tokens of each share      -> the vocabulary
    ids of each share                       -> the ids of all texts, in the order of one process that has them all
    probabilities, texts of the errors      -> the report on the validation part

Alone a process is a group of one. A fit may go on from an earlier one, whose classes, vocabulary and weights it takes.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from textnn import pretrained
from textnn.data.inputs import check_device, check_texts, check_threshold, make_seed
from textnn.data.intake import (
    LabelledTexts,
    check_vocabularies,
    make_corpus,
    split_corpus,
    tell_of_texts,
    warn_of_duplicates,
    warn_of_labels,
)
from textnn.data.splitting import Part
from textnn.data.targets import (
    LABEL,
    check_joint_classes,
    find_joint_classes,
    read_targets,
)
from textnn.data.weighting import check_weights, class_factors, row_weights
from textnn.distributed import Group
from textnn.evaluation.judging import Judged, judge
from textnn.models import CHARACTERS, TextModel, build_model, get_architecture, resolve_options
from textnn.models.tfidf import TfidfTextCNN
from textnn.text import (
    RaggedDataset,
    Scripts,
    TokenCounts,
    Tokenizer,
    Vectors,
    Vocabulary,
    encode_tokens,
    make_tokenizer,
    split_characters,
    tokenize,
)
from textnn.text.tokenizers import AUTO
from textnn.training import linear
from textnn.training.checkpoint import Checkpoint
from textnn.training.loop import Trained, TrainingOptions, check_logits, seeded, set_seed, train
from textnn.training.objectives import Objective, make_objective
from textnn.training.progress import Reporter, make_reporter

if TYPE_CHECKING:
    from textnn.classifier import SentimentClassifier

Array = np.ndarray[Any, np.dtype[Any]]

LARGEST_STEP = 4.0
"""What a learning rate is multiplied by at most where there are few steps."""

FEW_TEXTS = 10_000
"""Below this many texts to train on, the linear part learns from those that were held out too, in the end."""

# The parameters that are options of an architecture; None is the architecture's own default.
OPTIONS = (
    "min_count",
    "max_vocabulary",
    "max_length",
    "max_characters",
    "embedding_dim",
    "hidden_size",
    "num_layers",
    "channels",
    "kernel_sizes",
    "character_kernel_sizes",
    "word_ngrams",
    "character_ngrams",
    "ngram_buckets",
    "ngram_dropout",
    "ensemble",
    "dropout",
    "word_dropout",
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "label_smoothing",
    "clip_norm",
    "schedule",
    "warmup",
    "output",
    "validation_fraction",
    "patience",
)


@dataclass(frozen=True)
class Fitted:
    """What a fit came to; the same in all processes of a group."""

    kind: str
    classes: Array
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    characters: Vocabulary | None
    model: TextModel
    options: dict[str, Any]
    seed: int
    n_texts: int
    trained: Trained
    judged: Judged


def fit(
    classifier: SentimentClassifier,
    texts: Iterable[str],
    labels: Any,
    validation_data: tuple[Iterable[str], Any] | None,
    group: Group,
    sample_weight: Any = None,
    checkpoint: Checkpoint | None = None,
    go_on: bool = False,
    one_pass: bool = False,
    classes: Iterable[Hashable] | None = None,
) -> Fitted:
    """Train by the parameters of a classifier, which stays as it is; see :meth:`SentimentClassifier.fit`.

    Parameters
    ----------
    classifier
        Its parameters are used.
    texts, labels, validation_data, sample_weight
        In a group of processes the share of this one.
    group
        The processes that train together.
    checkpoint
        Where the training keeps its state.
    go_on
        Whether to go on from what the classifier was fitted to: with its classes, tokenizer, vocabulary and weights;
        a file of vectors is not read again.
    one_pass
        Whether to see each text once and hold none out, and, when going on, to do without texts of some classes.
    classes
        All classes, where the labels are not all of them; of no effect with ``go_on``.
    """
    with group.together():
        given = {name: getattr(classifier, name) for name in OPTIONS}
        resolve_options(classifier.architecture, given)  # refuses what makes no sense before there is any work
        device = check_device(classifier.device)
        if checkpoint is not None and classifier.random_state is None:
            raise ValueError(
                "random_state: expected a seed beside a checkpoint, got None: each fit is another training"
            )
        seed = make_seed(classifier.random_state)
        if go_on and one_pass:  # another order of texts in each pass
            seed = (classifier.seed_ + classifier.n_texts_) % 2**32
        check_threshold(classifier.threshold)
        if classifier.vectors is not None and not go_on:
            if "embedding_dim" not in get_architecture(classifier.architecture).defaults:
                raise ValueError(f"vectors: the architecture {classifier.architecture!r} has no embedding of words")
            if group.rank == 0:
                pretrained.check(classifier.vectors, classifier.embedding_dim)
        texts = check_texts(texts, "X")
        targets = read_targets(labels, len(texts), "y")
        weights = check_weights(sample_weight, len(texts))
    offers = group.gather((targets.kind, len(targets), targets.columns, targets.names(np.flatnonzero(weights > 0))))
    scripts = sum(group.gather(Scripts.of(texts)), Scripts())
    with group.together():
        if not any(offer[1] for offer in offers):
            raise ValueError("X: expected at least one text, got none")
        options = resolve_options(classifier.architecture, given, scripts.is_spaced)
        if go_on:
            kind, found = classifier.label_kind_, classifier.classes_
            check_joint_classes(offers, kind, found, not one_pass)
            if classifier.architecture != (before := classifier.model_.name):
                message = f"expected {before!r}, as the classifier was fitted with, got {classifier.architecture!r}"
                raise ValueError(f"architecture: {message}")
            # Those of vectors, and of the first texts.
            for name in ("embedding_dim", "ngram_buckets", *get_architecture(before).spaced_defaults):
                if given.get(name) is None and name in classifier.options_:
                    options[name] = classifier.options_[name]
        else:
            kind, found = find_joint_classes(offers, classes)
        outputs = make_objective(options["output"], kind != LABEL, 0.0).outputs(len(found))
        corpus = make_corpus(kind, found, texts, targets, weights, validation_data, group)
        tokenizer = _make_tokenizer(classifier, go_on, scripts)
        if not one_pass:
            options = _suit_size(options, given, sum(offer[1] for offer in offers))
        else:
            options |= {"epochs": 1, "patience": 0, "validation_fraction": 0.0, "schedule": "constant", "warmup": 0.0}
        words = repr((tokenizer.stop_words, tokenizer.user_dictionary)).encode("utf-8", "surrogatepass")
        settings = {"architecture": classifier.architecture, "validation_data": corpus.validation, **options}
        settings |= {"tokenizer": tokenizer.config(), "checksum of its words": zlib.crc32(words)}
        settings |= {"class_weight": classifier.class_weight, "threshold": classifier.threshold, "going on": go_on}
        settings |= {"vectors": classifier.vectors is not None}
    group.check_same("the parameters", settings)
    seed = group.first(seed)
    if not (go_on and one_pass):
        warn_of_labels(targets, weights, found, not one_pass, group)
    training, held_out = split_corpus(corpus, options["validation_fraction"], seed, group)
    warn_of_duplicates(corpus, training, held_out, group)

    reporter = make_reporter(classifier.verbose if group.rank == 0 else 0)
    for line in _chosen(classifier, tokenizer, scripts, options, go_on):
        reporter.note(line)
    with reporter.tokenizing(len(corpus.texts)) as progress, group.together():
        tokens = list(tokenize(corpus.texts, tokenizer, progress))
    streams, limits = [tokens], [options["max_length"]]
    if CHARACTERS in get_architecture(classifier.architecture).streams:
        streams.append([split_characters(text, options.get("character_form", "text")) for text in corpus.texts])
        limits.append(options["max_characters"])
    tell_of_texts(corpus.texts, streams, limits, reporter, group)
    if go_on:
        known = (classifier.vocabulary_, classifier.characters_)
        vocabularies = [vocabulary for vocabulary in known if vocabulary is not None]
    else:
        vocabularies = [_make_vocabulary(stream, training, options, group) for stream in streams]
        check_vocabularies(vocabularies, streams, group)
    vectors, source = None, 0
    if classifier.vectors is not None and not go_on:
        vectors = _read_vectors(classifier, vocabularies[0], reporter, group)
        facts = group.first(None if vectors is None else (vectors.dim, pretrained.checksum(vectors)))
        assert facts is not None
        options["embedding_dim"], source = facts
    data, validation = (
        _encode(streams, vocabularies, limits, corpus.codes, part, group) for part in (training, held_out)
    )
    del tokens, streams
    objective = _weigh(classifier.class_weight, corpus, options, (training, held_out), (data, validation), group)
    solved = issubclass(get_architecture(classifier.architecture), TfidfTextCNN)
    by_steps = go_on or one_pass  # a solution would forget what was learnt before, and later calls' n-grams
    if solved and given["ngram_buckets"] is None and not go_on:
        sizes = options["word_ngrams"], options["character_ngrams"]
        texts_known = None if one_pass else data
        options["ngram_buckets"] = linear.suit_buckets(sizes, texts_known, options["ngram_buckets"], outputs)
    with seeded(seed, device):
        model = build_model(classifier.architecture, [*map(len, vocabularies)], outputs, options).to(device)
        if go_on:
            with group.together():
                _take_weights(model, classifier, options)
        elif vectors is not None:
            pretrained.set_first_weights(model, vectors)
        if isinstance(model, TfidfTextCNN):
            model.learn_linear(by_steps)
            if not by_steps:
                _solve(model, data, objective, reporter, group)
        group.share_weights(model)
        if group.rank:  # other dropout in each part of a batch
            set_seed(seed + group.rank, device)
        trained = train(
            model,
            data,
            TrainingOptions.of(options),
            torch.Generator().manual_seed(seed),
            validation,
            reporter,
            device,
            group,
            objective,
            checkpoint,
            {
                **settings,
                "classes": found.tolist(),
                "vocabulary": [words.tokens for words in vocabularies],
                "checksum of the vectors": source,
                "seed": seed,
            },
        )
    check_logits(model, data, device)
    judged = judge(
        model,
        validation,
        objective,
        kind,
        found,
        corpus.texts,
        held_out,
        device,
        group,
        calibrate=classifier.calibrate,
        threshold=classifier.threshold,
    )
    few = len(validation) and not corpus.validation and len(data) < FEW_TEXTS
    if isinstance(model, TfidfTextCNN) and few and not by_steps:
        # To so few others the held-out texts are worth more than what else they could tell about the model.
        _solve(model, RaggedDataset.chained([data, validation]), objective, reporter, group)
        group.share_weights(model)
    vocabulary, characters = vocabularies[0], vocabularies[1] if len(vocabularies) > 1 else None
    return Fitted(kind, found, tokenizer, vocabulary, characters, model, options, seed, len(training), trained, judged)


def _make_tokenizer(classifier: SentimentClassifier, go_on: bool, scripts: Scripts) -> Tokenizer:
    if go_on:
        return classifier.tokenizer_
    return make_tokenizer(classifier.tokenizer, classifier.user_dictionary, classifier.stop_words, scripts)


def _chosen(
    classifier: SentimentClassifier, tokenizer: Tokenizer, scripts: Scripts, options: dict[str, Any], go_on: bool
) -> Iterator[str]:
    """Say what the texts decided, a line each."""
    why = f" ({scripts.describe()})" if classifier.tokenizer == AUTO and not go_on else ""
    yield f"tokenizer: {tokenizer.describe()}{why}"
    if "ngram_buckets" in options:
        sizes = [", ".join(map(str, options[f"{name}_ngrams"])) or "no" for name in ("word", "character")]
        form = " (case folded, with word boundaries)" if options.get("character_form") == "words" else ""
        yield f"n-grams: of {sizes[0]} words and {sizes[1]} characters{form}"


def _suit_size(options: dict[str, Any], given: Mapping[str, Any], texts: int) -> dict[str, Any]:
    """Return options with as many steps as a network needs, where few texts make few steps an epoch.

    Batches become smaller, then epochs more, and patience with them. The fewer steps there are, the larger is each: the
    rate is for ``full_steps``, and grows with the root of their share. What the user gave stays.
    """
    options = dict(options)
    if texts * options["epochs"] < options["min_steps"] * options["batch_size"]:
        if given["batch_size"] is None:
            options["batch_size"] = max(1, options["batch_size"] // 2)
        if given["epochs"] is None:
            steps = max(1, -(-texts // options["batch_size"]))
            epochs = max(options["epochs"], -(-options["min_steps"] // steps))
            if given["patience"] is None:
                options["patience"] = -(-options["patience"] * epochs // options["epochs"])
            options["epochs"] = epochs
    steps = options["epochs"] * -(-texts // options["batch_size"])
    if given["learning_rate"] is None and 0 < steps < options["full_steps"]:
        options["learning_rate"] *= min(LARGEST_STEP, (options["full_steps"] / steps) ** 0.5)
    return options


def _solve(model: TfidfTextCNN, data: RaggedDataset, objective: Objective, reporter: Reporter, group: Group) -> None:
    """Solve the linear part in process 0, whose weights the others get."""
    with group.together():
        if group.rank == 0 and model.bags:
            with reporter.solving(len(model.linear_bias)) as progress:
                linear.solve(model, data, objective, progress)


def _weigh(
    class_weight: Any,
    corpus: LabelledTexts,
    options: dict[str, Any],
    parts: tuple[Part, Part],
    data: tuple[RaggedDataset, RaggedDataset],
    group: Group,
) -> Objective:
    """Give each text its weight; return the objective, which has those of the classes where a text may have several."""
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
        options["output"],
        several,
        options["label_smoothing"],
        factors.tolist() if several and factors is not None else None,
    )


def _take_weights(model: TextModel, classifier: SentimentClassifier, options: dict[str, Any]) -> None:
    """Give a network the weights that the classifier has."""
    old = classifier.model_.state_dict()
    if {name: tensor.shape for name, tensor in model.state_dict().items()} != {n: t.shape for n, t in old.items()}:
        changed = [
            f"{name} {options.get(name)!r} instead of {before!r}"
            for name, before in classifier.options_.items()
            if options.get(name) != before
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


def _read_vectors(
    classifier: SentimentClassifier, vocabulary: Vocabulary, reporter: Reporter, group: Group
) -> Vectors | None:
    """Read the file of vectors in process 0, whose weights the others get; None in them."""
    with group.together():
        if group.rank == 0:
            return pretrained.read(classifier.vectors, vocabulary, classifier.embedding_dim, reporter)
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
