"""docs/tutorial-classifier.md: its blocks run, what it shows is what they print, its commands and its request work."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import walkthrough

pytestmark = pytest.mark.slow

TEXT = walkthrough.PAGE.read_text(encoding="utf-8")
SMALL = {  # fewer texts, and one epoch, in place of those of the page
    "rows[:1_000], rows[1_000:2_000], rows[2_000:4_000]": "rows[:60], rows[60:160], rows[160:320]",
    "sentences[:200], sentences[200:]": "sentences[:60], sentences[60:220]",
    "random_state=0": "random_state=0, epochs=1",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[tuple[str, str]], dict[str, Any]]]:
    """What the blocks printed beside what the page shows, the names that they defined, and the folder they ran in."""
    pytest.importorskip("snownlp")
    page = TEXT
    for full, small in SMALL.items():
        assert full in page
        page = page.replace(full, small)
    folder, threads = tmp_path_factory.mktemp("walkthrough"), torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        blocks, names = [], {}
        for block, printed, names in walkthrough.run(page):  # noqa: B007
            blocks.append((block["output"] or "", printed))
    yield folder, blocks, names
    torch.set_num_threads(threads)


def form(text: str) -> str:
    """The first line that is not a review, its figures masked."""
    lines = [line for line in text.splitlines() if not re.search("[\u4e00-\u9fff]", line)]
    return re.sub(r"\d[\d.,]*", "0", re.sub(" +", " ", lines[0])) if lines else ""


def test_what_the_page_shows_is_what_its_blocks_print(ran: Any) -> None:
    _, blocks, _ = ran
    assert len(blocks) == 9
    for shown, printed in blocks:
        assert bool(shown) == bool(printed), printed
        assert form(shown) == form(printed)


def test_the_classifier_learns_and_is_saved(ran: Any) -> None:
    folder, _, names = ran
    assert names["report"].accuracy > names["report"].majority_accuracy
    assert (folder / "model" / "config.json").exists()
    assert sorted(names["clf"].classes_) == sorted(package.__name__ for package in names["packages"])


def test_the_commands_and_the_request_of_the_page_work(ran: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    client = pytest.importorskip("starlette.testclient")
    from typer.testing import CliRunner

    from _textnn_cli import app
    from textnn import SentimentClassifier
    from textnn.serving import Settings, create_app

    monkeypatch.chdir(ran[0])
    commands = [shlex.split(line) for line in re.findall(r"^textnn ((?:predict|explain).*)$", TEXT, re.MULTILINE)]
    assert len(commands) == 2
    for arguments in commands:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    (path, body) = re.findall(r"^curl localhost:8000(\S+) .* -d '(.*)'$", TEXT, re.MULTILINE)[0]
    with client.TestClient(create_app(SentimentClassifier.load("model"), Settings())) as there:
        answer = there.post(path, json=json.loads(body)).json()
    assert [one["label"] in ("positive", "negative") for one in answer["predictions"]] == [True, True]


def test_outputs_are_written_behind_their_blocks() -> None:
    page = "```python\nprint(6 * 7)\n```\n\n```text\nold\n```\n\n```python\nx = 1\n```\n\n```sh\nls\n```\n"
    assert walkthrough.written(page) == page.replace("old", "42")
