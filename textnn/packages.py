"""Packages that only some of the package's parts need: a message that says what to install, where one is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

# What each of these parts needs, by the names that pip knows. The extras of pyproject.toml install the same.
PLOTS = ("matplotlib",)
SERVE = ("fastapi", "uvicorn", "prometheus-client", "limits")
EXPORT = ("onnx", "onnxscript")
TRANSLATE = ("sacrebleu",)


def need(packages: Sequence[str], purpose: str) -> None:
    """Raise an ImportError that begins with ``purpose``, such as "serving needs", unless all packages are installed."""
    missing = [name for name in packages if importlib.util.find_spec(name.replace("-", "_")) is None]
    if missing:
        raise ImportError(f"{purpose} {', '.join(missing)}: pip install {' '.join(missing)}")
