"""docs/safety.md lists every way that a model, a data file or a request can be bad, with the message that comes: this
makes each of them and compares.

    python tests/test_safety_table.py --write      writes the tables anew
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "safety.md"
sys.path[:0] = [str(HERE), str(HERE / "classifier")]

from safety import data, language_models, models, requests, taggers, translators  # noqa: E402
from samples import make_reviews  # noqa: E402

from textnn import LanguageModel, SentimentClassifier, SequenceTagger, Translator  # noqa: E402
from textnn.bundle import BundleError  # noqa: E402
from textnn.reading import escape_controls  # noqa: E402


def _load(make: Callable[[Path], object], good: Path, kind: Any = SentimentClassifier) -> Callable[[Path], object]:
    def run(folder: Path) -> None:
        directory = folder / "model"
        directory.mkdir()
        for file in good.iterdir():
            (directory / file.name).write_bytes(file.read_bytes())
        make(directory)
        kind.load(directory)

    return run


def _tables(good: Path) -> dict[str, list[tuple[str, Callable[[Path], object]]]]:
    language = good.with_name("language")
    return {
        "models": [(what, _load(make, good)) for what, make in models.CASES],
        "taggers": [(what, _load(make, good.with_name("tagger"), SequenceTagger)) for what, make in taggers.CASES],
        "language models": [(what, _load(make, language, LanguageModel)) for what, make in language_models.CASES],
        "translators": [
            (what, _load(make, good.with_name("translator"), Translator)) for what, make in translators.CASES
        ],
        "corpora": data.CORPORA,
        "vectors": data.VECTORS,
        "word lists": data.WORDS,
        "checkpoints": data.CHECKPOINTS,
        "outputs": data.OUTPUTS,
    }


def message(run: Callable[[Path], object], folder: Path) -> str:
    """Return what a user sees of a bad thing, without the directory that it lies in here."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  # which one is checked below
        run(folder)
    error = raised.value
    kinds = (ValueError, BundleError, OSError, *([type(error)] if type(error).__name__ == "RunError" else []))
    assert isinstance(error, kinds), f"{type(error).__name__}: {error}"
    shown = str(error)
    assert len(shown) < 1500, f"{len(shown)} characters"
    assert escape_controls(shown) == shown, ascii(shown)
    return re.sub(rf"{re.escape(str(folder))}/?", "", shown) or "."


def answer(send: Callable[[SentimentClassifier], Any], classifier: SentimentClassifier) -> str:
    """Return what a client is told; a number in the log, and when to try again, are others each time."""
    response = send(classifier)
    assert response.status_code >= 400, response.text
    assert len(response.content) < 1500, f"{len(response.content)} bytes"
    assert "Traceback" not in response.text
    assert "passwd in" not in response.text
    error = response.json()["error"]
    shown = re.sub(r"under [0-9a-f]+", "under NUMBER", f"{response.status_code} {error['code']}: {error['message']}")
    return shown + (" Retry-After: SECONDS" if int(response.headers.get("Retry-After", 0)) >= 1 else "")


def render(rows: list[tuple[str, str]]) -> str:
    """Return a table's Markdown."""
    lines = ["| what is wrong | what the user sees |", "| --- | --- |"]
    for what, shown in rows:
        cell = shown.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {what} | `{cell}` |")
    return "\n".join(lines) + "\n"


def _section(page: str, name: str) -> tuple[int, int]:
    start = page.index(f"<!-- table: {name} -->\n") + len(f"<!-- table: {name} -->\n")
    return start, page.index("<!-- end -->", start)


def make_good(folder: Path) -> Path:
    """Save the models that the cases damage, and return the classifier's directory."""
    parameters: dict[str, Any] = {"embedding_dim": 8, "channels": 8, "epochs": 1, "random_state": 0, "verbose": 0}
    classifier = SentimentClassifier("textcnn", tokenizer="whitespace", **parameters)
    classifier.fit(*make_reviews(60)).save(folder / "good")
    tagger = SequenceTagger(hidden_size=8, ngram_buckets=64, embedding_dim=8, epochs=1, random_state=0, verbose=0)
    X, y = (
        [["Ann", "met", "in", "Rome"], ["Rome", "is", "Ann"]],
        [["B-PER", "O", "O", "B-LOC"], ["B-LOC", "O", "B-PER"]],
    )
    tagger.fit(X * 4, y * 4).save(folder / "tagger")
    language = LanguageModel(hidden_size=8, embedding_dim=8, epochs=1, random_state=0, verbose=0)
    language.fit(["春风来去。", "秋月何时。"] * 10).save(folder / "language")
    translator = Translator(hidden_size=8, embedding_dim=8, epochs=1, min_count=1, random_state=0, verbose=0)
    translator.fit(["I go.", "You go."] * 10, ["我走。", "你走。"] * 10).save(folder / "translator")
    return folder / "good"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_good(tmp_path_factory.mktemp("good"))


@pytest.mark.parametrize(
    "name",
    [
        "models",
        "taggers",
        "language models",
        "translators",
        "corpora",
        "vectors",
        "word lists",
        "checkpoints",
        "outputs",
    ],
)
def test_the_page_shows_what_users_see(name: str, good: Path, tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    start, end = _section(page, name)
    rows = []
    for number, (what, run) in enumerate(_tables(good)[name]):
        folder = tmp_path / str(number)
        folder.mkdir()
        rows.append((what, message(run, folder)))
    expected = render(rows)
    assert page[start:end] == expected, "the page is stale: python tests/test_safety_table.py --write"


def test_the_page_shows_what_clients_are_told(good: Path) -> None:
    pytest.importorskip("fastapi", reason="serving needs fastapi")
    classifier = SentimentClassifier.load(good)
    page = PAGE.read_text(encoding="utf-8")
    start, end = _section(page, "requests")
    expected = render([(what, answer(send, classifier)) for what, send in requests.CASES])
    assert page[start:end] == expected, "the page is stale: python tests/test_safety_table.py --write"


def write() -> None:
    """Write the tables of the page anew."""
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        good = make_good(Path(temporary))
        classifier = SentimentClassifier.load(good)
        start, end = _section(page, "requests")
        page = page[:start] + render([(what, answer(send, classifier)) for what, send in requests.CASES]) + page[end:]
        for name, cases in _tables(good).items():
            rows = []
            for number, (what, run) in enumerate(cases):
                folder = Path(temporary) / name / str(number)
                folder.mkdir(parents=True)
                rows.append((what, message(run, folder)))
            start, end = _section(page, name)
            page = page[:start] + render(rows) + page[end:]
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    write()
