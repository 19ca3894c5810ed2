"""The operators' CUDA kernels, compiled for the emulator and put in the place of the CPU's.

``pytest --device cuda-emulated`` loads them: tensors stay in the memory of the CPU, and everything from
textnn.functional on is what runs on a GPU. ``TEXTNN_CUDA_FLAVOUR`` names the flavour (build.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch.utils import cpp_extension

from textnn import backends

from . import build

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.torch_floor import target_define  # noqa: E402

NAME = "textnn_cuda"
loaded: ctypes.CDLL | None = None
FLAVOUR = os.environ.get("TEXTNN_CUDA_FLAVOUR", "plain")


def kernels() -> list[Path]:
    """The .cu files of the package, those first that take longest."""
    return sorted((ROOT / "csrc/cuda").glob("*.cu"), key=lambda path: ("persistent" not in path.stem, path.stem))


def sources() -> list[Path]:
    """The operators on CUDA tensors, and what they share with those on the CPU."""
    shared = [ROOT / "csrc/ops" / name for name in ("ragged.cpp", "recurrent_arguments.cpp")]
    return [*sorted((ROOT / "csrc/ops/cuda").glob("*.cpp")), *shared]


def compile_operators(flavour: str = FLAVOUR, name: str = NAME, changed: Sequence[Path] = ()) -> Path:
    """Bring the library up to date; RuntimeError where it cannot be built.

    Files in ``changed`` take the place of the package's .cu files of the same names. A library with such has a name of
    its own, and the other objects of the unchanged library, which is to be up to date.
    """
    flags = [target_define(), "-DTEXTNN_CUDA_EMULATED=1"]
    includes = [*cpp_extension.include_paths(), sysconfig.get_path("include")]
    flags += [f"-isystem {path}" for path in includes]
    folders = cpp_extension.library_paths()
    libraries = [f"-L{folder} -Wl,-rpath,{folder}" for folder in folders] + ["-ltorch", "-ltorch_cpu", "-lc10"]
    if changed:
        assert name != NAME
        instead = {path.name: path for path in changed}
        files = [instead.get(path.name) or build.object_path(NAME, flavour, path) for path in kernels()]
        objects = [build.object_path(NAME, "every", path) for path in sources()]
    else:
        files, objects = kernels(), build.compile_sources(NAME, sources(), flags)
    return build.build(name, flavour, files, objects, flags, libraries)


def load(path: Path | None = None) -> ctypes.CDLL:
    """Compile, where no library is given, load, and let Python take the CPU for a CUDA device."""
    from textnn._registration import CUDA_AUTOCAST, common

    global loaded
    os.environ.setdefault("CUEMU_SMS", "12")  # what the persistent recurrence needs for the widest layers of the tests
    path = path or compile_operators()
    torch.ops.load_library(path)
    backends.CUDA_DEVICES.add("cpu")
    for name in CUDA_AUTOCAST:
        common.follow_autocast(name, "cpu")
    loaded = ctypes.CDLL(str(path))
    return loaded


def emulate(library: ctypes.CDLL, stream: int = 0, sizes_on_device: bool = False) -> None:
    """Choose the current stream, and where lengths and offsets are said to be."""
    library.textnn_emulate(ctypes.c_void_p(stream), ctypes.c_int(sizes_on_device))


@contextlib.contextmanager
def sizes_on_device() -> Iterator[None]:
    """Say that lengths and offsets are on the device; without the emulator they are where they are."""
    if loaded:
        emulate(loaded, sizes_on_device=True)
    try:
        yield
    finally:
        if loaded:
            emulate(loaded)
