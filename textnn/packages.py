"""Packages that only some of the package's parts need: a message that says what to install, where one is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

# What each of these parts needs, by the names that pip knows. The extras of pyproject.toml install the same.
PLOTS = ("matplotlib",)
SERVE = ("fastapi", "uvicorn", "prometheus-client", "limits")
EXPORT = ("onnx", "onnxscript")
BATCH = ("pyarrow",)
RAY = ("ray[data]",)
TRANSLATE = ("sacrebleu",)


def need(packages: Sequence[str], purpose: str) -> None:
    """Raise an ImportError that begins with ``purpose``, such as "serving needs", unless all packages are installed."""
    modules = {name: name.partition("[")[0].replace("-", "_") for name in packages}
    missing = [name for name, module in modules.items() if importlib.util.find_spec(module) is None]
    if missing:
        quoted = [f"'{name}'" if "[" in name else name for name in missing]  # brackets are a pattern to some shells
        raise ImportError(f"{purpose} {', '.join(missing)}: pip install {' '.join(quoted)}")
