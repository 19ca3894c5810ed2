"""Which encoding some bytes are in, and whether anything of a text can be seen.

    bytes -> byte order mark, UTF-16's zeros, strict UTF-8: certain, or nearly so
          -> read in each of the other encodings -> share of common characters -> the best, if it is plausible

A decoder that takes all bytes proves nothing: French, Korean and Traditional Chinese are all valid GB18030, of
characters that nobody writes. The share of common characters tells them apart, from some ten characters on.
"""

from __future__ import annotations

import codecs
import itertools
import re
import unicodedata
from typing import NamedTuple

# The 500 most frequent characters of jieba's dictionary and some of everyday speech; then their traditional forms.
_CHINESE = (
    "一是人了不在有大中国和为这上他个地年来我会以到时要出的生学说道民家子也成行下们于后就发自之对得主长可过天作分方用多"
    "你着部能市等业全里工公经本都而高政法面门动日进区事代那去心小同北定开产前其军还然起种所如现理机体表力好外与文当两实"
    "重新三么只山水关明从化平建又制南内西没此将员名手最东头者月间无安看见各城十相但已些正口通想度加第她合院物性战由位常"
    "点海意场武使次二向治因立数样身情入原问把路被并利石老教万知级量任江及应省资委务元美特期世湖回系比气汉总展电科金先声"
    "提品设或义王社很统处四首共马形己儿司太目基领队直计别女权话少流命至报米给打变果书清活几州华解议更称程今决张导术府才"
    "保交放管结师便走达族反再题色五京河接条规式县白它改风光运信受什组听布百济党指论强做取技黄神选记斯真却职号界件花类何"
    "眼兵传带空干农边据集联古广完质阳难增历史专官每住商即步认车台林必死游举线言皇土团收考求德叫近备研争非具李众连调感转"
    "笑革该持始英克士尔让拉思根格造较际亲单朝红型价校约器字段周亚深候则功属积快图火千准究往极育装许参半令吃观鱼精办像帝"
    "八复影告远群包整构料随划算象容示投势热值夫网望源息语股铁断派速怎需片爱律纪支早况病境证编吗呢吧啊喜欢买差错觉店服衣"
    "穿"
    "並亞來個們備傳價兒內兩別則劃動務勢區卻參員問單嗎國圖團報場學實將專對導屬師帶幹幾廣張強後從復愛應戰據數斷於時書會東"
    "條業極構樣機權歡歷氣決沒況準漢濟為無熱爭爾現產當發眾種稱積紀約紅級組結給統經網線編縣總義聯聲職聽臺與舉華萬著處號術"
    "裝裡見規親覺觀計記設許話該認語說調論證議變讓買資質車軍較轉辦農這連進遊運過達遠選還邊錯鐵長門開間關陽隊際隨難電領頭"
    "題類風馬體魚麼黃點黨裏"
)
_JAPANESE = "".join(map(chr, [*range(0x3041, 0x3094), *range(0x30A1, 0x30F7), 0x30FC])) + (
    "日一国人年大十二本中長出三時行見月分後前生五間上東四今金九入学高円子外八六下来気小七山話女北"
)
_KOREAN = (
    "이다는을가에의고하은로를한지도사나서기아시어리자들그대인해있수라일만보정과거게구내부스와으니여장주전제면성없우않되"
    "소것상말비치적생개오안문공음동마조모경관원영신용야너무습좋최세요네더또때물진심같람별못할했었였합입중데까"
)
_LATIN = "éèêëàâäáãåæçíìîïñóòôöõøœßúùûüýÿÉÀÄÅÇÑÖÜØ’‘“”…–—€£§°«»¿¡·®©™½º²\xa0"
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшю"
_GREEK = "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώ"
_HEBREW = "אבגדהוזחטיךכלםמןנסעףפץצקרשת"
_ARABIC = "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىي،"
_THAI = "".join(map(chr, [*range(0xE01, 0xE3B), *range(0xE40, 0xE4F)]))

