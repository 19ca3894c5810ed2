"""What a client is told when its request cannot be answered: one form for all errors.

    {"error": {"code": "text_too_long", "message": "texts[2]: ...", "field": "texts[2]"}}

``code`` is for programs, ``message`` a sentence for people. An error of the program itself says no more than a number
by which it is found in the log.
"""

from __future__ import annotations

import json
import logging
import secrets
import traceback
from typing import Any

from starlette.responses import Response

from textnn.reading import escape_controls

log = logging.getLogger("textnn.serving")


class ServingError(Exception):
    """A request that is refused.

    Parameters
    ----------
    status
        Of HTTP.
    code
        For programs.
    message
        For people.
    field
        What in the request is wrong, ``"texts[2]"`` say.
    retry_after
        Seconds after which it may be tried again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field = status, code, message, field
        self.retry_after = retry_after

    def response(self) -> Response:
        """Return the answer. What a client has sent comes back in it without what a terminal obeys."""
        content = {"code": self.code, "message": escape_controls(self.message)}
        if self.field is not None:
            content["field"] = escape_controls(self.field)
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, round(self.retry_after + 0.5)))
        return JSONResponse({"error": content}, self.status, headers)


class GoneError(Exception):
    """The client has closed the connection."""


class JSONResponse(Response):
    """JSON that can be read in a terminal; also of strings that are no valid Unicode, which are escaped."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes."""
        try:
            return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def internal_error(error: BaseException) -> ServingError:
    """Log an error of the program, without its message, which may hold the text; return what the client is told."""
    number = secrets.token_hex(4)
    while error.__cause__ is not None:
        error = error.__cause__
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("error %s: %s\n%s", number, type(error).__name__, frames.rstrip())
    return ServingError(500, "internal", f"The server failed; its log has more under {number}.")
