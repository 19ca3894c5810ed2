"""Explanations: contributions add up to the prediction, and each method does what it says."""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import make_reviews

from textnn import SentimentClassifier, functional
from textnn.classification.explanation import Explanation
from textnn.classification.explanation.gradients import integrate_gradients
from textnn.layers import EmbeddingTextConv, NgramBag
from textnn.models.decomposition import split_bags, split_convolution

TEXTS = [
    "房间 很 好 喜欢 物流",
    "很 差",
    "退货",
    "新词 <b> 😀 另外",
    "",
    "   ",
    "房间 " * 40 + "失望",
]
EXACT = ["textcnn", "wide-textcnn", "tfidf-textcnn", "ensemble"]
RECURRENT = ["lstm", "bilstm", "lecture-lstm"]
OTHERS = ["rnn", "bigru", "mlp"]


def make(make_classifier: Any, name: str, classes: int = 2, **parameters: Any) -> SentimentClassifier:
    texts, labels = make_reviews(120, classes)
    architecture = "wide-textcnn" if name == "ensemble" else name
    if architecture == "wide-textcnn":
        parameters = {"ensemble": 3 if name == "ensemble" else 1, **parameters}
    classifier = make_classifier(architecture, **parameters).fit(texts, labels)
    classifier.temperature_ = 1.7
    return classifier


@pytest.fixture(scope="module")
def classifiers(make_classifier: Any) -> dict[str, SentimentClassifier]:
    """One of each architecture, two classes; not to be changed."""
    return {name: make(make_classifier, name) for name in [*EXACT, *RECURRENT, *OTHERS]}


def total(explanation: Explanation) -> float:
    return explanation.base + sum(token.contribution for token in explanation.tokens)


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("text", TEXTS)
def test_exact_contributions_add_up_to_the_log_odds(classifiers: Any, name: str, text: str) -> None:
    classifier = classifiers[name]
    one = classifier.explain(text)
    assert one.method == "exact"
    probabilities = classifier.predict_proba([text])[0]
    assert one.label == classifier.predict([text])[0]
    assert one.probabilities == pytest.approx(probabilities, abs=1e-6)
    assert one.probability == max(one.probabilities)
    assert total(one) == pytest.approx(log_odds(one.probability), abs=1e-5)


@pytest.mark.parametrize("name", EXACT)
def test_in_double_precision_they_add_up_to_its_last_digits(make_classifier: Any, name: str) -> None:
    classifier = make(make_classifier, name)
    classifier.model_.double()
    for text in TEXTS:
        one = classifier.explain(text)
        assert total(one) == pytest.approx(log_odds(one.probability), abs=1e-11), text


@pytest.mark.parametrize("method", ["exact", "integrated gradients"])
def test_of_three_classes_they_add_up_to_the_logit_less_the_mean_of_the_others(
    make_classifier: Any, method: str
) -> None:
    classifier = make(make_classifier, "textcnn", classes=3)
    for label in classifier.classes_:
        one = classifier.explain(TEXTS[0], label, method)
        logs = {known: math.log(p) for known, p in zip(one.classes, one.probabilities, strict=True)}
        others = [value for known, value in logs.items() if known != label]
        assert total(one) == pytest.approx(logs[label] - sum(others) / 2, abs=1e-5 if method == "exact" else 0.02)


@pytest.mark.parametrize("name", ["textcnn", "bilstm"])
def test_a_single_sigmoid(make_classifier: Any, name: str) -> None:
    classifier = make(make_classifier, name, output="sigmoid")
    for text, label in itertools.product(TEXTS[:5], classifier.classes_):
        one = classifier.explain(text, label)
        assert total(one) == pytest.approx(log_odds(one.probability), abs=1e-5 if name == "textcnn" else 0.02)