# Encodings, what they are called, and their common characters. The first two are read once they are recognised.
_READ = ("gb18030", "cp950")
_ENCODINGS = {
    "gb18030": ("Simplified Chinese", _CHINESE),
    "cp950": ("Traditional Chinese, Big5", _CHINESE),
    "cp932": ("Japanese, Shift-JIS", _JAPANESE),
    "euc_jp": ("Japanese", _JAPANESE),
    "cp949": ("Korean, EUC-KR", _KOREAN),
    "cp1252": ("Western, Windows", _LATIN),
    "mac_roman": ("Western, Mac", _LATIN),
    "cp1251": ("Russian, Windows", _CYRILLIC),
    "koi8_r": ("Russian", _CYRILLIC),
    "iso2022_jp": ("Japanese, of mails", ""),  # ASCII with escapes
}
_WESTERN = ("cp1252", "mac_roman")
# Of one byte a character: any of them reads most bytes, so that a guess shows what others make of a word.
_ONE_BYTE = {
    "cp1252": ("Western, Windows", _LATIN),
    "cp1251": ("Russian, Windows", _CYRILLIC),
    "mac_roman": ("Western, Mac", _LATIN),
    "koi8_r": ("Russian", _CYRILLIC),
    "cp850": ("Western, DOS", _LATIN),
    "cp866": ("Russian, DOS", _CYRILLIC),
    "cp1250": ("Central European", _LATIN + "ąćęłńśźżčďěňřšťůžőűŁŚŻČŠŽ"),
    "cp1253": ("Greek", _GREEK),
    "cp1254": ("Turkish", _LATIN + "ğışİĞŞ"),
    "cp1255": ("Hebrew", _HEBREW),
    "cp1256": ("Arabic", _ARABIC),
    "cp874": ("Thai", _THAI),
}
_ANY = "".join(common for _, common in {**_ENCODINGS, **_ONE_BYTE}.values())
# Punctuation of East Asia stands in texts of all its languages; half-width kana are what other bytes come out as.
_NEUTRAL = frozenset(
    map(chr, [*range(0x3000, 0x3041), *range(0xFF01, 0xFF5F), 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2026])
)

# Characters that are shown as nothing, though Unicode calls them letters, marks or symbols.
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufe0e\ufe0f\u034f\u180e")

_PLAUSIBLE, _GUESS, _CLEAR = 0.3, 0.5, 0.75
_MOST_READINGS = 4
_MOST_NULS = 0.4  # of ASCII with NUL bytes in it; as UTF-16, half of its bytes are zeros
_RUN = re.compile(rb"[\x80-\xff]+")
_WORD = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
_STRANGE = re.compile("[A-Za-z][\u0370-\u0e7f]|[\u0370-\u0e7f][A-Za-z]")
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",  # after UTF-32, whose mark begins with it
    codecs.BOM_UTF16_BE: "utf-16",
}


class Found(NamedTuple):
    """What some bytes are in: an encoding to read them with, or None and one that they seem to be in."""

    encoding: str | None
    guess: str = ""
    readings: str = ""

    def refusal(self) -> str:
        """Return what to say where it was not found."""
        language = {**_ENCODINGS, **_ONE_BYTE}[self.guess][0]
        readings = "; if it is, name it"
        if self.readings:
            readings = f"; one of its words may read {self.readings}; name the encoding that reads well"
        return (
            f"expected UTF-8, UTF-16, GB18030 or Big5 text, got what looks like {self.guess} ({language}){readings} "
            f"(option --encoding {self.guess}), else save the file as UTF-8"
        )


def recognise(sample: bytes, ended: bool) -> Found:
    """Find the encoding of the first bytes of a file.

    Parameters
    ----------
    sample
        The bytes, from the start of the file or from the first that are not ASCII.
    ended
        Whether the file ends with them; else a character may be cut.

    Returns
    -------
    Found
        UTF-8 for ASCII, and for bytes that are no text in any of the encodings, so that reading finds the bad one.
    """
    for mark, encoding in _MARKS.items():
        if sample.startswith(mark):
            return Found(encoding)
    if b"\0" in sample:
        wide, plain = _wide(sample), sample.replace(b"\0", b"")
        if wide is not None and not _is_narrow(sample, plain, wide):
            return Found(wide)
        return Found(recognise(plain, ended).encoding or "utf-8")  # reading finds the NUL byte
    if sample.isascii():
        return Found(None, "iso2022_jp") if b"\x1b$" in sample else Found("utf-8")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=ended)
        return Found("utf-8")
    except UnicodeDecodeError:
        pass
    runs = _RUN.findall(sample)
    size = sum(map(len, runs))
    # In Western texts such letters stand alone.
    others = () if size <= 1.5 * len(runs) else _WESTERN
    tried = {name: common for name, (_, common) in _ENCODINGS.items() if common and name not in others}
    shares = {name: _share(sample, name, common) for name, common in tried.items()}
    best = max(shares, key=shares.__getitem__)
    damaged = _utf8_size(sample) / size
    if damaged > 0.5 and damaged >= shares[best]:
        return Found("utf-8")
    if best in _READ and shares[best] >= _PLAUSIBLE:
        return Found(best)
    if best not in _ONE_BYTE and shares[best] >= _GUESS and size > 3:
        return Found(None, best)
    # Letters beyond ASCII stand alone in Latin script.
    return _one_byte(sample, latin=not others, others=size > 3)


