"""What the layers have in common: a name in ``print(model)`` that tells them from those of torch.nn."""

from __future__ import annotations

from torch import nn


class Layer(nn.Module):
    """A module that shows itself as ``textnn.LSTM(...)``; a subclass from elsewhere goes by its own name."""

    def _get_name(self) -> str:
        name = super()._get_name()
        return f"textnn.{name}" if type(self).__module__.startswith("textnn.layers.") else name
