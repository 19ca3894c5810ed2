"""In which precision a training step multiplies.

    weights, float32 -> forward under autocast -> outputs -> float32: loss -> backward -> gradients, float32 -> Adam

In bfloat16 the kernels and torch's own products round their factors and add up in float32. All else of a training,
validation too, is as in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from textnn.backends import CPU_CAPABILITIES, cpu_capability
from textnn.models import Network
from textnn.models.options import BFLOAT16
from textnn.text import RaggedBatch


def forward(model: Network, batch: RaggedBatch, precision: str, device: torch.device) -> Tensor:
    """Return the outputs of a network for a batch, in the dtype of its weights; the backward pass has its precision."""
    if precision != BFLOAT16:
        return model(*batch.inputs)
    with torch.autocast(device.type, torch.bfloat16):
        outputs: Tensor = model(*batch.inputs)
    return outputs.float()


def check_precision(precision: str, device: torch.device | str) -> str | None:
    """Return a sentence for the user if a training in a precision gains nothing on a device; else None.

    Raises
    ------
    ValueError
        If torch has no such precision on the device.
    """
    kind = torch.device(device).type
    if precision != BFLOAT16:
        return None
    if not torch.amp.is_autocast_available(kind):
        raise ValueError(f"precision: torch has no {precision!r} for training on the device {kind!r}; write 'float32'")
    if kind == "cpu" and CPU_CAPABILITIES.index(cpu_capability()) < CPU_CAPABILITIES.index("avx512_bf16"):
        return "precision: this CPU has no instructions for bfloat16; float32 is as fast or many times faster"
    return None
