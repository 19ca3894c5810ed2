"""Taggers that train in bfloat16 on the CPU: every architecture learns and predicts; the CRF has float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tagged_samples import ARCHITECTURES, make_characters, make_sentences, make_tagger

import textnn


@pytest.mark.parametrize("level", ["words", "characters"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_and_prediction(architecture: str, level: str, bfloat16: None) -> None:
    X, Y = make_sentences(60) if level == "words" else make_characters(60)
    tagger = make_tagger(architecture, precision="bfloat16").fit(X, Y)
    tags, marginals = tagger.predict(X), tagger.predict_marginals(X)
    weights = tagger.state_.model.state_dict().values()
    assert all(w.dtype == torch.float32 and w.isfinite().all() for w in weights if w.is_floating_point())
    assert [len(t) for t in tags] == [len(x) for x in X]
    assert max(np.abs(m.sum(axis=1) - 1).max() for m in marginals) < 1e-4


def test_a_crf_sums_in_float32() -> None:
    crf, emissions = textnn.CRF(5), torch.randn(30, 4, 5).to(torch.bfloat16)
    tags, lengths = torch.randint(0, 5, (30, 4)), torch.tensor([30, 1, 20, 7])
    want = crf(emissions.float(), tags, lengths=lengths)
    with torch.autocast("cpu", torch.bfloat16):
        found = crf(emissions, tags, lengths=lengths)
        marginals = crf.marginals(emissions, lengths=lengths)
    assert found.dtype == marginals.dtype == torch.float32
    assert found.equal(want)