def test_several_labels_a_text(make_classifier: Any) -> None:
    texts, labels = make_reviews(120, 3)
    classifier = make_classifier("wide-textcnn", ensemble=2).fit(texts, [[label] for label in labels])
    for label in classifier.classes_:
        one = classifier.explain(TEXTS[0], label)
        assert total(one) == pytest.approx(log_odds(one.probability), abs=1e-5)
    best = classifier.predict_proba([TEXTS[0]]).max()
    assert classifier.explain(TEXTS[0]).probability == pytest.approx(best, abs=1e-6)


def test_a_single_label_that_a_text_has_or_not(make_classifier: Any) -> None:
    texts, labels = make_reviews(120)
    classifier = make_classifier().fit(texts, [[label] if label == "good" else [] for label in labels])
    assert classifier.classes_.tolist() == ["good"]
    for text in TEXTS:
        one = classifier.explain(text)
        assert total(one) == pytest.approx(log_odds(one.probability), abs=1e-5)


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("text", TEXTS)
def test_integrated_gradients_add_up_to_a_hundredth(classifiers: Any, name: str, text: str) -> None:
    one = classifiers[name].explain(text, method="integrated gradients")
    difference = log_odds(one.probability) - one.base
    assert abs(total(one) - log_odds(one.probability)) <= 0.01 * max(abs(difference), 0.1) + 1e-5


def test_the_other_label_has_the_same_contributions_with_the_other_sign(classifiers: Any) -> None:
    for classifier in classifiers.values():
        good, bad = (classifier.explain(TEXTS[0], label) for label in ("good", "bad"))
        assert good.base == pytest.approx(-bad.base)
        for one, other in zip(good.tokens, bad.tokens, strict=True):
            assert one.contribution == pytest.approx(-other.contribution, abs=1e-9)
        assert good.probability + bad.probability == pytest.approx(1)


def test_the_word_that_decides_has_the_largest_contribution(classifiers: Any) -> None:
    for name in ("textcnn", "ensemble"):
        one = classifiers[name].explain("房间 物流 退货 价格", "bad")
        assert max(one.tokens, key=lambda token: token.contribution).token == "退货", name
        assert any("退货" in ngram.text for ngram in one.ngrams[:2]), name


def shapley(values: list[float]) -> list[float]:
    """The Shapley value by its definition: of the game that is worth the largest of its players' values, at least 0."""
    n = len(values)
    shares = [0.0] * n
    for player in range(n):
        rest = [other for other in range(n) if other != player]
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for others in itertools.combinations(rest, size):
                before = max((values[other] for other in others), default=0.0)
                shares[player] += weight * (max(before, values[player]) - before)
    return shares


@pytest.mark.parametrize("tokens", [1, 2, 6])
def test_windows_share_a_maximum_by_their_shapley_value(tokens: int) -> None:
    torch.manual_seed(0)
    layer = EmbeddingTextConv(20, 5, 4, (1, 2, 3), dtype=torch.float64)
    ids, head = torch.randint(1, 20, (tokens,)), torch.randn(12, dtype=torch.float64)
    parts = split_convolution(layer, ids, head, stream=7)
    for K, part, weights in zip((1, 2, 3), parts, head.split(4), strict=True):
        kernel, bias = layer.convs[K - 1].weight.detach(), layer.convs[K - 1].bias.detach()
        vectors = [layer.weight[token].detach() for token in ids] + [torch.zeros(5)] * max(0, K - tokens)
        windows = range(len(vectors) - K + 1)
        assert part.starts.tolist() == list(windows)
        assert part.stream == 7
        expected = torch.zeros(len(windows), K, dtype=torch.float64)
        for c in range(4):
            taps = [[float(kernel[c, :, k] @ vectors[p + k].double() + bias[c] / K) for k in range(K)] for p in windows]
            sums = [sum(row) for row in taps]
            for p, share in enumerate(shapley([max(0.0, value) for value in sums])):
                for k in range(K):
                    expected[p, k] += weights[c] * taps[p][k] * share / sums[p] if share else 0.0
        torch.testing.assert_close(part.taps, expected)
    whole = sum(part.taps.sum() for part in parts)
    torch.testing.assert_close(whole, layer(ids, offsets=torch.tensor([0]))[0].detach() @ head)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_tokens_of_an_ngram_of_the_wide_part_have_equal_parts(weighted: bool) -> None:
    bag = NgramBag(64, 3, (1, 3), weighted=weighted, dtype=torch.float64)
    with torch.no_grad():
        bag.weight[1:] = torch.randn(63, 3)
        if weighted:
            bag.importance[1:] = torch.rand(63, dtype=torch.float64)
    head = torch.randn(3, dtype=torch.float64)
    for tokens in (1, 2, 5):
        ids = torch.arange(1, tokens + 1) % 4  # the fifth is the first once more
        parts = split_bags([(bag, ids, 0), (None, ids, 1)], head)
        assert [part.taps.shape for part in parts] == [(tokens, 1), (max(0, tokens - 2), 3)]
        assert all(torch.equal(part.taps, part.taps[:, :1].expand_as(part.taps)) for part in parts)
        whole = sum(part.taps.sum() for part in parts)
        torch.testing.assert_close(whole, bag(ids, offsets=torch.tensor([0]))[0].detach() @ head)


