"""Tokens, ids and the recipe of the lecture, against the same in plain PyTorch."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

import textnn
from textnn.lab import recipe, recipe_course
from textnn.models.recurrent import LectureLSTM

TEXTS = ["好 吃", "好 看", "不 好 吃", "很 好 看 的 书"]


def test_ids_by_falling_frequency() -> None:
    found = textnn.lab.words("书 不 新", texts=TEXTS)
    by_spaces = {one.tokenizer: one for one in found.readings}["whitespace"]
    # 好 4, 吃 2, 看 2, then 不 很 的 书 once each, in the order of their first appearance.
    assert by_spaces.vocabulary_size == 2 + 7
    assert by_spaces.ids == [8, 5, 1]
    assert by_spaces.unknown == ["新"]
    assert by_spaces.padded.tolist() == [8, 5, 1, 0, 0, 0, 0, 0, 0, 0]
    assert found.texts == 4


def test_the_head_of_the_vocabulary_has_its_counts() -> None:
    found = textnn.lab.words("it was", texts=["it is so", "it was", "so it is"])
    assert found.readings[0].tokenizer == "unicode", "first for texts with spaces"
    assert found.frequent == [("it", 3), ("is", 2), ("so", 2), ("was", 1)]


def test_cut_to_length() -> None:
    found = textnn.lab.words("好 吃 好 看", texts=TEXTS, length=3)
    by_spaces = {one.tokenizer: one for one in found.readings}["whitespace"]
    assert by_spaces.padded.tolist() == by_spaces.ids[:3] == [2, 3, 2]
    with pytest.raises(ValueError, match="length: expected at least 1, got 0"):
        textnn.lab.words("好", texts=TEXTS, length=0)
    with pytest.raises(ValueError, match="texts: expected at least one, got none"):
        textnn.lab.words("好", texts=[])


def test_tokenizers_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rjieba" else find(name))
    names = [one.tokenizer for one in textnn.lab.words("好 吃", texts=TEXTS).readings]
    assert names == ["jieba", "unicode", "mixed", "char", "whitespace"]


def test_words_panels() -> None:
    found = textnn.lab.words("好不好", texts=TEXTS, length=5)
    tokenizers, ids, padded, head = found.panels()
    assert len(tokenizers["rows"]) == len(found.readings)
    assert [one["text"] for one in ids["spans"]][-1] == "[PAD]"
    assert all(one["chosen"] for one in ids["spans"][:5])
    assert padded["rows"][1] == found.readings[0].padded.tolist()
    token, count = found.frequent[0]
    assert token == " "
    assert head["rows"][2][1:] == ["␣", count], "what cannot be seen has a sign"
    assert found.figure("zh").axes


class Plain(nn.Module):
    """The network of the lecture, as a notebook writes it."""

    def __init__(self, V: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, 100)
        self.lstm = nn.LSTM(100, 256, 2, batch_first=True)
        self.hidden, self.output = nn.Linear(256, 100), nn.Linear(100, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.output(self.hidden(self.lstm(self.embedding(ids))[0][:, -1]))


def test_the_recipe_is_that_of_plain_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(list("abcdefghij"), size=draw.integers(1, 14))) for _ in range(300)]
    labels = ["yes" if "a" in text.split()[:8] else "no" for text in texts]
    made = []

    class Kept(LectureLSTM):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)
            made.append({name: value.clone() for name, value in self.state_dict().items()})

    monkeypatch.setattr(recipe_course, "LectureLSTM", Kept)
    courses = list(textnn.lab.train_recipe(texts, labels, seed=4))
    assert len(courses) == 5 * 3
    assert [len(one.epoch_losses) for one in courses[2::3]] == [1, 2, 3, 4, 5]
    last = courses[-1]
    assert last.finished
    assert not courses[-2].finished

    vocabulary = textnn.text.Vocabulary.build([text.split() for text in texts])
    rows = [(vocabulary.encode(text.split()) + [0] * 10)[:10] for text in texts]
    ids, targets = torch.tensor(rows), torch.tensor([int(label == "yes") for label in labels])
    plain = Plain(len(vocabulary))
    plain.embedding.weight.data = made[0]["encoder.weight"]
    plain.lstm.load_state_dict({k[13:]: v for k, v in made[0].items() if k.startswith("encoder.lstm.")})
    for name in ("hidden", "output"):
        getattr(plain, name).load_state_dict({k[7:]: v for k, v in made[0].items() if k.startswith(name)})
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(4)
    losses, accuracies = [], []
    for _ in range(2):
        right = 0
        for batch in torch.randperm(300, generator=generator).split(128):
            logits = plain(ids[batch])
            loss = nn.functional.cross_entropy(logits, targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            right += int((logits.argmax(1) == targets[batch]).sum())
        accuracies.append(right / 300)
    assert last.losses[:4] == pytest.approx(losses[:4], rel=1e-3)
    assert last.epoch_accuracies[0] == pytest.approx(accuracies[0], abs=0.01)
    assert last.epoch_losses[0] == pytest.approx(np.average(last.losses[:3], weights=[128, 128, 44]))


def test_the_recipe_tells_what_it_thinks_of_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[LectureLSTM] = []

    class Kept(LectureLSTM):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(recipe_course, "LectureLSTM", Kept)
    texts, labels = ["so good it is", "so not good it is"] * 70, ["good", "bad"] * 70
    assert next(textnn.lab.train_recipe(texts, labels)).probability is None
    *_, last = textnn.lab.train_recipe(texts, labels, text="so not good")
    assert last.batches == 2
    ids = textnn.text.Vocabulary.build([text.split() for text in texts]).encode(["so", "not", "good"])
    with torch.no_grad():
        plain = made[-1](torch.tensor([ids + [0] * 7]), torch.tensor([10])).softmax(1)[0]
    assert last.probability == pytest.approx(float(plain[1]), abs=1e-6), "good comes behind bad in the alphabet"
    assert "positive with probability" in last.panels()[0]["note"]["en"]
    assert [row[0] for row in last.panels()[1]["rows"]] == [1, 2, 3, 4, 5]
    assert last.figure().axes


def test_the_page_shows_the_recipe_before_its_first_step() -> None:
    lines, table = next(recipe.EXHIBIT.live(**recipe.EXHIBIT.settings()))
    assert lines["series"][0]["x"] == []
    assert table["rows"] == []


def test_what_makes_no_recipe_is_refused() -> None:
    with pytest.raises(ValueError, match="labels: expected one a text, of two kinds, got 2 of 1 kinds"):
        next(textnn.lab.train_recipe(["a", "b"], [1, 1]))
    with pytest.raises(ValueError, match="count and every: expected numbers from 1, got 0 and 1"):
        next(textnn.lab.train_recipe(count=0))
