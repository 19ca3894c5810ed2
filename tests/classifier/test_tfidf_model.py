"""The default network: a linear model of TF-IDF vectors beside convolutions, and how the linear part is solved."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from samples import SMALL, make_reviews
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from textnn import SentimentClassifier, reference
from textnn.classification import linear
from textnn.classification.objectives import make_objective
from textnn.models import build_model, resolve_options
from textnn.models.tfidf import SHARE, TfidfTextCNN
from textnn.text import RaggedDataset

NAME = "tfidf-textcnn"
Make = Callable[..., SentimentClassifier]
IDS = [[2, 3, 4, 2, 3], [5], [2, 2, 2], [7, 3, 2]]
CHARACTERS = [[2, 3], [4, 4, 4], [5, 6, 7, 8], [2]]


def small_model(classes: int = 2, **options: Any) -> TfidfTextCNN:
    torch.manual_seed(0)
    return build_model(NAME, [20, 12], classes, resolve_options(NAME, {**SMALL[NAME], **options}))  # type: ignore[return-value]


def make_data(labels: Any, weights: Any = None) -> RaggedDataset:
    return RaggedDataset(IDS, torch.as_tensor(labels), weights, others=[RaggedDataset(CHARACTERS)])


def filled(model: TfidfTextCNN) -> TfidfTextCNN:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, bag in model.bags:
            bag.weight[1:].normal_(generator=generator)
            bag.importance[1:].uniform_(generator=generator)
        model.linear_bias.normal_(generator=generator)
    return model


@torch.no_grad()
def test_logits_are_the_linear_model_and_a_share_of_the_convolutions() -> None:
    model = filled(small_model(3, ensemble=2)).eval()
    inputs = make_data([0, 1, 2, 0]).whole().inputs
    expected = SHARE * torch.stack([network(*inputs) for network in model.networks]).mean(dim=0) + model.linear_bias
    for text in range(len(IDS)):
        sums, square = torch.zeros(3), 0.0
        for (_, bag), ids in zip(model.bags, (IDS[text], CHARACTERS[text]), strict=True):
            buckets = reference.hash_ngrams(torch.tensor([ids]), bag.sizes, bag.num_embeddings).unique().tolist()
            for bucket in set(buckets) - {0}:
                sums += bag.importance[bucket] * bag.weight[bucket]
                square += float(bag.importance[bucket]) ** 2
        expected[text] += sums / math.sqrt(square)
    torch.testing.assert_close(model(*inputs), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.freeze()(*inputs), expected, rtol=1e-4, atol=1e-5)
    assert len(model.freeze().networks) == 1  # type: ignore[arg-type]


def test_the_steps_of_a_training_leave_the_solved_linear_model_alone() -> None:
    model = filled(small_model(ensemble=2))
    inputs = make_data([0, 1, 1, 0]).whole().inputs
    torch.testing.assert_close(
        filled(small_model(ensemble=2, dropout=0.0, word_dropout=0.0))(*inputs).shape, torch.Size([2, len(IDS), 2])
    )
    model(*inputs).sum().backward()
    assert all(parameter.grad is None for parameter in model.linear_parameters())
    assert {id(table) for table in model.sparse_parameters()}.isdisjoint(map(id, model.linear_parameters()))
    model.learn_linear(True)
    model(*inputs).sum().backward()
    assert all(parameter.grad is not None for parameter in model.linear_parameters())


def test_the_solution_is_that_of_scikit_learn_on_the_same_vectors() -> None:
    """One form, two classes: the vectors are those of TF-IDF, scaled by the roots of the log-count ratios."""
    texts, labels = make_reviews(150, seed=3)
    answer = np.array([label == "good" for label in labels])
    counter = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), binary=True)
    counts = counter.fit_transform(texts).astype(float)
    yes, no = (1 + np.asarray(counts[rows].sum(axis=0)).ravel() for rows in (answer, ~answer))
    ratio = np.abs(np.log((yes / yes.sum()) / (no / no.sum())))
    idf = np.log((1 + len(texts)) / (1 + np.asarray(counts.sum(axis=0)).ravel())) + 1
    vectors = normalize(counts.multiply(idf * np.sqrt(ratio)).tocsr())
    expected = LogisticRegression(C=linear.COST, solver="liblinear", tol=1e-6).fit(vectors, answer)

    words = {word: number for number, word in enumerate(dict.fromkeys(" ".join(texts).split()), 2)}
    data = RaggedDataset(
        [[words[word] for word in text.split()] for text in texts], torch.from_numpy(answer.astype(np.int64))
    )
    model = build_model(
        NAME,
        [len(words) + 2, 3],
        2,
        resolve_options(NAME, {**SMALL[NAME], "character_ngrams": (), "ngram_buckets": 2**22}),
    )
    assert isinstance(model, TfidfTextCNN)
    linear.solve(model, data, make_objective("softmax", False, 0.0))
    bag = model.bags[0][1]
    batch = data.whole()
    logits = bag(batch.ids, offsets=batch.offsets) + model.linear_bias
    found = (logits[:, 1] - logits[:, 0]).detach().numpy()
    np.testing.assert_allclose(found, expected.decision_function(vectors), atol=0.05)


@pytest.mark.parametrize(
    ("output", "multilabel", "labels", "outputs"),
    [
        ("softmax", False, [0, 1, 0, 1], 2),
        ("sigmoid", False, [0, 1, 0, 1], 1),
        ("softmax", False, [0, 1, 2, 1], 3),
        ("softmax", True, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]], 2),
    ],
)
def test_each_kind_of_output_is_solved(output: str, multilabel: bool, labels: Any, outputs: int) -> None:
    model, data = small_model(outputs), make_data(labels)
    objective = make_objective(output, multilabel, 0.0)
    steps: list[int] = []
    linear.solve(model, data, objective, lambda: steps.append(1))
    assert len(steps) == (1 if not multilabel and outputs <= 2 else outputs)
    with torch.no_grad():
        for network in model.networks:
            network.output.weight.zero_()  # type: ignore[union-attr, operator]
            network.output.bias.zero_()  # type: ignore[union-attr, operator]
    logits = model.eval()(*data.whole().inputs)
    assert data.labels is not None
    assert objective.hits(logits, data.labels) == len(IDS)


def test_texts_of_weight_zero_and_labels_that_all_or_none_have() -> None:
    model = small_model(2)
    labels = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    linear.solve(model, make_data(labels, [1.0, 1.0, 1.0, 0.0]), make_objective("softmax", True, 0.0))
    torch.testing.assert_close(model.linear_bias.detach(), torch.tensor([math.log(4), -math.log(4)]))
    assert not any(bag.weight.any() for _, bag in model.bags)


def test_ngrams_that_were_not_seen_do_not_count() -> None:
    model, data = small_model(), make_data([0, 1, 1, 0])
    linear.solve(model, data, make_objective("softmax", False, 0.0))
    for stream, bag in model.bags:
        flat = (IDS, CHARACTERS)[stream]
        rows = torch.cat([bag.rows_read(torch.tensor([ids])).flatten() for ids in flat]).unique()
        assert set(bag.importance.nonzero().flatten().tolist()) == set(rows.tolist()) - {0}


def test_few_texts_learn_and_the_held_out_ones_are_learnt_in_the_end(make_classifier: Make) -> None:
    texts, labels = make_reviews(60, seed=5)
    clf = make_classifier(NAME, validation_fraction=0.2).fit(texts, labels)
    assert clf.validation_report_ is not None
    assert clf.n_texts_ == 48
    words = clf.vocabulary_
    seen = sum(float(bag.importance.count_nonzero()) for _, bag in clf.model_.bags)
    less = make_classifier(NAME, validation_fraction=0.0).fit(texts, labels)
    assert len(words) <= len(less.vocabulary_)
    assert seen > 0
    assert clf.score(texts, labels) == 1.0


def test_tables_are_as_large_as_the_texts_need() -> None:
    data = RaggedDataset([[number, number + 1] for number in range(1000)], others=[RaggedDataset([[2]] * 1000)])
    assert linear.suit_buckets([(1, 2), (1,)], data, 2**19, 2) == 2**14  # 1,001 words, 1,000 pairs, eight rows each
    assert linear.suit_buckets([(), (1,)], data, 2**19, 2) == 2**12
    assert linear.suit_buckets([(1, 2), ()], data, 2**13, 2) == 2**13
    assert linear.suit_buckets([(1, 2), (1,)], data, 2**19, 10_000) == 2**11
    assert linear.suit_buckets([(1, 2), (1,)], None, 2**19, 2) == 2**19
    assert linear.suit_buckets([(1, 2), (1,)], None, 2**19, 1000) == 2**15
    assert linear.suit_buckets([(), ()], data, 2**19, 2) == 2**12


@pytest.mark.parametrize("count", [20, 100])
def test_few_texts_make_many_steps(make_classifier: Make, count: int) -> None:
    texts, labels = make_reviews(count)
    for name in (NAME, "textcnn", "lstm"):
        options = make_classifier(name, epochs=None).fit(texts, labels).options_
        assert options["batch_size"] == 32
        assert options["epochs"] * -(-count // 32) >= options["min_steps"] > 0
    assert make_classifier(NAME, epochs=2, batch_size=7).fit(texts, labels).options_["epochs"] == 2


def test_a_later_fit_goes_on_and_a_pass_over_more_texts_changes_the_linear_model(make_classifier: Make) -> None:
    texts, labels = make_reviews(80)
    clf = make_classifier(NAME).partial_fit(texts, labels)
    before = clf.model_.linear_bias.detach().clone()
    clf.partial_fit(texts, ["bad" if label == "good" else "good" for label in labels])
    assert not torch.equal(before, clf.model_.linear_bias)


def test_a_warm_start_forgets_nothing(make_classifier: Make) -> None:
    texts, labels = make_reviews(200, seed=1)
    clf = make_classifier(NAME, warm_start=True).fit(texts, labels)
    clf.set_params(epochs=1).fit(texts[:10], labels[:10])
    assert clf.score(texts, labels) > 0.95


def test_a_first_pass_over_few_texts_leaves_room_for_later_ones(make_classifier: Make) -> None:
    texts, labels = make_reviews(200, seed=1)
    clf = make_classifier(NAME, min_count=1).partial_fit(texts[:20], labels[:20])
    for _ in range(5):
        clf.partial_fit(texts, labels)
    assert all(bag.importance.count_nonzero() == len(bag.importance) - 1 for _, bag in clf.model_.bags)
    assert clf.score(texts, labels) > 0.9


def test_a_network_without_ngrams_is_one_of_convolutions(make_classifier: Make) -> None:
    texts, labels = make_reviews(100)
    clf = make_classifier(NAME, word_ngrams=(), character_ngrams=(), epochs=6).fit(texts, labels)
    assert clf.model_.bags == []
    assert clf.score(texts, labels) > 0.9
    assert clf.explain(texts[0]).method == "exact"


def test_more_ngrams_than_fit_into_memory_are_learnt_from_a_part_of_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data([0, 1, 1, 0], [1.0, 2.0, 0.5, 0.5])
    model = small_model()
    monkeypatch.setattr(linear, "MOST_NGRAMS", 40)
    part = linear._bounded(model.bags, data)
    assert len(part) == 2
    assert part.labels is not None
    assert part.weights is not None
    assert (part.labels.tolist(), part.weights.tolist()) == ([0, 1], [1.0, 0.5])
    assert part.batch([1]).ids.tolist() == IDS[2]
    assert part.others[0].batch([1]).ids.tolist() == CHARACTERS[2]
    linear.solve(model, data, make_objective("softmax", False, 0.0))


def test_solutions_in_several_threads_are_the_same() -> None:
    texts, labels = make_reviews(120, seed=2)
    words = {word: number for number, word in enumerate(dict.fromkeys(" ".join(texts).split()), 2)}
    codes = torch.tensor([int(label == "good") for label in labels])
    data = RaggedDataset(
        [[words[word] for word in text.split()] for text in texts], codes, others=[RaggedDataset([[2]] * len(texts))]
    )

    def solution(_: int) -> torch.Tensor:
        model = build_model(NAME, [len(words) + 2, 3], 2, resolve_options(NAME, SMALL[NAME]))
        linear.solve(model, data, make_objective("softmax", False, 0.0))  # type: ignore[arg-type]
        return model.bags[0][1].weight.detach()  # type: ignore[union-attr, index]

    with ThreadPoolExecutor(3) as executor:
        first, *others = executor.map(solution, range(12))
    assert all(torch.equal(first, other) for other in others)


def test_validation_data_of_the_users_own_is_never_learnt(make_classifier: Make) -> None:
    texts, labels = make_reviews(60, seed=5)
    others = ["独一 无二" for _ in range(3)] + ["另外 一种"] * 3, ["good"] * 3 + ["bad"] * 3
    clf = make_classifier(NAME, random_state=0).fit(texts, labels, validation_data=others)
    alone = make_classifier(NAME, random_state=0, validation_fraction=0.0).fit(texts, labels)
    for one, two in zip(clf.model_.linear_parameters(), alone.model_.linear_parameters(), strict=True):
        assert torch.equal(one, two)


def test_weights_of_texts_hold_for_the_held_out_ones_that_are_learnt(make_classifier: Make) -> None:
    """A text of weight 0 is as good as absent, in whatever part it was."""
    texts, labels = make_reviews(80, seed=5)
    weights = [1.0] * 80
    texts += ["奇怪 的 词"] * 4
    labels += ["good"] * 4
    clf = make_classifier(NAME, random_state=0).fit(texts, labels, sample_weight=[*weights, 0.0, 0.0, 0.0, 0.0])
    word = clf.vocabulary_.id("奇怪")
    assert word == 1  # not even known
    balanced = make_classifier(NAME, class_weight={"good": 5.0}).fit(texts, labels)
    assert balanced.predict_proba([""])[0][list(balanced.classes_).index("good")] > 0.5
