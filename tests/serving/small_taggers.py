"""Small taggers that train in a moment: of names, of words, and of parts of speech."""

from __future__ import annotations

import itertools

from textnn import SequenceTagger

PEOPLE, PLACES, VERBS = ("李白", "杜甫", "王维"), ("北京", "长安", "苏州"), ("在", "来到")
SENTENCES = [[*words, "。"] for words in itertools.product(PEOPLE, VERBS, PLACES)] * 3
KINDS = ["nr", "v", "ns", "w"]
TEXT = "李白来到苏州。"


def find_names(**parameters: object) -> SequenceTagger:
    """Train a tagger of characters on the types PER and LOC."""
    types = {"nr": "PER", "ns": "LOC"}
    tags = [
        [
            f"{'I' if place else 'B'}-{types[kind]}" if kind in types else "O"
            for word, kind in zip(words, KINDS, strict=True)
            for place, _ in enumerate(word)
        ]
        for words in SENTENCES
    ]
    return _make(parameters).fit([list("".join(words)) for words in SENTENCES], tags)


def cut_words(kinds: bool = True) -> SequenceTagger:
    """Train a segmenter, with parts of speech or without."""
    return _make({}).fit_words(SENTENCES, [KINDS] * len(SENTENCES) if kinds else None)


def tag_words() -> SequenceTagger:
    """Train a tagger of words whose tags mark no spans."""
    return _make({"level": "word", "scheme": None}).fit(SENTENCES, [KINDS] * len(SENTENCES))


def _make(parameters: dict[str, object]) -> SequenceTagger:
    options = {"architecture": "ngram-crf", "epochs": 6, "random_state": 0, "verbose": 0, **parameters}
    return SequenceTagger(**options)
