"""What a fit is to do: all that it is given, checked before there is any work.

parameters, texts, labels, the fit that it goes on from -> checks -> options, classes, corpus, tokenizer, seed -> Plan
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from textnn.classification.intake import LabelledTexts, check_threshold, make_corpus
from textnn.classification.objectives import make_objective
from textnn.classification.state import Array, State
from textnn.classification.weighting import check_weights
from textnn.data.inputs import check_device, check_texts, make_seed
from textnn.data.labels import Classes, check_labels
from textnn.data.targets import LABEL, Targets, check_joint_classes, find_joint_classes, read_targets
from textnn.distributed import Group
from textnn.models import TextModel, get_architecture, resolve_options
from textnn.models.options import CLASSIFICATION, chosen
from textnn.text import Scripts, Tokenizer, make_tokenizer
from textnn.text.tokenizers import AUTO
from textnn.training import pretrained
from textnn.training.schedule import suit_steps


@dataclass(frozen=True)
class Plan:
    """What a fit is to do; the same in all processes of a group, but for the texts.

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
        Of the labels of all processes, and the number of logits for them.
    targets, weights, corpus
        Of this process's texts.
    settings
        What else the training follows from, by names that a user understands.
    """

    parameters: Mapping[str, Any]
    before: State | None
    one_pass: bool
    given: dict[str, Any]
    options: dict[str, Any]
    device: torch.device
    seed: int
    kind: str
    classes: Array
    outputs: int
    targets: Targets
    weights: Array
    corpus: LabelledTexts
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
    def reads_vectors(self) -> bool:
        """Whether the first weights come from a file."""
        return self.parameters["vectors"] is not None and self.before is None

    def chosen(self) -> Iterator[str]:
        """Say what the texts decided, a line each."""
        options = self.options
        decided = self.parameters["tokenizer"] == AUTO and self.before is None
        yield f"tokenizer: {self.tokenizer.describe()}" + (f" ({self.scripts.describe()})" if decided else "")
        if "ngram_buckets" in options:
            sizes = [", ".join(map(str, options[f"{name}_ngrams"])) or "no" for name in ("word", "character")]
            form = " (case folded, with word boundaries)" if options.get("character_form") == "words" else ""
            yield f"n-grams: of {sizes[0]} words and {sizes[1]} characters{form}"


def make_plan(
    parameters: Mapping[str, Any],
    texts: Iterable[str],
    labels: Any,
    validation_data: tuple[Iterable[str], Any] | None,
    group: Group,
    sample_weight: Any,
    kept: bool,
    before: State | None,
    one_pass: bool,
    classes: Iterable[Hashable] | None,
) -> Plan:
    """Check what a fit is given; ``kept`` is whether it keeps checkpoints, and the rest as for :func:`fit`."""
    with group.together():
        architecture = parameters["architecture"]
        given = {name: parameters[name] for name in chosen(CLASSIFICATION)}
        resolve_options(architecture, given)  # refuses what makes no sense before there is any work
        device = check_device(parameters["device"])
        if before is not None and one_pass and classes is not None:
            _check_known(classes, before.classes)
        if kept and parameters["random_state"] is None:
            raise ValueError(
                "random_state: expected a seed beside a checkpoint, got None: each fit is another training"
            )
        seed = make_seed(parameters["random_state"])
        if before is not None and one_pass:  # another order of texts in each pass
            seed = (before.seed + before.n_texts) % 2**32
        check_threshold(parameters["threshold"])
        if parameters["vectors"] is not None and before is None:
            if "embedding_dim" not in get_architecture(architecture).defaults:
                raise ValueError(f"vectors: the architecture {architecture!r} has no embedding of words")
            if group.rank == 0:
                pretrained.check(parameters["vectors"], given["embedding_dim"])
        texts = check_texts(texts, "X")
        targets = read_targets(labels, len(texts), "y")
        weights = check_weights(sample_weight, len(texts))
    offers = group.gather((targets.kind, len(targets), targets.columns, targets.names(np.flatnonzero(weights > 0))))
    scripts = sum(group.gather(Scripts.of(texts)), Scripts())
    with group.together():
        if not any(offer[1] for offer in offers):
            raise ValueError("X: expected at least one text, got none")
        options = resolve_options(architecture, given, scripts.is_spaced)
        if before is not None:
            kind, found = before.label_kind, before.classes
            check_joint_classes(offers, kind, found, not one_pass)
            options |= _options_of(before, architecture, given)
        else:
            kind, found = find_joint_classes(offers, classes)
        outputs = make_objective(options["output"], kind != LABEL, 0.0).outputs(len(found))
        corpus = make_corpus(kind, found, texts, targets, weights, validation_data, group)
        words = parameters["user_dictionary"], parameters["stop_words"]
        tokenizer = before.tokenizer if before else make_tokenizer(parameters["tokenizer"], *words, scripts)
        if not one_pass:
            options = suit_steps(options, given, sum(offer[1] for offer in offers))
        else:
            options |= {"epochs": 1, "patience": 0, "validation_fraction": 0.0, "schedule": "constant", "warmup": 0.0}
        lists = repr((tokenizer.stop_words, tokenizer.user_dictionary)).encode("utf-8", "surrogatepass")
        settings = {"architecture": architecture, "validation_data": corpus.validation, **options}
        settings |= {"tokenizer": tokenizer.config(), "checksum of its words": zlib.crc32(lists)}
        settings |= {name: parameters[name] for name in ("class_weight", "threshold")}
        settings |= {"going on": before is not None, "vectors": parameters["vectors"] is not None}
    group.check_same("the parameters", settings)
    return Plan(
        parameters, before, one_pass, given, options, device, group.first(seed), kind, found, outputs, targets, weights,
        corpus, scripts, tokenizer, settings,
    )  # fmt: skip


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
    names = ("embedding_dim", "ngram_buckets", *get_architecture(architecture).spaced_defaults)
    return {name: before.options[name] for name in names if given.get(name) is None and name in before.options}
