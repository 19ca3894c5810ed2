"""``textnn demo --task translate``: numbers and dates as Chinese writes them, and a model that has learnt it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import Translator
from textnn.demo import translation as demo_translation
from textnn.demo.translation import (
    NEW_TEXTS,
    chinese_date,
    chinese_number,
    english_date,
    english_number,
    make_pairs,
    word_by_word,
)


@pytest.mark.parametrize(
    ("number", "english", "chinese"),
    [
        (0, "zero", "零"),
        (10, "ten", "十"),
        (20, "twenty", "二十"),
        (110, "one hundred and ten", "一百一十"),
        (1005, "one thousand and five", "一千零五"),
        (10_100, "ten thousand, one hundred", "一万零一百"),
        (120_000, "one hundred and twenty thousand", "十二万"),
        (100_000_001, "one hundred million and one", "一亿零一"),
        (3_050_607, "three million, fifty thousand, six hundred and seven", "三百零五万零六百零七"),
        (1_000_200, "one million, two hundred", "一百万零二百"),
        (11_000_000, "eleven million", "一千一百万"),
    ],
)
def test_numbers_in_both_languages(number: int, english: str, chinese: str) -> None:
    assert english_number(number) == english
    assert chinese_number(number) == chinese


def test_dates_in_both_languages() -> None:
    for day, english, chinese in (
        (
            datetime.date(2001, 1, 12),
            "Friday, the twelfth of January, two thousand and one",
            "二零零一年一月十二日，星期五",
        ),
        (datetime.date(1900, 8, 2), "Thursday, the second of August, nineteen hundred", "一九零零年八月二日，星期四"),
        (
            datetime.date(1905, 2, 22),
            "Wednesday, the twenty-second of February, nineteen oh five",
            "一九零五年二月二十二日，星期三",
        ),
    ):
        assert english_date(day) == english
        assert chinese_date(day) == chinese


def test_no_text_stands_twice() -> None:
    pairs = make_pairs(300, 200)
    assert pairs == make_pairs(300, 200)
    assert len({source for source, _ in pairs}) == len({target for _, target in pairs}) == len(pairs) > 400
    assert word_by_word("forty-two") == "四十二"
    assert word_by_word("Sunday, the third of May") == "星期日三日五月"
    for value in range(1, 100):
        assert word_by_word(english_number(value)) == chinese_number(value), "below a hundred it is right"


def test_new_texts_are_new_and_right() -> None:
    assert not set(NEW_TEXTS) & {source for source, _ in make_pairs()}
    numbers = {english_number(value) for value in (70_031, 365_007, 1_230_000)}
    assert {*NEW_TEXTS} == {*numbers, english_date(datetime.date(1969, 7, 21))}


def test_the_demonstration_learns_to_translate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_translation, "NUMBERS", 300)
    monkeypatch.setattr(demo_translation, "DATES", 100)
    make = demo_translation.make_pairs
    monkeypatch.setattr(demo_translation, "make_pairs", lambda: make(300, 100))
    small = {"embedding_dim": 8, "hidden_size": 8, "epochs": 1}
    monkeypatch.setattr("textnn.Translator", lambda **given: Translator(**{**given, **small}))
    output = tmp_path / "my translator"
    arguments = ["demo", "--task", "translate", "-o", str(output), "-a", "gru", "-t", "nine", "--threads", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    for expected in ("made by this program", "textnn gru", "word by word", "  nine\n", "what the model looked at"):
        assert expected in result.stdout, expected
    weights = result.stdout.partition("the last of these\n")[2].partition("\nsaved")[0].strip()
    assert all(": nine 1.00" in line for line in weights.splitlines()), weights
    assert weights
    assert f"textnn translate predict '{output}' --text" in result.stdout
    monkeypatch.undo()
    assert Translator.load(output).cell == "gru"
