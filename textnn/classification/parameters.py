"""The parameters of the classifier beside the options of its architecture (``textnn.models.options``), each once.

    PARAMETERS, OPTIONS -> the options of ``textnn train`` (textnn_cli/parameters.py)
    PARAMETERS          -> what a saved model keeps (bundle/config.py)

The constructor's signature is the same list once more, for scikit-learn and for editors; tests compare them. This file
imports no torch, and the command line runs it without importing the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

TEXT, NETWORK, TRAINING = "From text to tokens", "The network (defaults: the architecture's own)", "The training"


class Parameter(NamedTuple):
    """A parameter of the classifier.

    Attributes
    ----------
    name, kind, default
        Its name, the type of what is typed for it, and its default.
    panel, sentence, metavar, option
        As for :class:`textnn.models.options.Option`; without them it is none of ``textnn train``'s, or one with its own
        name and meaning there.
    stored
        Whether a saved model keeps it as it is: files hold the lists, others belong to a machine.
    """

    name: str
    kind: type
    default: Any = None
    panel: str = ""
    sentence: str = ""
    metavar: str | None = None
    option: str | None = None
    stored: bool = True


_TOKENIZERS = "auto: by the scripts. Or jieba, rjieba, unicode, mixed, char, whitespace, the directory of a segmenter."
_VECTORS = "Start from these word vectors (word2vec or fastText format)."
_WEIGHTS = "Weight of the texts of a label; repeatable. balanced: equal weight for all labels."
_THRESHOLD = "Multi-label: predict labels from this probability on; 0.5 by default. auto: best F1 for each label."

PARAMETERS = (
    Parameter("architecture", str, "tfidf-textcnn"),
    Parameter("tokenizer", str, "auto", TEXT, _TOKENIZERS, "NAME|DIRECTORY", stored=False),
    Parameter("user_dictionary", Path, None, TEXT, "File of words for jieba, one a line.", "FILE", stored=False),
    Parameter("stop_words", Path, None, TEXT, "File of words to leave out, one a line.", "FILE", stored=False),
    Parameter("vectors", Path, None, NETWORK, _VECTORS, "FILE", stored=False),
    Parameter("class_weight", list, None, TRAINING, _WEIGHTS, "LABEL=NUMBER|balanced"),
    Parameter("threshold", float, 0.5, TRAINING, _THRESHOLD, "NUMBER|auto"),
    Parameter(
        "calibrate", bool, True, TRAINING, "Calibrate probabilities on the validation split.",
        option="--calibrate/--no-calibrate",
    ),
    Parameter("warm_start", bool, False),
    Parameter("random_state", int, None, stored=False),
    Parameter("device", str, "cpu", stored=False),
    Parameter("verbose", int, 1, stored=False),
)  # fmt: skip
NOT_STORED = {parameter.name for parameter in PARAMETERS if not parameter.stored}
