"""Compiles kernels for the emulator: .cu files, the emulator, and C++ sources beside them into one shared library.

    plain   -O2
    asan    the address and undefined-behaviour sanitizers; to be loaded with their libraries in LD_PRELOAD
    race    the .cu files with -fsanitize=thread, whose calls the emulator's race detector answers

The objects of the emulator are shared by all libraries of a flavour, those of compile_sources() by all flavours. The
order in which a library is linked is part of how the emulator works (shared_begin.cpp): marker, kernels, marker,
everything else.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from native import build as native

HERE = Path(__file__).resolve().parent
COMMON = ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-pthread", *native.WARNINGS]
SANITIZERS = [
    "-O1",
    "-g1",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-fno-sanitize=vptr",
]
# For each flavour, what the kernels, the emulator with the other sources, and the link take.
FLAVOURS = {
    "plain": (["-O2"], ["-O2"], []),
    "asan": (SANITIZERS, SANITIZERS, SANITIZERS),
    "race": (["-O1", "-g1", "-fsanitize=thread"], ["-O2", "-g1"], []),
}
FIRST, LAST = "shared_begin", "shared_end"


def missing() -> str | None:
    """What emulated kernels lack on this machine, as a sentence; None where they can be built."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return "the CUDA emulator runs on x86-64 only"
    if native.compiler() is None:
        return "the CUDA emulator needs a C++ compiler"
    if native.ninja() is None:
        return "the CUDA emulator needs ninja"
    return None


def runtime(name: str) -> str | None:
    """The path of a library of the compiler, None where it has none."""
    command = [str(native.compiler()), f"-print-file-name={name}"]
    path = Path(subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip())
    return str(path.resolve()) if path.is_absolute() and path.exists() else None


def library_path(name: str, flavour: str) -> Path:
    """Where the library of this name and flavour stands."""
    return native.BUILD / f"cuda-emulated-{flavour}" / f"{name}.so"


def object_path(name: str, flavour: str, source: Path) -> Path:
    """Where the object of a source of that library stands; a source that is an object stands for itself."""
    if source.suffix == ".o":
        return source
    return library_path(name, flavour).parent / name / f"{source.parent.name}-{source.name}.o"


def _check(kernels: Sequence[Path]) -> None:
    """Static shared memory is all thread-local memory of these files, and is overwritten before each block."""
    for path in kernels:
        if path.suffix != ".o" and re.search(r"\bthread_local\b", path.read_text()):
            raise RuntimeError(f"{path}: a file of kernels may have no thread_local variables of its own")


class _Ninja:
    """The lines of a ninja file."""

    def __init__(self, flavour: str, for_link: Sequence[str]) -> None:
        self.lines = [
            f"cxx = {native.compiler()}",
            "rule compile",
            "  command = $cxx -MMD -MF $out.d $flags -c $in -o $out",
            "  depfile = $out.d",
            "  deps = gcc",
            f"  description = compiling $in ({flavour})",
            "rule link",
            # Threads of the emulator outlive launches, so the library is never unloaded.
            f"  command = $cxx -shared -pthread -Wl,-z,nodelete {' '.join(for_link)} $in $libraries -o $out",
            "  description = linking $out",
        ]

    def compile(self, source: Path, out: Path, options: Sequence[str]) -> str:
        """The object, escaped; made from the source unless that is one."""
        if source != out:
            self.lines.append(f"build {native.escape(out)}: compile {native.escape(source)}")
            self.lines.append(f"  flags = {' '.join([*COMMON, *options])}")
        return native.escape(out)

    def run(self, folder: Path, name: str) -> str:
        """Bring everything up to date; what the compiler said, "" where nothing went wrong."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of the tests at once
            path, text = folder / f"{name}.ninja", "\n".join([*self.lines, ""])
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
            jobs = str(len(os.sched_getaffinity(0)))
            environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
            command = [str(native.ninja()), "-C", str(folder), "-f", path.name, "-j", jobs]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        return done.stdout + done.stderr if done.returncode else ""


def compile_sources(name: str, sources: Sequence[Path], flags: Sequence[str] = ()) -> list[Path]:
    """Compile C++ files that are the same in every flavour: the objects, for build(); RuntimeError where it fails."""
    if lack := missing():
        raise RuntimeError(lack)
    ninja, flavour = _Ninja("every flavour", []), "every"
    objects = [object_path(name, flavour, path) for path in sources]
    for path, out in zip(sources, objects, strict=True):
        ninja.compile(path.resolve(), out, ["-O2", f"-I{HERE}", *flags])
    if wrong := ninja.run(library_path(name, flavour).parent, name):
        raise RuntimeError(f"{name} does not compile for the emulator:\n{wrong}")
    return objects


def build(
    name: str,
    flavour: str,
    kernels: Sequence[Path],
    sources: Sequence[Path],
    flags: Sequence[str] = (),
    libraries: Sequence[str] = (),
) -> Path:
    """Bring a library up to date.

    Parameters
    ----------
    name : str
        Name of the library, without its suffix.
    flavour : str
        ``plain``, ``asan`` or ``race``.
    kernels : sequence of Path
        The .cu files, or objects that were made of such in this flavour.
    sources : sequence of Path
        C++ files beside them, or their objects.
    flags : sequence of str
        Further options for compiling both.
    libraries : sequence of str
        Further options for linking, after the objects.

    Returns
    -------
    Path
        ``build/cuda-emulated-<flavour>/<name>.so``

    Raises
    ------
    RuntimeError
        Where it cannot be built; the message has the compiler's words.
    """
    if lack := missing():
        raise RuntimeError(lack)
    kernels, sources = [path.resolve() for path in kernels], [path.resolve() for path in sources]
    _check(kernels)
    target = library_path(name, flavour)
    folder = target.parent
    for_kernels, for_others, for_link = FLAVOURS[flavour]
    ninja = _Ninja(flavour, for_link)
    parts = {path.stem: path for path in sorted(HERE.glob("*.cpp")) if not path.stem.startswith("demo")}
    emulator = {stem: ninja.compile(path, folder / f"emulator-{stem}.o", for_others) for stem, path in parts.items()}
    own = [f"-I{HERE}", *flags]
    as_kernel = [*for_kernels, "-Wno-unknown-pragmas", *own, "-x", "c++"]
    objects = [emulator.pop(FIRST)]
    objects += [ninja.compile(path, object_path(name, flavour, path), as_kernel) for path in kernels]
    objects.append(emulator.pop(LAST))
    objects += [ninja.compile(path, object_path(name, flavour, path), [*for_others, *own]) for path in sources]
    objects.extend(emulator.values())
    ninja.lines.append(f"build {native.escape(target)}: link {' '.join(objects)}")
    ninja.lines.append(f"  libraries = {' '.join(libraries)}")
    ninja.lines.append(f"default {native.escape(target)}")
    if wrong := ninja.run(folder, name):
        raise RuntimeError(f"{name} does not compile for the emulator ({flavour}):\n{wrong}")
    return target
