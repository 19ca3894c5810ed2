"""ONNX: a classifier as one file that onnxruntime, and much else, runs.

ExportedNetwork -> torch.onnx.export -> onnx.checker -> model.onnx (and model.onnx.data, from 2 GB on)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from textnn.export.tracing import dynamic_shapes, silence
from textnn.packages import EXPORT, need

NAME = "model.onnx"
DATA = f"{NAME}.data"
OPSET = 18
"""The first one with the bit operations of the hash."""

LARGEST = (1 << 31) - (1 << 24)
"""Bytes of weights that one file may hold: protobuf ends at 2 GB, and the graph needs some."""


def check_packages() -> None:
    """Raise an ImportError that says what to install, unless all is there that an export needs."""
    need(EXPORT, "an export to ONNX needs")


def write_onnx(
    network: nn.Module,
    example: tuple[Tensor, ...],
    axes: Sequence[dict[int, str]],
    inputs: Sequence[str],
    outputs: Sequence[str],
    directory: Path,
) -> None:
    """Write a network as ``model.onnx`` into a directory.

    Parameters
    ----------
    network
        For inference.
    example
        Tensors to call it with.
    axes
        Of each of them, the axes that may change, with their names.
    inputs, outputs
        Names.
    directory
        Where to write.
    """
    import onnx
    import torch

    with silence():
        program = torch.onnx.export(
            network,
            example,
            dynamo=True,
            dynamic_shapes=dynamic_shapes(axes),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        weights = sum(tensor.nbytes for tensor in network.state_dict().values())
        program.save(directory / NAME, external_data=weights > LARGEST)
    onnx.checker.check_model(str(directory / NAME), full_check=True)
