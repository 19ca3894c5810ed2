"""Builds textnn._C: one abi3 library with the CPU kernels of every instruction set and, on request, the CUDA kernels.

Everything else about the package stands in pyproject.toml. TEXTNN_CUDA=1 builds the CUDA kernels, 0 leaves them out;
by default they are built where torch itself has CUDA and a toolkit is found. The kernels need no CUDA header of torch,
so 1 also works beside a CPU-only torch.
"""

import os
import shutil
from pathlib import Path

import torch
from setuptools import setup
from torch.utils import cpp_extension
from torch.utils.cpp_extension import BuildExtension, CppExtension

ROOT = Path(__file__).parent
MIN_TORCH = "0x020d000000000000"  # torch 2.13
CUDA_ARCHITECTURES = "7.5;8.0;8.6;8.9;9.0;10.0;12.0+PTX"

toolkits = [os.environ.get("CUDA_HOME"), "/usr/local/cuda", Path(shutil.which("nvcc") or "/-/-").parent.parent]
cuda_home = next((str(home) for home in toolkits if home and Path(home, "include/cuda_runtime.h").exists()), None)
cuda_sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("csrc/cuda/*.cu"))
choice = os.environ.get("TEXTNN_CUDA", "auto")
if choice not in ("auto", "0", "1"):
    raise SystemExit(f"TEXTNN_CUDA must be 0, 1 or auto, got {choice!r}")
with_cuda = bool(cuda_sources) and (choice == "1" or (choice == "auto" and bool(torch.version.cuda and cuda_home)))
if with_cuda and cuda_home is None:
    raise SystemExit("TEXTNN_CUDA=1 needs a CUDA toolkit: set CUDA_HOME to its folder")

defines = [f"-DTORCH_TARGET_VERSION={MIN_TORCH}"]
cxx_flags = [
    "-O3",
    "-std=c++17",
    "-fvisibility=hidden",
    "-fno-math-errno",
    "-Wall",
    "-Wextra",
    "-Wno-psabi",
    "-Wno-ignored-attributes",
]
on_cuda = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("csrc/ops/cuda/*.cpp"))
sources = sorted({str(path.relative_to(ROOT)) for path in ROOT.glob("csrc/**/*.cpp")} - set(on_cuda))
cuda_options = {}
if with_cuda:
    cpp_extension.CUDA_HOME = cuda_home  # torch would take a wrapper's folder, and none at all where it is a CPU build
    os.environ.setdefault("TORCH_CUDA_ARCH_LIST", CUDA_ARCHITECTURES)
    sources += on_cuda + cuda_sources
    defines.append("-DTEXTNN_WITH_CUDA=1")
    cuda_options = {
        "include_dirs": [f"{cuda_home}/include"],
        "library_dirs": [f"{cuda_home}/lib64"],
        "libraries": ["cudart_static", "rt", "dl", "pthread"],
    }


class Build(BuildExtension):
    """Keeps object files in build/, also for editable installs, so that what has not changed is not compiled again."""

    def finalize_options(self):
        super().finalize_options()
        self.build_temp = str(ROOT / "build" / f"objects-{torch.__version__}")


setup(
    ext_modules=[
        CppExtension(
            "textnn._C",
            sources,
            depends=sorted(str(path.relative_to(ROOT)) for end in ("h", "cuh") for path in ROOT.glob(f"csrc/**/*.{end}")),
            py_limited_api=True,
            extra_compile_args={
                "cxx": [*cxx_flags, *defines],
                "nvcc": ["-O3", "--threads=2", *defines],
            },
            extra_link_args=["-Wl,--exclude-libs,ALL", "-s"],
            **cuda_options,
        )
    ],
    cmdclass={"build_ext": Build},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
