"""What a language model is asked, beside texts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from textnn.serving.bodies import OneOrSeveral, TextsRequest
from textnn.serving.errors import ServingError
from textnn.serving.settings import Settings

LONGEST_STOP, MOST_STOPS = 100, 16
"""Characters of a string behind which a text ends, and how many of them there may be."""

Stop = Annotated[str, Field(min_length=1, max_length=LONGEST_STOP)]


class ContinueRequest(OneOrSeveral):
    """One prompt, or several, and how they are to be continued."""

    names = ("prompt", "prompts")
    kinds = ("a string", "a list of strings")
    prompt: Annotated[str | None, Field(description="What stands before; empty: a text begins.")] = None
    prompts: Annotated[list[str] | None, Field(description="Several prompts, in the place of one.")] = None
    tokens: Annotated[
        int | None, Field(ge=1, description="Tokens at most; a text may end before. 200, or what the server allows.")
    ] = None
    temperature: Annotated[
        float | None, Field(ge=0, le=1000, description="Below 1: safer; above: wilder; 0: greedy; 1 if not given.")
    ] = None
    top_k: Annotated[int | None, Field(ge=1, description="Draw from so many of the most probable tokens.")] = None
    top_p: Annotated[
        float | None, Field(gt=0, le=1, description="Draw from the tokens that together have this probability.")
    ] = None
    beam: Annotated[int | None, Field(ge=1, description="Beam search with so many hypotheses; draws nothing.")] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63, description="The same seed gives the same text.")] = None
    stop: Annotated[list[Stop] | None, Field(max_length=MOST_STOPS, description="End behind the first of these.")] = (
        None
    )

    @model_validator(mode="after")
    def _draws_or_searches(self) -> ContinueRequest:
        drawing = (self.temperature, self.top_k, self.top_p, self.seed)
        if self.beam is not None and any(value is not None for value in drawing):
            raise ValueError("expected no 'temperature', 'top_k', 'top_p' or 'seed' beside 'beam', which draws nothing")
        return self

    def check(self, settings: Settings) -> None:
        """Check the number of prompts, their lengths, and how much is asked for.

        Raises
        ------
        ServingError
            If it is too much.
        """
        super().check(settings)
        for field, value, most in (
            ("tokens", self.tokens or 1, settings.max_tokens),
            ("beam", self.beam or 1, settings.max_hypotheses),
        ):
            if value > most:
                raise ServingError(422, "too_much", f"{field}: expected at most {most:,}, got {value:,}.", field)


class ScoreRequest(TextsRequest):
    """One text, or several, to score."""

    each: Annotated[bool, Field(description="Whether to give the log-probability of each token.")] = False
