"""Reading files that nobody vouches for: what is opened, how much is read, what counts as JSON, what may be shown."""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textnn.files import atomic_text
from textnn.reading import DEEPEST, escape_controls, open_regular, parse_json, printable, read_regular


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a pipe"),
        (lambda path: path.mkdir(), "a directory"),
        (lambda path: path.symlink_to("/etc/hosts"), "a symbolic link"),
        (_socket, "a socket"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(make: Callable[[Path], Any], kind: str, tmp_path: Path) -> None:
    make(tmp_path / "file")
    with pytest.raises(ValueError, match=f"^expected a regular file, got {kind}$"):
        open_regular(tmp_path / "file")


def test_a_device_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a regular file, got a device"):
        open_regular("/dev/zero")


def test_links_are_followed_where_they_are_allowed_but_not_to_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 7, follow=True) == b"content"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "other").symlink_to("pipe")
    with pytest.raises(ValueError, match="got a pipe"):
        read_regular(tmp_path / "other", 7, follow=True)


def test_a_file_that_becomes_a_pipe_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and opening something else may be put there: the descriptor is looked at again."""
    (tmp_path / "file").write_bytes(b"content")
    found = os.stat

    def swap(path: Any, **options: Any) -> os.stat_result:
        result = found(path, **options)
        (tmp_path / "file").unlink()
        os.mkfifo(tmp_path / "file")
        return result

    monkeypatch.setattr(os, "stat", swap)
    with pytest.raises(ValueError, match="got a pipe"):
        open_regular(tmp_path / "file")


def test_sizes_are_looked_at_before_reading(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="expected at most 1,000 bytes, got 1,099,511,627,776"):
        read_regular(tmp_path / "large", 1000)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 1000)


@pytest.mark.parametrize(
    "value", [None, 0, -1.5, 10**400, "", "\ud800", "😀", "\x1b", [], {"a": [1, {"b": None}]}, [[]] * 100]
)
def test_json_is_read_as_python_reads_it(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Expecting value"),
        ("{} x", "Extra data"),
        ("NaN", "a number that is none, NaN"),
        ("[-Infinity]", "a number that is none, -Infinity"),
        ("-1e999", "a number too large for a float, -1e999"),
        ("1" * 1001, "a number of 1,001 digits"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "an object with 'c' more than once"),
        ("[" * 10**5, "nested more than 64 deep"),
        ('{"a":' * DEEPEST + "[]" + "}" * DEEPEST, None),
        ('{"a":' * (DEEPEST + 1) + "[]" + "}" * (DEEPEST + 1), "nested more than 64 deep"),
        (b"\xff", "can't decode byte 0xff"),
        (b'"\xed\xa0\x80"', "can't decode byte 0xed"),
        ('"\x1b[2J"', "Invalid control character"),
        ('{"' + "\\u001b" * 50 + '": 1, "' + "\\u001b" * 50 + '": 2}', r"an object with '(\\\\x1b|\\x1b){40}' more"),
    ],
)
def test_what_is_no_json_is_refused(content: str | bytes, message: str | None) -> None:
    if message is None:
        parse_json(content)
        return
    with pytest.raises(ValueError, match=message) as error:
        parse_json(content)
    assert str(error.value).startswith("expected JSON, got")
    assert len(str(error.value)) < 500


def test_numbers_that_json_does_not_have_are_taken_where_they_are_asked_for() -> None:
    found = parse_json("[NaN, Infinity, -Infinity]", constants=True)
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize("text", ["", "plain", "房间\u3000很 好", "👨‍👩‍👧 é", "two\nlines\tand a tab", "<script>"])
def test_text_that_a_terminal_does_not_obey_stays(text: str) -> None:
    assert escape_controls(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb", "a\\rb"),
        ("\x9b31m", "\\x9b31m"),
        ("\x00\x07\x08\x7f", "\\x00\\x07\\x08\\x7f"),
        ("\u202eexe.gpj", "\\u202eexe.gpj"),
        ("\u2028", "\\u2028"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_obeys_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert escape_controls(text) == shown


def test_long_messages_keep_their_beginning_and_their_end() -> None:
    found = printable(f"model/config.json: got {'x' * 10**6}; use another", 100)
    assert found.startswith("model/config.json: got x")
    assert found.endswith("x; use another")
    assert len(found) < 120


def test_half_a_surrogate_pair_is_written_as_an_escape_of_json(tmp_path: Path) -> None:
    with atomic_text(tmp_path / "out.jsonl") as file:
        file.write(json.dumps({"label": "a\ud800"}, ensure_ascii=False) + "\n")
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8")) == {"label": "a\ud800"}
