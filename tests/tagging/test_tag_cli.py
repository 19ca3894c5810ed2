"""``textnn tag train`` and ``textnn tag evaluate``: what they write, exit codes, options."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from tag_cli import ONCE, QUICK, make_conll, make_segmented, refuse, run, succeed, train, write

from _textnn_cli import app
from textnn import SequenceTagger
from textnn.tagging import read_tagged


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tag")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    """A tagger of words that finds people and places."""
    return train(folder, "ner.conll", make_conll())


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> Path:
    return train(folder, "joint.txt", make_segmented(tags=True))


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_help_teaches_with_examples(command: str) -> None:
    assert command in succeed("tag", "--help").output
    shown = succeed("tag", command, "--help").output
    assert f"textnn tag {command} " in shown.partition("Examples")[2]
    assert all(name in succeed("--help").output for name in (" tag ", " cut "))


def test_train_says_what_was_read_and_how_good_the_model_is(tmp_path: Path) -> None:
    data = write(tmp_path / "a.conll", make_conll())
    result = succeed("tag", "train", data, "-o", tmp_path / "deep" / "model", *QUICK)
    for expected in (
        f"{data}: 60 sentences, ",
        "5 tags (conll, utf-8, BIO); left out: nothing",
        "spans: ",
        "epoch 6/6",
    ):
        assert expected in result.stderr, expected
    for expected in ("validation after epoch ", ": F1 ", "precision", "PER ", "all spans", f"saved: {tmp_path}"):
        assert expected in result.stdout, expected
    assert "textnn tag predict" in result.stdout
    tagger = SequenceTagger.load(tmp_path / "deep" / "model")
    assert (tagger.scheme_, tagger.level_, tagger.architecture) == ("BIO", "word", "ngram-crf")
    assert not list((tmp_path / "deep").glob(".*")), "no state of the training is left"


def test_every_parameter_of_the_tagger_is_an_option() -> None:
    command: Any = typer.main.get_command(app)
    options = command.commands["tag"].commands["train"].load().params
    names = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    others = {"random_state": "--seed", "verbose": "--quiet"}
    for name in inspect.signature(SequenceTagger).parameters:
        assert others.get(name, f"--{name.replace('_', '-')}") in names, name


def test_train_takes_its_options(tmp_path: Path) -> None:
    data, dev = write(tmp_path / "a.txt", make_conll()), write(tmp_path / "dev.txt", make_conll(9, seed=1))
    options = ["--format", "conll", "--tag-column", 1, "--token-column", 0, "--scheme", "none", "--level", "word"]
    more = ["--validation", dev, "--seed", 5, "--limit", 20, "--min-count", 1, "--encoding", "utf-8", "-q"]
    result = succeed("tag", "train", data, "-o", tmp_path / "m", *ONCE, *options, *more)
    assert result.output.count("\n") == 1, "--quiet leaves what looks like a mistake"
    assert "every token has the tag 'x'" in result.stderr
    tagger = SequenceTagger.load(tmp_path / "m")
    assert (tagger.tags_, tagger.seed_, tagger.scheme_, tagger.options_["min_count"]) == (["x"], 5, None, 1)
    assert tagger.state_.n_sentences == 20
    assert "tags: x " in run("tag", "train", data, "-o", tmp_path / "m", *ONCE, *options).stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--scheme", "BIX"], "--scheme: expected 'auto', None or one of BIO"),
        (["--level", "letter"], "--level: expected auto, char or word, got 'letter'"),
        (["--format", "xml"], "--format: expected one of conll, conllu, jsonl, csv, words, word/tag, got 'xml'"),
        (["--separator", " "], "--separator: expected at least one character that is no space"),
        (["--encoding", "utf-7-8"], "--encoding: expected a text encoding"),
        (["--on-error", "go"], "--on-error: expected one of stop, skip, got 'go'"),
        (["--architecture", "bilstm"], "--architecture: expected one of 'bilstm-crf'"),
        (
            ["--architecture", "ngram-crf", "--hidden-size", 3],
            "--hidden-size: the architecture 'ngram-crf' has no such",
        ),
        (["--device", "quantum"], "--device: 'quantum' cannot be used"),
        (["--vectors", "none.vec"], "none.vec"),
        (["--lr", 1], "--lr (Possible options: --learning-rate)"),
    ],
)
def test_wrong_options_are_refused_before_a_file_is_read(options: list[object], expected: str, tmp_path: Path) -> None:
    assert expected in refuse("tag", "train", tmp_path / "none.conll", "-o", tmp_path / "m", *options)
    assert not (tmp_path / "m").exists()


def test_a_training_is_resumed_to_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textnn.text import RaggedDataset

    data = write(tmp_path / "a.conll", make_conll())
    succeed("tag", "train", data, "-o", tmp_path / "whole", "-q", *QUICK)
    command = ["tag", "train", data, "-o", tmp_path / "m", *QUICK]
    epochs, made = [0], RaggedDataset.rows_to_train

    def stop(*arguments: Any) -> Any:
        epochs[0] += 1
        if epochs[0] == 3:
            raise KeyboardInterrupt
        return made(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(RaggedDataset, "rows_to_train", stop)
        broken = run(*command)
    assert (broken.exit_code, "resume with: textnn" in broken.stderr) == (130, True), broken.stderr
    assert not (tmp_path / "m").exists()
    succeed(*command, "--resume", "-q")
    for name in ("model.safetensors", "tags.json", "vocabulary.txt"):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert "nothing to resume" in succeed(*command, "--resume").stderr


def test_segmented_text_trains_to_cut(tmp_path: Path) -> None:
    plain, joint = write(tmp_path / "a.txt", make_segmented()), write(tmp_path / "b.txt", make_segmented(tags=True))
    result = succeed("tag", "train", plain, "-o", tmp_path / "a", *ONCE)
    assert "(words, utf-8, BMES)" in result.stderr
    assert "words: 400" in result.stderr
    assert "trains to cut text into words, with nothing else" in result.stderr
    assert f'textnn cut {tmp_path / "a"} --text "..."' in result.stdout
    result = succeed("tag", "train", joint, "-o", tmp_path / "b", *ONCE)
    assert "words by tag: " in result.stderr
    assert SequenceTagger.load(tmp_path / "b").state_.tags.types == ["ns", "r", "v", "w"]
    succeed("tag", "train", joint, "-o", tmp_path / "c", *ONCE, "--words-only")
    assert SequenceTagger.load(tmp_path / "c").tags_ == ["B", "M", "E", "S"]
    succeed("tag", "train", joint, "-o", tmp_path / "d", *ONCE, "--level", "word", "--validation", joint)
    tagger = SequenceTagger.load(tmp_path / "d")
    assert (tagger.level_, tagger.tags_) == ("word", ["ns", "r", "v", "w"])


def test_standard_input_is_read(tmp_path: Path) -> None:
    succeed("tag", "train", "-", "-o", tmp_path / "m", "-q", *ONCE, stdin=make_conll(20))
    assert "standard input: 9 sentences" in succeed("tag", "evaluate", tmp_path / "m", "-", stdin=make_conll(9)).stderr


# evaluate


def test_evaluate_is_what_seqeval_says(model: Path, folder: Path) -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    test = write(folder / "test.conll", make_conll(30, seed=2).replace("B-PER", "I-PER").replace("I-LOC", "B-LOC"))
    scores = folder / "scores.json"
    shown = succeed("tag", "evaluate", model, test, "--json", scores).stdout
    found = json.loads(scores.read_text(encoding="utf-8"))
    true = [sentence.tags for sentence in read_tagged(test)[0]]
    tagger = SequenceTagger.load(model)
    predicted = tagger.predict([sentence.tokens for sentence in read_tagged(test)[0]])
    report = seqeval.classification_report(true, predicted, output_dict=True)
    for kind in ("PER", "LOC"):
        theirs = [report[kind][name] for name in ("precision", "recall", "f1-score", "support")]
        ours = [found["types"][kind][name] for name in ("precision", "recall", "f1", "true")]
        assert ours == pytest.approx(theirs), kind
    assert found["overall"]["f1"] == pytest.approx(seqeval.f1_score(true, predicted))
    assert found["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
    assert found["accuracy"] == pytest.approx(seqeval.accuracy_score(true, predicted))
    assert 0 < found["overall"]["f1"] < 1
    assert f"{found['overall']['f1']:.4f}" in shown
    from seqeval.scheme import IOB2

    strict = json.loads(succeed("tag", "evaluate", model, test, "--strict", "--json", "-").stdout)
    theirs = seqeval.f1_score(true, predicted, mode="strict", scheme=IOB2)
    assert strict["overall"]["f1"] == pytest.approx(theirs)
    assert strict["overall"]["f1"] != found["overall"]["f1"]


def test_the_tags_of_a_file_may_be_in_another_scheme(model: Path, folder: Path) -> None:
    bio = write(folder / "bio.conll", make_conll(30, seed=3))
    sentences = read_tagged(bio)[0]
    from textnn.tagging import convert_tags

    rows = []
    for sentence in sentences:
        tags = convert_tags(sentence.tags, "BIO", "BIOES")
        rows += [f"{token} {tag}" for token, tag in zip(sentence.tokens, tags, strict=True)] + [""]
    other = write(folder / "bioes.conll", "\n".join(rows))
    one, two = (json.loads(succeed("tag", "evaluate", model, file, "--json", "-").stdout) for file in (bio, other))
    assert (one["scheme"], two["scheme"]) == ("BIO", "BIOES")
    assert one["types"] == two["types"]
    assert one["overall"]["f1"] > 0.8, "the model learnt something"


def test_evaluate_of_words(segmenter: Path, folder: Path) -> None:
    joint, plain = (write(folder / f"test{tags}.txt", make_segmented(20, tags, seed=4)) for tags in (True, False))
    by_tag, words = (json.loads(succeed("tag", "evaluate", segmenter, f, "--json", "-").stdout) for f in (joint, plain))
    assert set(by_tag["types"]) == {"ns", "r", "v", "w"}
    assert set(words["types"]) == {""}
    assert words["overall"]["true"] == by_tag["overall"]["true"] == 100
    assert words["overall"]["f1"] >= by_tag["overall"]["f1"] > 0.8
    assert "words without parts of speech" in succeed("tag", "evaluate", segmenter, plain).stderr


def test_tags_that_the_model_does_not_know(model: Path, folder: Path) -> None:
    some = write(folder / "some.conll", "Ann B-PER\nran O\n\nUN B-ORG\n")
    result = succeed("tag", "evaluate", model, some)
    assert f"warning: {some}: types that the model does not know count as missed: 'ORG'" in result.stderr
    assert "ORG " in result.stdout
    none = write(folder / "none.conll", "UN B-ORG\nran O\n")
    assert f"{none}: expected types of the model ('LOC', 'PER'), got 'ORG'" in refuse("tag", "evaluate", model, none)
    parts = write(folder / "parts.conll", "Ann NNP\nran VBD\n")
    told = refuse("tag", "evaluate", model, parts, "--format", "conll")
    assert "expected tags that mark spans (BIO), as the model has, got tags that mark no spans, 'NNP', 'VBD'" in told
    empty = write(folder / "empty.conll", "so O\nit O\n")
    assert "all spans" in succeed("tag", "evaluate", model, empty).stdout


def test_characters_for_a_model_of_words_are_told(model: Path, folder: Path) -> None:
    file = write(folder / "chars.conll", "王 B-PER\n明 I-PER\n来 O\n")
    told = succeed("tag", "evaluate", model, file).stderr
    assert "most tokens look like characters, the model was trained on words" in told


def test_the_file_of_scores_is_checked_before_any_work(model: Path, folder: Path) -> None:
    assert "--json: expected the name of a file" in refuse("tag", "evaluate", model, folder / "none", "--json", folder)
    file = write(folder / "self.conll", make_conll(5))
    assert "--json: expected another file than the input" in refuse("tag", "evaluate", model, file, "--json", file)


def test_info_shows_the_card_of_a_tagger(model: Path) -> None:
    assert "# A tagger" in succeed("info", model).stdout
