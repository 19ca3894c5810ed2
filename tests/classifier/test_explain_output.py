"""Explanations as JSON, in HTML and in a terminal: nothing of a text gets out of its place."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from textnn.classification.explanation import Explanation, NgramContribution, TokenContribution, html_page

NASTY = '<script>alert("1")</script> & 很好\n差'


def explanation(text: str = NASTY, label: Any = "good", **more: Any) -> Explanation:
    """One whose tokens are the text's characters; the first speaks for the label, the second against it."""
    values = [1.0, -0.5, 0.001] + [0.0] * len(text)
    tokens = [TokenContribution(token, place, place + 1, values[place]) for place, token in enumerate(text)]
    ngrams = [NgramContribution(text[:2], 0, 2, 0.5, "words")] if len(text) > 1 else []
    classes = [label, "<b>other</b>"]
    return Explanation(text, label, classes, [0.8, 0.2], "exact", 0.25, tokens, ngrams, **more)


class Reader(HTMLParser):
    """What a browser makes of a page: tags, titles, styles and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.spans: list[tuple[str | None, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "span":
            self.spans.append((dict(attrs).get("title"), dict(attrs).get("style")))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", [NASTY, "", " ", "😀", "a\u202eb", "'\"><img src=x onerror=alert(1)>"])
def test_a_fragment_is_the_text_in_spans(text: str) -> None:
    found = Reader(explanation(text).to_html())
    assert found.text == text
    assert set(found.tags) == {"span"}


def test_colours_go_by_sign_and_strength() -> None:
    _, first, second, third = Reader(explanation("abcd").to_html()).spans
    assert first[0] == "+1.000"
    assert "rgba(37,99,235,0.50)" in str(first[1])
    assert "solid" in str(first[1])
    assert second[0] == "-0.500"
    assert "rgba(234,88,12,0.28)" in str(second[1])
    assert "dotted" in str(second[1])
    assert third == ("+0.001", None)


def test_a_page_shows_every_text_and_escapes_everything() -> None:
    page = html_page([explanation(label="<i>l</i>"), explanation("很好")], title="<u>t</u>")
    found = Reader(page)
    assert not {"script", "i", "b", "u", "img"} & set(found.tags)
    for shown in (NASTY, "很好", "<i>l</i>", "<b>other</b>", "<u>t</u>", "+0.500", "0.800"):
        assert shown in found.text
    assert found.tags.count("section") == 2
    assert "http" not in page


def test_what_no_encoding_has_does_not_break_a_page() -> None:
    one = explanation("a\ud800b")
    assert Reader(one.to_html()).text == "a?b"
    html_page([one]).encode("utf-8")


def test_json_has_everything() -> None:
    one = explanation(label=(1, "x"))
    found = json.loads(json.dumps(one.to_dict()))
    assert found["text"] == NASTY
    assert found["label"] == "(1, 'x')"
    assert found["probability"] == 0.8
    assert found["probabilities"] == [
        {"label": "(1, 'x')", "probability": 0.8},
        {"label": "<b>other</b>", "probability": 0.2},
    ]
    assert (found["method"], found["base"]) == ("exact", 0.25)
    assert found["tokens"][1] == {"token": "s", "start": 1, "end": 2, "contribution": -0.5}
    assert found["ngrams"] == [{"text": "<s", "start": 0, "end": 2, "contribution": 0.5, "source": "words"}]
    assert explanation(label=3).to_dict()["label"] == 3


def render(one: Any, **options: Any) -> str:
    stream = StringIO()
    Console(file=stream, width=200, highlight=False, **options).print(one)
    return stream.getvalue()


def test_a_terminal_without_colours_shows_signs_and_numbers() -> None:
    for options in ({}, {"force_terminal": True, "color_system": "truecolor", "no_color": True}):
        shown = Text.from_ansi(render(explanation("很差了[red]"), **options)).plain
        assert "很[+1.00]差[-0.50]了[red]" in shown
        assert "good  probability 0.800  (<b>other</b> 0.200)" in shown
        assert "+0.500  很差" in shown
        assert "base +0.250, all words together +0.501; method: exact" in shown


def test_a_terminal_with_colours_shows_the_text_as_it_is() -> None:
    shown = render(explanation("很差了"), force_terminal=True, color_system="truecolor")
    blue, underlined_orange = "\x1b[38;2;16;16;16;48;2;79;139;240m很", "\x1b[4;38;2;16;16;16;48;2;247;166;99m差"
    assert blue in shown
    assert underlined_orange in shown
    assert "[+" not in shown


def test_a_text_cannot_control_the_terminal() -> None:
    one = explanation("a\x1b[31mb\x07\x9b\ud800", label="\x1b]0;x\x07")
    shown = render(one)
    assert not {"\x1b", "\x07", "\x9b", "\ud800"} & set(shown)
    assert "␛]0;x␇" in shown


def test_an_empty_text_is_shown_as_such() -> None:
    assert "(empty text)" in render(explanation(""))
    assert Reader(html_page([explanation("")])).tags.count("table") == 0


def test_without_ngrams_the_strongest_tokens_are_listed() -> None:
    one = explanation("a \nb")
    shown = render(Explanation(one.text, "good", one.classes, one.probabilities, "occlusion", 0.0, one.tokens))
    assert [line.split()[:2] for line in shown.splitlines() if "words" in line and line.startswith(("+", "-"))] == [
        ["+1.000", "a"],
        ["-0.500", "␣"],
        ["+0.001", "␣"],
    ]


@pytest.mark.parametrize(
    ("ngram", "shown"),
    [
        ("  ", "␣␣"),
        ("\u3000", "␣"),
        ("\u200b ", "U+200B␣"),
        ("\ufeff", "U+FEFF"),
        ("\x07", "␇"),
        ("\ufe0f", "U+FE0F"),
        ("\u3164", "U+3164"),
        ("\ud800", "U+D800"),
        (" 很\n 好 ", "␣很 好␣"),
        ("❤\ufe0f", "❤\ufe0f"),
    ],
)
def test_what_cannot_be_seen_is_shown_in_tables(ngram: str, shown: str) -> None:
    one = replace(explanation(), ngrams=[NgramContribution(ngram, 0, len(ngram), 0.5, "words")])
    assert f"<td>{shown}</td>" in html_page([one])
    assert f"+0.500  {shown}  " in render(one)


def test_the_columns_of_a_page_have_headings() -> None:
    assert '<th colspan="2">adds</th><th>what</th><th>of</th>' in html_page([explanation()])


def test_an_explanation_is_short_where_it_is_printed() -> None:
    one = explanation("很差 了" + "啊" * 3000)
    assert (
        str(one)
        == repr(one)
        == "<Explanation 'good', probability 0.800: '很' +1.000, '差' -0.500, '␣' +0.001, 3,001 more>"
    )
    assert repr(explanation("")) == "<Explanation 'good', probability 0.800: no tokens>"
    long = replace(one, tokens=[TokenContribution("x" * 3000, 0, 3000, -2.0)], label=1, classes=[0, 1])
    assert repr(long) == f"<Explanation 1, probability 0.200: '{'x' * 23}…' -2.000>"
