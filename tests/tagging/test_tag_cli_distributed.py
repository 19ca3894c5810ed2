"""``textnn tag train --distributed`` under torchrun: the tagger of one process, one voice, one message of an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from launching import run_all
from tag_cli import QUICK, make_conll, make_segmented, refuse, succeed, write

from textnn import SequenceTagger

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed"),
]
NO_DROPOUT = ["--ngram-dropout", 0, "--batch-size", 16]


def test_two_processes_train_the_tagger_of_one(tmp_path: Path) -> None:
    data, dev = write(tmp_path / "a.conll", make_conll(61)), write(tmp_path / "dev.conll", make_conll(20, seed=1))
    options = [*QUICK, *NO_DROPOUT, "--validation", dev]
    code, out, err = run_all("tag", "train", data, "-o", tmp_path / "two", *options)
    assert code == 0, err
    succeed("tag", "train", data, "-o", tmp_path / "one", *options)
    for expected in ("processes: 2 (cpu)", "a.conll: 61 sentences", "dev.conll: 20 sentences", "epoch 6/6"):
        assert err.count(expected) == 1, f"{expected}: {err}"
    assert out.count("saved: ") == out.count("validation after epoch ") == 1, out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.conll", "dev.conll", "one", "two"]
    one, two = (SequenceTagger.load(tmp_path / name) for name in ("one", "two"))
    assert two.tags_ == one.tags_
    assert (two.state_.n_sentences, two.seed_, two.options_) == (one.state_.n_sentences, one.seed_, one.options_)
    sentence = [["Ann", "met", "Bob", "Lee", "in", "New", "York"]]
    # float32 sums in another order, over six epochs
    torch.testing.assert_close(
        *(torch.from_numpy(t.predict_marginals(sentence)[0]) for t in (two, one)), atol=1e-3, rtol=0
    )
    assert two.predict(sentence) == [["B-PER", "O", "B-PER", "I-PER", "O", "B-LOC", "I-LOC"]]


def test_all_processes_learn_of_process_0_that_words_are_learnt(tmp_path: Path) -> None:
    data = write(tmp_path / "words.txt", make_segmented())
    code, out, err = run_all("tag", "train", data, "-o", tmp_path / "m", *QUICK, processes=3)
    assert code == 0, err
    assert err.count("trains to cut text into words") == 1, err
    assert out.count("next:  textnn cut") == 1, out
    assert SequenceTagger.load(tmp_path / "m").scheme_ == "BMES"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Ann B-PER\nran O\n\nBob\n", "a.conll, line 4: expected 2 columns as in line 1, got 1"),
        pytest.param("Ann B-PER\nran O\n\nBob S-PER\nran O\n", "a.conll, sentence of line 4", id="tags"),
    ],
)
def test_a_bad_file_is_told_once_and_ends_all(content: str, message: str, tmp_path: Path) -> None:
    data = write(tmp_path / "a.conll", content)
    code, out, err = run_all("tag", "train", data, "-o", tmp_path / "m", *QUICK, "--scheme", "BIO")
    assert code != 0
    assert out == ""
    assert err.count("error: ") == err.count(message) == 1, err
    assert not (tmp_path / "m").exists()


def test_without_torchrun_it_says_how_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    data = write(tmp_path / "a.conll", make_conll())
    said = refuse("tag", "train", data, "-o", tmp_path / "m", "--distributed")
    assert "expected to be started by torchrun" in said
