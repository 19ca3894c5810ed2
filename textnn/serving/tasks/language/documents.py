"""What the OpenAPI description says of a language model's requests and answers; nothing here is computed with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from textnn.serving import documents
from textnn.serving.tasks.language.bodies import ContinueRequest, ScoreRequest


class Continuation(BaseModel):
    """What was written behind a prompt."""

    text: str = Field(description="Without the prompt.")
    unknown: list[str] = Field(description="Tokens of the prompt that are not in the vocabulary, each once.")


class Continuations(BaseModel):
    """What was written behind several prompts, in their order."""

    predictions: list[Continuation]


class Score(BaseModel):
    """How probable a text is."""

    log_probability: float = Field(description="Of all tokens and the end of the text, natural logarithm.")
    tokens: int = Field(description="With the end.")
    perplexity: float
    each: list[tuple[str, float]] | None = Field(
        None, description="Where asked for: each token with its log-probability; the last, empty one is the end."
    )


class Scores(BaseModel):
    """How probable several texts are, in their order."""

    predictions: list[Score]


class Facts(documents.Facts):
    """What a language model is."""

    level: str = Field(description="What its tokens are: 'char', 'word', or those of a 'tokenizer'.")
    training_texts: int
    validation_perplexity: float | None


def continuing() -> dict[str, Any]:
    """Return what is said of ``POST /continue``."""
    found = {"text": "...", "unknown": []}
    asked = ({"prompt": "A text", "tokens": 20, "seed": 1}, {"prompts": ["A text", ""], "beam": 4})
    names = ("one prompt", "several prompts")
    answer = Continuation | Continuations
    return documents.one_or_several("Continue prompts", ContinueRequest, asked, answer, found, names)


def score() -> dict[str, Any]:
    """Return what is said of ``POST /score``."""
    found = {"log_probability": -12.5, "tokens": 7, "perplexity": 5.96}
    asked = ({"text": "A text."}, {"texts": ["A text.", "Another text."]})
    return documents.one_or_several("Say how probable texts are", ScoreRequest, asked, Score | Scores, found)
