"""Dropout at a fifth of the time that ``nn.Dropout`` takes on a CPU.

torch draws a number from its generator for each value, one after the other; here one draw of 64 bits serves four.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STEPS = 1 << 16  # of the probability: as many as a draw of 16 bits has


class Dropout(nn.Module):
    """``nn.Dropout`` with a probability in steps of 1 / 65,536; on other devices than the CPU it is that.

    Parameters
    ----------
    p
        The probability with which a value becomes zero in training. The others are divided by 1 - p.

    Notes
    -----
    Srivastava et al. 2014, Dropout. Draws come from torch's global generator.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p must lie between 0 and 1, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return x, in training with some of its values zero."""
        dropped = round(self.p * _STEPS)
        if not self.training or not dropped:
            return x
        if x.device.type != "cpu" or dropped == _STEPS or not x.numel():
            return F.dropout(x, self.p)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = draws.view(torch.int16)[: x.numel()].view(x.shape)
        return x * (bits >= dropped - _STEPS // 2).to(x.dtype).mul_(_STEPS / (_STEPS - dropped))

    def extra_repr(self) -> str:
        """Show the probability."""
        return f"p={self.p}"
