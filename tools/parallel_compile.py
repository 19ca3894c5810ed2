"""Compiles the files of an extension side by side where ninja is missing, and only those that have changed.

Without ninja, setuptools compiles one file after the other, on one core. Torch's hooks change the compiler object for
each file, so every file gets a forked process of its own.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

ARCHITECTURES = "TORCH_CUDA_ARCH_LIST"  # what torch's hooks read beside their arguments


def jobs() -> int:
    """Return how many files to compile at a time: MAX_JOBS, as with ninja, or the cores."""
    return max(1, int(os.environ.get("MAX_JOBS") or len(os.sched_getaffinity(0))))


def side_by_side(compiler: Any) -> Callable[..., list[str]]:
    """Return a function that takes the place of ``compiler.compile``."""

    def compile_all(
        sources: Sequence[str],
        output_dir: str | None = None,
        macros: Any = None,
        include_dirs: Any = None,
        debug: bool = False,
        extra_preargs: Any = None,
        extra_postargs: Any = None,
        depends: Sequence[str] | None = None,
    ) -> list[str]:
        settings = (output_dir, macros, include_dirs, sources, depends, extra_postargs)
        _, objects, extra_postargs, pp_opts, build = compiler._setup_compile(*settings)
        cc_args = compiler._get_cc_args(pp_opts, debug, extra_preargs)
        common = repr((cc_args, extra_postargs, pp_opts, os.environ.get(ARCHITECTURES)))
        common = digest(depends or (), common)
        calls = {o: (o, *build[o], cc_args, extra_postargs, pp_opts) for o in objects}
        digests = {o: digest([build[o][0]], common) for o in objects}
        run_forked(compiler._compile, {o: call for o, call in calls.items() if kept(o) != digests[o]}, digests)
        return list(objects)

    return compile_all


def run_forked(function: Callable[..., Any], calls: dict[str, tuple[Any, ...]], digests: dict[str, str]) -> None:
    """Make the calls, one for each object, in processes of their own; keep the digests of those that succeed.

    Raises
    ------
    RuntimeError
        If a file does not compile; those that were begun are finished first.
    """
    fork = multiprocessing.get_context("fork")
    waiting, failed = list(calls), list[str]()
    running: dict[Any, tuple[str, Any]] = {}  # by their sentinels
    while waiting or running:
        while waiting and len(running) < jobs() and not failed:
            target = waiting.pop(0)
            mark(target).unlink(missing_ok=True)
            process = fork.Process(target=function, args=calls[target])
            process.start()
            running[process.sentinel] = target, process
        if not running:
            break
        for sentinel in wait(list(running)):
            target, process = running.pop(sentinel)
            process.join()
            if process.exitcode:
                failed.append(calls[target][1])
            else:
                mark(target).write_text(digests[target])
    if failed:
        raise RuntimeError(f"does not compile: {', '.join(failed)}; the compiler's messages stand above")


def mark(target: str) -> Path:
    """Return the file that holds the digest of an object's sources and settings."""
    return Path(f"{target}.digest")


def kept(target: str) -> str | None:
    """Return the digest of an object that is there."""
    return mark(target).read_text() if Path(target).exists() and mark(target).exists() else None


def digest(files: Sequence[str], more: str) -> str:
    """Return a digest of the files' contents and a text."""
    found = hashlib.sha256(more.encode())
    for file in files:
        found.update(Path(file).read_bytes())
    return found.hexdigest()
