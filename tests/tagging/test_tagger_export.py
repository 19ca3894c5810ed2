"""Exports of taggers: the same emissions and tags as the tagger's, of what a directory without textnn holds."""

from __future__ import annotations

import functools
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported_taggers import (
    FILLERS,
    KINDS,
    NAMES,
    SMALL,
    emissions_of,
    fit,
    hard_sentences,
    load_script,
    make_tagged,
    shake,
)
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import SequenceTagger
from textnn.export.tagging import consumer
from textnn.tagging import convert_tags
from textnn.tagging.encoding import LONGEST_WORD, fold
from textnn.tagging.lexicon import Lexicon, lexicon_settings
from textnn.tagging.schemes import SCHEMES
from textnn.tagging.texts import piece_settings, pieces
from textnn.tagging.windows import Windows, hash_features, hash_settings, lexicon_features, window_features

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4  # float32 in another order, of weights that are larger than trained ones
TEXTS = ["", " \n", "张三在北京工作。\n李小明  去上海", "好" * 900, "今天。" * 150 + "王五", "Ａx７\t\ud800😀"]


@functools.cache
def tagger(kind: str) -> SequenceTagger:
    return shake(fit(kind))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Export a tagger once, as a program of torch's, and return its directory."""

    @functools.cache
    def export(kind: str) -> Path:
        path: Path = tmp_path_factory.mktemp("tagger") / "exported"
        tagger(kind).export("torch", path)
        return path

    return export


