"""A pytest plugin: writes every test's result as it comes, so that a process that dies leaves what it had.

    python -m pytest -p tools.gpu_check.recorder --record FILE [--share I/N] [--test-limit SECONDS] ...

A share is every N-th test from the I-th on, so that N processes together run all of them. Tests that FILE names already
are left out: whoever starts pytest again after a crash goes on behind the test that crashed. A test that takes longer
than its limit ends the process, as a kernel that hangs cannot be interrupted. After an error that leaves the CUDA
context unusable every further test would fail, so the process ends as well.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.gpu_check import rows

MESSAGE = 1500  # characters of a failure that its row keeps
NOT_BEGUN: dict[str, Any] = {"outcome": "not begun", "seconds": None, "message": ""}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", type=Path, required=True, help="file for the results, a line of JSON for each")
    parser.addoption("--share", default="0/1", metavar="I/N", help="every N-th test from the I-th on")
    parser.addoption("--test-limit", type=float, default=60.0, help="seconds after which a test ends the process")


def pytest_configure(config: pytest.Config) -> None:
    options = [config.getoption(name) for name in ("--record", "--share", "--test-limit")]
    config.pluginmanager.register(Recorder(*options))


class Recorder:
    """Writes the rows of one process."""

    def __init__(self, record: Path, share: str, limit: float) -> None:
        self.record, self.share, self.limit, self.lost = record, share, limit, False
        self.before = rows.read(record)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        first, number = map(int, self.share.split("/"))
        kept = items[first::number]
        if not self.before:
            rows.add(self.record, "planned", tests=[item.nodeid for item in kept])
        seen = {row["test"] for row in self.before if row["kind"] == "begin"}
        kept = [item for item in kept if item.nodeid not in seen]
        chosen = set(kept)
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = kept

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        rows.add(self.record, "begin", test=item.nodeid)
        with self.record.with_suffix(".trace").open("a") as trace:
            faulthandler.dump_traceback_later(self.limit, exit=True, file=trace)
            yield
            faulthandler.cancel_dump_traceback_later()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            message = "" if report.outcome == "passed" else reason(report)[-MESSAGE:]
            rows.add(
                self.record,
                "end",
                test=report.nodeid,
                outcome=report.outcome,
                seconds=round(report.duration, 3),
                message=message,
            )
        if report.outcome == "failed" and not self.lost and device_is_lost():
            self.lost = True
            rows.add(self.record, "lost", test=report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        if self.lost:
            pytest.exit("the CUDA context is unusable", returncode=3)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if not self.lost:
            rows.add(self.record, "finished", code=int(exitstatus))


def reason(report: pytest.TestReport) -> str:
    """Return why a test failed or was skipped."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return str(report.longrepr or "")


def device_is_lost() -> bool:
    """Return whether the CUDA context can no longer be used."""
    import torch

    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def results(path: Path) -> dict[str, dict[str, Any]]:
    """Return the last word on each test of a record: its outcome, seconds and message.

    A test that began and never ended took its process with it, and counts as "crashed".
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows.read(path):
        if row["kind"] == "planned":
            found |= dict.fromkeys(row["tests"], NOT_BEGUN)
        elif row["kind"] == "begin":
            found[row["test"]] = {"outcome": "crashed", "seconds": None, "message": "its process ended with it"}
        elif row["kind"] == "end" and found.get(row["test"], NOT_BEGUN)["outcome"] != "failed":
            # An error while a test is taken down does not undo its failure.
            found[row["test"]] = {key: row[key] for key in ("outcome", "seconds", "message")}
    return found


def begun(path: Path) -> int:
    """Return how many tests began."""
    return sum(row["kind"] == "begin" for row in rows.read(path))


def is_finished(path: Path) -> bool:
    """Return whether pytest came to the end of its tests."""
    return any(row["kind"] == "finished" and row["code"] in (0, 1, 5) for row in rows.read(path))
