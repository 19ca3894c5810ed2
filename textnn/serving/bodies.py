"""What comes in: bytes of a body, counted as they come -> JSON -> checked values.

Every mistake is a :class:`ServingError` that says what was expected. None of them repeats the text.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import ClientDisconnect, Request

from textnn.reading import parse_json
from textnn.serving.errors import GoneError, ServingError
from textnn.serving.settings import Settings

Model = TypeVar("Model", bound=BaseModel)


class PredictRequest(BaseModel):
    """One text, or several."""

    model_config = ConfigDict(strict=True, extra="forbid")
    text: Annotated[str | None, Field(description="A text.")] = None
    texts: Annotated[list[str] | None, Field(description="Several texts, in the place of one.")] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> PredictRequest:
        if (self.text is None) == (self.texts is None):
            raise ValueError("expected either 'text', a string, or 'texts', a list of strings")
        return self


class ExplainRequest(BaseModel):
    """A text, and of which class to explain the probability."""

    model_config = ConfigDict(strict=True, extra="forbid")
    text: Annotated[str, Field(description="A text.")]
    label: Annotated[Any, Field(description="A class of the model; by default the predicted one.")] = None
    method: Annotated[
        str, Field(description="By what method; 'auto' takes the one that suits the model.", max_length=40)
    ] = "auto"


async def read(request: Request, model: type[Model], settings: Settings) -> Model:
    """Return the body of a request as a checked value.

    Raises
    ------
    ServingError
        If it is no JSON, too large, not sent in time, or something else than the model.
    GoneError
        If the client goes away.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise ServingError(
            415,
            "unsupported_media_type",
            f"Expected a body of the type application/json, got {kind[:100] or 'none'}.",
        )
    body = await _read_bytes(request, settings)
    try:
        checked = model.model_validate_json(body)
    except ValidationError as error:
        raise _explain(error) from None
    try:
        parse_json(body)  # which takes less: no name twice, no endless numbers
    except ValueError as error:
        message = str(error).removeprefix("expected JSON, got: ")
        raise ServingError(400, "invalid_json", f"The body is no valid JSON: {message}.") from None
    return checked


async def _read_bytes(request: Request, settings: Settings) -> bytes:
    largest = settings.max_body
    too_large = ServingError(
        413, "body_too_large", f"Expected a body of at most {largest:,} bytes; this one is larger."
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > largest):
        raise too_large
    body = bytearray()
    with anyio.move_on_after(settings.timeout):
        try:
            async for chunk in request.stream():
                if len(body) + len(chunk) > largest:
                    raise too_large
                body += chunk
        except ClientDisconnect:
            raise GoneError from None
        return bytes(body)
    raise ServingError(408, "body_too_slow", f"The body did not arrive within {settings.timeout:g} seconds.")


def _explain(error: ValidationError) -> ServingError:
    """Return the first of the mistakes as a sentence."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    message = str(first["msg"])
    if first["type"] == "json_invalid":
        return ServingError(
            400, "invalid_json", f"The body is no valid JSON: {message.removeprefix('Invalid JSON: ')}."
        )
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])[:100].lstrip(".")
    field = field.encode("ascii", "replace").decode()
    message = message.removeprefix("Value error, ")
    return ServingError(422, "invalid_request", f"{field}: {message}." if field else f"{message}.", field or None)


def check_texts(texts: list[str], settings: Settings, single: bool) -> None:
    """Check the number of texts and their lengths.

    Raises
    ------
    ServingError
        If there are too many, none, or one is too long.
    """
    if not texts:
        raise ServingError(422, "no_texts", "texts: expected at least one text, got none.", "texts")
    if len(texts) > settings.max_texts:
        raise ServingError(
            422, "too_many_texts", f"texts: expected at most {settings.max_texts:,}, got {len(texts):,}.", "texts"
        )
    for position, text in enumerate(texts):
        if len(text) > settings.max_text:
            field = "text" if single else f"texts[{position}]"
            raise ServingError(
                422,
                "text_too_long",
                f"{field}: expected at most {settings.max_text:,} characters, got {len(text):,}.",
                field,
            )
