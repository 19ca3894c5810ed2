"""Tags in a scheme that is not known are warned of, and classified texts are refused."""

from __future__ import annotations

import io

import pytest

from textnn.tagging import read_tagged
from textnn.text.sources import CorpusError


@pytest.mark.parametrize(
    ("tags", "letters"),
    [
        ("W-PER W-ORG W-PER O B-LOC E-LOC", "B, E, W"),
        ("B_PER L_PER O W_LOC W_LOC W_PER", "B, L, W"),
        ("PER O LOC LOC", None),
    ],
)
def test_letters_of_no_scheme_are_named(tags: str, letters: str | None) -> None:
    lines = "\n".join(f"word {tag}" for tag in tags.split())
    _, report = read_tagged(io.BytesIO(lines.encode()), "conll")
    assert report.scheme == "IO"
    expected = f"begin with {letters}, the letters of no scheme" if letters else "have no B and I"
    assert len(report.doubts) == 1
    assert expected in report.doubts[0]


def test_classified_texts_of_fasttext_are_no_sentences_of_words() -> None:
    lines = b"__label__good a fine room\n__label__bad never again\n"
    with pytest.raises(CorpusError, match="expected tagged sentences, got texts with fastText's __label__"):
        read_tagged(io.BytesIO(lines))
    assert read_tagged(io.BytesIO(lines), "words")[1].sentences == 2
