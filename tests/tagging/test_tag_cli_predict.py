"""``textnn tag predict`` and ``textnn cut``: texts and tokens in; entities, tags and words out."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tag_cli import make_conll, make_segmented, refuse, run, succeed, train, write

from _textnn_cli.cut import cut
from textnn import SequenceTagger
from textnn.tagging import read_tagged

TEXT = "Ann met Bob Lee in New York."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("predict")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    """A tagger of words that finds people and places."""
    return train(folder, "ner.conll", make_conll())


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> Path:
    return train(folder, "words.txt", make_segmented())


@pytest.fixture(scope="module")
def joint(folder: Path) -> Path:
    """A segmenter that knows parts of speech."""
    return train(folder, "joint.txt", make_segmented(tags=True))


@pytest.fixture(scope="module")
def parts(folder: Path) -> Path:
    """A tagger of words whose tags mark no spans."""
    return train(folder, "pos.txt", make_segmented(tags=True), "--level", "word")


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# texts


def test_entities_of_texts(model: Path, folder: Path) -> None:
    file, out = write(folder / "a.txt", f"{TEXT}\n\nAnd so.\r\n"), folder / "a.jsonl"
    result = succeed("tag", "predict", model, file, "-o", out)
    assert f"{file}: texts (lines, utf-8)" in result.stderr
    assert f"{out}: 3 texts (jsonl)" in result.stderr
    rows = objects(out.read_text(encoding="utf-8"))
    assert [(row["line"], row["text"]) for row in rows] == [(1, TEXT), (2, ""), (3, "And so.")]
    expected = [entity._asdict() for entity in SequenceTagger.load(model).entities(TEXT)]
    assert rows[0]["entities"] == expected
    assert [(each["type"], each["text"]) for each in expected] == [
        ("PER", "Ann"),
        ("PER", "Bob Lee"),
        ("LOC", "New York"),
    ]
    assert all(TEXT[each["start"] : each["end"]] == each["text"] and 0 < each["confidence"] <= 1 for each in expected)
    assert rows[1]["entities"] == []
    assert objects(succeed("tag", "predict", model, "-t", TEXT, "-t", "And").stdout)[0] == rows[0]
    assert objects(succeed("tag", "predict", model, "-", stdin=TEXT).stdout) == rows[:1]
    assert objects(succeed("tag", "predict", model, stdin=TEXT + "\n").stdout) == rows[:1]


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.json", "out.xlsx"])
def test_a_table_is_no_output(name: str, model: Path, folder: Path) -> None:
    told = refuse("tag", "predict", model, "-t", TEXT, "-o", folder / name)
    assert "--output: expected a name in .jsonl, .conll or .txt, or --output-format beside it, got" in told
    assert not (folder / name).exists()
    succeed("tag", "predict", model, "-t", TEXT, "-o", folder / name, "--output-format", "jsonl")
    assert objects((folder / name).read_text(encoding="utf-8"))[0]["text"] == TEXT


def test_a_table_of_tokens_is_tagged_token_by_token(model: Path, folder: Path) -> None:
    table = write(folder / "tokens.csv", "sentence_id,word,pos\n1,Ann,NNP\n1,met,VBD\n2,Ann,NNP\n")
    result = succeed("tag", "predict", model, table)
    assert result.stdout == "Ann\tB-PER\nmet\tO\n\nAnn\tB-PER\n\n"
    assert "sentences of tokens (csv, utf-8)" in result.stderr
    assert succeed("tag", "predict", model, table, "--input", "tokens", "--token-column", 1).stdout == result.stdout
    assert "words" not in succeed("tag", "predict", model, table, "--input", "text", "--text-column", "pos").stderr


def test_what_was_written_is_read_as_tagged_sentences(model: Path, folder: Path) -> None:
    out = folder / "again.jsonl"
    succeed("tag", "predict", model, "-t", TEXT, "-o", out)
    [sentence], report = read_tagged(out)
    assert (sentence.tokens[:4], report.scheme) == (["Ann", "met", "Bob", "Lee"], "BIOES")
    assert sentence.tags[:4] == ["S-PER", "O", "B-PER", "E-PER"]


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", f'id,text\n7,"{TEXT}"\n', []),
        ("a.tsv", f"id\ttext\n7\t{TEXT}\n", []),
        ("b.csv", f"id;body\n7;{TEXT}\n", ["--text-column", "body"]),
        ("a.jsonl", json.dumps({"id": "7", "text": TEXT, "label": [[0, 3, "PER"]]}) + "\n", []),
        ("b.jsonl", json.dumps({"id": "7", "text": TEXT, "label": {"PER": {"Ann": [[0, 2]]}}}) + "\n", []),
        ("c.txt", json.dumps({"id": "7", "say": TEXT}) + "\n", ["--text-column", "say"]),
    ],
)
def test_texts_of_tables_and_json(name: str, content: str, options: list[str], model: Path, folder: Path) -> None:
    file = write(folder / name, content)
    [row] = objects(succeed("tag", "predict", model, file, *options).stdout)
    assert [each["text"] for each in row["entities"]] == ["Ann", "Bob Lee", "New York"]
    [row] = objects(succeed("tag", "predict", model, file, *options, "--keep-columns").stdout)
    assert (row["id"], row["text"]) == ("7", TEXT)


def test_words_of_texts(segmenter: Path, joint: Path, folder: Path) -> None:
    text = "我来到北京。"
    assert succeed("tag", "predict", segmenter, "-t", text, "-t", "").stdout == "我 来到 北京 。\n\n"
    assert succeed("tag", "predict", joint, "-t", text).stdout == "我/r 来到/v 北京/ns 。/w\n"
    assert succeed("tag", "predict", joint, "-t", text, "--separator", "_").stdout == "我_r 来到_v 北京_ns 。_w\n"
    [row] = objects(succeed("tag", "predict", joint, "-t", text, "-f", "jsonl").stdout)
    assert row == {"line": 1, "text": text, "words": ["我", "来到", "北京", "。"], "tags": ["r", "v", "ns", "w"]}
    assert "tags" not in objects(succeed("tag", "predict", segmenter, "-t", text, "-f", "jsonl").stdout)[0]
    columns = succeed("tag", "predict", segmenter, "-t", "我 来到", "-f", "conll").stdout
    assert columns == "我\tS\n来\tB\n到\tE\n\n"


def test_tags_without_spans_are_columns(parts: Path) -> None:
    assert succeed("tag", "predict", parts, "-t", "北京 喜欢 他").stdout == "北京\tns\n喜欢\tv\n他\tr\n\n"
    [row] = objects(succeed("tag", "predict", parts, "-t", "北京 喜欢", "-f", "jsonl").stdout)
    assert row == {"line": 1, "text": "北京 喜欢", "tokens": ["北京", "喜欢"], "tags": ["ns", "v"]}


# tokens

COLUMNS = "Ann\tO\nmet\tO\n\nin\tO\nNew\tO\nYork\tO\n"
TAGGED = "Ann\tB-PER\nmet\tO\n\nin\tO\nNew\tB-LOC\nYork\tI-LOC\n\n"


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (COLUMNS, []),
        (COLUMNS.replace("\tO", ""), []),
        (COLUMNS.replace("\tO", " NN O"), []),
        (COLUMNS.replace("\tO", " NN"), []),
        (COLUMNS.replace("\n", "\r\n"), []),
        ("-DOCSTART- -X- O\n\n" + COLUMNS.replace("\t", " NN ").strip(), []),
        (
            "".join(f"1\t{line}\n" if line else "\n" for line in COLUMNS.split("\n")),
            ["--token-column", "1", "--input", "tokens"],
        ),
        ("Ann met\nin New York\n", ["--input-format", "words"]),
        ('{"tokens": ["Ann", "met"]}\n{"tokens": ["in", "New", "York"], "tags": ["O", "O", "O"]}\n', []),
        ('{"words": ["Ann", "met"]}\n\n{"words": ["in", "New", "York"]}\n', ["--input-format", "jsonl"]),
    ],
)
def test_sentences_of_tokens(content: str, options: list[str], model: Path, folder: Path) -> None:
    for file in (write(folder / "tokens", content), "-"):
        result = succeed("tag", "predict", model, file, *options, "-f", "conll", stdin=content)
        assert result.stdout == TAGGED, result.stderr
        assert "sentences of tokens (" in result.stderr


def test_tokens_one_a_line_without_tags(model: Path, folder: Path) -> None:
    file = write(folder / "one.conll", "Ann\n\nYork\n")
    rows = objects(succeed("tag", "predict", model, file, "-f", "jsonl").stdout)
    assert rows[0] == {"line": 1, "tokens": ["Ann"], "tags": ["B-PER"]}
    assert rows[1]["line"] == 3
    assert succeed("tag", "predict", model, file, "--input", "text", "-q").stdout.count("entities") == 3


def test_tokens_of_a_segmenter_are_characters(joint: Path, folder: Path) -> None:
    file = write(folder / "chars", "我\n来\n到\n\n他\n")
    assert succeed("tag", "predict", joint, file).stdout.splitlines()[1:3] == ["来\tB-v", "到\tE-v"]
    assert succeed("tag", "predict", joint, file, "-f", "word/tag").stdout == "我/r 来到/v\n他/r\n"
    assert succeed("tag", "predict", joint, file, "-f", "words").stdout == "我 来到\n他\n"


def test_verses_are_texts_to_a_model_of_words(model: Path, segmenter: Path, folder: Path) -> None:
    poem = write(
        folder / "poem.txt",
        "床前明月光疑是地上霜举头望明月\n低头思故乡床前明月光疑是地上霜\n\n床前明月光疑是地上霜举头望明月\n",
    )
    for each in (model, segmenter):
        assert "texts (lines, utf-8)" in succeed("tag", "predict", each, poem).stderr


def test_a_token_that_cannot_be_written(model: Path, folder: Path) -> None:
    file = write(folder / "odd.jsonl", '{"tokens": ["Ann", "a\\tb"]}\n')
    out = folder / "odd.conll"
    told = refuse("tag", "predict", model, file, "-o", out)
    assert "line 1: the token 'a\\tb' cannot be a cell of columns; try --output-format jsonl" in told
    assert not out.exists()
    assert json.loads(succeed("tag", "predict", model, file, "-f", "jsonl").stdout)["tokens"] == ["Ann", "a\tb"]


# options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-t", "x", "FILE"], "give a FILE or --text, not both"),
        (["-t", "x", "--limit", "1"], "it is of a FILE, got --text"),
        (["FILE", "--input", "words"], "expected text or tokens, got 'words'"),
        (
            ["FILE", "--input", "text", "--input-format", "conll"],
            "expected one of csv, tsv, json, lines, jsonl, got 'conll'",
        ),
        (["FILE", "-f", "csv"], "expected one of conll, jsonl, words, word/tag, got 'csv'"),
        (["FILE", "-o", "x.xlsx"], "--output: expected a name in .jsonl, .conll or .txt"),
        (["FILE", "-f", "words"], "--output-format: the model does not cut text into words"),
        (["FILE", "--token-column", "1"], "--token-column: expected sentences of tokens (--input tokens), got texts"),
        (["FILE", "--keep-columns"], "--keep-columns: expected a table or JSON, got the format 'lines'"),
        (["FILE", "--keep-columns", "-f", "conll"], "--keep-columns: expected texts, and the output format jsonl"),
        (["FILE", "-o", "FILE"], "--output: expected another file than the input"),
        (["none.txt"], "none.txt: expected a file, but there is none of this name; for a text use --text"),
    ],
)
def test_what_does_not_go_together(options: list[str], expected: str, model: Path, folder: Path) -> None:
    file = write(folder / "some.txt", TEXT)
    words = [str(file) if word == "FILE" else word for word in options]
    assert expected in refuse("tag", "predict", model, *words)


def test_the_first_texts_are_enough_if_asked(model: Path, folder: Path) -> None:
    file = write(folder / "many.txt", f"{TEXT}\n" * 5)
    assert len(objects(succeed("tag", "predict", model, file, "--limit", 2).stdout)) == 2
    columns = write(folder / "many.conll", make_conll(5))
    assert succeed("tag", "predict", model, columns, "--limit", 2).stdout.count("\n\n") == 2


def test_texts_are_read_as_they_are_asked_for(model: Path) -> None:
    """In constant memory: no more is read ahead than a few batches."""
    from _textnn_cli.tag.predict import find_in_sentences, find_in_texts
    from textnn.tagging import Sentence
    from textnn.text import Record

    tagger = SequenceTagger.load(model)
    read = [0]

    def records(make: Any) -> Any:
        for number in range(50_000):
            read[0] += 1
            yield make(number)

    found: Any = find_in_texts(tagger, records(lambda n: Record(n, "Ann", None, [])), "jsonl")
    assert next(found)[1].entities[0].text == "Ann"
    assert read[0] < 5000
    read[0] = 0
    assert next(find_in_sentences(tagger, records(lambda n: Sentence(n, ["Ann"], [])), "conll")).pairs == [
        ("Ann", "B-PER")
    ]
    assert read[0] < 5000


# cut


def test_cut_keeps_lines(segmenter: Path, joint: Path, folder: Path) -> None:
    content = "我来到北京。\n\n  他喜欢 天安门\r\n我\n"
    expected = "我 来到 北京 。\n\n他 喜欢 天安门\n我\n"
    file, out = write(folder / "text.txt", content), folder / "cut.txt"
    assert f"{out}: 4 lines" in succeed("cut", segmenter, file, "-o", out).stderr
    assert out.read_text(encoding="utf-8") == expected
    assert succeed("cut", segmenter, file).stdout == expected
    assert succeed("cut", segmenter, "-", stdin=content).stdout == expected
    assert succeed("cut", segmenter, stdin=content).stdout == expected
    assert succeed("cut", segmenter, "-t", "我来到北京。", "--separator", "|").stdout == "我|来到|北京|。\n"
    assert succeed("cut", segmenter, "-t", "我来到", "--separator", "tab").stdout == "我\t来到\n"
    assert succeed("cut", joint, "-t", "我来到北京。", "--tags").stdout == "我/r 来到/v 北京/ns 。/w\n"
    assert succeed("cut", joint, "-t", "我来到北京。").stdout == "我 来到 北京 。\n"
    for encoding in ("gb18030", "utf-16"):
        write(file, content.encode(encoding))
        assert succeed("cut", segmenter, file).stdout == expected


def test_cut_with_a_dictionary(segmenter: Path, folder: Path) -> None:
    words = write(folder / "user.txt", "来到北京 5 v\n\n天安\n")
    assert succeed("cut", segmenter, "-t", "我来到北京。", "--user-dictionary", words).stdout == "我 来到北京 。\n"
    bad = write(folder / "bad.txt", "天安\ntwo words here\n")
    assert f"{bad}, line 2: user_dictionary: expected lines 'word'" in refuse(
        "cut", segmenter, "-t", "x", "--user-dictionary", bad
    )
    assert "--user-dictionary: expected a file" in refuse("cut", segmenter, "-t", "x", "--user-dictionary", folder)


def test_lines_are_cut_as_they_are_typed(segmenter: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Keyboard("我来到\n他\n"))
    monkeypatch.setattr(sys, "stdout", shown := io.StringIO())
    cut(str(segmenter), quiet=True)
    assert shown.getvalue() == "我 来到\n他\n"


def test_cut_refuses_what_it_cannot_use(model: Path, segmenter: Path, folder: Path) -> None:
    assert f"{model}: cut: this model does not cut text into words" in refuse("cut", model, "-t", "x")
    assert "learnt words without parts of speech" in refuse("cut", segmenter, "-t", "x", "--tags")
    assert "expected at least one character and no line break" in refuse("cut", segmenter, "-t", "x", "--separator", "")
    table = write(folder / "cut.csv", "text\n我来到\n")
    assert "cut as it stands, though its name is that of a table" in succeed("cut", segmenter, table).stderr
    damaged = write(folder / "damaged.txt", "我\n".encode() + b"\xff\xfe\xff\n")
    assert run("cut", segmenter, damaged).exit_code == 2
    assert (
        succeed("cut", segmenter, damaged, "--encoding", "utf-8", "--encoding-errors", "replace").stderr.count("U+FFFD")
        == 1
    )
