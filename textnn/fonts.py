"""Fonts for labels in any script: matplotlib's own has no Chinese.

texts -> their characters -> installed fonts, by known names, that really have the glyphs -> families to draw with
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

# By what a system brings along or is usually given: Linux, Windows, macOS; then symbols.
_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK TC", "Noto Sans CJK HK", "Noto Sans CJK KR",
    "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "Source Han Sans",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "AR PL UMing CN", "AR PL UKai CN",
    "Microsoft YaHei", "Microsoft JhengHei", "SimHei", "SimSun", "DengXian", "Malgun Gothic", "Yu Gothic", "MS Gothic",
    "PingFang SC", "PingFang HK", "Hiragino Sans GB", "Hiragino Sans", "Heiti SC", "Heiti TC", "STHeiti", "Songti SC",
    "Apple SD Gothic Neo", "Noto Serif CJK SC", "Noto Serif CJK JP", "Source Han Serif SC", "Arial Unicode MS",
    "Unifont", "Noto Emoji", "Symbola", "Segoe UI Emoji", "Segoe UI Symbol", "Noto Sans Symbols2", "Noto Sans",
)  # fmt: skip
BASE = "DejaVu Sans"


def find_families(texts: Iterable[str]) -> tuple[list[str], str]:
    """Return the families to draw texts with, the first that has a glyph drawing it, and the characters that none has.

    Parameters
    ----------
    texts
        What is to be drawn.
    """
    missing = {ord(character) for text in texts for character in text if not character.isspace()}
    # Matplotlib draws these, which have no width of their own, as nothing.
    missing = {code for code in missing if unicodedata.category(chr(code)) not in ("Cf", "Mn")}
    families, missing = _cover(missing)
    if missing and _add_new_fonts():
        more, missing = _cover(missing)
        families += [family for family in more if family not in families]
    return families, "".join(map(chr, sorted(missing)))


def _cover(missing: set[int]) -> tuple[list[str], set[int]]:
    """Return families that have as many of the characters as any known to matplotlib, and the other characters."""
    from matplotlib.font_manager import fontManager

    paths: dict[str, str] = {}
    for entry in fontManager.ttflist:
        if entry.style == "normal" and (entry.name not in paths or entry.weight in (400, "normal", "regular")):
            paths[entry.name] = entry.fname
    families = [BASE]
    missing = missing - _glyphs(paths[BASE])
    for family in _FAMILIES:
        if missing and family in paths and (found := _glyphs(paths[family]) & missing):
            families.append(family)
            missing = missing - found
    return families, missing


@cache
def _add_new_fonts() -> bool:
    """Tell matplotlib of known fonts that were installed after it had made its list; return whether there are any."""
    from matplotlib.font_manager import findSystemFonts, fontManager
    from matplotlib.ft2font import FT2Font

    listed = {entry.fname for entry in fontManager.ttflist}
    added = False
    for path in sorted(set(findSystemFonts()) - listed):
        try:
            known = FT2Font(path).family_name in _FAMILIES
            if known:
                fontManager.addfont(path)
        except (OSError, RuntimeError):
            continue  # what matplotlib cannot read, it would not have listed
        added |= known
    return added


@cache
def _glyphs(path: str) -> frozenset[int]:
    """Return the characters of a font file; none of one that cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
