"""Tags to spans and back, in every scheme, and scores of spans as seqeval computes them."""

from __future__ import annotations

import itertools
import random

import pytest

from textnn.layers import allowed_transitions
from textnn.tagging import SCHEMES, Span, convert_tags, find_scheme, score_spans, spans_of, tags_of
from textnn.tagging.schemes import illegal_places

SPANS = [Span(0, 1, "PER"), Span(1, 4, "PER"), Span(5, 7, "LOC"), Span(7, 8, "PER")]
WRITTEN = {
    "BIO": "B-PER B-PER I-PER I-PER O B-LOC I-LOC B-PER O",
    "IOB1": "I-PER B-PER I-PER I-PER O I-LOC I-LOC I-PER O",
    "BIOES": "S-PER B-PER I-PER E-PER O B-LOC E-LOC S-PER O",
    "BMES": "S-PER B-PER M-PER E-PER O B-LOC E-LOC S-PER O",
    "BILOU": "U-PER B-PER I-PER L-PER O B-LOC L-LOC U-PER O",
}


@pytest.mark.parametrize("scheme", WRITTEN)
def test_each_scheme_writes_spans_and_reads_them_again(scheme):
    tags = WRITTEN[scheme].split()
    assert tags_of(9, SPANS, scheme) == tags
    assert spans_of(tags, scheme) == SPANS == spans_of(tags, scheme, strict=True)
    assert find_scheme([tags]) == scheme
    assert not illegal_places(tags, scheme)


@pytest.mark.parametrize("source", WRITTEN)
@pytest.mark.parametrize("target", WRITTEN)
def test_conversion_between_any_two(source, target):
    assert convert_tags(WRITTEN[source].split(), source, target) == WRITTEN[target].split()


@pytest.mark.parametrize("scheme", [*WRITTEN, "IO"])
def test_a_crf_allows_what_a_scheme_writes_and_no_span_that_begins_in_its_middle(scheme):
    tags = tags_of(9, SPANS, scheme)
    names = sorted(set(tags))
    allowed = allowed_transitions(names, scheme)
    for before, after in itertools.pairwise(tags):
        assert allowed.transitions[names.index(before), names.index(after)], (before, after)
    outside = names.index("O")
    inside = [j for j, name in enumerate(names) if name[0] in "ILEM" and scheme not in ("IO", "IOB1")]
    assert not allowed.transitions[outside, inside].any(), "no span begins in its middle"


def test_without_letters_neighbours_of_a_type_are_one_span():
    tags = tags_of(9, SPANS, "IO")
    assert tags == [*["PER"] * 4, "O", "LOC", "LOC", "PER", "O"]
    assert spans_of(tags, "IO") == [Span(0, 4, "PER"), *SPANS[2:]]
    assert find_scheme([tags]) == "IO"


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("B M E S", "BMES"),
        ("B E S", "BIOES"),  # nothing longer than two: BIOES and BMES are the same
        ("NN VB NN", None),
        ("n v o", None),  # a small o is a part of speech
        ("O O", None),
        ("B-X I-X O", "BIO"),
        ("I-X I-X O", "IOB1"),
        ("I-X B-X O", "IOB1"),
        ("O I-X O B-X", "BIO"),  # a B of its own would not stand in IOB1: the I is an illegal one
        ("B_X I_X", "BIO"),
    ],
)
def test_the_scheme_is_found_by_its_letters(tags, scheme):
    assert find_scheme([tags.split()]) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme", "lenient", "strict"),
    [
        ("O I-X I-X", "BIO", [(1, 3)], []),
        ("B-X I-Y", "BIO", [(0, 1), (1, 2)], [(0, 1)]),
        ("B-X O E-X", "BIOES", [(0, 1), (2, 3)], []),
        ("B-X S-X", "BIOES", [(0, 1), (1, 2)], [(1, 2)]),
        ("I-X E-X B-X", "BIOES", [(0, 2), (2, 3)], []),
        ("M E E", "BMES", [(0, 2), (2, 3)], []),
    ],
)
def test_sequences_that_their_scheme_does_not_allow(tags, scheme, lenient, strict):
    tags = tags.split()
    assert [span[:2] for span in spans_of(tags, scheme)] == lenient
    assert [span[:2] for span in spans_of(tags, scheme, strict=True)] == strict
    assert illegal_places(tags, scheme)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(0, 0, "X")], r"expected 0 <= start < end <= 3, got \(0, 0, 'X'\)"),
        ([(2, 4, "X")], r"expected 0 <= start < end <= 3, got \(2, 4, 'X'\)"),
        ([(0, 2, "X"), (1, 3, "Y")], "expected spans that do not overlap"),
    ],
)
def test_spans_that_tags_cannot_say(spans, message):
    with pytest.raises(ValueError, match=message):
        tags_of(3, [Span(*span) for span in spans], "BIO")


