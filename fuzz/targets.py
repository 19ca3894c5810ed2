"""The targets: each a function of bytes, which reads what is made of them as a user's program would.

    bytes -> choices and damage (``mutation``) -> files -> reader -> what was read is used

``TARGETS`` has with each the errors that its documentation promises; anything else is a finding.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fuzz import language, requests, seeds, tagging, translation
from fuzz.files import damage_model, damaged, folder
from fuzz.mutation import VALUES, Entropy, damage_bytes, damage_tensors, damage_value, write_json
from textnn.bundle import BundleError
from textnn.bundle.config import seal
from textnn.text import CorpusError, Vocabulary
from textnn.text.tokenizers import DictionaryTokenizer
from textnn.training.checkpoint import CheckpointError


@dataclass(frozen=True)
class Target:
    """A target.

    Attributes
    ----------
    run
        Takes an input.
    allowed
        Errors that it may raise.
    seeds
        Inputs to begin with; the engine changes them.
    """

    run: Callable[[bytes], None]
    allowed: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]


def load_model(data: bytes) -> None:
    """Damage a saved model, with sums that fit the damage or not; if it loads, it predicts."""
    from textnn import SentimentClassifier

    entropy = Entropy(data)
    directory = damage_model(dict(entropy.choice(seeds.models())), entropy, folder() / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = SentimentClassifier.load(directory)
        if isinstance(classifier.tokenizer_, DictionaryTokenizer) and entropy.below(64):
            return  # its dictionary takes a second to load, whatever the input
        table = classifier.predict_proba(list(seeds.TEXTS))
        assert table.shape == (len(seeds.TEXTS), len(classifier.classes_)), table.shape
        assert len(classifier.predict(list(seeds.TEXTS))) == len(seeds.TEXTS)
        if (report := classifier.validation_report_) is not None:
            assert 0 <= report.accuracy <= 1, report.accuracy
            assert 0 <= report.macro.f1 <= 1, report.macro
            assert "\x1b" not in report.summary(), report.classes


def parse_config(data: bytes) -> None:
    """Read a configuration, with its own sum or without; what is accepted has the form that loading expects."""
    from textnn.bundle.config import file_sums, parse_config
    from textnn.classification.bundle import FORMAT

    entropy = Entropy(data)
    config = json.loads(entropy.choice(seeds.models())["config.json"])
    for _ in range(entropy.below(4)):
        config = damage_value(config, entropy)
    if isinstance(config, dict):
        with contextlib.suppress(ValueError, RecursionError):
            config = seal(config) if entropy.below(2) else {k: v for k, v in config.items() if k != "sha256"}
    content = write_json(config, entropy)
    content = damage_bytes(content, entropy) if entropy.below(4) == 0 else content
    sums = file_sums(parse_config(content, FORMAT), FORMAT)
    assert all("/" not in name and len(stored["sha256"]) == 64 for name, stored in sums.items()), sums


def read_tensors(data: bytes) -> None:
    """Read a safetensors file; what is accepted has the tensors that the format's own library finds."""
    import torch
    from safetensors.torch import load

    from textnn.tensor_file import read_header
    from textnn.tensor_file import read_tensors as read

    entropy = Entropy(data)
    content = entropy.choice([*(files["model.safetensors"] for files in seeds.models()), seeds.checkpoint()])
    content = damage_tensors(content, entropy)
    file = folder() / "tensors"
    file.write_bytes(content)
    with file.open("rb") as stream:
        found = read(stream, read_header(stream))
    expected = load(content)
    assert set(found) == set(expected), set(found) ^ set(expected)
    for name, tensor in found.items():
        other = expected[name]
        assert (tensor.dtype, tensor.shape) == (other.dtype, other.shape), name
        assert torch.equal(tensor.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8)), name


