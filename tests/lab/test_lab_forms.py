"""The five forms: what really goes in and comes out, and which weights are shared."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import textnn
from textnn.lab import forms, small

TEXTS, LABELS = ["a good book", "not good", "a book", "not a film"] * 6, ["yes", "no", "yes", "no"] * 6
OPTIONS: dict[str, Any] = {"validation_fraction": 0.0, "random_state": 0, "verbose": 0, "epochs": 1}


def classifier(architecture: str, **sizes: Any) -> textnn.SentimentClassifier:
    return textnn.SentimentClassifier(architecture, tokenizer="unicode", **sizes, **OPTIONS).fit(TEXTS, LABELS)


def drawn(form: forms.Form) -> tuple[dict[str, Any], Counter[str]]:
    panel = form.panels()[0]
    return panel, Counter(one["label"] for one in panel["edges"] if isinstance(one["label"], str))


def test_many_to_one() -> None:
    model = classifier("lstm", hidden_size=6, embedding_dim=4)
    form = textnn.lab.five_forms("not a good film", form="many-to-one", classifier=model)["many-to-one"]
    assert form.inputs == ["not", "a", "good", "film"]
    probability = model.predict_proba(["not a good film"])[0].max()
    assert form.outputs == ["", "", "", f"{model.predict(['not a good film'])[0]} {probability:.2f}"]
    assert form.weights == [("W_ih", [24, 4], 4), ("W_hh", [24, 6], 4), ("W_out", [2, 12], 1)]
    _, labels = drawn(form)
    assert (labels["W_ih"], labels["W_hh"], labels["W_out"]) == (4, 3, 1)
    assert labels[""] == 3, "maximum and mean of all states"


def test_many_to_one_by_the_last_step_alone() -> None:
    model = classifier("lecture-lstm", hidden_size=6, num_layers=1)
    form = textnn.lab.five_forms("not a good film", form="many-to-one", classifier=model).forms[0]
    assert not form.reads_all
    assert drawn(form)[1][""] == 0


def test_a_network_of_fixed_length_uses_its_weights_for_padding_too() -> None:
    model = classifier("lecture-lstm", hidden_size=6, num_layers=1)
    form = textnn.lab.five_forms("not a good film", form="many-to-one", classifier=model).forms[0]
    assert [times for name, _, times in form.weights if name.startswith("W_ih")] == [10]
    note = form.panels()[0]["note"]
    assert note["en"].endswith("reads 10 steps, those of padding included, which are not drawn.")
    assert note["zh"].endswith("网络共读 10 步，其中填充的步没有画出。")


def test_the_page_takes_models_of_all_kinds_and_says_which_it_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    recurrent = classifier("lstm", hidden_size=6, embedding_dim=4)
    tagger = textnn.SequenceTagger("birnn-crf", hidden_size=6, **OPTIONS).fit_words(["我 来到 北京", "他 在 上海"] * 8)
    language = textnn.LanguageModel("word", hidden_size=6, **OPTIONS).fit(["not a good film"] * 8)
    translator = textnn.Translator(attention=None, hidden_size=8, embedding_dim=6, min_count=1, **OPTIONS)
    translator.fit(["we come", "you go"] * 8, ["来", "走"] * 8)
    given = {"classifier": recurrent, "tagger": tagger, "language": language, "translator": translator}
    for name in ("classifier", "tagger", "language_model", "translator"):
        monkeypatch.setattr(small, name, lambda *_, name=name: pytest.fail(f"a small {name} is used"))
    text = "not a good film not a good book again"
    keywords = {"classifier": recurrent, "tagger": tagger, "language_model": language, "translator": translator}
    for name in forms.FORMS[1:]:
        settings = forms.EXHIBIT.settings({"form": name, "text": text, "source": "we come"})
        panels = forms.EXHIBIT.run(**settings, model=given)
        assert panels == textnn.lab.five_forms(text, "we come", name, **keywords).panels()
        said = "The first 8 tokens." in panels[0]["note"]["en"], "只显示前 8 个词元。" in panels[0]["note"]["zh"]
        assert said == (name in (forms.MANY_TO_ONE, forms.ALIGNED),) * 2
        assert ("[END]" in panels[0]["note"]["en"]) == (name in (forms.ONE_TO_MANY, forms.SHIFTED))
    monkeypatch.setattr(small, "classifier", lambda *_: recurrent)
    settings = forms.EXHIBIT.settings({"form": "many-to-one", "text": "not good"})
    first, second = forms.EXHIBIT.run(**settings, model={"classifier": classifier("textcnn")})
    assert first["note"]["en"].startswith(
        "Your model is not recurrent: this is a small one of the laboratory's own. Sent"
    )
    assert second == forms.EXHIBIT.run(**settings, model={})[1]


def test_a_source_too_long_is_cut_before_it_is_translated() -> None:
    sources = ["we come", "you go"] * 8
    model = textnn.Translator(attention=None, hidden_size=8, embedding_dim=6, min_count=1, **OPTIONS)
    model.fit(sources, ["来", "走"] * 8)
    source = "we come you go we come you go we go"
    form = textnn.lab.five_forms(source=source, form="many-to-many-shifted", translator=model).forms[0]
    assert "".join(form.inputs) == "we come you go we come you go"
    assert "".join(form.outputs) == model.predict(["we come you go we come you go"])[0][: forms.LONGEST]


def test_many_to_many_aligned() -> None:
    words = ["我 来到 北京", "他 来到 上海"] * 8
    tagger = textnn.SequenceTagger("bigru-crf", hidden_size=6, ngram_buckets=0, **OPTIONS).fit_words(words)
    form = textnn.lab.five_forms("他来到北京", form="many-to-many-aligned", tagger=tagger).forms[0]
    assert form.inputs == list("他来到北京")
    assert form.outputs == tagger.predict(["他来到北京"])[0]
    panel, labels = drawn(form)
    assert (labels["W_ih"], labels["W_ih'"], labels["W_hh"], labels["W_hh'"], labels["W_out"]) == (5, 5, 4, 4, 5)
    assert all(one["kind"] == "shared" for one in panel["edges"])
    backwards = [(one["from"], one["to"]) for one in panel["edges"] if one["label"] == "W_hh'"]
    assert ("b1", "b0") in backwards


def test_one_to_many() -> None:
    model = textnn.LanguageModel("word", hidden_size=6, **{**OPTIONS, "epochs": 30}).fit(["one two three four"] * 30)
    form = textnn.lab.five_forms("one", form="one-to-many", language_model=model).forms[0]
    assert form.inputs[0] == "one"
    assert not any(form.inputs[1:]), "each step reads its own last output"
    assert "".join(form.outputs) == model.generate("one", n=forms.LONGEST - 1, temperature=0)
    panel, labels = drawn(form)
    fed = [(one["from"], one["to"]) for one in panel["edges"] if one["from"].startswith("y")]
    assert fed == [(f"y{t}", f"h{t + 1}") for t in range(len(form.outputs) - 1)]
    assert labels["W_ih"] == len(form.outputs)


def test_one_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = classifier("mlp", hidden_size=6, embedding_dim=4)
    monkeypatch.setattr(small, "classifier", lambda *_: model)
    form = textnn.lab.five_forms("not good", form="one-to-one").forms[0]
    assert (len(form.inputs), len(form.outputs)) == (1, 1)
    assert form.inputs == ["not good"]
    assert form.weights == [("W1", [6, 4], 1), ("W2", [2, 6], 1)]
    panel, _ = drawn(form)
    assert [one["kind"] for one in panel["edges"]] == ["", ""]


def test_many_to_many_shifted() -> None:
    X = [f"{who} {what}" for who in ("i", "you", "we") for what in ("come", "go", "sleep")] * 6
    y = [f"{who}{what}" for who in ("我", "你", "我们") for what in ("来", "走", "睡")] * 6
    model = textnn.Translator(attention=None, hidden_size=8, embedding_dim=6, min_count=1, **OPTIONS).fit(X, y)
    form = textnn.lab.five_forms(source="we sleep", form="many-to-many-shifted", translator=model).forms[0]
    assert form.inputs[:2] == ["we", " sleep"], "words with the space before them"
    assert not any(form.inputs[2:])
    assert form.outputs[:2] == ["", ""]
    said = model.predict(["we sleep"])[0]
    assert "".join(form.outputs) == said[: forms.LONGEST]
    panel, labels = drawn(form)
    assert labels["W_hh"] == 1, "from the first token of the source to the second"
    handed = [(one["from"], one["to"]) for one in panel["edges"] if isinstance(one["label"], dict)]
    assert handed == ([("h1", "h2")] if said else [])
    assert form.weights[0][0] == "W_ih"


def test_unknown_forms_and_empty_texts() -> None:
    with pytest.raises(ValueError, match="form: expected one of all, one-to-one"):
        textnn.lab.five_forms(form="two-to-one")
    model = textnn.SentimentClassifier("lstm", tokenizer=_letters, hidden_size=4, **OPTIONS).fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match="text: expected at least one token, got '!'"):
        textnn.lab.five_forms("!", form="many-to-one", classifier=model)


def test_networks_that_are_not_recurrent_are_refused() -> None:
    with pytest.raises(ValueError, match="classifier: expected a recurrent architecture, got 'textcnn'"):
        textnn.lab.five_forms("not good", form="many-to-one", classifier=classifier("textcnn"))
    tagger = textnn.SequenceTagger("ngram-crf", **OPTIONS).fit_words(["我 来到 北京", "他 在 上海"] * 8)
    with pytest.raises(ValueError, match="tagger: expected a recurrent architecture, got 'ngram-crf'"):
        textnn.lab.five_forms("他在", form="many-to-many-aligned", tagger=tagger)


def _letters(text: str) -> list[str]:
    return [word for word in text.split() if word.isalpha()]