def assert_same(fitted: SequenceTagger, directory: Path) -> None:
    """Compare emissions and tags of an export with the tagger's."""
    other = load_script(directory).Tagger(directory)
    sentences = hard_sentences(fitted.level_ == "word")
    for found, expected, tokens in zip(
        other.emissions(sentences), emissions_of(fitted, sentences), sentences, strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0, err_msg=repr(tokens)[:80])
    assert other.predict(sentences) == fitted.predict(sentences)
    # Alone: nothing is padded.
    assert [other.predict([tokens])[0] for tokens in sentences[:9]] == fitted.predict(sentences[:9])


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_of_torch_gives_the_same_tags(kind: str, exported: Any) -> None:
    assert_same(tagger(kind), exported(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_gives_the_same_tags(kind: str, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    tagger(kind).export("onnx", tmp_path / "exported")
    assert_same(tagger(kind), tmp_path / "exported")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_are_spelt_in_the_scheme_of_the_training(scheme: str, tmp_path: Path) -> None:
    sentences, tags = make_tagged(60, words=False)
    tags = [convert_tags(each, "BIO", scheme) for each in tags]
    fitted = shake(SequenceTagger("ngram-crf", **SMALL).fit(sentences, tags), 1)
    fitted.export("torch", tmp_path / "exported")
    other = load_script(tmp_path / "exported").Tagger(tmp_path / "exported")
    sentences += make_tagged(200, words=False, seed=3)[0]
    expected = fitted.predict(sentences)
    assert other.predict(sentences) == expected
    assert len({tag[:1] for each in expected for tag in each}) > 2, "no test of spelling"


def test_entities_are_found_in_raw_text(exported: Any) -> None:
    for kind in ("bilstm-crf", "words"):
        other = load_script(exported(kind)).Tagger(exported(kind))
        texts = [*TEXTS, "Ann met O'Neill in Paris.\nBob re-opened 42 in the Kyoto"]
        found = [[tuple(entity)[:4] for entity in each] for each in tagger(kind).stream_entities(texts)]
        assert other.find(texts) == found
        assert sum(map(len, found)) > 10
        assert other.entities(texts[2]) == found[2]


def test_words_are_cut_out_of_raw_text(exported: Any) -> None:
    other = load_script(exported("segments")).Tagger(exported("segments"))
    assert [other.cut(text) for text in TEXTS] == [tagger("segments").cut(text) for text in TEXTS]


def test_pieces_of_a_text_are_those_of_the_tagger(exported: Any) -> None:
    source = random.Random(0)
    parts = [*FILLERS, *NAMES["PER"], "word", "it's", ". ", "。”", "\n", "\u2028", " ", "？！", "１．５", "\x1c"]
    for kind, level in (("bilstm-crf", "char"), ("words", "word")):
        other = load_script(exported(kind)).Tagger(exported(kind))
        for words in (False, True):
            for length in (3, 80, 700):
                text = "".join(source.choices(parts, k=length))
                expected = [
                    (piece.tokens, list(zip(piece.starts, piece.ends, strict=True)))
                    for piece in pieces(text, level, words)
                ]
                assert list(other.pieces(text, words)) == expected
    assert json.loads(json.dumps(piece_settings())) == other.settings["pieces"]


def test_tokens_are_folded_as_the_tagger_folds_them(exported: Any) -> None:
    codes = [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x2200, 0x2280), *range(0x3000, 0x3010)]
    tokens = [chr(code) for code in (*codes, *range(0xFF00, 0xFFE0))] + ["Ｗ１9a", "Straße"]
    for kind in ("bilstm-crf", "segments", "words"):
        other = load_script(exported(kind)).Tagger(exported(kind))
        folded = fold(tagger(kind).level_, tagger(kind).state_.tags.is_segmentation)
        assert [other.fold(token) for token in tokens] == [folded(token) for token in tokens]


@pytest.mark.parametrize("buckets", [2, 97, 2**20])
def test_numpy_numbers_ngrams_as_the_network_does(buckets: int) -> None:
    source = np.random.default_rng(buckets)
    lengths = [5, 1, 17, 2]
    ids = [source.integers(1, 9, size) for size in lengths]
    flat = torch.from_numpy(np.concatenate(ids))
    kinds = torch.from_numpy(source.integers(0, 8, 9))
    offsets = torch.tensor([0, *np.cumsum(lengths)[:-1]])
    windows = Windows(flat, offsets)
    features = window_features(windows, windows.with_ids(kinds[flat]))
    padded = np.zeros((4, 17), dtype=np.int64)
    padded_known = np.zeros((4, 17, 3), dtype=np.int64)
    known = source.integers(0, 7, (len(flat), 3))
    for row, (each, part) in enumerate(zip(ids, np.split(known, np.cumsum(lengths)[:-1]), strict=True)):
        padded[row, : len(each)] = each
        padded_known[row, : len(each)] = part
    padded_kinds = np.where(padded > 0, kinds.numpy()[padded], 0)
    settings = json.loads(json.dumps(hash_settings()))
    with_lexicon = [*features, *lexicon_features(flat, torch.from_numpy(known))]
    for own, given in ((features, None), (with_lexicon, padded_known)):
        found = consumer.hash_windows(padded, padded_kinds, given, buckets, **settings)
        expected = hash_features(own, buckets).numpy()
        assert found.shape == (4, 17, len(own))
        np.testing.assert_array_equal(np.concatenate([found[row, :n] for row, n in enumerate(lengths)]), expected)


def test_long_words_take_no_more_memory_than_the_letters_that_are_read(exported: Any) -> None:
    directory = exported("words")
    script = load_script(directory).Tagger(directory)
    sentence = ["Ann", "x" * 10**6, "ran"]
    letters = script.encode([sentence, ["Bob"]])[script._inputs.index("letters")]
    assert letters.shape == (2, 3, 1 + LONGEST_WORD)
    assert script.predict([sentence]) == tagger("words").predict([sentence])


def test_numpy_finds_the_words_that_the_lexicon_finds() -> None:
    source = np.random.default_rng(0)
    words = sorted({"".join(source.choice(list("bcdef"), size)) for size in range(1, 8) for _ in range(9)})
    lexicon = Lexicon(words, lambda word: [ord(letter) - 96 for letter in word], 1)
    lengths = np.array([1, 30, 2, 7])
    ids = [source.integers(1, 7, size) for size in lengths]
    padded = np.zeros((4, 30), dtype=np.int64)
    for row, each in enumerate(ids):
        padded[row, : len(each)] = each
    settings = json.loads(json.dumps(lexicon_settings()))
    found = consumer.find_words(padded, lengths, lexicon.keys, **settings)
    expected = lexicon.find(np.concatenate(ids), lengths)
    assert len(np.unique(expected)) > 3, "few words are found"
    np.testing.assert_array_equal(np.concatenate([found[row, :n] for row, n in enumerate(lengths)]), expected)
    assert not consumer.find_words(padded, lengths, lexicon.keys[:0], **settings).any()


def test_the_directory_says_how_its_input_is_made(exported: Any) -> None:
    directory = exported("words")
    names = {"model.pt2", "preprocessing.json", "vocabulary.txt", "characters.txt", "labels.json", "arrays.npz"}
    assert {file.name for file in directory.iterdir()} - {"__pycache__"} == names | {"predict.py", "README.md"}
    settings = json.loads((directory / "preprocessing.json").read_text())
    assert [(one["name"], one["shape"]) for one in settings["inputs"]] == [
        ("tokens", ["batch", "tokens"]),
        ("lengths", ["batch"]),
        ("letters", ["batch", "tokens", "letters"]),
        ("letter_lengths", ["batch", "tokens"]),
        ("ngrams", ["batch", "tokens", 16]),
    ]
    assert settings["outputs"] == [{"name": "emissions", "dtype": "float32", "shape": ["batch", "tokens", 9]}]
    assert json.loads((directory / "labels.json").read_text()) == tagger("words").tags_
    known = json.loads((exported("segments") / "preprocessing.json").read_text())["inputs"][3]
    assert known == {"name": "known", "dtype": "int64", "shape": ["batch", "tokens", 3]}
    assert "characters.txt" not in {file.name for file in exported("bilstm-crf").iterdir()}
    readme = (directory / "README.md").read_text(encoding="utf-8")
    assert "| input `ngrams` | int64 |" in readme
    assert 'tagger.predict([["A", "sentence"]])' in readme


def test_the_script_needs_no_textnn(exported: Any) -> None:
    text = "张三在北京工作。"
    for kind in ("bilstm-crf", "segments"):
        hidden = "import sys, runpy; sys.modules['textnn'] = None; sys.argv = sys.argv[1:]; "
        run = f"{hidden}runpy.run_path(sys.argv[0], run_name='__main__')"
        command = [sys.executable, "-c", run, str(exported(kind) / "predict.py")]
        given = subprocess.run([*command, text, ""], capture_output=True, text=True, encoding="utf-8", check=False)
        piped = subprocess.run(
            command, input=f"\ufeff{text}\r\n\n", capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert (given.returncode, given.stderr) == (0, "")
        assert given.stdout == piped.stdout
        found, nothing = given.stdout.split("\n")[:2]
        if kind == "segments":
            assert (found.split(), nothing) == (tagger(kind).cut(text), "")
        else:
            expected = [list(entity)[:4] for entity in tagger(kind).entities(text)]
            assert (json.loads(found), nothing) == (expected, "[]")


def test_sentences_of_a_wrong_type_are_refused(exported: Any) -> None:
    other = load_script(exported("words")).Tagger(exported("words"))
    with pytest.raises(TypeError, match=r"sentences: expected a list of sentences, got one string; write \[sentence\]"):
        other.predict("Ann met Bob")
    with pytest.raises(TypeError, match=r"sentences\[1\]: expected a list of words, got a string"):
        other.predict([["Ann"], "Bob"])
    with pytest.raises(TypeError, match=r"sentences\[0\]: expected tokens to be strings"):
        other.predict([["Ann", None]])


def test_a_tagger_replaces_an_earlier_export_alone(tmp_path: Path) -> None:
    fitted = tagger("ngram-crf")
    fitted.export("torch", tmp_path / "exported")
    fitted.export("torch", tmp_path / "exported")
    (tmp_path / "exported" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"path: .*mine\.txt, which textnn did not write"):
        fitted.export("torch", tmp_path / "exported")
    with pytest.raises(ValueError, match="format: expected one of 'onnx', 'torch', got 'onxx'; did you mean 'onnx'"):
        fitted.export("onxx", tmp_path / "other")


def test_the_command_exports_a_saved_tagger(tmp_path: Path) -> None:
    fitted = tagger("ngram-crf")
    fitted.save(tmp_path / "model")

    def run(*options: str) -> Any:
        arguments = ["export", str(tmp_path / "model"), "-o", str(tmp_path / "exported"), "--format", "torch", *options]
        return CliRunner().invoke(app, arguments)

    for option, given in (("--tables", ()), ("--tokenizer", ("jieba",))):
        done = run(option, *given)
        assert (done.exit_code, f"error: {option}: expected none for the tagger" in done.output) == (2, True)
        assert not (tmp_path / "exported").exists()
    done = run()
    assert done.exit_code == 0, done.output
    other = load_script(tmp_path / "exported").Tagger(tmp_path / "exported")
    assert other.predict(["张三在北京"]) == fitted.predict(["张三在北京"])
