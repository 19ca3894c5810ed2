"""Small trained models for exhibits whose user has none: each is trained once, in seconds, and then kept.

    kind, language -> made in this process? -> the same estimator
                   -> kept on disk (``store``)? -> it is read
                   -> else a message to ``progress``, texts of ``samples`` -> fit -> kept -> it

They are estimators of the package like any other, only smaller than their defaults, with a fixed seed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textnn.demo import find_jieba
from textnn.lab import samples, store

if TYPE_CHECKING:
    from textnn.classification.estimator import SentimentClassifier
    from textnn.language.estimator import LanguageModel
    from textnn.tagging.estimator import SequenceTagger
    from textnn.translation.estimator import Translator

Progress = Callable[[str], None]
"""Called with a line before something takes long."""

KERNELS = (1, 2, 3, 4, 5)
"""Sizes of the kernels of the small TextCNN."""

WORDS, NAMES = "words", "names"

_LOCK = threading.RLock()
_KEPT: dict[tuple[str, ...], Any] = {}


def kept(
    key: tuple[str, ...], message: str, make: Callable[[], Any], progress: Progress | None, kind: Any = None
) -> Any:
    """Return what ``make`` gives, called only once for a key in the life of the process.

    Parameters
    ----------
    key
        What it is.
    message
        For ``progress``, before it is made.
    make, progress
        Called at most once.
    kind
        The estimator's class, if it is one: then it is kept on disk, too.
    """
    with _LOCK:
        if key not in _KEPT:
            name = "-".join(key)
            found = None if kind is None else store.load(name, kind)
            if found is None:
                if progress is not None:
                    progress(message)
                found = make()
                if kind is not None:
                    store.save(name, found)
            _KEPT[key] = found
        return _KEPT[key]


def classifier(architecture: str, language: str, progress: Progress | None = None) -> SentimentClassifier:
    """Return a classifier of reviews.

    Parameters
    ----------
    architecture
        ``"lstm"``, ``"textcnn"`` or ``"mlp"``.
    language
        ``"zh"`` or ``"en"``.
    progress
        Told when one is trained.
    """
    sizes: dict[str, Any] = {"embedding_dim": 32, "hidden_size": 32}
    if architecture == "textcnn":
        sizes = {"embedding_dim": 32, "channels": 16, "kernel_sizes": KERNELS}

    from textnn import SentimentClassifier

    def make() -> SentimentClassifier:
        texts, labels = samples.reviews(language)
        model = SentimentClassifier(
            architecture,
            tokenizer=find_jieba() if language == samples.CHINESE else "unicode",
            **sizes,
            epochs=3,
            learning_rate=4e-3,
            validation_fraction=0.0,
            random_state=0,
            verbose=0,
        )
        return model.fit(texts, labels)

    return kept(
        (architecture, language),
        f"training a small {architecture} on short reviews",
        make,
        progress,
        SentimentClassifier,
    )


def tagger(kind: str, progress: Progress | None = None) -> SequenceTagger:
    """Return a tagger: of Chinese characters that form words, or of English words that form names.

    Parameters
    ----------
    kind
        ``"words"`` or ``"names"``.
    progress
        Told when one is trained.
    """

    from textnn import SequenceTagger

    def make() -> SequenceTagger:
        options: dict[str, Any] = {"validation_fraction": 0.0, "random_state": 0, "verbose": 0, "ngram_buckets": 0}
        if kind == WORDS:
            model = SequenceTagger("bilstm-crf", embedding_dim=32, bigram_dim=16, hidden_size=32, epochs=4, **options)
            return model.fit_words(samples.cut_lines())
        sentences, tags = samples.named_sentences()
        return SequenceTagger(embedding_dim=32, hidden_size=32, channels=16, epochs=6, **options).fit(sentences, tags)

    return kept((kind,), f"training a small tagger of {kind}", make, progress, SequenceTagger)


def language_model(language: str, progress: Progress | None = None) -> LanguageModel:
    """Return a language model of made-up opinions: of Chinese characters, or of English words.

    Parameters
    ----------
    language
        ``"zh"`` or ``"en"``.
    progress
        Told when one is trained.
    """

    from textnn import LanguageModel

    def make() -> LanguageModel:
        model = LanguageModel(
            "char" if language == samples.CHINESE else "word",
            embedding_dim=32,
            hidden_size=64,
            dropout=0.0,
            epochs=15,
            learning_rate=1e-2,
            batch_size=16,
            validation_fraction=0.0,
            random_state=0,
            verbose=0,
        )
        return model.fit(samples.opinions(language, 1000)[0])

    return kept(("language", language), "training a small language model", make, progress, LanguageModel)


def translator(progress: Progress | None = None) -> Translator:
    """Return a translator from English to Chinese, without attention: the decoder knows the last states alone.

    Parameters
    ----------
    progress
        Told when one is trained.
    """

    from textnn import Translator

    def make() -> Translator:
        sources, targets = zip(*samples.sentence_pairs(), strict=True)
        model = Translator(
            attention=None,
            embedding_dim=32,
            hidden_size=64,
            dropout=0.0,
            word_dropout=0.0,
            label_smoothing=0.0,
            epochs=16,
            batch_size=16,
            learning_rate=1e-2,
            min_count=1,
            validation_fraction=0.0,
            random_state=0,
            verbose=0,
        )
        return model.fit(sources, targets)

    return kept(("translator",), "training a small translator", make, progress, Translator)
