"""predict.py of an export: its classifier and its command, and the code of the documentation that uses them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import TOLERANCE, fit, load_script, run_script

from textnn import SentimentClassifier

pytestmark = pytest.mark.slow

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def test_the_script_reads_arguments_or_lines(fitted: SentimentClassifier, tmp_path: Path) -> None:
    fitted.export("onnx", tmp_path / "exported")
    usage = run_script(tmp_path / "exported", "--help")
    assert (usage.returncode, usage.stdout.startswith("usage: predict.py [-h] [TEXT ...]")) == (0, True)
    given = run_script(tmp_path / "exported", "很 好", "", "很 差")
    piped = run_script(tmp_path / "exported", stdin="\ufeff很 好\r\n \n很 差")
    assert (given.returncode, piped.returncode) == (0, 0)
    assert given.stdout == piped.stdout
    good, blank, bad = given.stdout.splitlines()
    assert [good.split("\t")[0], bad.split("\t")[0]] == fitted.predict(["很 好", "很 差"]).tolist()
    assert blank == "\t"


def test_the_script_joins_several_labels(make_classifier: Callable[..., SentimentClassifier], tmp_path: Path) -> None:
    classifier = fit(make_classifier, "several labels")
    classifier.thresholds_[:] = 0.0001
    classifier.export("torch", tmp_path / "exported")
    labels, shares = run_script(tmp_path / "exported", "很 好").stdout.rstrip("\n").split("\t")
    assert labels.split("|") == classifier.classes_.tolist()
    expected = classifier.predict_proba(["很 好"])[0]
    np.testing.assert_allclose([float(share) for share in shares.split("|")], expected, atol=2 * TOLERANCE, rtol=0)
    readme = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "their probabilities with `|` between them" in readme
    assert "`predict` gives None for it" in readme


def test_the_script_says_nothing_of_its_own(
    make_classifier: Callable[..., SentimentClassifier], tmp_path: Path
) -> None:
    fit(make_classifier, "jieba").export("torch", tmp_path / "exported")
    done = run_script(tmp_path / "exported", "房间很好")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_texts_of_a_wrong_type_are_refused(fitted: SentimentClassifier, tmp_path: Path) -> None:
    fitted.export("onnx", tmp_path / "exported")
    exported = load_script(tmp_path / "exported")
    for method in (exported.predict, exported.predict_proba):
        with pytest.raises(TypeError, match=r"texts: expected a list of strings, got one string; write \[text\]"):
            method("很 好")
        with pytest.raises(TypeError, match=r"texts\[1\]: expected a string, got NoneType None"):
            method(["很 好", None])


def test_the_code_of_the_documentation_runs(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in page.split("```python\n")[1:]]
    fitted.export("onnx", tmp_path / "exported")
    monkeypatch.chdir(tmp_path / "exported")
    monkeypatch.syspath_prepend(str(tmp_path / "exported"))
    exec(blocks[1], {})
    assert capsys.readouterr().out.startswith(str([*fitted.predict(["很 好"]).tolist(), None]))
    names: dict[str, Any] = {}
    exec(blocks[2], names)
    assert names["probabilities"].shape == (3, 2)
    sys.modules.pop("predict", None)