def test_contributions_of_characters_go_to_the_words_around_them(classifiers: Any) -> None:
    classifier = classifiers["wide-textcnn"]
    one = classifier.explain("喜欢 物流")
    assert [(token.token, token.start, token.end) for token in one.tokens] == [("喜欢", 0, 2), ("物流", 3, 5)]
    assert {ngram.source for ngram in one.ngrams} == {"words", "characters"}
    for ngram in one.ngrams:
        assert one.text[ngram.start : ngram.end] == ngram.text
    strengths = [abs(ngram.contribution) for ngram in one.ngrams]
    assert strengths == sorted(strengths, reverse=True)


def test_integrated_gradients_are_the_integral_of_the_gradients(classifiers: Any) -> None:
    model, ids = classifiers["bilstm"].model_, torch.tensor([5, 3, 5, 8])
    direction = torch.tensor([1.0, -1.0], dtype=torch.float64)
    table = model.encoder.weight.detach()
    start, way = table[1], table[ids] - table[1]
    sums, steps = torch.zeros(4), 400
    for step in range(steps):
        x = (start + (step + 0.5) / steps * way).requires_grad_()
        outputs, _ = model.encoder.lstm(x, offsets=torch.tensor([0]))
        logits = model.output(functional.max_mean_pool(outputs, offsets=torch.tensor([0])))
        (gradient,) = torch.autograd.grad(logits[0, 0] - logits[0, 1], x)
        sums += (gradient * way).sum(1) / steps
    found = integrate_gradients(model, ids, direction, steps=64)
    torch.testing.assert_close(found.contributions.float(), sums, rtol=0.02, atol=2e-3)
    assert found.steps == 64


@pytest.mark.parametrize("name", [*EXACT, *RECURRENT])
def test_occlusion_is_what_the_prediction_loses_without_the_word(classifiers: Any, name: str) -> None:
    classifier, words = classifiers[name], ["房间", "很", "好", "房间", "的"]
    one = classifier.explain(" ".join(words), method="occlusion")
    column = classifier.classes_.tolist().index(one.label)
    texts = [" ".join(words[:number] + words[number + 1 :]) for number in range(len(words))]
    for token, rest in zip(one.tokens, classifier.predict_proba(texts)[:, column], strict=True):
        assert token.contribution == pytest.approx(log_odds(one.probability) - log_odds(rest), abs=1e-5)
    assert one.base == pytest.approx(log_odds(classifier.predict_proba([""])[0, column]), abs=1e-5)


