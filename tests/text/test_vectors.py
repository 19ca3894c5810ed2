"""textnn.text.vectors: which lines are kept, how words with spaces are told from values, what is refused and where."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import pickle
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textnn.text import Vocabulary
from textnn.text.vectors import Vectors, read_vectors

VOCABULARY = Vocabulary.build([["好", "差", "New York", "物流", "版本 2", "0.1"]])
LINES = b"\xe5\xa5\xbd 0.1 -2 3e-1\n\xe4\xb8\x8d 1 1 1\n\xe5\xb7\xae 4 5 6\n"  # 好, 不, 差


def read(tmp_path: Path, content: bytes | str, vocabulary: Vocabulary = VOCABULARY, **options) -> Vectors:
    path = tmp_path / "words.vec"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_vectors(path, vocabulary, **options)


def found(vectors: Vectors, vocabulary: Vocabulary = VOCABULARY) -> dict[str, list[float]]:
    return dict(zip(vocabulary.decode(vectors.rows.tolist()), vectors.values.tolist(), strict=True))


# what is read


@pytest.mark.parametrize("header", [b"", b"3 3\n", b"3\t3\r\n", b"\xef\xbb\xbf3 3\n", b"\xef\xbb\xbf"])
def test_the_rows_of_the_vocabulary_are_kept(tmp_path, header):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = read(tmp_path, header + LINES)
    assert vectors.rows.dtype == torch.int64
    assert vectors.values.dtype == torch.float32
    assert vectors.rows.tolist() == [VOCABULARY.id("好"), VOCABULARY.id("差")]
    assert torch.equal(vectors.values, torch.tensor([[0.1, -2.0, 0.3], [4.0, 5.0, 6.0]]))
    assert (vectors.dim, vectors.lines, vectors.wanted, vectors.duplicates, vectors.undecodable) == (3, 3, 6, 0, 0)
    assert vectors.coverage == 2 / 6


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b" \n"),  # as fastText writes
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b" ", b"\t"),
        lambda text: text.replace(b" ", b"  "),
        lambda text: text.removesuffix(b"\n"),
        lambda text: text + b"\n \n",
    ],
    ids=["trailing space", "CRLF", "tabs", "two spaces", "no last line break", "blank lines at the end"],
)
def test_lines_may_be_written_in_several_ways(tmp_path, change):
    assert list(found(read(tmp_path, change(LINES)))) == ["好", "差"]


def archive(content: bytes, names=("words.vec",), method=zipfile.ZIP_DEFLATED) -> bytes:
    import io

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as written:
        written.writestr("folder/", b"")
        for name in names:
            written.writestr(name, content)
    return file.getvalue()


COMPRESSIONS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zip": archive}


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_compressed_files_are_known_by_their_first_bytes(tmp_path, compress):
    assert list(found(read(tmp_path, compress(LINES)))) == ["好", "差"]


def test_words_may_have_spaces(tmp_path):
    text = "New York 1 2\nNew 3 4\nYork 5 6\n版本 2 7 8\nNew Order 9 9\n"
    assert found(read(tmp_path, "5 2\n" + text)) == {"New York": [1, 2], "版本 2": [7, 8]}
    # Without a header the first line tells how many values there are.
    assert found(read(tmp_path, text)) == {"New York": [1, 2], "版本 2": [7, 8]}


def test_a_word_that_is_a_space_is_no_wanted_one(tmp_path):
    assert found(read(tmp_path, "3 2\n 0.1 0.2\n0.1 3 4\n  5 6\n")) == {"0.1": [3, 4]}


def test_the_first_of_equal_words_counts(tmp_path):
    vectors = read(tmp_path, "好 1 2\n新 0 0\n新 1 1\n好 3 4\n好 5 6\n")
    assert found(vectors) == {"好": [1, 2]}
    assert (vectors.duplicates, vectors.lines) == (2, 5)


def test_words_that_are_not_utf8_are_left_out_and_counted(tmp_path):
    vectors = read(tmp_path, b"3 2\n\xe5\xa5 1 2\n" + "好 3 4\n差 5 6\n".encode())
    assert found(vectors) == {"好": [3, 4], "差": [5, 6]}
    assert vectors.undecodable == 1


def test_special_tokens_and_lone_surrogates_are_not_looked_for(tmp_path):
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "\ud800", "?", "好"])
    vectors = read(tmp_path, "[PAD] 1\n[UNK] 2\n? 3\n", vocabulary)
    assert found(vectors, vocabulary) == {"?": [3]}
    assert vectors.wanted == 3


def test_nothing_found_is_an_empty_table(tmp_path):
    vectors = read(tmp_path, "新 1 2\n")
    assert vectors.rows.shape == (0,)
    assert vectors.values.shape == (0, 2)
    assert (vectors.rows.dtype, vectors.values.dtype) == (torch.int64, torch.float32)
    assert read(tmp_path, "新 1 2\n", Vocabulary.build([])).coverage == 0


def test_values_are_those_that_numpy_reads(tmp_path):
    table = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
    words = [f"词{i}" for i in range(50)]
    text = "".join(f"{w} {' '.join(f'{v:.9g}' for v in row)}\n" for w, row in zip(words, table, strict=True))
    vectors = read(tmp_path, text, Vocabulary.build([words[::-1]]))
    assert np.array_equal(vectors.values.numpy(), table)


# what is refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected word vectors, but there are none; the file is empty$"),
        (b"\n\n", r"expected word vectors, but there are none; the file is empty$"),
        (b"3 2\n", r"there are none below the header"),
        (b"3 0\n", r", line 1: .*got no values \(dim 0\)"),
        ("好\n差\n".encode(), r", line 1: .*got no values \(dim 0\)"),
        ("好 1 2\n差 1\n新 1 2\n".encode(), r", line 2: expected a word and 2 values, got '差' and 1$"),
        ("好 1 2\n新\n差 1 2\n".encode(), r", line 2: expected a word and 2 values, got '新' and 0$"),
        ("1 2\n好 0.125\n".encode(), r", line 2: expected a word and 2 values, got '好' and 1$"),
        ("1 2\n好 0.1251 1 2\n".encode(), r", line 2: expected a word and 2 values, got '好' and 3$"),
        ("1 2\n好 -1 1 2\n".encode(), r", line 2: expected a word and 2 values, got '好' and 3$"),
        ("好 1 2\n差 1".encode(), r", line 2: .* got '差' and 1; the file is cut off$"),
        ("新 1 2\n好 x 2\n".encode(), r", line 2: expected finite numbers after '好', got 'x'"),
        ("新 1 2\n好 1 nan\n".encode(), r", line 2: expected finite numbers after '好', got 'nan'"),
        ("新 1 2\n好 -inf 1\n".encode(), r", line 2: expected finite numbers after '好', got '-inf'"),
        ("新 1 2\n好 1_0 1\n".encode(), r", line 2: expected finite numbers after '好', got '1_0'"),
        ("新 1 2\n好 1 1e39\n".encode(), r", line 2: expected numbers that float32 can hold after '好'"),
        ("好 1 2\n\n差 1 2\n".encode(), r", line 2: expected a word and its values, got a blank line"),
        ("好 1 2\n".encode("utf-16"), r", line 1: expected UTF-8 text, got UTF-16"),
        ("好 1 2\n差 1 2\n".encode("gb18030"), r"expected UTF-8 text, but 2 of 2 words up to line 2 are not"),
        (b"\xe5\xa5\xbd \0\x80\n", r", line 1: .* got no values \(dim 0\)"),
        (
            b"2 2\n\xe5\xb7\xae 1 2\n\xe5\xa5\xbd \0\x80\n",
            r", line 3: expected a word and 2.*; is the file in a binary",
        ),
    ],
)
def test_damage_is_refused_with_its_line(tmp_path, content, message):
    with pytest.raises(
        ValueError, match=f"words.vec{message}" if message.startswith(",") else f"words.vec: .*{message}"
    ):
        read(tmp_path, content)


def test_a_file_of_another_encoding_is_refused_early(tmp_path):
    text = "".join(f"词{i} 1 2\n" for i in range(5000)).encode("gb18030")
    with pytest.raises(ValueError, match="1,000 of 1,000 words up to line 1000"):
        read(tmp_path, text)


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_compressed_files_that_are_cut_off_are_refused(tmp_path, compress):
    content = compress(LINES * 1000)
    with pytest.raises(ValueError, match=r"words\.vec.*: cannot be read: "):
        read(tmp_path, content[: len(content) // 2])


def test_several_streams_of_xz_are_one_file(tmp_path):
    content = lzma.compress(LINES[:5]) + bytes(8) + lzma.compress(LINES[5:])
    assert list(found(read(tmp_path, content))) == ["好", "差"]


def test_a_file_may_not_ask_for_any_memory(tmp_path):
    """4 GB here, which unpacking would take before the first byte."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
    content = bytearray(lzma.compress(LINES, filters=filters))
    place = content.index(bytes([lzma.FILTER_LZMA2, 1]))
    content[place + 2] = 40
    header = slice(12, 12 + 4 * (content[12] + 1))
    content[header.stop - 4 : header.stop] = zlib.crc32(content[12 : header.stop - 4]).to_bytes(4, "little")
    with pytest.raises(ValueError, match=r"words\.vec: cannot be read: Memory usage limit"):
        read(tmp_path, bytes(content))
    with pytest.raises(ValueError, match="cannot be read: that compression method is not supported"):
        read(tmp_path, archive(LINES, method=zipfile.ZIP_LZMA))


