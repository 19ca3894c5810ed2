"""Sentences of words between spaces, with or without a tag behind each: ``我 来到 北京``, ``我/r 来到/v 北京/ns``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from textnn.tagging.schemes import Span, tags_of
from textnn.text.sources import Reading

# The People's Daily corpus brackets what is a name as a whole: [中央/n 人民/n 电台/n]nt
_OPENING = re.compile(r"\[(?=[^/_]*[^\[/_])")
_CLOSING = re.compile(r"\][A-Za-z]*$")
_LONG = 12  # characters of a sentence that is no single word


def tags_of_words(words: list[str], kinds: list[str] | None = None) -> tuple[list[str], list[str]]:
    """Return the characters of some words and their tags in the scheme BMES.

    Examples
    --------
    >>> tags_of_words(["我", "来到"], ["r", "v"])
    (['我', '来', '到'], ['S-r', 'B-v', 'E-v'])
    """
    spans, place = [], 0
    for index, word in enumerate(words):
        spans.append(Span(place, place + len(word), kinds[index] if kinds else ""))
        place += len(word)
    return [character for word in words for character in word], tags_of(place, spans, "BMES")


def doubt_of_words(sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]) -> str | None:
    """Return why sentences, given as characters and tags of :func:`tags_of_words`, may not be words; None if they may.

    Examples
    --------
    >>> doubt_of_words([list("我/r来到/v")], [["B", "M", "E", "B", "M", "M", "E"]])
    "most words end in '/' and letters, such as '我/r', and are learnt with them; parts of speech go apart (y)"
    """
    words = [words_of_tags(*pair) for pair in zip(sentences[:1000], tags, strict=False)]
    if not words or any("-" in tag for tag in tags[0]):
        return None
    marked = [word for each in words for word in each if re.fullmatch(r".+/[A-Za-z]{1,4}", word)]
    if len(marked) > 0.5 * sum(map(len, words)):
        of = f"most words end in '/' and letters, such as {marked[0]!r}"
        return f"{of}, and are learnt with them; parts of speech go apart (y)"
    whole = [each[0] for each in words if len(each) == 1 and len(each[0]) > _LONG]
    if len(whole) > 0.5 * len(words):
        return f"most sentences have no space and are learnt as one word each, such as {whole[0]!r:.40}"
    return None


def words_of_tags(tokens: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Return the words that tags in the scheme BMES make of characters; whatever the tags, no character is lost.

    Examples
    --------
    >>> words_of_tags(["我", "来", "到"], ["S", "B", "E"])
    ['我', '来到']
    """
    words, ended = list[str](), True
    for token, tag in zip(tokens, tags, strict=True):
        if ended or tag[:1] in "BS":
            words.append(token)
        else:
            words[-1] += token
        ended = tag[:1] in "ES"
    return words


def sentences_of_words(
    lines: Iterator[str], reading: Reading, separator: str | None, characters: bool, doubts: list[str]
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield line, tokens and tags of each sentence.

    Parameters
    ----------
    lines
        One sentence each; blank ones do not count.
    reading
        Where errors go.
    separator
        What stands between a word and its tag; None if words have none.
    characters
        Whether tokens are the characters of the words; else they are the words.
    doubts
        A sentence is added where most words seem to have tags.
    """
    count = joined = 0
    for number, line in enumerate(lines, 1):
        words, kinds = line.split(), list[str]()
        if not words:
            continue
        count, joined = count + len(words), joined + sum("_" in word[1:-1] or "|" in word[1:-1] for word in words)
        wrong = reading.bad_text(line)
        if separator and not wrong:
            words, kinds, wrong = _split_tags(words, separator)
        if wrong:
            reading.refuse(number, wrong)
        elif characters:
            yield number, *tags_of_words(words, kinds or None)
        else:
            yield number, words, kinds

    if not separator and joined > 0.5 * count:
        doubts.append("most words have _ or | in them: if tags stand behind it, say so with format and separator")


def _split_tags(words: list[str], separator: str) -> tuple[list[str], list[str], str | None]:
    """Return words, tags, and what is wrong if anything is."""
    plain, kinds = list[str](), list[str]()
    for place, each in enumerate(words, 1):
        word, _, kind = each.rpartition(separator)
        word, kind = _OPENING.sub("", word, count=1) if word.startswith("[") else word, _CLOSING.sub("", kind)
        if not word or not kind:
            return [], [], f"expected word{separator}tag, got {each!r} for word {place}"
        plain.append(word)
        kinds.append(kind)
    return plain, kinds, None
