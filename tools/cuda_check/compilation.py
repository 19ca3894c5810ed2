"""Compiles .cu files for every architecture and keeps what their kernels use, until something of a file changes.

Beside each object stands a JSON file with a digest of the command, the compiler's version and the contents of the
source, of every header of this repository that it includes, and of the programs that read the report.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.cuda_check.report import Usage, named, parse_report, with_ptx
from tools.cuda_toolkit import NVCC_FLAGS, architecture_flags

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "cuda-check"
# What torch's BuildExtension adds to the flags of setup.py.
TORCH_FLAGS = [
    "-D__CUDA_NO_HALF_OPERATORS__",
    "-D__CUDA_NO_HALF_CONVERSIONS__",
    "-D__CUDA_NO_BFLOAT16_CONVERSIONS__",
    "-D__CUDA_NO_HALF2_OPERATORS__",
    "--expt-relaxed-constexpr",
    "-Xcompiler=-fPIC",
]


@dataclass(frozen=True)
class Compiled:
    """What came of one file: the usage of its kernels, or the compiler's complaint."""

    source: str  # "pool.cu"
    usages: tuple[Usage, ...]
    error: str = ""


def nvcc_version(toolkit: Path) -> str:
    """Return the version of nvcc, such as "13.0.88"."""
    told = subprocess.run([str(toolkit / "bin/nvcc"), "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"\bV(\d[\d.]*)", told)
    return match[1] if match else told.strip().splitlines()[-1]


def compile_all(toolkit: Path, sources: Sequence[Path], jobs: int, progress: Callable[[str], None]) -> list[Compiled]:
    """Compile what is not up to date, in the order of ``sources``, ``jobs`` at a time; results by name."""
    version = nvcc_version(toolkit)
    kept = {source: _kept(source, version) for source in sources}
    todo = [source for source in sources if kept[source] is None]
    done = [result for result in kept.values() if result]
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(_timed, toolkit, source, version): source for source in todo}
        try:
            for count, future in enumerate(as_completed(futures), 1):
                result, seconds = future.result()
                done.append(result)
                progress(f"[{count}/{len(todo)}] {result.source}, {seconds:.0f} s{', failed' if result.error else ''}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(done, key=lambda result: result.source)


def _timed(toolkit: Path, source: Path, version: str) -> tuple[Compiled, float]:
    begin = time.monotonic()
    return _compile(toolkit, source, version), time.monotonic() - begin


def _flags() -> list[str]:
    strict = ["-Werror=all-warnings", "-Wno-deprecated-gpu-targets"]
    return [*TORCH_FLAGS, *NVCC_FLAGS, *architecture_flags(), "-Xptxas=-v", *strict]


def _compile(toolkit: Path, source: Path, version: str) -> Compiled:
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / f"{source.stem}.json").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix=f"{source.stem}-") as keep:
        includes = Path(keep, "includes.d")
        files = ["-c", str(source), "-o", str(BUILD / f"{source.stem}.o"), "-MD", "-MF", str(includes)]
        # Intermediate files stay for the PTX of every architecture, which has the launch bounds.
        command = [str(toolkit / "bin/nvcc"), *_flags(), "--keep", "--keep-dir", keep, *files]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        told = run.stdout + run.stderr
        if run.returncode:
            return Compiled(source.name, (), told)
        depends = _depends(includes.read_text())
        ptx = {}
        for path in Path(keep).glob("*.compute_*.ptx"):
            ptx["sm_" + path.suffixes[-2].removeprefix(".compute_")] = path.read_text()
    try:
        usages = named(with_ptx(parse_report(told), ptx))
    except KeyError as missing:
        return Compiled(source.name, (), f"the PTX holds nothing about {missing}")
    except ValueError as error:
        return Compiled(source.name, (), str(error))
    _keep(version, source, depends, usages)
    return Compiled(source.name, tuple(usages))


def _depends(makefile: str) -> list[str]:
    """Return the files of this repository in a rule that nvcc -MD wrote."""
    paths = [Path(name) for name in makefile.partition(" : ")[2].replace("\\\n", " ").split()]
    return sorted({str(path.resolve().relative_to(ROOT)) for path in paths if path.resolve().is_relative_to(ROOT)})


def _digest(version: str, depends: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps([version, _flags()]).encode())
    for name in ("compilation.py", "report.py"):  # what is kept also depends on how it is read
        digest.update(Path(__file__).with_name(name).read_bytes())
    for name in depends:
        digest.update(name.encode() + b"\0" + hashlib.sha256((ROOT / name).read_bytes()).digest())
    return digest.hexdigest()


def _keep(version: str, source: Path, depends: Sequence[str], usages: Sequence[Usage]) -> None:
    kept = {"digest": _digest(version, depends), "depends": depends, "kernels": [asdict(usage) for usage in usages]}
    (BUILD / f"{source.stem}.json").write_text(json.dumps(kept))


def _kept(source: Path, version: str) -> Compiled | None:
    try:
        kept = json.loads((BUILD / f"{source.stem}.json").read_text())
        if kept["digest"] == _digest(version, kept["depends"]):
            return Compiled(source.name, tuple(Usage(**usage) for usage in kept["kernels"]))
    except (OSError, ValueError, KeyError, TypeError):  # none, half written, or of another version of this program
        pass
    return None
