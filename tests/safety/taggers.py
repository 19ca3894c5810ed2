"""Ways that a tagger's directory can be bad which a classifier's cannot, and the common ones."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import torch

from safety.models import Case, changed, config, header, instead, replaced, weights


def tags(names: object, scheme: object = "BIO") -> Callable[[Path], object]:
    """Other tags, with the sum of their file."""
    return replaced("tags.json", json.dumps({"names": names, "scheme": scheme}).encode())


def options(**values: object) -> Callable[[Path], object]:
    return config(lambda c: c["options"].update(values))


_BIES = ["O", *(f"{letter}-{kind}" for kind in ("LOC", "PER") for letter in "BIES")]

CASES: list[Case] = [
    ("`config.json`: of a classifier", config(lambda c: c.update(format="textnn-model"))),
    ("`config.json`: of a later format", config(lambda c: c.update(format_version=2))),
    ("`config.json`: changed by hand", changed("config.json", lambda c: c.replace(b'"seed": 0', b'"seed": 1'))),
    ("`config.json`: a name that is not known", config(lambda c: c.update(python="import os"))),
    ("`config.json`: an architecture that is not known", config(lambda c: c.update(architecture="os.system"))),
    ("`config.json`: an architecture of other weights", config(lambda c: c.update(architecture="bigru-crf"))),
    ("`config.json`: a level that is not known", config(lambda c: c.update(level="byte"))),
    ("`config.json`: the level of other files", config(lambda c: c.update(level="char"))),
    ("`config.json`: an option that is not known", options(bigram_dim=3)),
    ("`config.json`: an option without measure", options(hidden_size=10**12)),
    ("`config.json`: options that would need 100 GB", options(hidden_size=65536)),
    ("`config.json`: n-grams in a single row", options(ngram_buckets=1)),
    ("`config.json`: pairs without measure", config(lambda c: c.update(pairs=2**40))),
    ("`config.json`: scores that are none", config(lambda c: c["training"].update(spans={"PER": [1, -1, 0]}))),
    ("`config.json`: a history that is none", config(lambda c: c["training"].update(history=[1]))),
    ("a file is missing", lambda d: (d / "tags.json").unlink()),
    ("the letters of words are missing", config(lambda c: c["files"].pop("characters.txt"))),
    ("a file is cut off", changed("characters.txt", lambda content: content[:-3])),
    ("a file is a pipe", instead("tags.json", os.mkfifo)),
    ("a file is a link to a device", instead("tags.json", lambda file: file.symlink_to("/dev/zero"))),
    ("`tags.json`: no JSON", replaced("tags.json", b"\x80\x04\x95pickle")),
    ("`tags.json`: no object", replaced("tags.json", b"[]")),
    ("`tags.json`: no tags", tags([])),
    ("`tags.json`: a tag that is none", tags([*_BIES[:-1], 7])),
    ("`tags.json`: a tag twice", tags([*_BIES[:-1], "O"])),
    ("`tags.json`: a tag of no scheme", tags([*_BIES[:-1], "PER"])),
    ("`tags.json`: a type without all of its tags", tags(_BIES[:-1])),
    ("`tags.json`: a scheme that is none", tags(_BIES, "XYZ")),
    ("`tags.json`: fewer tags than the weights have", tags(_BIES[:5])),
    ("`tags.json`: a million tags", tags([f"t{number}" for number in range(10**6)], None)),
    ("`characters.txt`: fewer letters than the weights have", replaced("characters.txt", b"[PAD]\n[UNK]\n")),
    ("`vocabulary.txt`: a word twice", replaced("vocabulary.txt", b"[PAD]\n[UNK]\na\na\n")),
    ("`model.safetensors`: a pickle", replaced("model.safetensors", b"\x80\x04cos\nsystem\n(S'id'\ntR." + b"." * 32)),
    ("`model.safetensors`: a tensor larger than its bytes", header(lambda h: h["output.bias"].update(shape=[2**39]))),
    ("`model.safetensors`: a tensor too many", weights(lambda w: w.update(hook=torch.zeros(1)))),
    ("`model.safetensors`: another type", weights(lambda w: w.update(kinds=w["kinds"].float()))),
    ("`model.safetensors`: NaN", weights(lambda w: w["crf.transitions"].fill_(float("nan")))),
    ("`model.safetensors`: kinds below 0", weights(lambda w: w["kinds"].fill_(-1))),
]
