"""Files of tagged sentences: every form, as users have them, and what is wrong in them."""

from __future__ import annotations

import io
import json

import pytest

from textnn.tagging import iter_tagged, read_tagged
from textnn.tagging.segmented import tags_of_words, words_of_tags
from textnn.text import CorpusError


def read(text, format=None, **options):  # noqa: A002
    data = text if isinstance(text, bytes) else text.encode()
    return [(s.line, s.tokens, s.tags) for s in iter_tagged(io.BytesIO(data), format, **options)]


ANN = [(1, ["Ann", "ran"], ["B-PER", "O"]), (4, ["Hi"], ["O"])]


@pytest.mark.parametrize(
    "text",
    [
        "Ann B-PER\nran O\n\nHi O\n",
        "Ann\tB-PER\nran\tO\n\nHi\tO",  # tabs, no line break at the end
        "Ann B-PER\r\nran O\r\n\r\nHi O\r\n",
        "\ufeffAnn B-PER\nran O\n\nHi O\n\n\n\n",
        "Ann\tB-PER\nran O\n \t \nHi  O\n",  # tabs and blanks, a blank line that is not empty
        "Ann NNP I-NP B-PER\nran VBD I-VP O\n\nHi UH O O\n",
        "  Ann B-PER\nran O\n\nHi O\n".replace("  Ann", "Ann"),
    ],
)
def test_columns(text):
    assert read(text) == ANN
    assert read(text, "conll") == ANN
    assert read(text.encode("utf-16"), encoding="utf-16") == ANN


def test_columns_that_are_asked_for():
    text = "1 Ann NNP B-PER\n2 ran VBD O\n"
    assert read(text, token_column=1, tag_column=2) == [(1, ["Ann", "ran"], ["NNP", "VBD"])]
    with pytest.raises(CorpusError, match="stream, line 1: expected tags in column 7, got 4 columns: '1 Ann NNP"):
        read(text, tag_column=7)
    with pytest.raises(CorpusError, match="expected tokens and tags in different columns, got column 3 for both"):
        read(text, token_column=-1)


def test_documents_of_conll_2003():
    assert read("-DOCSTART- -X- -X- O\n\nAnn NNP I-NP I-PER\n") == [(3, ["Ann"], ["I-PER"])]


def test_universal_dependencies():
    rows = ["1-2\tdu\t_\t_", "1\tde\tde\tADP", "2\tle\tle\tDET", "2.1\t_\t_\t_"]
    text = "# sent_id = 1\n# text = du\n" + "".join(row + "\t_" * 6 + "\n" for row in rows)
    assert read(text, "conllu") == [(4, ["de", "le"], ["ADP", "DET"])]


def test_scores_ranges_and_decimals_are_tokens():
    """As in CoNLL-2003; in CoNLL-U alone such a first column is no word."""
    assert read("SOCCER O\n6-2 O\n3.5 B-NUM\n\n1995-96 B-DATE\n") == [
        (1, ["SOCCER", "6-2", "3.5"], ["O", "O", "B-NUM"]),
        (5, ["1995-96"], ["B-DATE"]),
    ]


@pytest.mark.parametrize("comment", ["# doc1", "# sent id 1", "# newdoc", "#\thttp://a.b\tc", "# id 7\tdomain=train"])
def test_comments_between_sentences(comment):
    assert read(f"{comment}\nAnn B-PER\nran O\n\n{comment}\nHi O\n") == [
        (2, ["Ann", "ran"], ["B-PER", "O"]),
        (6, ["Hi"], ["O"]),
    ]


def test_a_document_ends_a_sentence_and_a_margin_is_no_token():
    assert read("-DOCSTART- O\nAnn B-PER\n-DOCSTART- O\nHi O\n") == [(2, ["Ann"], ["B-PER"]), (4, ["Hi"], ["O"])]
    assert read(" Ann B-PER\n ran O\n") == [(1, ["Ann", "ran"], ["B-PER", "O"])]


def test_universal_dependencies_under_another_name():
    row = "1\tde\tde\tADP" + "\t_" * 6
    assert read(f"{row}\n") == [(1, ["de"], ["ADP"])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a B-X\nb b-X\nc I-X\n",
            "stream, sentence of line 1: expected O or a tag such as 'B-X', as most are, got 'b-X'",
        ),
        ("a b-x\nb i-x\n\nc b-x\n", "expected tags such as 'B-X', a capital letter first, got 'b-x'"),
        ("a PER-B\nb PER-I\n\nc O\n", "expected tags such as 'B-PER', a capital letter first, got 'PER-B'"),
    ],
)
def test_tags_that_are_no_tags_of_their_scheme(text, message):
    with pytest.raises(CorpusError, match=message):
        read_tagged(io.BytesIO(text.encode()), "conll")


