"""``python -m fuzz``: runs targets, each in a process of its own, and writes down what came out.

--target, --runs, --seed -> a process for each target -> build/fuzz/TARGET.json, build/fuzz/crash-*
--page                   -> fuzz/figures.json -> the table in docs/safety.md
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "build" / "fuzz"
SLOW = {"model": 2, "tagger": 2, "language": 2, "translator": 2, "checkpoint": 2, "output": 2}
"""Targets of which a part of the inputs is enough, as each takes much longer: their share is one in so many."""


def main() -> int:
    """Run the command; 1 if there are findings."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Feeds damaged files to all that reads files.")
    parser.add_argument("--target", action="append", metavar="NAME", help="one of them; repeatable; else all")
    parser.add_argument("--runs", type=int, default=2000, metavar="N", help="inputs of each target (2000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="where the engine begins (1)")
    parser.add_argument("--engine", choices=("auto", "atheris", "random"), default="auto")
    parser.add_argument("--replay", metavar="FILE", help="run one input, found earlier, and show its traceback")
    parser.add_argument("--record", action="store_true", help="add the figures to fuzz/figures.json")
    parser.add_argument("--page", action="store_true", help="write fuzz/figures.json into docs/safety.md")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if options.page:
        from fuzz.page import write_page

        write_page(ROOT)
        return 0
    if options.worker:
        return _work(options.target[0], options.runs, options.seed, options.engine)
    from fuzz.engine import has_atheris

    engine = options.engine
    if engine == "auto":
        engine = "atheris" if has_atheris() else "random"
    if options.replay:
        return _replay(Path(options.replay))
    names = options.target or _names()
    if unknown := set(names) - set(_names()):
        parser.error(f"--target: expected {', '.join(_names())}, got {', '.join(sorted(unknown))}")
    findings = 0
    for name in names:
        figures = _run(name, max(1, options.runs // SLOW.get(name, 1)), options.seed, engine)
        findings += len(figures["findings"])
        print(
            f"{name:<12} {figures['inputs']:>8,} inputs  {figures['refused']:>8,} refused  "
            f"slowest {figures['slowest'] * 1000:6.0f} ms  memory +{figures['largest'] / 2**20:.0f} MB  "
            f"{len(figures['findings'])} findings",
            flush=True,
        )
        for line in figures["findings"]:
            print(f"    {line}", flush=True)
        if options.record:
            from fuzz.page import record

            record(ROOT, figures)
    return 1 if findings else 0


def _names() -> list[str]:
    from fuzz.targets import TARGETS

    return list(TARGETS)


def _run(name: str, runs: int, seed: int, engine: str) -> dict:
    """Run a target in a process, which may end in any way."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    file = OUTPUT / f"{name}.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "fuzz", "--worker", "--target", name, "--runs", str(runs)]
    command += ["--seed", str(seed), "--engine", engine]
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="textnn-fuzz-", dir=memory) as folder,
        (OUTPUT / f"{name}.log").open("wb") as log,
    ):
        environment = {**os.environ, "TEXTNN_FUZZ_FOLDER": folder}
        code = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False, env=environment).returncode
    figures = json.loads(file.read_bytes()) if file.exists() else {"target": name, "engine": engine, "seed": seed}
    figures = {"inputs": 0, "refused": 0, "seconds": 0.0, "slowest": 0.0, "largest": 0, "findings": [], **figures}
    left = [folder / f"textnn-fuzz-current-{name}" for folder in (Path("/dev/shm"), OUTPUT)]
    for current in (path for path in left if path.exists()):
        if figures["inputs"] < runs:
            shutil.copyfile(current, OUTPUT / f"crash-{name}-0")
        current.unlink()
    if figures["inputs"] < runs:
        figures["findings"].append(f"the process ended with the code {code} after {figures['inputs']:,} inputs")
    return figures


def _work(name: str, runs: int, seed: int, engine: str) -> int:
    if engine == "atheris":
        import atheris

        from fuzz.engine import READERS

        # Torch and the rest first: what the readers build on need not be watched.
        for library in ("torch", "safetensors.torch", "scipy.optimize", "sklearn", "jieba", "rjieba"):
            importlib.import_module(library)
        with atheris.instrument_imports(include=list(READERS)):
            from fuzz.targets import TARGETS
    else:
        from fuzz.targets import TARGETS
    import torch

    from fuzz.engine import explore, generate
    from fuzz.watch import Figures, Watch

    torch.set_num_threads(1)
    target, figures = TARGETS[name], Figures(name, engine, seed)
    watch = Watch(target.run, target.allowed, figures, OUTPUT)
    # Where a process that is ended leaves its input; in memory, as it is written for each.
    memory = Path("/dev/shm")
    current = (memory if os.access(memory, os.W_OK) else OUTPUT) / f"textnn-fuzz-current-{name}"
    seeds = target.seeds()
    # What is made once, of seeds and libraries, belongs to no input.
    for data in seeds:
        with suppress(*target.allowed):
            target.run(data)
    watch.limit_memory()

    def save() -> None:
        (OUTPUT / f"{name}.json").write_text(json.dumps(asdict(figures)), encoding="utf-8")

    def run(data: bytes) -> None:
        if figures.inputs >= runs:
            return
        current.write_bytes(data)
        watch.run(data)
        if figures.inputs % 500 == 0 or figures.inputs == runs:
            save()

    if engine == "atheris":
        explore(run, seeds, seed, runs + len(seeds) + 1000, OUTPUT / f"corpus-{name}")
    else:
        for data in generate(seeds, seed, runs):
            run(data)
    save()
    return 0


def _replay(file: Path) -> int:
    from fuzz.targets import TARGETS

    target = TARGETS[file.name.split("-")[1]]
    try:
        target.run(file.read_bytes())
    except target.allowed as error:
        print(f"refused, as documented: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
