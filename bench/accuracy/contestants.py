"""What takes part: a contestant learns from the training and validation parts and predicts the test part.

Each takes the same texts. One that uses the validation part only to choose its settings learns from both parts
afterwards; textnn's architectures need it all along, to stop at the best epoch, and learn from the training part alone.
"""

from __future__ import annotations

import inspect
import tempfile
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from textnn import SentimentClassifier
from textnn.classification import linear, prediction
from textnn.models import ARCHITECTURES, streams
from textnn.models.options import BFLOAT16, FLOAT32
from textnn.training.loop import predict_logits

from .corpora import Part, Split
from .tokens import Tokens, packages

TRAINING, BOTH = "training", "training and validation"
HALF = "+bfloat16"
"""What stands behind the name of an architecture that trains in it."""


@dataclass(frozen=True)
class Outcome:
    """What a contestant did with one split.

    Attributes
    ----------
    predicted
        The label of each text of the test part.
    seconds
        CPU time of the training whose model predicts, words being found already; of all threads together.
    choosing
        CPU time of the trainings before it, by which settings were chosen.
    megabytes
        Size of the saved model.
    chosen
        The settings that were chosen.
    halved
        What comes of predicting in bfloat16: accuracy, and the share of other predictions. Empty if not measured.
    """

    predicted: list[str]
    seconds: float
    megabytes: float
    choosing: float = 0.0
    chosen: dict[str, Any] = field(default_factory=dict)
    halved: dict[str, float] = field(default_factory=dict)


class Contestant(ABC):
    """Derive from it to add another.

    Attributes
    ----------
    name
        ``"library/model"``.
    tokenizer
        Name of the tokenizer whose words it takes, or None.
    learns_from
        :data:`TRAINING` or :data:`BOTH`: the parts that the model which predicts has seen the labels of.
    """

    name: str
    tokenizer: str | None
    learns_from: str = BOTH

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return what the results depend on, versions included; a result with other settings is another result.

        Raises
        ------
        ImportError
            If a package that it needs is not installed.
        """

    @abstractmethod
    def run(self, split: Split, tokens: Tokens | None, seed: int, threads: int) -> Outcome:
        """Learn and predict."""


class Architecture(Contestant):
    """One of textnn's, with its own defaults: from both parts it holds out what it wants to.

    With a file of word vectors its embedding begins with them, and has their number of values. In bfloat16 its
    trainings multiply that; it predicts in float32, as users do, and once more in bfloat16, to compare.
    """

    def __init__(
        self, architecture: str, tokenizer: str, vectors: Path | None = None, precision: str = FLOAT32
    ) -> None:
        ending = f"{'+vectors' if vectors else ''}{HALF if precision == BFLOAT16 else ''}"
        self.name, self.tokenizer = f"textnn/{architecture}{ending}", tokenizer
        self._architecture, self._vectors, self._precision = architecture, vectors, precision

    def settings(self) -> dict[str, Any]:
        """Return options, versions, and a checksum of the source of the network's classes."""
        model = ARCHITECTURES[self._architecture]
        parts: list[Any] = [kind for kind in model.__mro__ if kind.__module__.startswith("textnn.models")]
        if hasattr(model, "bags"):
            parts += [streams, linear]
        source = "".join(map(inspect.getsource, parts))
        options = {name: value for name, value in model.defaults.items() if name != "precision"}
        return {
            "options": {**options, **({"spaced": dict(model.spaced_defaults)} if model.spaced_defaults else {})},
            **({"precision": self._precision} if self._precision != FLOAT32 else {}),
            "source": f"{zlib.crc32(source.encode()):08x}",
            "tokenizer": self.tokenizer,
            **({"vectors": f"{self._vectors.name}, {self._vectors.stat().st_size:,} bytes"} if self._vectors else {}),
            "versions": versions("textnn", "torch", *packages(self.tokenizer)),
        }

    def run(self, split: Split, tokens: Tokens | None, seed: int, threads: int) -> Outcome:
        """Fit as users do."""
        assert tokens is not None
        start = time.process_time()
        both = split.training + split.validation
        # As users do, but that words are found already.
        classifier = SentimentClassifier(
            self._architecture,
            tokenizer=tokens,
            vectors=self._vectors,
            precision=self._precision,
            random_state=seed,
            verbose=0,
        )
        self._fit(classifier, both)
        seconds = time.process_time() - start
        with tempfile.TemporaryDirectory() as folder:
            classifier.save(Path(folder, "model"))
            size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        predicted = classifier.predict(split.test.texts).tolist()
        options = classifier.options_
        forms = {
            name: options[name] for name in ("word_ngrams", "character_ngrams", "ngram_buckets") if name in options
        }
        chosen = {"epoch": classifier.best_epoch_, "batch": options["batch_size"], **forms}
        halved = _predict_in_bfloat16(classifier, split.test, predicted) if self._precision == BFLOAT16 else {}
        return Outcome(predicted, seconds, size / 1e6, chosen=chosen, halved=halved)

    def _fit(self, classifier: SentimentClassifier, part: Part) -> SentimentClassifier:
        return classifier.fit(part.texts, part.labels)


class LinearPart(Architecture):
    """The linear part of the default by itself: what the convolutions beside it have to be worth."""

    def __init__(self, tokenizer: str) -> None:
        super().__init__(SentimentClassifier().architecture, tokenizer)
        self.name = f"{default_name()}, linear part alone"

    def _fit(self, classifier: SentimentClassifier, part: Part) -> SentimentClassifier:
        classifier.set_params(epochs=1, ensemble=1, channels=1).fit(part.texts, part.labels)
        for network in classifier.model_.parts:
            torch.nn.init.zeros_(network.output.weight)
            torch.nn.init.zeros_(network.output.bias)
        return classifier.freeze()


def default_name() -> str:
    """Return the name of the contestant that users get who choose nothing."""
    return f"textnn/{SentimentClassifier().architecture}"


def _predict_in_bfloat16(classifier: SentimentClassifier, test: Part, others: list[str]) -> dict[str, float]:
    """Return what comes of predictions under autocast: their accuracy, and the share that are not as in float32."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = predict_logits(classifier.model_, classifier.state_.predictor.encoder(test.texts))
    found = prediction.choose(classifier.state_, classifier.state_.objective.probabilities(logits)).tolist()
    right = sum(one == label for one, label in zip(found, test.labels, strict=True))
    changed = sum(one != other for one, other in zip(found, others, strict=True))
    return {"accuracy": right / len(test), "differ": changed / len(test)}


def architectures(
    tokenizer: str, vectors: Path | None = None, precisions: Sequence[str] = (FLOAT32,)
) -> list[Contestant]:
    """Return all of textnn's, the default first, in each precision; with word vectors each once more, with them."""
    found: list[Contestant] = [LinearPart(tokenizer)] if FLOAT32 in precisions else []
    for start in dict.fromkeys((None, vectors)):
        found += [Architecture(name, tokenizer, start, kind) for name in ARCHITECTURES for kind in precisions]
    return sorted(found, key=lambda one: one.name != default_name())


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of installed packages; ``"a|b"`` is one that goes by either name.

    Raises
    ------
    ImportError
        If one is not installed.
    """
    found = {}
    for package in packages:
        names = package.split("|")
        known = [name for name in names if _installed(name)]
        if not known:
            raise ImportError(f"{' or '.join(names)} is not installed: pip install {names[0]}")
        found[names[0]] = metadata.version(known[0])
    return found


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
