"""Builds textnn._C: one abi3 library with the CPU kernels of every instruction set and, on request, the CUDA kernels.

Everything else about the package stands in pyproject.toml. TEXTNN_CUDA=1 builds the CUDA kernels, 0 leaves them out;
by default they are built where torch itself has CUDA and a toolkit of the same major version is found. The kernels need
no CUDA header of torch, so 1 also works beside a CPU-only torch.
"""

import os
import sys
from pathlib import Path

import torch
from setuptools import setup
from torch.utils import cpp_extension
from torch.utils.cpp_extension import BuildExtension, CppExtension

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))
from tools.cuda_toolkit import NVCC_FLAGS, find_toolkit, toolkit_version, torch_arch_list  # noqa: E402
from tools.parallel_compile import side_by_side  # noqa: E402
from tools.platforms import refusal  # noqa: E402
from tools.torch_floor import target_define  # noqa: E402

cuda_home = find_toolkit()
cuda_sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("csrc/cuda/*.cu"))
choice = os.environ.get("TEXTNN_CUDA", "auto")
if choice not in ("auto", "0", "1"):
    raise SystemExit(f"TEXTNN_CUDA must be 0, 1 or auto, got {choice!r}")
with_cuda = choice == "1"
if choice == "auto" and torch.version.cuda and cuda_home:
    with_cuda = toolkit_version(cuda_home)[0] == int(torch.version.cuda.split(".")[0])
    if not with_cuda:
        print(f"textnn: no CUDA kernels, as torch's CUDA is {torch.version.cuda} and {cuda_home} another")
if with_cuda and cuda_home is None:
    raise SystemExit("TEXTNN_CUDA=1 needs a CUDA toolkit: set CUDA_HOME to its folder")

defines = [target_define()]
cxx_flags = [
    "-O3",
    "-g0",  # the library is stripped, and a quarter of the time to compile went into what that takes away
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
headers = sorted(str(path.relative_to(ROOT)) for end in ("h", "cuh") for path in ROOT.glob(f"csrc/**/*.{end}"))
cuda_options = {}
if with_cuda:
    cpp_extension.CUDA_HOME = str(cuda_home)  # torch would take a wrapper's folder, and none where it is a CPU build
    architectures = os.environ.setdefault("TORCH_CUDA_ARCH_LIST", torch_arch_list()).replace(";", " ")
    sources += on_cuda + cuda_sources
    defines += ["-DTEXTNN_WITH_CUDA=1", f'-DTEXTNN_CUDA_ARCHITECTURES="{architectures}"']
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

    def build_extensions(self):
        if sentence := refusal():
            raise SystemExit(sentence)
        if not self.use_ninja:
            self.compiler.compile = side_by_side(self.compiler)
        super().build_extensions()


setup(
    ext_modules=[
        CppExtension(
            "textnn._C",
            sources,
            depends=headers,
            py_limited_api=True,
            extra_compile_args={
                "cxx": [*cxx_flags, *defines],
                "nvcc": [*NVCC_FLAGS, "--threads=2"],
            },
            extra_link_args=["-Wl,--exclude-libs,ALL", "-s"],
            **cuda_options,
        )
    ],
    cmdclass={"build_ext": Build},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
