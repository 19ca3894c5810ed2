"""Encodings of files as users have them: recognised, or refused with a guess, never read wrongly in silence."""

from __future__ import annotations

import pytest
from text_tables import CHINESE, TRADITIONAL, Write, pairs, table

from textnn.text import CorpusError, iter_records, read_corpus
from textnn.text.charset import recognise

READ = [
    *(("utf-8", CHINESE, "utf-8"), ("utf-8-sig", CHINESE, "utf-8"), ("gb18030", CHINESE, "gb18030")),
    *(("gbk", CHINESE, "gb18030"), ("big5", TRADITIONAL, "cp950"), ("cp950", TRADITIONAL, "cp950")),
    *(("gbk", TRADITIONAL, "gb18030"), ("utf-16", CHINESE, "utf-16"), ("utf-16-le", CHINESE, "utf-16-le")),
    *(("utf-16-be", TRADITIONAL, "utf-16-be"), ("utf-16-le", [("good", "a"), ("bad", "b")], "utf-16-le")),
    *(("utf-32", CHINESE, "utf-32"), ("utf-8", [("Très bien", "a"), ("déçu", "b")], "utf-8")),
    *(("utf-8", [("отлично", "a"), ("плохо", "b")], "utf-8"), ("utf-8", [("最高です", "a"), ("최악", "b")], "utf-8")),
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(("encoding", "rows", "found"), READ)
def test_these_are_recognised(
    write: Write, encoding: str, rows: list[tuple[str, str]], found: str, delimiter: str
) -> None:
    corpus = read_corpus(write(table(rows, delimiter, end="\r\n").encode(encoding)))
    assert (pairs(corpus), corpus.report.layout.encoding) == (rows, found)


@pytest.mark.parametrize(
    ("encoding", "rows", "guess"),
    [
        ("cp1252", ["Très bon, livraison rapide", "Déçu, ça s’est cassé"], "cp1252"),
        ("latin-1", ["Schöne Größe, schneller Versand", "für den Preis zu schlecht"], "cp1252"),
        ("cp1252", ["“Great” value", "It’s awful"], "cp1252"),
        ("cp1252", ["It’s fine", "plain"], "cp1252"),
        ("cp1252", ["only £900", "caf\xe9"], "cp1252"),
        ("mac_roman", ["L’hôtel était propre", "très déçu"], "mac_roman"),
        ("shift_jis", ["とても良い商品でした。", "すぐに壊れてしまいました"], "cp932"),
        ("euc_jp", ["とても良い商品でした。", "すぐに壊れてしまいました"], "euc_jp"),
        ("iso2022_jp", ["とても良い商品でした。", "すぐに壊れてしまいました"], "iso2022_jp"),
        ("euc_kr", ["정말 좋은 제품입니다", "다시는 사지 않습니다"], "cp949"),
        ("cp1251", ["Очень хороший товар", "плохое качество"], "cp1251"),
        ("koi8_r", ["Очень хороший товар", "плохое качество"], "koi8_r"),
        ("cp866", ["Очень хороший товар", "плохое качество"], "cp866"),
        ("cp850", ["Très bonne qualité", "déçu par l'hôtel"], "cp850"),
        ("cp1250", ["Bardzo dobra jakość, polecam", "zła obsługa, długo"], "cp1250"),
        ("cp1253", ["Πολύ καλή ποιότητα", "κακή εξυπηρέτηση"], "cp1253"),
        ("cp1254", ["Çok güzel, teşekkürler", "kötü, şikayetçiyim, bağırdı"], "cp1254"),
        ("cp1255", ["איכות טובה מאוד", "שירות גרוע"], "cp1255"),
        ("cp1256", ["جودة ممتازة وسريعة", "خدمة سيئة جدا"], "cp1256"),
        ("cp874", ["สินค้าดีมาก", "บริการแย่มาก"], "cp874"),
    ],
)
def test_others_are_never_read_in_silence_but_refused_with_a_guess(
    write: Write, encoding: str, rows: list[str], guess: str
) -> None:
    content = table([(f'"{text}"', str(number)) for number, text in enumerate(rows)]).encode(encoding)
    with pytest.raises(CorpusError, match=rf"looks like {guess} .*--encoding {guess}"):
        read_corpus(write(content))
    assert read_corpus(write(content), encoding=guess).texts == rows
    head = b"text,label\n" + b"plain,0\n" * 20_000
    with pytest.raises(CorpusError, match=rf"looks like {guess} "):
        read_corpus(write(head + content.partition(b"\n")[2]))


def test_a_guess_shows_what_other_encodings_make_of_a_word(write: Write) -> None:
    with pytest.raises(
        CorpusError, match=r"may read 'качество' \(cp1251\), .*\(cp1255\).*; name the encoding that reads"
    ):
        read_corpus(write(table([("хорошее качество", "1"), ("плохой товар", "0")]).encode("cp1251")))


NUL_IN_TEXT = [
    *("hello\0world\n", "ab\0\n", "a\0b\n", "\0", "我爱\0北京天安门\n", "你好\n很\0好\n", "text,label\n很\0好,a\n"),
]
SHORT = ["ok\n", "好\n", "ab好\n", "很好\n太差\n", "최고예요\n", "とても良い\n", "Привет, мир\n", "ça va\n"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("text", NUL_IN_TEXT)
def test_text_with_a_nul_byte_is_not_read_as_utf16(write: Write, text: str, encoding: str) -> None:
    with pytest.raises(CorpusError, match=rf"line {text[: text.index(chr(0))].count(chr(10)) + 1}: .*got a NUL byte"):
        list(iter_records(write(text.encode(encoding)), format="lines", need_label=False))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", SHORT)
def test_short_text_of_utf16_without_a_mark_is_recognised(text: str, encoding: str) -> None:
    assert recognise(text.encode(encoding), True).encoding == encoding


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        *("一件一百块，一点也不贵\n" * 5, "第一次买，一般般\n下次不会再来了\n", "只有一条，没有换行"),
        *("No", "egg", "egg é", "NaN\nNaN\n", "N\n" * 20, "N,g\n" * 20, "とても良い\nまた一度\n", "아주 좋은 호텔\n"),
    ],
)
def test_utf16_is_recognised_without_a_mark(text: str, encoding: str) -> None:
    """The most frequent character of Chinese is U+4E00, and N is it the other way round."""
    assert recognise(text.encode(encoding), True).encoding == encoding


