"""What this machine has: asked in another process, as a device that hangs or a torch that breaks must not stop us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.cuda_toolkit import find_toolkit, toolkit_version

ASK = """
import json, platform, torch
facts = {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda or ""}
if torch.version.cuda and torch.cuda.is_available():
    p = torch.cuda.get_device_properties(0)
    facts |= {"device": p.name, "capability": f"{p.major}.{p.minor}", "multiprocessors": p.multi_processor_count,
              "memory_gib": round(p.total_memory / 2**30, 1), "cudnn": str(torch.backends.cudnn.version()),
              "devices": torch.cuda.device_count()}
print("FACTS " + json.dumps(facts))
"""
QUERY = "driver_version,clocks.current.sm,clocks.max.sm,clocks.current.memory,power.limit,temperature.gpu"


@dataclass(frozen=True)
class Machine:
    """The facts; ``lack`` says in a sentence why nothing can run on a GPU here, and is empty where it can."""

    lack: str
    facts: dict[str, Any] = field(default_factory=dict)
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    toolkit: Path | None = None

    @property
    def capability(self) -> str:
        """What TORCH_CUDA_ARCH_LIST wants: "9.0"."""
        return str(self.facts["capability"])

    def tool(self, name: str) -> str | None:
        """Return the path of one of the toolkit's programs."""
        inside = self.toolkit / "bin" / name if self.toolkit else None
        return str(inside) if inside and inside.exists() else shutil.which(name)

    def described(self) -> dict[str, str]:
        """Return what a page says of the machine."""
        toolkit = ".".join(map(str, toolkit_version(self.toolkit))) if self.toolkit else "none"
        return {**{name: str(v) for name, v in self.facts.items()}, "cores": str(self.cores), "toolkit": toolkit}

    def stored(self) -> dict[str, Any]:
        """Return what the JSON file says of it, without folders."""
        return {key: value for key, value in asdict(self).items() if key != "toolkit"} | {"all": self.described()}


def probe(device: str, seconds: float = 60.0) -> Machine:
    """Ask torch about the device; on "cpu" only whether torch is there."""
    toolkit = find_toolkit()
    try:
        told = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return Machine(f"torch has not found out within {seconds:.0f} s whether there is a GPU", toolkit=toolkit)
    line = next((line for line in told.stdout.splitlines() if line.startswith("FACTS ")), None)
    if line is None:
        last = (told.stderr.strip().splitlines() or ["no message"])[-1]
        return Machine(f"the Python that runs this ({sys.executable}) cannot use torch: {last}", toolkit=toolkit)
    facts = json.loads(line.removeprefix("FACTS "))
    return Machine(lack_of(facts, toolkit) if device == "cuda" else "", facts, toolkit=toolkit)


def lack_of(facts: dict[str, Any], toolkit: Path | None) -> str:
    """Say why nothing can run on a GPU, or nothing."""
    if not facts["cuda"]:
        return f"there is no GPU to run on: torch {facts['torch']} is built without CUDA"
    if "device" not in facts:
        return f"there is no GPU to run on: torch {facts['torch']} finds none, or no driver"
    if toolkit is None:
        return "there is no CUDA toolkit to build with: set CUDA_HOME to its folder"
    return ""


def driver() -> dict[str, str]:
    """Return driver, clocks, power limit and temperature as nvidia-smi tells them; nothing where it does not."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    command = [program, f"--query-gpu={QUERY}", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return parse_driver(told.stdout) if told.returncode == 0 else {}


def parse_driver(text: str) -> dict[str, str]:
    """Read the first device of nvidia-smi's answer."""
    values = [value.strip() for value in (text.strip().splitlines() or [""])[0].split(",")]
    names = QUERY.split(",")
    return dict(zip(names, values, strict=True)) if len(values) == len(names) else {}
