"""What a fit is to do: all that it is given, checked before there is any work.

parameters, inputs, the fit that it goes on from -> checks -> options, classes, corpus, split, tokenizer -> Plan
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from textnn.classification.intake import (
    Inputs,
    LabelledTexts,
    Parts,
    check_threshold,
    make_corpus,
    split_corpus,
    warn_of_duplicates,
    warn_of_labels,
)
from textnn.classification.objectives import make_objective
from textnn.classification.state import Array, State
from textnn.data.inputs import make_seed
from textnn.data.labels import Classes, check_labels
from textnn.data.targets import LABEL, check_target_classes, find_target_classes
from textnn.distributed import Group
from textnn.models import WORDS, TextModel, get_architecture, resolve_options
from textnn.models.options import CLASSIFICATION, chosen
from textnn.text import Scripts, Tokenizer, make_tokenizer
from textnn.text.tokenizers import AUTO
from textnn.training import pretrained
from textnn.training.schedule import suit_steps
from textnn.training.transfer import LanguageWeights

_TAKEN_OVER = (
    *("embedding_dim", "hidden_size", "num_layers", "last", "ngram_buckets", "character_form"),
    *("encoder_cell", "encoder_reads", "encoder_dim", "encoder_size", "encoder_layers"),
)
"""Options that follow from the first fit: from its vectors, its language model or its texts."""
_FORMS = {"text": "", "words": " (case folded, with word boundaries)", "all": " (with white space)"}


@dataclass(frozen=True)
class Plan:
    """What a fit is to do.

    Attributes
    ----------
    parameters
        The classifier's.
    before
        The fit to go on from.
    one_pass
        Whether to see each text once and hold none out.
    given, options
        The options of the architecture that the user gave, and all as they are used.
    kind, classes, outputs
        Of the labels, and the number of logits for them.
    corpus, parts
        The texts, and which rows of them are trained on and held out.
    settings
        What else the training follows from, by names that a user understands.
    """

    parameters: Mapping[str, Any]
    before: State | None
    one_pass: bool
    given: dict[str, Any]
    options: dict[str, Any]
    seed: int
    kind: str
    classes: Array
    outputs: int
    corpus: LabelledTexts
    parts: Parts
    scripts: Scripts
    tokenizer: Tokenizer
    settings: dict[str, Any]

    @property
    def architecture(self) -> type[TextModel]:
        """The class of the network."""
        return get_architecture(self.parameters["architecture"])

    @property
    def by_steps(self) -> bool:
        """Whether no part is solved: a solution would forget what was learnt before, and later calls' n-grams."""
        return self.before is not None or self.one_pass

    @property
    def language(self) -> LanguageWeights | None:
        """The language model whose encoder the network begins with; None for one that goes on from an earlier fit."""
        return self.parameters["pretrained"] if self.before is None else None

    @property
    def reads_vectors(self) -> bool:
        """Whether the first weights come from a file."""
        return self.parameters["vectors"] is not None and self.before is None

    def chosen(self) -> Iterator[str]:
        """Say what the texts decided, a line each."""
        options = self.options
        decided = self.parameters["tokenizer"] == AUTO and self.before is None
        if (language := self.language) is not None:
            yield (
                f"begins with {language.source}: {language.cell}, {len(language.vocabulary):,} tokens of the level "
                f"{language.level}, {', '.join(f'{name} {size}' for name, size in language.sizes.items())}"
            )
            decided = decided and language.reads(self.parameters["architecture"]) != WORDS
        yield f"tokenizer: {self.tokenizer.describe()}" + (f" ({self.scripts.describe()})" if decided else "")
        if "ngram_buckets" in options:
            sizes = [", ".join(map(str, options[f"{name}_ngrams"])) or "no" for name in ("word", "character")]
            form = _FORMS[options.get("character_form", "text")]
            yield f"n-grams: of {sizes[0]} words and {sizes[1]} characters{form}"
        if options["validation_fraction"] and not self.corpus.validation and not len(self.parts[1]):
            yield "held out: no texts, too few for one of each class; how good the classifier is remains unknown"


