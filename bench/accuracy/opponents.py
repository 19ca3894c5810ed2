"""Opponents, tuned: their settings are chosen on the validation part, then they learn from both parts.

TF-IDF with a linear model is what any network has to beat on reviews; fastText is the usual fast alternative (Joulin et
al., "Bag of Tricks for Efficient Text Classification", 2017); snownlp is what Chinese users find first.
"""

from __future__ import annotations

import itertools
import pickle
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin

from .contestants import Contestant, Outcome, versions
from .corpora import Part, Split
from .tokens import SNOWNLP, Tokens, packages

WORD_NGRAMS, CHARACTER_NGRAMS, WORD_BOUND_NGRAMS = (1, 2), (1, 4), (2, 6)
FEW_TEXTS = 2000  # below, n-grams of a single text count too
# From weak to strong regularization is from right to left; both ends have to lose for the grid to be wide enough.
COSTS = {"LinearSVC": (0.03, 0.1, 0.3, 1.0, 3.0), "LogisticRegression": (1.0, 3.0, 10.0, 30.0, 100.0)}
FASTTEXT_GRID = tuple(itertools.product((0.1, 0.5), (5, 15, 50)))  # learning rate, epochs


def opponents(tokenizer: str, spaced: bool = False) -> list[Contestant]:
    """Return all, the slow one last; for scripts with spaces between words also those with n-grams within words."""
    linear = [TfIdf(features, model, tokenizer) for features in ("words", "characters", "both") for model in COSTS]
    bayes = [NaiveBayesSVM("both", tokenizer)]
    if spaced:
        linear += [TfIdf("words+char_wb", model, tokenizer) for model in COSTS]
        bayes.append(NaiveBayesSVM("words+char_wb", tokenizer))
    letters = (3, 6) if spaced else (1, 3)
    return [*linear, *bayes, FastText(tokenizer), FastText(tokenizer, letters), *([] if spaced else [SnowNLP()])]


class TfIdf(Contestant):
    """TF-IDF of n-grams of words, of characters or of both, and a linear model; C is chosen.

    Parameters
    ----------
    features
        ``"words"``, ``"characters"``, ``"both"``, or ``"words+char_wb"``: words, and two to six characters within them.
    model
        ``"LinearSVC"`` or ``"LogisticRegression"``.
    tokenizer
        Of the words.
    """

    def __init__(self, features: str, model: str, tokenizer: str) -> None:
        self.name = f"tfidf/{features}/{model}"
        self.tokenizer = None if features == "characters" else tokenizer
        self._features, self._model = features, model

    def settings(self) -> dict[str, Any]:
        """Return n-grams, the costs to choose from and the versions."""
        return {
            "words": WORD_NGRAMS,
            "characters": CHARACTER_NGRAMS,
            "costs": COSTS[self._model],
            **({"word-bound characters": WORD_BOUND_NGRAMS} if self._features == "words+char_wb" else {}),
            "tokenizer": self.tokenizer,
            "versions": versions("scikit-learn", *packages(self.tokenizer)),
        }

    def run(self, split: Split, tokens: Tokens | None, seed: int, threads: int) -> Outcome:
        """Choose C, then learn from both parts."""
        from sklearn.pipeline import make_pipeline

        start = time.process_time()
        vectors = self._vectors(tokens, len(split.training))
        training = vectors.fit_transform(split.training.texts)
        validation = vectors.transform(split.validation.texts)
        scores = {
            C: self._linear(C, split, seed)
            .fit(training, split.training.labels)
            .score(validation, split.validation.labels)
            for C in COSTS[self._model]
        }
        best = max(scores, key=scores.__getitem__)
        chosen = time.process_time()
        both = split.training + split.validation
        pipeline = make_pipeline(self._vectors(tokens, len(both)), self._linear(best, split, seed)).fit(
            both.texts, both.labels
        )
        end = time.process_time()
        size = len(pickle.dumps(pipeline))
        return Outcome(
            pipeline.predict(split.test.texts).tolist(), end - chosen, size / 1e6, chosen - start, {"C": best}
        )

    def _vectors(self, tokens: Tokens | None, texts: int) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_union

        parts, common = [], dict(min_df=1 if texts < FEW_TEXTS else 2, sublinear_tf=True)
        if self._features != "characters":
            parts.append(
                TfidfVectorizer(
                    tokenizer=tokens,
                    token_pattern=None,
                    lowercase=False,
                    ngram_range=WORD_NGRAMS,
                    **common,
                )
            )
        if self._features == "words+char_wb":
            parts.append(TfidfVectorizer(analyzer="char_wb", ngram_range=WORD_BOUND_NGRAMS, **common))
        elif self._features != "words":
            parts.append(TfidfVectorizer(analyzer="char", ngram_range=CHARACTER_NGRAMS, **common))
        return parts[0] if len(parts) == 1 else make_union(*parts)

    def _linear(self, C: float, split: Split, seed: int) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        if self._model == "LinearSVC":
            return LinearSVC(C=C, random_state=seed)
        # liblinear is several times faster here, and for two classes only.
        solver = "liblinear" if len(set(split.training.labels)) == 2 else "lbfgs"
        return LogisticRegression(C=C, solver=solver, max_iter=1000, random_state=seed)


