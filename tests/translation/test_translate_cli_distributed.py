"""``textnn translate train --distributed`` under torchrun: the translator of one process, and one voice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from launching import run_all
from test_translate_cli import PAIRS, QUICK
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import Translator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed"),
]
NO_DROPOUT = ["--dropout", 0, "--word-dropout", 0]


def test_two_processes_train_the_translator_of_one(tmp_path: Path) -> None:
    data = tmp_path / "pairs.tsv"
    data.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS * 5), encoding="utf-8")
    code, out, err = run_all("translate", "train", data, "-o", tmp_path / "two", *QUICK, *NO_DROPOUT)
    assert code == 0, err
    arguments = ["translate", "train", data, "-o", tmp_path / "one", *QUICK, *NO_DROPOUT]
    assert CliRunner().invoke(app, [str(argument) for argument in arguments]).exit_code == 0
    for expected in ("processes: 2 (cpu)", "pairs.tsv: 60 pairs", "epoch 2/2"):
        assert err.count(expected) == 1, f"{expected}: {err}"
    assert out.count("saved: ") == 1, out
    one, two = (Translator.load(tmp_path / name) for name in ("one", "two"))
    assert two.target_vocabulary_.tokens == one.target_vocabulary_.tokens
    assert (two.state_.n_pairs, two.seed_, two.options_) == (one.state_.n_pairs, one.seed_, one.options_)
    # float32 sums in another order, over two epochs
    for name, weight in one.state_.model.state_dict().items():
        torch.testing.assert_close(two.state_.model.state_dict()[name], weight, atol=1e-3, rtol=0)
