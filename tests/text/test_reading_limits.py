"""Corpora, vectors and dictionaries made to take time or memory: each is refused before it has taken either."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from textnn.text import (
    CorpusError,
    Vocabulary,
    iter_records,
    make_tokenizer,
    read_corpus,
    read_vectors,
    sources,
    wordlist,
)
from textnn.text.wordlist import parse_words


def test_a_column_that_stands_twice_among_many_is_found_in_no_time(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",".join([*(f"c{number}" for number in range(60_000)), "text", "text"]) + "\n")
    start = time.process_time()
    with pytest.raises(CorpusError, match="expected one column 'text' for the text, got several") as error:
        read_corpus(tmp_path / "a.csv")
    assert time.process_time() - start < 5
    assert len(str(error.value)) < 1500


def test_a_device_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LONGEST_LINE", 1 << 20)
    with pytest.raises(CorpusError, match="/dev/zero, line 1: expected lines of at most 1,048,576 characters"):
        list(iter_records("/dev/zero"))


def test_a_line_is_not_read_beyond_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LONGEST_LINE", 1 << 16)
    (tmp_path / "a.txt").write_bytes(b"x" * (1 << 24))
    tracemalloc.start()
    with pytest.raises(CorpusError, match="expected lines of at most 65,536 characters, got a longer one"):
        list(iter_records(tmp_path / "a.txt", format="lines"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_names_of_columns_are_cut_in_messages(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x" * 10**6 + ",y\n1,2\n")
    with pytest.raises(CorpusError, match=r"got the columns 'x{40}', 'y'$"):
        read_corpus(tmp_path / "a.csv", text="review", label="y")
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n{"' + "k" * 10**6 + '": 1}\n')
    with pytest.raises(CorpusError, match=r"got an object with 'k{40}'; --on-error skip"):
        read_corpus(tmp_path / "a.jsonl")


@pytest.mark.parametrize("label", ["NaN", "Infinity", "1e999"])
def test_a_label_is_a_number_that_there_is(label: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"text": "a", "label": {label}, "other": NaN}}\n')
    with pytest.raises(CorpusError, match=r"expected a string or a number as 'label', got (NaN|Infinity)"):
        read_corpus(tmp_path / "a.jsonl")


def test_nan_elsewhere_in_a_row_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1, "other": NaN}\n')
    assert read_corpus(tmp_path / "a.jsonl").texts == ["a"]


def test_words_of_a_dictionary_are_short(tmp_path: Path) -> None:
    """jieba keeps each prefix of a word: one of a million characters would take 500 GB."""
    make_tokenizer("jieba", user_dictionary=["好" * 100 + " 5 n"])
    with pytest.raises(ValueError, match=r"expected words of at most 100 characters, got 101 in '好{20}'"):
        make_tokenizer("jieba", user_dictionary=["好" * 101])


def test_lines_are_counted_before_they_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordlist, "LONGEST_LIST", 2)
    assert parse_words(b"a\nb\n", "words.txt") == ["a", "b"]
    with pytest.raises(ValueError, match=r"words\.txt: expected at most 2 lines, got 3"):
        parse_words(b"a\nb\nc\n", "words.txt")


def test_a_header_of_vectors_is_not_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "words.vec").write_bytes(b"1 65537\n" + b"a" + b" 1" * 65537 + b"\n")
    with pytest.raises(ValueError, match="expected vectors of dim 65,536 at most, got dim 65,537"):
        read_vectors(tmp_path / "words.vec", Vocabulary(["[PAD]", "[UNK]", "a"]))