@pytest.mark.parametrize("tail", [b"\xe5", b"\xe5\xa5", b"\xe5\xa5\xbd\xe5\xa5"])
@pytest.mark.parametrize("text", ["很好", "质量很好", "好" * 9])
def test_utf8_that_is_cut_within_a_character_at_the_end_of_a_cell_is_no_gb18030(
    write: Write, text: str, tail: bytes
) -> None:
    path = write(b"text,label\n" + text.encode() + tail + b",1\n" + f"{text},0\n".encode())
    with pytest.raises(
        CorpusError, match=r"line 2: expected utf-8 text, got the byte 0xe5 .*--encoding-errors replace"
    ):
        read_corpus(path)
    corpus = read_corpus(path, encoding_errors="replace")
    assert corpus.texts[0].startswith(text)
    assert corpus.texts[0].endswith("\ufffd")
    assert corpus.texts[1] == text
    assert f"bytes replaced by U+FFFD: {len(tail) % 3}" in str(corpus.report)


@pytest.mark.parametrize(("encoding", "rows"), [("utf-8", CHINESE), ("gb18030", CHINESE), ("cp950", TRADITIONAL)])
@pytest.mark.parametrize("line", [3, 3_000])
def test_a_damaged_byte_among_many_rows(write: Write, encoding: str, rows: list[tuple[str, str]], line: int) -> None:
    lines = table(rows * 1_000).encode(encoding).splitlines(keepends=True)
    lines[line] = b"\xff" + lines[line]
    path = write(b"".join(lines))
    with pytest.raises(
        CorpusError, match=rf"line {line + 1}: expected {encoding} text, got the byte 0xff at character 1"
    ):
        read_corpus(path)
    replaced = read_corpus(path, encoding_errors="replace")
    assert len(replaced) == 4 * 1_000
    assert replaced.report.replaced == 1
    skipped = read_corpus(path, on_error="skip")
    assert (len(skipped), skipped.report.bad_rows) == (4 * 1_000 - 1, 1)
    assert f"line {line + 1}: " in skipped.report.problems[0]
    assert "bad rows: 1" in str(skipped.report)


def test_a_utf16_file_that_is_cut_off_is_replaced_at_its_end(write: Write) -> None:
    path = write(table(CHINESE).encode("utf-16")[:-1])
    with pytest.raises(CorpusError, match="expected utf-16 text, got other bytes"):
        read_corpus(path)
    assert len(read_corpus(path, encoding_errors="replace", on_error="skip")) >= 3


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "euc_kr", "shift_jis", "cp1251"])
def test_no_bytes_of_another_encoding_come_out_as_chinese(encoding: str) -> None:
    texts = {
        "cp1252": "élève déçu, à l’hôtel: £9 “bien” – naïve façade, Größe, señor",
        "mac_roman": "élève déçu, à l’hôtel: “bien” – naïve façade, Größe, señor",
        "euc_kr": "배송도 빠르고 포장도 깔끔합니다 가격 대비 품질이 훌륭해서",
        "shift_jis": "部屋がきれいで朝食も美味しかった値段の割に品質が悪い",
        "cp1251": "доставка быстрая мне не понравилось",
    }
    words = texts[encoding].split()
    for start in range(len(words)):
        sample = " ".join(words[start : start + 4]).encode(encoding)
        assert recognise(sample, True).encoding not in ("gb18030", "cp950"), sample
