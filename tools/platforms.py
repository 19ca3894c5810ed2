"""Says where the kernels can be compiled, before a compiler says it in a thousand lines."""

from __future__ import annotations

import platform
import sys

MACHINES = ("x86_64", "aarch64")


def refusal(system: str | None = None, machine: str | None = None) -> str | None:
    """Return the sentence for a platform on which the kernels do not build, or None; by default for this one."""
    system = system or sys.platform
    machine = machine or platform.machine()
    if system == "linux" and machine.lower() in (*MACHINES, "amd64", "arm64"):
        return None
    advice = {
        "win32": "use WSL 2, or a Linux container",
        "darwin": "use a Linux container",
    }.get(system, "use such a machine")
    return f"textnn builds on Linux with an x86-64 or aarch64 processor, and this is {system} on {machine}: {advice}"
