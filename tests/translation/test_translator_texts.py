"""Translations of texts: any texts, copied names, alignments and their pictures, BLEU."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pair_samples import CHINESE, ENGLISH, PAIRS, make_state, make_translator
from sklearn.exceptions import NotFittedError

from textnn import Translator
from textnn.text.levels import UNKNOWN, Splitter
from textnn.translation import translating
from textnn.translation.alignment import Alignment
from textnn.translation.encoding import SourceReader, piece
from textnn.translation.evaluation import bleu, tokens_for
from textnn.translation.translating import look, text_of

MIXED = ["You sleep.", "", "We read a book.", "  \n", "Tom run away.", "吃", "[PAD] [UNK]", "\ud800", "I eat."]


def test_each_text_has_its_translation_in_order(translator: Translator, blind: Translator) -> None:
    for model in (translator, blind):
        found = model.predict(MIXED)
        assert [found[place] for place in (0, 2, 4, 8)] == ["你睡觉。", "我们看书。", "汤姆跑了。", "我吃。"]
        assert found[1] == found[3] == ""
        assert all(found[place] for place in (5, 6, 7)), "unknown tokens are read as such"
        assert model.predict([]) == []
        assert list(model.stream(iter(MIXED))) == found


def test_chunks_and_threads_make_no_difference(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = translator.predict(MIXED * 3)
    monkeypatch.setattr(translating, "CHUNK", 4)
    monkeypatch.setattr(translating, "_TOKENS", 6)
    assert translator.predict(MIXED * 3) == expected
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert translator.predict(MIXED * 3) == expected


def test_a_very_long_source_has_a_translation_that_is_not_longer_than_it_may_be(translator: Translator) -> None:
    found = translator.predict(["You sleep. " * 1000, "We eat."], beam=2, max_tokens=30)
    assert 0 < len(found[0]) <= 60
    assert found[1] == "我们吃。"


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"X": "text"}, TypeError, r"X: expected strings, got one string; write \[text\]"),
        ({"X": ["a", None]}, TypeError, r"X\[1\]: expected a string, got NoneType"),
        ({"X": 3}, TypeError, "X: expected strings, got int"),
        ({"beam": 0}, ValueError, "beam: expected an integer from 1 to 1000, got 0"),
        ({"beam": 2.0}, TypeError, "beam: expected an integer, got float"),
        ({"length_penalty": -1}, ValueError, "length_penalty: expected a number from 0 to 10"),
        ({"length_penalty": 1e9}, ValueError, r"length_penalty: expected a number from 0 to 10, got 1e\+09"),
        ({"max_tokens": 0}, ValueError, "max_tokens: expected an integer from 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    translator: Translator, given: dict[str, Any], kind: Any, message: str
) -> None:
    with pytest.raises(kind, match=message):
        translator.predict(**{"X": ["a"], **given})


def test_what_has_not_been_fitted_says_so() -> None:
    model = Translator()
    for call in (model.predict, model.align):
        with pytest.raises(NotFittedError):
            call(["a"])
    with pytest.raises(NotFittedError):
        model.save("nowhere")


def test_unknown_words_are_copied_where_the_attention_looked() -> None:
    """Names that occur once are unknown on both sides; whether one is written depends on where the source has it."""
    people, verbs = {"Tom": "汤姆", "Ann": "安"}, {"sees": "看见", "likes": "喜欢"}
    strange = [f"Zork{letter}" for letter in "abcdefghij"]
    pairs = [
        (f"{one} {verb} {other}.", f"{people.get(one, one)}{verbs[verb]}{people.get(other, other)}。")
        for one in (*people, *strange)
        for other in (*people, *strange)
        for verb in verbs
        if one in people or other in people
    ]
    options = {"min_count": 20, "epochs": 60, "hidden_size": 32, "embedding_dim": 16, "word_dropout": 0.0}
    model = make_translator(**options).fit(*map(list, zip(*pairs, strict=True)))
    assert "Zorka" not in model.target_vocabulary_
    assert "安" in model.target_vocabulary_
    assert model.predict(["Quux sees Ann.", "Tom likes Zorkb."]) == ["Quux看见安。", "汤姆喜欢Zorkb。"]
    assert model.align("Quux sees Ann.").target == ["Quux", *"看见安。"]


def test_an_unknown_token_becomes_the_source_token_with_the_largest_weight() -> None:
    state = make_state()
    source, ids = ["a", "b", "c"], [3, UNKNOWN, 2, UNKNOWN]
    weights = look(state, source, ids)
    assert weights.shape == (4, 3)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4, dtype=torch.float64))
    copied = [source[place] for place in weights.argmax(dim=1).tolist()]
    assert text_of(state, source, ids) == f"y{copied[1]}x{copied[3]}"
    assert text_of(state, ["a", "?", "c"], ids) == "y?x?", "of the unknown ones, if there are any"


@pytest.mark.parametrize(
    ("level", "token", "before", "found"),
    [
        ("word", "Bob", "", "Bob"),
        ("word", "Bob", "Hello", " Bob"),
        ("word", "Bob", "Hello,", " Bob"),
        ("word", "Bob", "你好", "Bob"),
        ("word", "Bob", "(", "Bob"),
        ("word", "!", "Hello", "!"),
        ("word", "好", "Hello", "好"),
        ("char", "Bob", "Hello", "Bob"),
        ("word", "", "Hello", ""),  # a function may find it
    ],
)
def test_a_copied_token_has_a_space_before_it_where_words_have(level: str, token: str, before: str, found: str) -> None:
    assert piece(Splitter(level), token, before) == found


def test_source_tokens_stand_without_spaces() -> None:
    assert SourceReader(Splitter("word"), True).split(" The dog,  he ran. ") == ["The", "dog", ",", "he", "ran", "."]
    assert SourceReader(Splitter("char"), True).split("a b") == ["a", " ", "b"]


def test_an_alignment_has_the_weights_of_each_token(translator: Translator, blind: Translator) -> None:
    for source, target in PAIRS[:4]:
        found = translator.align(source)
        assert found.translation == target == "".join(found.target)
        assert found.source == SourceReader(Splitter("word"), True).split(source)
        assert found.weights.shape == (len(found.target), len(found.source))
        assert found.weights.dtype == np.float32
        np.testing.assert_allclose(found.weights.sum(axis=1), 1.0, rtol=1e-5)
        assert json.loads(json.dumps(found.to_dict()))["translation"] == target
    empty = translator.align(" ")
    assert (empty.source, empty.target, empty.translation, empty.weights.size) == ([], [], "", 0)
    with pytest.raises(TypeError, match="text: expected a string, got list"):
        translator.align(["a"])
    with pytest.raises(ValueError, match="attention: this model has none; train one with attention='general' or 'dot'"):
        blind.align("I eat.")


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_an_alignment_is_drawn(translator: Translator, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    import matplotlib

    before = dict(matplotlib.rcParams)
    path = tmp_path / f"weights.{suffix}"
    found = Alignment(["$x$", "a\tb", " "], ["好", "é"], np.eye(2, 3, dtype=np.float32), "好é")
    found.plot()  # of the fonts that there are or are not, each call warns by itself
    figure = translator.align("We sleep.").plot(path)
    labels = [
        [label.get_text() for label in axis.get_ticklabels()] for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis)
    ]
    assert labels == [["We", "sleep", "."], list("我们睡觉。")]
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG") if suffix == "png" else "睡".encode() in content
    assert dict(matplotlib.rcParams) == before


def test_pictures_that_cannot_be_drawn(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"path: expected a file \.png or \.svg, got weights\.pdf"):
        translator.align("We eat.").plot("weights.pdf")
    with pytest.raises(ValueError, match="text: expected one with tokens"):
        translator.align("").plot()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="plots need matplotlib: pip install matplotlib"):
        translator.align("We eat.").plot()


def test_an_alignment_says_where_each_token_looked() -> None:
    found = Alignment(["he", "runs"], ["er", "läuft"], np.array([[0.9, 0.1], [0.2, 0.8]], np.float32), "er läuft")
    assert str(found) == "er: he 0.90\nläuft: runs 0.80"


def test_bleu_counts_characters_of_chinese_and_words_of_english() -> None:
    assert tokens_for(["我们吃苹果 on 3"]) == "zh"
    assert tokens_for(["We eat 苹果"]) == "13a"
    assert tokens_for([]) == "13a"
    assert bleu(["我们今天吃苹果。"], ["我们今天吃苹果。"]) == pytest.approx(100)
    assert 0 < bleu(["我们今天吃了梨。"], ["我们今天吃苹果。"]) < 100
    assert bleu(["吃苹果吧。", "好的。"], [["来吧。", "吃苹果吧。"], "好的。"]) == pytest.approx(100), (
        "several right ones"
    )


def test_the_score_is_bleu(translator: Translator) -> None:
    X, y = map(list, zip(*PAIRS, strict=True))
    assert translator.score(X, y) == pytest.approx(100)
    assert translator.score(X, [[target, "别的"] for target in y]) == pytest.approx(100)
    assert translator.score(X, y[::-1]) < 50
    for given, kind, message in (
        (([], []), ValueError, "X: expected at least one text, got none"),
        ((X, y[1:]), ValueError, "y: expected translations of 16 texts, as many as in X, got 15"),
        ((X, "text"), TypeError, "y: expected a translation of each text, or several, got one string"),
        ((X, [[], *y[1:]]), ValueError, r"y\[0\]: expected at least one translation, got none"),
        ((X, [3, *y[1:]]), TypeError, r"y\[0\]: expected a list of strings, got int"),
    ):
        with pytest.raises(kind, match=message):
            translator.score(*given)


def test_without_sacrebleu_the_score_says_what_to_install(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"^BLEU needs sacrebleu: pip install sacrebleu$"):
        translator.score(ENGLISH, CHINESE)
