"""First weights of recurrent layers."""

from __future__ import annotations

from torch import nn

from textnn.layers import LSTM
from textnn.layers.recurrent import Recurrent


def start_recurrent(layers: Recurrent) -> None:
    """Draw the weights of recurrent layers, in place: orthogonal W_hh, gate by gate, Xavier's W_ih, biases of zero.

    The forget gates of an LSTM begin open, with a bias of one. (Saxe et al., "Exact solutions to the nonlinear dynamics
    of learning in deep linear neural networks", 2014; Jozefowicz et al., "An Empirical Exploration of Recurrent Network
    Architectures", 2015.)
    """
    H = layers.hidden_size
    for name, parameter in layers.named_parameters():
        if "weight_hh" in name:
            for gate in parameter.data.split(H):
                nn.init.orthogonal_(gate)
        elif "weight_ih" in name:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
            if isinstance(layers, LSTM) and "bias_ih" in name:
                nn.init.ones_(parameter.data[H : 2 * H])
