"""The parameters of the tagger beside the options of its architecture (``textnn.models.options``), each once.

    parameters, OPTIONS -> the options of ``textnn tag train`` (_textnn_cli/parameters.py)
    NOT_STORED          -> what a saved model keeps (bundle.py)

The constructor's signature is the same list once more, for scikit-learn and for editors; tests compare them. This file
imports nothing of the package, and the command line runs it without loading torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Row = TypeVar("Row")

TEXT, NETWORK = "From text to tokens", "The network (defaults: the architecture's own)"


_LEVELS = "Whether tokens are char or word; auto: as most tokens are, or as texts with spans are written."
_SCHEMES = "How tags mark spans: BIO, IOB1, BIOES, BMES, BILOU, IO; none: they mark none; auto: by their letters."
_VECTORS = "Start from these vectors of tokens (word2vec or fastText format)."

NOT_STORED = {"vectors", "random_state", "device", "verbose"}
"""What a saved model does not keep as it is: files hold the lists, others belong to a machine."""


def parameters(row: Callable[..., Row]) -> tuple[Row, ...]:
    """Return each parameter as ``row`` makes it, such as :class:`textnn.models.options.Parameter`."""
    return (
        row("architecture", str, "bilstm-crf"),
        row("level", str, "auto", TEXT, _LEVELS, "NAME"),
        row("scheme", str, "auto", TEXT, _SCHEMES, "NAME"),
        row("vectors", Path, None, NETWORK, _VECTORS, "FILE"),
        row("random_state", int, None),
        row("device", str, "cpu"),
        row("verbose", int, 1),
    )
