"""``textnn write train --distributed`` under torchrun: the model of one process, one voice, one message of an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from language_samples import VERSES
from launching import run_all
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import LanguageModel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed"),
]
QUICK = ["--embedding-dim", 6, "--hidden-size", 8, "--window", 8, "--batch-size", 4, "--threads", 1, "--epochs", 2]
NO_DROPOUT = ["--dropout", 0, "--embedding-dropout", 0]


def test_two_processes_train_the_language_model_of_one(tmp_path: Path) -> None:
    data = tmp_path / "verses.txt"
    data.write_text("\n".join(VERSES) + "\n", encoding="utf-8")
    (tmp_path / "dev.txt").write_text("\n".join(VERSES[:7]) + "\n", encoding="utf-8")
    options = [*QUICK, *NO_DROPOUT, "--validation", tmp_path / "dev.txt"]
    code, out, err = run_all("write", "train", data, "-o", tmp_path / "two", *options)
    assert code == 0, err
    arguments = ["write", "train", data, "-o", tmp_path / "one", *options]
    assert CliRunner().invoke(app, [str(argument) for argument in arguments]).exit_code == 0
    for expected in ("processes: 2 (cpu)", "verses.txt: 54 texts", "dev.txt: 7 texts", "epoch 2/2"):
        assert err.count(expected) == 1, f"{expected}: {err}"
    assert out.count("saved: ") == out.count("validation after epoch ") == 1, out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dev.txt", "one", "two", "verses.txt"]
    one, two = (LanguageModel.load(tmp_path / name) for name in ("one", "two"))
    assert two.vocabulary_.tokens == one.vocabulary_.tokens
    assert (two.state_.n_texts, two.seed_, two.options_) == (one.state_.n_texts, one.seed_, one.options_)
    # float32 sums in another order, over two epochs
    assert two.score_texts(VERSES[:5]) == pytest.approx(one.score_texts(VERSES[:5]), abs=1e-2)


def test_a_bad_file_is_told_once_and_ends_all(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("春风\n".encode() + b"\xff\n")
    code, out, err = run_all("write", "train", tmp_path / "a.txt", "-o", tmp_path / "m", *QUICK)
    assert code != 0
    assert out == ""
    assert err.count("error: ") == err.count("a.txt") == 1, err
    assert not (tmp_path / "m").exists()
