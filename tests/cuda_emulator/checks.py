"""Runs the cases of every CUDA kernel (tests/cuda_cases.py) on the emulator and tells which kernels they launched.

    python tests/cuda_emulator/checks.py [--flavour plain|race|asan] [--order forward|reverse|random:SEED]
                                         [--json FILE] [--first] [NAME ...]

NAME: a case, or a part of the names of the cases that are wanted. In the flavour ``asan`` the sanitizer has to come
before all else (``LD_PRELOAD``); ``run()`` sees to it. The exit code is the number of cases that failed, at most 100.
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


def environment_of(flavour: str) -> dict[str, str]:
    """The variables of a process that loads a library of this flavour."""
    from cuda_emulator import build

    # Torch's own threads would wait in a loop for work that is too small for them, and take the emulator's time.
    environment = {**os.environ, "TEXTNN_CUDA_FLAVOUR": flavour, "OMP_NUM_THREADS": "1"}
    if flavour == "asan":
        libraries = [build.runtime(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
        environment["LD_PRELOAD"] = " ".join(str(path) for path in libraries if path)
        environment["ASAN_OPTIONS"] = "detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=0"
        environment["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
    return environment


def run(
    flavour: str = "plain",
    order: str | None = None,
    names: tuple[str, ...] = (),
    library: Path | None = None,
    timeout: float | None = None,
    first: bool = False,
) -> dict[str, Any]:
    """Run cases in a process of their own.

    Parameters
    ----------
    flavour, order
        Of the emulator.
    names : tuple of str
        Cases, or parts of the names of those that are wanted; all where empty.
    library : Path, optional
        The operators, where they are not to be brought up to date.
    timeout : float, optional
        Seconds after which cases count as failed.
    first : bool, optional
        Whether the first case that fails is the last one.

    Returns
    -------
    dict
        "cases": what went wrong, "" if nothing did, of every case, and of the "process" where that ended early.
        "kernels": for every kernel the cases that launched it, and whether gradients were compared in one of them.
        "seconds": for every case.
    """
    environment = environment_of(flavour)
    if order:
        environment["CUEMU_ORDER"] = order
    result = ROOT / "build" / f"cuda-checks-{os.getpid()}.json"
    command = [sys.executable, __file__, "--json", str(result), *names]
    if library:
        command += ["--library", str(library)]
    if first:
        command.append("--first")
    found: dict[str, Any] = {"cases": {}, "kernels": {}, "seconds": {}}
    wrong = ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=timeout)
        if result.exists():
            found = json.loads(result.read_text())
        if not result.exists() or done.returncode != min(100, sum(map(bool, found["cases"].values()))):
            end = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
            wrong = f"the process ended with {end}\n{(done.stderr or done.stdout)[-3000:]}"
    except subprocess.TimeoutExpired:
        wrong = f"not at its end after {timeout:.0f} s"
    finally:
        result.unlink(missing_ok=True)
    if wrong:
        found["cases"]["process"] = wrong
    return found


class Log:
    """The kernels that have been launched."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.cuemu_log_enable(1)

    def take(self) -> list[str]:
        """Their names since the last call, without template arguments."""
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
    parser.add_argument("--first", action="store_true", help="stop at the first case that fails")
    options = parser.parse_args()
    if options.flavour or options.order:
        result = run(options.flavour or "plain", options.order, tuple(options.names), first=options.first)
        for name, wrong in result["cases"].items():
            print(f"{name:50s} {wrong or 'ok'}")
        return min(100, sum(bool(wrong) for wrong in result["cases"].values()))

    import torch
    from cuda_emulator import operators

    torch.set_num_threads(1)
    log = Log(operators.load(options.library))
    import cuda_cases

    cases: dict[str, str] = {}
    seconds: dict[str, float] = {}
    kernels: dict[str, dict[str, Any]] = {}
    running = ""

    def launched(gradients: bool) -> None:
        for kernel in log.take():
            entry = kernels.setdefault(kernel, {"cases": [], "gradients": False})
            entry["gradients"] |= gradients
            if running not in entry["cases"]:
                entry["cases"].append(running)

    cuda_cases.WATCHERS.append(launched)
    parts = [name for name in options.names if name not in cuda_cases.CASES]
    for running, case in cuda_cases.CASES.items():
        if options.names and running not in options.names and not any(part in running for part in parts):
            continue
        torch.manual_seed(0)
        begin = time.monotonic()
        try:
            case()
            cases[running] = ""
        except Exception as error:
            cases[running] = f"{type(error).__name__}: {error}"
        launched(gradients=False)
        seconds[running] = time.monotonic() - begin
        if options.json:
            options.json.write_text(json.dumps({"cases": cases, "kernels": kernels, "seconds": seconds}))
        else:
            print(f"{running:50s} {seconds[running]:6.2f} s  {cases[running] or 'ok'}", flush=True)
        if options.first and cases[running]:
            break
    return min(100, sum(map(bool, cases.values())))


if __name__ == "__main__":
    sys.exit(main())
