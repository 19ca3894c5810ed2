"""``Scorer``: a saved model as a function from tables to tables, for engines that send functions to processes.

path -> checksum, at once -> pickled to other processes -> the model, loaded once in each -> tables, column by column

    text column -> texts that are there -> model -> arrays -> nulls where there was no text -> columns of the table
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from textnn.batch import tables
from textnn.batch.tasks import Task, load
from textnn.batch.threads import limited_threads
from textnn.bundle import BundleError, read_config, read_format
from textnn.classification.bundle.config import FORMAT as CLASSIFIER
from textnn.language.bundle import FORMAT as LANGUAGE_MODEL
from textnn.models.options import integer
from textnn.tagging.bundle import FORMAT as TAGGER
from textnn.text import Tokenizer
from textnn.text.charset import is_blank
from textnn.translation.bundle import FORMAT as TRANSLATOR
from textnn.version import __version__

METADATA = "textnn"
"""The key in a schema's metadata, with a dot and the prefix behind it where there is one."""

_FORMATS = {kind.name: kind for kind in (CLASSIFIER, TAGGER, LANGUAGE_MODEL, TRANSLATOR)}
_MODELS = 4  # that a process keeps


@dataclass(frozen=True)
class Identity:
    """Which model it is: the format and its version, and a checksum of all that its predictions follow from."""

    format: str
    format_version: int
    checksum: str


def identify(path: str) -> Identity:
    """Return which model a directory holds, by its configuration, which has the sums of its other files.

    Raises
    ------
    BundleError
        If it is not the directory of a saved model, or its configuration is damaged.
    """
    name = read_format(path)
    config = read_config(path, _FORMATS.get(name, CLASSIFIER))
    content = json.dumps(config, sort_keys=True).encode()
    return Identity(name, config["format_version"], config.get("sha256") or hashlib.sha256(content).hexdigest())


