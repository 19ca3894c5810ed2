"""Runs the cases of every CUDA kernel (tests/cuda_cases.py) on the emulator and tells which kernels they launched.

    python tests/cuda_emulator/checks.py [--flavour plain|race|asan] [--order forward|reverse|random:SEED]
                                         [--json FILE] [NAME ...]

NAME: a part of the names of the cases that are wanted. In the flavour ``asan`` the sanitizer has to come before all else
(``LD_PRELOAD``); ``run()`` sees to it. The exit code is the number of cases that failed, at most 100.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))


def kernels_in_sources() -> dict[str, str]:
    """Every __global__ function of csrc/cuda, and the file where it stands."""
    found = {}
    for path in sorted((ROOT / "csrc/cuda").glob("*.cu*")):
        text = re.sub(r"//.*", "", path.read_text())
        for match in re.finditer(
            r"__global__\s+void\s+(?:__launch_bounds__\((?:[^()]|\([^()]*\))*\)\s*)?(\w+)\s*\(", text
        ):
            found[f"{path.stem}.{match[1]}"] = path.name
    return found


def run(
    flavour: str = "plain",
    order: str | None = None,
    names: tuple[str, ...] = (),
    library: Path | None = None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Run cases in a process of their own.

    Parameters
    ----------
    flavour, order
        Of the emulator.
    names : tuple of str
        Parts of the names of the cases that are wanted; all where empty.
    library : Path, optional
        The operators, where they are not to be brought up to date.
    timeout : float, optional
        Seconds after which cases count as failed.

    Returns
    -------
    dict
        For every case what went wrong, "" if nothing did; under "kernels" the launched ones with their numbers.
    """
    from cuda_emulator import build

    environment = {**os.environ, "TEXTNN_CUDA_FLAVOUR": flavour}
    if order:
        environment["CUEMU_ORDER"] = order
    if flavour == "asan":
        libraries = [build.runtime(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
        environment["LD_PRELOAD"] = " ".join(str(path) for path in libraries if path)
        environment["ASAN_OPTIONS"] = "detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=0"
        environment["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
    result = ROOT / "build" / f"cuda-checks-{os.getpid()}.json"
    command = [sys.executable, __file__, "--json", str(result), *names]
    if library:
        command += ["--library", str(library)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=timeout)
        if not result.exists():
            return {"cases": {"process": (done.stderr or done.stdout)[-3000:] or "ended"}, "kernels": {}}
        return dict(json.loads(result.read_text()))
    except subprocess.TimeoutExpired:
        return {"cases": {"process": f"not at its end after {timeout} s"}, "kernels": {}}
    finally:
        result.unlink(missing_ok=True)


class Log:
    """The kernels that have been launched."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.cuemu_log_enable(1)

    def take(self) -> list[str]:
        """Their names since the last call, without template arguments, and with the file where that is ambiguous."""
        name = ctypes.create_string_buffer(300)
        grid, block = (ctypes.c_uint * 3)(), (ctypes.c_uint * 3)()
        shared, stream, cooperative = ctypes.c_size_t(), ctypes.c_void_p(), ctypes.c_int()
        names = []
        for i in range(self._library.cuemu_log_size()):
            rest = (ctypes.byref(shared), ctypes.byref(stream), ctypes.byref(cooperative))
            self._library.cuemu_log_entry(i, name, len(name), grid, block, *rest)
            if grid[0]:
                names.append(re.sub(r"[(<].*", "", name.value.decode().lstrip("(")))
        self._library.cuemu_log_clear()
        return names


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--flavour", choices=("plain", "race", "asan"), help=argparse.SUPPRESS)
    parser.add_argument("--order")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--library", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flavour or options.order:
        result = run(options.flavour or "plain", options.order, tuple(options.names))
        for name, wrong in result["cases"].items():
            print(f"{name:50s} {wrong or 'ok'}")
        return min(100, sum(bool(wrong) for wrong in result["cases"].values()))

    import torch
    from cuda_emulator import operators

    log = Log(operators.load(options.library))
    import cuda_cases

    cases: dict[str, str] = {}
    launched: dict[str, int] = {}
    for name, case in cuda_cases.CASES.items():
        if options.names and not any(part in name for part in options.names):
            continue
        torch.manual_seed(0)
        begin = time.monotonic()
        try:
            case()
            cases[name] = ""
        except Exception as error:
            cases[name] = f"{type(error).__name__}: {error}"
        for kernel in log.take():
            launched[kernel] = launched.get(kernel, 0) + 1
        if not options.json:
            print(f"{name:50s} {time.monotonic() - begin:6.2f} s  {cases[name] or 'ok'}", flush=True)
        if options.json:
            options.json.write_text(json.dumps({"cases": cases, "kernels": launched}))
    return min(100, sum(bool(wrong) for wrong in cases.values()))


if __name__ == "__main__":
    sys.exit(main())
