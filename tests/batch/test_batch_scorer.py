"""``textnn.batch.Scorer``: every kind of table and of strings, nulls, batches, each task's columns, pickles, errors."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

from batch_samples import small  # noqa: E402

from textnn import LanguageModel, SentimentClassifier, SequenceTagger  # noqa: E402
from textnn.batch import Scorer, scorer, tasks  # noqa: E402
from textnn.bundle import BundleError  # noqa: E402
from textnn.version import __version__  # noqa: E402

STRINGS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "dictionary of large strings": pa.dictionary(pa.int8(), pa.large_string()),
}


def as_kind(kind: str, columns: dict[str, list[Any]]) -> Any:
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    if kind == "frame":
        pytest.importorskip("pandas")
        return table.to_pandas()
    if kind == "dict":
        return {name: np.array(values, dtype=object) for name, values in columns.items()}
    return table if kind == "table" else table.combine_chunks().to_batches()[0]


def column(result: Any, name: str) -> list[Any]:
    """The values of a column of any kind of table, None for what is missing."""
    values = result[name].to_pylist() if hasattr(result[name], "to_pylist") else list(result[name])
    return [None if value is None or value != value else value for value in values]


@pytest.mark.parametrize("kind", ["table", "batch", "frame", "dict"])
def test_the_same_kind_comes_back_with_what_the_classifier_says(
    kind: str, model: Path, classifier: SentimentClassifier, texts: list[str]
) -> None:
    batch = as_kind(kind, {"id": list(range(300)), "text": texts})
    result = Scorer(model)(batch)
    assert type(result) is type(batch)
    names = ["id", "text", "prediction", "probability", "probability_bad", "probability_good"]
    assert list(result.column_names if kind in ("table",) else result.schema.names if kind == "batch" else result) == (
        names
    )
    assert column(result, "id") == list(range(300))
    assert column(result, "prediction") == classifier.predict(texts).tolist()
    expected = classifier.predict_proba(texts)
    np.testing.assert_allclose(column(result, "probability_bad"), expected[:, 0], atol=1e-6)
    np.testing.assert_allclose(column(result, "probability_good"), expected[:, 1], atol=1e-6)
    np.testing.assert_allclose(column(result, "probability"), expected.max(axis=1), atol=1e-6)


@pytest.mark.parametrize("kind", ["table", "batch", "frame", "dict"])
def test_a_null_and_a_blank_text_have_nulls_and_the_input_stays(kind: str, model: Path) -> None:
    batch = as_kind(kind, {"text": ["很 好", None, " \n", "很 差"]})
    result = Scorer(model)(batch)
    for name in ("prediction", "probability", "probability_bad"):
        assert [value is None for value in column(result, name)] == [False, True, True, False], name
    assert list(batch if kind in ("frame", "dict") else batch.schema.names) == ["text"]


@pytest.mark.parametrize("strings", STRINGS)
def test_every_type_of_strings_in_any_chunks(strings: str, model: Path, texts: list[str]) -> None:
    values: list[str | None] = [*texts[:40], None, *texts[:10]]
    kind = STRINGS[strings]
    if pa.types.is_dictionary(kind):
        whole = pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    else:
        whole = pa.array(values, kind)
    chunks = [whole.slice(0, 1), whole.slice(1, 0), whole.slice(1, 30), whole.slice(31)]
    scored = Scorer(model)(pa.table({"text": pa.chunked_array(chunks)}))
    assert scored["text"].type == kind
    plain = Scorer(model)(pa.table({"text": values}))
    assert scored["prediction"].to_pylist() == plain["prediction"].to_pylist()
    assert scored["prediction"].null_count == 1


@pytest.mark.parametrize("size", [1, 7, 64])
def test_answers_are_the_same_whatever_the_batch(size: int, model: Path, texts: list[str]) -> None:
    table, score = pa.table({"text": texts}), Scorer(model)
    whole = score(table)
    parts = pa.concat_tables(score(table.slice(start, size)) for start in range(0, len(texts), size))
    assert parts["text"].to_pylist() == texts
    assert parts["prediction"].to_pylist() == whole["prediction"].to_pylist()
    np.testing.assert_allclose(parts["probability_good"], whole["probability_good"], atol=1e-6)


@pytest.mark.parametrize("chunks", [[], [[]], [[], []]])
def test_a_table_without_rows(chunks: list[list[str]], model: Path) -> None:
    score, table = Scorer(model), pa.table({"text": pa.chunked_array(chunks, pa.string())})
    result = score(table)
    assert (result.num_rows, result.schema) == (0, score.schema(table.schema))
    assert result.schema.field("prediction").type == pa.string()


def test_a_column_of_nulls_alone_may_have_no_type(model: Path) -> None:
    assert Scorer(model)(pa.table({"text": pa.nulls(3)}))["prediction"].to_pylist() == [None] * 3


def test_the_schema_says_which_model_it_was(model: Path, other_model: Path) -> None:
    score, table = Scorer(model), pa.table({"text": ["很 好"]}).replace_schema_metadata({"mine": "kept"})
    result = Scorer(other_model, prefix="new_")(score(table))
    assert result.schema.names[-3:] == ["new_probability", "new_probability_bad", "new_probability_good"]
    metadata = result.schema.metadata
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    assert json.loads(metadata[b"textnn"]) == {
        "format": "textnn-model",
        "format_version": 1,
        "checksum": config["sha256"],
        "textnn": __version__,
    }
    assert json.loads(metadata[b"textnn.new_"])["checksum"] != config["sha256"]
    assert metadata[b"mine"] == b"kept"


def test_probabilities_of_each_class_can_be_left_out(model: Path) -> None:
    result = Scorer(model, probabilities=False)(pa.table({"text": ["很 好"]}))
    assert result.column_names == ["text", "prediction", "probability"]


@pytest.mark.parametrize(
    ("classes", "kind", "names"),
    [
        ([0, 1], pa.int64(), ["0", "1"]),
        ([False, True], pa.bool_(), ["False", "True"]),
        ([0.5, 1.5], pa.float64(), ["0.5", "1.5"]),
        ([1, "1"], pa.string(), ["1", "'1'"]),
        ([2**70, 1], pa.string(), [str(2**70), "1"]),
        ([b"a", "b"], pa.string(), ["b'a'", "b"]),
    ],
)
def test_labels_keep_their_type_and_names_do_not_clash(classes: list[Any], kind: Any, names: list[str]) -> None:
    labels = tasks.label_array(classes)
    assert (labels.type, tasks.class_names(classes)) == (kind, names)
    assert labels.to_pylist() == (classes if kind != pa.string() else names)


def test_several_labels_a_text_are_a_list(tmp_path: Path) -> None:
    texts = ["很 好", "很 差", "很 好 很 差", "房间"] * 20
    labels = [["good"], ["bad"], ["good", "bad"], []] * 20
    fitted = small().fit(texts, labels)
    fitted.save(tmp_path / "model")
    result = Scorer(tmp_path / "model")(pa.table({"text": [*texts[:4], None]}))
    assert result.column_names == ["text", "prediction", "probability_bad", "probability_good"]
    assert result["prediction"].to_pylist() == [*map(list, fitted.predict(texts[:4])), None]


def test_a_tagger_adds_entities(tagger: SequenceTagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "model")
    texts = ["Bob met Ann.", "", None, "nobody ran", "Eve ran. Max met Bob."]
    result = Scorer(tmp_path / "model")(pa.table({"text": texts}))
    expected = [None if text is None else [entity._asdict() for entity in tagger.entities(text)] for text in texts]
    found = result["entities"].to_pylist()
    assert [each and [{**one, "confidence": 0} for one in each] for each in found] == [
        each and [{**one, "confidence": 0} for one in each] for each in expected
    ]
    assert found[0][0]["confidence"] == pytest.approx(expected[0][0]["confidence"], abs=1e-6)
    assert (len(found[0]), found[1], found[2], len(found[4])) == (2, [], None, 3)


@pytest.mark.slow
def test_a_segmenter_adds_words_and_their_tags(tmp_path: Path) -> None:
    sentences, tags = ["我 来到 北京", "他 来到 上海", "我 在 上海"] * 20, [["r", "v", "n"]] * 60
    for name, y, columns in (("plain", None, ["words"]), ("tagged", tags, ["words", "tags"])):
        fitted = SequenceTagger("ngram-crf", validation_fraction=0.0, random_state=0, verbose=0)
        fitted.fit_words(sentences, y).save(tmp_path / name)
        result = Scorer(tmp_path / name)(pa.table({"text": ["他在北京", None, " "]}))
        assert result.column_names == ["text", *columns]
        assert result["words"].to_pylist() == [fitted.cut("他在北京"), None, []]
        if y is not None:
            assert result["tags"].to_pylist() == [[tag for _, tag in fitted.cut_tagged("他在北京")], None, []]


def test_tags_that_mark_no_spans_come_with_their_tokens(tmp_path: Path) -> None:
    X, y = [["dogs", "run"], ["cats", "sleep"]] * 20, [["NOUN", "VERB"]] * 40
    fitted = SequenceTagger("ngram-crf", scheme=None, level="word", validation_fraction=0.0, random_state=0, verbose=0)
    fitted.fit(X, y).save(tmp_path / "model")
    result = Scorer(tmp_path / "model")(pa.table({"text": ["dogs sleep", None]}))
    assert result.column_names == ["text", "tokens", "tags"]
    assert result["tokens"].to_pylist() == [["dogs", "sleep"], None]
    assert result["tags"].to_pylist() == [*fitted.predict([["dogs", "sleep"]]), None]


def test_a_language_model_adds_scores(language_model: LanguageModel, tmp_path: Path, texts: list[str]) -> None:
    language_model.save(tmp_path / "model")
    result = Scorer(tmp_path / "model")(pa.table({"text": [*texts[:20], None, ""]}))
    scores = list(language_model.score_tokens([*texts[:20], ""]))
    found = result.to_pydict()
    assert found["log_probability"].pop(20) is found["tokens"].pop(20) is found["perplexity"].pop(20) is None
    np.testing.assert_allclose(found["log_probability"], [each.sum() for each in scores], rtol=1e-5)
    assert found["tokens"] == list(map(len, scores))
    np.testing.assert_allclose(found["perplexity"][3], language_model.perplexity([texts[3]]), rtol=1e-5)


def test_a_process_loads_a_model_once_however_many_copies_come(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    monkeypatch.setattr(scorer, "load", lambda *arguments: loads.append(arguments) or tasks.load(*arguments))
    scorer._loaded.cache_clear()
    first = Scorer(model)
    assert not loads, "before there is a table"
    data = pickle.dumps(first)
    assert len(data) < 2000, "the model itself does not travel"
    table = pa.table({"text": ["很 好"]})
    results = [pickle.loads(data)(table) for _ in range(3)]
    assert len(loads) == 1
    assert all(result.equals(results[0]) for result in results)


def test_another_model_at_the_path_is_refused(
    classifier: SentimentClassifier, other_model: Path, tmp_path: Path
) -> None:
    classifier.save(tmp_path / "model")
    score = Scorer(tmp_path / "model")
    SentimentClassifier.load(other_model).save(tmp_path / "model")
    with pytest.raises(BundleError, match=r"model: expected the model that the Scorer was made for \(checksum"):
        score(pa.table({"text": ["很 好"]}))


ERRORS: dict[str, tuple[dict[str, Any], Any, str]] = {
    "no such column": (
        {},
        {"review": ["a"], "id": [1]},
        "text: expected a column 'text', got no column of this name; the columns are: 'review', 'id'",
    ),
    "numbers": ({}, {"text": [1]}, "text: expected a column of strings, but 'text' has the type int64"),
    "bytes": ({}, {"text": [b"a"]}, "text: expected a column of strings, but 'text' has the type binary"),
    "lists": ({}, {"text": [["a"]]}, "text: expected a column of strings, but 'text' has the type list<"),
    "numbers among strings": ({}, {"text": np.array(["a", 1], dtype=object)}, "text: expected a column of strings"),
    "a name that is taken": (
        {},
        {"text": ["a"], "prediction": ["b"]},
        "prefix: expected one that makes new names, but there is a column 'prediction' already",
    ),
    "a list": ({}, ["a"], "batch: expected a pyarrow Table or RecordBatch, a pandas DataFrame or a dictionary"),
    "text": ({"text": 1}, None, "text: expected a string, got int"),
    "prefix": ({"prefix": None}, None, "prefix: expected a string, got NoneType"),
    "probabilities": ({"probabilities": "no"}, None, "probabilities: expected True or False, got str"),
    "threads": ({"threads": 0}, None, "threads"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_names_the_argument(case: str, model: Path) -> None:
    options, batch, message = ERRORS[case]
    tables = [batch]
    if isinstance(batch, dict) and case != "numbers among strings":
        tables.append(pa.table(batch))
    for table in tables:
        with pytest.raises((TypeError, ValueError)) as caught:
            Scorer(model, **options)(table)
        assert str(caught.value).startswith(message)


def test_two_columns_of_one_name_and_strings_that_are_not_utf8(model: Path) -> None:
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    with pytest.raises(ValueError, match="expected a column 'text', got 2 columns of this name"):
        Scorer(model)(twice)
    wrong = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 1], np.int32).tobytes()), pa.py_buffer(b"\xff"))
    with pytest.raises(ValueError, match="text: expected strings in UTF-8, but one of the rows 0 to 0 is not"):
        Scorer(model)(pa.table({"text": wrong}))


def test_what_is_no_model_is_refused_at_once(tmp_path: Path, tagger: SequenceTagger) -> None:
    with pytest.raises(BundleError, match="expected the directory of a textnn model, got nothing of this name"):
        Scorer(tmp_path / "none")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match="expected the configuration of a textnn model"):
        Scorer(tmp_path)
    tagger.save(tmp_path / "tagger")
    for options, message in (({"tokenizer": "char"}, "tokenizer: expected None"), ({"frozen": False}, "frozen: exp")):
        with pytest.raises(ValueError, match=message):
            Scorer(tmp_path / "tagger", **options)  # type: ignore[arg-type]