def test_a_table_of_csv_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\ngood,1\n")
    with pytest.raises(CorpusError, match="got another table of CSV; write it so, as columns, a token a line, or as"):
        read_tagged(path)


def test_a_token_may_be_a_blank_or_a_hash():
    assert read("我 O\n  O\n在 O\n") == [(1, ["我", " ", "在"], ["O"] * 3)]
    assert read("a\tO\n \tO\n") == [(1, ["a", " "], ["O", "O"])]
    assert read("\u3000 O\n我 O\n") == [(1, ["\u3000", "我"], ["O", "O"])]
    assert read("# O\n1 O\n", "conll") == [(1, ["#", "1"], ["O", "O"])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ann B-PER\nran\n\nHi O\n", "stream, line 2: expected 2 columns as in line 1, got 1: 'ran'"),
        ("Ann B-PER\nran a O\n", "stream, line 2: expected 2 columns as in line 1, got 3: 'ran a O'"),
        (
            "Ann\nran\n",
            r"stream, line 1: expected a token and a tag, got one column: 'Ann'; are these texts, or tokens, without",
        ),
        ("a\t\nb\tO\n", "stream, line 1: expected a tag in column 1, got nothing"),
        ("\tO\nb\tO\n", "stream, line 1: expected a token in column 0, got nothing"),
    ],
)
def test_what_is_wrong_in_columns(text, message):
    with pytest.raises(CorpusError, match=message):
        read(text, "conll", tag_column=1 if "\t" in text else None)


def test_a_bad_sentence_is_left_out_whole_and_counted():
    source = io.BytesIO(b"Ann B-PER\nran O\n\nHi\nyou O\n\nBob B-PER\n")
    sentences, report = read_tagged(source, "conll", on_error="skip")
    assert [s.tokens for s in sentences] == [["Ann", "ran"], ["Bob"]]
    assert report.bad_rows == 1
    assert report.problems == ["stream, line 4: expected 2 columns as in line 1, got 1: 'Hi'"]
    assert "left out: 1 bad sentences" in str(report)


def test_tags_that_no_other_sentence_has_are_left_out_and_counted():
    text = b"Ann B-PER\nran O\n\nBob Foo\n\nBob B-PER\n"
    with pytest.raises(
        CorpusError, match="sentence of line 4: expected O or a tag such as 'B-PER', as most are, got 'Foo'"
    ):
        read_tagged(io.BytesIO(text))
    sentences, report = read_tagged(io.BytesIO(text), on_error="skip")
    assert [s.line for s in sentences] == [1, 6]
    assert (report.scheme, report.bad_rows, report.sentences, report.tokens) == ("BIO", 1, 2, 3)
    assert dict(report.tags) == {"B-PER": 2, "O": 1}
    assert "sentence of line 4: expected O or a tag such as" in report.problems[0]


def test_blank_lines_that_are_missing_are_asked_for():
    report = read_tagged(io.BytesIO(b"a O\n" * 10_001))[1]
    assert report.doubts == ["line 1: a sentence of 10,001 tokens; are blank lines missing between sentences?"]


def test_illegal_sequences_are_named():
    report = read_tagged(io.BytesIO(b"a B-X\nb I-Y\n\nc O\nd I-X\n"))[1]
    assert report.scheme == "BIO"
    (doubt,) = report.doubts
    expected = "2 tags in 2 sentences are not allowed where they stand by BIO, such as 'I-Y' behind 'B-X' in"
    assert doubt.startswith(expected)
    (doubt,) = read_tagged(io.BytesIO(b"a PER\nb O\n"))[1].doubts
    assert doubt == "tags have no B and I: neighbouring spans of one type count as one span"


# --- JSON ---

SPANS = [["B-PER", "I-PER", "E-PER", "O", "O", "O", "O"], list("Ann ran")]
WORDS = [["S-PER", "O"], ["Ann", "ran"]]


@pytest.mark.parametrize(
    "fields",
    [
        {"label": [[0, 3, "PER"]]},
        {"labels": [[0, 3, "PER"]], "id": 7},
        {"entities": [{"start": 0, "end": 3, "label": "PER"}]},
        {"spans": [{"start_offset": 0, "end_offset": 3, "type": "PER", "text": "Ann"}]},
        {"entities": [{"start_idx": 0, "end_idx": 2, "type": "PER", "entity": "Ann"}]},  # the last one's place
        {"label": {"PER": {"Ann": [[0, 2]]}}},  # CLUENER2020
        {"annotations": [{"start": 0, "end": 3, "labels": ["PER"], "text": "Ann"}]},
    ],
)
def test_spans_of_characters(fields):
    assert read(json.dumps({"text": "Ann ran", **fields})) == [(1, WORDS[1], WORDS[0])]
    assert read(json.dumps({"text": "Ann ran", **fields}), level="char") == [(1, SPANS[1], SPANS[0])]


