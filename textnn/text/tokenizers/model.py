"""Tokenizers that are trained models: their interface, and where those are that a path may name.

    path of a saved model --+
    files within another  --+-> PROVIDED -> the module of a task, imported now -> a tokenizer

What trains and saves such a model is a task, and this package knows none. A task derives a class from
:class:`ModelTokenizer`; a line in ``PROVIDED`` says where it is. The module is imported when such a model is named.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, cast

from textnn.text.tokenizers.base import Tokenizer

SEGMENTER = "segmenter"
PROVIDED = {SEGMENTER: "textnn.tagging.segmenter:Segmenter"}
"""Of each kind the module and the name of its class."""


class ModelTokenizer(Tokenizer):
    """A tokenizer that is a trained model: it is stored as a whole with a model that was trained with its tokens."""

    at_once: ClassVar[int] = 1024  # batches of similar length, and work for all cores

    @classmethod
    @abstractmethod
    def load(cls, path: Any, user_dictionary: Sequence[str] | None, stop_words: Sequence[str] | None) -> ModelTokenizer:
        """Return the tokenizer that a directory of its task holds.

        Parameters
        ----------
        path
            The directory.
        user_dictionary, stop_words
            Of the tokenizer; they are no part of the directory.
        """

    @classmethod
    @abstractmethod
    def read(cls, directory: Any, user_dictionary: Sequence[str], stop_words: Sequence[str]) -> ModelTokenizer:
        """Return the tokenizer whose files stand in an open directory, a :class:`textnn.bundle.files.Directory`."""

    @abstractmethod
    def write(self, directory: Path) -> None:
        """Write all files that :meth:`read` needs into an empty directory."""


def provided(kind: str) -> type[ModelTokenizer]:
    """Return the class of a kind in ``PROVIDED``."""
    module, _, name = PROVIDED[kind].partition(":")
    return cast(type[ModelTokenizer], getattr(import_module(module), name))