def _one_byte(sample: bytes, latin: bool, others: bool) -> Found:
    """Guess an encoding of one byte a character, and show what the likely ones make of a word; UTF-8 if none is.

    ``latin`` and ``others`` are whether it may be one of Latin script, or of another.
    """
    tried = {
        name: common for name, (_, common) in _ONE_BYTE.items() if (latin if common.startswith(_LATIN) else others)
    }
    if not tried:
        return Found("utf-8")
    shares = {name: _share(sample, name, common, letters=True) for name, common in tried.items()}
    order = sorted(shares, key=shares.__getitem__, reverse=True)
    if shares[order[0]] < _CLEAR:
        return Found("utf-8")
    word = max(_WORD.findall(sample), key=len)[:20]
    readings: dict[str, str] = {}
    for name in order:
        reading = word.decode(name, "replace")
        if shares[name] >= _CLEAR and reading.isprintable():
            readings.setdefault(reading, name)
    shown = ", ".join(f"{reading!r} ({name})" for reading, name in list(readings.items())[:_MOST_READINGS])
    return Found(None, order[0], shown if len(readings) > 1 else "")


def _wide(sample: bytes) -> str | None:
    """Return the UTF-16 without a mark that the bytes are in, if what it makes of them is text.

    Zeros tell it of ASCII, but not of Chinese, whose most frequent character is U+4E00: the more characters are ASCII
    or common ones, the more likely is the order of bytes.
    """
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    order = ("utf-16-le", "utf-16-be") if odd > even else ("utf-16-be", "utf-16-le")
    known = {name: _known(sample.decode(name, "ignore")) for name in order}
    encoding = max(order, key=known.__getitem__)  # the zeros' one if both are alike
    clear = max(even, odd) > 4 * min(even, odd) or known[encoding] >= _GUESS
    try:
        text = sample[: len(sample) // 2 * 2].decode(encoding, "strict" if len(sample) < 4 else "ignore")
    except UnicodeDecodeError:
        return None
    strange = sum(not character.isprintable() and character not in "\t\r\n\u3000\xa0\ufeff" for character in text)
    return encoding if clear and strange * 50 < len(text) else None


def _known(text: str) -> float:
    """Return the share of characters that are ASCII, but no control characters, or common in some language."""
    common = frozenset(_ANY) | _NEUTRAL
    plain = sum(" " <= each < "\x7f" or each in "\t\r\n" or each in common for each in text)
    return plain / max(len(text), 1)


def _is_narrow(sample: bytes, plain: bytes, wide: str) -> bool:
    """Return whether bytes are text of another encoding with a few NUL bytes in it (``plain``: without), not UTF-16."""
    if len(sample) - len(plain) > _MOST_NULS * len(sample) or _share(sample, wide, _ANY) >= _PLAUSIBLE:
        return False
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(plain)
        return all(character.isprintable() or character.isspace() for character in text)
    except UnicodeDecodeError:
        return any(_share(plain, name, _CHINESE) >= _PLAUSIBLE for name in _READ)


def _share(sample: bytes, encoding: str, common: str, letters: bool = False) -> float:
    """Return the share of common characters among those beyond ASCII.

    With ``letters``, those do not count that no word has there: a capital behind a small letter, two scripts in a word.
    """
    text = sample.decode(encoding, "replace")
    known = frozenset(common)
    found = [character for character in text if not character.isascii() and character not in _NEUTRAL - known]
    strange = (
        len(_STRANGE.findall(text))
        + sum(not each.isascii() and each.isupper() and before.islower() for before, each in itertools.pairwise(text))
        if letters
        else 0
    )
    return (sum(character in known for character in found) - strange) / max(len(found), 1)


def _utf8_size(sample: bytes) -> int:
    """Return how many bytes are whole characters of three bytes or more in UTF-8."""
    text = sample.decode("utf-8", "surrogateescape")
    return sum(3 for character in text if "\u0800" <= character <= "\ud7ff" or character >= "\ue000")


def is_blank(text: str) -> bool:
    """Return whether nothing of a text can be seen: white space, control and format characters are all that it has.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    bool

    Raises
    ------
    TypeError
        If it is no string.

    Examples
    --------
    >>> is_blank(" \\u200b"), is_blank("a")
    (True, False)
    """
    return not any(
        (each.isprintable() and not each.isspace() and each not in _UNSEEN)
        # Pictures of a font, and characters that are younger than this Python.
        or unicodedata.category(each) in ("Co", "Cn")
        for each in text
    )
