"""What integers cost in accuracy: trained classifiers, their weights frozen in int8 and int16, against float32.

    python -m bench.rounding [--data FILE]

Each architecture is trained on reviews once; a row compares the errors of its frozen forms on held-out reviews with
those of the network as it was trained.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from textnn import SentimentClassifier

from .harness import Row, console

FROZEN = {"textcnn": ("int16", "int8"), "bilstm": ("int8",), "lecture-lstm": ("int8",)}
TEXTS = 20000


def texts(data_path: str | None) -> tuple[list[str], list[str]]:
    """Texts and labels, shuffled, as many as are needed."""
    if data_path:
        from textnn.text import read_corpus

        corpus = read_corpus(data_path)
        found = corpus.texts, corpus.labels
    else:
        from textnn.demo import find_reviews, load_reviews

        loaded = load_reviews(*find_reviews())
        found = loaded.texts, loaded.labels
    order = np.random.default_rng(0).permutation(len(found[0]))[:TEXTS]
    return [found[0][i] for i in order], [str(found[1][i]) for i in order]


def rows(data_path: str | None) -> Iterator[Row]:
    words, labels = texts(data_path)
    held_out = len(words) // 5
    for architecture, dtypes in FROZEN.items():
        console.print(f"Training {architecture} on {len(words) - held_out} reviews ...")
        classifier = SentimentClassifier(architecture=architecture, random_state=0, verbose=0)
        classifier.fit(words[held_out:], labels[held_out:])
        live, truth = classifier.predict_proba(words[:held_out]), np.array(labels[:held_out])
        wrong = float((classifier.classes_[live.argmax(1)] != truth).mean())
        for dtype in dtypes:
            frozen = classifier.freeze(dtype=dtype).predict_proba(words[:held_out])
            errors = float((classifier.classes_[frozen.argmax(1)] != truth).mean())
            changed = float((frozen.argmax(1) != live.argmax(1)).mean())
            largest = float(np.abs(frozen - live).max())
            extra = {"other label, %": 100 * changed}
            ratio = wrong / errors if errors else 1.0
            yield Row(
                "Errors on held-out reviews, weights frozen in integers",
                f"{architecture}, {dtype}",
                100 * errors,
                "float32",
                100 * wrong,
                ratio,
                ratio,
                ratio,
                largest,
                extra=extra,
                unit="% wrong",
            )


if __name__ == "__main__":
    from .__main__ import run

    run(["rounding"])
