"""Kinds of tokens, as features: digits, letters, numerals, punctuation, ..."""

from __future__ import annotations

import unicodedata

KINDS = ("other", "digit", "letter", "punctuation", "numeral", "unit of time", "mixed")
_NUMERALS, _UNITS = frozenset("零〇○一二三四五六七八九十百千万亿两几"), frozenset("年月日时分秒")


def kinds_of(token: str) -> int:
    """Return the number of a token's kind in ``KINDS``, from 1.

    Examples
    --------
    >>> [KINDS[kinds_of(token) - 1] for token in ("7", "A", "。", "三", "年", "好", "4G")]
    ['digit', 'letter', 'punctuation', 'numeral', 'unit of time', 'other', 'mixed']
    """
    found = {_kind(character) for character in token}
    return 1 + KINDS.index(found.pop() if len(found) == 1 else "mixed" if found else "other")


def _kind(character: str) -> str:
    if character in _NUMERALS:
        return "numeral"
    if character in _UNITS:
        return "unit of time"
    category = unicodedata.category(character)
    if category == "Nd":
        return "digit"
    if category[0] in "PS":
        return "punctuation"
    return "letter" if category in ("Lu", "Ll") else "other"
