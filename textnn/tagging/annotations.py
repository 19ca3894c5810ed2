"""Sentences of JSON objects, in the forms that tools for annotation and corpora have.

    {"text": "Ann ran", "label": [[0, 3, "PER"]]}                       as doccano writes; also entities, spans, ...
    {"text": "Ann ran", "spans": [{"start": 0, "end": 3, "label": "PER"}]}     also start_offset, type, ...
    {"text": "叶老桂认为", "label": {"name": {"叶老桂": [[0, 2]]}}}          as CLUENER2020: the last one's place
    ["Ann ran", {"entities": [[0, 3, "PER"]]}]                          what spaCy 2 was trained on
    {"tokens": ["Ann", "ran"], "ner_tags": ["B-PER", "O"]}              lists

A text is read as its words, as texts to tag are (``texts``), if most of the texts are written with blanks between
words; else as its characters. Places count characters from 0, and the end is the place behind the last character. Where
the object says what stands there, the end may be the last character's place as well: it is compared with the text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from textnn.tagging.schemes import Span, tags_of
from textnn.tagging.texts import word_places
from textnn.text.sources import Reading, Row

_TEXT = ("text", "sentence", "content", "data")
_TOKENS = ("tokens", "words", "chars", "characters")
_TAGS = ("tags", "ner_tags", "labels", "label", "pos_tags", "ner", "pos")
_SPANS = ("label", "labels", "entities", "spans", "annotations", "entity", "ner")
_START = ("start", "start_offset", "start_idx", "start_pos", "begin", "from", "startOffset")
_END = ("end", "end_offset", "end_idx", "end_pos", "to", "endOffset")
_TYPE = ("label", "type", "entity_type", "entity_group", "tag", "category", "labels", "entity")
_MENTION = ("mention", "text", "word", "surface")
_PERHAPS = ("entity", "value", "name")  # the mention, or something else


def sentences_of_objects(
    rows: Iterator[Row], reading: Reading, scheme: str, words: bool, doubts: list[str], need_tags: bool = True
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield line, tokens and tags of each object; ``words`` says whether those of a text are its tokens.

    Without ``need_tags`` an object has a list of tokens, and no tags are read.

    Of spans that overlap, which tags cannot say, the longest is kept, and one that ends within a word is widened to the
    whole word; ``doubts`` says how many there were.
    """
    overlaps, widened, rejected, several = _Count(), _Count(), _Count(), _Count()
    for number, row in rows:
        if not isinstance(row, dict):
            reading.refuse(number, "expected a JSON object")
            continue
        if need_tags and _is_rejected(row):
            rejected.add(1, number)
            continue
        several.add(need_tags and len(_accepted(row)) > 1, number)
        try:
            tokens, tags, dropped, cut = _sentence(row, scheme, words) if need_tags else (_tokens(row), [], 0, 0)
        except ValueError as error:
            reading.refuse(number, str(error))
            continue
        if wrong := reading.bad_text("".join(tokens)):
            reading.refuse(number, wrong)
            continue
        overlaps.add(dropped, number)
        widened.add(cut, number)
        if tokens:
            yield number, tokens, tags
    if rejected.total:
        what = f"{rejected.total:,} texts were left out that annotators rejected or skipped"
        doubts.append(f"{what}, the first in line {rejected.first}")
    if several.total:
        what = f"{several.total:,} texts have several annotations, the first in line {several.first}"
        doubts.append(f"{what}: of each text the first one was read")
    if widened.total:
        what = f"{widened.total:,} spans began or ended within a word, the first in line {widened.first}"
        doubts.append(f"{what}: they were widened to whole words (--level char reads characters)")
    if overlaps.total:
        what = f"{overlaps.total:,} spans were left out that overlap longer ones, the first in line {overlaps.first}"
        doubts.append(f"{what}: one tag a token cannot say both")


