"""The paths of a tagger; which of them a model has follows from its tags.

POST /entities    texts -> entities, with their places
POST /cut         texts -> words, with their parts of speech
POST /tags        tokens -> tags, with the probabilities of all of them
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response

from textnn.serving.bodies import TextsRequest
from textnn.serving.desk import Desk, by_key
from textnn.serving.errors import ServingError
from textnn.serving.tasks.tagging import documents
from textnn.serving.tasks.tagging.bodies import CutRequest, TagsRequest
from textnn.serving.tasks.tagging.examples import find_examples, tokens_of
from textnn.serving.tasks.task import LIMITS, Task
from textnn.tagging.prediction import stream, tags_and_probabilities
from textnn.tagging.state import State

if TYPE_CHECKING:
    from textnn import SequenceTagger
    from textnn.tagging.entities import Entity

Found = dict[str, Any]
Dictionary = tuple[str, ...]
_DIGITS = 6
"""Of a marginal, which is one of many."""


class Tagging(Task):
    """A tagger that is served: one of entities, of word segmentation, or of tags that mark no spans."""

    known_by = "predict_marginals"
    fitted = "state_"
    every_path = frozenset({"/entities", "/cut", "/tags"})
    facts_form = documents.Facts
    limits = (*LIMITS, "max_dictionary", "max_marginals")

    def __init__(self, model: SequenceTagger) -> None:
        self._tagger, self._state = model, State.of(model)
        tags = self._state.tags
        if self._state.is_segmenter:
            self.name, self.does, self.paths = "segmentation", "cuts texts into words", ("/cut", "/tags")
        elif tags.inner is not None:
            self.name, self.does, self.paths = "entities", "finds entities in texts", ("/entities", "/tags")
        else:
            self.name, self.does, self.paths = "tagging", "gives each token a tag", ("/tags",)
        self._types = [name for name in tags.types if name]
        self._examples = find_examples(self._state, self.name)

    def warm_up(self) -> None:
        """Make the table of characters, which happens at the first prediction."""
        self._tagger.predict([["."]])

    def facts(self) -> Found:
        """Return what the model is."""
        state = self._state
        return {
            "architecture": state.model.name,
            "level": state.level,
            "scheme": state.scheme,
            "types": state.tags.names if state.tags.inner is None else self._types,
            "tags": state.tags.names,
            "vocabulary": len(state.vocabulary),
            "parameters": sum(parameter.numel() for parameter in state.model.parameters()),
            "training_sentences": state.n_sentences,
            "examples": self._examples,
        }

    def add_paths(self, app: FastAPI, desk: Desk) -> None:
        """Add the paths that the model has."""
        adding = {"/entities": self._add_entities, "/cut": self._add_cut, "/tags": self._add_tags}
        for path in self.paths:
            adding[path](app, desk)

    @property
    def _texts(self) -> list[str]:
        """Two texts for the description."""
        return [*self._examples, "A text.", "Another text."][:2]

    def _add_entities(self, app: FastAPI, desk: Desk) -> None:
        def find(texts: list[str]) -> list[list[Entity]]:
            return list(self._tagger.stream_entities(texts))

        def show(asked: TextsRequest, found: list[list[Entity]]) -> list[Found]:
            return [{"entities": [entity._asdict() for entity in each]} for each in found]

        queue = desk.queue("entities", find)

        @app.post("/entities", **documents.entities(self._texts, self._types))
        async def entities(request: Request) -> Response:
            return await desk.reply(request, TextsRequest, queue, lambda asked: asked.items, show)

    def _add_cut(self, app: FastAPI, desk: Desk) -> None:
        most = desk.settings.max_dictionary

        def cut(items: list[tuple[Dictionary, str]]) -> list[list[tuple[str, str]]]:
            return by_key(items, lambda words, texts: self._tagger.stream_cut(texts, words or None))

        def items(asked: CutRequest) -> list[tuple[Dictionary, str]]:
            words = tuple(asked.dictionary or ())
            if len(words) > most:
                message = f"dictionary: expected at most {most:,} words, got {len(words):,}."
                raise ServingError(422, "dictionary_too_large", message, "dictionary")
            return [(words, text) for text in asked.items]

        def show(asked: CutRequest, found: list[list[tuple[str, str]]]) -> list[Found]:
            typed = bool(self._types)
            return [
                {"words": [word for word, _ in each], "pos": [kind for _, kind in each] if typed else None}
                for each in found
            ]

        queue = desk.queue("cut", cut)

        @app.post("/cut", **documents.cut(self._texts, self._types))
        async def cut_texts(request: Request) -> Response:
            return await desk.reply(request, CutRequest, queue, items, show)

    def _add_tags(self, app: FastAPI, desk: Desk) -> None:
        columns, most = len(self._state.tags), desk.settings.max_marginals

        def tag(items: list[tuple[bool, list[str]]]) -> list[Found]:
            return by_key(items, self._tag)

        def items(asked: TagsRequest) -> list[tuple[bool, list[str]]]:
            numbers = asked.marginals * columns * sum(map(len, asked.items))
            if numbers > most:
                message = f"marginals: expected at most {most:,} numbers, got {numbers:,}, {columns:,} for each token."
                raise ServingError(422, "too_many_marginals", message, "marginals")
            return [(asked.marginals, tokens) for tokens in asked.items]

        queue = desk.queue("tags", tag)

        @app.post("/tags", **documents.tags(tokens_of(self._state, self._texts[0]), self._state.tags.names))
        async def tags(request: Request) -> Response:
            return await desk.reply(request, TagsRequest, queue, items, lambda asked, found: found)

    def _tag(self, marginals: bool, sentences: list[list[str]]) -> Iterator[Found]:
        if not marginals:
            yield from ({"tags": each} for each in self._tagger.predict(sentences))
            return
        decode = self._state.tags.decode
        for rows in stream(self._state, sentences, tags_and_probabilities):
            tags = decode(rows[:, 0].astype(int).tolist())
            yield {"tags": tags, "marginals": rows[:, 1:].astype(float).round(_DIGITS).tolist()}
