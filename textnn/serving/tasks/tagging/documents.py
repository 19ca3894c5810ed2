"""What the OpenAPI description says of a tagger's requests and answers; nothing here is computed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from textnn.serving import documents
from textnn.serving.bodies import TextsRequest
from textnn.serving.tasks.tagging.bodies import CutRequest, TagsRequest


class Entity(BaseModel):
    """Something that was found in a text."""

    start: int = Field(description="Where it begins in the text, in characters (code points).")
    end: int
    type: str = Field(description="Empty where spans have no types.")
    text: str
    confidence: float = Field(description="The probability that just this span is an entity of this type.")


class Entities(BaseModel):
    """What was found in a text, from left to right."""

    entities: list[Entity]


class EntitiesOfSeveral(BaseModel):
    """What was found in several texts, in their order."""

    predictions: list[Entities]


class Words(BaseModel):
    """The words of a text, from left to right; white space is in none."""

    words: list[str]
    pos: list[str] | None = Field(description="A part of speech for each word; null where the model learnt none.")


class WordsOfSeveral(BaseModel):
    """The words of several texts, in their order."""

    predictions: list[Words]


class Tags(BaseModel):
    """A tag for each token of a sentence."""

    tags: list[str]
    marginals: list[list[float]] | None = Field(
        None, description="Where asked for: a row for each token, in the order of the network's tags, as in /model."
    )


class TagsOfSeveral(BaseModel):
    """The tags of several sentences, in their order."""

    predictions: list[Tags]


class Facts(documents.Facts):
    """What a tagger is."""

    level: str = Field(description="Whether its tokens are characters or words: 'char' or 'word'.")
    scheme: str | None = Field(description="How its tags mark spans; null where they mark none.")
    types: list[str] = Field(description="Of entities, or parts of speech; or its tags, where they mark no spans.")
    tags: list[str] = Field(description="Those that the network tells apart: the columns of marginals.")
    training_sentences: int


def entities(texts: Sequence[str], types: Sequence[str]) -> dict[str, Any]:
    """Return what is said of ``POST /entities``, with a type that the model knows."""
    first, type_ = _word(texts), documents.sendable(types[0] if types else "")
    found = {"entities": [{"start": 0, "end": len(first), "type": type_, "text": first, "confidence": 0.98}]}
    asked = ({"text": texts[0]}, {"texts": texts})
    return documents.one_or_several("Find entities in texts", TextsRequest, asked, Entities | EntitiesOfSeveral, found)


def cut(texts: Sequence[str], types: Sequence[str]) -> dict[str, Any]:
    """Return what is said of ``POST /cut``, with a part of speech that the model knows, if it knows any."""
    first = _word(texts)
    found = {"words": [first], "pos": [documents.sendable(types[0])] if types else None}
    asked = ({"text": texts[0], "dictionary": [first]}, {"texts": texts})
    return documents.one_or_several("Cut texts into words", CutRequest, asked, Words | WordsOfSeveral, found)


def tags(sentence: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Return what is said of ``POST /tags``, with a tag that the model knows."""
    found = {"tags": [documents.sendable(names[0])] * len(sentence)}
    asked = ({"tokens": sentence}, {"sentences": [sentence, sentence]})
    kinds = ("one sentence", "several sentences")
    return documents.one_or_several("Tag tokens", TagsRequest, asked, Tags | TagsOfSeveral, found, kinds)


def _word(texts: Sequence[str]) -> str:
    """Return what may be a word: the first characters of a text that stand together."""
    return texts[0].split()[0][:2]
