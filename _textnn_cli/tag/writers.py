"""What a tagger found, as text.

    texts ----> entities | words | tokens with tags --+--> Found --> conll | jsonl | words | word/tag
    sentences -> tokens with tags --------------------+

=========  =========================================================================================================
conll      token, tab, tag; a blank line behind each sentence. White space of a text is no token
jsonl      an object a line: text with entities, with words, or with tokens and tags; of sentences tokens and tags
words      words with spaces between them, a line for each text
word/tag   the same with a tag behind each
=========  =========================================================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from _textnn_cli.rows import BREAKS

if TYPE_CHECKING:
    from textnn.tagging.entities import Entity

FORMATS = ("conll", "jsonl", "words", "word/tag")

Pairs = Sequence[tuple[str, str]]

_NO_CELL = re.compile("[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True)
class Found:
    """What was found in one text or sentence.

    Attributes
    ----------
    line
        Where it begins in its file.
    text
        A text; None of a sentence, which has tokens alone.
    entities
        Of a text, where they are asked for.
    pairs
        Words with their parts of speech (empty where the model has none), or tokens with their tags.
    are_words
        Which of these.
    kept
        The other columns of the text's row, by name.
    """

    line: int
    text: str | None = None
    entities: Sequence[Entity] | None = None
    pairs: Pairs = ()
    are_words: bool = False
    kept: Mapping[str, Any] = field(default_factory=dict)


Writer = Callable[[Found], None]


def make_writer(kind: str, stream: IO[str], separator: str = "/") -> Writer:
    """Return what writes in a format; ``separator`` stands between word and tag."""
    if kind == "jsonl":
        return lambda found: _write_object(found, stream)
    if kind == "conll":
        return lambda found: _write_columns(found, stream)
    tags = kind == "word/tag"
    return lambda found: _write_line(found, stream, separator if tags else None)


def _write_object(found: Found, stream: IO[str]) -> None:
    values: dict[str, Any] = {"line": found.line}
    if found.text is not None:
        values["text"] = found.text
    if found.entities is not None:
        values["entities"] = [entity._asdict() for entity in found.entities]
    else:
        values["words" if found.are_words else "tokens"] = [token for token, _ in found.pairs]
        if not found.are_words or any(tag for _, tag in found.pairs):
            values["tags"] = [tag for _, tag in found.pairs]
    values |= {f"{name} of the input" if name in values else name: value for name, value in found.kept.items()}
    stream.write(json.dumps(values, ensure_ascii=False).translate(BREAKS) + "\n")


def _write_columns(found: Found, stream: IO[str]) -> None:
    for token, tag in found.pairs:
        if _NO_CELL.search(token):
            raise ValueError(
                f"line {found.line}: the token {token!r:.60} cannot be a cell of columns; try --output-format jsonl"
            )
        stream.write(f"{token}\t{tag}\n")
    stream.write("\n")


def _write_line(found: Found, stream: IO[str], separator: str | None) -> None:
    if separator is None:
        stream.write(" ".join(token for token, _ in found.pairs) + "\n")
        return
    for token, _ in found.pairs if not found.are_words else ():
        if not token or token.split() != [token]:
            raise ValueError(
                f"line {found.line}: the token {token!r:.60} cannot stand between spaces; try --output-format jsonl"
            )
    stream.write(" ".join(f"{token}{separator}{tag}" for token, tag in found.pairs) + "\n")
