"""Texts to try a model on. A model does not keep the texts that it was trained on, and what it is for can only be told
from its classes: where they are those of reviews, and its words Chinese ones, there are some reviews, else nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

REVIEWS = (
    "房间很干净，服务也很热情，下次还来",
    "物流太慢了，包装也破了，很失望",
    "书还可以，就是价格有点贵",
    "质量很差，用了两天就坏了",
)

_OPINIONS = (
    *({"positive", "negative"}, {"pos", "neg"}, {"good", "bad"}),
    *({"正面", "负面"}, {"积极", "消极"}, {"正向", "负向"}, {"好评", "差评"}),
)
_CHINESE = ("jieba", "rjieba", "char", "segmenter")


def find_examples(classes: Sequence[Any], tokenizer: str) -> list[str]:
    """Return texts of the kind that a model is for, or none where that is not known.

    Parameters
    ----------
    classes
        Of the model.
    tokenizer
        The kind of its tokenizer.
    """
    names = {str(label).lower() for label in classes}
    known = tokenizer in _CHINESE and any(pair <= names for pair in _OPINIONS)
    return list(REVIEWS) if known else []
