"""Which scripts texts are in, and the tokenizers that follow from it."""

from __future__ import annotations

import builtins
import importlib.metadata
from typing import Any

import pytest

from textnn.text import Scripts, character_places, make_tokenizer, split_characters
from textnn.text.encoding import CharacterTable
from textnn.text.vocabulary import Vocabulary

ENGLISH = "The room isn't clean, and the staff was rude."
CHINESE = "房间很干净，服务也好，下次还来"


@pytest.mark.parametrize(
    ("texts", "tokenizer", "spaced"),
    [
        ([ENGLISH], "unicode", True),
        ([CHINESE], "jieba", False),
        ([CHINESE, "OK"], "jieba", False),
        ([CHINESE, ENGLISH], "mixed", False),
        ([CHINESE, ENGLISH, ENGLISH], "mixed", True),
        (["我 today 很开心, 买了 new shoes"], "mixed", False),
        (["これはペンです。", "東京は大きい"], "char", False),
        (["ฉันรักภาษาไทย"], "char", False),
        (["한국어 문장입니다"], "unicode", True),
        (["Я люблю книги", "это"], "unicode", True),
        (["لا أحب هذا"], "unicode", True),
        ([ENGLISH] * 60 + ["好"], "unicode", True),
        (["123 !!", "😀"], "unicode", True),
        ([""], "unicode", True),
        ([], "unicode", True),
    ],
)
def test_the_scripts_of_the_texts_say_how_they_are_cut(texts: list[str], tokenizer: str, spaced: bool) -> None:
    scripts = Scripts.of(texts)
    assert (scripts.tokenizer, scripts.is_spaced) == (tokenizer, spaced), scripts.shares


def test_counts_add_up_and_long_texts_count_by_their_beginning() -> None:
    assert Scripts.of([CHINESE]) + Scripts.of([ENGLISH]) == Scripts.of([CHINESE, ENGLISH])
    assert Scripts.of(["a" * 5000 + CHINESE]) == Scripts(spaced=1000)
    assert Scripts.of(["\ud800好"]) == Scripts(han=1)


@pytest.mark.parametrize(
    ("scripts", "described"),
    [
        (Scripts(han=15), "100 % of the words are Chinese"),
        (Scripts(han=15, spaced=50), "50 % of the words stand between spaces, 50 % are Chinese"),
        (Scripts(unspaced=4), "100 % of the words are in a script without spaces"),
        (Scripts(), "there are no letters"),
    ],
)
def test_what_is_said_of_them(scripts: Scripts, described: str) -> None:
    assert scripts.describe() == described


def test_auto_takes_rjieba_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rjieba")
    assert make_tokenizer("auto", scripts=Scripts.of([CHINESE])).name == "rjieba"
    assert make_tokenizer("auto").name == "rjieba"
    found = importlib.metadata.version

    def version(name: str) -> str:
        if name == "rjieba":
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert make_tokenizer("auto", scripts=Scripts.of([CHINESE])).name == "jieba"
    mixed = make_tokenizer("mixed")
    assert mixed("OK，房间很干净") == ["ok", "，", "房间", "很", "干净"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I can't, won't", ["i", "can't", ",", "won't"]),
        ("U.S. 3.14 1,000", ["u.s", ".", "3.14", "1,000"]),
        ("e-mail  x@y.z\n", ["e", "-", "mail", "x", "@", "y.z"]),
        ("L’été Straße İ", ["l’été", "strasse", "i̇"]),
        ("Приве́т, мир!", ["приве́т", ",", "мир", "!"]),
        ("好的OK", ["好", "的", "ok"]),
        ("👩‍👩‍👧 ok", ["👩‍👩‍👧", "ok"]),
        ("\ud800 a", ["\ud800", "a"]),
        ("", []),
        (" \u3000\t", []),
    ],
)
def test_words_by_unicodes_rules_case_folded(text: str, tokens: list[str]) -> None:
    assert make_tokenizer("unicode")(text) == tokens


def test_mixed_texts_have_words_of_both_kinds_and_a_user_dictionary() -> None:
    assert make_tokenizer("mixed")("I love 这家酒店, 房间很干净!") == [
        *("i", "love", "这家", "酒店", ",", "房间", "很", "干净", "!")
    ]
    own = make_tokenizer("mixed", user_dictionary=["很干净 100000"], stop_words=["i"])
    assert own("I think 房间很干净") == ["think", "房间", "很干净"]
    with pytest.raises(ValueError, match="got the tokenizer 'auto', which is 'unicode' for these texts"):
        make_tokenizer("auto", user_dictionary=["x"], scripts=Scripts.of([ENGLISH]))


@pytest.mark.parametrize("text", ["So  it IS", " a", "b ", "Straße\tx", "", "  ", "好 的", "\ud800 \x00x", "a\u3000b"])
@pytest.mark.parametrize("form", ["text", "words"])
def test_characters_their_places_and_their_ids_agree(text: str, form: str) -> None:
    characters, places = split_characters(text, form), character_places(text, form)
    assert len(characters) == len(places)
    for character, (start, end) in zip(characters, places, strict=True):
        if character == " ":
            assert not text[start:end].strip()
        else:
            assert character in (text[start:end].casefold() if form == "words" else text[start:end])
    vocabulary = Vocabulary.build([characters, list("So it is")])
    encoded = CharacterTable(vocabulary, form).encode([text, "x"]).batch([0]).ids.tolist()
    assert encoded == (vocabulary.encode(characters) or [Vocabulary.PAD_ID])


def test_words_have_blanks_around_them() -> None:
    assert split_characters("So  IT", "words") == [" ", "s", "o", " ", "i", "t", " "]
    assert character_places("So  IT", "words") == [(0, 0), (0, 1), (1, 2), (2, 4), (4, 5), (5, 6), (6, 6)]


def test_the_modules_import_without_the_packages_of_other_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] in ("jieba", "rjieba"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert make_tokenizer("auto", scripts=Scripts.of([ENGLISH]))("It is") == ["it", "is"]