def resume_checkpoint(data: bytes) -> None:
    """Damage a checkpoint, with a sum that fits or not; if it is accepted, the training goes on to its end."""
    from textnn.training.checkpoint import FILE, _sum
    from textnn.training.loop import TrainingError

    entropy, content = Entropy(data), seeds.checkpoint()
    if entropy.below(4) == 0:
        content = damage_tensors(content, entropy)
    else:
        length = int.from_bytes(content[:8], "little")
        header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
        state = json.loads(header["__metadata__"]["content"])
        for _ in range(entropy.below(3)):
            state = {**state, "state": damage_value(state["state"], entropy)}
        if entropy.below(8) == 0:
            state = damage_value(state, entropy)
        text = write_json(state, entropy).decode("utf-8", "replace")
        if entropy.below(4) == 0:
            place = entropy.below(len(body))
            body = body[:place] + entropy.take(4) + body[place + 4 :]
            body = body[: len(content) - 8 - length].ljust(len(content) - 8 - length, b"\0")
        header["__metadata__"]["content"] = text
        written = json.dumps({key: value for key, value in header.items() if key != "__metadata__"}).encode()
        from safetensors.torch import load, save

        tensors = load(len(written).to_bytes(8, "little") + written + body)
        if entropy.below(16):
            header["__metadata__"]["sum"] = _sum(text, tensors)
        content = save(tensors, header["__metadata__"])
    target = folder() / "checkpoint"
    target.mkdir(exist_ok=True)
    (target / FILE).write_bytes(content)
    with warnings.catch_warnings(), contextlib.suppress(TrainingError):
        warnings.simplefilter("ignore")
        seeds.resume_training(target, True)


def read_corpus(data: bytes) -> None:
    """Read a corpus in any format and encoding, by its path or as a stream."""
    from textnn.text import FORMATS, CorpusReport, iter_records

    entropy = Entropy(data)
    kind = entropy.choice([None, *FORMATS])
    encoding = entropy.choice(
        [None, None, None, "utf-8", "gb18030", "utf-16", "latin-1", "utf-7", "gbk", "utf-32", "big5"]
    )
    text = entropy.choice([None, None, None, 0, "text", "1"])
    label = entropy.choice([None, None, None, 1, "label", "x"])
    need_label = entropy.below(2) == 1 and kind != "lines"
    options: dict[str, Any] = {"need_label": need_label, "keep_empty": entropy.below(2) == 1}
    options["label_separator"] = entropy.choice([None, None, ";", ","])
    options |= {"encoding_errors": entropy.choice(["strict", "replace"]), "on_error": entropy.choice(["stop", "skip"])}
    options |= {"delimiter": entropy.choice([None, None, None, ";", "\t", "x"])}
    options |= {name: entropy.choice([None, None, True, False]) for name in ("quoting", "header", "escape")}
    content = damaged(entropy, seeds.CORPORA)
    source: Any = io.BytesIO(content)
    if entropy.below(4) == 0:
        source = folder() / entropy.choice(["a.csv", "a.tsv", "a.jsonl", "a.json", "a"])
        source.write_bytes(content)
    report = CorpusReport()
    for record in iter_records(source, text, label, kind, encoding, report=report, **options):
        assert isinstance(record.text, str), record
        assert "\0" not in record.text or "json" in str(report.layout.format), record
        record.text.encode("utf-8")
        assert not need_label or record.label is not None, record


