"""Compiles kernels for the emulator: .cu files, the emulator, and C++ sources beside them into one shared library.

    plain   -O2
    asan    the address and undefined-behaviour sanitizers; to be loaded with their libraries in LD_PRELOAD
    race    the .cu files with -fsanitize=thread, whose calls the emulator's race detector answers

The objects of the emulator are shared by all libraries of a flavour. The order in which a library is linked is part of
how the emulator works (shared_begin.cpp): marker, kernels, marker, everything else.
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


def _check(kernels: Sequence[Path]) -> None:
    """Static shared memory is all thread-local memory of these files, and is overwritten before each block."""
    for path in kernels:
        if re.search(r"\bthread_local\b", path.read_text()):
            raise RuntimeError(f"{path}: a file of kernels may have no thread_local variables of its own")


def _ninja_file(
    name: str,
    flavour: str,
    kernels: Sequence[Path],
    sources: Sequence[Path],
    flags: Sequence[str],
    libraries: Sequence[str],
) -> str:
    folder = library_path(name, flavour).parent
    for_kernels, for_others, for_link = FLAVOURS[flavour]
    lines = [
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

    def add(source: Path, out: Path, options: Sequence[str]) -> str:
        lines.append(f"build {native.escape(out)}: compile {native.escape(source)}")
        lines.append(f"  flags = {' '.join([*COMMON, *options])}")
        return native.escape(out)

    parts = {path.stem: path for path in sorted(HERE.glob("*.cpp")) if not path.stem.startswith("demo")}
    emulator = {stem: add(path, folder / f"emulator-{stem}.o", for_others) for stem, path in parts.items()}
    own = [f"-I{HERE}", *flags]
    objects = [emulator.pop(FIRST)]
    for path in kernels:
        out = folder / name / f"{path.parent.name}-{path.name}.o"
        objects.append(add(path, out, [*for_kernels, "-Wno-unknown-pragmas", *own, "-x", "c++"]))
    objects.append(emulator.pop(LAST))
    for path in sources:
        objects.append(add(path, folder / name / f"{path.parent.name}-{path.name}.o", [*for_others, *own]))
    objects.extend(emulator.values())
    target = native.escape(library_path(name, flavour))
    lines.append(f"build {target}: link {' '.join(objects)}")
    lines.append(f"  libraries = {' '.join(libraries)}")
    lines.append(f"default {target}")
    return "\n".join([*lines, ""])


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
        The .cu files.
    sources : sequence of Path
        C++ files beside them.
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
    lack = missing()
    if lack:
        raise RuntimeError(lack)
    kernels, sources = [path.resolve() for path in kernels], [path.resolve() for path in sources]
    _check(kernels)
    target = library_path(name, flavour)
    folder = target.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of the tests at once
        path, text = folder / f"{name}.ninja", _ninja_file(name, flavour, kernels, sources, flags, libraries)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        jobs = str(len(os.sched_getaffinity(0)))
        environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        command = [str(native.ninja()), "-C", str(folder), "-f", path.name, "-j", jobs]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} does not compile for the emulator ({flavour}):\n{done.stdout}{done.stderr}")
    return target
