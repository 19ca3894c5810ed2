"""Dice, pictures and sentences: convolutions against sums by hand."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import textnn
from textnn.lab import text_convolution
from textnn.lab.exhibit import SettingError

TEXTS, LABELS = ["a good book", "not good", "a book", "not a film"] * 6, ["yes", "no", "yes", "no"] * 6
OPTIONS: dict[str, Any] = {"validation_fraction": 0.0, "random_state": 0, "verbose": 0, "tokenizer": "unicode"}


@pytest.fixture(scope="module")
def model() -> textnn.SentimentClassifier:
    made = textnn.SentimentClassifier("textcnn", channels=4, kernel_sizes=(1, 2, 3), epochs=1, **OPTIONS)
    return made.fit(TEXTS, LABELS)


def test_two_fair_dice() -> None:
    found = textnn.lab.two_dice()
    assert (36 * found.total).tolist() == pytest.approx([1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1])
    assert found.work_out(3) == "P(3) = 0.167 · 0.167 + 0.167 · 0.167 = 0.056"


def test_two_dice_that_are_not_alike() -> None:
    first, second = [1, 2, 3, 4, 5, 6], [3, 0, 0, 1, 0, 2]
    found = textnn.lab.two_dice(first, second)
    by_hand = np.zeros(11)
    for a, b in np.ndindex(6, 6):
        by_hand[a + b] += first[a] / 21 * second[b] / 6
    assert found.total == pytest.approx(by_hand)
    assert found.total.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="second: expected 6 numbers from 0, not all 0"):
        textnn.lab.two_dice(second=[0] * 6)
    with pytest.raises(ValueError, match="first: expected 6 numbers"):
        textnn.lab.two_dice([1, 2])
    with pytest.raises(ValueError, match="total: expected a number from 2 to 12, got 13"):
        found.work_out(13)


def test_a_mean_over_3x3_points() -> None:
    found = textnn.lab.smooth(noise=0.4, size=9, seed=3)
    noisy = torch.from_numpy(found.noisy)
    by_torch = F.avg_pool2d(noisy[None, None], 3, stride=1)[0, 0].numpy()
    assert found.smooth == pytest.approx(by_torch, abs=1e-12)
    assert found.smooth[2, 4] == pytest.approx(found.noisy[2:5, 4:7].sum() / 9)
    before, after = textnn.lab.smooth(noise=0.8, size=24).errors
    assert after < before / 4, "nine times less noise, and a little blur"
    with pytest.raises(ValueError, match="noise: expected a number from 0, got -1"):
        textnn.lab.smooth(noise=-1)


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_sums_by_hand(model: textnn.SentimentClassifier, kernel: int, padding: int, stride: int) -> None:
    found = textnn.lab.convolution(model, "not a good book at all", kernel, padding, stride)
    windows = math.floor((6 + 2 * padding - kernel) / stride) + 1
    assert found.sums.shape == (windows, 4)
    assert found.size_rule.endswith(f"+ 1 = {windows}")
    conv = model.model_.encoder.convs[kernel - 1]
    weight, bias = (part.detach().double().numpy() for part in (conv.weight, conv.bias))
    ids = model.vocabulary_.encode(found.tokens)
    vectors = model.model_.encoder.weight.detach().double().numpy()[ids]
    padded = np.pad(vectors, ((padding, padding), (0, 0)))
    for p in range(windows):
        by_hand = np.einsum("kd,cdk->c", padded[p * stride : p * stride + kernel], weight) + bias
        assert found.sums[p] == pytest.approx(by_hand, abs=1e-12)
        assert found.taps[p].sum(axis=0) + found.bias == pytest.approx(by_hand, abs=1e-12)
    assert found.pooled == pytest.approx(np.maximum(found.sums, 0).max(axis=0))
    assert found.winners.tolist() == np.maximum(found.sums, 0).argmax(axis=0).tolist()
    assert (found.difference is not None) == (padding == 0 and stride == 1)
    assert found.difference is None or found.difference < 1e-6


def test_effects_add_up_to_the_score_of_the_label(model: textnn.SentimentClassifier) -> None:
    text, total = "not a good book", 0.0
    for kernel in (1, 2, 3):
        found = textnn.lab.convolution(model, text, kernel)
        total += found.effects.sum()
        assert found.shares().sum() == pytest.approx(found.effects.sum())
    logits = model.state_.predictor.logits([text])[0].double()
    head = model.model_.output.bias.detach().double()
    label = list(model.classes_).index(found.label)
    margin = (logits - head)[label] - (logits - head)[1 - label]
    assert total == pytest.approx(float(margin), abs=1e-5)
    assert found.probability == pytest.approx(model.predict_proba([text])[0].max())


def test_a_sum_in_figures(model: textnn.SentimentClassifier) -> None:
    found = textnn.lab.convolution(model, "not a good book", kernel=2, padding=1)
    assert found.window(0) == ["", "not"]
    assert found.window(4) == ["book", ""]
    shown = found.work_out(channel=3, window=0).replace("−", "-")
    numbers = [float(one.replace(" ", "")) for one in re.findall(r"-? ?\d+\.\d+", shown)]
    *parts, total, relu = numbers
    assert parts[0] == 0, "padding adds nothing"
    assert sum(parts) == pytest.approx(total, abs=2e-3), shown
    assert relu == max(total, 0)
    assert total == pytest.approx(found.sums[0, 3], abs=1e-3)


def test_only_numbers_have_minus_signs() -> None:
    made = textnn.SentimentClassifier(
        "textcnn", channels=3, kernel_sizes=(2,), epochs=1, **{**OPTIONS, "tokenizer": str.split}
    )
    found = textnn.lab.convolution(made.fit(TEXTS, LABELS), "well-made + - book", kernel=2)
    for channel, window in np.ndindex(3, 3):
        words, shown = found.window(window), found.work_out(channel, window)
        first, second = (f"({word})" for word in words)
        assert re.fullmatch(
            rf"−?\d\.\d{{3}} {re.escape(first)} [+−] \d\.\d{{3}} {re.escape(second)} [+−] \d\.\d{{3}} \(b\) = "
            r"−?\d\.\d{3}; ReLU \d\.\d{3}",
            shown,
        ), shown
        assert shown.startswith("−") == (found.taps[window, 0, channel] < 0)


def test_a_page_says_that_a_model_is_no_textcnn_with_the_kernel(
    model: textnn.SentimentClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = textnn.SentimentClassifier("textcnn", channels=4, kernel_sizes=(4,), epochs=1, **OPTIONS).fit(TEXTS, LABELS)
    other = textnn.SentimentClassifier("mlp", epochs=1, **OPTIONS).fit(TEXTS, LABELS)
    monkeypatch.setattr(text_convolution.small, "classifier", lambda *_: model)
    settings = text_convolution.EXHIBIT.settings({"text": "not a good book", "kernel": 3})
    own = text_convolution.EXHIBIT.run(**settings, model=model)
    assert "Your model" not in str(own)
    assert text_convolution.EXHIBIT.run(**settings, model=None) == own
    for given in (wide, other):
        found = text_convolution.EXHIBIT.run(**settings, model=given)
        said = found[len(own) - 4]["note"]
        assert said["en"].startswith("Your model is no TextCNN with this kernel size: this is a small one of the lab")
        assert said["zh"].startswith("你的模型不是带有该核宽的 TextCNN：这里用的是实验室自带的小模型。")
        assert found[len(own) - 3 :] == own[len(own) - 3 :]


def test_what_makes_no_sense_is_refused(model: textnn.SentimentClassifier) -> None:
    with pytest.raises(ValueError, match="kernel: expected one of the model's sizes, 1, 2, 3, got 4"):
        textnn.lab.convolution(model, "not good", 4)
    with pytest.raises(ValueError, match="expected at least 3 tokens for a kernel of 3 with a padding of 0, got 2"):
        textnn.lab.convolution(model, "not good", 3)
    with pytest.raises(ValueError, match="padding and stride: expected numbers from 0 and from 1, got 0 and 0"):
        textnn.lab.convolution(model, "not good", 1, stride=0)
    other = textnn.SentimentClassifier("mlp", epochs=1, **OPTIONS).fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match="expected the architecture 'textcnn', got 'mlp'"):
        textnn.lab.convolution(other, "not good", 1)
    with pytest.raises(TypeError, match="model: expected a SentimentClassifier, got dict"):
        textnn.lab.convolution({}, "not good", 1)


def test_panels(model: textnn.SentimentClassifier) -> None:
    found = textnn.lab.convolution(model, "not a good book", kernel=2)
    rule, channels, sentence, won = found.panels(channels=3)
    assert rule["rows"][0][1] == found.size_rule
    assert [len(channels["rows"]), channels["columns"]] == [3, ["not a", "a good", "good book"]]
    assert sum(one["chosen"] for one in sentence["spans"]) == 2
    assert max(abs(one["value"]) for one in sentence["spans"]) == pytest.approx(1)
    assert [row[0] for row in won["rows"]] == found.channels(3)
    assert found.figure().axes
    assert textnn.lab.smooth().figure().axes


def test_a_sentence_too_short_gets_the_widest_kernel_that_it_has_room_for(model: textnn.SentimentClassifier) -> None:
    settings = text_convolution.EXHIBIT.settings({"text": "not good", "kernel": 3})
    panels = text_convolution.EXHIBIT.run(**settings, model=model)
    assert panels[3]["rows"][0][1] == "floor((2 + 2 · 0 − 2) / 1) + 1 = floor(0 / 1) + 1 = 1"
    assert panels[3] == text_convolution.EXHIBIT.run(**{**settings, "kernel": 2}, model=model)[3]
    empty = textnn.SentimentClassifier("textcnn", **{**OPTIONS, "tokenizer": _letters}, epochs=1).fit(TEXTS, LABELS)
    with pytest.raises(SettingError, match="text: expected at least 1 tokens"):
        text_convolution.EXHIBIT.run(**{**settings, "text": "!"}, model=empty)


def _letters(text: str) -> list[str]:
    return [word for word in text.split() if word.isalpha()]