def make_plan(
    parameters: Mapping[str, Any],
    inputs: Inputs,
    kept: bool,
    before: State | None,
    one_pass: bool,
    classes: Iterable[Hashable] | None,
) -> Plan:
    """Check what a fit is given, and warn of what looks wrong with its texts.

    ``kept`` is whether it keeps checkpoints; for the rest see :func:`textnn.classification.fitting.fit`.
    """
    architecture = parameters["architecture"]
    given = given_options(parameters)
    if before is not None and one_pass and classes is not None:
        _check_known(classes, before.classes)
    seed = make_seed(parameters["random_state"], kept)
    if before is not None and one_pass:  # another order of texts in each pass
        seed = (before.seed + before.n_texts) % 2**32
    check_threshold(parameters["threshold"])
    language = parameters["pretrained"] if before is None else None
    if parameters["vectors"] is not None and before is None:
        if "embedding_dim" not in get_architecture(architecture).defaults:
            raise ValueError(f"vectors: the architecture {architecture!r} has no embedding of words")
        pretrained.check(parameters["vectors"], given["embedding_dim"])
    if not inputs.texts:
        raise ValueError("X: expected at least one text, got none")
    scripts = Scripts.of(inputs.texts)
    options = resolve_options(architecture, given, scripts.is_spaced)
    rows = np.flatnonzero(inputs.weights > 0)
    if before is not None:
        kind, found = before.label_kind, before.classes
        check_target_classes(inputs.targets, rows, kind, found, not one_pass)
        options |= _options_of(before, architecture, given)
    else:
        options |= {} if language is None else language.options(architecture, given)
        kind, found = inputs.targets.kind, find_target_classes(inputs.targets, rows, classes)
    outputs = make_objective(options["output"], kind != LABEL, 0.0).outputs(len(found))
    corpus = make_corpus(kind, found, inputs)
    tokenizer = choose_tokenizer(parameters, before, scripts)
    if not one_pass:
        options = suit_steps(options, given, len(inputs.texts))
    else:
        options |= {"epochs": 1, "patience": 0, "validation_fraction": 0.0, "schedule": "constant", "warmup": 0.0}
    if before is None or not one_pass:
        warn_of_labels(inputs.targets, inputs.weights, found, not one_pass)
    parts = split_corpus(corpus, options["validation_fraction"], seed)
    warn_of_duplicates(corpus, *parts)
    settings = {"validation_data": corpus.validation, **describe_settings(parameters, options, tokenizer, before)}
    return Plan(
        parameters, before, one_pass, given, options, seed, kind, found, outputs, corpus, parts, scripts, tokenizer,
        settings,
    )  # fmt: skip


def given_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the architecture that the user gave, None for the others."""
    return {name: parameters[name] for name in chosen(CLASSIFICATION)}


def choose_tokenizer(parameters: Mapping[str, Any], before: State | None, scripts: Scripts) -> Tokenizer:
    """Return the tokenizer of an earlier fit, or the one that the parameters ask for."""
    if before:
        return before.tokenizer
    language = parameters["pretrained"]
    if language is not None and language.reads(parameters["architecture"]) == WORDS:
        return language.word_tokenizer
    words = parameters["user_dictionary"], parameters["stop_words"]
    return make_tokenizer(parameters["tokenizer"], *words, scripts)


def describe_settings(
    parameters: Mapping[str, Any], options: Mapping[str, Any], tokenizer: Tokenizer, before: State | None
) -> dict[str, Any]:
    """Return what a training follows from, beside its texts, by names that a user understands."""
    lists = repr((tokenizer.stop_words, tokenizer.user_dictionary)).encode("utf-8", "surrogatepass")
    return {
        "architecture": parameters["architecture"],
        **options,
        "tokenizer": tokenizer.config(),
        "checksum of its words": zlib.crc32(lists),
        **{name: parameters[name] for name in ("class_weight", "threshold")},
        "going on": before is not None,
        "vectors": parameters["vectors"] is not None,
        "pretrained": parameters["pretrained"] and parameters["pretrained"].checksum,
    }


def agree(parameters: Mapping[str, Any], plan: Plan | None, before: State | None, group: Group) -> Tokenizer:
    """Return this process's tokenizer; it and the parameters have to be those of process 0, which has the plan.

    Raises
    ------
    ValueError
        If a process has others.
    """
    if plan is not None and group.size == 1:
        return plan.tokenizer
    scripts = group.first(None if plan is None else plan.scripts)
    assert scripts is not None
    with group.together():
        tokenizer = plan.tokenizer if plan is not None else choose_tokenizer(parameters, before, scripts)
        options = resolve_options(parameters["architecture"], given_options(parameters), scripts.is_spaced)
    group.check_same("the parameters", describe_settings(parameters, options, tokenizer, before))
    return tokenizer


def _check_known(classes: Iterable[Any], known: Classes) -> None:
    """Check that classes are those that a classifier has already."""
    given, there = check_labels(classes, argument="classes"), known.tolist()
    if set(given) != set(there):
        raise ValueError(f"classes: expected those of the first call, {there[:20]}, or None, got {given[:20]}")


def _options_of(before: State, architecture: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that an earlier fit took from its vectors and its texts."""
    if architecture != before.model.name:
        message = f"expected {before.model.name!r}, as the classifier was fitted with, got {architecture!r}"
        raise ValueError(f"architecture: {message}")
    names = (*_TAKEN_OVER, *get_architecture(architecture).spaced_defaults)
    return {name: before.options[name] for name in names if given.get(name) is None and name in before.options}
