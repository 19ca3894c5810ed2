"""Valid files, small ones, that the targets damage: models, taggers, a checkpoint, corpora, vectors, word lists.

Models are of each kind that is stored differently: words alone or characters too, one label a text or several, labels
that are strings, numbers or tuples, user dictionary and stop words, one network or an ensemble.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import struct
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

Files = dict[str, bytes]

TEXTS = ("很 好 喜欢 值得", "很 差 失望 退货", "房间 很 好", "物流 很 差", "", "x 😀 <script>", "好 " * 40)
VOCABULARY = ["[PAD]", "[UNK]", "很", "好", "差", "a b", "\\", "\u3000", "😀", "\n", "\ud800", ""]

CORPORA = (
    b"label,text\n1,good\n0,bad\n",
    'label,review\n好,"多行\n文本, 引号""在内"\n坏,差\n'.encode(),
    "label,text\n好,物流很快包装完好\n坏,差\n".encode("gb18030"),
    b"text\tlabel\nI like it\tpos\n\nno\tneg\n",
    "物流很快\t1\n差评\t0\n".encode(),
    '{"text": "好", "label": 1}\n{"text": null, "label": "a"}\n'.encode(),
    b'{"a": [1, {"b": 2}], "text": "x", "label": true}\n{"text": "\\ud83d\\ude00", "label": 1.5}\n',
    "一行一个文本\n\n第二行\r\n".encode(),
    "__label__好 很 好\n__label__a __label__b x\n\nx __label__ y\n".encode(),
    b'"text";label\n"a;b";1\nc,d;0\n',
    b"\xef\xbb\xbflabel,text\r\n1,a\r\n",
    "label,text\n1,好\n".encode("utf-16"),
    "label,text\n1,房間很乾淨\n0,再也不來了\n".encode("big5"),
    "label,text\n1,Très bien\n0,déçu\n".encode("cp1252"),
    b"sep=;\r\ntext;label;;\r\na;1;;\r\n",
    b'[{"text": "a", "label": 1},\n {"text": "b",\n  "label": 0}]\n',
    b'{"columns": ["text", "label"], "index": [0], "data": [["a", 1]]}',
    b'{"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 0}}',
    b'[["a", 1], ["b", 0]]',
    b"",
    b"\n \n\t\n",
)
TAGGED = (
    b"Ann NNP B-PER\nran VBD O\n\n-DOCSTART- -X- O\n\nBob NNP B-PER\n",
    b"# text = du\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde\tde\tADP\t_\t_\t_\t_\t_\t_\n",
    "我 来到 北京\n好\u3000的\n".encode(),
    "[中央/n 电台/n]nt 我/r\n//w 来到/v\n".encode(),
    "叶 B-name\n老 I-name\n  O\n".encode("gb18030"),
    b'{"text": "Ann ran to New York-based firm", "label": [[0, 3, "PER"], [11, 19, "LOC"], [15, 25, "X"]]}\n',
    '{"text": "叶老桂认为", "label": {"name": {"叶老桂": [[0, 2]]}}}\n{"text": "好", "entities": []}\n'.encode(),
    b'[["Ann ran", {"entities": [[0, 3, "PER"]]}], ["Hi", {"entities": []}]]',
    b'[{"data": {"text": "Ann"}, "annotations": [{"result": [{"value": {"start": 0, "end": 3, "labels": ["P"]}}]}]}]',
    b'{"tokens": ["Ann", "ran"], "ner_tags": ["B-PER", "O"]}\n',
    b'Sentence #,Word,POS,Tag\nSentence: 1,Ann,NNP,B-PER\n,ran,VBD,O\n,",",",",O\nSentence: 2,"""\n""",``,O\n',
    b"word\ttag\nAnn\tB-PER\n\nran\tO\n",
    b"",
)
PAIRS = (
    "Hi.\t你好。\nRun!\t跑！\n".encode(),
    "Hi.\t你好。\tCC-BY 2.0\nRun!\t跑！\tCC-BY 2.0\n".encode(),
    'en,zh\n"Hi, Tom.",你好\n,\n"a ""b""",空\n'.encode(),
    '{"source": "Hi.", "target": "你好。"}\n{"source": "Run!", "target": null}\n'.encode(),
    '[{"en": "Hi.", "zh": "你好。", "id": 1}, {"en": "Run!", "zh": "跑！", "id": 2}]'.encode(),
    b"one\n\ntwo\n",
    b"",
)
VECTORS = b"5 3\n\xe5\xa5\xbd 0.1 0.2 0.3\n\xe5\xb7\xae -1 2e-3 3\na b 1 2 3\nx 1 2 3\n\xe5\xbe\x88 4 5 6\n"
WORDS = (
    b"[PAD]\n[UNK]\n\xe5\xa5\xbd\n\\n\n\\\\\n\\ud800\n\\U0001f600\n\n",
    "物流很好 10\n新词 n\n新词二 5 n\n单\n".encode(),
    "石墨烯\t100\tn\n石墨烯,5\n石墨烯  7 N\n".encode(),
    b"a\r\nb\r\n",
    b"",
)
LABELS = (
    b'["neg", "pos"]',
    b"[0, 1, 2]",
    b"[false, true]",
    b"[0.5, Infinity]",
    b'[{"tuple": ["a", 1]}, {"tuple": [{"tuple": []}]}, {"bytes": "00ff"}]',
    b'[1, "1", "\\ud800", "\\u001b[2J"]',
)


