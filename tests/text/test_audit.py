"""textnn.data.audit: what counts as the same text, what is counted, what the messages say."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textnn.data.audit import Audit, Example, find_duplicates


def counts(audit: Audit) -> tuple[int, int, int]:
    return audit.repeated.count, audit.leaked.count, audit.conflicting.count


def test_nothing_is_found_where_nothing_is():
    audit = find_duplicates(["好", "差"], ["pos", "neg"], ["不错"], ["pos"])
    assert (audit.training, audit.held_out) == (2, 1)
    assert counts(audit) == (0, 0, 0)
    assert audit.messages() == []


def test_each_copy_after_the_first_counts():
    audit = find_duplicates(["好", "差", "好", "好", "差"], ["pos", "neg", "pos", "pos", "neg"])
    assert counts(audit) == (3, 0, 0)
    assert audit.repeated.examples[0] == Example("好", ("pos",))
    assert audit.messages() == []


def test_each_occurrence_in_the_held_out_part_counts_if_the_text_was_trained_on():
    audit = find_duplicates(["好", "差"], [1, 0], ["好", "好", "新", "新"], [1, 1, 0, 0])
    assert counts(audit) == (0, 2, 0)
    assert audit.messages() == [
        "validation: 2 of 4 texts are in the training texts too; the accuracy there is too good"
    ]
    assert audit.messages("test")[0].startswith("test: 2 of 4 texts")


def test_a_text_with_several_labels_counts_once_wherever_they_are():
    within = find_duplicates(["好", "好", "好"], ["pos", "neg", "other"])
    assert counts(within) == (2, 0, 1)
    assert within.messages()[0] == "labels: 1 text occurs with different labels, such as '好' with 'pos' and 'neg'"
    across = find_duplicates(["好"], ["pos"], ["好", "新", "新"], ["neg", "neg", "pos"])
    assert counts(across) == (0, 1, 2)
    assert across.conflicting.examples == (Example("好", ("pos", "neg")), Example("新", ("neg", "pos")))
    assert "2 texts occur" in across.messages()[1]


@pytest.mark.parametrize("other", ["好 吃", " 好  吃\n", "好\t吃", "好\u3000吃", "好\r\n吃"])
def test_white_space_makes_no_other_text(other):
    assert counts(find_duplicates(["好 吃", other], [1, 1])) == (1, 0, 0)


@pytest.mark.parametrize("other", ["好吃", "好 吃。", "好 喫", "", "好 吃\ud800"])
def test_anything_else_does(other):
    assert counts(find_duplicates(["好 吃", other], [1, 1])) == (0, 0, 0)


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        (1, 1, False),
        (1, True, True),
        (1, 1.0, True),
        (1, "1", True),
        (("a", "b"), ("a", "b"), False),
        (("a", "b"), ("a",), True),
        ((), ("a",), True),
        ((1, "a"), (True, "a"), True),
        (("a", ("b",)), ("a", ("b",)), False),
    ],
)
def test_labels_are_the_same_if_equal_and_of_one_type(one, other, conflict):
    assert find_duplicates(["好", "好"], [one, other]).conflicting.count == conflict


def test_a_few_examples_are_kept_and_the_first_is_cut_in_the_message():
    texts = [f"第 {number} 条\n" + "长" * 100 for number in range(10)]
    audit = find_duplicates(texts * 2, [0] * 20, examples=4)
    assert [example.text for example in audit.repeated.examples] == texts[:4]
    (message,) = find_duplicates(texts, [0] * 10, texts, [0] * 9 + [1]).messages()[1:]
    assert "such as '第 9 条 " + "长" * 23 + "…'" in message
    assert "\n" not in message


def test_only_digests_are_kept():
    texts = [f"{number} " + "长" * 5_000 for number in range(400)]
    tracemalloc.start()
    audit = find_duplicates(texts, [0] * 400, texts, [0] * 400)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert audit.leaked.count == 400
    assert peak < 500_000  # the texts take 4 MB


few = st.lists(
    st.tuples(st.sampled_from("甲乙丙丁戊"), st.sampled_from([" ", "", "\n"]), st.integers(0, 1)), max_size=12
)


@given(few, few)
def test_the_counts_are_those_of_the_plain_definition(training, held_out):
    def parts(rows):
        return [text + space for text, space, _ in rows], [label for *_, label in rows]

    audit = find_duplicates(*parts(training), *parts(held_out))
    trained_on = Counter(text for text, *_ in training)
    labels = {(text, label) for text, _, label in training + held_out}
    assert audit.repeated.count == sum(count - 1 for count in trained_on.values())
    assert audit.leaked.count == sum(text in trained_on for text, *_ in held_out)
    assert audit.conflicting.count == sum(count > 1 for count in Counter(text for text, _ in labels).values())
    assert len(audit.messages()) == sum(count > 0 for count in counts(audit)[1:])


def test_large_corpora_take_linear_time():
    generator = random.Random(0)
    texts = [str(generator.randrange(50_000)) for _ in range(100_000)]
    audit = find_duplicates(texts, [0] * len(texts))  # minutes if it were quadratic
    assert audit.repeated.count == len(texts) - len(set(texts))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("好", [1]), TypeError, "training_texts: expected a list of strings, got one string"),
        ((["好", None], [1, 1]), TypeError, r"training_texts\[1\]: expected a string, got NoneType"),
        ((["好"], [1, 2]), ValueError, "training_labels: expected one for each of 1 texts, got 2"),
        ((["好"], [["a"]]), TypeError, r"training_labels\[0\]: expected one hashable label"),
        ((["好"], [1], ["差"]), ValueError, "held_out_labels: expected them beside held_out_texts, got None"),
        ((["好"], [1], None, [1]), ValueError, "held_out_texts: expected them beside held_out_labels, got None"),
        (
            (["好"], [1], ["差"], [None]),
            ValueError,
            r"held_out_labels\[0\]: expected a label, got a missing value, None",
        ),
        ((["好"], [1], ["差"], [1], 0), ValueError, "examples: expected at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(arguments, kind, message):
    with pytest.raises(kind, match=message):
        find_duplicates(*arguments)