@pytest.mark.parametrize("form", ["array", "indented", "lines"])
def test_what_spacy_2_was_trained_on(form):
    rows = [["Ann ran", {"entities": [[0, 3, "PER"]]}], ["Hi", {"entities": []}]]
    text = "\n".join(map(json.dumps, rows)) if form == "lines" else json.dumps(rows, indent=form == "indented" or None)
    found = [row[1:] for row in read(text, "jsonl" if form == "lines" else None)]
    assert found == [(WORDS[1], WORDS[0]), (["Hi"], ["O"])]
    with pytest.raises(CorpusError, match="row 2: expected a JSON object"):
        read(json.dumps([*rows[:1], ["Hi", []]]))


@pytest.mark.parametrize(
    ("text", "span", "level"),
    [
        ("叶老桂认为 OK", [0, 3], "char"),
        ("Anna ran", [0, 4], "word"),
        ("Анна бежала", [0, 4], "word"),
        ("ไปไหน", [0, 2], "char"),
    ],
)
def test_texts_with_blanks_between_words_are_read_as_words(text, span, level):
    row = json.dumps({"text": text, "label": [[*span, "PER"]]})
    (sentence,), report = read_tagged(io.BytesIO(row.encode()))
    assert sentence.tokens == (text.split() if level == "word" else list(text))
    assert report.level == level
    assert f"texts as {'words' if level == 'word' else 'characters'}" in str(report)
    assert read_tagged(io.BytesIO(b'{"tokens": ["a"], "tags": ["O"]}'))[1].level is None


def test_spans_that_end_within_a_word_are_widened_and_counted():
    rows = [
        {"text": "in New York-based firms", "label": [[3, 11, "LOC"], [12, 17, "X"]]},  # the longer one stays
        {"text": " Ann ran", "label": [[0, 5, "PER"]]},  # blanks beside a word are no part of it
    ]
    source = io.BytesIO("\n".join(map(json.dumps, rows)).encode())
    sentences, report = read_tagged(source)
    assert [s.tags for s in sentences] == [["O", "B-LOC", "E-LOC", "O"], ["S-PER", "O"]]
    widened, dropped = report.doubts
    assert widened.startswith("2 spans began or ended within a word, the first in line 1: they were widened")
    assert dropped.startswith("1 spans were left out that overlap longer ones, the first in line 1")
    with pytest.raises(CorpusError, match=r"line 1: expected a span with a word in it, got \[3, 4, 'X'\]"):
        read(json.dumps({"text": "Ann  ran", "label": [[3, 4, "X"]]}))


def test_an_array_and_tasks_of_label_studio():
    value = {"start": 0, "end": 3, "text": "Ann", "labels": ["PER"]}
    small = {"text": "Ann ran", "label": [value]}
    whole = {"id": 1, "data": {"text": "Ann ran"}, "annotations": [{"result": [{"value": value, "type": "labels"}]}]}
    for rows in ([small], [whole]):
        assert [row[1:] for row in read(json.dumps(rows, indent=1))] == [(WORDS[1], WORDS[0])]
        assert [row[1:] for row in read(json.dumps(rows))] == [(WORDS[1], WORDS[0])]


@pytest.mark.parametrize(
    "fields",
    [
        {"label": [], "entities": [[0, 3, "PER"]]},
        {"tokens": [{"text": "Ann"}, {"text": "ran"}], "spans": [{"start": 0, "end": 3, "label": "PER"}]},  # Prodigy
        {"entities": [{"start": 0, "end": 3, "label": "PER", "entity": "T1", "name": "span1"}]},
        {"entities": [{"start": 0, "end": 3, "entity": "PER", "value": "Ann"}]},
    ],
)
def test_fields_that_mean_something_else(fields):
    assert read(json.dumps({"text": "Ann ran", **fields})) == [(1, WORDS[1], WORDS[0])]


def test_lists_of_tokens_and_tags():
    row = json.dumps({"tokens": ["Ann", "ran"], "ner_tags": ["B-PER", "O"]})
    assert read(row) == [(1, ["Ann", "ran"], ["B-PER", "O"])]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "Ann", "label": [[0, 4, "P"]]}, r"line 1: expected a span within 3 characters .*, got \[0, 4, 'P'\]"),
        ({"text": "Ann", "label": [[0, 1]]}, r'expected a span such as \[0, 3, "PER"\], got \[0, 1\]'),
        ({"text": "Ann", "label": [["0", "3", "P"]]}, "expected two places and a type"),
        ({"text": "Ann", "label": {"P": {"Bob": [[0, 2]]}}}, r"expected 'Bob' at \[0, 2, 'P'\], got 'An'"),
        ({"text": "Ann"}, r"expected spans under one of label, .*, got none; write \[\] for a text without any"),
        ({"tokens": ["a"], "ner_tags": [3]}, "expected tags that are strings, got 3; write the names of the tags"),
        ({"tokens": ["a", "b"], "tags": ["O"]}, "expected a tag for each of 2 tokens, got 1"),
        ({"body": "Ann"}, 'expected "text" with spans, or "tokens" with "tags", got \'body\''),
    ],
)
def test_what_is_wrong_in_json(row, message):
    with pytest.raises(CorpusError, match=message):
        read(json.dumps(row))


