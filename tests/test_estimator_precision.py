"""``precision="bfloat16"`` of all estimators: where the CPU multiplies float32 only, the training does, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from textnn import LanguageModel, SentimentClassifier, SequenceTagger, Translator, backends
from textnn.training.precision import multiplies_bfloat16

TEXTS = ["a red bird", "the bird sings", "a dog", "the red dog ran"] * 5
TAGS = [["O"] * (len(text.split()) - 1) + ["B-X"] for text in TEXTS]
SMALL: dict[str, Any] = {"embedding_dim": 6, "hidden_size": 8, "epochs": 1, "random_state": 0, "verbose": 1}
SAYS = "precision: bfloat16 is not faster on this CPU; the training multiplies float32"

FITTED: dict[str, Callable[..., nn.Module]] = {
    "classifier": lambda **given: SentimentClassifier("bigru", **SMALL, **given).fit(TEXTS, [0, 1] * 10).model_,
    "tagger": lambda **given: (
        SequenceTagger("bilstm-crf", **SMALL, **given).fit([text.split() for text in TEXTS], TAGS).state_.model
    ),
    "language model": lambda **given: LanguageModel("char", **SMALL, **given).fit(TEXTS).state_.model,
    "translator": lambda **given: Translator(**SMALL, **given).fit(TEXTS, TEXTS[::-1]).state_.model,
}


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", FITTED)
def test_a_cpu_without_bfloat16_trains_in_float32(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """torch's products of bfloat16 take up to 70 times as long there."""
    with backends.use_cpu_capability("base"):
        full = FITTED[name]()
        assert SAYS not in capfd.readouterr().err
        assert same(FITTED[name](precision="bfloat16"), full)
        assert capfd.readouterr().err.count(SAYS) == 1
        monkeypatch.setattr(backends, "has_bfloat16", lambda: True)
        assert not same(FITTED[name](precision="bfloat16"), full)
        assert SAYS not in capfd.readouterr().err


def test_bfloat16_has_the_two_newest_instruction_sets() -> None:
    for capability in backends.supported_cpu_capabilities():
        with backends.use_cpu_capability(capability):
            assert backends.has_bfloat16() == (capability in ("avx512_bf16", "amx_bf16"))
            assert multiplies_bfloat16("bfloat16", torch.device("cpu")) == backends.has_bfloat16()
            assert multiplies_bfloat16("bfloat16", torch.device("cuda")), "whatever the CPU is"
            assert not multiplies_bfloat16("float32", torch.device("cpu"))
