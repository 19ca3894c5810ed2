"""Ways that a translator's directory can be bad which other models' cannot, and the common ones."""

from __future__ import annotations

import os

import torch

from safety.models import Case, changed, config, header, instead, replaced, weights

CASES: list[Case] = [
    ("`config.json`: of a language model", config(lambda c: c.update(format="textnn-language-model"))),
    ("`config.json`: of a later format", config(lambda c: c.update(format_version=2))),
    ("`config.json`: changed by hand", changed("config.json", lambda c: c.replace(b'"seed": 0', b'"seed": 1'))),
    ("`config.json`: a name that is not known", config(lambda c: c.update(python="import os"))),
    ("`config.json`: a cell of other weights", config(lambda c: c.update(cell="gru"))),
    ("`config.json`: an attention that is not known", config(lambda c: c.update(attention="os.system"))),
    ("`config.json`: an attention of other weights", config(lambda c: c.update(attention=None))),
    ("`config.json`: a level that is not known", config(lambda c: c["source"].update(level="byte"))),
    ("`config.json`: a tokenizer without its files", config(lambda c: c["target"].update(level="tokenizer"))),
    ("`config.json`: a side that is none", config(lambda c: c.update(source=[]))),
    ("`config.json`: an odd hidden size", config(lambda c: c["options"].update(hidden_size=7))),
    ("`config.json`: options that would need 100 GB", config(lambda c: c["options"].update(hidden_size=65536))),
    ("`config.json`: a best epoch that is none", config(lambda c: c["training"].update(best_epoch=-1))),
    ("a vocabulary is missing", lambda directory: (directory / "target-vocabulary.txt").unlink()),
    ("a vocabulary is a pipe", instead("source-vocabulary.txt", os.mkfifo)),
    ("`source-vocabulary.txt`: a token twice", replaced("source-vocabulary.txt", b"[PAD]\n[UNK]\na\na\n")),
    (
        "`target-vocabulary.txt`: fewer tokens than the weights have",
        replaced("target-vocabulary.txt", b"[PAD]\n[UNK]\n"),
    ),
    ("`model.safetensors`: a pickle", replaced("model.safetensors", b"\x80\x04cos\nsystem\n(S'id'\ntR." + b"." * 32)),
    ("`model.safetensors`: a tensor larger than its bytes", header(lambda h: h["bias"].update(shape=[2**39]))),
    ("`model.safetensors`: a tensor too many", weights(lambda w: w.update(hook=torch.zeros(1)))),
    ("`model.safetensors`: NaN", weights(lambda w: w["bias"].fill_(float("nan")))),
]
