"""The paths of a language model.

POST /continue    prompts -> what is written behind them
POST /score       texts -> log-probabilities and perplexities
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from fastapi import FastAPI, Request, Response

from textnn.language import generation
from textnn.language.objective import perplexity
from textnn.language.sampling import Sampling
from textnn.serving.desk import Desk
from textnn.serving.tasks.language import documents
from textnn.serving.tasks.language.bodies import ContinueRequest, ScoreRequest
from textnn.serving.tasks.task import LIMITS, Task

if TYPE_CHECKING:
    from textnn import LanguageModel

Found = dict[str, Any]
_TOKENS = 200


class _Prompt(NamedTuple):
    """What is to be continued, with how many tokens, and by how much its seed differs from the one that was given."""

    text: str
    tokens: int
    number: int
    asked: ContinueRequest


class Language(Task):
    """A language model that is served."""

    known_by = "next_tokens"
    fitted = "state_"
    every_path = frozenset({"/continue", "/score"})
    facts_form = documents.Facts
    limits = (*LIMITS, "max_tokens", "max_hypotheses")
    name, does, paths = "language", "continues texts, and says how probable they are", ("/continue", "/score")

    def __init__(self, model: LanguageModel) -> None:
        self._model, self._state = model, model.state_

    def warm_up(self) -> None:
        """Make the table of characters, which happens at the first score."""
        self._model.score_texts(["."])

    def facts(self) -> Found:
        """Return what the model is."""
        state = self._state
        return {
            "architecture": state.model.name,
            "level": state.splitter.level,
            "vocabulary": len(state.vocabulary),
            "parameters": sum(parameter.numel() for parameter in state.model.parameters()),
            "training_texts": state.n_texts,
            "validation_perplexity": state.validation_perplexity,
            "examples": [],
        }

    def add_paths(self, app: FastAPI, desk: Desk) -> None:
        """Add the paths."""
        # A text takes as many steps as it has tokens: one at a time, so that scores go on beside it.
        writing = desk.slow_queue("continue", self._continue, desk.settings.max_continuations)
        scoring = desk.queue("score", self._score)

        def prompts(asked: ContinueRequest) -> list[_Prompt]:
            tokens = asked.tokens or min(_TOKENS, desk.settings.max_tokens)
            return [_Prompt(text, tokens, number, asked) for number, text in enumerate(asked.items)]

        def shown(asked: ScoreRequest, found: list[Any]) -> list[Found]:
            return [self._told(text, scores, asked.each) for text, scores in zip(asked.items, found, strict=True)]

        @app.post("/continue", **documents.continuing())
        async def continue_prompts(request: Request) -> Response:
            return await desk.reply(request, ContinueRequest, writing, prompts, lambda asked, found: found)

        @app.post("/score", **documents.score())
        async def score(request: Request) -> Response:
            return await desk.reply(request, ScoreRequest, scoring, lambda asked: asked.items, shown)

    def _continue(self, prompts: list[_Prompt]) -> list[Found]:
        """Return what is written behind each prompt. What is unknown is told its sender, and not the server's log."""
        return [
            {"text": self._write(each), "unknown": self._state.encoder.unknown(self._state.splitter.split(each.text))}
            for each in prompts
        ]

    def _write(self, prompt: _Prompt) -> str:
        state, asked = self._state, prompt.asked
        request = generation.check_request(state, prompt.text, prompt.tokens, asked.stop, warn=False)
        if asked.beam is not None:
            return generation.beam_search(state, request, asked.beam)[0]
        temperature = 1.0 if asked.temperature is None else asked.temperature
        sampling = Sampling(temperature, asked.top_k, asked.top_p)
        seed = secrets.randbits(62) if asked.seed is None else (asked.seed + prompt.number) % 2**63
        return "".join(generation.sample(state, request, sampling, seed))

    def _score(self, texts: list[str]) -> list[Any]:
        return list(self._model.score_tokens(texts))

    def _told(self, text: str, scores: np.ndarray[Any, Any], each: bool) -> Found:
        total = float(scores.sum())
        found: Found = {
            "log_probability": total,
            "tokens": len(scores),
            "perplexity": perplexity(-total / len(scores)),
        }
        if each:
            names = [*self._state.splitter.split(text), ""]
            found["each"] = list(zip(names, scores.tolist(), strict=True))
        return found
