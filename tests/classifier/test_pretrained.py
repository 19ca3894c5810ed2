"""``vectors=``: which weights begin with those of a file, how they are scaled, and what a wrong file says."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import FILLERS, SMALL
from sklearn.base import clone

from textnn import SentimentClassifier
from textnn.models import ARCHITECTURES
from textnn.training.checkpoint import Checkpoint

KNOWN = ["喜欢", "失望", *FILLERS[:4]]
VECTORS = {word: np.random.default_rng(row).standard_normal(8) for row, word in enumerate(KNOWN)}
STILL = {"learning_rate": 1e-12, "epochs": 1}  # the first weights are the last ones


def write(path: Path, vectors: dict[str, Any]) -> Path:
    lines = [f"{word} {' '.join(map(repr, map(float, values)))}\n" for word, values in vectors.items()]
    path.write_text(f"{len(lines)} {len(next(iter(vectors.values())))}\n{''.join(lines)}", encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "words.vec", {**VECTORS, "没有 这个 词": np.ones(8)})


def directions(table: torch.Tensor) -> torch.Tensor:
    return table / table.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_the_words_of_the_file_begin_with_its_directions_the_others_as_without_it(
    name: str, make_classifier: Any, reviews: Any, file: Path
) -> None:
    fresh = make_classifier(name, **STILL).fit(*reviews)
    classifier = make_classifier(name, vectors=file, **STILL).fit(*reviews)
    tables, before = classifier.model_.word_tables(), fresh.model_.word_tables()
    assert len(tables) == len(before) == classifier.options_["ensemble"]
    rows = [classifier.vocabulary_.id(word) for word in KNOWN]
    others = [row for row in range(len(classifier.vocabulary_)) if row not in rows]
    expected = torch.tensor(np.array([VECTORS[word] for word in KNOWN]), dtype=torch.float32)
    for table, old in zip(tables, before, strict=True):
        torch.testing.assert_close(directions(table[rows]), directions(expected))
        torch.testing.assert_close(table[rows].norm(dim=1), old[rows].norm(dim=1).mean().expand(len(rows)))
        assert torch.equal(table[others], old[others])


def test_a_training_goes_on_from_them(make_classifier: Any, reviews: Any, file: Path) -> None:
    classifier = make_classifier(vectors=file, epochs=10).fit(*reviews)
    still = make_classifier(vectors=file, **STILL).fit(*reviews)
    row = classifier.vocabulary_.id("喜欢")
    moved, begun = classifier.model_.word_tables()[0][row], still.model_.word_tables()[0][row]
    assert 0.5 < torch.cosine_similarity(moved, begun, dim=0) < 0.999999
    assert classifier.score(*reviews) > 0.9


def test_a_vector_of_zeros_is_left_aside(make_classifier: Any, reviews: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "words.vec", {**VECTORS, "喜欢": np.zeros(8)})
    classifier, fresh = (make_classifier(vectors=path, **STILL).fit(*reviews) for path in (file, None))
    row = classifier.vocabulary_.id("喜欢")
    assert torch.equal(classifier.model_.word_tables()[0][row], fresh.model_.word_tables()[0][row])


def test_the_network_takes_their_number_of_values(reviews: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "words.vec", {"喜欢": [1.0, 2.0, 3.0], **dict.fromkeys(FILLERS, [0.5] * 3)})
    options: dict[str, Any] = {**SMALL["wide-textcnn"], "tokenizer": "whitespace", "epochs": 1, "verbose": 0}
    assert (
        SentimentClassifier(vectors=file, **{**options, "embedding_dim": None}).fit(*reviews).options_["embedding_dim"]
        == 3
    )
    with pytest.raises(ValueError, match=r"embedding_dim: expected 3 as in .*words\.vec, or none, got 8"):
        SentimentClassifier(vectors=file, **options).fit(*reviews)


def test_what_was_found_is_told(make_classifier: Any, reviews: Any, file: Path, capsys: Any) -> None:
    classifier = make_classifier(vectors=str(file), verbose=1, epochs=1).fit(*reviews)
    words = len(classifier.vocabulary_) - 2
    expected = f"vectors of 6 of {words} words of the vocabulary ({6 / words:.0%}), 8 values each\n"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("vectors", "error", "message"),
    [
        ("none.vec", ValueError, "vectors: none.vec: cannot be read: No such file or directory"),
        (".", ValueError, "vectors: .: expected a regular file, got a directory"),
        (
            __file__,
            ValueError,
            f"vectors: {__file__}, line 1: expected a word and its values, or a header of count and "
            "dim, got no values (dim 0)",
        ),
        ({"好": [1.0]}, TypeError, "vectors: expected the path of a file, got dict"),
    ],
)
def test_what_is_no_file_is_refused_before_any_work(
    vectors: Any, error: type[Exception], message: str, make_classifier: Any, reviews: Any
) -> None:
    def tokenizer(text: str) -> list[str]:
        raise AssertionError("it should not come to that")

    with pytest.raises(error) as raised:
        make_classifier(vectors=vectors, tokenizer=tokenizer).fit(*reviews)
    assert str(raised.value) == message


def test_a_damaged_file_is_named_with_its_line(make_classifier: Any, reviews: Any, tmp_path: Path) -> None:
    (tmp_path / "words.vec").write_text("喜欢 1 2\n失望 1\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"vectors: .*words\.vec, line 2: expected a word and 2 values, got '失望' and 1"
    ):
        make_classifier(vectors=tmp_path / "words.vec", embedding_dim=None).fit(*reviews)


def test_a_file_without_the_words_is_an_error_one_with_few_a_warning(
    make_classifier: Any, reviews: Any, tmp_path: Path
) -> None:
    file = write(tmp_path / "words.vec", {"good": np.ones(8)})
    with pytest.raises(ValueError, match=r"expected vectors of words of the training texts, got 0 of \d+ words"):
        make_classifier(vectors=file).fit(*reviews)
    file = write(tmp_path / "words.vec", {"喜欢": np.ones(8)})
    with pytest.warns(UserWarning, match=r"has 1 of \d+ words of the vocabulary \(\d%\) only") as warned:
        make_classifier(vectors=file).fit(*reviews)
    assert warned[0].filename == __file__


def test_a_header_with_another_count_is_warned_of(make_classifier: Any, reviews: Any, file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace("7 8", "9 8", 1), encoding="utf-8")
    with pytest.warns(UserWarning, match=r"vectors: .*the header says 9 vectors, the file has 7") as warned:
        make_classifier(vectors=file, epochs=1).fit(*reviews)
    assert warned[0].filename == __file__


def test_an_empty_vocabulary_is_named(make_classifier: Any, reviews: Any, file: Path) -> None:
    with pytest.raises(ValueError, match="min_count: expected words that occur so often, but none does"):
        make_classifier(vectors=file, min_count=10_000).fit(*reviews)


@pytest.mark.parametrize("length", [1e25, 1e-25])
def test_the_length_of_vectors_does_not_count(
    length: float, make_classifier: Any, reviews: Any, tmp_path: Path
) -> None:
    tables = []
    for factor in (1.0, length):
        file = write(tmp_path / "words.vec", {word: values * factor for word, values in VECTORS.items()})
        tables += make_classifier(vectors=file, **STILL).fit(*reviews).model_.word_tables()
    torch.testing.assert_close(tables[1], tables[0])


def test_an_architecture_without_an_embedding_says_so(
    reviews: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ARCHITECTURES["textcnn"]
    monkeypatch.setattr(model, "defaults", {k: v for k, v in model.defaults.items() if k != "embedding_dim"})
    with pytest.raises(ValueError, match="vectors: the architecture 'textcnn' has no embedding of words"):
        SentimentClassifier("textcnn", vectors=file, verbose=0).fit(*reviews)


def test_a_fit_that_goes_on_needs_the_file_no_more(
    make_classifier: Any, reviews: Any, file: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"vectors": file, "embedding_dim": None, "warm_start": True}
    classifier = make_classifier(**options).partial_fit(*reviews)
    before = classifier.model_.word_tables()[0].clone()
    file.unlink()
    classifier.save(tmp_path / "model")
    for one in (classifier, SentimentClassifier.load(tmp_path / "model")):
        one.partial_fit(*reviews)
        one.set_params(verbose=0, warm_start=True, **STILL).fit(*reviews)
        assert one.options_["embedding_dim"] == 8
        assert 0.9 < torch.cosine_similarity(one.model_.word_tables()[0], before).mean() < 1


def test_the_path_is_a_parameter_but_no_part_of_a_saved_model(
    make_classifier: Any, reviews: Any, file: Path, tmp_path: Path
) -> None:
    classifier = make_classifier(vectors=file).fit(*reviews)
    assert clone(classifier).vectors == file
    classifier.save(tmp_path / "model")
    assert "words.vec" not in (tmp_path / "model" / "config.json").read_text(encoding="utf-8")
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert loaded.vectors is None
    np.testing.assert_array_equal(loaded.predict_proba(reviews[0]), classifier.predict_proba(reviews[0]))


def test_a_training_goes_on_with_the_same_vectors_only(
    make_classifier: Any, reviews: Any, file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "states"
    whole = make_classifier(vectors=file).fit(*reviews, checkpoint=Checkpoint(folder, seconds=0))
    again = make_classifier(vectors=file).fit(*reviews, checkpoint=Checkpoint(folder, resume=True))
    for one, other in zip(again.model_.state_dict().values(), whole.model_.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    write(file, {**VECTORS, "喜欢": np.ones(8)})
    with pytest.raises(ValueError, match="checksum of the vectors"):
        make_classifier(vectors=file).fit(*reviews, checkpoint=Checkpoint(folder, resume=True))


def test_no_warning_comes_from_torch(make_classifier: Any, reviews: Any, file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_classifier(vectors=file, epochs=1).fit(*reviews)