class _Count:
    def __init__(self) -> None:
        self.total = self.first = 0

    def add(self, count: int, number: int) -> None:
        self.first = self.first or (number if count else 0)
        self.total += count


def of_spacy(value: Any) -> Any:
    """Return the object that a pair of a text and its annotations stands for; other values as they are."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict):
        return {"text": value[0], "entities": value[1].get("entities", [])}
    return value


def text_of(row: Any) -> str | None:
    """Return the text of an object that has one, and no list of tokens."""
    if not isinstance(row, dict) or list_of_tokens(row) is not None:
        return None
    data = row.get("data")
    text = _first(data if isinstance(data, dict) else row, _TEXT)
    return text if isinstance(text, str) else None


def list_of_tokens(row: dict[str, Any]) -> list[Any] | None:
    """Return the tokens of an object that has a list of them."""
    tokens = _first(row, _TOKENS)
    return tokens if isinstance(tokens, list) and not all(isinstance(token, dict) for token in tokens) else None


def _tokens(row: dict[str, Any]) -> list[str]:
    tokens = list_of_tokens(row)
    if tokens is None and _first(row, _TOKENS) != []:
        raise ValueError(f"expected a list of tokens under one of {', '.join(_TOKENS)}, got {_names(row)}")
    return strings("tokens", tokens or [])


def _names(row: dict[str, Any]) -> str:
    return ", ".join(map(repr, list(row)[:8])) or "an empty object"


def _sentence(row: dict[str, Any], scheme: str, words: bool) -> tuple[list[str], list[str], int, int]:
    """Return tokens, tags, and how many spans were left out, and widened."""
    tokens = list_of_tokens(row)
    if tokens is not None:
        tags = _first(row, _TAGS)
        if not isinstance(tags, list):
            raise ValueError(
                f"expected a list of tags under one of {', '.join(_TAGS)}, got {', '.join(map(repr, row))}"
            )
        return strings("tokens", tokens), strings("tags", tags, len(tokens)), 0, 0
    if isinstance(row.get("data"), dict):  # a task of Label Studio
        row = {**row["data"], "label": _results(row)}
    text = _first(row, _TEXT)
    if not isinstance(text, str):
        raise ValueError(f'expected "text" with spans, or "tokens" with "tags", got {_names(row)}')
    given = [row[name] for name in _SPANS if row.get(name) is not None]
    spans = _spans(text, next(filter(None, given), given[0] if given else None))
    places, cut = [(place, place + 1) for place in range(len(text))], 0
    if words:
        places = word_places(text)
        spans, cut = _of_words(spans, places)
    kept, overlaps = _without_overlaps(spans)
    return [text[start:end] for start, end in places], tags_of(len(places), kept, scheme), overlaps, cut


def _of_words(spans: list[Span], places: list[tuple[int, int]]) -> tuple[list[Span], int]:
    """Return spans of words, of spans of characters, and how many had to be widened.

    A blank at the edge of a span is no part of it.
    """
    starts, ends = [start for start, _ in places], [end for _, end in places]
    found, cut = [], 0
    for start, end, kind in spans:
        first, last = bisect_right(ends, start), bisect_left(starts, end)
        if first >= last:
            raise ValueError(f"expected a span with a word in it, got [{start}, {end}, {kind!r}]")
        cut += starts[first] < start or ends[last - 1] > end
        found.append(Span(first, last, kind))
    return found, cut


def _is_rejected(row: dict[str, Any]) -> bool:
    """Whether whoever annotated the text refused it (Prodigy's answer), or skipped it (Label Studio)."""
    given = row.get("annotations") if isinstance(row.get("data"), dict) else None
    return row.get("answer") in ("reject", "ignore") or (bool(given) and not _accepted(row))


def _accepted(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the annotations of a task of Label Studio that were not cancelled."""
    given = row.get("annotations") if isinstance(row.get("data"), dict) else None
    return (
        [each for each in given if isinstance(each, dict) and not each.get("was_cancelled")]
        if isinstance(given, list)
        else []
    )


def _results(row: dict[str, Any]) -> list[Any]:
    """Return the spans of the first annotation of a task."""
    results = next(iter(_accepted(row)), {}).get("result", [])
    return [each["value"] for each in results if isinstance(each, dict) and "labels" in each.get("value", {})]


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def strings(name: str, values: Any, length: int | None = None) -> list[str]:
    """Return a list of strings, none of them empty, of this length if one is given.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(values, list):
        raise ValueError(f"expected a list of {name}, got {type(values).__name__}")
    if length is not None and len(values) != length:
        raise ValueError(f"expected a tag for each of {length} tokens, got {len(values)}")
    for value in values:
        if not isinstance(value, str) or not value:
            numbers = "; write the names of the tags, not their numbers" if isinstance(value, int) else ""
            raise ValueError(f"expected {name} that are strings, got {value!r}{numbers}")
    return values


def _spans(text: str, found: Any) -> list[Span]:
    """Return the spans that a value describes, in any of the forms."""
    if found is None:
        raise ValueError(f"expected spans under one of {', '.join(_SPANS)}, got none; write [] for a text without any")
    spans = []
    if isinstance(found, dict):
        for kind, mentions in found.items():
            if not isinstance(mentions, dict):
                raise ValueError(f"expected an object of mentions and their places for {kind!r}, got {mentions!r}")
            for mention, places in mentions.items():
                spans += [_span(text, *_pair(place), kind, mention) for place in places]
        return spans
    if not isinstance(found, list):
        raise ValueError(f"expected a list of spans, got {found!r}")
    for each in found:
        if isinstance(each, dict):
            start, end, kind = (_first(each, names) for names in (_START, _END, _TYPE))
            kind = kind[0] if isinstance(kind, list) and len(kind) == 1 else kind
            mention = next((each[name] for name in _MENTION if isinstance(each.get(name), str)), None)
            perhaps = (each[name] for name in _PERHAPS if isinstance(each.get(name), str))
            mention = mention or next((m for m in perhaps if m != kind and m in text), None)
            if not isinstance(kind, str):
                raise ValueError(f"expected a type under one of {', '.join(_TYPE)}, got {each!r}")
        elif isinstance(each, list) and len(each) >= 3:
            start, end, kind, mention = each[0], each[1], each[2], None
        else:
            raise ValueError(f'expected a span such as [0, 3, "PER"], got {each!r}')
        spans.append(_span(text, start, end, kind, mention))
    return spans


def _pair(place: Any) -> tuple[Any, Any]:
    if not isinstance(place, list) or len(place) != 2:
        raise ValueError(f"expected a place such as [0, 2], got {place!r}")
    return place[0], place[1]


def _span(text: str, start: Any, end: Any, kind: Any, mention: str | None) -> Span:
    shown = f"[{start!r}, {end!r}, {kind!r}]"
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in (start, end)) or not isinstance(kind, str):
        raise ValueError(f"expected two places and a type, got {shown}")
    if not kind.strip():
        raise ValueError(f"expected a type that is not empty, got {shown}")
    if mention is not None and text[start:end] != mention and text[start : end + 1] == mention:
        end += 1  # the place of the last character
    elif mention is not None and text[start:end] != mention:
        raise ValueError(f"expected {mention!r} at {shown}, got {text[max(start, 0) : end]!r}")
    if not 0 <= start < end <= len(text):
        raise ValueError(f"expected a span within {len(text)} characters that is not empty, got {shown}")
    return Span(start, end, kind)


def _without_overlaps(spans: list[Span]) -> tuple[list[Span], int]:
    """Return the longest of spans that overlap, and how many were left out; the same span twice counts once."""
    different = sorted(set(spans), key=lambda span: (span.start - span.end, span))
    kept: list[Span] = []
    for span in different:
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return kept, len(different) - len(kept)
