"""What comes in: bytes of a body, counted as they come -> JSON -> checked values.

Every mistake is a :class:`ServingError` that says what was expected. None of them repeats the text.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import ClientDisconnect, Request

from textnn.reading import parse_json
from textnn.serving.errors import GoneError, ServingError
from textnn.serving.settings import Settings

Model = TypeVar("Model", bound=BaseModel)


class OneOrSeveral(BaseModel):
    """A request for one thing, or for several of them.

    Attributes
    ----------
    names, kinds
        The fields of the one and of the several, and what they hold, for messages.
    """

    model_config = ConfigDict(strict=True, extra="forbid")
    names: ClassVar[tuple[str, str]]
    kinds: ClassVar[tuple[str, str]]

    @model_validator(mode="after")
    def _one_of_both(self) -> OneOrSeveral:
        one, several = self.names
        if (getattr(self, one) is None) == (getattr(self, several) is None):
            forms = (f"{name!r}, {kind}" for name, kind in zip(self.names, self.kinds, strict=True))
            raise ValueError(f"expected either {', or '.join(forms)}")
        return self

    @property
    def single(self) -> bool:
        """Whether one is asked for."""
        return getattr(self, self.names[0]) is not None

    @property
    def items(self) -> list[Any]:
        """What is asked for."""
        one, several = (getattr(self, name) for name in self.names)
        return [one] if self.single else several

    @staticmethod
    def size(item: Any) -> int:
        """Return the characters of an item."""
        return len(item)

    def check(self, settings: Settings) -> None:
        """Check the number of items and their lengths.

        Raises
        ------
        ServingError
            If there are too many, none, or one is too long.
        """
        one, several = self.names
        items = self.items
        if not items:
            raise ServingError(422, "no_texts", f"{several}: expected at least one {several[:-1]}, got none.", several)
        if len(items) > settings.max_texts:
            raise ServingError(
                422,
                "too_many_texts",
                f"{several}: expected at most {settings.max_texts:,}, got {len(items):,}.",
                several,
            )
        for position, item in enumerate(items):
            check_length(self.size(item), settings, one if self.single else f"{several}[{position}]")


class TextsRequest(OneOrSeveral):
    """One text, or several."""

    names = ("text", "texts")
    kinds = ("a string", "a list of strings")
    text: Annotated[str | None, Field(description="A text.")] = None
    texts: Annotated[list[str] | None, Field(description="Several texts, in the place of one.")] = None


def check_length(length: int, settings: Settings, field: str) -> None:
    """Check how many characters a field has.

    Raises
    ------
    ServingError
        If they are too many.
    """
    if length > settings.max_text:
        raise ServingError(
            422,
            "text_too_long",
            f"{field}: expected at most {settings.max_text:,} characters, got {length:,}.",
            field,
        )


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
