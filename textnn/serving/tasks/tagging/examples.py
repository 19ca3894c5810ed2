"""Texts to try a tagger on: where its types are those of names, or its words those of a language, and it knows what the
texts are written with.
"""

from __future__ import annotations

from textnn.tagging.state import State
from textnn.tagging.texts import pieces
from textnn.text import Vocabulary

NAMES = {
    "char": (
        "鲁迅1881年出生于浙江绍兴，代表作有《呐喊》和《朝花夕拾》。",
        "北京大学教授在《科学》杂志上发表了论文。",
        "中国足球协会昨天在上海宣布了新的国家队主教练。",
    ),
    "word": (
        "Shakespeare was born in Stratford and worked in London.",
        "The University of Oxford and the BBC are older than Google.",
    ),
}
"""Texts with names of people, places and organizations."""

SENTENCES = (
    "他从马上下来，马上就到了北京大学。",
    "中国科学院计算所的研究生命题很认真。",
    "昨天下午我们在长江大桥上散步。",
)
"""Chinese sentences whose words want a second look."""

_NAMED = {
    *("name", "per", "person", "loc", "location", "gpe", "place", "address", "org", "organization", "company"),
    *("人名", "地名", "机构名", "nr", "ns", "nt"),
}
_KNOWN = 0.8  # of the tokens


def find_examples(state: State, task: str) -> list[str]:
    """Return texts of the kind that a model is for, or none where that is not known.

    Parameters
    ----------
    state
        The model.
    task
        What it is for: ``"entities"``, ``"segmentation"`` or ``"tagging"``.
    """
    if task == "segmentation":
        return [text for text in SENTENCES if _knows(state, text)]
    if task == "entities" and not _NAMED.isdisjoint(type_.lower() for type_ in state.tags.types):
        return [text for text in NAMES[state.level] if _knows(state, text)]
    return []


def tokens_of(state: State, text: str) -> list[str]:
    """Return the tokens of a text, as the model reads it."""
    return [token for piece in pieces(text, state.level) for token in piece.tokens]


def _knows(state: State, text: str) -> bool:
    ids = state.encoder.encode(tokens_of(state, text))
    return bool(ids) and sum(id_ != Vocabulary.UNK_ID for id_ in ids) >= _KNOWN * len(ids)