def read_vectors(data: bytes) -> None:
    """Read word vectors, packed or not."""
    import torch

    from textnn.text import read_vectors

    entropy = Entropy(data)
    file = folder() / "words.vec"
    dim = entropy.choice([None, None, 3, 1])
    file.write_bytes(damaged(entropy, seeds.vectors()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_vectors(file, Vocabulary(seeds.VOCABULARY), dim)
    assert found.values.shape == (len(found.rows), found.dim)
    assert bool(torch.isfinite(found.values).all())


def read_words(data: bytes) -> None:
    """Read a word list, a vocabulary, a user dictionary and stop words; what was read survives being written."""
    from textnn.text import WhitespaceTokenizer, load_words, make_tokenizer, save_words

    entropy = Entropy(data)
    file = folder() / "words.txt"
    kind = entropy.below(4)
    file.write_bytes(damaged(entropy, seeds.WORDS))
    if kind == 0:
        words = load_words(file)
        save_words(words, file)
        assert load_words(file) == words, words
    elif kind == 1:
        vocabulary = Vocabulary.load(file)
        assert vocabulary.encode(vocabulary.tokens)[2:] == list(range(2, len(vocabulary)))
    elif kind == 2:
        make_tokenizer("rjieba", user_dictionary=file)
    else:
        made = make_tokenizer("whitespace", stop_words=file)
        assert isinstance(made, WhitespaceTokenizer)
        made("好 a b")


def read_labels(data: bytes) -> None:
    """Read the labels of a model; what was read survives being written."""
    from textnn.bundle.files import to_json
    from textnn.data.labels import labels_from_json, labels_to_json
    from textnn.reading import parse_json

    entropy = Entropy(data)
    content = entropy.choice(seeds.LABELS)
    if entropy.below(2):
        content = write_json(damage_value(json.loads(content), entropy), entropy)
    else:
        content = damage_bytes(content, entropy)
    classes = labels_from_json(parse_json(content, constants=True), fewest=1)
    again = labels_from_json(parse_json(to_json(labels_to_json(classes)), constants=True), fewest=1)
    assert again.tolist() == classes.tolist(), classes
    assert [type(label) for label in again.tolist()] == [type(label) for label in classes.tolist()], classes


def resume_output(data: bytes) -> None:
    """Go on with an output that was broken off, whose rows and state are damaged; then it is finished."""
    from _textnn_cli.partial import open_partial
    from _textnn_cli.rows import KINDS, Output, Row
    from textnn.text import iter_records

    entropy = Entropy(data)
    target = folder() / "output"
    target.mkdir(exist_ok=True)
    corpus = "好 1\n差 2\n\nx\n".encode()
    settings = {"the model": "abc", "the size of FILE": len(corpus), "--threads": 1}
    kind = entropy.choice(list(KINDS))

    def work(resume: bool, stop: bool) -> None:
        with open_partial(str(target / "out"), settings, resume, True) as sink:
            write = Output(kind, probabilities=True).writer(sink.stream, ["a", 1], not sink.state.size)
            records = iter_records(io.BytesIO(corpus), format="lines", keep_empty=True)
            sink.skip(records, "FILE")
            for number, record in enumerate(records):
                row = Row(record.line, record.text, "a", 0.5, [0.5, 0.5]) if record.text else Row(3, "", *[None] * 3)
                write(row)
                sink.count(row)
                sink._saved_at = -1e9
                sink.flush()
                if stop and number == 1:
                    raise KeyboardInterrupt

    for file in target.iterdir():
        file.unlink()
    with contextlib.suppress(KeyboardInterrupt), contextlib.redirect_stderr(io.StringIO()):
        work(False, True)
    state, rows = target / ".out.partial.json", target / ".out.partial"
    stored = json.loads(state.read_bytes())
    for _ in range(entropy.below(3)):
        stored = damage_value(stored, entropy)
    state.write_bytes(write_json(stored, entropy))
    if entropy.below(4) == 0:
        rows.write_bytes(damage_bytes(rows.read_bytes(), entropy))
    with contextlib.redirect_stderr(io.StringIO()):
        work(True, False)
    assert (target / "out").is_file()


def read_json(data: bytes) -> None:
    """Read JSON; what is accepted is JSON to Python's reader too, and the same."""
    from textnn.reading import parse_json

    entropy = Entropy(data)
    value = damage_value(entropy.choice([*VALUES, *map(json.loads, seeds.LABELS)]), entropy)
    content = write_json(value, entropy)
    content = damage_bytes(content, entropy) if entropy.below(2) else content
    assert parse_json(content) == json.loads(content)


def _any() -> list[bytes]:
    return [hashlib.blake2b(bytes([number]), digest_size=64).digest() * 2 for number in range(32)]


def _written() -> list[bytes]:
    return [*_any(), *(b"\0" * 8 + content for content in seeds.CORPORA)]


def _tagged() -> list[bytes]:
    return [*_any(), *(b"\1" * 7 + content for content in seeds.TAGGED)]


def _run_error() -> type[Exception]:
    from _textnn_cli.common import RunError

    return RunError


TARGETS: dict[str, Target] = {
    "model": Target(load_model, (BundleError,), _any),
    "config": Target(parse_config, (ValueError,), _any),
    "tensors": Target(read_tensors, (ValueError,), _any),
    "checkpoint": Target(resume_checkpoint, (CheckpointError,), _any),
    "corpus": Target(read_corpus, (CorpusError,), _written),
    "tagged": Target(tagging.read_tagged, (CorpusError,), _tagged),
    "tagger": Target(tagging.load_tagger, (BundleError,), _any),
    "language": Target(language.load_language_model, (BundleError,), _any),
    "pairs": Target(translation.read_pairs, (CorpusError,), _tagged),
    "translator": Target(translation.load_translator, (BundleError,), _any),
    "vectors": Target(read_vectors, (ValueError,), _any),
    "words": Target(read_words, (ValueError,), _written),
    "labels": Target(read_labels, (ValueError,), _any),
    "json": Target(read_json, (ValueError,), _written),
    "output": Target(resume_output, (ValueError, _run_error()), _any),
    "request": Target(requests.send_request, (requests.RefusedError,), requests.beginnings),
}
