"""What both exports need of torch's tracing: axes that may change, and silence about matters of its own."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


def dynamic_shapes(axes: Sequence[dict[int, str]]) -> Any:
    """Return the dynamic shapes of a ``forward(*inputs)``: of each input, the axes that may change, with their names.

    Axes of one name have one size.
    """
    dims = {name: torch.export.Dim(name) for shape in axes for name in shape.values()}
    return (tuple({axis: dims[name] for axis, name in shape.items()} for shape in axes),)


@contextmanager
def silence() -> Iterator[None]:
    """Keep torch from telling which packages it misses, what it did not fold, and what it will change some day."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", message="# The axis name: .* will not be used")  # it is, under one name
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
