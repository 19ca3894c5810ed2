"""In which precision a training step multiplies.

    weights, float32 -> forward under autocast -> outputs -> float32: loss -> backward -> gradients, float32 -> Adam

In bfloat16 the kernels and torch's own products round their factors and add up in float32. All else of a training,
validation too, is as in float32. A CPU that does not multiply bfloat16 faster trains in float32, since torch's products
take many times as long otherwise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from textnn import backends
from textnn.models import Network
from textnn.models.options import BFLOAT16
from textnn.text import RaggedBatch


def forward(model: Network, batch: RaggedBatch, precision: str, device: torch.device) -> Tensor:
    """Return the outputs of a network for a batch, in the dtype of its weights; the backward pass has its precision."""
    if not multiplies_bfloat16(precision, device):
        return model(*batch.inputs)
    with torch.autocast(device.type, torch.bfloat16):
        outputs: Tensor = model(*batch.inputs)
    return outputs.float()


def multiplies_bfloat16(precision: str, device: torch.device) -> bool:
    """Return whether the products of a training in a precision are those of bfloat16 on a device."""
    return precision == BFLOAT16 and (device.type != "cpu" or backends.has_bfloat16())


def check_precision(precision: str, device: torch.device | str) -> str | None:
    """Return a sentence for the user if a device does not have the precision of a training and float32 stands in; else
    None.

    Raises
    ------
    ValueError
        If torch has no such precision on the device.
    """
    device = torch.device(device)
    if precision != BFLOAT16:
        return None
    if not torch.amp.is_autocast_available(device.type):
        raise ValueError(
            f"precision: torch has no {precision!r} for training on the device {device.type!r}; write 'float32'"
        )
    if multiplies_bfloat16(precision, device):
        return None
    return "precision: bfloat16 is not faster on this CPU; the training multiplies float32"
