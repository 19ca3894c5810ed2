"""The parameters of the translator beside the options of its network (``textnn.models.options``), each once.

    parameters, OPTIONS -> the options of ``textnn translate train`` (_textnn_cli/parameters.py)
    NOT_STORED          -> what a saved model keeps (bundle.py)

The constructor's signature is the same list once more, for scikit-learn and for editors; tests compare them. This file
imports nothing of the package, and the command line runs it without loading torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Row = TypeVar("Row")

TEXT, NETWORK = "From text to tokens", "The network (defaults: the architecture's own)"

_LEVELS = "char, word (each Chinese character is one), or a tokenizer (jieba, ..., the directory of a segmenter)."

NOT_STORED = {"source_level", "target_level", "random_state", "device", "verbose"}
"""What a saved model does not keep as it is: levels are in its configuration, others belong to a machine."""


def parameters(row: Callable[..., Row]) -> tuple[Row, ...]:
    """Return each parameter as ``row`` makes it, such as :class:`textnn.models.options.Parameter`."""
    return (
        row("source_level", str, "word", TEXT, f"Tokens of the source: {_LEVELS}", "NAME"),
        row("target_level", str, "word", TEXT, f"Tokens of the target: {_LEVELS}", "NAME"),
        row("max_length", int, None, TEXT, "Leave out pairs with more tokens on either side."),
        row("cell", str, "lstm", NETWORK, "lstm, gru or rnn.", "NAME"),
        row("attention", str, "general", NETWORK, "Score of the attention: dot, general, or none.", "NAME"),
        row("random_state", int, None),
        row("device", str, "cpu"),
        row("verbose", int, 1),
    )
