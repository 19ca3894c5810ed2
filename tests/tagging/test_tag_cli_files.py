"""A new user's files given to ``textnn tag``: each is read as meant, or refused with file, line and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tag_cli import ONCE, make_conll, refuse, run, succeed, train, write

from textnn import SentimentClassifier, SequenceTagger

CONLL = make_conll(12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return train(folder, "ner.conll", CONLL, "--epochs", 1)


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Path:
    texts, labels = ["so good", "so bad"] * 10, ["good", "bad"] * 10
    made = SentimentClassifier("textcnn", tokenizer="whitespace", epochs=1, random_state=0, verbose=0, embedding_dim=4)
    made.fit(texts, labels).save(folder / "classifier")
    return folder / "classifier"


@pytest.mark.parametrize(
    "content",
    [
        CONLL,
        CONLL.replace(" ", "\t"),
        CONLL.replace(" x ", "\tx\t", 3).replace(" x ", "  x  "),  # tabs and blanks
        CONLL.replace("\n", "\r\n"),
        "\ufeff" + CONLL,
        CONLL.rstrip("\n"),
        "-DOCSTART- -X- O\n\n" + CONLL.replace("\n\n", "\n\n-DOCSTART- -X- O\n\n", 1),
        CONLL.replace("\n\n", "\n \t \n\n\n"),
        CONLL.encode("utf-16"),
        json.dumps({"tokens": ["Ann", "ran"], "tags": ["B-PER", "O"]}) + "\n",
        json.dumps({"text": "Ann ran", "label": [[0, 3, "PER"]]}) + "\n",
        json.dumps([{"text": "Ann ran", "label": [[0, 3, "PER"]]}]),
        json.dumps([["Ann ran", {"entities": [[0, 3, "PER"]]}]]),
        "Sentence #,Word,POS,Tag\nSentence: 1,Ann,NNP,B-PER\n,ran,VBD,O\n",
        "Ann PER\nran O\n\nBob PER\nRome LOC\n",  # without prefix: IO
        "Ann B-PER\n\nran O\n\nRome B-LOC\n\nin O\n",  # a token a sentence
    ],
)
def test_files_as_users_have_them(content: str | bytes, tmp_path: Path) -> None:
    file = write(tmp_path / "data", content)
    result = succeed("tag", "train", file, "-o", tmp_path / "m", *ONCE, "--validation", file)
    assert f"{file}: " in result.stderr
    assert "left out: nothing" in result.stderr
    assert "PER" in succeed("tag", "evaluate", tmp_path / "m", file).stdout


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.conll", "Ann B-PER\nran x O\n", ", line 2: expected 2 columns as in line 1, got 3: 'ran x O'"),
        ("a.conll", "Ann\nran\n", ", line 1: expected a token and a tag, got one column: 'Ann'; are these texts"),
        ("a.conll", "Ann B-PER\nran PER\n", ", sentence of line 1: expected O or a tag such as 'B-PER', as most are"),
        ("a.conll", "Ann b-per\nran o\n", ": expected tags such as 'B-PER', a capital letter first, got 'b-per'"),
        ("a.txt", "", ", line 1: expected text, but the file is empty"),
        ("a.txt", "\n\n", ": expected sentences, got none"),
        (
            "a.csv",
            "text,label\nAnn ran,good\n",
            ": expected a table of tokens with columns such as sentence, word and tag, got another table of CSV",
        ),
        ("a.xlsx", b"PK\x03\x04", ", line 1: expected text, got a ZIP archive"),
        ("a.jsonl", '{"text": "Ann"}\n', ", line 1: expected spans under one of label, labels, entities"),
        ("a.jsonl", '{"tokens": ["Ann"], "tags": []}\n', ", line 1: expected a tag for each of 1 tokens, got 0"),
        ("a.jsonl", '{"tokens": ["Ann"], "ner_tags": [3]}\n', "write the names of the tags, not their numbers"),
        ("a.jsonl", '{"text": "Ann"\n', ", line 1: "),
    ],
)
def test_what_is_refused_names_file_and_line(name: str, content: str | bytes, expected: str, tmp_path: Path) -> None:
    file = write(tmp_path / name, content)
    assert (
        f"{file}{expected}" in (told := refuse("tag", "train", file, "-o", tmp_path / "m", *ONCE)) or expected in told
    )
    assert not (tmp_path / "m").exists()


def test_a_directory_and_a_file_that_is_not_there(model: Path, folder: Path) -> None:
    for command in (["train", folder, "-o", folder / "m"], ["evaluate", model, folder], ["predict", model, folder]):
        assert f"{folder}: expected a file, got a directory" in refuse("tag", *command)
    assert "none.conll: expected a file, but there is none of this name" in refuse(
        "tag", "evaluate", model, "none.conll"
    )


def test_bad_sentences_are_left_out_on_request(tmp_path: Path) -> None:
    file = write(tmp_path / "a.conll", "Ann B-PER\nran x O\n\nBob B-PER\nran O\n")
    result = succeed("tag", "train", file, "-o", tmp_path / "m", *ONCE, "--on-error", "skip")
    assert "1 sentences, 2 tokens, 2 tags (conll, utf-8, BIO); left out: 1 bad sentences" in result.stderr
    assert f"warning: left out: {file}, line 2: expected 2 columns" in result.stderr
    result = succeed("tag", "predict", tmp_path / "m", file, "--on-error", "skip")
    assert result.stdout.startswith("Bob\t")
    assert "warning: left out" in result.stderr


def test_bytes_that_do_not_fit_the_encoding_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "a.conll", CONLL.encode() + b"\xff\xfd O O\n")
    options = ["--encoding", "utf-8", "--encoding-errors"]
    assert "the byte 0xff" in refuse("tag", "train", file, "-o", tmp_path / "m", *ONCE, *options, "strict")
    told = succeed("tag", "train", file, "-o", tmp_path / "m", *ONCE, *options, "replace").stderr
    assert "bytes replaced by U+FFFD: 2" in told
    assert f"warning: {file}: 2 bytes did not fit the encoding" in told


def test_what_looks_like_a_mistake_is_warned_of_once(tmp_path: Path) -> None:
    file = write(tmp_path / "a.conll", "Ann I-PER\nran O\n\nRome B-LOC\nYork I-LOC\n")
    told = succeed("tag", "train", file, "-o", tmp_path / "m", *ONCE, "--scheme", "BIO").stderr
    assert told.count("not allowed where they stand") == 1
    assert "'I-PER' behind 'the beginning' in the sentence of line 1" in told
    same = write(tmp_path / "same.conll", "so O\nran O\n")
    told = succeed("tag", "train", same, "-o", tmp_path / "o", *ONCE).stderr
    assert f"warning: {same}: every token has the tag 'O'; is it the right column (--tag-column)?" in told
    plain = write(tmp_path / "a.txt", "床前明月光疑是地上霜。\n举头望明月低头思故乡。\n")
    told = succeed("tag", "train", plain, "-o", tmp_path / "n", *ONCE).stderr
    assert "its words have 11 characters on average: are these texts without spaces between words?" in told


def test_a_scheme_that_the_tags_are_not_in(tmp_path: Path) -> None:
    file = write(tmp_path / "a.conll", "so O\n\nAnn S-PER\nran O\n")
    told = refuse("tag", "train", file, "-o", tmp_path / "m", *ONCE, "--scheme", "BIO")
    assert f"{file}, sentence of line 3: tags[0]: expected O or a tag that begins with B, I (BIO), got 'S-PER'" in told


def test_texts_with_spans_are_read_as_words_or_as_characters(tmp_path: Path) -> None:
    rows = [{"text": f"{name} ran home", "label": [[0, len(name), "PER"]]} for name in ("Ann", "Bob", "Max")]
    file = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    told = succeed("tag", "train", file, "-o", tmp_path / "m", *ONCE).stderr
    assert "(jsonl, texts as words, utf-8, BIOES)" in told
    assert f"{file}: texts are read as words, as blanks stand between their words (--level char: as characters)" in told
    assert SequenceTagger.load(tmp_path / "m").level_ == "word"
    assert "accuracy" in succeed("tag", "evaluate", tmp_path / "m", file).stdout
    told = succeed("tag", "train", file, "-o", tmp_path / "c", *ONCE, "--level", "char").stderr
    assert "(jsonl, texts as characters, utf-8, BIOES)" in told
    assert "read as words" not in told
    assert SequenceTagger.load(tmp_path / "c").level_ == "char"
    told = succeed("tag", "evaluate", tmp_path / "c", file).stderr
    assert "texts as characters" in told, "as the model reads them"


def test_words_without_tags_for_a_tagger_of_words(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "我 来到 北京\n")
    told = refuse("tag", "train", file, "-o", tmp_path / "m", *ONCE, "--level", "word")
    assert f"{file}: expected words with tags (word/tag), got words without" in told


def test_validation_tags_that_training_lacks(tmp_path: Path) -> None:
    file, other = write(tmp_path / "a.conll", CONLL), write(tmp_path / "b.conll", "so x O\n\nUN x B-ORG\n")
    told = refuse("tag", "train", file, "-o", tmp_path / "m", *ONCE, "--validation", other)
    assert f"{other}, sentence of line 3: expected a tag of one of the types LOC, PER, got" in told
    assert "ORG" in told


# models of another task


def test_a_classifier_given_to_tag(classifier: Path) -> None:
    expected = f"{classifier}: expected a tagger, got a classifier; textnn predict, textnn evaluate and textnn explain"
    for command in (
        ["tag", "predict", classifier, "-t", "x"],
        ["tag", "evaluate", classifier, "x"],
        ["cut", classifier, "-t", "x"],
    ):
        assert expected in refuse(*command)


def test_a_tagger_given_to_classify(model: Path, folder: Path) -> None:
    file = write(folder / "reviews.csv", "text,label\ngood,a\nbad,b\n")
    expected = f"{model}: expected a classifier, got a tagger; textnn tag predict, textnn tag evaluate and textnn cut"
    for command in (["predict", model, "-t", "x"], ["evaluate", model, file], ["explain", model, "-t", "x"]):
        assert expected in refuse(*command)


def test_a_model_is_not_replaced_by_one_of_another_task(classifier: Path, model: Path, folder: Path) -> None:
    file = write(folder / "a.conll", CONLL)
    assert "config.json" in refuse("tag", "train", file, "-o", classifier, *ONCE)
    succeed("tag", "train", file, "-o", model, "-q", *ONCE, "--seed", 9)
    assert SequenceTagger.load(model).seed_ == 9
    assert run("predict", classifier, "-t", "so good").exit_code == 0


def test_no_model(folder: Path) -> None:
    assert "expected the directory of a textnn model, got nothing" in refuse(
        "tag", "predict", folder / "none", "-t", "x"
    )
    assert "this is not the directory of a textnn model" in refuse("cut", folder, "-t", "x")