def test_other_tags_and_schemes_are_refused():
    with pytest.raises(ValueError, match=r"tags\[1\]: expected O or a tag that begins with B, I \(BIO\), got 'S-X'"):
        spans_of(["O", "S-X"], "BIO")
    with pytest.raises(ValueError, match=r"scheme: expected one of BIO, IOB1, .*, got 'XY'"):
        spans_of([], "XY")
    assert spans_of(["B-X"], "IOB2") == [Span(0, 1, "X")]  # another name of BIO


def test_scores_of_a_small_example():
    scores = score_spans([SPANS, []], [[SPANS[0], Span(1, 3, "PER"), SPANS[2]], [Span(0, 1, "ORG")]])
    assert (scores.overall.true, scores.overall.predicted, scores.overall.correct) == (4, 4, 2)
    assert scores.overall.precision == scores.overall.recall == scores.overall.f1 == 0.5
    assert (scores.types["LOC"].f1, scores.types["ORG"].f1) == (1, 0)
    assert (scores.types["PER"].precision, scores.types["PER"].recall) == (1 / 2, 1 / 3)
    assert scores.macro_f1 == pytest.approx((1 + 0 + 0.4) / 3)
    with pytest.raises(ValueError, match="predicted: expected 1 sentences as in true, got 2"):
        score_spans([[]], [[], []])


@pytest.mark.parametrize(  # seqeval knows BILOU in its strict mode only
    ("scheme", "strict"), [("BIO", False), ("BIOES", False), ("BIO", True), ("BIOES", True), ("BILOU", True)]
)
def test_scores_equal_those_of_seqeval(scheme, strict):
    metrics, schemes = pytest.importorskip("seqeval.metrics"), pytest.importorskip("seqeval.scheme")
    draw = random.Random(3)
    letters = {"BIO": "BI", "BIOES": "BIES", "BILOU": "BILU"}[scheme]
    tags = ["O", *(f"{letter}-{kind}" for letter in letters for kind in ("PER", "LOC", "ORG"))]
    true = [draw.choices(tags, k=draw.randint(1, 12)) for _ in range(300)]
    predicted = [[tag if draw.random() < 0.8 else draw.choice(tags) for tag in sentence] for sentence in true]
    options = {}
    if strict:
        options = {"mode": "strict", "scheme": getattr(schemes, {"BIO": "IOB2", "BIOES": "IOBES"}.get(scheme, scheme))}
    report = metrics.classification_report(true, predicted, output_dict=True, zero_division=0, **options)
    ours = score_spans(*([spans_of(tags, scheme, strict) for tags in side] for side in (true, predicted)))
    for name, score in [*ours.types.items(), ("micro avg", ours.overall)]:
        assert score.true == report[name]["support"], name
        for key, value in (("precision", score.precision), ("recall", score.recall), ("f1-score", score.f1)):
            assert value == pytest.approx(report[name][key]), (name, key)
    assert ours.macro_f1 == pytest.approx(report["macro avg"]["f1-score"])


def test_every_scheme_has_its_example():
    assert set(SCHEMES) == {*WRITTEN, "IO"}
