"""``textnn lab``: pages as files, and what is said where something is missing."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import textnn.lab
from _textnn_cli import app
from textnn.lab import exhibits
from textnn.lab.site import page as site_page

EXHIBITS = [one for one in exhibits() if one.slug in ("neurons", "descent", "vanishing-gradients")]
"""Those that train no model before they show something."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("lab") / "pages" / "here"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textnn.lab, "exhibits", lambda: EXHIBITS)
        done = CliRunner().invoke(app, ["lab", "--html", str(target)])
    assert done.exit_code == 0, done.output
    assert f"4 pages are in {target}" in done.output
    return target


def test_there_is_a_page_for_each_exhibit_and_a_list(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["index.html", *(f"{one.slug}.html" for one in EXHIBITS)]
    )


def test_a_page_has_the_results_of_the_default_settings(folder: Path) -> None:
    text = (folder / "descent.html").read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*)</script>', text)
    assert found is not None
    data = json.loads(found[1])
    (exhibit,) = [one for one in EXHIBITS if one.slug == "descent"]
    assert data["panels"] == exhibit.run(**exhibit.settings())
    assert data["served"] is False


def test_a_page_has_all_that_it_needs_and_allows_nothing_else(folder: Path) -> None:
    text = (folder / "neurons.html").read_text("utf-8")
    assert re.findall(r'(?:src|href)="([^"#]+)"', text) == ["data:,"]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'")
    for content in [
        *re.findall(r"<script>(.*?)</script>", text, re.S),
        *re.findall(r"<style>(.*?)</style>", text, re.S),
    ]:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]


def test_pages_are_written_anew_whole_or_not_at_all(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = [one for one in EXHIBITS if one.slug == "descent"]
    (path, index) = site_page.write([one], tmp_path)
    before = path.read_text("utf-8")
    assert [path.name, index.name] == ["descent.html", "index.html"]

    def stop(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(site_page, "_own_page", stop)
    with pytest.raises(KeyboardInterrupt):
        site_page.write([one], tmp_path)
    assert path.read_text("utf-8") == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["descent.html", "index.html"]


def test_what_the_server_needs_is_named_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fastapi" else find(name))
    done = CliRunner().invoke(app, ["lab", "--no-browser"])
    assert done.exit_code == 1
    assert done.output.strip() == "error: serving needs fastapi: pip install fastapi"


def test_a_file_is_no_folder_for_pages(tmp_path: Path) -> None:
    path = tmp_path / "pages.html"
    path.write_text("mine")
    done = CliRunner().invoke(app, ["lab", "--html", str(path)])
    assert done.exit_code == 1
    assert done.output.strip() == f"error: --html: expected a folder, got the file {path}"
    assert path.read_text() == "mine"


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["lab", "--html", str(tmp_path / "pages"), "--model", str(tmp_path / "none")])
    assert done.exit_code in (1, 2)
    assert "none" in done.output
    assert not (tmp_path / "pages").exists()