def test_stop_words_and_what_is_cut_off_have_no_contribution(make_classifier: Any) -> None:
    classifier = make(make_classifier, "textcnn", stop_words=["的", "了"], max_length=3)
    one = classifier.explain("房间 的 很 了 好 退货 退货")
    assert [token.token for token in one.tokens] == ["房间", "的", "很", "了", "好", "退货", "退货"]
    assert [token.token for token in one.tokens if token.contribution] == ["房间", "很", "好"]
    assert total(one) == pytest.approx(log_odds(one.probability), abs=1e-5)
    nothing = classifier.explain("的 了")
    assert [token.contribution for token in nothing.tokens] == [0.0, 0.0]
    assert nothing.base == pytest.approx(log_odds(nothing.probability), abs=1e-5)


def test_what_only_the_characters_have_is_a_token_too(make_classifier: Any) -> None:
    texts, labels = make_reviews(120)
    classifier = make_classifier("wide-textcnn", tokenizer=words_of_two, ensemble=1).fit(texts, labels)
    for method in ("exact", "occlusion"):
        one = classifier.explain(" 喜欢， a 物流！", method=method)
        found = [(token.token, token.start, token.end) for token in one.tokens]
        assert found == [("喜欢", 1, 3), ("， a", 3, 6), ("物流", 7, 9), ("！", 9, 10)]
        assert all(token.contribution for token in one.tokens)
    assert total(classifier.explain("， 喜欢")) == pytest.approx(
        log_odds(classifier.predict_proba(["， 喜欢"]).max()), abs=1e-5
    )


def words_of_two(text: str) -> list[str]:
    """A tokenizer that drops what it does not know."""
    return [
        text[place : place + 2] for place in range(len(text)) if text[place : place + 2] in ("喜欢", "物流", "失望")
    ]


def test_a_tokenizer_that_changes_its_words(make_classifier: Any) -> None:
    classifier = make_classifier(tokenizer=lower_words).fit(*make_reviews(120))
    one = classifier.explain("GOOD Running 喜欢")
    assert [(token.token, token.start, token.end) for token in one.tokens] == [
        ("good", 0, 4),
        ("run", 5, 8),
        ("喜欢", 13, 15),
    ]


def lower_words(text: str) -> list[str]:
    """A tokenizer that also stems."""
    return [word.lower().removesuffix("ning") for word in text.split()]


def test_the_empty_text_is_explained_by_its_base(classifiers: Any) -> None:
    for name, classifier in classifiers.items():
        for method in ("auto", "occlusion"):
            one = classifier.explain("", method=method)
            assert (one.tokens, one.ngrams) == ([], []), name
            assert one.base == pytest.approx(log_odds(one.probability), abs=0.01), name


@pytest.mark.parametrize(
    ("labels", "asked", "found"),
    [
        ([1, 2], 2, 2),
        ([1, 2], np.int64(1), 1),
        ([(1, "a"), (2, "b")], (2, "b"), (2, "b")),
        ([True, False], False, False),
        (["<script>", "好"], "<script>", "<script>"),
    ],
)
def test_labels_of_any_kind(make_classifier: Any, labels: list[Any], asked: Any, found: Any) -> None:
    texts, names = make_reviews(80)
    codes = [labels[name == "good"] for name in names]
    one = make_classifier(epochs=1).fit(texts, codes).explain("很 好", asked)
    assert one.label == found
    assert type(one.label) is type(found)
    listed = one.to_dict()["probabilities"]
    assert {row["label"] for row in listed} == {
        label if isinstance(label, int | str) else str(label) for label in labels
    }
    assert sum(row["probability"] for row in listed) == pytest.approx(1)


def test_labels_that_look_the_same_have_a_probability_each(make_classifier: Any) -> None:
    texts, names = make_reviews(90, 3)
    codes = {"good": 1, "bad": "1"}
    one = make_classifier(epochs=1).fit(texts, [codes.get(name, 2) for name in names]).explain("很 好")
    listed = {(type(row["label"]), row["label"]): row["probability"] for row in one.to_dict()["probabilities"]}
    assert len(listed) == 3
    assert sum(listed.values()) == pytest.approx(1)


