"""Processes that load what has the address and undefined-behaviour sanitizers: their environment, and their reports."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from native import build


def runtime(name: str) -> str | None:
    """The path of a library of the compiler, None where it has none."""
    done = subprocess.run(
        [str(build.compiler()), f"-print-file-name={name}"], capture_output=True, text=True, check=False
    )
    path = Path(done.stdout.strip())
    return str(path.resolve()) if path.is_absolute() and path.exists() else None


def sanitized_environment() -> dict[str, str]:
    """The environment in which the sanitized module can be loaded; skips the test where there is no such build."""
    lack = build.missing()
    if lack:
        pytest.skip(lack)
    # The C++ library comes along: the sanitizer looks for what throws exceptions before the module brings it.
    libraries = [runtime("libasan.so"), runtime("libubsan.so"), runtime("libstdc++.so")]
    if None in libraries[:2]:
        pytest.skip(f"{build.compiler()} has no shared libraries of its sanitizers")
    return {
        **os.environ,
        "TEXTNN_NATIVE_FLAVOUR": "sanitized",
        "LD_PRELOAD": " ".join(path for path in libraries if path),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def report(stderr: str) -> str:
    """What a sanitizer says, with the innermost functions only."""
    first = re.search(r"^.*(runtime error|ERROR: AddressSanitizer|takes more)", stderr, re.MULTILINE)
    lines = stderr[first.start() if first else 0 :].splitlines()
    outer = re.compile(r"\s*#\d\d+ |\s*#\d .*(pybind11|_Py)")
    return "\n".join(line[:200] for line in lines if not outer.match(line))[:4000]
