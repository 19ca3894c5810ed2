"""Makes the package's extension with the sanitizers: the operators around the kernels of the native module's build.

    csrc/cpu, by build.py      objects of the flavour ``sanitized``, checked workspaces included   --+
    csrc/ops                   compiled here with the same flags                                    --+-> _C.abi3.so

It is loaded in the place of ``textnn._C`` in a process with the sanitizers' libraries in LD_PRELOAD
(``fuzz.operators.worker``). ``python tests/native/extension.py`` builds by hand.
"""

from __future__ import annotations

import fcntl
import sys
import sysconfig
from pathlib import Path

from torch.utils import cpp_extension

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]

from native import build  # noqa: E402

from tools.torch_floor import target_define  # noqa: E402

FOLDER = build.BUILD / "extension-sanitized"
PATH = FOLDER / "_C.abi3.so"


def _ninja_file() -> str:
    includes = [*cpp_extension.include_paths(), sysconfig.get_path("include")]
    flags = ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-pthread", *build.WARNINGS, target_define()]
    sanitizers = build.FLAVOURS["sanitized"]
    flags += [*sanitizers, *(f"-isystem {path}" for path in includes)]
    folders = cpp_extension.library_paths()
    libraries = [f"-L{folder} -Wl,-rpath,{folder}" for folder in folders] + ["-ltorch", "-ltorch_cpu", "-lc10"]
    lines = [
        f"cxx = {build.compiler()}",
        "rule compile",
        f"  command = $cxx -MMD -MF $out.d {' '.join(flags)} -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "  description = compiling $in (sanitized)",
        "rule link",
        f"  command = $cxx -shared -pthread $in {' '.join([*sanitizers, *libraries])} -o $out",
        "  description = linking $out",
    ]
    objects = []
    for source in sorted((build.ROOT / "csrc/ops").glob("*.cpp")):
        objects.append(build.escape(FOLDER / f"{source.stem}.o"))
        lines.append(f"build {objects[-1]}: compile {build.escape(source)}")
    kernels = build.BUILD / "native-sanitized"
    for source in sorted((build.ROOT / "csrc/cpu").rglob("*.cpp")):
        objects.append(build.escape(kernels / f"{source.parent.name}-{source.stem}.o"))
    return "\n".join([*lines, f"build {build.escape(PATH)}: link {' '.join(objects)}", ""])


def build_extension() -> Path:
    """Bring the sanitized extension up to date and return its path; RuntimeError where it does not compile."""
    build.build("sanitized")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path, text = FOLDER / "build.ninja", _ninja_file()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        build._ninja(FOLDER, [str(PATH)])
    return PATH


if __name__ == "__main__":
    print(build_extension())
