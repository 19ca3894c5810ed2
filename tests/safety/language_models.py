"""Ways that a language model's directory can be bad which other models' cannot, and the common ones."""

from __future__ import annotations

import os

import torch

from safety.models import Case, changed, config, header, instead, replaced, weights

CASES: list[Case] = [
    ("`config.json`: of a classifier", config(lambda c: c.update(format="textnn-model"))),
    ("`config.json`: of a later format", config(lambda c: c.update(format_version=2))),
    ("`config.json`: changed by hand", changed("config.json", lambda c: c.replace(b'"seed": 0', b'"seed": 1'))),
    ("`config.json`: a name that is not known", config(lambda c: c.update(python="import os"))),
    ("`config.json`: a cell that is not known", config(lambda c: c.update(cell="os.system"))),
    ("`config.json`: a cell of other weights", config(lambda c: c.update(cell="gru"))),
    ("`config.json`: a level that is not known", config(lambda c: c.update(level="byte"))),
    ("`config.json`: a tokenizer without its files", config(lambda c: c.update(level="tokenizer"))),
    ("`config.json`: an option that is not known", config(lambda c: c["options"].update(channels=3))),
    ("`config.json`: an option without measure", config(lambda c: c["options"].update(hidden_size=10**12))),
    ("`config.json`: options that would need 100 GB", config(lambda c: c["options"].update(hidden_size=65536))),
    ("`config.json`: a context that is none", config(lambda c: c["options"].update(context="book"))),
    ("`config.json`: a best epoch that is none", config(lambda c: c["training"].update(best_epoch=-1))),
    ("a file is missing", lambda directory: (directory / "vocabulary.txt").unlink()),
    ("a file is a pipe", instead("vocabulary.txt", os.mkfifo)),
    ("`vocabulary.txt`: a token twice", replaced("vocabulary.txt", "[PAD]\n[UNK]\n春\n春\n".encode())),
    ("`vocabulary.txt`: words of a model of characters", replaced("vocabulary.txt", "[PAD]\n[UNK]\n春风\n".encode())),
    ("`vocabulary.txt`: fewer tokens than the weights have", replaced("vocabulary.txt", "[PAD]\n[UNK]\n春\n".encode())),
    ("`model.safetensors`: a pickle", replaced("model.safetensors", b"\x80\x04cos\nsystem\n(S'id'\ntR." + b"." * 32)),
    ("`model.safetensors`: a tensor larger than its bytes", header(lambda h: h["bias"].update(shape=[2**39]))),
    ("`model.safetensors`: a tensor too many", weights(lambda w: w.update(states=torch.zeros(1)))),
    ("`model.safetensors`: NaN", weights(lambda w: w["bias"].fill_(float("nan")))),
]