@functools.cache
def models() -> list[Files]:
    """Return saved models, each as the content of its files."""
    from textnn import SentimentClassifier

    small: dict[str, Any] = {"embedding_dim": 3, "epochs": 1, "random_state": 0, "verbose": 0, "min_count": 1}
    convolution = {**small, "channels": 3, "kernel_sizes": (1, 2)}
    wide = {**convolution, "character_kernel_sizes": (2,), "ngram_buckets": 16}
    recurrent = {**small, "hidden_size": 3}
    several = [["a"], ["a", "b"], [], ["b"]] * 6
    cases: list[tuple[str, dict[str, Any], Any]] = [
        ("textcnn", {**convolution, "tokenizer": "whitespace", "stop_words": ["了"]}, ["neg", "pos", "pos", "neg"] * 6),
        ("wide-textcnn", {**wide, "tokenizer": "whitespace", "ensemble": 2}, [0, 1, 2, 0] * 6),
        ("lstm", {**recurrent, "tokenizer": "char", "output": "sigmoid"}, [False, True, True, False] * 6),
        ("lecture-lstm", {**recurrent, "tokenizer": "whitespace"}, [("a", 1), ("b", 2), b"c", "\ud800"] * 6),
        ("bilstm", {**recurrent, "tokenizer": "whitespace", "class_weight": "balanced"}, several),
        ("gru", {**recurrent, "tokenizer": "whitespace"}, [0, 1, 1, 0] * 6),
        ("mlp", {**recurrent, "tokenizer": "whitespace", "num_layers": 2}, ["neg", "pos", "pos", "neg"] * 6),
        ("textcnn", {**convolution, "tokenizer": "rjieba", "user_dictionary": ["很好 10", "退货 n"]}, [1.5, 2.5] * 12),
    ]
    return [
        _saved(SentimentClassifier(architecture, **parameters), list(TEXTS[:4]) * 6, labels)
        for architecture, parameters, labels in cases
    ]


@functools.cache
def taggers() -> list[Files]:
    """Return saved taggers, each as the content of its files."""
    from textnn import SequenceTagger

    small: dict[str, Any] = {"epochs": 1, "random_state": 0, "verbose": 0, "min_count": 1, "ngram_buckets": 16}
    deep = {**small, "embedding_dim": 3, "hidden_size": 2}
    words, characters = [["Ann", "ran"], ["Bob", "met"]] * 8, ["很好", "退货"] * 8
    spans, speech = [["B-PER", "O"]] * 16, [["NR", "VV"]] * 16
    cases: list[tuple[str, dict[str, Any], Any, Any]] = [
        ("bilstm-crf", {**deep, "channels": 2}, words, spans),
        ("cnn-crf", {**deep, "bigram_dim": 2}, characters, spans),
        ("ngram-crf", small, words, speech),
        ("ngram-crf", {**small, "level": "char", "scheme": "BMES"}, characters, [["B", "E"], ["S", "S"]] * 8),
    ]
    return [_saved(SequenceTagger(name, **parameters), X, y) for name, parameters, X, y in cases]


