"""What each task's models add to a table: which columns, and their values for a stream of texts.

a saved model's format -> ``load`` -> Task: fields; texts -> arrays of each field, a chunk of texts at a time

    classifier       prediction, probability, and the probability of each class
    tagger           entities; words, with their tags if it learnt some; or tokens and tags
    language model   log_probability, tokens, perplexity
    translator       translation
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from textnn import LanguageModel, SentimentClassifier, SequenceTagger, Translator

Arrays = list[pa.Array]

CHUNK = 1024
"""Texts whose results become one array at a time."""


@dataclass(frozen=True)
class Task:
    """A loaded model as columns.

    Attributes
    ----------
    fields
        The columns that it adds.
    score
        From texts to arrays of each field, of the next so many texts each.
    skips_blank
        Whether a text without visible characters has no results, as a null has none.
    """

    fields: list[pa.Field]
    score: Callable[[Iterator[str]], Iterator[Arrays]]
    skips_blank: bool = False


def load(
    kind: str, path: str, probabilities: bool, prefix: str, tokenizer: Any, frozen: bool | str, device: str
) -> Task:
    """Load a saved model of the format ``kind``; the arguments are those of :class:`textnn.batch.Scorer`."""
    import textnn

    with warnings.catch_warnings():
        if kind == "textnn-model":
            if frozen is True:
                warnings.filterwarnings("ignore", message=".* has nothing to freeze")
            return classifier_task(
                textnn.SentimentClassifier.load(path, tokenizer, device, frozen), probabilities, prefix
            )
    if kind == "textnn-tagger":
        return tagger_task(textnn.SequenceTagger.load(path, device), prefix)
    if kind == "textnn-translator":
        return translation_task(textnn.Translator.load(path, device=device), prefix)
    return language_task(textnn.LanguageModel.load(path, tokenizer, device), prefix)


# ---- classifiers -----------------------------------------------------------------------------------------------------


def classifier_task(classifier: SentimentClassifier, probabilities: bool, prefix: str) -> Task:
    """Return a classifier as columns; of a text that may have several labels the prediction is a list."""
    labels = label_array(classifier.classes_.tolist())
    thresholds = classifier.thresholds_
    kind = labels.type if thresholds is None else pa.list_(labels.type)
    fields = [pa.field(f"{prefix}prediction", kind)]
    if thresholds is None:
        fields.append(pa.field(f"{prefix}probability", pa.float64()))
    if probabilities:
        names = class_names(classifier.classes_.tolist())
        fields += [pa.field(f"{prefix}probability_{name}", pa.float64()) for name in names]

    def score(texts: Iterator[str]) -> Iterator[Arrays]:
        for table in classifier.stream_proba(texts):
            arrays = []
            if thresholds is None:
                arrays += [labels.take(pa.array(table.argmax(axis=1))), pa.array(table.max(axis=1))]
            else:
                reached = table >= thresholds
                arrays.append(lists(reached.sum(axis=1), labels.take(pa.array(reached.nonzero()[1]))))
            if probabilities:
                arrays += [pa.array(np.ascontiguousarray(column)) for column in table.T]
            yield arrays

    return Task(fields, score, skips_blank=True)


def label_array(classes: list[Any]) -> pa.Array:
    """Return the labels in the type of Arrow that has them as they are; labels of other or mixed types as strings."""
    types = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    kinds = {type(label) for label in classes}
    if len(kinds) == 1 and kinds <= set(types):
        try:
            return pa.array(classes, types[kinds.pop()])
        except (pa.ArrowInvalid, OverflowError):
            pass  # an integer that needs more than 64 bits
    return pa.array(class_names(classes), pa.string())


def class_names(classes: list[Any]) -> list[str]:
    """Return a name for each label: its text, and of several with the same text, such as 1 and "1", their literals."""
    often = Counter(map(str, classes))
    return [str(label) if often[str(label)] == 1 else repr(label) for label in classes]


# ---- taggers ---------------------------------------------------------------------------------------------------------

ENTITY = pa.struct(
    [
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
        pa.field("type", pa.string()),
        pa.field("text", pa.string()),
        pa.field("confidence", pa.float64()),
    ]
)


def tagger_task(tagger: SequenceTagger, prefix: str) -> Task:
    """Return a tagger as columns."""
    from textnn.tagging.entities import tagged

    state = tagger.state_
    if state.scheme is not None and not state.is_segmenter:

        def entities(texts: Iterator[str]) -> Iterator[Arrays]:
            for chunk in in_chunks(tagger.stream_entities(texts)):
                flat = [entity for found in chunk for entity in found]
                columns = [
                    pa.array([entity[place] for entity in flat], field.type) for place, field in enumerate(ENTITY)
                ]
                yield [lists([len(found) for found in chunk], pa.StructArray.from_arrays(columns, fields=list(ENTITY)))]

        return Task([pa.field(f"{prefix}entities", pa.list_(ENTITY))], entities)
    names = ["words" if state.is_segmenter else "tokens", "tags"]
    if state.is_segmenter and not any(state.tags.types):
        names.pop()

    def pairs(texts: Iterator[str]) -> Iterator[Arrays]:
        for chunk in in_chunks(tagger.stream_cut(texts) if state.is_segmenter else tagged(state, texts)):
            flat = [pair for found in chunk for pair in found]
            counts = [len(found) for found in chunk]
            yield [lists(counts, pa.array([pair[at] for pair in flat], pa.string())) for at in range(len(names))]

    return Task([pa.field(f"{prefix}{name}", pa.list_(pa.string())) for name in names], pairs)


# ---- language models -------------------------------------------------------------------------------------------------


def language_task(model: LanguageModel, prefix: str) -> Task:
    """Return a language model as columns; a text's tokens count its end."""
    types = {"log_probability": pa.float64(), "tokens": pa.int64(), "perplexity": pa.float64()}

    def score(texts: Iterator[str]) -> Iterator[Arrays]:
        for chunk in in_chunks(model.score_tokens(texts)):
            totals = np.array([scores.sum() for scores in chunk])
            counts = np.array([len(scores) for scores in chunk])
            yield [pa.array(each) for each in (totals, counts, np.exp(np.minimum(-totals / counts, 700.0)))]

    return Task([pa.field(f"{prefix}{name}", kind) for name, kind in types.items()], score)


# ---- translators -----------------------------------------------------------------------------------------------------


def translation_task(translator: Translator, prefix: str) -> Task:
    """Return a translator, with its usual beam, as columns."""

    def translate(texts: Iterator[str]) -> Iterator[Arrays]:
        for chunk in in_chunks(translator.stream(texts)):
            yield [pa.array(chunk, pa.string())]

    return Task([pa.field(f"{prefix}translation", pa.string())], translate)


def in_chunks(results: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield results in lists of so many."""
    from textnn.models.predictor import in_chunks as chunks

    return chunks(results, CHUNK)


def lists(counts: Any, values: pa.Array) -> pa.ListArray:
    """Return an array of lists: so many of the values each."""
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32()), values)
