"""Where tokens stand in their text: spans for what tokenizers cut, change and drop."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textnn.classification.explanation import align
from textnn.text import make_tokenizer

SOME_TEXT = st.text(alphabet="aAbBßﬁ好差 \n，Ａ😀\u0301", max_size=40)


@pytest.mark.parametrize(
    ("text", "tokens", "expected"),
    [
        ("", [], []),
        ("很好", ["很", "好"], [(0, 1), (1, 2)]),
        ("好 好\n好", ["好", "好", "好"], [(0, 1), (2, 3), (4, 5)]),
        ("a b", ["a", " ", "b"], [(0, 1), (1, 2), (2, 3)]),
        ("😀很好", ["😀", "很好"], [(0, 1), (1, 3)]),
        pytest.param("Foo bar foo", ["foo", "bar", "foo"], [(0, 3), (4, 7), (8, 11)], id="lower case"),
        pytest.param("ＡＢ 好", ["ab", "好"], [(0, 2), (3, 4)], id="full-width letters"),
        pytest.param("the cat, the dog", ["cat", "dog"], [(4, 7), (13, 16)], id="dropped words"),
        pytest.param("a dog saw a cat, dog", ["saw", "cat", "dog"], [(6, 9), (12, 15), (17, 20)], id="dropped first"),
        pytest.param("he ran off", ["he", "run", "off"], [(0, 2), (2, 2), (7, 10)], id="a token that is not there"),
        pytest.param("跑得快", ["", "快"], [(0, 0), (2, 3)], id="an empty token"),
        pytest.param("ﬁn", ["f", "i", "n"], [(0, 1), (1, 1), (1, 2)], id="two tokens in one character"),
        pytest.param("abc", ["x", "y"], [(0, 0), (0, 0)], id="nothing is there"),
        pytest.param(
            "a b a c", ["zz", "a", "c"], [(0, 0), (0, 1), (6, 7)], id="goes on after a token that is not there"
        ),
    ],
)
def test_spans(text: str, tokens: list[str], expected: list[tuple[int, int]]) -> None:
    assert align(text, tokens) == expected


@given(SOME_TEXT, st.lists(st.text(alphabet="aAbBßﬁ好差 ，", max_size=3), max_size=20))
@settings(max_examples=200, deadline=None)
def test_spans_rise_and_stay_within_the_text_whatever_the_tokens(text: str, tokens: list[str]) -> None:
    spans = align(text, tokens)
    assert len(spans) == len(tokens)
    place = 0
    for start, end in spans:
        assert place <= start <= end <= len(text)
        place = end


@given(SOME_TEXT, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_pieces_of_a_text_are_found_where_they_were_cut(text: str, source: random.Random) -> None:
    cuts = sorted({0, len(text), *(source.randint(0, len(text)) for _ in range(5))})
    spans = [(a, b) for a, b in itertools.pairwise(cuts) if not text[a:b].isspace()]
    assert align(text, [text[a:b] for a, b in spans]) == spans


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_what_is_left_of_a_text_without_repetitions_is_found(kept: list[bool], source: random.Random) -> None:
    words = source.sample([chr(code) for code in range(0x4E00, 0x4E00 + 200)], len(kept))
    spans = [(place, place + 1) for place, keep in enumerate(kept) if keep]
    assert align("".join(words), [words[a] for a, _ in spans]) == spans


@pytest.mark.parametrize("name", ["jieba", "char", "whitespace"])
def test_the_tokens_of_a_tokenizer_are_the_text_of_their_spans(name: str) -> None:
    text = "  物流很快，ABC 12.5 元 <b>好</b>\r\n 😀 a\u0301é！ "
    tokens = make_tokenizer(name)(text)
    assert [text[start:end] for start, end in align(text, tokens)] == tokens


def test_a_long_text_of_changed_tokens_takes_no_square_time() -> None:
    text = "好 x " * 20_000
    spans = align(text, ["好", "y"] * 20_000)
    assert spans[-2:] == [(79_996, 79_997), (79_997, 79_997)]
