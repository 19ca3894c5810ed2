"""Raw texts: entities lie where their offsets say, words lose no character, and streams keep order and memory."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from collections.abc import Iterator

import pytest
import torch
from tagged_samples import PEOPLE, PLACES, make_tagger, make_words

from textnn import SequenceTagger
from textnn.tagging.dictionary import Dictionary
from textnn.tagging.encoding import CHAR
from textnn.tagging.entities import Entity
from textnn.tagging.texts import LONGEST, pieces, word_places

EMOJI = "👩‍👩‍👧"
TEXTS = [
    "",
    " ",
    "\r\n\r\n",
    "Ann met Bob Lee in New York.",
    "Ann met Bob\r\nLee in New\nYork.\r",
    f"{EMOJI} Ann {EMOJI}Bob Lee{EMOJI}",
    "\ud800 Ann \udfff in \ud83d Rome",
    "a\u2028Ann\x85Rome\x0cMax\x1cOslo",
    "Ann\u0301 \u200bRome\ufeff Max",
    "\0Ann\tMax\0",
    "Ann met " * 3000,
    "Ann " + "x" * 10_000 + " Rome",
    "e\u0301" * 500,
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("level", ["word", "char"])
def test_entities_lie_where_their_offsets_say(
    level: str, text: str, tagger: SequenceTagger, character_tagger: SequenceTagger
) -> None:
    found = (tagger if level == "word" else character_tagger).entities(text)
    assert all(text[entity.start : entity.end] == entity.text for entity in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found)), "from left to right, apart"
    assert all(entity.type in ("PER", "LOC") and 0 < entity.confidence <= 1 for entity in found)
    assert not any(set(entity.text) & set("\r\n\x85\u2028") for entity in found), "none over a line's end"


def test_entities_are_found(tagger: SequenceTagger, character_tagger: SequenceTagger) -> None:
    found = tagger.entities("Ann met Bob Lee in New York.\r\nMax ran.")
    assert [(entity.start, entity.end, entity.type, entity.text) for entity in found] == [
        (0, 3, "PER", "Ann"),
        (8, 15, "PER", "Bob Lee"),
        (19, 27, "LOC", "New York"),
        (30, 33, "PER", "Max"),
    ]
    assert isinstance(found[0], Entity)
    found = character_tagger.entities("王明去天安门。\n李在北京")
    assert [(entity.text, entity.type) for entity in found] == [
        ("王明", "PER"),
        ("天安门", "LOC"),
        ("李", "PER"),
        ("北京", "LOC"),
    ]


def test_nothing_is_lost_in_a_very_long_line(tagger: SequenceTagger) -> None:
    names = [" ".join(name) for name in PEOPLE + PLACES]
    source = random.Random(0)
    chosen = source.choices(names, k=600)
    text = " met ".join(chosen)
    found = [entity.text for entity in tagger.entities(text)]
    # Where a line without ends of sentences is cut, a name may be cut as well.
    assert set(chosen) <= set(found)
    assert abs(len(found) - len(chosen)) < 60


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("level", ["char", "word"])
def test_pieces_hold_all_that_is_no_white_space(level: str, words: bool) -> None:
    for text in TEXTS:
        seen = [False] * len(text)
        before = 0
        for piece in pieces(text, level, words):
            assert len(piece.tokens) == len(piece.starts) == len(piece.ends) > 0
            for token, start, end in zip(piece.tokens, piece.starts, piece.ends, strict=True):
                assert text[start:end] == token
                assert start >= before
                before = end
                seen[start:end] = [True] * (end - start)
            assert piece.ends[-1] - piece.starts[0] <= 2 * LONGEST
        missed = [character for character, there in zip(text, seen, strict=True) if not there]
        assert not "".join(missed).strip(), ascii("".join(missed))


def test_long_lines_are_cut_at_ends_of_sentences() -> None:
    sentence = "我来到北京。"
    found = list(pieces(sentence * 200, "char"))
    assert all(piece.tokens.endswith("。") and len(piece.tokens) <= LONGEST for piece in found)
    assert "".join(piece.tokens for piece in found) == sentence * 200


def test_cutting_loses_no_character(segmenter: SequenceTagger) -> None:
    for text in TEXTS:
        words = segmenter.cut(text)
        assert "".join(words) == "".join(text.split())
        assert all(words)
    assert segmenter.cut("我来到北京。\n他 喜欢天安门") == ["我", "来到", "北京", "。", "他", "喜欢", "天安门"]


def test_parts_of_speech_come_with_the_words() -> None:
    kinds = {"我": "r", "他": "r", "来到": "v", "喜欢": "v", "北京": "ns", "天安门": "ns", "在": "p", "。": "w"}
    X = make_words(150)
    tagger = make_tagger(epochs=8).fit_words(
        [" ".join(words) for words in X], [[kinds[w] for w in words] for words in X]
    )
    assert tagger.cut_tagged("我在 北京。") == [("我", "r"), ("在", "p"), ("北京", "ns"), ("。", "w")]
    assert tagger.cut("我在 北京。") == ["我", "在", "北京", "。"]


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        (["长江", "长江大桥", "大桥"], "过长江大桥", ["长江大桥"]),
        (["大桥", "长江"], "长江大桥", ["长江", "大桥"]),
        (["江大", "长江"], "长江大桥", ["长江"]),
        (["a", "ab", "abc"], "ababcab", ["ab", "abc", "ab"]),
        (["我"], "我我", ["我", "我"]),
        ([], "我", []),
        (["\ud800"], "我\ud800", ["\ud800"]),
    ],
)
def test_words_of_a_dictionary_are_found_leftmost_and_longest(words: list[str], text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in Dictionary(words).find(text)] == found


def test_words_of_a_dictionary_are_cut_out_wherever_they_stand(segmenter: SequenceTagger) -> None:
    text = "我来到北京喜欢天安门"
    source = random.Random(0)
    for _ in range(30):
        start = source.randrange(len(text))
        word = text[start : start + source.randint(1, 4)]
        words = segmenter.cut(text, [word])
        assert "".join(words) == text
        expected = [text[first:last] for first, last in Dictionary([word]).find(text)]
        assert [each for each in words if each == word][: len(expected)] == expected
        assert len("".join(words[: words.index(word)])) == text.find(word), (word, words)
    assert list(segmenter.stream_cut([text, "北京"], ["京"]))[1] == [("北", ""), ("京", "")]


def test_a_word_of_a_dictionary_is_not_lost_where_a_long_text_is_cut(segmenter: SequenceTagger) -> None:
    word = "长江大桥边"
    for ahead in range(LONGEST - 8, LONGEST + 3):
        text = "我" * ahead + word + "他" * 250
        words = segmenter.cut(text, [word])
        assert words.count(word) == 1, ahead
        assert "".join(words) == text
    parts = list(pieces(word * 200, CHAR, True, Dictionary([word]).find))
    assert "".join(piece.tokens for piece in parts) == word * 200
    assert len(parts) > 3
    assert all(piece.tokens == word * (len(piece.tokens) // 5) for piece in parts)
    assert [len(p.tokens) for p in pieces("桥" * 1000, CHAR, True, Dictionary(["桥" * 1000]).find)] == [1000]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cafe\u0301 e\u0301te\u0301.", ["cafe\u0301", "e\u0301te\u0301", "."]),
        ("हिन्दी में।", ["हिन्दी", "में", "।"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("a\u0301-b don't \u2764\ufe0f!", ["a\u0301-b", "don't", "\u2764\ufe0f", "!"]),
        (" \u0301a", ["\u0301", "a"]),
    ],
)
def test_a_word_keeps_the_marks_of_its_letters(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in word_places(text)] == words


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ("北京", TypeError, "dictionary: expected a list of words, got one string"),
        (["北 京"], ValueError, r"dictionary\[0\]: expected a word without white space, got '北 京'"),
        ([""], ValueError, r"dictionary\[0\]: expected a word without white space, got ''"),
        (["a", 3], TypeError, r"dictionary\[1\]: expected a string, got int"),
        (3, TypeError, "dictionary: expected a list of words, got int"),
    ],
)
def test_what_is_no_dictionary_is_refused(
    words: object, kind: type[Exception], message: str, segmenter: SequenceTagger
) -> None:
    with pytest.raises(kind, match=message):
        segmenter.cut("北京", words)


@pytest.mark.parametrize("threads", [1, 3])
def test_streams_keep_their_order_whatever_the_number_of_threads(threads: int, tagger: SequenceTagger) -> None:
    names = [" ".join(name) for name in PEOPLE + PLACES]
    texts = [f"{names[number % len(names)]} ran.\n\n" * (number % 3) for number in range(900)]
    torch.set_num_threads(threads)
    try:
        found = list(tagger.stream_entities(iter(texts)))
    finally:
        torch.set_num_threads(1)
    assert len(found) == len(texts)
    expected = {text: [entity[:4] for entity in tagger.entities(text)] for text in sorted(set(texts))}
    assert [[entity[:4] for entity in entities] for entities in found] == [expected[text] for text in texts]


def test_streams_read_no_further_than_some_chunks_ahead(tagger: SequenceTagger, segmenter: SequenceTagger) -> None:
    read = 0

    def endless(text: str) -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield text

    for text in ("Ann ran.", "", " \n"):
        for stream in (tagger.stream_entities, segmenter.stream_cut):
            read = 0
            results = stream(endless(text))
            for _ in range(5):
                next(results)
            assert read < 2000, text


def test_streams_have_constant_memory(segmenter: SequenceTagger) -> None:
    def peak(texts: int) -> int:
        tracemalloc.start()
        for _ in segmenter.stream_cut("我来到北京。" * (number % 3) for number in range(texts)):
            pass
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return memory

    peak(600)
    assert peak(4000) < 1.5 * peak(1000)


def test_what_is_no_text_is_refused_at_once(tagger: SequenceTagger, segmenter: SequenceTagger) -> None:
    with pytest.raises(TypeError, match="text: expected a string, got list; stream_entities takes several"):
        tagger.entities(["Ann"])
    with pytest.raises(TypeError, match="text: expected a string, got bytes; stream_cut takes several"):
        segmenter.cut(b"Ann")
    with pytest.raises(TypeError, match=r"texts: expected strings, got one string; write \[text\]"):
        tagger.stream_entities("Ann")
    with pytest.raises(ValueError, match="cut: this model does not cut text into words"):
        tagger.stream_cut(["我"])
    parts_of_speech = make_tagger(epochs=1).fit([["a", "b"]] * 4, [["NN", "VB"]] * 4)
    with pytest.raises(ValueError, match="entities: the tags of this model mark no spans"):
        parts_of_speech.stream_entities(["a"])
    results = tagger.stream_entities(["Ann", None])
    with pytest.raises(TypeError, match=r"texts\[1\]: expected a string, got NoneType"):
        list(results)


@pytest.mark.parametrize("level", ["char", "word"])
def test_a_long_line_without_an_end_is_cut_between_words(level: str) -> None:
    text = "Wolverhampton " * 60
    parts = list(pieces(text, level))
    assert len(parts) > 1
    words = ["".join(part.tokens).split() if level == "char" else list(part.tokens) for part in parts]
    assert [word for part in words for word in part] == ["Wolverhampton"] * 60
