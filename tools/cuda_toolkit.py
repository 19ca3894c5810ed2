"""The CUDA toolkit, and what the kernels are compiled for: one place for setup.py and for the check of the kernels."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

# Machine code for each, and for later ones PTX of the last, which a driver compiles.
ARCHITECTURES = ("7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0")
DEFAULT = Path("/usr/local/cuda")
NVCC_FLAGS = [
    "-O3",
    "-std=c++17",
    "-Xcompiler=-fvisibility=hidden",
    "--diag-suppress=177",  # "never referenced", on an architecture that a part of a kernel is not meant for
]


def find_toolkit() -> Path | None:
    """Return the folder of the toolkit, None where there is none.

    CUDA_HOME comes first, nvcc on the PATH last: that may be a wrapper, whose folder holds no headers.
    """
    nvcc = shutil.which("nvcc")
    homes = [os.environ.get("CUDA_HOME"), DEFAULT, nvcc and Path(nvcc).resolve().parent.parent]
    for home in (Path(home) for home in homes if home):
        if (home / "include/cuda_runtime.h").exists() and (home / "bin/nvcc").exists():
            return home
    return None


def toolkit_version(toolkit: Path) -> tuple[int, int]:
    """Return the version of a toolkit's headers, such as (13, 0)."""
    match = re.search(r"#define\s+CUDA_VERSION\s+(\d+)", (toolkit / "include/cuda.h").read_text())
    if match is None:
        raise ValueError(f"{toolkit}/include/cuda.h names no CUDA_VERSION")
    return int(match[1]) // 1000, int(match[1]) % 1000 // 10


def torch_arch_list() -> str:
    """Return the architectures as torch's TORCH_CUDA_ARCH_LIST."""
    return ";".join(ARCHITECTURES) + "+PTX"


def architecture_flags() -> list[str]:
    """Return the same as flags of nvcc."""
    numbers = [architecture.replace(".", "") for architecture in ARCHITECTURES]
    codes = [(number, f"sm_{number}") for number in numbers] + [(numbers[-1], f"compute_{numbers[-1]}")]
    return [f"-gencode=arch=compute_{number},code={code}" for number, code in codes]