class Scorer:
    """Adds the predictions of a saved model to tables; a function that can be pickled.

    The model is loaded at the first table, once a process, however many copies of the Scorer come there. Predictions
    are those of the command line, whatever the batch, up to rounding in float32. docs/scale.md has recipes.

    Parameters
    ----------
    path : path
        The directory of a saved classifier, tagger, language model or translator, at the same place in every process.
    text : str, default="text"
        The column of the texts.
    probabilities : bool, default=True
        Whether a classifier also adds the probability of each class.
    prefix : str, default=""
        What the names of the added columns begin with.
    tokenizer : str, path, callable or Tokenizer, optional
        In the place of the model's own, as for :meth:`textnn.SentimentClassifier.load`.
    frozen : bool or str, default=True
        As for :meth:`textnn.SentimentClassifier.load`.
    device : str, default="cpu"
        Where the model is used.
    threads : int, optional
        CPU threads at most; never more than the process was given: by its CPU affinity, a container's quota,
        ``OMP_NUM_THREADS``, or the ``num_cpus`` of a task or actor of Ray.

    Attributes
    ----------
    identity : Identity
        The model's format, its version, and its checksum. A process that finds another model at the path refuses it.

    Raises
    ------
    BundleError
        If ``path`` is not the directory of a saved model.
    TypeError, ValueError
        If another argument makes no sense.

    Examples
    --------
    >>> import pyarrow, tempfile
    >>> texts = ["很 好", "非常 好", "很 差", "非常 差"] * 10
    >>> labels = ["pos", "pos", "neg", "neg"] * 10
    >>> clf = textnn.SentimentClassifier(tokenizer="whitespace", random_state=0, verbose=0).fit(texts, labels)
    >>> folder = tempfile.TemporaryDirectory()
    >>> clf.save(f"{folder.name}/model")
    >>> score = Scorer(f"{folder.name}/model", text="review", probabilities=False)
    >>> scored = score(pyarrow.table({"review": ["真的 很 好", None]}))
    >>> scored.column_names
    ['review', 'prediction', 'probability']
    >>> scored["prediction"].to_pylist()
    ['pos', None]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        text: str = "text",
        *,
        probabilities: bool = True,
        prefix: str = "",
        tokenizer: str | os.PathLike[str] | Callable[[str], list[str]] | Tokenizer | None = None,
        frozen: bool | str = True,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        for argument, value in (("text", text), ("prefix", prefix)):
            if not isinstance(value, str):
                raise TypeError(f"{argument}: expected a string, got {type(value).__name__}")
        if not isinstance(probabilities, bool):
            raise TypeError(f"probabilities: expected True or False, got {type(probabilities).__name__}")
        self.path = str(Path(path).absolute())
        self.text, self.probabilities, self.prefix = text, probabilities, prefix
        self.tokenizer, self.frozen, self.device = tokenizer, frozen, device
        self.threads = None if threads is None else integer(1)("threads", threads)
        self.identity = identify(self.path)
        if self.identity.format in (TAGGER.name, TRANSLATOR.name) and tokenizer is not None:
            raise ValueError("tokenizer: expected None for a tagger or a translator")
        if self.identity.format != CLASSIFIER.name and frozen is not True:
            raise ValueError("frozen: expected True for a model that is no classifier")

    def __call__(self, batch: Any) -> Any:
        """Return a table with the columns added that :meth:`schema` has; the table itself is left as it is.

        A null text has nulls, and so has one without visible characters where the model is a classifier.

        Parameters
        ----------
        batch : pyarrow.Table, pyarrow.RecordBatch, pandas.DataFrame, or dict of arrays
            The texts are strings of any of Arrow's types, in chunks, or dictionary-encoded.

        Returns
        -------
        pyarrow.Table, pyarrow.RecordBatch, pandas.DataFrame, or dict of arrays
            The same kind, rows in the same order. A dictionary gets arrays of numpy.

        Raises
        ------
        TypeError, ValueError
            If it is none of these, has no such column, or one that is not of strings.
        """
        kind = tables.kind_of(batch)
        with limited_threads(self.threads):
            task = self._task()
            schema = self.schema(batch.schema) if kind in ("table", "batch") else None
            tables.check_names(tables.names_of(batch), self.text, [field.name for field in task.fields])
            arrays = _score(task, tables.texts_of(batch, self.text))
        names = [field.name for field in task.fields]
        result = tables.with_columns(batch, schema, dict(zip(names, arrays, strict=True)))
        if kind == "frame":
            result.attrs = {**batch.attrs, **{key.decode(): value.decode() for key, value in self._metadata().items()}}
        return result

    def load(self) -> Scorer:
        """Load the model now, unless this process has it, so that an error of the model is none of a table.

        Returns
        -------
        Scorer
            Itself.

        Raises
        ------
        BundleError
            If the model is damaged, or another one than when the Scorer was made.
        TypeError, ValueError
            If it cannot be used as the arguments ask for.
        """
        with limited_threads(self.threads):
            self._task()
        return self

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of a table with the columns added, for engines that want it beforehand.

        In the metadata under ``textnn`` is JSON: the model's format, its version and checksum, and textnn's version.

        Parameters
        ----------
        schema : pyarrow.Schema
            Of the table.

        Raises
        ------
        ValueError
            As for a call.
        """
        fields = self._task().fields
        tables.check_names(schema.names, self.text, [field.name for field in fields])
        tables.check_strings(schema.field(self.text).type, self.text)
        return pa.schema([*schema, *fields], {**(schema.metadata or {}), **self._metadata()})

    def _metadata(self) -> dict[bytes, bytes]:
        key = f"{METADATA}.{self.prefix}" if self.prefix else METADATA
        return {key.encode(): json.dumps({**asdict(self.identity), METADATA: __version__}).encode()}

    def _task(self) -> Task:
        arguments: Any = (self.probabilities, self.prefix, self.tokenizer, self.frozen, self.device)
        with _lock:
            return _loaded(self.path, self.identity, *arguments)


_lock = threading.Lock()


@functools.lru_cache(maxsize=_MODELS)
def _loaded(path: str, identity: Identity, *arguments: Any) -> Task:
    task = load(identity.format, path, *arguments)
    if (found := identify(path)) != identity:
        raise BundleError(
            f"{path}: expected the model that the Scorer was made for (checksum {identity.checksum[:12]}...), got "
            f"another ({found.checksum[:12]}...); keep each model in a directory of its own"
        )
    return task


def _score(task: Task, values: tables.Strings) -> list[pa.Array]:
    """Return an array for each field of a task, with a value or a null for each text."""
    there = np.zeros(len(values), dtype=bool)

    def texts() -> Iterator[str]:
        for row, text in enumerate(tables.iter_strings(values)):
            if text is not None and not (task.skips_blank and is_blank(text)):
                there[row] = True
                yield text

    parts = list(task.score(texts()))
    arrays = [
        pa.concat_arrays([pa.array([], field.type), *(part[place].cast(field.type) for part in parts)])
        for place, field in enumerate(task.fields)
    ]
    if there.all():
        return arrays
    places = pa.array(np.cumsum(there) - 1, mask=~there)
    return [array.take(places) for array in arrays]