@pytest.mark.parametrize(
    ("content", "what"),
    [(pickle.dumps({"好": [1.0]}), "a pickle, as gensim's"), (b"\x93NUMPY\x01\0", "an array of numpy")],
)
def test_what_is_often_taken_for_a_file_of_vectors_is_named(tmp_path, content, what):
    with pytest.raises(ValueError, match=f"words.vec: expected word vectors, got {what}"):
        read(tmp_path, content)


def test_damage_within_a_compressed_file_is_refused(tmp_path):
    content = bytearray(archive(LINES, method=zipfile.ZIP_STORED))
    content[content.index(b"0.1")] ^= 1
    with pytest.raises(ValueError, match="cannot be read: Bad CRC-32"):
        read(tmp_path, bytes(content))


def test_an_archive_of_a_later_version_is_refused(tmp_path):
    content = bytearray(archive(LINES))
    content[content.rindex(b"PK\1\2") + 6] = 200  # the version that is needed to extract
    with pytest.raises(ValueError, match=r"words\.vec: cannot be read: zip file version 20"):
        read(tmp_path, bytes(content))


def test_an_archive_has_one_file(tmp_path):
    with pytest.raises(ValueError, match=r"expected a ZIP archive with one file, got 2: a\.vec, b\.vec"):
        read(tmp_path, archive(LINES, ["a.vec", "b.vec"]))
    assert len(read(tmp_path, archive(LINES, ["a.vec", "__MACOSX/._a.vec"])).rows) == 2


