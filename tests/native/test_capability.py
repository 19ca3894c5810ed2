"""The instruction set can be chosen, by name and by environment variable, and the kernels really change."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import build
import numpy as np
import pytest
from conftest import FLAVOUR

NAMES = ("base", "dotprod", "avx2", "avx512", "avx512_bf16", "amx_bf16")
LISTED = f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"


def supported(native: Any) -> list[str]:
    before, names = native.capability(), []
    for name in NAMES:
        try:
            native.set_capability(name)
        except RuntimeError:
            continue
        names.append(name)
    native.set_capability(before)
    return names


def in_a_new_process(value: str | None, code: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if name != "TEXTNN_CPU_CAPABILITY"}
    if value is not None:
        environment["TEXTNN_CPU_CAPABILITY"] = value
    code = f"import build; native = build.load(build.module_path({FLAVOUR!r})); " + code
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=build.HERE, env=environment, capture_output=True, text=True, check=False)


def test_the_chosen_set_is_the_one_in_use(native: Any, instruction_set: str) -> None:
    assert native.capability() == instruction_set


@pytest.mark.parametrize("name", ["", "avx", "AVX2", "sse2"])
def test_unknown_names_are_an_error(native: Any, name: str) -> None:
    before = native.capability()
    with pytest.raises(RuntimeError, match=f"must be {LISTED}, got '{name}'"):
        native.set_capability(name)
    assert native.capability() == before


def test_the_best_set_is_the_default(native: Any) -> None:
    for value in (None, ""):
        done = in_a_new_process(value, "print(native.capability())")
        assert done.stdout.strip() == supported(native)[-1], done.stderr


def test_the_environment_variable_chooses(native: Any) -> None:
    for name in supported(native):
        done = in_a_new_process(name, "print(native.capability())")
        assert done.stdout.strip() == name, done.stderr
    done = in_a_new_process("sse9", "native.capability()")
    assert f"TEXTNN_CPU_CAPABILITY must be {LISTED}, got 'sse9'" in done.stderr


def test_every_set_has_code_of_its_own(native: Any) -> None:
    # Without fused multiply-add the roundings are others.
    if "avx2" not in supported(native):
        pytest.skip("this CPU has one instruction set only")
    before, x, results = native.capability(), np.linspace(-10, 10, 99_999, dtype=np.float32), []
    for name in ("base", "avx2"):
        native.set_capability(name)
        y = np.empty_like(x)
        native.vector_math("exp", {"x": x, "y": y})
        results.append(y)
    native.set_capability(before)
    assert (results[0] != results[1]).any()


def test_a_share_of_a_cores_own_cache(native: Any) -> None:
    KiB = 1024
    assert native.cache_share(1024 * KiB) == 768 * KiB
    assert native.cache_share(2048 * KiB) == 1536 * KiB
    assert native.cache_share(0) == native.cache_share(-1) == 768 * KiB, "a system that does not tell"
    assert native.cache_share(64 * KiB) == 192 * KiB
    assert native.cache_share(32 * 1024 * KiB) == 3072 * KiB, "several cores share such a one"
    assert 192 * KiB <= native.core_cache_bytes() <= 3072 * KiB


@pytest.mark.parametrize(("size", "bytes_"), [("1024K", 1 << 20), ("2M", 2 << 20), ("65536", 65536), ("", 0)])
def test_the_size_of_a_cache_as_linux_describes_it(native: Any, tmp_path: Path, size: str, bytes_: int) -> None:
    caches = [("1", "Data", "32K"), ("1", "Instruction", "48K"), ("2", "Unified", size), ("3", "Unified", "32768K")]
    for i, described in enumerate(caches):
        for name, value in zip(("level", "type", "size"), described, strict=True):
            (tmp_path / f"index{i}").mkdir(exist_ok=True)
            (tmp_path / f"index{i}" / name).write_text(value + "\n")
    assert native.described_cache(str(tmp_path)) == bytes_


def test_a_system_that_describes_no_cache(native: Any, tmp_path: Path) -> None:
    assert native.described_cache(str(tmp_path / "none")) == 0


@pytest.mark.skipif(platform.machine() != "aarch64", reason="about processors of ARM")
def test_byte_products_are_a_set_of_their_own(native: Any) -> None:
    AT_HWCAP, ASIMDDP = 16, 1 << 20
    assert bool(ctypes.CDLL(None).getauxval(AT_HWCAP) & ASIMDDP) == ("dotprod" in supported(native))
