"""What the OpenAPI description says of the server: errors, facts of any model; nothing here is computed with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

DESCRIPTION = """Errors have one form: `{"error": {"code", "message", "field"?}}`, where `code` is for programs and
`message` for people."""


class ErrorDetail(BaseModel):
    """What was wrong."""

    code: str
    message: str
    field: str | None = None


class Error(BaseModel):
    """Every error has this form."""

    error: ErrorDetail


class Facts(BaseModel):
    """What the model is."""

    title: str
    task: str = Field(
        description="What it is for: 'classification', 'entities', 'segmentation', 'tagging', 'language'."
    )
    paths: list[str] = Field(description="What it can be asked.")
    architecture: str
    vocabulary: int
    parameters: int
    examples: list[str] = Field(description="Texts to try it on; none where it does not tell what it is for.")
    textnn: str
    limits: dict[str, Any]


class Health(BaseModel):
    """Whether the server takes requests."""

    status: str


_ERRORS = {
    400: (
        "The body is no valid JSON.",
        "invalid_json",
        "The body is no valid JSON: expected value at line 1 column 2.",
    ),
    408: ("The body did not arrive in time.", "body_too_slow", "The body did not arrive within 30 seconds."),
    413: (
        "The body is too large.",
        "body_too_large",
        "Expected a body of at most 1,048,576 bytes; this one is larger.",
    ),
    415: (
        "The body is not of the type application/json.",
        "unsupported_media_type",
        "Expected a body of the type application/json, got text/plain.",
    ),
    422: (
        "JSON of another form, too many texts, one that is too long, an unknown label or method.",
        "too_many_texts",
        "texts: expected at most 256, got 1,000.",
    ),
    429: (
        "Too many requests of this client, in a time or at once; Retry-After says when to try again.",
        "rate_limited",
        "Expected at most 600/minute ...",
    ),
    500: ("The program failed; its log has more.", "internal", "The server failed; its log has more under 1f2e3d4c."),
    503: ("The queue is full; Retry-After says when to try again.", "overloaded", "Too many texts are waiting."),
    504: ("There was no answer in time.", "timeout", "There was no answer within 30 seconds."),
}


def errors() -> dict[int | str, dict[str, Any]]:
    """Return the errors that a request with a body may get."""
    return {
        status: {
            "model": Error,
            "description": what,
            "content": {"application/json": {"example": {"error": {"code": code, "message": message}}}},
        }
        for status, (what, code, message) in _ERRORS.items()
    }


def sendable(label: Any) -> Any:
    """Return a label for an example: without halves of surrogate pairs, which could not be sent."""
    return label.encode("utf-8", "replace").decode() if isinstance(label, str) else label


def examples(values: dict[str, Any]) -> dict[str, Any]:
    """Return examples of a body by their names."""
    return {"examples": {name: {"summary": name, "value": value} for name, value in values.items()}}


def body(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of the body of a request, with examples by their names."""
    content = {"application/json": {"schema": model.model_json_schema(), **examples(values)}}
    return {"requestBody": {"required": True, "content": content}}


def one_or_several(
    summary: str,
    request: type[BaseModel],
    asked: tuple[dict[str, Any], dict[str, Any]],
    answer: Any,
    found: dict[str, Any],
    names: tuple[str, str] = ("one text", "several texts"),
) -> dict[str, Any]:
    """Return what is said of a path that takes one thing or several.

    Parameters
    ----------
    summary
        What it does.
    request, answer
        The forms of bodies and answers.
    asked
        A request for one thing, and one for two.
    found
        The answer to the first.
    names
        Of these examples.
    """
    one, several = asked
    first, second = names
    return {
        "summary": summary,
        "responses": {
            200: {
                "model": answer,
                "description": f"The answer to {first}, or those to {second}.",
                "content": {"application/json": examples({first: found, second: {"predictions": [found, found]}})},
            },
            **errors(),
        },
        "openapi_extra": body(request, {first: one, second: several}),
    }
