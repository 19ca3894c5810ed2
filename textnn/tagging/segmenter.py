"""A segmenter as a tokenizer of other tasks: words of a text, by a model that was trained to find them.

texts -> pieces -> batches -> best tags (of words of the dictionary, theirs) -> words, without white space -> tokens
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from textnn.circumstances import plain_torch
from textnn.tagging import bundle
from textnn.tagging.dictionary import Dictionary
from textnn.tagging.entities import check_segmenter, cut
from textnn.tagging.state import State
from textnn.text.tokenizers.base import check_strings
from textnn.text.tokenizers.dictionary import parse_entry
from textnn.text.tokenizers.model import SEGMENTER, ModelTokenizer


class Segmenter(ModelTokenizer):
    """Words, by a :class:`textnn.SequenceTagger` that learnt to cut texts (:meth:`~textnn.SequenceTagger.fit_words`).

    Parameters
    ----------
    model : SequenceTagger or path
        A fitted tagger, or the directory of a saved one.
    user_dictionary : iterable of str, optional
        Words that are cut out wherever they stand, of words that overlap the leftmost, and the longest there. Lines of
        jieba's dictionaries (``word count tag``) will do; counts and tags have no effect.
    stop_words : iterable of str, optional
        Tokens to leave out.

    Raises
    ------
    TypeError, ValueError
        If the model does not cut text into words, or an entry is no string or of another form.
    BundleError
        If the directory is no saved tagger.

    Examples
    --------
    >>> tagger = textnn.SequenceTagger("ngram-crf", random_state=0, verbose=0)
    >>> tagger = tagger.fit_words(["我 来到 北京", "他 来到 上海", "我 在 上海"] * 20)
    >>> Segmenter(tagger, stop_words=["在"])("他在北京")
    ['他', '北京']
    """

    name = SEGMENTER

    def __init__(
        self,
        model: Any,
        user_dictionary: Iterable[str] | None = None,
        stop_words: Iterable[str] | None = None,
    ) -> None:
        super().__init__(stop_words)
        if isinstance(model, str | os.PathLike):
            with plain_torch(gradients=True):
                model, _ = bundle.load(model, "cpu", ())
        if not isinstance(model, State) and not isinstance(getattr(model, "state_", None), State):
            raise TypeError(f"model: expected a fitted SequenceTagger or a path, got {type(model).__name__}")
        self._state = State.of(model)
        try:
            check_segmenter(self._state)
        except ValueError as error:
            raise ValueError(f"tokenizer: {str(error).partition(': ')[2]}") from None
        lines = map(str.strip, check_strings("user_dictionary", user_dictionary))
        self._user_dictionary = [line for line in lines if line]
        words = [parse_entry(line)[0] for line in self._user_dictionary]
        self._dictionary = Dictionary(words) if words else None

    @classmethod
    def load(cls, path: Any, user_dictionary: Sequence[str] | None, stop_words: Sequence[str] | None) -> Segmenter:
        """Return the segmenter that a saved tagger is."""
        return cls(path, user_dictionary, stop_words)

    @classmethod
    def read(cls, directory: Any, user_dictionary: Sequence[str], stop_words: Sequence[str]) -> Segmenter:
        """Return the segmenter whose files stand in an open directory."""
        return cls(bundle.read(directory), user_dictionary, stop_words)

    def write(self, directory: Path) -> None:
        """Write the files of the tagger, without the parameters that it was trained with."""
        bundle.write(self._state, {}, directory)

    def split(self, text: str) -> list[str]:
        """Return the words of a text."""
        return self._split_each([text])[0]

    def _split_each(self, texts: list[str]) -> list[list[str]]:
        return [[word for word, _ in words] for words in cut(self._state, texts, self._dictionary)]

    @property
    def user_dictionary(self) -> list[str]:
        """The lines of the user's dictionary, in their order."""
        return list(self._user_dictionary)

    def config(self) -> dict[str, Any]:
        """Return the kind, and a digest of all that the words follow from."""
        return {"kind": self.name, "model": self._digest}

    @cached_property
    def _digest(self) -> str:
        state, digest = self._state, hashlib.sha256()
        digest.update(repr((state.tags.names, state.vocabulary.tokens, state.words)).encode("utf-8", "surrogatepass"))
        for name, tensor in sorted(state.model.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]