class NaiveBayesSVM(TfIdf):
    """A linear support vector machine on TF-IDF vectors whose columns count by naive Bayes' log-count ratios.

    One machine for each of several classes; C is chosen. (Wang and Manning, "Baselines and Bigrams: Simple, Good
    Sentiment and Topic Classification", 2012, which has counts in the place of TF-IDF and two classes.)
    """

    def __init__(self, features: str, tokenizer: str) -> None:
        super().__init__(features, "LinearSVC", tokenizer)
        self.name = f"nbsvm/{features}"

    def _linear(self, C: float, split: Split, seed: int) -> Any:
        from sklearn.multiclass import OneVsRestClassifier

        return OneVsRestClassifier(RatioSVC(C, seed))


class FastText(Contestant):
    """fastText's classifier on words and pairs of words; learning rate and epochs are chosen.

    Several threads write to one table without locks, so that results repeat exactly with one thread only.

    Parameters
    ----------
    tokenizer
        Of the words.
    characters
        Lengths, from and to, of the n-grams of characters within words that have vectors too; (0, 0) for none.
    grid
        Pairs of learning rate and epochs to choose from.
    bucket
        Rows of the table that n-grams share.
    """

    def __init__(
        self,
        tokenizer: str,
        characters: tuple[int, int] = (0, 0),
        grid: Sequence[tuple[float, int]] = FASTTEXT_GRID,
        bucket: int = 1_000_000,
    ) -> None:
        self.name = f"fasttext/words{'+characters' if characters[1] else ''}"
        self.tokenizer: str | None = tokenizer
        self._grid = list(grid)
        self._options = dict(wordNgrams=2, minn=characters[0], maxn=characters[1], bucket=bucket, dim=100)

    def settings(self) -> dict[str, Any]:
        """Return the options, the grid and the versions."""
        return {
            **self._options,
            "grid": self._grid,
            "tokenizer": self.tokenizer,
            "versions": versions("fasttext-wheel|fasttext", *packages(self.tokenizer)),
        }

    def run(self, split: Split, tokens: Tokens | None, seed: int, threads: int) -> Outcome:
        """Choose learning rate and epochs, then learn from both parts."""
        import fasttext

        assert tokens is not None
        labels = sorted({*split.training.labels, *split.validation.labels})
        usual = Counter(split.training.labels).most_common(1)[0][0]

        def train(part: Part, rate: float, epochs: int) -> Any:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "texts")
                rows = zip(part.labels, _lines(part.texts, tokens), strict=True)
                file.write_text(
                    "".join(f"__label__{labels.index(label)} {line}" for label, line in rows), encoding="utf-8"
                )
                return fasttext.train_supervised(
                    str(file), lr=rate, epoch=epochs, seed=seed, thread=threads, verbose=0, **self._options
                )

        def predict(model: Any, texts: Sequence[str]) -> list[str]:
            # Its own predict() makes arrays in a way that numpy 2 refuses.
            found, _ = model.f.multilinePredict(list(_lines(texts, tokens)), 1, 0.0, "strict")
            return [labels[int(best[0].removeprefix("__label__"))] if best else usual for best in found]

        start = time.process_time()
        scores = {}
        for rate, epochs in self._grid:
            predicted = predict(train(split.training, rate, epochs), split.validation.texts)
            pairs = zip(predicted, split.validation.labels, strict=True)
            scores[rate, epochs] = sum(guess == label for guess, label in pairs)
        rate, epochs = max(scores, key=scores.__getitem__)
        chosen = time.process_time()
        model = train(split.training + split.validation, rate, epochs)
        seconds = time.process_time() - chosen
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.bin")
            model.save_model(str(file))
            size = file.stat().st_size
        predicted = predict(model, split.test.texts)
        return Outcome(predicted, seconds, size / 1e6, chosen - start, {"learning rate": rate, "epochs": epochs})


