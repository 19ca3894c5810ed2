"""word2vec's binary format: told from text, read in pieces, refused where it is damaged."""

from __future__ import annotations

import gzip
import tracemalloc
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textnn.text import Vocabulary
from textnn.text.vectors import Vectors, read_vectors

VOCABULARY = Vocabulary.build([["好", "差", "物流"]])
ROWS = [("好", [0.1, -2.0]), ("新", [1.0, 1.0]), ("差", [4.0, 5.0])]


def binary(rows: Sequence[tuple[str, Sequence[float]]], end: bytes = b"\n", dim: int = 2) -> bytes:
    records = [word.encode() + b" " + np.array(values, "<f4").tobytes() + end for word, values in rows]
    return b"%d %d\n" % (len(rows), dim) + b"".join(records)


def read(tmp_path: Path, content: bytes, **options) -> Vectors:
    (tmp_path / "words.bin").write_bytes(content)
    return read_vectors(tmp_path / "words.bin", VOCABULARY, **options)


def found(vectors: Vectors) -> dict[str, list[float]]:
    return dict(zip(VOCABULARY.decode(vectors.rows.tolist()), vectors.values.tolist(), strict=True))


@pytest.mark.parametrize("end", [b"\n", b""], ids=["a line break behind each vector", "nothing behind it"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_the_rows_of_the_vocabulary_are_kept(tmp_path, end, pack):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = read(tmp_path, pack(binary(ROWS, end)))
    assert found(vectors) == {"好": [np.float32(0.1), -2.0], "差": [4.0, 5.0]}
    assert (vectors.dim, vectors.lines, vectors.wanted, vectors.duplicates) == (2, 3, 3, 0)


def test_the_first_of_equal_words_counts_and_words_that_are_not_utf8_are_counted(tmp_path):
    content = binary([*ROWS, ("好", [7.0, 7.0])]).replace("新".encode(), b"\xe6\x96")
    vectors = read(tmp_path, content)
    assert found(vectors)["好"] == [np.float32(0.1), -2.0]
    assert (vectors.duplicates, vectors.undecodable) == (1, 1)


@pytest.mark.parametrize("text", ["1 2\n好 1 2\n", "2 2\n好 1\n差 1 2\n", "1 2\n好 1 2 差\n", "1 3\n好 0 0 0\n"])
def test_a_text_is_no_binary_file_even_if_it_is_damaged(tmp_path, text):
    (tmp_path / "words.vec").write_text(text, encoding="utf-8")
    try:
        assert read_vectors(tmp_path / "words.vec", VOCABULARY).lines == 1
    except ValueError as error:
        assert ", line " in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (binary(ROWS)[:-4], "vector 3: expected a word and 2 values, got the end of the file; it is cut off"),
        (binary(ROWS) + b"abc", "vector 4: expected a word and 2 values, got the end of the file; it is cut off"),
        (
            binary(ROWS) + bytes(5000),
            "vector 4: expected words of less than 4,096 bytes, got a longer one",
        ),
        (binary([*ROWS, ("物流", [1.0, np.nan])]), "vector 4: expected finite numbers after '物流', got NaN or"),
        (binary([*ROWS, ("物流", [1.0, -np.inf])]), "vector 4: expected finite numbers after '物流', got NaN or"),
        (gzip.compress(binary(ROWS * 99), mtime=0)[:-9], "the file is cut off"),
        (
            b"\xba\x16\x4f\x2f\x0c\0\0\0" + bytes(99),
            "expected word vectors, got a model of fastText; give its .vec",
        ),
    ],
)
def test_damage_is_refused_with_the_number_of_the_vector(tmp_path, content, message):
    with pytest.raises(ValueError, match=f"words.bin.*{message}"):
        read(tmp_path, content)


def test_a_word_without_end_is_refused_before_it_fills_memory(tmp_path):
    path = tmp_path / "words.bin.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(binary(ROWS))
        for _ in range(40):
            file.write(b"a" * (1 << 20))
    tracemalloc.start()
    with pytest.raises(ValueError, match="vector 4: expected words of less than 4,096 bytes"):
        read_vectors(path, VOCABULARY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_space_in_a_word_is_noticed_where_line_breaks_tell(tmp_path):
    with pytest.raises(ValueError, match=r"vector 2: expected a line break behind the values.*a space in a word"):
        read(tmp_path, binary([("新", [1.0, 1.0]), ("好 物流", [2.0, 2.0]), ("差", [3.0, 3.0])]))


def test_the_dim_may_be_asked_for(tmp_path):
    assert read(tmp_path, binary(ROWS), dim=2).dim == 2
    with pytest.raises(ValueError, match="expected vectors of dim 3, got dim 2"):
        read(tmp_path, binary(ROWS), dim=3)


@pytest.mark.parametrize("count", [2, 4, 10**17])
def test_a_header_with_another_count_is_warned_of(tmp_path, count):
    content = b"%d 2\n" % count + binary(ROWS).split(b"\n", 1)[1]
    with pytest.warns(UserWarning, match=f"the header says {count:,} vectors, the file has 3"):
        assert len(read(tmp_path, content).rows) == 2


def test_memory_is_that_of_the_rows_kept_and_progress_adds_up_to_the_size(tmp_path):
    values = np.random.default_rng(0).standard_normal((6000, 300)).astype("<f4")
    content = binary([*((f"词{row}", value) for row, value in enumerate(values)), ("差", values[7])], dim=300)
    path = tmp_path / "words.bin"
    path.write_bytes(content)  # 7 MB
    done: list[int] = []
    tracemalloc.start()
    vectors = read_vectors(path, VOCABULARY, progress=done.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert vectors.values.tolist() == [values[7].tolist()]
    assert peak < 4_000_000
    assert sum(done) == len(content)
    assert len(done) > 3


words = st.sampled_from(["好", "差", "物流", "新", "x", "0.1"])
rows = st.lists(
    st.tuples(words, st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4)),
    min_size=1,
    max_size=8,
)


@given(rows, st.sampled_from([b"", b"\n"]))
def test_whatever_the_values_are_they_come_back(tmp_path_factory, rows, end):
    rows = [("a", [0.0] * 4), *rows]  # bytes of a text could be numbers, too
    vectors = read(tmp_path_factory.mktemp("binary"), binary(rows, end, 4))
    expected: dict[str, list[float]] = {}
    for word, values in rows:
        if word in VOCABULARY:
            expected.setdefault(word, values)
    assert found(vectors) == expected
    assert vectors.lines == len(rows)
