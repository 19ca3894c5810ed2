"""The parameters of the tagger beside the options of its architecture (``textnn.models.options``), each once.

    PARAMETERS, OPTIONS -> the options of ``textnn tag train`` (textnn_cli/parameters.py)
    PARAMETERS          -> what a saved model keeps (bundle.py)

The constructor's signature is the same list once more, for scikit-learn and for editors; tests compare them. This file
imports no torch, and the command line runs it without importing the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

TEXT, NETWORK = "From text to tokens", "The network (defaults: the architecture's own)"


class Parameter(NamedTuple):
    """A parameter of the tagger; as for :class:`textnn.classification.parameters.Parameter`."""

    name: str
    kind: type
    default: Any = None
    panel: str = ""
    sentence: str = ""
    metavar: str | None = None
    option: str | None = None
    stored: bool = True


_LEVELS = "Whether tokens are char or word; auto: as most of them are."
_SCHEMES = "How tags mark spans: BIO, IOB1, BIOES, BMES, BILOU, IO; none: they mark none; auto: by their letters."
_VECTORS = "Start from these vectors of tokens (word2vec or fastText format)."

PARAMETERS = (
    Parameter("architecture", str, "bilstm-crf"),
    Parameter("level", str, "auto", TEXT, _LEVELS, "NAME"),
    Parameter("scheme", str, "auto", TEXT, _SCHEMES, "NAME"),
    Parameter("vectors", Path, None, NETWORK, _VECTORS, "FILE", stored=False),
    Parameter("random_state", int, None, stored=False),
    Parameter("device", str, "cpu", stored=False),
    Parameter("verbose", int, 1, stored=False),
)
NOT_STORED = {parameter.name for parameter in PARAMETERS if not parameter.stored}
