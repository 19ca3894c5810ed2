"""Tags of every scheme in, tags of the same scheme out; spans and scores by arrays as by plain Python and seqeval."""

from __future__ import annotations

import itertools
import random
import warnings
from typing import Any

import numpy as np
import pytest
from tagged_samples import make_sentences, make_tagger

from textnn.layers import allowed_transitions
from textnn.tagging import SCHEMES, Span, score_spans, spans_of, tags_of
from textnn.tagging.evaluation import compare
from textnn.tagging.objective import count_spans
from textnn.tagging.schemes import illegal_places
from textnn.tagging.tags import MOST_TAGS, TagSet

KINDS = ("LOC", "PER", "X")


def random_spans(source: random.Random, length: int, everywhere: bool = False, kinds: Any = KINDS) -> list[Span]:
    """Return spans that do not overlap; some touch, and ``everywhere`` all do."""
    spans, place = [], 0
    while place < length:
        end = min(length, place + source.randint(1, 4))
        if everywhere or source.random() < 0.6:
            spans.append(Span(place, end, source.choice(kinds)))
        place = end
    return spans


@pytest.mark.parametrize("separator", ["-", "_"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_come_back_from_their_numbers(scheme: str, separator: str) -> None:
    source = random.Random(0)
    corpus = [tags_of(12, random_spans(source, 12), scheme) for _ in range(50)]
    corpus = [[tag.replace("-", separator) for tag in tags] for tags in corpus]
    tags = TagSet.of(corpus)
    assert tags.scheme == scheme
    for those in corpus:
        assert tags.decode(tags.encode(those)) == those
    assert tags.types == sorted(KINDS)
    again = TagSet(tags.names, tags.scheme)
    assert again.decode(tags.encode(corpus[0])) == corpus[0], "as a saved model has it"


def test_tags_that_mark_no_spans_are_themselves() -> None:
    tags = TagSet.of([["VB", "NN"], ["X"]])
    assert (tags.names, tags.scheme, tags.inner, tags.types) == (["NN", "VB", "X"], None, None, [])
    assert tags.decode(tags.encode(["X", "NN"])) == ["X", "NN"]
    assert TagSet.of([["B-PER", "I-PER"]], None).names == ["B-PER", "I-PER"]


def test_words_have_no_outside_and_no_types() -> None:
    tags = TagSet.of([["B", "M", "E", "S"], ["S"]])
    assert (tags.names, tags.types, tags.is_segmentation) == (["B", "M", "E", "S"], [""], True)
    assert not TagSet.of([["B", "M", "E", "O"]]).is_segmentation
    assert TagSet.of([["B", "I", "B"]]).is_segmentation, "words in BIO"


@pytest.mark.parametrize(
    ("scheme", "given", "read"),
    [
        ("BIO", "I-X O I-X I-Y", "B-X O B-X B-Y"),
        ("BIOES", "B-X B-X I-X O E-X", "S-X B-X E-X O S-X"),
        ("BMES", "M-X M-X O B-X", "B-X E-X O S-X"),
        ("BILOU", "L-X U-X I-X", "U-X U-X U-X"),
        ("IOB1", "B-X I-X O B-X", "I-X I-X O I-X"),
    ],
)
def test_illegal_sequences_keep_their_spans(scheme: str, given: str, read: str) -> None:
    tags = TagSet.of([given.split(), read.split()], scheme)
    assert tags.decode(tags.encode(given.split())) == read.split()
    assert spans_of(given.split(), scheme) == spans_of(read.split(), scheme)


def test_a_fit_warns_of_illegal_sequences_and_loses_none() -> None:
    X, y = [["a", "b", "c"]] * 6, [["I-X", "O", "I-X"]] * 5 + [["B-X", "O", "B-X"]]
    with pytest.warns(UserWarning, match=r"y: 10 tags are not allowed where they stand by BIO, such as 'I-X' at the"):
        tagger = make_tagger(scheme="BIO", epochs=20, validation_fraction=0.0).fit(X, y)
    assert tagger.predict(X[:1]) == [["B-X", "O", "B-X"]]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_tagger_answers_in_the_scheme_that_it_was_given(scheme: str) -> None:
    X, y = make_sentences(80, scheme)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tagger = make_tagger(epochs=8, ngram_buckets=2048).fit(X, y)
    assert tagger.scheme_ == scheme
    predicted = tagger.predict(X)
    letters = {tag[0] for tags in predicted for tag in tags}
    assert letters <= ({"O", "P", "L"} if scheme == "IO" else set(scheme.replace("IOB1", "IOB")) | {"O"})
    assert not any(illegal_places(tags, scheme) for tags in predicted)
    assert tagger.evaluate(X, y).spans.overall.f1 > 0.9


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("scheme", ["BIO", "BMES"])
def test_spans_of_arrays_are_those_of_lists(scheme: str, everywhere: bool) -> None:
    source = random.Random(1)
    for _ in range(30):
        lengths = [source.randint(1, 9) for _ in range(4)]
        corpus = [tags_of(length, random_spans(source, length, everywhere), scheme) for length in lengths]
        tags = TagSet.of([*corpus, [f"B-{kind}" for kind in KINDS]], scheme)
        numbers = [tags.encode(those) for those in corpus]
        for those, found in zip(corpus, numbers, strict=True):
            assert tags.named(tags.spans(np.array(found))) == spans_of(those, scheme)
        # Of a flat batch: no span reaches from one sentence into the next.
        starts = np.cumsum([0, *lengths])
        flat = tags.spans(np.concatenate(numbers))
        expected = [
            Span(start + span.start, start + span.end, span.type)
            for start, those in zip(starts.tolist(), corpus, strict=False)
            for span in spans_of(those, scheme)
        ]
        assert tags.named(flat) == expected


@pytest.mark.parametrize("kinds", [KINDS, ("",)])
def test_spans_are_counted_as_they_are_scored(kinds: tuple[str, ...]) -> None:
    source = random.Random(2)
    scheme = "BIO"
    for _ in range(50):
        lengths = [source.randint(1, 8) for _ in range(3)]
        true, found = (
            [tags_of(length, random_spans(source, length, kinds=kinds), scheme) for length in lengths] for _ in range(2)
        )
        all_tags = [[f"B-{kind}" if kind else "B" for kind in kinds], ["O"]]
        tags = TagSet.of([*true, *found, *all_tags], scheme)
        flat = [np.array([number for those in each for number in tags.encode(those)]) for each in (true, found)]
        scores = score_spans(*([spans_of(those, scheme) for those in each] for each in (true, found))).overall
        assert count_spans(tags, *flat) == (2 * scores.correct, scores.true + scores.predicted)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_reports_are_those_of_seqeval(scheme: str, strict: bool) -> None:
    metrics = pytest.importorskip("seqeval.metrics")
    schemes = pytest.importorskip("seqeval.scheme")
    source = random.Random(3)
    letters = "BI" if scheme == "BIO" else "BIES"
    names = ["O", *(f"{letter}-{kind}" for letter in letters for kind in KINDS)]
    # seqeval's strict mode reads predictions strictly, too, and those of a tagger are always spelt in full.
    true = [source.choices(names, k=8) for _ in range(200)]
    found = [tags_of(8, random_spans(source, 8), scheme) for _ in range(200)]
    options: dict[str, Any] = {"zero_division": 0}
    if strict:
        options |= {"mode": "strict", "scheme": {"BIO": schemes.IOB2, "BIOES": schemes.IOBES}[scheme]}
    report = compare(true, found, scheme, strict)
    expected = metrics.classification_report(true, found, output_dict=True, **options)
    for kind in KINDS:
        score = report.spans.types[kind]
        assert (score.precision, score.recall, score.f1, score.true) == pytest.approx(
            tuple(expected[kind][name] for name in ("precision", "recall", "f1-score", "support"))
        )
    assert report.score == pytest.approx(expected["micro avg"]["f1-score"])
    assert report.accuracy == metrics.accuracy_score(true, found)
    assert (report.sentences, report.tokens) == (200, 1600)


def test_the_transitions_of_a_network_are_those_of_its_scheme() -> None:
    tagger = make_tagger().fit(*make_sentences(30, "IOB1"))
    allowed = allowed_transitions(tagger.tags_, "BIOES")
    start, end, transitions = (scores.isfinite() for scores in tagger.state_.model.crf.scores())
    assert start.equal(allowed.start)
    assert end.equal(allowed.end)
    assert transitions.equal(allowed.transitions)


def test_too_many_tags_are_refused_before_there_is_any_work() -> None:
    X = [[f"t{number}"] for number in range(MOST_TAGS + 1)]
    with pytest.raises(ValueError, match=r"y: expected at most 4,096 tags to tell apart, got 4,097: 't0', 't1'"):
        make_tagger().fit(X, X)
    with pytest.raises(ValueError, match=r"got 5,001: 'O', 'B-0', 'I-0'"):
        TagSet.of([[f"B-{number}"] for number in range(1250)] + [["O"]])


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["B-X", "L-X", "E-Y"], "tags such as 'B-X', 'E-Y', 'L-X' look like those of spans, but all of them"),
        (["b-per", "i-per", "o"], "tags such as 'b-per', 'i-per' look like those of spans"),
    ],
)
def test_tags_of_no_scheme_are_told_of(tags: list[str], message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        make_tagger(epochs=1).fit([["a", "b", "c"]] * 3, [tags] * 3)


def test_sentences_and_tags_that_changed_places_are_told_of() -> None:
    X, y = [[f"w{number}", "."] for number in range(150)], [["NN", "PUNCT"]] * 150
    with pytest.warns(UserWarning, match=r"more different tags \(151\) than tokens; did X and y change places"):
        make_tagger(epochs=1, ngram_buckets=2).fit(y, X)


def test_every_pair_of_tags_that_a_scheme_allows_can_be_learnt() -> None:
    """Spans of any two types may touch, at the beginning and at the end of a sentence as well."""
    pairs = list(itertools.product(KINDS, repeat=2))
    X = [[f"{a}1", f"{a}2", f"{b}"] for a, b in pairs] * 4
    y = [tags_of(3, [Span(0, 2, a), Span(2, 3, b)], "BIO") for a, b in pairs] * 4
    tagger = make_tagger(epochs=30, ngram_buckets=4096, min_count=1, validation_fraction=0.0).fit(X, y)
    assert tagger.predict(X) == y