class SnowNLP(Contestant):
    """snownlp's naive Bayes on its own words without its stop words, as its ``sentiment`` trains it."""

    name = "snownlp/bayes"
    tokenizer = SNOWNLP

    def settings(self) -> dict[str, Any]:
        """Return the version; there is nothing to choose."""
        return {"versions": versions("snownlp")}

    def run(self, split: Split, tokens: Tokens | None, seed: int, threads: int) -> Outcome:
        """Learn from both parts."""
        from snownlp.classification.bayes import Bayes

        assert tokens is not None
        both = split.training + split.validation
        data = [[tokens(text), label] for text, label in zip(both.texts, both.labels, strict=True)]
        start = time.process_time()
        model = Bayes()
        model.train(data)
        seconds = time.process_time() - start
        with tempfile.TemporaryDirectory() as folder:
            model.save(str(Path(folder, "model")))
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
        return Outcome([model.classify(tokens(text))[0] for text in split.test.texts], seconds, size / 1e6)


class RatioSVC(ClassifierMixin, BaseEstimator):
    """:class:`NaiveBayesSVM` for two classes, as an estimator of scikit-learn."""

    def __init__(self, C: float = 1.0, random_state: int = 0) -> None:
        self.C, self.random_state = C, random_state

    def fit(self, X: Any, y: Any) -> RatioSVC:
        """Learn from a sparse matrix and two labels."""
        from sklearn.svm import LinearSVC

        self.classes_ = np.unique(y)
        answer = np.asarray(y) == self.classes_[-1]
        yes, no = (1 + np.asarray((X[rows] > 0).sum(axis=0)).ravel() for rows in (answer, ~answer))
        self.ratio_ = sparse.diags(np.log((yes / yes.sum()) / (no / no.sum())))
        self.machine_ = LinearSVC(C=self.C, random_state=self.random_state).fit(X @ self.ratio_, y)
        return self

    def decision_function(self, X: Any) -> Any:
        """Return the distance from the plane."""
        return self.machine_.decision_function(X @ self.ratio_)

    def predict(self, X: Any) -> Any:
        """Return the label on whose side of the plane a row is."""
        return self.classes_[(self.decision_function(X) > 0).astype(int)]


def _lines(texts: Iterable[str], tokens: Tokens) -> Iterable[str]:
    """Yield each text's words as a line for fastText, for which NUL is a space and a label is a word."""
    for text in texts:
        words = " ".join(tokens(text)).replace("\0", " ").split()
        line = " ".join(word for word in words if not word.startswith("__label__"))
        yield line.encode("utf-8", "replace").decode() + "\n"
