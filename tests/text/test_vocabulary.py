"""The vocabulary: order, limits, encoding, and files that bring every token back."""

from __future__ import annotations

import stat
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textnn.text import Vocabulary, load_words, save_words

# Lone surrogates included: they come out of JSON files and must not break a save.
ANY_STRING = st.text(st.characters(categories=None))
TOKEN_LISTS = st.lists(st.lists(st.sampled_from("abcdefgh好差") | ANY_STRING))


def test_order_is_by_falling_frequency_then_first_appearance():
    vocabulary = Vocabulary.build([["c", "b", "a"], ["b", "a"], ["d"]])
    assert vocabulary.tokens == ["[PAD]", "[UNK]", "b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("min_count", "max_size", "expected"),
    [(1, None, "abc"), (2, None, "ab"), (4, None, ""), (1, 4, "ab"), (1, 2, ""), (1, 99, "abc"), (2, 3, "a")],
)
def test_limits(min_count, max_size, expected):
    vocabulary = Vocabulary.build([list("abc"), list("ab"), list("a")], min_count, max_size)
    assert vocabulary.tokens[2:] == list(expected), (min_count, max_size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_count": 0}, "min_count: expected at least 1, got 0"),
        ({"max_size": 1}, r"max_size: expected at least 2 \(\[PAD\] and \[UNK\] count\), got 1"),
    ],
)
def test_limits_without_meaning(options, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary.build([], **options)


@pytest.mark.parametrize("texts", ["abc", ["abc"]])
def test_a_string_is_no_list_of_tokens(texts):
    with pytest.raises(TypeError, match=r"token_lists\[0\]: expected a list of tokens, got one string"):
        Vocabulary.build(texts)


@given(TOKEN_LISTS)
def test_build_counts_what_counter_counts(token_lists):
    counts = Counter(token for tokens in token_lists for token in tokens)
    tokens = Vocabulary.build(iter(token_lists)).tokens
    assert set(tokens) == set(counts) | {"[PAD]", "[UNK]"}
    frequencies = [counts[token] for token in tokens[2:]]
    assert frequencies == sorted(frequencies, reverse=True)


def test_ids_and_tokens():
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "很", "好"])
    assert vocabulary.encode(["很", "差", "好"]) == [2, 1, 3]
    assert vocabulary.decode([2, 0, 1, 3]) == ["很", "[PAD]", "[UNK]", "好"]
    assert [vocabulary.id(token) for token in ("[PAD]", "[UNK]", "好", "差")] == [0, 1, 3, 1]
    assert len(vocabulary) == 4
    assert "好" in vocabulary
    assert "差" not in vocabulary


@pytest.mark.parametrize("number", [-1, 3])
def test_decode_refuses_ids_outside(number):
    with pytest.raises(IndexError, match=rf"ids\[1\]: expected an id from 0 to 2, got {number}"):
        Vocabulary(["[PAD]", "[UNK]", "a"]).decode([0, number])


def test_special_names_in_texts_are_unknown_tokens():
    vocabulary = Vocabulary.build([["[PAD]", "[UNK]", "a"]])
    assert vocabulary.tokens == ["[PAD]", "[UNK]", "a"]
    assert vocabulary.encode(["[PAD]", "[UNK]", "a"]) == [1, 1, 2]


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        (["[PAD]", "[UNK]", "a", "b", "a"], ValueError, r"tokens\[4\]: 'a' stands already at position 2"),
        (["[UNK]", "[PAD]"], ValueError, "expected '\\[PAD\\]' and '\\[UNK\\]' first"),
        ([], ValueError, "first, got \\[\\]"),
        (["[PAD]", "[UNK]", 3], TypeError, r"tokens\[2\]: expected a string, got int"),
        ("[PAD]", TypeError, "expected a sequence of strings, got one string"),
    ],
)
def test_wrong_tokens(tokens, error, message):
    with pytest.raises(error, match=message):
        Vocabulary(tokens)


# ---- files -----------------------------------------------------------------------------------------------------------


@given(TOKEN_LISTS)
def test_every_token_survives_a_file(tmp_path_factory, token_lists):
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.txt"
    vocabulary = Vocabulary.build(token_lists)
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(vocabulary), "one token a line, for any reader"


@pytest.mark.parametrize(
    "word", ["", " ", "\n", "\r", "\\", "\\n", "\t", "\ufeff", "\u2028", "\x85", "\ud83d", "\0", "😀"]
)
def test_awkward_words_survive_a_file(tmp_path, word):
    path = tmp_path / "words.txt"
    for words in ([word], [word, word], ["a", word, "b"], []):
        save_words(words, path)
        assert load_words(path) == words, repr(word)


def test_the_file_is_plain_to_read(tmp_path):
    path = tmp_path / "vocabulary.txt"
    Vocabulary(["[PAD]", "[UNK]", "很", " ", "\n", "a\\b"]).save(path)
    assert path.read_bytes() == "[PAD]\n[UNK]\n很\n \n\\n\na\\\\b\n".encode()


def test_line_ends_of_windows_do_no_harm(tmp_path):
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(b"[PAD]\r\n[UNK]\r\na\r\n\\r\r\n")
    assert Vocabulary.load(path).tokens[2:] == ["a", "\r"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"line 1: expected '\[PAD\]', got the end of the file"),
        (b"[PAD]\n", r"line 2: expected '\[UNK\]', got the end of the file"),
        (b"[UNK]\n[PAD]\n", r"line 1: expected '\[PAD\]', got '\[UNK\]'"),
        (b"[PAD]\na\n", r"line 2: expected '\[UNK\]', got 'a'"),
        (b"[PAD]\n[UNK]\na\nb\na\n", "line 5: the token 'a' stands already on line 3"),
        (b"[PAD]\n[UNK]\n[PAD]\n", r"line 3: the token '\[PAD\]' stands already on line 1"),
        (b"[PAD]\n[UNK]\na\nb", "line 4: the file ends within a line"),
        (b"[PAD]\n[UNK]\na\\qb\n", "line 3: a backslash at character 2 starts no escape"),
        (b"[PAD]\n[UNK]\n\\U00110000\n", "line 3: "),
        (b"[PAD]\n[UNK]\n\xff\n", "line 3: expected UTF-8 text, got the byte 0xff"),
    ],
)
def test_damaged_files_are_refused_with_their_line(tmp_path, content, message):
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"vocabulary.txt, {message}"):
        Vocabulary.load(path)


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    def words():
        yield "new"
        raise KeyboardInterrupt

    path = tmp_path / "words.txt"
    save_words(["old"], path)
    with pytest.raises(KeyboardInterrupt):
        save_words(words(), path)
    assert load_words(path) == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_other_new_files(tmp_path):
    plain, path = tmp_path / "plain", tmp_path / "words.txt"
    plain.touch()
    save_words(["a"], path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    path.chmod(0o640)
    save_words(["b"], path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
