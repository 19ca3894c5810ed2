"""Inference with a recurrent layer whose weights do not change any more: products of bfloat16.

    LSTM, GRU, RNN        --freeze("bfloat16")-->  FrozenRecurrent
    the same from ids     --freeze("bfloat16")-->  FrozenRecurrent, with their table as it is

An LSTM has a form of 8 bits as well (frozen_lstm.py).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from .base import Unscriptable

BFLOAT16 = "bfloat16"


class FrozenRecurrent(Unscriptable):
    """The inference form of a recurrent layer in bfloat16, which makes it: ``layer.freeze("bfloat16")``.

    Parameters
    ----------
    layer : LSTM, GRU, RNN, EmbeddingLSTM, EmbeddingGRU or EmbeddingRNN
        A copy of it is kept, under ``layer``, in float32: weights are rounded as they are packed for each batch.

    Raises
    ------
    ValueError
        If a weight is not in float32.

    Examples
    --------
    >>> gru, x = textnn.GRU(4, 3), torch.randn(5, 2, 4)
    >>> frozen = gru.freeze("bfloat16")
    >>> with torch.no_grad():
    ...     bool((frozen(x)[0] - gru(x)[0]).abs().max() < 0.05)
    True
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        for name, parameter in layer.named_parameters():
            if parameter.dtype != torch.float32:
                raise ValueError(f"dtype 'bfloat16' needs weights in float32, but {name} is {parameter.dtype}")
        self.layer = copy.deepcopy(layer).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenRecurrent:
        """Set the mode of this module; the layer stays without dropout."""
        super().train(mode)
        self.layer.eval()
        return self

    def forward(self, input: Any, hx: Any = None, **options: Any) -> tuple[Any, ...]:  # noqa: A002
        """Run a batch; arguments, results and errors are those of the layer."""
        device = next(self.layer.parameters()).device.type
        with torch.autocast(device, torch.bfloat16):
            results = self.layer(input, hx, **options)
        return tuple(map(_in_float32, results))


def _in_float32(result: Any) -> Any:
    several = isinstance(result, tuple) and not isinstance(result, PackedSequence)
    return tuple(map(_in_float32, result)) if several else result.float()


class Freezable(nn.Module):
    """A recurrent layer that has nothing faster for inference than bfloat16."""

    def freeze(self, dtype: str = BFLOAT16) -> FrozenRecurrent:
        """Return a module for inference only that multiplies bfloat16; this layer stays as it is.

        Factors of products are rounded to 8 bits; sums and states are float32, and so is the dtype of results. With
        AVX512-BF16 (:func:`textnn.backends.cpu_capability`) this is faster for batches, though not for a single
        sequence of few units; on other CPUs it is as fast as float32.

        Parameters
        ----------
        dtype : {"bfloat16"}

        Returns
        -------
        FrozenRecurrent

        Raises
        ------
        ValueError
            For another dtype, or weights that are not in float32.
        """
        return freeze(self, dtype)


def freeze(layer: nn.Module, dtype: str) -> FrozenRecurrent:
    """Return the inference form of a layer, if the dtype is ``"bfloat16"``."""
    if dtype != BFLOAT16:
        name = type(layer).__name__
        raise ValueError(f"dtype must be 'bfloat16', got {dtype!r}: in its own dtype {name} has nothing to freeze")
    return FrozenRecurrent(layer)
