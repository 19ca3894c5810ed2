"""Damaged files of every kind, a few hundred of each: none may crash, hang or take memory, and none of the errors may
be another than the documentation says. ``python -m fuzz`` runs as many as are wanted.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from fuzz.engine import generate  # noqa: E402
from fuzz.page import START, table  # noqa: E402
from fuzz.targets import TARGETS  # noqa: E402
from fuzz.watch import Figures, Watch  # noqa: E402

RUNS = {"model": 60, "language": 100, "translator": 100, "checkpoint": 60, "output": 150}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """One thread, and the signals' handlers as they were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGPROF, signal.SIGALRM)}
    yield
    torch.set_num_threads(threads)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", list(TARGETS))
def test_damage_is_refused_or_harmless(name: str, tmp_path: Path) -> None:
    if name == "request":
        pytest.importorskip("fastapi", reason="serving needs fastapi")
    target, figures = TARGETS[name], Figures(name, "random", 0)
    for data in target.seeds()[:4]:  # makes what is made once
        with suppress(*target.allowed):
            target.run(data)
    watch = Watch(target.run, target.allowed, figures, tmp_path)
    for data in generate(target.seeds(), 0, RUNS.get(name, 300)):
        watch.run(data)
    assert figures.findings == [], f"see {tmp_path}"
    assert 0 < figures.refused < figures.inputs, "damage that is never, or always, refused tests nothing"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (lambda: {}["key"], "KeyError: 'key'"),
        (lambda: [].pop(), "IndexError: pop from empty list"),
        (lambda: (lambda f: f(f))(lambda f: f(f)), "RecursionError"),
        (lambda: bytearray(400 << 20), "memory grew by"),
        (lambda: b"\xff".decode(), "UnicodeDecodeError says what Python says"),
        (lambda: int("1\x1b[2J"), None),
        (lambda: _raise("\x1b[2J a message"), "a message with control characters"),
        (lambda: _raise("x" * 10**4), "a message of 10,000 characters"),
        (lambda: _raise(""), "a message without words"),
    ],
)
def test_the_watch_sees(fault: object, found: str | None, tmp_path: Path) -> None:
    figures = Figures("x", "random", 0)
    result = Watch(lambda data: fault(), (ValueError,), figures, tmp_path).run(b"data")  # type: ignore[operator]
    assert (result is None) if found is None else str(result).startswith(found), result
    assert ((tmp_path / "crash-x-1").read_bytes() == b"data") if found else not list(tmp_path.iterdir())


def test_the_watch_ends_what_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.watch.SECONDS", 0.2)

    def work(data: bytes) -> None:
        while True:
            pass

    assert Watch(work, (ValueError,), Figures("x", "random", 0), tmp_path).run(b"") == "took too long"


def test_inputs_are_the_same_for_the_same_seed() -> None:
    first, again, other = (list(generate([b"seed"], seed, 50)) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) > 40


def test_the_page_shows_the_figures() -> None:
    runs = json.loads((ROOT / "fuzz" / "figures.json").read_bytes())
    page = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
    assert START + table(runs) in page, "the page is stale: python -m fuzz --page"
    assert {run["target"] for run in runs} == set(TARGETS)
    assert sum(run["inputs"] for run in runs) >= 100_000
    assert not any(run["findings"] for run in runs)


def _raise(message: str) -> None:
    raise ValueError(message)
