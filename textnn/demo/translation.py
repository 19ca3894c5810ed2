"""The demonstration of translators: numbers and dates in English words, and how Chinese writes them.

    numbers, dates by a seed -> pairs of texts -> 90 % to learn from, 5 % to choose the epoch by, 5 % to test
    learn -> Translator -> translations that are right to the letter, beside those word by word; attention, model

The package brings no translated sentences, so the program makes these pairs. They need no knowledge of the world, but
the order of words, the units (Chinese has one for ten thousand) and the zeros have to be learnt. No number or date of
the test is in the training pairs.
"""

from __future__ import annotations

import datetime
import random
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textnn.demo import program, show

EPOCHS = 5
NUMBERS, DATES = 14_000, 8_000
"""Pairs of either kind."""
LARGEST = 7
"""Digits of a number."""

NEW_TEXTS = (
    "seventy thousand and thirty-one",
    "three hundred and sixty-five thousand and seven",
    "one million, two hundred and thirty thousand",
    "Monday, the twenty-first of July, nineteen sixty-nine",
)

_SEED = 0
_PART = 20
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"},
    **{"twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth"},
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"),
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DIGITS = "零一二三四五六七八九"
_WEEK = "一二三四五六日"


@dataclass(frozen=True)
class TranslationDemoResult:
    """What the demonstration measured: shares of the test texts that are translated right to the letter."""

    right: float
    baseline_right: float
    seconds: float
    model: Path


def english_number(number: int) -> str:
    """Return a number below a billion in words.

    Examples
    --------
    >>> english_number(1_230_042)
    'one million, two hundred and thirty thousand and forty-two'
    """
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    for size, unit in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        many, rest = divmod(number, size)
        if many:
            found = f"{english_number(many)} {unit}"
            if not rest:
                return found
            return found + (" and " if rest < 100 or size == 100 else ", ") + english_number(rest)
    raise AssertionError(number)


def chinese_number(number: int) -> str:
    """Return a number below ten billion in Chinese numerals.

    Examples
    --------
    >>> chinese_number(1_230_042), chinese_number(12), chinese_number(100_005)
    ('一百二十三万零四十二', '十二', '十万零五')
    """
    if not number:
        return _DIGITS[0]
    text = ""
    for place, unit in ((8, "亿"), (4, "万"), (0, "")):
        group = number // 10**place % 10**4
        if group:
            own = "".join(_DIGITS[int(d)] + "千百十 "[i] if d != "0" else "零" for i, d in enumerate(f"{group:04d}"))
            text += own.replace(" ", "").rstrip("零") + unit
        elif text:
            text += "零"
    text = re.sub("零+", "零", text).strip("零")
    return text.removeprefix("一") if text.startswith("一十") else text


def english_date(day: datetime.date) -> str:
    """Return a date in words.

    Examples
    --------
    >>> english_date(datetime.date(1998, 5, 3)), english_date(datetime.date(2005, 12, 31))[-40:]
    ('Sunday, the third of May, nineteen ninety-eight', 'first of December, two thousand and five')
    """
    name = english_number(day.day)
    head, dash, last = name.rpartition("-")
    ordinal = head + dash + _ORDINALS.get(last, f"{last}th")
    century, rest = divmod(day.year, 100)
    if century % 10 == 0:
        year = english_number(day.year)
    else:
        ending = "hundred" if not rest else f"oh {_ONES[rest]}" if rest < 10 else english_number(rest)
        year = f"{english_number(century)} {ending}"
    return f"{_DAYS[day.weekday()]}, the {ordinal} of {_MONTHS[day.month - 1]}, {year}"


def chinese_date(day: datetime.date) -> str:
    """Return a date in Chinese.

    Examples
    --------
    >>> chinese_date(datetime.date(1998, 5, 3))
    '一九九八年五月三日，星期日'
    """
    year = "".join(_DIGITS[int(digit)] for digit in str(day.year))
    return f"{year}年{chinese_number(day.month)}月{chinese_number(day.day)}日，星期{_WEEK[day.weekday()]}"


