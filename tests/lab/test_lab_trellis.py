"""The trellis: against all paths, one by one, and against the tagger's own answer."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

import textnn
from textnn.lab import viterbi

WORDS = ["我 来到 北京", "他 来到 上海", "我 在 上海", "他 在 北京 大学", "图书馆 在 北京"] * 8
OPTIONS: dict[str, Any] = {"validation_fraction": 0.0, "random_state": 0, "verbose": 0}


@pytest.fixture(scope="module")
def segmenter() -> textnn.SequenceTagger:
    tagger = textnn.SequenceTagger("bilstm-crf", hidden_size=6, epochs=1, ngram_buckets=0, **OPTIONS)
    return tagger.fit_words(WORDS)


@pytest.fixture(scope="module")
def namer() -> textnn.SequenceTagger:
    X = [["Ann", "met", "Bob"], ["she", "ran"], ["Eve", "Lee", "sang"]] * 8
    y = [["B-PER", "O", "B-PER"], ["O", "O"], ["B-PER", "I-PER", "O"]] * 8
    return textnn.SequenceTagger(epochs=1, hidden_size=6, level="word", **OPTIONS).fit(X, y)


def score(found: Any, path: tuple[int, ...]) -> float:
    total = found.start[path[0]] + found.end[path[-1]]
    total += sum(found.emissions[t, tag] for t, tag in enumerate(path))
    return float(total + sum(found.transitions[i, j] for i, j in itertools.pairwise(path)))


@pytest.mark.parametrize("text", ["他", "他在", "他在北京", "我来上海"])
def test_no_path_is_better(segmenter: textnn.SequenceTagger, text: str) -> None:
    found = textnn.lab.trellis(segmenter, text)
    paths = {path: score(found, path) for path in itertools.product(range(4), repeat=len(text))}
    best = max(paths, key=paths.__getitem__)
    assert found.path == list(best)
    assert found.score == pytest.approx(paths[best], abs=1e-9)
    assert found.log_partition == pytest.approx(math.log(sum(map(math.exp, paths.values()))), abs=1e-9)
    assert found.probability == pytest.approx(math.exp(paths[best] - found.log_partition))
    for t, tag in np.ndindex(*found.scores.shape):
        to_here = [value for path, value in partial(found, t).items() if path[-1] == tag]
        assert found.scores[t, tag] == pytest.approx(max(to_here), abs=1e-9), (t, tag)


def partial(found: Any, t: int) -> dict[tuple[int, ...], float]:
    """The scores of all beginnings up to token t, without an end."""
    return {
        path: float(
            found.start[path[0]]
            + sum(found.emissions[s, tag] for s, tag in enumerate(path))
            + sum(found.transitions[i, j] for i, j in itertools.pairwise(path))
        )
        for path in itertools.product(range(4), repeat=t + 1)
    }


@pytest.mark.parametrize("text", ["他在北京大学", "图书馆", "我"])
def test_the_path_is_the_answer_of_the_tagger(segmenter: textnn.SequenceTagger, text: str) -> None:
    found = textnn.lab.trellis(segmenter, text)
    assert found.answer == segmenter.predict([text])[0]
    assert [found.tags[tag] for tag in found.path] == found.answer


def test_what_the_scheme_forbids(segmenter: textnn.SequenceTagger) -> None:
    found = textnn.lab.trellis(segmenter, "他在北京")
    assert found.tags == ["B", "M", "E", "S"]
    forbidden = {(found.tags[i], found.tags[j]) for i, j in np.argwhere(np.isneginf(found.transitions))}
    assert forbidden == {(i, j) for i in "BM" for j in "BS"} | {(i, j) for i in "ES" for j in "ME"}
    assert found.forbidden == 8
    struck = [one for one in found.steps() if np.isneginf(one.score)]
    assert not any(one.kept or one.chosen for one in struck)
    assert {(found.tags[one.start], found.tags[one.end]) for one in struck} >= forbidden


def test_edges_and_the_maximum_worked_out(segmenter: textnn.SequenceTagger) -> None:
    found = textnn.lab.trellis(segmenter, "他在北京")
    steps = found.steps()
    assert len(steps) == 3 * 16
    assert [(one.start, one.end) for one in steps if one.chosen] == list(itertools.pairwise(found.path))
    for t in range(1, 4):
        tag = found.path[t]
        worked = found.work_out(t, tag)
        assert [row[0] for row in worked] == found.tags
        assert max(row[3] for row in worked) == pytest.approx(found.scores[t, tag])
        for _, before, move, total in worked:
            assert total == pytest.approx(before + move + found.emissions[t, tag])
    with pytest.raises(IndexError, match="expected a token from 1 to 3 and a tag below 4, got 0 and 0"):
        found.work_out(0, 0)


def test_words_and_names(namer: textnn.SequenceTagger) -> None:
    found = textnn.lab.trellis(namer, "Ann Lee met Bob")
    assert found.tokens == ["Ann", "Lee", "met", "Bob"]
    assert found.answer == namer.predict([found.tokens])[0]
    assert textnn.lab.trellis(namer, ["Ann", "ran"]).tokens == ["Ann", "ran"]


def test_another_path_is_not_shown(segmenter: textnn.SequenceTagger, monkeypatch: pytest.MonkeyPatch) -> None:
    def worst(e: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        return e, torch.zeros_like(e, dtype=torch.int64), [3] * (len(e) - 2) + [0, 2]

    monkeypatch.setattr(viterbi, "_search", worst)
    with pytest.raises(RuntimeError):
        textnn.lab.trellis(segmenter, "他在图书馆")


def test_what_is_no_tagger_is_refused(segmenter: textnn.SequenceTagger) -> None:
    with pytest.raises(TypeError, match="tagger: expected a SequenceTagger, got str"):
        textnn.lab.trellis("model/", "他在北京")
    with pytest.raises(ValueError, match="text: expected at least one token"):
        textnn.lab.trellis(segmenter, " ")


def test_panels(segmenter: textnn.SequenceTagger) -> None:
    found = textnn.lab.trellis(segmenter, "他在北京")
    drawn = found.panels(token=3, struck=True)[1]
    kinds = [one["kind"] for one in drawn["edges"]]
    assert kinds.count("struck") == 3 * 8
    assert kinds.count("chosen") == 3
    assert "struck" not in [one["kind"] for one in found.panels(struck=False)[1]["edges"]]
    assert len(found.panels(others=True)[1]["edges"]) == 3 * 16
    assert len(found.panels(struck=False)[1]["edges"]) < len(found.panels(struck=False, others=True)[1]["edges"])
    assert "北" in found.panels(token=3)[2]["title"]["en"]
    assert found.figure("zh").axes


def test_a_long_sentence_is_cut_for_the_page(segmenter: textnn.SequenceTagger) -> None:
    panels = viterbi.EXHIBIT.run(**{**viterbi.EXHIBIT.settings({"text": "他在北京大学" * 9}), "model": segmenter})
    assert len(panels[0]["spans"]) == viterbi.LONGEST
    assert panels[0]["note"] == {"en": "The first 16 tokens.", "zh": "只显示前 16 个词元。"}
    panels = viterbi.EXHIBIT.run(**{**viterbi.EXHIBIT.settings({"text": "他在北京大学"}), "model": segmenter})
    assert not panels[0]["note"]
