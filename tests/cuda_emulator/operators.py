"""The operators' CUDA kernels, compiled for the emulator and put in the place of the CPU's.

``pytest --device cuda-emulated`` loads them: tensors stay in the memory of the CPU, and everything from
textnn.functional on is what runs on a GPU. ``TEXTNN_CUDA_FLAVOUR`` names the flavour (build.py).
"""

from __future__ import annotations

import ctypes
import os
import re
import sysconfig
from pathlib import Path

import torch
from torch.utils import cpp_extension

from textnn import backends

from . import build

ROOT = Path(__file__).resolve().parents[2]
NAME = "textnn_cuda"
FLAVOUR = os.environ.get("TEXTNN_CUDA_FLAVOUR", "plain")


def kernels() -> list[Path]:
    """The .cu files of the package, those first that take longest."""
    return sorted((ROOT / "csrc/cuda").glob("*.cu"), key=lambda path: ("persistent" not in path.stem, path.stem))


def sources() -> list[Path]:
    """The operators on CUDA tensors, and what they share with those on the CPU."""
    return [*sorted((ROOT / "csrc/ops/cuda").glob("*.cpp")), ROOT / "csrc/ops/ragged.cpp"]


def compile_operators(flavour: str = FLAVOUR) -> Path:
    """Bring the library up to date; RuntimeError where it cannot be built."""
    target = re.search(r'^MIN_TORCH = "(\w+)"', (ROOT / "setup.py").read_text(), re.MULTILINE)
    assert target is not None
    flags = [f"-DTORCH_TARGET_VERSION={target[1]}", "-DTEXTNN_CUDA_EMULATED=1"]
    includes = [*cpp_extension.include_paths(), sysconfig.get_path("include")]
    flags += [f"-isystem {path}" for path in includes]
    folders = cpp_extension.library_paths()
    libraries = [f"-L{folder} -Wl,-rpath,{folder}" for folder in folders] + ["-ltorch", "-ltorch_cpu", "-lc10"]
    return build.build(NAME, flavour, kernels(), sources(), flags, libraries)


def load(path: Path | None = None) -> ctypes.CDLL:
    """Compile, where no library is given, load, and let Python take the CPU for a CUDA device."""
    from textnn._registration import AUTOCAST, common

    os.environ.setdefault("CUEMU_SMS", "12")  # what the persistent LSTM needs for the widest layers of the tests
    path = path or compile_operators()
    torch.ops.load_library(path)
    backends.CUDA_DEVICES.add("cpu")
    for name in AUTOCAST:
        common.follow_autocast(name, "cpu")
    return ctypes.CDLL(str(path))


def emulate(library: ctypes.CDLL, stream: int = 0, sizes_on_device: bool = False) -> None:
    """Choose the current stream, and where lengths and offsets are said to be."""
    library.textnn_emulate(ctypes.c_void_p(stream), ctypes.c_int(sizes_on_device))