def test_files_that_cannot_be_opened_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.vec: cannot be read: No such file"):
        read_vectors(tmp_path / "none.vec", VOCABULARY)
    with pytest.raises(ValueError, match="expected a regular file, got a directory"):
        read_vectors(tmp_path, VOCABULARY)


def test_the_dim_may_be_asked_for(tmp_path):
    assert read(tmp_path, LINES, dim=3).dim == 3
    for header in (b"", b"3 3\n"):
        with pytest.raises(ValueError, match="line 1: expected vectors of dim 4, got dim 3"):
            read(tmp_path, header + LINES, dim=4)
    with pytest.raises(ValueError, match="dim: expected at least 1, got 0"):
        read(tmp_path, LINES, dim=0)


@pytest.mark.parametrize("count", [2, 4, 0, 10**17])
def test_a_header_with_another_count_is_warned_of(tmp_path, count):
    (tmp_path / "words.vec").write_bytes(f"{count} 3\n".encode() + LINES)
    with pytest.warns(UserWarning, match=f"the header says {count:,} vectors, the file has 3") as warned:
        vectors = read_vectors(tmp_path / "words.vec", VOCABULARY)
    assert warned[0].filename == __file__
    assert len(vectors.rows) == 2


# memory, progress


def test_memory_is_that_of_the_rows_kept(tmp_path):
    with pytest.raises(ValueError, match="expected vectors of dim 65,536 at most, got dim 100,000,000,000,000"):
        read(tmp_path, b"100000000000000 100000000000000\n" + LINES)
    line = " ".join(["0.12345"] * 300)
    text = "".join(f"词{i} {line}\n" for i in range(3000))  # 7 MB
    (tmp_path / "words.vec").write_text(text, encoding="utf-8")
    del text
    tracemalloc.start()
    vectors = read_vectors(tmp_path / "words.vec", Vocabulary.build([["词1", "词2999"]]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(vectors.rows) == 2
    assert peak < 500_000


def test_a_line_without_end_is_refused_before_it_fills_memory(tmp_path):
    path = tmp_path / "words.vec.gz"
    with gzip.open(path, "wb", 1) as file:
        for _ in range(40):
            file.write(b"0 " * (1 << 20))
    tracemalloc.start()
    with pytest.raises(ValueError, match="line 1: expected lines of at most 2,097,152 bytes"):
        read_vectors(path, VOCABULARY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("compress", [bytes, *COMPRESSIONS.values()], ids=["plain", *COMPRESSIONS])
def test_progress_adds_up_to_the_size_of_the_file(tmp_path, compress):
    content = compress("".join(f"词{i} {i} 2\n" for i in range(20_000)).encode())
    done: list[int] = []
    read(tmp_path, content, progress=done.append)
    assert sum(done) == len(content)
    assert min(done) > 0
    assert len(done) > 1 or compress is not bytes


# anything at all


def read_or_refuse(folder: Path, content: bytes) -> Vectors | None:
    """Read without warnings; any other error than one that names the file goes on."""
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore")
        try:
            return read(folder, content)
        except ValueError as error:
            if "words.vec" not in str(error):
                raise AssertionError(f"{content!r}: {error}") from error
            raise
    return None


words = st.sampled_from(["好", "差", "New York", "物流", "版本 2", "0.1", "新", "New", "York", "7", "x y z"])
rows = st.lists(st.tuples(words, st.lists(st.floats(-4, 4, width=16), min_size=3, max_size=3)), min_size=1, max_size=8)


@given(rows, st.booleans())
def test_the_first_row_of_each_wanted_word_is_kept(tmp_path_factory, rows, trailing):
    lines = "".join(f"{word} {' '.join(map(repr, values))}{' ' * trailing}\n" for word, values in rows)
    vectors = read(tmp_path_factory.mktemp("fuzz"), f"{len(rows)} 3\n{lines}")
    expected: dict[str, list[float]] = {}
    for word, values in rows:
        if word in VOCABULARY:
            expected.setdefault(word, values)
    assert found(vectors) == expected
    assert list(found(vectors)) == list(expected)
    assert vectors.lines == len(rows)
    assert vectors.duplicates == sum(word in VOCABULARY for word, _ in rows) - len(expected)


pieces = st.sampled_from(
    [
        "好".encode(),
        b"New York",
        b" ",
        b"  ",
        b"\n",
        b"\r\n",
        b"\t",
        b"0.5",
        b"-1",
        b"3",
        b"2 2\n",
        b"\xe5",
        b"\0",
        b"nan",
    ]
)


@given(st.one_of(st.binary(max_size=60), st.lists(pieces, max_size=14).map(b"".join)))
def test_whatever_the_bytes_are_the_answer_is_a_table_or_an_error_with_the_file(tmp_path_factory, content):
    vectors = read_or_refuse(tmp_path_factory.mktemp("fuzz"), content)
    if vectors is not None:
        assert vectors.values.shape == (len(vectors.rows), vectors.dim)
        assert vectors.values.isfinite().all()
        assert vectors.dim > 0
        assert len(set(vectors.rows.tolist())) == len(vectors.rows)
        assert all(1 < row < len(VOCABULARY) for row in vectors.rows.tolist())


@given(st.sampled_from(list(COMPRESSIONS)), st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_in_a_compressed_file_raises_nothing_else(tmp_path_factory, method, place, change):
    content = bytearray(COMPRESSIONS[method](LINES))
    content[place % len(content)] ^= change
    read_or_refuse(tmp_path_factory.mktemp("fuzz"), bytes(content))
