"""The parameters of the language model beside the options of its network (``textnn.models.options``), each once.

    parameters, OPTIONS -> the options of ``textnn write train`` (_textnn_cli/parameters.py)
    NOT_STORED          -> what a saved model keeps (bundle.py)

The constructor's signature is the same list once more, for scikit-learn and for editors; tests compare them. This file
imports nothing of the package, and the command line runs it without loading torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Row = TypeVar("Row")

TEXT, NETWORK = "From text to tokens", "The network (defaults: the architecture's own)"

_LEVELS = "Tokens: char, word (with the space before it), or a tokenizer (jieba, ..., the directory of a segmenter)."

NOT_STORED = {"level", "random_state", "device", "verbose"}
"""What a saved model does not keep as it is: the level is in its configuration, others belong to a machine."""


def parameters(row: Callable[..., Row]) -> tuple[Row, ...]:
    """Return each parameter as ``row`` makes it, such as :class:`textnn.models.options.Parameter`."""
    return (
        row("level", str, "char", TEXT, _LEVELS, "NAME"),
        row("cell", str, "lstm", NETWORK, "lstm, gru or rnn.", "NAME"),
        row("random_state", int, None),
        row("device", str, "cpu"),
        row("verbose", int, 1),
    )
