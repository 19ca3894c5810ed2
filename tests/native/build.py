"""Makes csrc/cpu and the bindings beside this file into the module that the native tests load.

One ninja file describes three flavours of the module, so that only what changed is compiled again:

    plain       the package's own objects; where it was not        build/native-plain/textnn_native*.so
                built in this tree, others of that optimisation
    sanitized   -O1 with the address and undefined-behaviour       build/native-sanitized/textnn_native*.so
                sanitizers, and checked_workspace.h in the kernels
    emulated    as plain, but where instructions that few CPUs     build/native-emulated/textnn_native*.so
                have are used they are those of
                emulated_instructions.h, on checked workspaces

Bindings that hold no code under test are compiled once for all. ``python tests/native/build.py plain`` builds by hand.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("TEXTNN_NATIVE_BUILD") or ROOT / "build")  # of another processor a folder of its own
MODULE = "textnn_native"
FLAVOURS = {
    "plain": ["-O3"],
    "sanitized": [
        "-O1",
        "-g1",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined",
        # What the address sanitizer sees anyway, or what cannot occur, at a third of the time to compile.
        "-fno-sanitize=null,alignment,object-size,vptr,pointer-overflow",
        "--param asan-instrumentation-with-call-threshold=0",
    ],
    "emulated": ["-O1", "-include", str(Path(__file__).resolve().parent / "emulated_instructions.h")],
}
WARNINGS = ["-Wall", "-Wextra", "-Wno-psabi", "-Wno-ignored-attributes"]
EMULATED = {
    "cells",
    "capability",
    "quantized_lstm",
    "text_conv",
}  # files, or folders of them, that use such instructions
# No code under test, compiled once for all flavours.
BINDINGS = [
    *("module", "recurrent", "quantized_lstm", "text_conv", "frozen_text_conv", "crf", "linear_cross_entropy"),
    *("tables", "pools", "instructions"),
]
SLOW_FIRST = ["cells", "text_conv", "frozen_text_conv"]  # the longest compilations, of a file or a folder, start first
_background: list[subprocess.Popen[bytes]] = []


def compiler() -> str | None:
    """The C++ compiler: ``$CXX``, else g++, c++ or clang++, whichever comes first; None where there is none."""
    wanted = os.environ.get("CXX")
    candidates = [wanted] if wanted else ["g++", "c++", "clang++"]
    return next((found for name in candidates if (found := shutil.which(name))), None)


def ninja() -> str | None:
    """The ninja program, of the Python package of that name or the system's."""
    try:
        from ninja import BIN_DIR
    except ImportError:
        return shutil.which("ninja")
    return str(Path(BIN_DIR) / "ninja")


def missing() -> str | None:
    """What the native tests lack on this machine, as a sentence; None where they can be built."""
    if compiler() is None:
        return "the native tests need a C++ compiler"
    if ninja() is None:
        return "the native tests need ninja"
    if importlib.util.find_spec("pybind11") is None:
        return "the native tests need pybind11"
    return None


def module_path(flavour: str) -> Path:
    """Where the module of a flavour stands."""
    return BUILD / f"native-{flavour}" / f"{MODULE}{sysconfig.get_config_var('EXT_SUFFIX')}"


def escape(path: object) -> str:
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


def _package_objects(kernels: Sequence[Path]) -> list[Path] | None:
    """The kernels' objects as setup.py made them, brought up to date; None where it did not make them in this tree."""
    try:
        folder = BUILD / f"objects-{version('torch')}"
        described = (folder / "build.ninja").read_text()
    except (PackageNotFoundError, OSError):
        return None
    objects = [folder / path.relative_to(ROOT).with_suffix(".o") for path in kernels]
    if not all(f"build {escape(path)}: compile " in described for path in objects):
        return None
    _ninja(folder, [str(path) for path in objects])
    return objects


def _ninja_file() -> str:
    import pybind11

    includes = [pybind11.get_include(), sysconfig.get_path("include"), str(HERE)]
    flags = ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-pthread", *WARNINGS]
    lines = [
        f"cxx = {compiler()}",
        f"flags = {' '.join(flags)} " + " ".join(f"-isystem {path}" for path in includes[:2]) + f" -I{includes[2]}",
        "rule compile",
        "  command = $cxx -MMD -MF $out.d $flags $extra -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "  description = compiling $in ($flavour)",
        "rule link",
        "  command = $cxx -shared -pthread $extra $in -o $out",
        "  description = linking $out",
    ]

    def add(source: Path, flavour: str, extra: list[str]) -> str:
        out = BUILD / f"native-{flavour}" / f"{source.parent.name}-{source.stem}.o"
        lines.append(f"build {escape(out)}: compile {escape(source)}")
        lines.extend([f"  extra = {' '.join(extra)}", f"  flavour = {flavour}"])
        return escape(out)

    def slow_first(path: Path) -> tuple[bool, Path]:
        return not {path.stem, path.parent.name} & set(SLOW_FIRST), path

    kernels = sorted((ROOT / "csrc" / "cpu").rglob("*.cpp"), key=slow_first)
    common = [add(HERE / f"{name}.cpp", "common", ["-O0"]) for name in BINDINGS]
    common.append(add(HERE / "vector_math.cpp", "common", FLAVOURS["plain"]))
    targets: dict[str, list[str]] = {}
    ready = _package_objects(kernels)
    for flavour, extra in FLAVOURS.items():
        checked = ["-include", escape(HERE / "checked_workspace.h")] if flavour != "plain" else []
        if flavour == "plain" and ready:
            targets[flavour] = [escape(path) for path in ready]
        elif flavour == "emulated":
            plain = zip(kernels, targets["plain"], strict=False)
            targets[flavour] = [
                add(path, flavour, extra + checked) if _emulated(path) else made for path, made in plain
            ]
        else:
            targets[flavour] = [
                add(path, flavour, extra + (checked if path.stem != "workspace" else [])) for path in kernels
            ]
        targets[flavour].append(
            targets["plain"][-1] if flavour == "emulated" else add(HERE / "probes.cpp", flavour, extra)
        )
    for flavour, extra in FLAVOURS.items():
        out = escape(module_path(flavour))
        lines.append(f"build {out}: link {' '.join(targets[flavour] + common)}")
        lines.append(f"  extra = {' '.join(extra)}")
        lines.append(f"build {flavour}: phony {out}")
    return "\n".join([*lines, ""])


def _emulated(kernels: Path) -> bool:
    return bool({kernels.stem, kernels.parent.name} & EMULATED)


def build(flavour: str) -> Path:
    """Bring the module of a flavour up to date and return its path; RuntimeError where it does not compile."""
    folder = BUILD / "native"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of the tests at once
        path, text = folder / "build.ninja", _ninja_file()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        _ninja(folder, [flavour])
    return module_path(flavour)


def _ninja(folder: Path, targets: Sequence[str]) -> None:
    program = ninja()
    assert program is not None, missing()
    jobs = str(len(os.sched_getaffinity(0)))
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [program, "-C", str(folder), "-j", jobs, *targets]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"the native tests do not compile ({targets[0]}):\n{done.stdout}{done.stderr}")


def in_background(flavour: str) -> None:
    """Begin to build; a later ``build()`` waits for the end of it and reports what went wrong."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    _background.append(subprocess.Popen([sys.executable, __file__, flavour], **quiet))


def load(path: Path) -> ModuleType:
    """Import the module at this path, by a name of its own: pybind11 gives out one module for each name."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}.{MODULE}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.__file__ == str(path), "another flavour has been loaded"
    return module


if __name__ == "__main__":
    for name in sys.argv[1:] or FLAVOURS:
        print(build(name))