def test_of_spans_that_overlap_the_longest_is_kept_and_it_is_said():
    row = {"text": "abcd", "label": [[0, 3, "X"], [1, 2, "Y"], [0, 3, "X"]]}
    sentences, report = read_tagged(io.BytesIO(json.dumps(row).encode()), level="char")
    assert sentences[0].tags == ["B-X", "I-X", "E-X", "O"]
    assert report.doubts[0].startswith("1 spans were left out that overlap longer ones, the first in line 1")


# --- words ---


def test_words_between_spaces():
    text = "我  来到 北京大学\n\n好\u3000的\n"
    assert read(text) == [(1, list("我来到北京大学"), list("SBEBMME")), (3, ["好", "的"], ["S", "S"])]


@pytest.mark.parametrize("format", ["conll", "conllu", "jsonl", "words"])
def test_tokens_without_tags(format):  # noqa: A002
    text = {"conllu": "1\tAnn" + "\t_" * 8, "jsonl": '{"tokens": ["Ann"]}'}.get(format, "Ann")
    assert read(text, format, need_tags=False, level="word") == [(1, ["Ann"], [])]


def test_lines_of_equally_many_words_are_no_columns():
    assert read("我 来到 北京\n他 去 上海\n")[0][1] == list("我来到北京")
    assert read("我/r 来/v\n他/r 去/v\n") == [(1, ["我", "来"], ["S-r", "S-v"]), (2, ["他", "去"], ["S-r", "S-v"])]
    assert read_tagged(io.BytesIO("我 来到\n".encode()))[1].scheme == "BMES"
    (doubt,) = read_tagged(io.BytesIO("我_r 来到_v\n".encode()))[1].doubts
    assert doubt.startswith("most words have _ or | in them")


def test_words_with_their_parts_of_speech():
    text = "我/r 来到/v 北京/ns\n"
    assert read(text) == [(1, list("我来到北京"), ["S-r", "B-v", "E-v", "B-ns", "E-ns"])]
    assert read(text, level="word") == [(1, ["我", "来到", "北京"], ["r", "v", "ns"])]
    assert read(text.replace("/", "_"), "word/tag", separator="_", level="word") == [
        (1, ["我", "来到", "北京"], ["r", "v", "ns"])
    ]
    assert read("//w [中央/n 电台/n]nt ［/w\n", level="word") == [
        (1, ["/", "中央", "电台", "［"], ["w", "n", "n", "w"])
    ]


def test_a_word_without_its_tag():
    with pytest.raises(CorpusError, match="stream, line 2: expected word/tag, got '来到' for word 2"):
        read("我/r 来/v\n我/r 来到\n", "word/tag")


def test_characters_make_words_again():
    words = ["北京大学", "的", "学生"]
    assert words_of_tags(*tags_of_words(words)) == words
    assert words_of_tags(list("abcd"), list("MEEB")) == ["ab", "c", "d"]  # whatever the tags, nothing is lost


# --- arguments, and files that are none ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "xml"}, "format: expected one of conll, .*, got 'xml'"),
        ({"level": "byte"}, "level: expected one of auto, char, word, got 'byte'"),
        ({"separator": " "}, "separator: expected at least one character that is no space"),
        ({"scheme": "XY"}, "scheme: expected one of"),
        ({"format": "words", "level": "word"}, "words between spaces have no tags of their own"),
        ({"on_error": "x"}, "on_error: expected one of stop, skip, got 'x'"),
    ],
)
def test_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        iter_tagged(io.BytesIO(b""), **options)


def test_files_that_hold_no_sentences(tmp_path):
    with pytest.raises(CorpusError, match="but the file is empty"):
        read_tagged(io.BytesIO(b""))
    with pytest.raises(CorpusError, match="expected sentences, got none"):
        read_tagged(io.BytesIO(b"\n\n"))
    with pytest.raises(CorpusError, match="Excel workbook"):
        read_tagged(io.BytesIO(b"PK\x03\x04[Content_Types].xml"))
    with pytest.raises(CorpusError, match="there is none of this name"):
        read_tagged(tmp_path / "none.txt")


def test_the_encoding_is_found():
    assert read("我 O\n来 O\n".encode("gb18030")) == [(1, ["我", "来"], ["O", "O"])]