def test_explain_many_is_lazy_and_gives_what_explain_gives(classifiers: Any) -> None:
    classifier = classifiers["textcnn"]
    stream = classifier.explain_many(TEXTS, "good")
    assert [next(stream), *stream] == [classifier.explain(text, "good") for text in TEXTS]
    assert list(classifier.explain_many([])) == []


def test_it_explains_the_network_also_where_integers_predict(make_classifier: Any) -> None:
    classifier = make(make_classifier, "textcnn")
    before = classifier.explain(TEXTS[0])
    assert classifier.freeze(dtype="int8").explain(TEXTS[0]) == before


@pytest.mark.parametrize("name", ["bilstm", "ensemble"])
def test_threads_may_explain_and_predict_at_once(classifiers: Any, name: str) -> None:
    classifier, texts = classifiers[name], TEXTS[:4]
    explained, probabilities = list(classifier.explain_many(texts)), classifier.predict_proba(texts)
    classifier.unfreeze()

    def work(number: int) -> bool:
        if number % 2:
            return list(classifier.explain_many(texts)) == explained
        return bool(np.allclose(classifier.predict_proba(texts), probabilities, atol=1e-6))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(40)))


def test_a_loaded_model_explains_as_the_saved_one(classifiers: Any, tmp_path: Path) -> None:
    for name, classifier in classifiers.items():
        classifier.save(tmp_path / name)
        loaded = SentimentClassifier.load(tmp_path / name)
        assert loaded.explain(TEXTS[0]) == classifier.explain(TEXTS[0]), name


def test_an_architecture_with_neither_sum_nor_vectors_is_explained_by_occlusion(
    classifiers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = classifiers["lstm"]
    monkeypatch.setattr(type(classifier.model_), "embedding", None)
    assert classifier.explain(TEXTS[0]).method == "occlusion"
    with pytest.raises(ValueError, match="method: 'integrated gradients' is not for the architecture 'lstm'"):
        classifier.explain(TEXTS[0], method="integrated-gradients")


def test_auto_takes_what_was_found_to_be_the_most_faithful(classifiers: Any) -> None:
    assert {name: one.explain("很 好").method for name, one in classifiers.items()} == {
        "textcnn": "exact",
        "wide-textcnn": "exact",
        "tfidf-textcnn": "exact",
        "ensemble": "exact",
        "lstm": "integrated gradients",
        "bilstm": "integrated gradients",
        "lecture-lstm": "occlusion",
        "rnn": "integrated gradients",
        "bigru": "integrated gradients",
        "mlp": "integrated gradients",
    }


def test_what_makes_no_sense_is_refused(classifiers: Any) -> None:
    classifier = classifiers["lstm"]
    with pytest.raises(TypeError, match="X: expected a string, got list"):
        classifier.explain(["很 好"])
    with pytest.raises(TypeError, match="X: expected a list of strings, got one string"):
        classifier.explain_many("很 好")
    with pytest.raises(TypeError, match=r"X\[1\]: expected a string, got float"):
        classifier.explain_many(["很 好", float("nan")])
    with pytest.raises(ValueError, match="label: expected one of 'bad', 'good', got 'ugly'"):
        classifier.explain("很 好", "ugly")
    with pytest.raises(
        ValueError, match="method: expected 'auto', 'exact', 'integrated gradients', 'occlusion', got 3"
    ):
        classifier.explain("很 好", method=3)
    with pytest.raises(ValueError, match="method: 'exact' is not for the architecture 'lstm'; write 'auto'"):
        classifier.explain("很 好", method="exact")
    with pytest.raises(ValueError, match="not fitted"):
        SentimentClassifier().explain("很 好")
