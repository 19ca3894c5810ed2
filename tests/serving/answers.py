"""What the tests of the HTTP interface expect of every error."""

from __future__ import annotations

from typing import Any


def error_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    content = response.json()
    assert set(content) == {"error"}
    assert {"code", "message"} <= set(content["error"]) <= {"code", "message", "field"}
    return dict(content["error"])
