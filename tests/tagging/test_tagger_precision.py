"""Taggers trained in bfloat16: scores, dtypes, saved models, the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tag_cli import make_conll, refuse, train, write
from tagged_samples import ARCHITECTURES, make_sentences, make_tagger

from textnn import SequenceTagger

X, Y = make_sentences(80)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_learns_as_well_and_keeps_weights_in_float32(architecture: str, bfloat16: None, tmp_path: Path) -> None:
    full, half = (make_tagger(architecture, precision=precision).fit(X, Y) for precision in ("float32", "bfloat16"))
    floats = {tensor.dtype for tensor in half.state_.model.state_dict().values() if tensor.is_floating_point()}
    assert floats == {torch.float32}
    assert half.score(X, Y) == pytest.approx(full.score(X, Y), abs=0.1)
    losses = [[epoch["loss"] for epoch in tagger.history_] for tagger in (full, half)]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)
    assert (losses[0] == losses[1]) == (architecture == "ngram-crf")  # which multiplies nothing
    half.save(tmp_path / "model")
    loaded = SequenceTagger.load(tmp_path / "model")
    assert (loaded.precision, loaded.options_["precision"]) == ("bfloat16", "bfloat16")
    assert loaded.predict(X) == half.predict(X)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(
            (one == other).all()
            for one, other in zip(loaded.predict_marginals(X), half.predict_marginals(X), strict=True)
        )


def test_the_command_line_has_it(tmp_path: Path) -> None:
    options = ["--epochs", 1, "--precision", "bfloat16"]
    model = train(tmp_path, "model", make_conll(20), *options)
    assert SequenceTagger.load(model).precision == "bfloat16"
    message = "--precision: expected one of 'float32', 'bfloat16', got 'bf17'"
    file = write(tmp_path / "a.conll", make_conll(20))
    assert message in refuse("tag", "train", file, "-o", tmp_path / "m", "--precision", "bf17")
