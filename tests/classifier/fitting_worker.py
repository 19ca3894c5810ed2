"""Fits for test_fitting.py: the same cases by one process and by several (process_group.py).

The test itself calls ``fit`` without a group.
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from process_group import work
from samples import SMALL, make_reviews

from textnn import SentimentClassifier, circumstances
from textnn.distributed import GradientSum, Group, is_shared

TEXTS, LABELS = make_reviews(121, classes=3)
VALIDATION = make_reviews(31, classes=3, seed=5)
SETS = [["short"] * (len(text) < 15) + ["good"] * (label == "good") for text, label in zip(TEXTS, LABELS, strict=True)]
# Some texts as good as absent, one of them with a label of its own.
WEIGHTS = [float(row % 4) for row in range(len(TEXTS))]
WEIGHTED = ["unheard of" if row == 8 else label for row, label in enumerate(LABELS)]
# Texts that are the same are in shares of different processes, one of them with another label.
TWICE = [*TEXTS, TEXTS[3], TEXTS[7]], [*LABELS, LABELS[3], "bad" if LABELS[7] != "bad" else "good"]
ROWS = ["很 好", "", "a\ud800", "很 好", "\udc00b", "c"] * 2 + ["end"]
ERRORS = (
    "tokenizer",
    "options",
    "vectors",
    "classes",
    "validation",
    "labels that cannot be sent",
    "validation in one process",
    "empty validation",
    "no texts",
    "words",
    "loss",
    "shares",
    "weights",
    "kinds",
)


@dataclass(frozen=True)
class Case:
    """Parameters of a fit; ``sizes`` of the shares, or None for texts dealt out in turn; ``exact``: in float64, and to
    be the fit of one process; texts with labels, and weights."""

    parameters: dict[str, Any]
    sizes: tuple[int, ...] | None = None
    validation: bool = False
    exact: bool = True
    corpus: tuple[list[str], list[Any]] = (TEXTS, LABELS)
    weights: list[float] | None = None


NO_DROPOUT = {"dropout": 0.0, "word_dropout": 0.0}
VECTORS = Path(__file__).with_name("few_words.vec")
CASES = {
    "textcnn": Case({"architecture": "textcnn", **NO_DROPOUT}),
    # 109 texts to train on: the last batch has one, and no part for process 1.
    "one text left": Case({"architecture": "textcnn", **NO_DROPOUT, "batch_size": 12}),
    "smaller batches than processes": Case({"architecture": "textcnn", **NO_DROPOUT, "batch_size": 1, "epochs": 1}),
    "one batch": Case({"architecture": "textcnn", **NO_DROPOUT, "batch_size": 500}),
    "bilstm": Case({"architecture": "bilstm", **NO_DROPOUT, "weight_decay": 0.01, "num_layers": 2}),
    "lecture-lstm": Case({"architecture": "lecture-lstm", "batch_size": 16}),
    "early stopping": Case({"architecture": "lstm", **NO_DROPOUT, "epochs": 40, "patience": 1}),
    "validation data": Case({"architecture": "textcnn", **NO_DROPOUT}, validation=True),
    "no validation": Case({"architecture": "textcnn", **NO_DROPOUT, "validation_fraction": 0.0}),
    "small vocabulary": Case({"architecture": "textcnn", **NO_DROPOUT, "max_vocabulary": 9, "min_count": 3}),
    "ragged shares": Case({"architecture": "textcnn", **NO_DROPOUT}, sizes=(100, 21), validation=True),
    "an empty share": Case({"architecture": "textcnn", **NO_DROPOUT}, sizes=(0, 121)),
    "weights": Case({"architecture": "textcnn", **NO_DROPOUT}, corpus=(TEXTS, WEIGHTED), weights=WEIGHTS),
    "class weights": Case({"architecture": "textcnn", **NO_DROPOUT, "class_weight": "balanced"}, weights=WEIGHTS),
    "sets of labels": Case({"architecture": "textcnn", **NO_DROPOUT, "threshold": "auto"}, corpus=(TEXTS, SETS)),
    "an empty share of sets": Case({"architecture": "textcnn", **NO_DROPOUT}, sizes=(0, 121), corpus=(TEXTS, SETS)),
    "word vectors": Case({"architecture": "textcnn", **NO_DROPOUT, "embedding_dim": None, "vectors": VECTORS}),
    "texts that occur twice": Case({"architecture": "textcnn", **NO_DROPOUT}, corpus=TWICE),
    "temperature": Case({"architecture": "textcnn", **NO_DROPOUT, "validation_fraction": 0.9}, corpus=TWICE),
    "bfloat16": Case({"architecture": "bilstm", **NO_DROPOUT, "precision": "bfloat16"}, exact=False),
    "dropout": Case({"architecture": "textcnn", "dropout": 0.2, "epochs": 25, "patience": 0}, exact=False),
}


def share(items: list[Any], rank: int, size: int, sizes: tuple[int, ...] | None) -> list[Any]:
    if sizes is None or size == 1:
        return items[rank::size]
    turns = [(number, owner) for owner, length in enumerate(sizes) for number in range(length)]
    return [item for item, (_, owner) in zip(items, sorted(turns), strict=True) if owner == rank]


def fit(case: Case, rank: int = 0, size: int = 1) -> SentimentClassifier:
    """Fit, if exact in float64, so that another order of additions hardly shows."""
    small = {"tokenizer": "whitespace", "epochs": 3, "random_state": 3, "verbose": 0, "learning_rate": 0.01}
    classifier = SentimentClassifier(**{**small, **SMALL[case.parameters["architecture"]], **case.parameters})
    texts, labels = (share(items, rank, size, case.sizes) for items in case.corpus)
    weights = None if case.weights is None else share(case.weights, rank, size, case.sizes)
    held_out = tuple(items[rank::size] for items in VALIDATION) if case.validation else None
    torch.set_default_dtype(torch.float64 if case.exact else torch.float32)
    try:
        # Which a fit would otherwise hold at float32.
        with mock.patch.object(circumstances, "_float32", contextlib.nullcontext):
            return classifier.fit(texts, labels, held_out, distributed=size > 1, sample_weight=weights)
    finally:
        torch.set_default_dtype(torch.float32)


def describe(classifier: SentimentClassifier) -> dict[str, Any]:
    """Everything that is to be the same."""
    report = classifier.validation_report_
    return {
        "weights": classifier.model_.state_dict(),
        "vocabulary": classifier.vocabulary_.tokens,
        "classes": classifier.classes_.tolist(),
        "options": classifier.options_,
        "texts": classifier.n_texts_,
        "seed": classifier.seed_,
        "best epoch": classifier.best_epoch_,
        "history": [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in classifier.history_],
        "figures": None if report is None else {**report.to_dict(), "worst_errors": []},
        "temperature": classifier.temperature_,
        "thresholds": None if classifier.thresholds_ is None else classifier.thresholds_.tolist(),
        "errors": None if report is None else [(e.row, e.text, e.label) for e in report.worst_errors],
        "predictions": list(classifier.predict(TEXTS)),
        "accuracy": None if classifier.multilabel_ else classifier.score(TEXTS, LABELS),
    }


def fail(name: str, rank: int, size: int, folder: Path) -> None:
    """Do what is an error in one process, or only because they differ."""
    texts, labels = TEXTS[rank::size], list(LABELS[rank::size])
    parameters: dict[str, Any] = {"tokenizer": "whitespace", "verbose": 0, "epochs": 1}
    validation = None
    if name == "tokenizer":
        parameters["tokenizer"] = raising_in_process_1
    elif name == "options":
        parameters["embedding_dim"] = 8 + rank
    elif name == "vectors":
        parameters["vectors"] = None if rank else VECTORS
    elif name == "classes":
        labels = ["same"] * len(labels)
    elif name == "validation":
        validation = (["x"], ["mixed" if rank == 0 else "unheard of"])
    elif name == "words":
        parameters["stop_words"] = ["的"] if rank else ["了"]
    elif name == "loss":
        parameters["learning_rate"] = 1e30
    elif name == "shares":
        texts = texts[rank:]
    elif name == "weights":
        parameters["class_weight"] = {"good": 1.0 + rank}
    elif name == "kinds":
        labels = [[label] for label in labels] if rank else labels
    elif name == "labels that cannot be sent":
        labels = [lambda: None for _ in labels] if rank else labels
    elif name == "validation in one process":
        validation = (["x"], ["good"]) if rank else None
    elif name == "empty validation":
        validation = ([], [])
    elif name == "no texts":
        texts, labels = [], []
    SentimentClassifier(**parameters).fit(texts, labels, validation, distributed=True)


def raising_in_process_1(text: str) -> list[str]:
    if torch.distributed.get_rank() == 1:
        raise RuntimeError("no tokens today")
    return text.split()


def exchange(rank: int) -> dict[str, Any]:
    """What goes from process to process beside gradients."""
    group = Group.default()
    table = torch.nn.Embedding(3, 2)
    sent = {"values": [table.weight, torch.arange(4)[::2], torch.tensor(True), torch.empty(0, 2)], "table": table}
    received = group.first(sent if rank == 0 else None)
    assert received is not None
    values = received["values"]
    return {
        "first": [(type(value).__name__, value.dtype, value.requires_grad, value.tolist()) for value in values],
        "tensors": values,
        "tied": [values[0] is received["table"].weight, received["table"].weight.requires_grad],
        "collected": group.collect({"rank": rank, "values": torch.ones(rank)}),
        "joined": group.join(ROWS[rank::2]),
        "dealt": group.deal(ROWS if rank == 0 else None),
    }


def sum_gradients(rank: int) -> dict[str, Any]:
    """Gradients that some processes do not have: both, only process 1, none; rows of both, only process 0, none."""
    dense = [torch.nn.Parameter(torch.zeros(2, 3)) for _ in range(3)]
    tables = [torch.nn.Parameter(torch.zeros(6, 2)) for _ in range(3)]
    dense[0].grad = torch.full((2, 3), 1.0 + rank)
    dense[1].grad = torch.full((2, 3), 5.0) if rank == 1 else None
    # Not coalesced: a row may stand twice.
    index, values = torch.tensor([[1, 4, 1]]), torch.tensor([[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    tables[0].grad = torch.sparse_coo_tensor(index[:, : 3 - rank], values[: 3 - rank] + rank, (6, 2))
    tables[1].grad = torch.sparse_coo_tensor(index, values, (6, 2)) if rank == 0 else None
    figures = GradientSum(Group.default(), dense, tables)([0.5, 2.0 + rank])
    return {"figures": figures, "dense": [p.grad for p in dense], "tables": [p.grad for p in tables]}


def sum_narrow_gradients(rank: int) -> dict[str, Any]:
    """Of parameters of several types, with more rows than bfloat16 can count, and figures that it cannot hold."""
    dense = [torch.nn.Parameter(torch.zeros(3, dtype=dtype)) for dtype in (torch.bfloat16, torch.float32)]
    table = torch.nn.Parameter(torch.zeros(1000, 2, dtype=torch.bfloat16))
    for parameter in dense:
        parameter.grad = torch.full_like(parameter, 1.0 + rank)
    rows = 257 + 2 * rank
    table.grad = torch.sparse_coo_tensor(torch.arange(rows)[None], torch.ones(rows, 2).bfloat16(), (1000, 2))
    figures = GradientSum(Group.default(), dense, [table])([0.5, 1001.0 + rank])
    return {"figures": figures, "dense": [p.grad for p in dense], "table": table.grad}


def run_cases(rank: int, size: int, folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = {"errors": {}, "warnings": {}}
    for name, case in CASES.items():
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always", UserWarning)
            classifier = fit(case, rank, size)
        results["warnings"][name] = [str(warning.message) for warning in seen]
        results[name] = describe(classifier)
        if name == "dropout" and rank == 0:
            classifier.save(folder / "model")
    results["exchange"] = exchange(rank)
    results["gradients"] = sum_gradients(rank)
    results["narrow gradients"] = sum_narrow_gradients(rank)
    for name in ERRORS:
        try:
            fail(name, rank, size, folder)
        except Exception as error:
            results["errors"][name] = (type(error).__name__, str(error), is_shared(error))
    return results


if __name__ == "__main__":
    work(run_cases)
