"""What users hand over by mistake gets an error that names it; what is odd but makes sense is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tagged_samples import make_characters, make_sentences, make_tagger, make_words

from textnn import SequenceTagger
from textnn.tagging import fitting, prediction

X, Y = make_sentences(12)


class Table:
    """Like a data frame: iterating over it gives the names of its columns."""

    columns = ("tokens", "tags")

    def __iter__(self) -> Any:
        return iter(self.columns)


WRONG: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "a string": ("Ann ran", Y, TypeError, "X: expected a list of sentences, each a list of tokens, got one string"),
    "None": (None, Y, TypeError, "X: expected a list of sentences, .* got NoneType"),
    "a number": (3, Y, TypeError, "X: expected a list of sentences, .* got int"),
    "an array of no dimension": (np.array("a"), Y, TypeError, "X: expected a list of sentences, .* got ndarray"),
    "a set": ({("a", "b")}, [["O", "O"]], TypeError, "X: expected a list of sentences, .* got set"),
    "a dict": ({"ab": 1}, [["O", "O"]], TypeError, "X: expected a list of sentences, .* got dict"),
    "a table": (Table(), [["O"] * 6, ["O"] * 4], TypeError, "X: expected a list of sentences, .* got Table"),
    "a sentence that is a set": ([{"a", "b"}], [["O", "O"]], TypeError, r"X\[0\]: expected a list of tokens, got set"),
    "a sentence that is bytes": ([b"ab"], [["O", "O"]], TypeError, r"X\[0\]: expected a list of tokens, got bytes"),
    "a sentence that is None": ([None], [["O"]], TypeError, r"X\[0\]: expected a list of tokens, got NoneType"),
    "a missing value": ([float("nan")], [["O"]], TypeError, r"X\[0\]: expected a list of tokens, got float"),
    "a token that is bytes": ([[b"a"]], [["O"]], TypeError, r"X\[0\]\[0\]: expected a string, got bytes b'a'"),
    "a token that is None": ([["a", None]], [["O", "O"]], TypeError, r"X\[0\]\[1\]: expected a string, got NoneType"),
    "an empty token": ([["a", ""]], [["O", "O"]], ValueError, r"X\[0\]\[1\]: expected a token, got an empty string"),
    "an empty tag": ([["a", "b"]], [["O", ""]], ValueError, r"y\[0\]\[1\]: expected a tag, got an empty string"),
    "tags that are numbers": ([["a"]], [[1]], TypeError, r"y\[0\]\[0\]: expected a string, got int 1"),
    "tags that are a string": (["ab"], ["BE"], TypeError, r"y\[0\]: expected a list of tags, got the string 'BE'"),
    "a tag a sentence": ([["a", "b"]], ["O"], TypeError, r"y\[0\]: expected a list of tags, got the string 'O'"),
    "tags that lack": ([["a", "b"]], [["O"]], ValueError, r"y\[0\]: expected a tag for each of 2 tokens, got 1 tags"),
    "a sentence that lacks": ([["a"]], [["O"], ["O"]], ValueError, "y: expected the tags of 1 sentences .* got 2"),
    "no tags": (X, None, TypeError, "y: expected a list of sentences, each a list of tags, got NoneType"),
    "no sentences": ([], [], ValueError, "X: expected at least one sentence, got none"),
    "empty sentences": ([[], ""], [[], []], ValueError, "X: expected at least one sentence, got none"),
    "a tag of no scheme": ([["a"]], [["NN"]], ValueError, r"y\[0\]: tags\[0\]: expected O or a tag that begins"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_sentence_is_named(case: str) -> None:
    sentences, tags, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        make_tagger(scheme="BIO").fit(sentences, tags)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("我 来到", TypeError, "X: expected a list of sentences, each a list of tokens, got one string"),
        (None, TypeError, "X: expected a list of sentences, each a list of tokens, got NoneType"),
        (["", "  "], ValueError, "X: expected at least one sentence, got none"),
        ([["我", ""]], ValueError, r"X\[0\]\[1\]: expected a token, got an empty string"),
        ([["我", 3]], TypeError, r"X\[0\]\[1\]: expected a string, got int 3"),
    ],
)
def test_what_are_no_words_is_named(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_tagger().fit_words(data)


@pytest.mark.parametrize("fit", ["fit", "fit_words"])
@pytest.mark.parametrize(
    ("held_out", "error", "message"),
    [
        (3, TypeError, "validation_data: expected a pair, sentences and their tags, got int"),
        ((X,), TypeError, "validation_data: expected a pair, sentences and their tags, got tuple of 1"),
        (([], []), ValueError, "validation_data: expected at least one sentence, got none"),
        (
            ([["a"]], [["NN", "O"]]),
            ValueError,
            r"validation_data\[1\]\[0\]: expected a tag for each of 1 tokens, got 2",
        ),
    ],
)
def test_what_is_no_validation_data_is_named(fit: str, held_out: Any, error: type[Exception], message: str) -> None:
    data = (X, Y) if fit == "fit" else (make_words(4), None)
    with pytest.raises(error, match=message):
        getattr(make_tagger(), fit)(*data, held_out)


@pytest.mark.parametrize("tag", ["B-NEW", "NN"])
def test_tags_of_the_validation_data_must_be_known(tag: str) -> None:
    with pytest.raises(ValueError, match=rf"validation_data\[1\]\[1\]: .*{tag}"):
        make_tagger().fit(X, Y, ([["a"], ["b"]], [["O"], [tag]]))


def test_what_would_take_too_much_memory_is_refused_before_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = make_sentences(40)
    K = len(make_tagger(epochs=1).fit(X, y).tags_)
    longest = max(map(len, X))
    monkeypatch.setattr(fitting, "MOST_SCORES", 3 * longest * K)
    with pytest.raises(ValueError, match=rf"batch_size: expected batches of at most {3 * longest} tokens with {K}"):
        make_tagger(epochs=1, batch_size=8).fit(X, y)
    tagger = make_tagger(epochs=1, batch_size=2).fit(X, y)
    monkeypatch.setattr(prediction, "MOST_SCORES", 10 * K)
    message = rf"X: expected sentences of at most 10 tokens with {K} tags, got one of 11"
    for ask in (tagger.predict, tagger.predict_marginals):
        assert len(ask([["Ann"] * 10])[0]) == 10
        with pytest.raises(ValueError, match=message):
            ask([["Ann"], ["Ann"] * 11])
    with pytest.raises(ValueError, match=message):
        make_tagger(epochs=1).fit([*X, ["Ann"] * 11], [*y, ["B-PER"] * 11])


def test_many_tags_make_fewer_rows_at_once() -> None:
    assert prediction.rows_at_once(1 << 14, 35) == 1 << 14
    assert prediction.rows_at_once(1 << 14, 1 << 12) * (1 << 12) == 1 << 24


PARAMETERS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "an architecture": ({"architecture": "bilsm-crf"}, ValueError, "architecture: .* did you mean 'bilstm-crf'"),
    "a level": ({"level": "subword"}, ValueError, "level: expected one of 'auto', 'char', 'word', got 'subword'"),
    "a scheme": ({"scheme": "BOI"}, ValueError, "scheme: expected 'auto', None or one of BIO, IOB1, .* got 'BOI'"),
    "a scheme that is a number": ({"scheme": 3}, TypeError, "scheme: expected a string or None, got int"),
    "n-grams in one row": ({"ngram_buckets": 1}, ValueError, "ngram_buckets: expected 0, or at least 2"),
    "nothing but no n-grams": (
        {"architecture": "ngram-crf", "ngram_buckets": 0},
        ValueError,
        "ngram_buckets: expected at least 2, as it has nothing but n-grams, of the architecture 'ngram-crf', got 0",
    ),
    "an option of networks": (
        {"architecture": "ngram-crf", "hidden_size": 3},
        ValueError,
        "hidden_size: the architecture 'ngram-crf' has no such option",
    ),
    "pairs of words": ({"bigram_dim": 3}, ValueError, "bigram_dim: the architecture 'cnn-crf of words' has no such"),
    "dropout of everything": ({"dropout": 2}, ValueError, "dropout: expected a number from 0 and below 1, got 2"),
    "all held out": ({"validation_fraction": 1}, ValueError, "validation_fraction: expected a number from 0 and below"),
    "a seed": ({"random_state": "x"}, TypeError, "random_state: expected an integer, a RandomState or None, got str"),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_a_parameter_that_makes_no_sense_is_named(case: str) -> None:
    parameters, error, message = PARAMETERS[case]
    with pytest.raises(error, match=message):
        make_tagger("cnn-crf").set_params(**({"hidden_size": None, "embedding_dim": None} | parameters)).fit(X, Y)


ODD: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "control characters": ([["a\0b", "\0", "\t", "\u200b", "\x1b[2J"]] * 5, [["B-X", "O", "O", "I-X", "O"]] * 5, {}),
    "a token of 100,000 characters": ([["x" * 100_000, "b"]] * 5, [["B-X", "O"]] * 5, {}),
    "one token": ([["a"]], [["B-X"]], {}),
    "one tag": ([["a", "b"]] * 5, [["O", "O"]] * 5, {}),
    "one tag, in a scheme": ([["a", "b"]] * 5, [["O", "O"]] * 5, {"scheme": "BIO"}),
    "one tag that is no O": ([["a", "b"]] * 5, [["NN", "NN"]] * 5, {}),
    "every token rare": ([[f"w{number}"] for number in range(9)], [["B-X"]] * 9, {"min_count": 1000}),
    "every character rare": (["abc"] * 9, [["B-X", "O", "O"]] * 9, {"min_count": 1000}),
    "surrogates": (["\ud800a\udfff"] * 5, [["B-\ud800", "O", "O"]] * 5, {}),
    "names of rows": ([["[PAD]", "[UNK]", "[pad]"]] * 5, [["B-X", "O", "O"]] * 5, {}),
    "tokens as characters that are more": ([["a", "bc", "d"]] * 5, [["B-X", "O", "O"]] * 5, {"level": "char"}),
    "the same with other tags": ([["a", "b"]] * 6, [["B-X", "O"], ["O", "O"]] * 3, {}),
    "nearly all held out": (X, Y, {"validation_fraction": 0.99}),
    "no n-grams": (X, Y, {"ngram_buckets": 0}),
    "two rows of n-grams": (X, Y, {"ngram_buckets": 2}),
    "empty sentences": ([[], ["a"], "", ["b"]], [[], ["B-X"], [], ["O"]], {}),
    "white space as tokens": ([[" ", "\u3000", "\n"]] * 5, [["B-X", "O", "O"]] * 5, {}),
}


@pytest.mark.parametrize("architecture", ["bigru-crf", "cnn-crf"])
@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_learnt_from_and_saved(case: str, architecture: str, tmp_path: Any) -> None:
    sentences, tags, options = ODD[case]
    tagger = make_tagger(architecture, epochs=1, **options).fit(sentences, tags)
    predicted = tagger.predict(sentences)
    assert [len(those) for those in predicted] == [len(tokens) for tokens in sentences]
    assert {tag for those in predicted for tag in those} <= {tag for those in tags for tag in those} | {
        f"I-{kind}" for kind in tagger.state_.tags.types
    } | {f"B-{kind}" for kind in tagger.state_.tags.types}
    tagger.save(tmp_path / "tagger")
    assert type(tagger).load(tmp_path / "tagger").predict(sentences) == predicted


def test_a_sentence_of_50_000_tokens_is_one_sentence() -> None:
    tagger = make_tagger("cnn-crf", epochs=1).fit(X, Y)
    assert [len(tags) for tags in tagger.predict([["Ann", "met"] * 25_000, ["Bob"]])] == [50_000, 1]
    long = make_tagger(epochs=1).fit([["Ann", "met"] * 5_000] * 2, [["B-PER", "O"] * 5_000] * 2)
    assert long.predict([["Ann", "met"] * 5_000]) == [["B-PER", "O"] * 5_000]


@pytest.mark.parametrize("kind", [str, object])
def test_strings_of_numpy_are_plain_strings_in_what_comes_back(kind: type) -> None:
    sentences, tags = np.array([["a", "b"]] * 5, dtype=kind), np.array([["NN", "VB"]] * 5, dtype=kind)
    tagger = make_tagger(epochs=1).fit(sentences, tags)
    predicted = tagger.predict(sentences)
    assert predicted == [["NN", "VB"]] * 5
    assert {type(tag) for those in predicted for tag in those} == {str}
    assert {type(name) for name in tagger.tags_} == {str}


def test_a_string_is_a_sentence_of_characters_only() -> None:
    tagger = make_tagger(epochs=1).fit(*make_characters(20))
    assert tagger.level_ == "char"
    assert tagger.predict(["王明"]) == tagger.predict([["王", "明"]])
    words = make_tagger(epochs=1).fit(X, Y)
    with pytest.raises(TypeError, match=r"X\[0\]: expected a list of tokens, got the string 'Ann ran'"):
        words.predict(["Ann ran"])


def test_unknown_tokens_and_characters_are_taken() -> None:
    tagger = make_tagger("cnn-crf", epochs=1).fit(*make_characters(20))
    assert [len(tags) for tags in tagger.predict(["xyz", "\U0010ffff", "Ａ\ud800"])] == [3, 1, 2]


def test_a_word_with_a_space_in_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"X\[1\]\[0\]: expected a word without spaces, got 'New York'"):
        make_tagger(epochs=1).fit_words([["so"], ["New York", "is"]])


@pytest.mark.parametrize(
    ("sentences", "doubt"),
    [
        (["我/r 来到/v 北京/ns"] * 20, "most words end in '/' and letters, such as '我/r'"),
        (["我们昨天一起来到了美丽的北京城"] * 20, "most sentences have no space and are learnt as one word each"),
    ],
)
def test_what_seems_to_be_no_words_is_warned_of(sentences: list[str], doubt: str) -> None:
    tagger = SequenceTagger("ngram-crf", epochs=1, validation_fraction=0.0, random_state=0, verbose=0)
    with pytest.warns(UserWarning, match=f"^X: {doubt}"):
        tagger.fit_words(sentences)


def test_sentences_without_a_token_are_counted() -> None:
    with pytest.raises(ValueError, match=r"y\[2\]: tags\[1\]: "):
        make_tagger(epochs=1, scheme="BIO").fit([[], [], ["a", "b"]], [[], [], ["O", "E-X"]])
