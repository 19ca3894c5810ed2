"""The gates of an LSTM, step by step: against sums by hand and against the layer itself."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch

import textnn
from textnn.lab import lstm_gates, lstm_steps
from textnn.lab.exhibit import SettingError

TEXTS, LABELS = ["a good book", "not good", "a book", "not a film"] * 6, ["yes", "no", "yes", "no"] * 6
OPTIONS: dict[str, Any] = {"validation_fraction": 0.0, "random_state": 0, "verbose": 0}


def classifier(architecture: str, **sizes: int) -> textnn.SentimentClassifier:
    model = textnn.SentimentClassifier(architecture, tokenizer="unicode", epochs=1, **sizes, **OPTIONS)
    return model.fit(TEXTS, LABELS)


MODELS = {
    "lstm": lambda: classifier("lstm", hidden_size=6),
    "bilstm": lambda: classifier("bilstm", hidden_size=5, num_layers=2),
    "lecture-lstm": lambda: classifier("lecture-lstm", hidden_size=7),
    "language": lambda: textnn.LanguageModel("word", hidden_size=6, num_layers=2, epochs=1, **OPTIONS).fit(TEXTS),
}
CASES = [
    ("lstm", 0, False),
    ("bilstm", 0, False),
    ("bilstm", 0, True),
    ("bilstm", 1, False),
    ("bilstm", 1, True),
    ("lecture-lstm", 0, False),
    ("lecture-lstm", 1, False),
    ("language", 1, False),
]


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {name: make() for name, make in MODELS.items()}


@pytest.mark.parametrize(("name", "layer", "reverse"), CASES)
def test_states_are_those_of_the_layer(models: dict[str, Any], name: str, layer: int, reverse: bool) -> None:
    found = textnn.lab.gates(models[name], "not a good film", layer, reverse)
    assert found.difference < 1e-6, "float32 and float64 differ by rounding alone"
    assert np.allclose(found.hidden, found.output * np.tanh(found.cell), atol=1e-12)
    previous = np.array(
        [[found.before(t, unit) for unit in range(found.cell.shape[1])] for t in range(len(found.tokens))]
    )
    assert np.allclose(found.cell, found.forget * previous + found.input * found.candidate, atol=1e-12)


def test_tokens_are_those_that_the_model_reads(models: dict[str, Any]) -> None:
    assert textnn.lab.gates(models["lstm"], "not a zebra").tokens == ["not", "a", "zebra"]
    assert textnn.lab.gates(models["lstm"], "not a zebra").known == [True, True, False]
    assert textnn.lab.gates(models["lecture-lstm"], "not good").tokens == ["not", "good", *["[PAD]"] * 8]
    assert textnn.lab.gates(models["language"], "not good").tokens == ["[END]", "not", " good"]


def test_two_steps_by_hand() -> None:
    model = classifier("lstm", hidden_size=1, embedding_dim=1)
    lstm, table = model.model_.encoder.lstm, model.model_.encoder.weight
    ids = [model.vocabulary_.id(word) for word in ("not", "good")]
    with torch.no_grad():
        table[ids[0]], table[ids[1]] = 1.0, -2.0
        lstm.weight_ih_l0[:, 0] = torch.tensor([0.5, 1.0, -1.0, 0.25])  # i, f, g, o
        lstm.weight_hh_l0[:, 0] = torch.tensor([1.0, -1.0, 2.0, 0.5])
        lstm.bias_ih_l0[:] = torch.tensor([0.0, 1.0, 0.0, -1.0])
        lstm.bias_hh_l0[:] = torch.tensor([0.5, 0.0, 0.25, 0.0])

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    c = sigmoid(1.0) * math.tanh(-0.75)
    h = sigmoid(-0.75) * math.tanh(c)
    found = textnn.lab.gates(model, "not good")
    assert found.cell[0, 0] == pytest.approx(c, abs=1e-12)
    assert found.hidden[0, 0] == pytest.approx(h, abs=1e-12)
    f, i = sigmoid(-2.0 - h + 1.0), sigmoid(-1.0 + h + 0.5)
    g, o = math.tanh(2.0 + 2 * h + 0.25), sigmoid(-0.5 + 0.5 * h - 1.0)
    c = f * c + i * g
    assert found.forget[1, 0] == pytest.approx(f, abs=1e-12)
    assert found.input[1, 0] == pytest.approx(i, abs=1e-12)
    assert found.candidate[1, 0] == pytest.approx(g, abs=1e-12)
    assert found.output[1, 0] == pytest.approx(o, abs=1e-12)
    assert found.cell[1, 0] == pytest.approx(c, abs=1e-12)
    assert found.from_input[:, 1, 0].tolist() == pytest.approx([-1.0, -2.0, 2.0, -0.5])
    assert found.bias[:, 0].tolist() == [0.5, 1.0, 0.25, -1.0]
    first = found.work_out(0, 0)
    assert first[0] == "i = sigmoid(0.500 + 0.000 + 0.500) = sigmoid(1.000) = 0.731"
    assert first[4] == "c = f · c_before + i · g = 0.881 · 0.000 + 0.731 · (−0.635) = −0.464"


@pytest.mark.parametrize(("name", "reverse"), [("lstm", False), ("bilstm", True)])
def test_a_step_in_figures_adds_up(models: dict[str, Any], name: str, reverse: bool) -> None:
    found = textnn.lab.gates(models[name], "not a good film", reverse=reverse)
    for line in found.work_out(1, 2)[:4]:
        inside, total, value = re.findall(r"\((.*?)\) = \w+\((.*?)\) = (.*)", line)[0]
        parts = [float(part.replace(" ", "")) for part in re.findall(r"[+-]? ?[\d.]+", inside.replace("−", "-"))]
        assert sum(parts) == pytest.approx(float(total.replace("−", "-")), abs=2e-3), line
        squash = math.tanh if line.startswith("g") else lambda x: 1 / (1 + math.exp(-x))
        assert squash(sum(parts)) == pytest.approx(float(value.replace("−", "-")), abs=2e-3), line


def test_units_are_sorted(models: dict[str, Any]) -> None:
    found = textnn.lab.gates(models["lstm"], "not a good film")
    ranges = np.ptp(found.cell, axis=0)[found.units("range")]
    assert (np.diff(ranges) <= 0).all()
    assert (np.diff(found.forget.mean(axis=0)[found.units("forget")]) <= 0).all()
    assert found.units("number", 3) == [0, 1, 2]
    with pytest.raises(ValueError, match="sort: expected one of range, forget, number, got 'size'"):
        found.units("size")


def test_wrong_gates_are_not_shown(models: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    right = lstm_steps.reference.lstm_cell

    def swapped(gates: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        i, f, g, o = gates.chunk(4, dim=1)
        return right(torch.cat([f, i, g, o], dim=1), c)

    monkeypatch.setattr(lstm_steps.reference, "lstm_cell", swapped)
    with pytest.raises(RuntimeError, match="the gates give other states than the layer itself"):
        textnn.lab.gates(models["lstm"], "not a good film")


def test_models_without_an_lstm_are_refused(models: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected one with an LSTM"):
        textnn.lab.gates(classifier("textcnn"), "not good")
    with pytest.raises(TypeError, match="expected a SentimentClassifier or a LanguageModel, got int"):
        textnn.lab.gates(3, "not good")
    with pytest.raises(ValueError, match="layer: expected a number from 0 to 0, got 1"):
        textnn.lab.gates(models["lstm"], "not good", layer=1)
    with pytest.raises(ValueError, match="only reads forwards"):
        textnn.lab.gates(models["lstm"], "not good", reverse=True)
    with pytest.raises(ValueError, match="text: expected at least one token"):
        textnn.lab.gates(models["lstm"], "   ")


def test_panels_show_what_was_asked_for(models: dict[str, Any]) -> None:
    found = textnn.lab.gates(models["lstm"], "not a good film")
    panels = found.panels(units=3, sort="number", step=2, rank=2)
    maps = [panel for panel in panels if panel["kind"] == "heat"]
    assert [len(panel["rows"]) for panel in maps] == [3] * 6
    assert maps[0]["values"][1] == pytest.approx(found.forget[:, 1].tolist(), rel=1e-5)
    assert [one["chosen"] for one in panels[0]["spans"]] == [False, True, False, False]
    assert "Unit 1 at “a”" in panels[-1]["title"]["en"]
    assert found.figure().axes, "a figure of the panels"


def test_a_page_says_that_a_model_has_no_lstm(models: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_gates.small, "classifier", lambda *_: models["lstm"])
    settings = lstm_gates.EXHIBIT.settings({"text": "not a good film"})
    own = lstm_gates.EXHIBIT.run(**settings, model=models["lstm"])
    instead = lstm_gates.EXHIBIT.run(**settings, model=classifier("textcnn"))
    assert own[1:] == instead[1:]
    assert instead[0]["note"] == {
        "en": f"Your model has no LSTM: this is a small one of the laboratory's own. {own[0]['note']['en']}",
        "zh": f"你的模型没有 LSTM：这里用的是实验室自带的小模型。{own[0]['note']['zh']}",
    }


def test_a_sentence_without_a_token_is_not_given_to_another_model() -> None:
    model = textnn.SentimentClassifier("lstm", tokenizer=_letters, hidden_size=4, epochs=1, **OPTIONS)
    settings = lstm_gates.EXHIBIT.settings({"text": "!"})
    with pytest.raises(SettingError, match="text: expected at least one token, got '!'"):
        lstm_gates.EXHIBIT.run(**settings, model=model.fit(TEXTS, LABELS))


def _letters(text: str) -> list[str]:
    return [word for word in text.split() if word.isalpha()]


def test_the_default_is_a_sentence_of_the_laboratory() -> None:
    assert lstm_gates.EXHIBIT.settings()["text"] == lstm_gates.DEFAULT["zh"]