@functools.cache
def language_models() -> list[Files]:
    """Return saved language models, each as the content of its files."""
    from textnn import LanguageModel

    small: dict[str, Any] = {"epochs": 1, "random_state": 0, "verbose": 0, "min_count": 1, "batch_size": 2, "window": 8}
    small |= {"embedding_dim": 3, "hidden_size": 2}
    cases: list[dict[str, Any]] = [
        {**small, "num_layers": 2},
        {**small, "level": "word", "cell": "gru", "tied": False},
        {**small, "level": "whitespace", "cell": "rnn", "context": "stream"},
    ]
    return [_saved(LanguageModel(**parameters), list(TEXTS[:3]) * 6, None) for parameters in cases]


@functools.cache
def translators() -> list[Files]:
    """Return saved translators, each as the content of its files."""
    from textnn import Translator

    small: dict[str, Any] = {"epochs": 1, "random_state": 0, "verbose": 0, "min_count": 1, "batch_size": 4}
    small |= {"embedding_dim": 3, "hidden_size": 4}
    cases: list[dict[str, Any]] = [
        small,
        {**small, "cell": "gru", "attention": "dot", "tied": False, "source_level": "char"},
        {**small, "cell": "rnn", "attention": None, "target_level": "whitespace", "num_layers": 2},
    ]
    X, y = ["很 好", "物流 好", "差"] * 6, ["very good", "good mail", "bad"] * 6
    return [_saved(Translator(**parameters), X, y) for parameters in cases]


def _saved(estimator: Any, X: Any, y: Any) -> Files:
    """Return the files of an estimator, fitted and saved."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y).save(Path(folder) / "model")
        return {file.name: file.read_bytes() for file in sorted((Path(folder) / "model").iterdir())}


def resume_training(folder: Path, resume: bool, stop: bool = False) -> None:
    """Train a tiny network with a checkpoint in ``folder``; ``stop`` breaks it off in its second epoch."""
    from textnn.classification.objectives import Softmax
    from textnn.models import build_model, resolve_options
    from textnn.text import RaggedDataset
    from textnn.training.checkpoint import Checkpoint
    from textnn.training.loop import TrainingOptions, seeded, train
    from textnn.training.progress import Reporter

    class Breaker(Reporter):
        batches = 0

        def batch(self, loss: float, accuracy: float) -> None:
            self.batches += 1
            if stop and self.batches == 3:
                raise KeyboardInterrupt

    options = TrainingOptions(
        epochs=2,
        batch_size=4,
        learning_rate=0.01,
        weight_decay=0.0,
        patience=1,
        bucket=False,
        clip_norm=1.0,
        schedule="constant",
        warmup=0.0,
    )
    data = RaggedDataset([[2, 3], [3], [4, 2, 5], [5]] * 2, [0, 1] * 4)
    with seeded(0, torch.device("cpu")):
        sizes = {"embedding_dim": 2, "hidden_size": 2, "num_layers": 1, "max_length": 3}
        model = build_model("lecture-lstm", [6], 2, resolve_options("lecture-lstm", sizes))
        keep = Checkpoint(folder, resume=resume, seconds=0 if stop else 3600)
        train(model, data, options, torch.Generator().manual_seed(0), Softmax(), data, Breaker(), checkpoint=keep)


@functools.cache
def checkpoint() -> bytes:
    """Return the checkpoint of a training in the middle of its second epoch."""
    from textnn.training.checkpoint import FILE

    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(KeyboardInterrupt):
            resume_training(Path(folder), False, stop=True)
        return (Path(folder) / FILE).read_bytes()


@functools.cache
def vectors() -> list[bytes]:
    """Return files of vectors: plain, without header, compressed in each way, and binary."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("words.vec", VECTORS)
    packed = [pack(VECTORS) for pack in (gzip.compress, bz2.compress, lzma.compress)]
    bomb = gzip.compress(b"a 1 2 3\n" * 500) + gzip.compress(b"1 " * 1_100_000)
    values = struct.pack("<3f", 0.1, -2.0, 3e5)
    binary = b"3 3\n" + b"".join(word.encode() + b" " + values + b"\n" for word in ("好", "x", "差"))
    packed += [binary, gzip.compress(binary), binary.replace(b"\n\xe5", b"\xe5")]
    return [VECTORS, VECTORS.split(b"\n", 1)[1], *packed, archive.getvalue(), bomb, b"\xff\xfe" + VECTORS, b""]
