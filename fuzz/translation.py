"""Targets of the translator: files of pairs of texts, and saved translators."""

from __future__ import annotations

import io
import warnings
from typing import Any

from fuzz import seeds
from fuzz.files import damage_model, damaged, folder
from fuzz.mutation import Entropy


def read_pairs(data: bytes) -> None:
    """Read pairs, or texts alone, in any format, by a path or as a stream; both sides of a pair have something."""
    from textnn.text.pairs import PairReport, iter_pairs

    entropy = Entropy(data)
    need_target = entropy.below(4) > 0
    kinds = [None, None, "csv", "tsv", "jsonl", "json", "lecture", *([] if need_target else ["lines"])]
    options: dict[str, Any] = {"format": entropy.choice(kinds), "need_target": need_target}
    options |= {name: entropy.choice([None, None, None, 0, 1, "1", "en"]) for name in ("source", "target")}
    options |= {"encoding_errors": entropy.choice(["strict", "replace"]), "on_error": entropy.choice(["stop", "skip"])}
    options |= {"header": entropy.choice([None, None, True, False])}
    content = damaged(entropy, seeds.PAIRS)
    source: Any = io.BytesIO(content)
    if entropy.below(4) == 0:
        source = folder() / entropy.choice(["a.csv", "a.tsv", "a.jsonl", "a.json", "a"])
        source.write_bytes(content)
    report = PairReport()
    pairs = list(iter_pairs(source, report=report, **options))
    assert report.kept == len(pairs), report
    for pair in pairs:
        assert isinstance(pair.source, str), pair
        assert isinstance(pair.target, str), pair
        assert not need_target or (pair.source.strip() and pair.target.strip()), pair


def load_translator(data: bytes) -> None:
    """Damage a saved translator, with sums that fit the damage or not; if it loads, it translates."""
    from textnn import Translator

    entropy = Entropy(data)
    directory = damage_model(dict(entropy.choice(seeds.translators())), entropy, folder() / "translator")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        translator = Translator.load(directory)
        found = translator.predict(["物流 很好", "", "x \ud800"], beam=2, max_tokens=4)
        assert len(found) == 3, found
        assert all(isinstance(text, str) for text in found), found
        assert found[1] == "", found
        if translator.attention is not None:
            aligned = translator.align("很好", beam=1, max_tokens=3)
            assert aligned.weights.shape == (len(aligned.target), len(aligned.source)), aligned
