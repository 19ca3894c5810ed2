"""The parameters of the language model beside the options of its network (``textnn.models.options``), each once.

    PARAMETERS, OPTIONS -> the options of ``textnn write train`` (textnn_cli/parameters.py)
    PARAMETERS          -> what a saved model keeps (bundle.py)

The constructor's signature is the same list once more, for scikit-learn and for editors; tests compare them. This file
imports no torch, and the command line runs it without importing the package.
"""

from __future__ import annotations

from typing import Any, NamedTuple

TEXT, NETWORK = "From text to tokens", "The network (defaults: the architecture's own)"


class Parameter(NamedTuple):
    """A parameter of the language model; as for :class:`textnn.classification.parameters.Parameter`."""

    name: str
    kind: type
    default: Any = None
    panel: str = ""
    sentence: str = ""
    metavar: str | None = None
    option: str | None = None
    stored: bool = True


_LEVELS = "Tokens: char, word (with the space before it), or a tokenizer (jieba, ..., the directory of a segmenter)."

PARAMETERS = (
    Parameter("level", str, "char", TEXT, _LEVELS, "NAME", stored=False),
    Parameter("cell", str, "lstm", NETWORK, "lstm, gru or rnn.", "NAME"),
    Parameter("random_state", int, None, stored=False),
    Parameter("device", str, "cpu", stored=False),
    Parameter("verbose", int, 1, stored=False),
)
NOT_STORED = {parameter.name for parameter in PARAMETERS if not parameter.stored}
