"""Tensors from a safetensors file: those that its own library finds, each byte read once, damage refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from textnn.tensor_file import read_header, read_tensors

TENSORS = {
    "float32": torch.randn(3, 5),
    "float64": torch.randn(2).double(),
    "float16": torch.randn(7).half(),
    "bfloat16": torch.randn(2, 2).bfloat16(),
    "int64": torch.tensor([-1, 2**40]),
    "int32": torch.arange(3, dtype=torch.int32),
    "int16": torch.arange(3, dtype=torch.int16),
    "int8": torch.tensor([-128], dtype=torch.int8),
    "uint8": torch.tensor([255], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "scalar": torch.tensor(1.5),
    "empty": torch.empty(0, 4),
    "名": torch.zeros(1),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(TENSORS, tmp_path / "tensors", {"format": "pt"})
    return tmp_path / "tensors"


def read(file: Path, digest: Callable[[Any], object] | None = None) -> dict[str, torch.Tensor]:
    with file.open("rb") as stream:
        return read_tensors(stream, read_header(stream, digest), digest)


def test_tensors_are_those_of_the_formats_library(file: Path) -> None:
    found, expected = read(file), load_file(file)
    assert set(found) == set(expected) == set(TENSORS)
    for name, tensor in found.items():
        assert tensor.dtype == expected[name].dtype, name
        assert tensor.shape == expected[name].shape, name
        assert torch.equal(tensor, expected[name]), name


def test_the_digest_is_that_of_the_file(file: Path) -> None:
    digest = hashlib.sha256()
    read(file, digest.update)
    assert digest.hexdigest() == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_memory_is_the_tensors_own(file: Path) -> None:
    """What happens to the file afterwards does not matter."""
    found = read(file)
    file.write_bytes(b"")
    assert torch.equal(found["float32"], TENSORS["float32"])
    found["float32"].zero_()


def damaged(file: Path, change: Callable[[dict[str, Any]], object], end: bytes = b"") -> None:
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    written = json.dumps(header).encode()
    file.write_bytes(len(written).to_bytes(8, "little") + written + content[8 + length :] + end)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["float32"].update(shape=[3, 6]), "float32: expected 72 bytes by its shape, got 60"),
        (lambda h: h["float32"].update(shape=[2**40] * 8), "by its shape, got 60"),
        (lambda h: h["empty"].update(shape=[0, 2**40, 2**40]), "empty: expected sizes whose product is at most"),
        (lambda h: h["empty"].update(shape=[2**40, 2**23, 0]), "empty: expected sizes whose product is at most"),
        (lambda h: h["float32"].update(shape=[-3, -5]), "expected a shape of at most 8 sizes"),
        (lambda h: h["float32"].update(shape=[3.0, 5.0]), "expected a shape of at most 8 sizes"),
        (lambda h: h["float32"].update(shape=[True] * 15), "expected a shape of at most 8 sizes"),
        (lambda h: h["float32"].update(shape="35"), "expected a shape of at most 8 sizes"),
        (lambda h: h["float32"].update(dtype="F8"), "expected one of the types"),
        (lambda h: h["float32"].update(dtype=["F32"]), "expected one of the types"),
        (lambda h: h["float32"].update(data_offsets=[60, 0]), "expected first and last byte"),
        (lambda h: h["float32"].update(data_offsets=[0, 2**63]), "expected first and last byte"),
        (lambda h: h["float32"].update(data_offsets=[0]), "expected first and last byte"),
        (lambda h: h["float32"].update(more=1), "expected first and last byte"),
        (lambda h: h.update({"\ud800": h.pop("float32")}), "got half of a surrogate pair"),
        (lambda h: h.update(__metadata__={"a": "\udfff"}), "got half of a surrogate pair"),
        (lambda h: h.update(float32=1), "expected first and last byte"),
        (lambda h: h.update(copy=h["float32"]), "expected bytes from"),
        (lambda h: h.pop("float32"), "expected bytes from|bytes by its header"),
        (lambda h: h.update(__metadata__={"a": 1}), "expected metadata that are strings"),
        (lambda h: h.update(__metadata__=[]), "expected metadata that are strings"),
        (lambda h: h.update({"\x1b[2J" + "x" * 10**5: 1}), r"\\x1b\[2Jx+: expected first and last byte"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(change: Any, message: str, file: Path) -> None:
    damaged(file, change)
    with pytest.raises(ValueError, match=message) as error:
        read(file)
    assert str(error.value).startswith("expected")
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got 0 bytes that begin otherwise"),
        (b"\x80\x04\x95", "got 3 bytes that begin otherwise"),
        (b"\xff" * 64, "got 64 bytes that begin otherwise"),
        (b"\2" + b"\0" * 7 + b"[]", "damaged header .expected an object"),
        (b"\2" + b"\0" * 7 + b"{}x", "expected 10 bytes by its header, got 11"),
    ],
)
def test_another_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "file")


def test_a_header_is_not_read_beyond_its_limit(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.write((1 << 30).to_bytes(8, "little"))
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="expected a header of at most 16,777,216 bytes, got 1,073,741,824"):
        read(tmp_path / "file")


def test_a_file_that_is_cut_between_header_and_tensors_is_an_error_and_no_crash(file: Path) -> None:
    with file.open("rb", buffering=0) as stream:
        header = read_header(stream)
        with file.open("r+b") as other:
            other.truncate(stream.tell())
        with pytest.raises(ValueError, match="got the end of the file"):
            read_tensors(stream, header)


def test_truth_values_are_0_and_1(file: Path) -> None:
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    start = json.loads(content[8 : 8 + length])["bool"]["data_offsets"][0] + 8 + length
    file.write_bytes(content[:start] + b"\x02" + content[start + 1 :])
    with pytest.raises(ValueError, match="bool: expected truth values of 0 and 1"):
        read(file)


def test_an_empty_tensor_may_have_any_other_sizes_that_torch_can_count(file: Path) -> None:
    damaged(file, lambda header: header["empty"].update(shape=[2**40, 2**22, 0]))
    assert read(file)["empty"].shape == (2**40, 2**22, 0)


def test_memory_that_is_not_there_is_an_error_that_says_how_much(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "empty", fail)
    with pytest.raises(ValueError, match="int64: expected memory for 16 bytes, got none"):
        read(file)
