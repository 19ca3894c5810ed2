"""Which scripts texts are written in, and how texts in these scripts are cut into words.

    texts -> letters of each script -> share of the words -> tokenizer, form of the characters

Chinese is written without spaces, and a dictionary finds its words. Most other scripts have spaces. Japanese, Thai and
some others have neither spaces nor a dictionary here: their tokens are characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from itertools import islice, pairwise

import numpy as np

LONGEST = 1000
"""Characters of each text that are looked at."""

_AT_ONCE = 4096  # texts

_HAN = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_KANA = ((0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9D))
# Thai, Lao, Tibetan, Myanmar, Khmer, New Tai Lue, Tai Tham, Balinese, Javanese, Tai Viet.
_UNSPACED = (
    *((0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1980, 0x19DF), (0x1A20, 0x1AAF)),
    *((0x1B00, 0x1B7F), (0xA980, 0xA9DF), (0xAA80, 0xAADF)),
)
# Letters of a word, about: a Chinese word has one or two, an English one and the space behind it five or six.
_PER_WORD = {"han": 1.5, "kana": 2.5, "unspaced": 4.0, "spaced": 5.0}
_JAPANESE = 0.2  # kana for each Chinese character: Japanese text has about as many of both, Chinese hardly any
_FEW, _MOST = 0.02, 0.9  # of the words: a script with fewer does not count, one with more is the only one that does


@cache
def combining_marks() -> str:
    """Return a class of a regular expression, without brackets: what belongs to the letter before it.

    Python's ``\\w`` has no combining marks, such as the vowel signs of Hindi, and no (zero width) joiners.
    """
    codes = [code for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M"]
    codes += [0x200C, 0x200D, *range(0xE0100, 0xE01F0)]
    starts = [code for before, code in pairwise([-1, *codes]) if code != before + 1]
    ends = [code for code, after in pairwise([*codes, -1]) if after != code + 1]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))


@dataclass(frozen=True)
class Scripts:
    """How many letters of each kind of script some texts have.

    Attributes
    ----------
    han : int, default=0
        Chinese characters, also those of Japanese.
    kana : int, default=0
        Hiragana and katakana.
    unspaced : int, default=0
        Letters of other scripts without spaces between words, such as Thai.
    spaced : int, default=0
        All other letters: Latin, Cyrillic, Arabic, Hangul, ...

    Examples
    --------
    >>> scripts = Scripts.of(["房间很干净", "OK"])
    >>> scripts
    Scripts(han=5, kana=0, unspaced=0, spaced=2)
    >>> scripts.tokenizer, scripts.is_spaced
    ('mixed', False)
    """

    han: int = 0
    kana: int = 0
    unspaced: int = 0
    spaced: int = 0

    @classmethod
    def of(cls, texts: Iterable[str]) -> Scripts:
        """Count the letters of texts, of each its first 1,000 characters."""
        counts = np.zeros(0x110000, dtype=np.int64)
        stream = iter(texts)
        while chunk := list(islice(stream, _AT_ONCE)):
            joined = "".join(text[:LONGEST] for text in chunk).encode("utf-32-le", "surrogatepass")
            counts += np.bincount(np.frombuffer(joined, dtype=np.uint32), minlength=0x110000)

        def within(ranges: Iterable[tuple[int, int]]) -> int:
            found = sum(int(counts[first : last + 1].sum()) for first, last in ranges)
            for first, last in ranges:
                counts[first : last + 1] = 0
            return found

        han, kana, unspaced = within(_HAN), within(_KANA), within(_UNSPACED)
        return cls(han, kana, unspaced, sum(int(counts[code]) for code in counts.nonzero()[0] if chr(code).isalpha()))

    def __add__(self, other: Scripts) -> Scripts:
        return Scripts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def shares(self) -> tuple[float, float, float]:
        """The shares of the words that are Chinese, that stand between spaces, and that can be found in neither way."""
        words = {name: getattr(self, name) / letters for name, letters in _PER_WORD.items()}
        other = words["kana"] + words["unspaced"]
        if self.kana > _JAPANESE * self.han:
            words["han"], other = 0.0, other + words["han"]
        total = sum((words["han"], words["spaced"], other)) or 1.0
        return words["han"] / total, words["spaced"] / total, other / total

    @property
    def tokenizer(self) -> str:
        """What finds the words: ``"jieba"``, ``"unicode"``, ``"mixed"`` (both), or ``"char"`` where nothing can."""
        chinese, spaced, other = self.shares
        if other > max(chinese, spaced):
            return "char"
        if chinese < _FEW:
            return "unicode"
        return "jieba" if chinese > _MOST else "mixed"

    def describe(self) -> str:
        """Say how the words are written, for people: ``"98 % of the words are Chinese, 2 % stand between spaces"``."""
        phrases = "are Chinese", "stand between spaces", "are in a script without spaces"
        shares = [(share, phrase) for share, phrase in zip(self.shares, phrases, strict=True) if share >= 0.005]
        if not shares:
            return "there are no letters"
        (share, phrase), *others = sorted(shares, reverse=True)
        rest = "".join(f", {share:.0%} {phrase}".replace("%", " %") for share, phrase in others)
        return f"{100 * share:.0f} % of the words {phrase}{rest}"

    @property
    def is_spaced(self) -> bool:
        """Whether most words stand between spaces, so that single characters say little."""
        return self.shares[1] > 0.5 or not any((self.han, self.kana, self.unspaced))