def make_pairs(numbers: int = NUMBERS, dates: int = DATES) -> list[tuple[str, str]]:
    """Return pairs of texts, all different, the same each time."""
    source = random.Random(_SEED)
    values = {source.randrange(10 ** source.randint(1, LARGEST)) for _ in range(numbers)}
    first, last = datetime.date(1900, 1, 1).toordinal(), datetime.date(2049, 12, 31).toordinal()
    days = {datetime.date.fromordinal(source.randint(first, last)) for _ in range(dates)}
    pairs = [(english_number(value), chinese_number(value)) for value in sorted(values)]
    pairs += [(english_date(day), chinese_date(day)) for day in sorted(days)]
    source.shuffle(pairs)
    return pairs


def word_by_word(text: str) -> str:
    """Return each word of a text as it is by itself, which is the baseline."""
    words = {name: chinese_number(value) for value, name in enumerate(_ONES)}
    words |= {name: chinese_number(10 * value) for value, name in enumerate(_TENS) if name}
    words |= {f"{_ORDINALS.get(name, f'{name}th')}": f"{value}日" for name, value in list(words.items())}
    words |= {"hundred": "百", "thousand": "千", "million": "百万", "oh": "零"}
    words |= {name: f"{chinese_number(number)}月" for number, name in enumerate(_MONTHS, 1)}
    words |= {name: f"星期{day}" for name, day in zip(_DAYS, _WEEK, strict=True)}
    return "".join(words.get(word, "") for word in re.findall(r"\w+", text))


def run_translation_demo(
    output: Path = Path("demo-translator"), architecture: str = "lstm", seed: int = 0, texts: Sequence[str] = ()
) -> TranslationDemoResult:
    """Train, compare, show and save.

    Parameters
    ----------
    output
        Where to save the model.
    architecture
        The cell.
    seed
        Of the training; the pairs do not depend on it.
    texts
        To translate, beside texts that are there.

    Raises
    ------
    BundleError
        If ``output`` is something else than a translator.
    """
    from textnn import Translator
    from textnn.translation.bundle import check_target

    check_target(output)
    pairs = make_pairs()
    part = len(pairs) // _PART
    test, validation, training = pairs[:part], pairs[part : 2 * part], pairs[2 * part :]
    counts = f"{len(training):,} to learn from, {len(validation):,} to choose the epoch by, {len(test):,} to test"
    show(f"{len(pairs):,} numbers and dates in English words, made by this program, with their Chinese: {counts}")
    for source, target in training[:3]:
        show(f"  {source}\n    {target}")

    show(f"\ntextnn, encoder and decoder with attention, cell {architecture}")
    start = time.perf_counter()
    model = Translator(cell=architecture, epochs=EPOCHS, lowercase=False, min_count=1, random_state=seed)
    columns = [list(column) for column in zip(*training, strict=True)]
    held_out = [list(column) for column in zip(*validation, strict=True)]
    model.fit(columns[0], columns[1], (held_out[0], held_out[1]))
    sources, targets = zip(*test, strict=True)
    right = sum(map(str.__eq__, model.predict(sources), targets)) / len(test)
    seconds = time.perf_counter() - start
    baseline = sum(word_by_word(source) == target for source, target in test) / len(test)
    show(f"\n{'right to the letter, of the test texts':<40}   share  seconds")
    show(f"{'textnn ' + architecture:<40}  {right:6.1%}  {seconds:7.1f}")
    show(f"{'word by word':<40}  {baseline:6.1%}")

    show("\nnew texts")
    for text, translation in zip((*NEW_TEXTS, *texts), model.predict([*NEW_TEXTS, *texts]), strict=True):
        show(f"  {text}\n    {translation}")
    show(f"\nwhat the model looked at as it wrote the last of these\n{model.align((*NEW_TEXTS, *texts)[-1])}")

    model.save(output)
    name, quoted = program(), shlex.quote(str(output))
    show(
        f"\nsaved: {output}\n\ntry next\n"
        f'  {name} translate predict {quoted} --text "nine hundred and ninety-nine"\n'
        f'  {name} translate predict {quoted} --text "{NEW_TEXTS[-1]}" --attention attention.png\n'
        f"  {name} info {quoted}\n"
        f"  {name} translate train your-pairs.tsv --output model/\n"
        f"  {name} translate predict model/ new-texts.txt --output translations.txt"
    )
    return TranslationDemoResult(right, baseline, seconds, output)
