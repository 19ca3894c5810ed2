"""Which texts are held out: the same texts go to one side, classes keep their shares, users hear of duplicates."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import make_reviews

from textnn.data.splitting import split, stratified_split, text_keys


def test_texts_that_differ_in_white_space_at_most_have_one_key() -> None:
    keys = text_keys(["很 好", " 很\n 好\t", "很好", "", "  ", "很 好\u3000"])
    assert keys.dtype == np.int64
    assert keys[0] == keys[1] == keys[5]
    assert keys[3] == keys[4]
    assert len(set(keys.tolist())) == 3
    assert text_keys([]).shape == (0,)


def test_without_duplicates_it_is_the_stratified_split() -> None:
    codes = np.random.RandomState(0).randint(0, 3, 200)
    training, held_out = split(codes, np.random.RandomState(1).permutation(200), 0.15, seed=4)
    expected = stratified_split(codes.tolist(), 0.15, 4)
    assert held_out.tolist() == expected[1]
    assert training.tolist() == sorted(expected[0])


@settings(max_examples=100)
@given(st.data())
def test_a_text_is_on_one_side_only(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 60))
    keys = np.array(data.draw(st.lists(st.integers(0, 20), min_size=rows, max_size=rows)), dtype=np.int64)
    if data.draw(st.booleans()):
        codes = np.array(data.draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows)), dtype=np.int64)
    else:
        codes = np.random.RandomState(rows).randint(0, 2, (rows, 3)).astype(np.float32)
    training, held_out = split(codes, keys, data.draw(st.sampled_from([0.0, 0.1, 0.5])), seed=rows)
    assert sorted([*training, *held_out]) == list(range(rows))
    assert not set(keys[training].tolist()) & set(keys[held_out].tolist())


def test_classes_keep_their_shares_of_different_texts() -> None:
    """A class whose texts were repeated to balance it is held out as if they had not been."""
    keys = np.concatenate([np.arange(900), np.repeat(np.arange(900, 1000), 9)])
    codes = (keys >= 900).astype(np.int64)
    training, held_out = split(codes, keys, 0.1, seed=0)
    assert (codes[held_out] == 0).sum() == 90
    assert (codes[held_out] == 1).sum() == 10 * 9
    assert (codes[training] == 1).sum() == 90 * 9


# what users hear


def test_users_hear_of_duplicates_once(make_classifier: Any) -> None:
    texts, labels = zip(*dict(zip(*make_reviews(120), strict=True)).items(), strict=True)
    mixed = [*texts, texts[0], texts[0], " " + texts[1], texts[2]], [*labels, labels[0], labels[0], labels[1], "third"]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        make_classifier().fit(*mixed, validation_data=([texts[3], "全新"], [labels[3], "good"]))
    messages = [str(warning.message) for warning in seen]
    assert messages == [
        "labels of fewer than 5 texts, where 'bad' has 65: 'third' (1); are they mistyped?",
        "validation: 1 of 2 texts is in the training texts too; the accuracy there is too good",
        f"labels: 1 text occurs with different labels, such as {texts[2]!r} with {labels[2]!r} and 'third'",
    ]
    assert {warning.filename for warning in seen} == {__file__}


def test_no_leak_arises_by_itself(make_classifier: Any) -> None:
    texts, labels = make_reviews(120)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for seed in range(5):
            classifier = make_classifier(random_state=seed, epochs=1).fit(texts * 2, labels * 2)
            assert classifier.validation_report_.texts > 20
    assert [str(warning.message) for warning in seen] == []


def test_users_hear_of_other_sets_of_labels_but_not_of_another_order(make_classifier: Any) -> None:
    texts = [f"text {number}" for number in range(40)]
    labels = [["a", "b"] if number % 2 else ["a"] for number in range(40)]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        make_classifier().fit([*texts, "text 1"], [*labels, ["b", "a"]])
        make_classifier().fit([*texts, "text 1"], [*labels, ["b"]])
    assert [str(warning.message).partition(":")[0] for warning in seen] == ["labels"]
    assert str(seen[0].message).endswith("such as 'text 1' with ('a', 'b') and ('b',)")


def test_texts_without_duplicates_give_no_warning(make_classifier: Any) -> None:
    texts, labels = zip(*dict(zip(*make_reviews(120), strict=True)).items(), strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_classifier().fit(texts, labels)
