"""The parameters of the classifier beside the options of its architecture (``textnn.models.options``), each once.

    parameters, OPTIONS -> the options of ``textnn train`` (_textnn_cli/parameters.py)
    NOT_STORED          -> what a saved model keeps (bundle/config.py)

The constructor's signature is the same list once more, for scikit-learn and for editors; tests compare them. This file
imports nothing of the package, and the command line runs it without loading torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Row = TypeVar("Row")

TEXT, NETWORK, TRAINING = "From text to tokens", "The network (defaults: the architecture's own)", "The training"


_TOKENIZERS = "auto: by the scripts. Or jieba, rjieba, unicode, mixed, char, whitespace, the directory of a segmenter."
_VECTORS = "Start from these word vectors (word2vec or fastText format)."
_PRETRAINED = "Start from the encoder of this language model (textnn write train)."
_WEIGHTS = "Weight of the texts of a label; repeatable. balanced: equal weight for all labels."
_THRESHOLD = "Multi-label: predict labels from this probability on; 0.5 by default. auto: best F1 for each label."

NOT_STORED = {
    "tokenizer",
    "user_dictionary",
    "stop_words",
    "vectors",
    "pretrained",
    "random_state",
    "device",
    "verbose",
}
"""What a saved model does not keep as it is: files hold the lists, others belong to a machine."""


def parameters(row: Callable[..., Row]) -> tuple[Row, ...]:
    """Return each parameter as ``row`` makes it, such as :class:`textnn.models.options.Parameter`."""
    return (
        row("architecture", str, "tfidf-textcnn"),
        row("tokenizer", str, "auto", TEXT, _TOKENIZERS, "NAME|DIRECTORY"),
        row("user_dictionary", Path, None, TEXT, "File of words for jieba, one a line.", "FILE"),
        row("stop_words", Path, None, TEXT, "File of words to leave out, one a line.", "FILE"),
        row("vectors", Path, None, NETWORK, _VECTORS, "FILE"),
        row("pretrained", Path, None, NETWORK, _PRETRAINED, "DIRECTORY"),
        row("class_weight", list, None, TRAINING, _WEIGHTS, "LABEL=NUMBER|balanced"),
        row("threshold", float, 0.5, TRAINING, _THRESHOLD, "NUMBER|auto"),
        row(
            "calibrate", bool, True, TRAINING, "Calibrate probabilities on the validation split.",
            option="--calibrate/--no-calibrate",
        ),
        row("warm_start", bool, False),
        row("random_state", int, None),
        row("device", str, "cpu"),
        row("verbose", int, 1),
    )  # fmt: skip
