"""``pretrained=``: a classifier begins with the encoder of a language model, thaws it, and needs it no more."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exports import assert_same as assert_exported
from samples import SMALL, make_reviews
from sklearn.base import clone
from trainings import BATCHES, CPU, OPTIONS, Breaker, BrokenOffError, assert_same, make_data

from textnn import LanguageModel, SentimentClassifier
from textnn.classification.objectives import Softmax
from textnn.language.handover import language_weights
from textnn.models import TextModel, build_model, resolve_options
from textnn.text import Vocabulary
from textnn.training.checkpoint import Checkpoint
from textnn.training.loop import Trained, seeded, train
from textnn.training.transfer import ARCHITECTURES, LAYER_RATE, LanguageWeights

TEXTS, LABELS = make_reviews(200)
STILL: dict[str, Any] = {"learning_rate": 1e-12, "epochs": 1}  # the first weights are the last ones
LANGUAGE: dict[str, Any] = {"embedding_dim": 6, "hidden_size": 10, "epochs": 1, "batch_size": 4, "window": 8}
CELL = {"lstm": "lstm", "gru": "gru", "rnn": "rnn", "tfidf-textcnn": "lstm"}


def make_language_model(level: Any = "char", cell: str = "lstm", **options: Any) -> LanguageModel:
    return LanguageModel(level, cell, random_state=0, verbose=0, **{**LANGUAGE, **options}).fit(TEXTS)


@pytest.fixture(scope="module")
def models() -> dict[tuple[str, str], LanguageModel]:
    """Language models by level and cell."""
    cases = [("char", cell) for cell in ("lstm", "gru", "rnn")] + [("whitespace", "lstm")]
    return {case: make_language_model(*case) for case in cases}


@pytest.fixture
def lstm(models: Any) -> LanguageModel:
    """The language model of characters with an LSTM."""
    return models["char", "lstm"]


@pytest.fixture
def directory(lstm: LanguageModel, tmp_path: Path) -> Path:
    """Its directory."""
    lstm.save(tmp_path / "language-model")
    return tmp_path / "language-model"


def make(architecture: str, model: Any, **options: Any) -> SentimentClassifier:
    small = SMALL["tfidf-textcnn"] if architecture == "tfidf-textcnn" else {}
    common = {"random_state": 0, "verbose": 0, "epochs": 2, "learning_rate": 0.01}
    return SentimentClassifier(architecture, **{**small, **common, **options}, pretrained=model)


def layers_of(classifier: SentimentClassifier) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    (encoder,) = classifier.model_.encoders()
    return encoder.weight, dict(encoder._layer().named_parameters())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_network_begins_with_the_weights_and_the_vocabulary(architecture: str, models: Any) -> None:
    model = models["char", CELL[architecture]]
    classifier = make(architecture, model, **STILL).fit(TEXTS, LABELS)
    table, layers = layers_of(classifier)
    network = model.state_.model
    torch.testing.assert_close(table[1:], network.embedding.weight[1:])
    assert {*layers} == {name for name, _ in network.layers.named_parameters()}
    for name, weight in network.layers.named_parameters():
        torch.testing.assert_close(layers[name], weight)
    read = classifier.characters_ if architecture == "tfidf-textcnn" else classifier.vocabulary_
    assert read is not None
    assert read.tokens == model.vocabulary_.tokens


@pytest.mark.parametrize("architecture", ["lstm", "tfidf-textcnn"])
def test_words_are_those_of_the_language_models_tokenizer(architecture: str, models: Any) -> None:
    model = models["whitespace", "lstm"]
    classifier = make(architecture, model).fit(TEXTS[:40], LABELS[:40])
    assert classifier.tokenizer_.name == "whitespace"
    assert classifier.vocabulary_.tokens == model.vocabulary_.tokens
    assert classifier.predict(TEXTS[:3]).shape == (3,)


def test_white_space_counts_as_it_does_for_the_language_model(lstm: LanguageModel) -> None:
    """Characters of a language model have blanks among them, those of the tokenizer "char" have not."""
    assert " " in lstm.vocabulary_.tokens
    alone, joint = (make(name, lstm).fit(TEXTS[:40], LABELS[:40]) for name in ("lstm", "tfidf-textcnn"))
    assert alone.tokenizer_("很 好") == ["很", " ", "好"]
    assert joint.options_["character_form"] == "all"
    for one in (alone, joint):
        encoded = one.state_.predictor.encoder(["很 好"])
        (batch,) = encoded.batches([torch.tensor([0])])
        ids = batch.inputs[0] if one is alone else batch.inputs[2]
        assert ids.tolist() == lstm.vocabulary_.encode(["很", " ", "好"])


def weights_of(cell: str = "lstm", layers: int = 2) -> LanguageWeights:
    model = build_model("lstm" if cell == "lstm" else cell, [60], 2, resolve_options(cell, {"num_layers": layers}))
    (encoder,) = model.encoders()
    vocabulary = Vocabulary([Vocabulary.PAD, Vocabulary.UNK, *map(chr, range(100, 158))])
    layer = {name: weight.detach() for name, weight in encoder._layer().named_parameters()}
    return LanguageWeights("here", cell, "char", None, vocabulary, encoder.weight.detach(), layer)


def test_layers_thaw_from_the_last_one_down_and_learn_the_slower_the_lower_they_are() -> None:
    weights = weights_of()
    model = build_model("lstm", [60], 2, resolve_options("lstm", {"num_layers": 2, "last": True}))
    weights.set_first_weights(model, epochs=10)
    groups = ["weight_ih_l1", "weight_ih_l0", "weight"]
    for epoch, learning in enumerate([0, 1, 2, 3, 3], 1):
        model.begin_epoch(epoch)
        (encoder,) = model.encoders()
        parameters = {**dict(encoder._layer().named_parameters()), "weight": encoder.weight}
        assert [parameters[name].requires_grad for name in groups] == [n < learning for n in range(3)], epoch
        assert model.output.weight.requires_grad
    rates = {name.rpartition(".")[2]: rate for name, rate in model.rates.items()}
    assert [rates[name] for name in groups] == [LAYER_RATE, LAYER_RATE**2, LAYER_RATE**3]
    model = build_model("lstm", [60], 2, resolve_options("lstm", {"num_layers": 2}))
    weights.set_first_weights(model, epochs=1)
    assert set(model.frozen_epochs.values()) == {0}, "of a single epoch nothing is left to thaw for"


def run(checkpoint: Checkpoint | None = None, **arguments: Any) -> tuple[TextModel, Trained]:
    with seeded(0, CPU):
        weights = weights_of()
        options = resolve_options("lstm", {**weights.sizes, "last": True, "sparse": True})
        model = build_model("lstm", [60], 2, options)
        weights.set_first_weights(model, epochs=6)
        generator = torch.Generator().manual_seed(0)
        trained = train(
            model, make_data(), replace(OPTIONS, epochs=6), generator, Softmax(0.1), checkpoint=checkpoint, **arguments
        )
    return model, trained


def test_what_is_frozen_stays_as_it_was_until_it_thaws() -> None:
    epochs: list[dict[str, torch.Tensor]] = []
    model: list[TextModel] = []

    class Watch(Breaker):
        def epoch(self, record: Any, measure: str) -> None:
            epochs.append({name: weight.detach().clone() for name, weight in model[0].named_parameters()})

    original = TextModel.begin_epoch

    def begin_epoch(network: TextModel, epoch: int) -> None:
        if not model:
            model.append(network)
            epochs.append({name: weight.detach().clone() for name, weight in network.named_parameters()})
        original(network, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextModel, "begin_epoch", begin_epoch)
        found, _ = run(reporter=Watch())
    names = {"output.weight": 1, "encoder.lstm.weight_hh_l1": 2, "encoder.lstm.weight_hh_l0": 3, "encoder.weight": 3}
    for name, first in names.items():
        changed = [not torch.equal(one[name], two[name]) for one, two in itertools.pairwise(epochs)]
        assert changed == [epoch >= first for epoch in range(1, 7)], name
    assert all(parameter.requires_grad for parameter in found.parameters()), "another training begins with all of them"


@pytest.mark.parametrize("breaks", [[2], [BATCHES + 1, 3], [2 * BATCHES, 1, BATCHES]])
def test_a_training_that_was_broken_off_goes_on_to_the_same_weights(breaks: list[int], tmp_path: Path) -> None:
    """In an epoch with frozen layers, in one in which layers have thawed, and between both."""
    expected = run()
    for batches in breaks:
        with pytest.raises(BrokenOffError):
            run(Checkpoint(tmp_path, True, 0), reporter=Breaker(batches))
    assert_same(run(Checkpoint(tmp_path, True, 0)), expected)


@pytest.mark.parametrize("architecture", ["lstm", "tfidf-textcnn"])
def test_a_saved_classifier_needs_the_language_model_no_more(
    architecture: str, directory: Path, tmp_path: Path
) -> None:
    classifier = make(architecture, directory).fit(TEXTS, LABELS)
    classifier.save(tmp_path / "classifier")
    shutil.rmtree(directory)
    loaded = SentimentClassifier.load(tmp_path / "classifier")
    assert loaded.pretrained is None
    assert "language-model" not in (tmp_path / "classifier" / "config.json").read_text(encoding="utf-8")
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    for one in (classifier, loaded):  # goes on with its own weights
        one.set_params(verbose=0, warm_start=True, **STILL).fit(TEXTS, LABELS)
        one.partial_fit(TEXTS, LABELS)
        assert one.options_["hidden_size" if architecture == "lstm" else "encoder_size"] == 10


def test_a_directory_and_a_fitted_model_are_the_same(directory: Path, lstm: LanguageModel) -> None:
    one, two = (make("tfidf-textcnn", given).fit(TEXTS[:60], LABELS[:60]) for given in (directory, lstm))
    np.testing.assert_array_equal(one.predict_proba(TEXTS), two.predict_proba(TEXTS))


def test_a_clone_has_the_fitted_language_model(lstm: LanguageModel) -> None:
    copy = clone(make("lstm", lstm))
    assert copy.pretrained is lstm
    assert copy.fit(TEXTS[:40], LABELS[:40]).options_["hidden_size"] == 10


def test_the_checkpoint_of_another_language_model_is_refused(lstm: LanguageModel, tmp_path: Path) -> None:
    make("lstm", lstm).fit(TEXTS, LABELS, checkpoint=Checkpoint(tmp_path))
    other = make_language_model(learning_rate=0.1)
    with pytest.raises(Exception, match="pretrained"):
        make("lstm", other).fit(TEXTS, LABELS, checkpoint=Checkpoint(tmp_path, resume=True))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", ["lstm", "tfidf-textcnn"])
def test_either_precision_learns(architecture: str, precision: str, lstm: LanguageModel) -> None:
    classifier = make(architecture, lstm, precision=precision, epochs=30).fit(TEXTS, LABELS)
    assert classifier.score(TEXTS, LABELS) > 0.9


def test_the_joint_network_adds_the_encoders_logits(lstm: LanguageModel) -> None:
    classifier = make("tfidf-textcnn", lstm).fit(TEXTS, LABELS)
    network = classifier.model_
    (batch,) = classifier.state_.predictor.encoder(TEXTS[:5]).batches([torch.arange(5)])
    with torch.inference_mode():
        together = network(*batch.inputs)
        encoded = network.language(*batch.inputs[2:])
        network.language.output.weight.zero_()
        network.language.output.bias.zero_()
        without = network(*batch.inputs)
    assert not torch.allclose(together, without)
    difference = (together - without) / encoded
    torch.testing.assert_close(difference, difference[:1, :1].expand_as(difference), rtol=1e-3, atol=1e-3)


def test_the_joint_is_explained_by_leaving_words_out(lstm: LanguageModel) -> None:
    classifier = make("tfidf-textcnn", lstm).fit(TEXTS, LABELS)
    assert classifier.explain(TEXTS[0]).method == "occlusion"


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("textcnn", {}, "pretrained: expected one of the architectures 'tfidf-textcnn', 'lstm', 'gru', 'rnn' beside"),
        ("bilstm", {}, "pretrained: expected one of the architectures .* got 'bilstm'"),
        ("gru", {}, "pretrained: the language model's cell is 'lstm'; expected the architecture 'lstm' or 'tfidf-"),
        ("lstm", {"hidden_size": 8}, "hidden_size: expected 10 as in the language model, or None, got 8"),
        ("lstm", {"embedding_dim": 8}, "embedding_dim: expected 6 as in the language model, or None, got 8"),
        ("lstm", {"num_layers": 2}, "num_layers: expected 1 as in the language model, or None, got 2"),
        ("lstm", {"tokenizer": "char"}, "tokenizer: expected 'auto' beside pretrained, as tokens .* got 'char'"),
        ("lstm", {"stop_words": ["x"]}, "stop_words: expected None beside pretrained, as tokens and vocabulary are"),
        ("lstm", {"min_count": 3}, "min_count: expected None beside pretrained, as tokens and vocabulary are the"),
        ("lstm", {"vectors": "words.vec"}, "vectors: expected None beside pretrained, which brings vectors of its own"),
        ("tfidf-textcnn", {"vectors": "words.vec"}, "vectors: expected None beside pretrained"),
    ],
)
def test_what_does_not_go_with_it_is_named(
    architecture: str, options: dict[str, Any], message: str, lstm: LanguageModel
) -> None:
    with pytest.raises(ValueError, match=message):
        SentimentClassifier(architecture, pretrained=lstm, verbose=0, **options).fit(TEXTS, LABELS)


def test_what_is_no_language_model_is_named(tmp_path: Path, lstm: LanguageModel) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    make("lstm", lstm).fit(TEXTS[:40], LABELS[:40]).save(tmp_path / "classifier")
    cases: list[tuple[Any, type[Exception], str]] = [
        (tmp_path / "nothing", ValueError, "pretrained: .*nothing"),
        (tmp_path / "file", ValueError, "pretrained: .*file"),
        (tmp_path / "classifier", ValueError, "pretrained: .*classifier.*textnn-language-model"),
        (3, TypeError, "pretrained: expected a fitted LanguageModel or the directory of one, got int"),
        (LanguageModel(), ValueError, "pretrained: expected a fitted language model, got one that has not been fitted"),
        (make_language_model("word"), ValueError, "pretrained: expected a language model of characters or of a token"),
    ]
    for given, error, message in cases:
        with pytest.raises(error, match=message):
            SentimentClassifier(pretrained=given, verbose=0).fit(TEXTS, LABELS)


def test_its_weights_are_a_copy(lstm: LanguageModel) -> None:
    before = lstm.state_.model.embedding.weight.clone()
    make("lstm", lstm, learning_rate=0.1).fit(TEXTS, LABELS)
    assert torch.equal(lstm.state_.model.embedding.weight, before)
    assert language_weights(lstm).checksum == language_weights(lstm).checksum


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["lstm", "tfidf-textcnn"])
def test_an_export_has_its_probabilities(architecture: str, lstm: LanguageModel, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    classifier = make(architecture, lstm).fit(TEXTS, LABELS)
    classifier.export("onnx", tmp_path / "exported")
    assert_exported(classifier, tmp_path / "exported")


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_its_recurrent_layers_can_be_frozen(dtype: str, lstm: LanguageModel) -> None:
    classifier = make("tfidf-textcnn", lstm).fit(TEXTS, LABELS)
    expected = classifier.predict_proba(TEXTS)
    np.testing.assert_allclose(classifier.freeze(dtype=dtype).predict_proba(TEXTS), expected, atol=0.05)
