"""Takes named tokens out of texts, or keeps them alone, and asks the classifier again.

Comprehensiveness is what the predicted label loses without the named tokens (more is better), sufficiency what it loses
when there are no others (less is better); DeYoung et al., "ERASER: A Benchmark to Evaluate Rationalized NLP Models",
2020, section 4.2. Tokens are cut out of the raw text, and what is left goes through the tokenizer and the network as
any text does: no part of a method is used to judge it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.progress import Progress

from textnn import SentimentClassifier
from textnn.classification.explanation import Explanation
from textnn.classification.explanation.contributions import find_label

from .contestants import Figures, contestants

SHARES: dict[str, float] = {"1 token": 1, "3 tokens": 3, "5 tokens": 5, "10 %": 0.1, "20 %": 0.2}
"""How many tokens are named: a number from 1, or a share of the text's tokens, rounded up."""

LEAST = 10
"""Tokens of a text at least: 20 % of fewer are hardly any."""

LOST, AHEAD = "log-odds lost", "log-odds that auto is ahead"

_RESAMPLES = 2000


def measure(
    classifier: SentimentClassifier, texts: Sequence[str], progress: Progress, name: str
) -> list[dict[str, Any]]:
    """Return the figures of each contestant and number of tokens, with bootstrap intervals over the texts."""
    explained = [one for one in classifier.explain_many(texts) if len(one.tokens) >= LEAST]
    rows: list[dict[str, Any]] = []
    found = contestants(classifier)
    task = progress.add_task(name, total=len(found) * len(explained))
    first: dict[str, dict[str, Figures]] = {}
    for number, (contestant, function) in enumerate(found.items()):
        progress.update(task, description=f"{name}, {contestant}")
        figures = []
        for one in explained:
            figures.append(np.atleast_2d(function(classifier, one)))
            progress.advance(task)
        for share, amount in SHARES.items():
            outcomes = _judge(classifier, explained, figures, amount)
            best = first.setdefault(share, outcomes)
            row = {"architecture": name, "method": contestant, "auto": number == 0, "share": share}
            row |= {"texts": len(explained), **{key: _interval(values) for key, values in outcomes.items()}}
            # Text by text: intervals of the differences are narrower than the differences of intervals.
            rows.append({**row, AHEAD: _interval(best[LOST] - outcomes[LOST])})
    progress.remove_task(task)
    return rows


def _judge(
    classifier: SentimentClassifier, explained: Sequence[Explanation], figures: Sequence[Figures], amount: float
) -> dict[str, Figures]:
    """Return what happens to each text, mean over the draws, [texts]."""
    without: list[str] = []
    alone: list[str] = []
    owners: list[int] = []
    for number, (one, draws) in enumerate(zip(explained, figures, strict=True)):
        count = int(amount) if amount >= 1 else math.ceil(amount * len(one.tokens))
        for draw in draws:
            named = set(np.argsort(-draw, kind="stable")[:count].tolist())
            without.append(cut(one, named))
            alone.append(cut(one, set(range(len(one.tokens))) - named))
            owners.append(number)
    rows = np.array(owners)
    columns = np.array([find_label(one.classes, one.label) for one in explained])[rows]
    before = np.array([one.probability for one in explained])[rows]
    after, kept = classifier.predict_proba(without), classifier.predict_proba(alone)
    lines = np.arange(len(rows))
    outcomes = {
        LOST: _log_odds(before) - _log_odds(after[lines, columns]),
        "probability lost": before - after[lines, columns],
        "label changed": (after.argmax(1) != columns).astype(float),
        "log-odds lost by the rest": _log_odds(before) - _log_odds(kept[lines, columns]),
        "probability lost by the rest": before - kept[lines, columns],
    }
    counts = np.bincount(rows)
    return {name: np.bincount(rows, weights=values) / counts for name, values in outcomes.items()}


def cut(one: Explanation, tokens: set[int]) -> str:
    """Return a text without some of its tokens."""
    kept = list(one.text)
    for number in tokens:
        token = one.tokens[number]
        kept[token.start : token.end] = [""] * (token.end - token.start)
    return "".join(kept)


def _log_odds(probabilities: Figures) -> Figures:
    inside = np.clip(probabilities, 1e-12, 1 - 1e-12)
    return np.log(inside) - np.log1p(-inside)


def _interval(values: Figures) -> dict[str, float]:
    """Return the mean over texts and its 95 % interval (percentile bootstrap; Efron and Tibshirani 1993)."""
    rng = np.random.default_rng(0)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}
