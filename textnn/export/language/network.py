"""A step of a language model, of torch.nn's layers alone.

tokens [B], states [S, layers, B, H] -> embedding -> recurrent layers -> (linear) -> logits [B, V], states
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textnn.export.plain import to_torch_nn
from textnn.language.network import LanguageNetwork

TOKENS, STATES, LOGITS, NEW_STATES = "tokens", "states", "logits", "new_states"


class ExportedStep(nn.Module):
    """A trained network of a language model that reads one token of each of some texts.

    Parameters
    ----------
    model
        Stays as it is.
    """

    def __init__(self, model: LanguageNetwork) -> None:
        super().__init__()
        self.network: Any = to_torch_nn(model)
        self._pair = model.memory == 2
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, V] of what follows, and the states behind the tokens, of the shape of those before.

        Parameters
        ----------
        inputs
            Ids, int64 [B], and states [S, layers, B, H]: h, and c of an LSTM; zeros before the first token.
        """
        tokens, states = inputs
        network = self.network
        x = F.embedding(tokens, network.embedding.weight)[None]
        y, final = network.layers(x, (states[0], states[1]) if self._pair else states[0])
        features = y[0] if network.narrow is None else network.narrow(y[0])
        logits = F.linear(features, network.weight, network.bias)
        return logits, torch.stack(tuple(final)) if self._pair else final[None]
