"""The lexicon of a segmenter against a search for each word at each place."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import numpy as np

from textnn.tagging.lexicon import LONGEST, PARTS, SHORTEST, Lexicon, parts_of

LETTERS = "abcd"


def ids_of(word: str) -> list[int]:
    return [2 + LETTERS.index(letter) if letter in LETTERS else 1 for letter in word]


def draw(rng: random.Random, longest: int) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, longest)))


def search(text: str, known: Callable[[str], bool]) -> list[list[int]]:
    found = [[0, 0, 0] for _ in text]
    for length in range(SHORTEST, LONGEST + 1):
        for start in range(len(text) - length + 1):
            if known(text[start : start + length]):
                found[start][0] = found[start + length - 1][1] = length
                for inner in range(start + 1, start + length - 1):
                    found[inner][2] = length
    return found


def test_it_finds_the_longest_word_that_begins_ends_and_goes_across() -> None:
    rng = random.Random(0)
    words = list({draw(rng, 8) for _ in range(300)})
    texts = [draw(rng, 20) for _ in range(200)]
    ids = np.array([number for text in texts for number in ids_of(text)])
    found = Lexicon(words, ids_of, unknown=1).find(ids, np.array([len(text) for text in texts]))
    wanted = [row for text in texts for row in search(text, words.__contains__)]
    assert np.array_equal(found, np.array(wanted))
    assert found.any(axis=0).all()


def test_in_training_a_word_is_known_where_another_part_of_the_text_has_it() -> None:
    rng = random.Random(1)
    sentences = [[draw(rng, 4) for _ in range(rng.randint(1, 6))] for _ in range(95)]
    lexicon = Lexicon.of(sentences, ids_of, unknown=1)
    ids = np.array([number for words in sentences for word in words for number in ids_of(word)])
    lengths = np.array([sum(map(len, words)) for words in sentences])
    parts = parts_of(len(sentences)).tolist()
    assert set(Counter(parts).values()) == {9, 10}
    assert set(parts) == set(range(PARTS))
    wanted = []
    for part, words in zip(parts, sentences, strict=True):
        others = {word for n, each in zip(parts, sentences, strict=True) if n != part for word in each}
        wanted += search("".join(words), others.__contains__)
    found = lexicon.find(ids, lengths, training=True)
    assert np.array_equal(found, np.array(wanted))
    assert not np.array_equal(found, lexicon.find(ids, lengths))


def test_words_with_an_unknown_character_are_not_looked_for() -> None:
    lexicon = Lexicon(["ax", "ab"], ids_of, unknown=1)
    assert lexicon.find(np.array(ids_of("ayab")), np.array([4])).tolist() == [[0] * 3, [0] * 3, [2, 0, 0], [0, 2, 0]]


def test_an_empty_lexicon_finds_nothing() -> None:
    lexicon = Lexicon([], ids_of, unknown=1)
    assert not lexicon.find(np.array(ids_of("abab")), np.array([4])).any()
    assert lexicon.find(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)).shape == (0, 3)


def test_words_that_fold_to_the_same_ids_are_one() -> None:
    def coarse(word: str) -> list[int]:
        return [2 if letter.isdigit() else 3 for letter in word]

    sentences = [["12x"], *[["y"]] * 18, ["34x"]]  # in the first and in the last of ten parts
    lexicon = Lexicon.of(sentences, coarse, unknown=1)
    ids = np.array([number for words in sentences for word in words for number in coarse(word)])
    found = lexicon.find(ids, np.array([sum(map(len, words)) for words in sentences]), training=True)
    assert found[0].tolist() == [3, 0, 0], "known, as the last part has it"
    assert len(lexicon.keys) == 1
