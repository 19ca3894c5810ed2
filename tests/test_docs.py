"""The pages: what a link names is there, the tutorial runs, commands have their options, reading times are true.

python tests/test_docs.py --write    writes the reading times of docs/index.md anew
"""

from __future__ import annotations

import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # for --write
DOCS = sorted(ROOT.glob("docs/*.md"))
INDEX = ROOT / "docs/index.md"
ROW = re.compile(r"^(\| \[.*?\]\((\S+?)\) \|.*\| )(\d+)( \|)$", re.MULTILINE)
COMMAND = re.compile(r"textnn ([a-z]+)\b(.*)")
WORDS_A_MINUTE = 200
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Links to nothing; other sites are not asked."""
    found = []
    for link in LINK.findall(prose(page)):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not (re.match("https?:", link) or (target.exists() and (not anchor or anchor in anchors(target)))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_links_to_no_file_and_to_no_heading_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, with `code`\n[1](#a-heading-with-code) [2](#none) [3](none.md) [4](page.md#none) [5](page.md)\n"
        "[6](https://example.org/none) ![7](none.png)\n```\n[8](none.md)\n```\n",
        encoding="utf-8",
    )
    assert broken(page) == ["#none", "none.md", "page.md#none", "none.png"]


def test_a_broken_link_ends_the_build_of_the_site(tmp_path: Path) -> None:
    """As `make docs` calls it: quietly."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    (tmp_path / "docs").mkdir()
    page, hook = tmp_path / "docs/index.md", ROOT / "tools/docs_site.py"
    (tmp_path / "mkdocs.yml").write_text(
        f"site_name: a\nstrict: true\nhooks: [{hook}]\nvalidation: {{anchors: warn}}\nplugins: []\n", encoding="utf-8"
    )
    codes = {}
    for link in ("#here", "#none", "none.md"):
        page.write_text(f"# Here\n\n[one]({link})\n", encoding="utf-8")
        command = [sys.executable, "-m", "mkdocs", "build", "-q", "-d", tmp_path / "site"]
        codes[link] = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode
    assert codes == {"#here": 0, "#none": 1, "none.md": 1}


def code(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def minutes(page: Path) -> int:
    """How long a page takes to read: sentences, without code, tables and pictures, which one looks at."""
    lines = [line for line in prose(page).splitlines() if not line.startswith(("|", "!", "<!--"))]
    return max(1, math.ceil(sum(len(line.split()) for line in lines) / WORDS_A_MINUTE))


def test_the_index_has_every_page_once() -> None:
    named = [name for _, name, _, _ in ROW.findall(INDEX.read_text(encoding="utf-8"))]
    assert sorted(named) == sorted(page.name for page in DOCS if page != INDEX)


@pytest.mark.parametrize("page", [page for page in DOCS if page != INDEX], ids=lambda page: page.name)
def test_a_reading_time_is_true(page: Path) -> None:
    stated = {name: int(number) for _, name, number, _ in ROW.findall(INDEX.read_text(encoding="utf-8"))}
    assert abs(stated[page.name] - minutes(page)) <= 1, f"{page.name}: python tests/test_docs.py --write"


def test_words_are_counted_without_code_and_tables(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("word " * 401 + "\n| cell | cell |\n```sh\n" + "code " * 900 + "\n```\n", encoding="utf-8")
    assert minutes(page) == 3


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_commands_of_a_page_have_the_options_that_it_names(page: Path) -> None:
    from typer.main import get_command

    from _textnn_cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    for block in code(page, "sh"):
        for name, rest in COMMAND.findall(block.replace("\\\n", " ")):
            assert name in commands, f"textnn {name}"
            command, (first, *_) = commands[name], rest.split() or [""]
            command = getattr(command, "commands", {}).get(first, command)  # textnn tag train
            known = {option for one in command.load().params for option in [*one.opts, *one.secondary_opts]}
            given = [word.split("=")[0] for word in shlex.split(rest, comments=True) if word.startswith("--")]
            assert not [word for word in given if word not in {*known, "--help", "--"}], f"textnn {name}{rest}"


def test_each_edit_of_the_tutorial_of_layers_computes_the_same() -> None:
    import torch

    from bench import tutorial

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        page = tutorial.PAGE.read_text(encoding="utf-8")
        small = page.replace("20_000, 128, 128, 2", "300, 12, 16, 2")
        assert small != page
        programs = tutorial.programs(small)
        assert len(programs) == 7, list(programs)
        found = {}
        for name, program in programs.items():
            names = tutorial.run(program)
            losses = [names["train_step"]() for _ in range(3)]
            found[name] = losses, [value.clone() for value in names["model"].state_dict().values()]
    finally:
        torch.set_num_threads(threads)
    losses, weights = found.pop("The start")
    assert losses[2] < losses[0]
    for name, (edited, after) in found.items():
        assert edited == pytest.approx(losses, abs=1e-5), name
        for expected, got in zip(weights, after, strict=True):
            # A gradient that is all but zero may have either sign after rounding, and Adam steps by the sign: 3 steps.
            assert float((got - expected).abs().max()) <= 3e-3, name
            assert float((got - expected).abs().mean()) < 1e-5, name


def test_the_program_of_the_tutorial_says_what_each_edit_gains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from bench import tutorial

    page, threads = tmp_path / "page.md", torch.get_num_threads()
    page.write_text(tutorial.PAGE.read_text(encoding="utf-8").replace("20_000, 128, 128, 2", "300, 12, 16, 2"))
    monkeypatch.setattr(tutorial, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["tutorial", "--seconds", "0.1", "--threads", "1"])
    try:
        tutorial.main()
    finally:
        torch.set_num_threads(threads)
    first, *rows = [line for line in capsys.readouterr().out.splitlines() if " times   loss apart " in line]
    assert re.fullmatch(r" +[\d.]+ ms +1\.00 times +loss apart 0e\+00 +The start", first), first
    assert [re.split(r"   +", row)[-1].split(":")[0] for row in rows] == [f"Edit {number}" for number in range(1, 7)]
    assert all(float(row.split("loss apart ")[1].split()[0]) < 1e-3 for row in rows), rows


def test_the_picture_of_the_layouts_is_what_its_script_draws() -> None:
    from tools.ragged_picture import PICTURE, draw, layouts

    assert PICTURE.read_text(encoding="utf-8") == draw()
    (_, _, padded), (_, _, turned), (_, packed_beside, packed), (_, flat_beside, flat) = layouts()
    assert [list(row) for row in turned] == [list(column) for column in zip(*padded, strict=True)]
    assert sorted(packed[0]) == sorted(flat[0]) == sorted(token for row in padded for token in row if token)
    assert (packed_beside, flat_beside) == ("batch_sizes = [3, 2, 2, 1, 1]", "offsets = [0, 3, 8]")


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    index = INDEX.read_text(encoding="utf-8")
    INDEX.write_text(ROW.sub(lambda row: f"{row[1]}{minutes(INDEX.parent / row[2])}{row[4]}", index), encoding="utf-8")
