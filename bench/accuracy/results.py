"""What has been measured, in one JSON file that grows entry by entry.

    {"default": name, "data": {key: what it is}, "results": [entry, ...], "not run": [{data, contestant, reason}, ...]}

An entry is found again by its data set (name and checksum), contestant, settings (versions included) and seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from textnn.files import atomic_text

Entry = dict[str, Any]
_EMPTY: Entry = {"default": "", "data": {}, "results": [], "not run": []}


class Results:
    """The entries of a file; it is written whole after each change, and is never seen half written.

    Parameters
    ----------
    path
        The JSON file; it need not exist.

    Raises
    ------
    SystemExit
        If it exists and is something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.content = _as_read(_EMPTY)
        if path.exists():
            try:
                read = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise SystemExit(f"{path}: expected results as JSON, got something else: {error}") from error
            if not isinstance(read, dict) or any(not isinstance(read.get(k), type(v)) for k, v in _EMPTY.items()):
                raise SystemExit(f"{path}: expected an object with {', '.join(map(repr, _EMPTY))}, got something else")
            self.content = read

    def describe(self, key: str, **facts: Any) -> None:
        """Note facts about a data set, beside those that are known."""
        self.content["data"].setdefault(key, {}).update(facts)
        self._write()

    def set_default(self, name: str) -> None:
        """Note which contestant is the one that users get who choose nothing."""
        self.content["default"] = name
        self._write()

    def has(self, data: str, contestant: str, settings: Entry, seed: int) -> bool:
        """Whether this has been measured."""
        settings = _as_read(settings)
        return any(entry["seed"] == seed and entry["settings"] == settings for entry in self._entries(data, contestant))

    def add(self, entry: Entry) -> None:
        """Take what has been measured."""
        self.content["results"].append(_as_read(entry))
        self._drop_reason(entry["data"], entry["contestant"])
        self._write()

    def add_not_run(self, data: str, contestant: str, reason: str) -> None:
        """Take that a contestant could not run, and why."""
        self._drop_reason(data, contestant)
        self.content["not run"].append({"data": data, "contestant": contestant, "reason": reason})
        self._write()

    def forget(self, data: str, contestants: Sequence[str]) -> None:
        """Drop what has been measured of contestants on a data set."""
        self.content["results"] = [
            entry
            for entry in self.content["results"]
            if entry["data"] != data or entry["contestant"] not in contestants
        ]
        self._write()

    def latest(self, data: str) -> dict[str, list[Entry]]:
        """Return the entries of each contestant on a data set, by seed: those with the settings measured last."""
        found: dict[str, list[Entry]] = {}
        for name in dict.fromkeys(entry["contestant"] for entry in self.content["results"]):
            entries = list(self._entries(data, name))
            if entries:
                same = {entry["seed"]: entry for entry in entries if entry["settings"] == entries[-1]["settings"]}
                found[name] = [same[seed] for seed in sorted(same)]
        return found

    def _entries(self, data: str, contestant: str) -> Iterable[Entry]:
        return (e for e in self.content["results"] if e["data"] == data and e["contestant"] == contestant)

    def _drop_reason(self, data: str, contestant: str) -> None:
        self.content["not run"] = [
            one for one in self.content["not run"] if (one["data"], one["contestant"]) != (data, contestant)
        ]

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_text(self._path) as file:
            file.write(json.dumps(self.content, indent=1, ensure_ascii=False) + "\n")


def _as_read(content: Entry) -> Entry:
    """Return a copy as JSON gives it back, where tuples are lists."""
    copied: Entry = json.loads(json.dumps(content))
    return copied
