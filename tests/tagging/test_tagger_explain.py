"""Explanations of entities: what becomes of an entity's log-odds when a token is unknown."""

from __future__ import annotations

import io
import json
import math

import pytest
from tagged_samples import make_tagger

from textnn import SequenceTagger
from textnn.tagging import explanation

TEXT = "Ann met Bob Lee.\r\n\nthe day in New York"


def odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_each_entity_is_explained_by_the_tokens_of_its_line(tagger: SequenceTagger) -> None:
    found = tagger.explain(TEXT)
    entities = tagger.entities(TEXT)
    assert [one.entity[:4] for one in found] == [entity[:4] for entity in entities]
    assert [one.entity.confidence for one in found] == pytest.approx([entity.confidence for entity in entities])
    assert [token.token for token in found[0].tokens] == ["Ann", "met", "Bob", "Lee", "."]
    assert [token.token for token in found[-1].tokens] == ["the", "day", "in", "New", "York"]
    for one in found:
        assert all(TEXT[token.start : token.end] == token.token for token in one.tokens)


def test_a_contribution_is_what_the_entity_loses_without_the_token(tagger: SequenceTagger) -> None:
    """Beside the probabilities that come of the changed sentence itself."""
    tokens = ["Ann", "met", "Rome"]
    [person, place] = tagger.explain(" ".join(tokens))
    for one, span in ((person, 0), (place, 2)):
        letter = tagger.state_.tags.names.index(f"S-{one.entity.type}")
        whole = tagger.predict_marginals([tokens])[0][span, letter]
        for number, effect in enumerate(one.tokens):
            changed = [*tokens[:number], "\ufffd", *tokens[number + 1 :]]
            without = tagger.predict_marginals([changed])[0][span, letter]
            # The probability of a span of one token is that of its tag.
            assert effect.contribution == pytest.approx(odds(whole) - odds(without), abs=0.02)
    assert max(person.tokens, key=lambda token: token.contribution).token == "Ann"
    assert max(place.tokens, key=lambda token: token.contribution).token == "Rome"


def test_parts_of_the_work_give_what_the_whole_gives(
    character_tagger: SequenceTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "王明去天安门。李在北京"
    expected = character_tagger.explain(text)
    assert [one.entity.text for one in expected] == ["王明", "天安门", "李", "北京"]
    monkeypatch.setattr(explanation, "_ROWS", 1)
    for one, other in zip(character_tagger.explain(text), expected, strict=True):
        assert [token.contribution for token in one.tokens] == pytest.approx(
            [token.contribution for token in other.tokens], abs=1e-4
        )


def test_explanations_are_shown_and_stored(tagger: SequenceTagger) -> None:
    console = pytest.importorskip("rich.console")
    [one] = tagger.explain("Ann met")
    assert str(one).startswith("PER 'Ann', probability 0.")
    assert "Ann[+" in str(one)
    stream = io.StringIO()
    console.Console(file=stream, force_terminal=True, color_system="truecolor", width=200).print(one)
    assert "\x1b[38;2;63;130;240m[+" in stream.getvalue(), "blue speaks for it"
    stored = json.loads(json.dumps(one.to_dict()))
    assert stored["entity"]["type"] == "PER"
    assert [token["token"] for token in stored["tokens"]] == ["Ann", "met"]


def test_no_control_character_reaches_the_terminal(character_tagger: SequenceTagger) -> None:
    for one in character_tagger.explain("\x1b[2J王明\x07去北京"):
        assert "\x1b" not in str(one)
        assert "\x07" not in str(one)


def test_what_has_no_entities_has_no_explanation(tagger: SequenceTagger) -> None:
    assert tagger.explain("") == tagger.explain("the day\n") == []
    with pytest.raises(TypeError, match="text: expected a string, got list"):
        tagger.explain(["Ann"])
    parts_of_speech = make_tagger(epochs=1).fit([["a", "b"]] * 4, [["NN", "VB"]] * 4)
    with pytest.raises(ValueError, match="entities: the tags of this model mark no spans"):
        parts_of_speech.explain("a")
