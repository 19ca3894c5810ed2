"""Targets of the tagger: files of tagged sentences, and saved taggers."""

from __future__ import annotations

import io
import warnings
from typing import Any

from fuzz import seeds
from fuzz.files import damage_model, damaged, folder
from fuzz.mutation import Entropy


def read_tagged(data: bytes) -> None:
    """Read tagged sentences, or tokens, in any format, by a path or as a stream; there is a tag for each token."""
    from textnn.tagging.files import FORMATS, LEVELS, UNTAGGED_FORMATS, iter_tagged
    from textnn.tagging.files import read_tagged as read_all

    entropy = Entropy(data)
    need_tags = entropy.below(4) > 0
    kind = entropy.choice([None, None, *FORMATS] if need_tags else UNTAGGED_FORMATS)
    options: dict[str, Any] = {name: entropy.choice([None, None, 0, 1, -1]) for name in ("token_column", "tag_column")}
    options |= {"encoding_errors": entropy.choice(["strict", "replace"]), "on_error": entropy.choice(["stop", "skip"])}
    options |= {"level": entropy.choice([level for level in LEVELS if kind != "words" or level != "word"])}
    content = damaged(entropy, seeds.TAGGED)
    source: Any = io.BytesIO(content)
    if entropy.below(4) == 0:
        source = folder() / entropy.choice(["a.conll", "a.conllu", "a.jsonl", "a.json", "a.csv", "a"])
        source.write_bytes(content)
    if need_tags and entropy.below(2):
        sentences, report = read_all(source, kind, **options)
        assert report.tokens == sum(len(sentence.tokens) for sentence in sentences), report
        assert report.sentences == len(sentences), report
    else:
        sentences = list(iter_tagged(source, kind, need_tags=need_tags, **options))
    for sentence in sentences:
        assert len(sentence.tags) == (len(sentence.tokens) if need_tags else 0), sentence
        assert sentence.tokens, sentence
        assert all(isinstance(each, str) and each for each in (*sentence.tokens, *sentence.tags)), sentence


def load_tagger(data: bytes) -> None:
    """Damage a saved tagger, with sums that fit the damage or not; if it loads, it tags."""
    from textnn import SequenceTagger

    entropy = Entropy(data)
    directory = damage_model(dict(entropy.choice(seeds.taggers())), entropy, folder() / "tagger")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tagger = SequenceTagger.load(directory)
        sentences = [["好", "x"], ["\ud800"]]
        assert [len(tags) for tags in tagger.predict(sentences)] == [2, 1]
        if tagger.state_.is_segmenter:
            assert "".join(tagger.cut("物流 很好")) == "物流很好"
        elif tagger.scheme_ is not None:
            assert all(0 <= entity.start < entity.end for entity in tagger.entities("物流 很好"))
