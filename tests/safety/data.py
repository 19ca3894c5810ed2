"""Every way that a data file can be bad: corpora, word vectors, word lists, checkpoints, outputs to resume."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textnn.text import Vocabulary, make_tokenizer, read_corpus, read_vectors
from textnn.training.checkpoint import FILE, Checkpoint

Case = tuple[str, Callable[[Path], object]]


def corpus(content: bytes | str, name: str = "reviews.csv", **options: Any) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        read_corpus(folder / name, **options)

    return read


def jsonl(line: str) -> Callable[[Path], object]:
    return corpus(line + "\n", "reviews.jsonl")


def vectors(content: bytes | Callable[[Path], object], **options: Any) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        file = folder / "words.vec"
        file.write_bytes(content) if isinstance(content, bytes) else content(file)
        read_vectors(file, Vocabulary(["[PAD]", "[UNK]", "好"]), **options)

    return read


def dictionary(content: bytes | Callable[[Path], object]) -> Callable[[Path], object]:
    def read(folder: Path) -> None:
        file = folder / "words.txt"
        file.write_bytes(content) if isinstance(content, bytes) else content(file)
        make_tokenizer("jieba", user_dictionary=file)

    return read


def _two_files(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.vec", "a 1\n")
        archive.writestr("b\x1b[2J.vec", "b 1\n")


CORPORA: list[Case] = [
    ("nothing is there", lambda folder: read_corpus(folder / "reviews.csv")),
    ("a directory", lambda folder: ((folder / "reviews").mkdir(), read_corpus(folder / "reviews"))),
    ("an empty file", corpus(b"")),
    ("blank lines only", corpus(b"\n\n \n")),
    ("a header only", corpus("label,text\n")),
    ("no row with a text and a label", corpus("label,text\n1,\n,好\n")),
    ("a ZIP archive", corpus(b"PK\x03\x04" + bytes(40))),
    ("a gzip archive", corpus(b"\x1f\x8b\x08\x00" + bytes(40))),
    ("a workbook", corpus(b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml")),
    ("Parquet", corpus(b"PAR1" + bytes(40))),
    ("a database", corpus(b"SQLite format 3\0" + bytes(40))),
    ("a web page", corpus(b"<!doctype html>\n<table>")),
    ("Western bytes", corpus("label,text\n1,Très bien\n".encode("cp1252"))),
    ("Korean bytes", corpus("label,text\n1,정말 좋은 제품입니다\n".encode("euc_kr"))),
    ("UTF-8 that is cut within a character", corpus("label,text\n1,很好\n".encode()[:-2] + b"\n")),
    ("a NUL byte", corpus(b"label,text\n1,a\0b\n")),
    ("a byte that is not UTF-8", corpus(b"label,text\n1," + "好".encode() * 9 + b"\xff\n")),
    ("an encoding that is not known", corpus("label,text\n1,a\n", encoding="klingon")),
    ("a format that is not known", corpus("label,text\n1,a\n", format="xml")),
    ("a line of 34 million characters", corpus(b"label,text\n1," + b"a" * (1 << 25) + b"\n")),
    ("100,000 columns", corpus(b"," * 100_000 + b"\n")),
    ("a quote that is never closed", corpus('label,text\n1,"好\n0,差\n')),
    ("text behind a closing quote", corpus('label,text\n1,"好"x\n')),
    ("a field too many", corpus("label,text\n1,a,b\n")),
    ("the column of texts twice", corpus("label,text,text\n1,a,b\n")),
    ("a delimiter that is none", corpus("text,label\na,1\n", delimiter=",,")),
    ("no column of texts", corpus("label,summary\n1,a\n")),
    ("a column that is not there", corpus("label,text\n1,a\n", text="review")),
    ("a column with control characters", corpus("label,\x1b[2Jx\n1,a\n", text="review")),
    ("neither a table nor JSON", corpus("just words\n", "reviews.txt")),
    ("a table of another name, and no column that is known", corpus("Headline,Cat\nJust words,1\n", "reviews.txt")),
    ("semicolons, and no name that is known", corpus("a;b\n1;x\n")),
    ("fastText's format, and a column", corpus("__label__1 a\n", "reviews.txt", text="text")),
    ("fastText's format, and no label", corpus("a\nb\n", "reviews.txt", format="fasttext")),
    ("more tabs than one", corpus("a\tb\t1\n", "reviews.txt", format="lecture")),
    ("JSON: no object", jsonl("[1, 2]")),
    ("JSON: damaged", jsonl('{"text": "a", "label": ')),
    ("JSON: a name twice", jsonl('{"text": "a", "text": "b", "label": 1}')),
    ("JSON: nested without end", jsonl('{"text": "a", "label": 1, "x": ' + "[" * 10**5 + "]" * 10**5 + "}")),
    ("JSON: a text that is none", jsonl('{"text": ["a"], "label": 1}')),
    ("JSON: a label that is none", jsonl('{"text": "a", "label": {"b": 1}}')),
    ("JSON: NaN as a label", jsonl('{"text": "a", "label": NaN}')),
    ("JSON: half of a surrogate pair", jsonl('{"text": "\\ud800", "label": 1}')),
    ("JSON: an array that is cut off", corpus('[{"text": "a", "label": 1},', "reviews.json")),
    ("JSON: an object without rows", corpus('{"answer":\n3}', "reviews.json")),
    ("JSON: a value missing", corpus('{"text": "a", "label": 1}\n{"review": "b", "label": 1}\n', "reviews.jsonl")),
]

VECTORS: list[Case] = [
    ("nothing is there", lambda folder: read_vectors(folder / "words.vec", Vocabulary(["[PAD]", "[UNK]"]))),
    ("a directory", vectors(lambda file: file.mkdir())),
    ("a pipe", vectors(os.mkfifo)),
    ("an empty file", vectors(b"")),
    ("UTF-16", vectors("好 1 2\n".encode("utf-16"))),
    ("binary, cut off", vectors(b"2 3\n\xe5\xa5\xbd \0\0\x80\x3f\0\n")),
    ("binary, NaN", vectors(b"1 1\n\xe5\xa5\xbd \0\0\xc0\x7f\n")),
    ("binary, a word without end", vectors(b"1 1\na \0\0\x80\x3f" + b"a" * 9999)),
    ("a model of fastText", vectors(b"\xba\x16\x4f\x2f\x0c\0\0\0")),
    ("another binary format", vectors(b"2 2\na 1 2\nb \0\x80\n")),
    ("a line cut off", vectors("2 3\n差 1 2 3\n好 1 2".encode())),
    ("a value that is no number", vectors("1 3\n好 1 x 3\n".encode())),
    ("NaN", vectors("好 1 nan 3\n".encode())),
    ("a value that float32 cannot hold", vectors("好 1 1e300 3\n".encode())),
    ("another dim than asked for", vectors("好 1 2\n".encode(), dim=3)),
    ("a dim without measure", vectors(b"1 999999999999\na 1\n")),
    ("a line without end", vectors(lambda file: file.write_bytes(gzip.compress(b"1 " * (1 << 22))))),
    ("gzip, cut off", vectors(lambda file: file.write_bytes(gzip.compress(b"a 1 2\n" * 999)[:-20]))),
    ("ZIP of two files", vectors(_two_files)),
    ("ZIP, damaged", vectors(b"PK\x03\x04" + bytes(99))),
]

WORDS: list[Case] = [
    ("nothing is there", lambda folder: make_tokenizer("jieba", user_dictionary=folder / "words.txt")),
    ("a directory", dictionary(lambda file: file.mkdir())),
    ("a pipe", dictionary(os.mkfifo)),
    ("no UTF-8", dictionary("好\n".encode("gbk"))),
    ("a word of a million characters", dictionary(b"a" * 10**6)),
    ("a count of 0", dictionary("好 0\n".encode())),
    ("words with spaces", dictionary(b"New York 5 n\n")),
]


def checkpoint(change: Callable[[Path], object]) -> Callable[[Path], object]:
    """Go on from a checkpoint that ``change`` has been at; its path is passed on."""

    def read(folder: Path) -> None:
        import torch

        keep = Checkpoint(folder, resume=True)
        keep.write({"a": torch.zeros(3)}, {"position": [1, 0, 0]}, {"architecture": "'textcnn'"})
        change(folder / FILE)
        keep.read({"architecture": "'textcnn'"})

    return read


def bytes_changed(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return checkpoint(lambda file: file.write_bytes(change(file.read_bytes())))


def _relink(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _other_training(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content.replace(b"'textcnn'", b"'bi-lstm'"))


CHECKPOINTS: list[Case] = [
    ("cut off", bytes_changed(lambda content: content[:-5])),
    ("a byte changed", bytes_changed(lambda content: content[:-1] + b"\x01")),
    ("no checkpoint", bytes_changed(lambda content: content.replace(b"textnn-checkpoint", b"other-checkpoints"))),
    ("of a later format", bytes_changed(lambda content: content.replace(b'"version":"1"', b'"version":"2"'))),
    ("of another training", checkpoint(_other_training)),
    ("a link", checkpoint(_relink)),
    ("a pipe", checkpoint(_pipe)),
]


def output(change: Callable[[Path, Path], object], **settings: Any) -> Callable[[Path], object]:
    """Resume an interrupted output; ``change`` gets the paths of its rows and of its state."""

    def go_on(folder: Path) -> None:
        from _textnn_cli.partial import open_partial

        rows, state = folder / ".out.csv.partial", folder / ".out.csv.partial.json"
        rows.write_text("line,text\n1,a\n")
        stored = {"version": 1, "settings": {"the model": "a"}, "texts": 1, "empty": 0, "size": 14, "checksum": "0"}
        state.write_text(json.dumps(stored))
        change(rows, state)
        with open_partial(str(folder / "out.csv"), {"the model": "a", **settings}, True, True) as sink:
            sink.skip(iter(()), "reviews.csv")

    return go_on


def _replace(file: Path, make: Callable[[Path], object]) -> None:
    file.unlink()
    make(file)


def _held(rows: Path, state: Path) -> None:
    _KEPT_OPEN.append(rows.open("r+"))
    fcntl.flock(_KEPT_OPEN[-1], fcntl.LOCK_EX)


_KEPT_OPEN: list[Any] = []

OUTPUTS: list[Case] = [
    ("the state is damaged", output(lambda rows, state: state.write_text("[" * 10**6))),
    ("the state is a pipe", output(lambda rows, state: _replace(state, os.mkfifo))),
    ("the rows are fewer than the state says", output(lambda rows, state: rows.write_text("line"))),
    ("the rows are a link", output(lambda rows, state: _replace(rows, lambda file: file.symlink_to("/etc/passwd")))),
    ("the rows are a pipe", output(lambda rows, state: _replace(rows, os.mkfifo))),
    ("another process is at work", output(_held)),
    ("started with another model", output(lambda rows, state: None, **{"the model": "b"})),
    (
        "started with invalid settings",
        output(
            lambda rows, state: state.write_text(
                state.read_text().replace('"the model": "a"', '"\\u001b[2J": 1, "the model": "a"')
            )
        ),
    ),
    ("the texts are others", output(lambda rows, state: None)),
]
