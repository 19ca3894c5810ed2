"""A Python of another processor: Debian's for aarch64, run by qemu beside a cross compiler, to execute the kernels.

    python -m tools.aarch64 test [arguments of pytest]    tests/native, on kernels compiled for aarch64
    python -m tools.aarch64 python [arguments]            the interpreter itself

Nothing of the system is changed, and all of it stands in build/aarch64:

    apt/      the state of a package manager of its own: lists, and what it downloaded
    root/     those packages, unpacked: Python with its headers, the C and C++ libraries
    site/     Python packages for aarch64
    native/   what tests/native/build.py makes, with the cross compiler, which runs at the speed of this machine
    python    a script that stands for the interpreter, also in tests that start processes

``QEMU_CPU`` names the processor that qemu is: of ``max``, the default, kernels use the byte products of ARMv8.2, of
``cortex-a72`` they have NEON alone. How fast kernels are on such a processor cannot be seen here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "aarch64"
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
SYSTEM = ("python3-minimal", "libpython3-stdlib", "libpython3-dev", "libstdc++6", "libgomp1")
PYTHON = ("numpy", "pytest", "pybind11")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
OPTIONS = ("-q", "-p", "no:cacheprovider", "--confcutdir=tests/native")  # the other conftest.py needs torch
# Of processors whose instructions the kernels tell apart, and the tests that differ there.
EVERYTHING = ("max", "tests/native", "--ignore=tests/native/test_sanitizers.py")
NEON_ALONE = ("cortex-a72", "tests/native/test_capability.py", "tests/native/test_kernels_quantized_lstm.py")


def missing() -> str | None:
    """Return what this machine lacks for the tests of aarch64, as a sentence, or None."""
    path = _environment()["PATH"]
    programs = (COMPILER, EMULATOR, "apt-get", "dpkg-deb", "ninja")
    lacks = [name for name in programs if shutil.which(name, path=path) is None]
    if not lacks:
        return None
    return (
        f"the tests of aarch64 need {', '.join(lacks)}: on Debian "
        "apt-get install g++-aarch64-linux-gnu qemu-user ninja-build"
    )


def _environment(**more: str) -> dict[str, str]:
    """Return this process's environment, with the programs beside its interpreter, such as ninja, and more."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, **more}


def _run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env=_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def _unpack_system(apt: Path, root: Path) -> None:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "state" / "status").touch()
    etc = Path("/etc/apt")
    sources = next(path for path in (etc / "sources.list.d/debian.sources", etc / "sources.list") if path.exists())
    shutil.copy(sources, apt / sources.name)
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "state" / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / sources.name,
        "Dir::Etc::sourceparts": "-",
    }
    (apt / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    described = {"APT_CONFIG": str(apt / "apt.conf")}
    _run("apt-get", "-qq", "update", **described)
    _run("apt-get", "-qq", "install", "--yes", "--download-only", "--no-install-recommends", *SYSTEM, **described)
    for package in sorted((apt / "cache" / "archives").glob("*.deb")):
        _run("dpkg-deb", "--extract", package, root)


def _write_script(root: Path, site: Path) -> Path:
    """Write the script that stands for the interpreter and return its path."""
    interpreter = (root / "usr/bin/python3").resolve()
    script = FOLDER / "python"
    lines = [
        "#!/bin/sh",
        f"export PYTHONHOME='{root}/usr' PYTHONPATH='{site}' CPLUS_INCLUDE_PATH='{root}/usr/include'",
        f"export CXX={COMPILER} TEXTNN_NATIVE_BUILD='{FOLDER}/native'",
        f"exec {EMULATOR} -L '{root}' -0 '{script}' '{interpreter}' \"$@\"",
    ]
    script.write_text("\n".join([*lines, ""]))
    script.chmod(0o755)
    return script


def set_up() -> Path:
    """Make the interpreter where it is not there yet, and return the script that stands for it."""
    if lack := missing():
        raise SystemExit(lack)
    root, site, script = FOLDER / "root", FOLDER / "site", FOLDER / "python"
    if script.exists():
        return script
    print(f"Setting up Python for aarch64 in {FOLDER}, 250 MB in all ...", flush=True)
    _unpack_system(FOLDER / "apt", root)
    version = (root / "usr/bin/python3").resolve().name.removeprefix("python")
    choice = ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}"]
    choice += [f"--platform={name}" for name in PLATFORMS]
    _run(sys.executable, "-m", "pip", "install", "-q", "--no-input", "--upgrade", f"--target={site}", *choice, *PYTHON)
    return _write_script(root, site)


def test(arguments: Sequence[str]) -> int:
    """Run tests/native as both processors, or with arguments of pytest what these choose; return the exit status."""
    python = set_up()
    status = 0
    chosen = (os.environ.get("QEMU_CPU", "max"),)
    runs: list[tuple[str, ...]] = [chosen] if arguments else [EVERYTHING, NEON_ALONE]
    for processor, *tests in runs:
        print(f"--- aarch64, as {processor} ---", flush=True)
        command = [str(python), "-m", "pytest", *OPTIONS, *tests, *arguments]
        status |= subprocess.run(command, cwd=ROOT, env=_environment(QEMU_CPU=processor), check=False).returncode
    return status


def main(given: Sequence[str]) -> int:
    """Run the command line."""
    if given[:1] == ["test"]:
        return test(given[1:])
    if given[:1] == ["python"]:
        return subprocess.run([set_up(), *given[1:]], env=_environment(), check=False).returncode
    print("expected test or python and their arguments", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
