"""The oldest torch that textnn runs on: stated in pyproject.toml's dependencies, read here by everything that builds.

The library is compiled for this release whatever torch it is built beside, so that one library serves all later ones.
"""

from __future__ import annotations

import re
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def torch_floor(pyproject: Path = PYPROJECT) -> tuple[int, int]:
    """Return the release that the dependencies name, such as (2, 10).

    Raises
    ------
    ValueError
        If they name none in the form ``"torch>=2.10"``.
    """
    _, _, after = pyproject.read_text(encoding="utf-8").partition("\ndependencies = [")
    match = re.search(r'^\s*"torch>=(\d+)\.(\d+)",$', after.partition("\n]")[0], re.MULTILINE)
    if match is None:
        raise ValueError(f'{pyproject}: the dependencies hold no line "torch>=MAJOR.MINOR"')
    return int(match[1]), int(match[2])


def target_define() -> str:
    """Return the compiler's flag that hides what torch has added to its stable ABI since."""
    major, minor = torch_floor()
    return f"-DTORCH_TARGET_VERSION=0x{major:02x}{minor:02x}000000000000"
