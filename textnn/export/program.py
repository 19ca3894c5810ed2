"""torch.export: a classifier as a program that torch loads and runs without textnn.

ExportedNetwork -> export_program -> model.pt2
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from textnn.export.recurrence import export_program
from textnn.export.tracing import dynamic_shapes, silence

NAME = "model.pt2"


def write_program(
    network: nn.Module, example: tuple[Tensor, ...], axes: Sequence[dict[int, str]], directory: Path
) -> None:
    """Write a network as ``model.pt2`` into a directory; parameters as for :func:`textnn.export.onnx.write_onnx`."""
    content = io.BytesIO()  # torch's own writer ends the process where a disk is full
    with silence():
        torch.export.save(export_program(network, example, dynamic_shapes=dynamic_shapes(axes)), content)
    (directory / NAME).write_bytes(content.getbuffer())
