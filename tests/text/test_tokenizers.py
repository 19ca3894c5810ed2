"""Tokenizers: which tokens come out, what options do, and that jieba is ours alone, and silent."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import threading
import warnings

import pytest

from textnn.text import (
    TOKENIZERS,
    CallableTokenizer,
    CharTokenizer,
    JiebaTokenizer,
    RJiebaTokenizer,
    Tokenizer,
    WhitespaceTokenizer,
    make_tokenizer,
    tokenizer_from_config,
)

TEXT = "这家酒店的服务很好，下次还会来！ OK"


def double(text: str) -> list[str]:
    return text.split() * 2


@pytest.fixture(scope="module")
def jieba_tokenizer():
    return JiebaTokenizer()


@pytest.fixture(params=[JiebaTokenizer, RJiebaTokenizer], ids=["jieba", "rjieba"])
def kind(request):
    """Both tokenizers with a dictionary: what is said of one holds of the other."""
    return request.param


# ---- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [TEXT, "", " \n", "混合 mixed\ttext\r\n很好", "\ufeff好", "a" * 1000])
def test_jieba_gives_the_tokens_of_jieba(jieba_tokenizer, text):
    import jieba

    assert jieba_tokenizer(text) == jieba.lcut(text)


def test_without_guessed_words(kind):
    import jieba

    text = "他来到了网易杭研大厦"
    assert kind(hmm=False)(text) == jieba.lcut(text, HMM=False) != jieba.lcut(text)


def test_characters_and_white_space():
    assert CharTokenizer()("很 好\n\u3000ok") == ["很", "好", "o", "k"]
    assert WhitespaceTokenizer()(" so\u3000good\n really ") == ["so", "good", "really"]
    assert CharTokenizer()("") == WhitespaceTokenizer()(" ") == []


def test_a_function():
    assert CallableTokenizer(double)("a b") == ["a", "b", "a", "b"]
    assert CallableTokenizer(lambda text: tuple(text))("ab") == ["a", "b"]  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("result", "message"),
    [("a b", "expected a list of strings, got str"), (None, "got NoneType"), ([1], "expected strings, got int")],
)
def test_a_function_that_returns_something_else(result, message):
    with pytest.raises(TypeError, match=message):
        CallableTokenizer(lambda text: result)("a b")


@pytest.mark.parametrize("name", ["jieba", "rjieba", "char", "whitespace"])
@pytest.mark.parametrize("text", [None, b"bytes", 3.5])
def test_a_text_must_be_a_string(name, text):
    tokenizer = make_tokenizer(name)
    with pytest.raises(TypeError, match=f"text: expected a string, got {type(text).__name__}"):
        tokenizer(text)
    with pytest.raises(TypeError, match=rf"texts\[1\]: expected a string, got {type(text).__name__}"):
        tokenizer.split_many(["好", text])


@pytest.mark.parametrize("stop_words", [None, ["的", " "]])
@pytest.mark.parametrize("tokenizer", ["jieba", "rjieba", "char", "whitespace", double])
def test_many_texts_give_what_each_gives(tokenizer, stop_words):
    texts = [TEXT, "", "的", "a-b 1.5M\r\n", TEXT]
    made = make_tokenizer(tokenizer, stop_words=stop_words)
    assert made.split_many(tuple(texts)) == made.split_many(texts) == [made(text) for text in texts]
    assert made.split_many([]) == []
    with pytest.raises(TypeError, match="texts: expected a sequence of strings, got one string"):
        made.split_many(TEXT)


# ---- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [JiebaTokenizer, RJiebaTokenizer, CharTokenizer, WhitespaceTokenizer])
def test_stop_words_are_left_out(make):
    tokenizer = make(stop_words=["的", " ", "好", "的"])
    assert tokenizer.stop_words == [" ", "好", "的"]
    assert tokenizer("我 的 好") == [token for token in make()("我 的 好") if token not in {"的", " ", "好"}]


def test_user_dictionary_belongs_to_one_tokenizer(kind):
    import jieba
    import rjieba

    text = "用石墨烯不粘锅煎蛋"
    assert "石墨烯不粘锅" not in kind()(text)
    tokenizer = kind(["石墨烯不粘锅", "", " 煎蛋 50 n "])
    assert tokenizer.user_dictionary == ["石墨烯不粘锅", "煎蛋 50 n"]
    assert tokenizer(text) == ["用", "石墨烯不粘锅", "煎蛋"]
    assert "石墨烯不粘锅" not in kind()(text)
    assert "石墨烯不粘锅" not in jieba.lcut(text) + rjieba.cut(text)


def test_words_added_to_jieba_elsewhere_are_not_seen(jieba_tokenizer):
    import jieba

    text = "甲乙丙丁戊己庚辛"
    before = jieba_tokenizer(text)
    jieba.add_word(text)
    try:
        assert jieba.lcut(text) == [text]
        assert jieba_tokenizer(text) == JiebaTokenizer()(text) == before
    finally:
        del jieba.dt.FREQ[text]


@pytest.mark.parametrize(
    ("entries", "error", "message"),
    [
        ("word", TypeError, "user_dictionary: expected a list of strings, got one string"),
        (["a", 3], TypeError, r"user_dictionary\[1\]: expected a string, got int"),
        (["a\nb"], ValueError, "expected lines 'word', 'word count' or 'word count tag', .* got 'a"),
        (["word 0"], ValueError, "expected a count from 1 to 1,000,000,000,000, got 'word 0'"),
        (["word 1000000000001"], ValueError, "expected a count from 1 to 1,000,000,000,000, got 'word 1000000000001'"),
        (["word " + "9" * 5000], ValueError, "expected a count from 1 to 1,000,000,000,000, got 'word 999"),
    ],
)
def test_bad_user_dictionaries(kind, entries, error, message):
    with pytest.raises(error, match=message):
        kind(entries)


def test_the_largest_counts(kind):
    lines = [f"{word} 1000000000000" for word in ("好极", "了吧", "很好")] + ["还好 0007"]
    assert kind(lines)("好极了吧，很好，还好") == ["好极", "了吧", "，", "很好", "，", "还好"]


# ---- by name ---------------------------------------------------------------------------------------------------------


def test_make_by_name_function_or_tokenizer():
    assert type(make_tokenizer("jieba")) is JiebaTokenizer
    assert type(make_tokenizer("rjieba", stop_words=["a"])) is RJiebaTokenizer
    assert type(make_tokenizer("char", stop_words=["a"])) is CharTokenizer
    assert type(make_tokenizer("whitespace")) is WhitespaceTokenizer
    assert make_tokenizer(double, stop_words={"a"})("a b") == ["b", "b"]
    tokenizer = CharTokenizer()
    assert make_tokenizer(tokenizer) is tokenizer
    assert sorted(TOKENIZERS) == ["callable", "char", "jieba", "mixed", "rjieba", "unicode", "whitespace"]


@pytest.mark.parametrize("name", ["jieba", "rjieba"])
def test_options_from_files(name, tmp_path):
    words, stop = tmp_path / "words.txt", tmp_path / "stop.txt"
    words.write_bytes("\ufeff石墨烯不粘锅 10 n\r\n\r\n煎蛋\r\n".encode())
    stop.write_text(" 用 \n\n的\n", encoding="utf-8")
    tokenizer = make_tokenizer(name, str(words), stop)
    assert tokenizer.user_dictionary == ["石墨烯不粘锅 10 n", "煎蛋"]
    assert tokenizer.stop_words == ["用", "的"]
    assert tokenizer("用石墨烯不粘锅煎蛋") == ["石墨烯不粘锅", "煎蛋"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ("spacy",),
            ValueError,
            "tokenizer: expected one of jieba, .*, whitespace, the directory of a saved segmenter or a function, got",
        ),
        (
            ("callable",),
            ValueError,
            "tokenizer: expected one of jieba, rjieba, unicode, mixed, char, .* got 'callable'",
        ),
        ((3,), TypeError, "tokenizer: expected a name, a function or a Tokenizer, got int"),
        (
            ("char", ["a"]),
            ValueError,
            "only the tokenizers 'jieba', 'rjieba', 'mixed' and saved segmenters have one, got the tokenizer 'char'",
        ),
        (
            (double, ["a"]),
            ValueError,
            "user_dictionary: only the tokenizers 'jieba', 'rjieba', 'mixed' and saved segmenters have one, got the",
        ),
        (("char", None, "none.txt"), ValueError, "stop_words: cannot read the file none.txt: No such file"),
        (("jieba", "none.txt"), ValueError, "user_dictionary: cannot read the file none.txt: No such file"),
        (("char", None, [None]), TypeError, r"stop_words\[0\]: expected a string, got NoneType"),
        ((CharTokenizer(), None, ["a"]), ValueError, "stop_words: expected None beside a CharTokenizer"),
    ],
)
def test_what_makes_no_tokenizer(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        make_tokenizer(*arguments)


def test_a_word_file_in_another_encoding(tmp_path):
    path = tmp_path / "stop.txt"
    path.write_bytes("的确\n".encode("gb18030"))
    with pytest.raises(ValueError, match=r"stop_words: expected UTF-8 text in .*stop.txt, got other bytes"):
        make_tokenizer("char", stop_words=path)


# ---- made again ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tokenizer",
    [
        JiebaTokenizer(["石墨烯不粘锅"], ["的"], hmm=False),
        JiebaTokenizer(),
        RJiebaTokenizer(["石墨烯不粘锅"], ["的"], hmm=False),
        RJiebaTokenizer(),
        CharTokenizer(["的"]),
        WhitespaceTokenizer(),
    ],
    ids=lambda tokenizer: tokenizer.name,
)
def test_configuration_makes_it_again(tokenizer):
    config = json.loads(json.dumps(tokenizer.config()))
    again = tokenizer_from_config(config, tokenizer.user_dictionary, tokenizer.stop_words)
    assert type(again) is type(tokenizer)
    assert again.config() == tokenizer.config()
    assert (again.user_dictionary, again.stop_words) == (tokenizer.user_dictionary, tokenizer.stop_words)
    assert again(TEXT) == tokenizer(TEXT)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CallableTokenizer(double).config(), "the function .*double is not stored with a model"),
        ({"kind": "spacy"}, "expected one of jieba, rjieba, unicode, mixed, char, whitespace, callable, got 'spacy'"),
        ({}, "got None"),
        ({"kind": "char", "options": {"hmm": True}}, "do not suit 'char'"),
    ],
)
def test_configurations_that_make_none(config, message):
    with pytest.raises(ValueError, match=message):
        tokenizer_from_config(config)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["copy", "pickle"])
def test_copies_work_alike(kind, duplicate):
    tokenizer = kind(["石墨烯不粘锅"], ["的"])
    expected = tokenizer(TEXT + "石墨烯不粘锅")
    again = duplicate(tokenizer)
    assert again(TEXT + "石墨烯不粘锅") == expected
    assert len(pickle.dumps(tokenizer)) < 1000, "the loaded dictionary is no part of a pickle"


def test_own_tokenizers_derive_from_the_base():
    class Pairs(Tokenizer):
        name = "pairs"

        def split(self, text: str) -> list[str]:
            return [text[i : i + 2] for i in range(len(text) - 1)]

    tokenizer = make_tokenizer(Pairs(stop_words=["bc"]))
    assert tokenizer("abcd") == ["ab", "cd"]
    assert tokenizer.config() == {"kind": "pairs"}


# ---- manners ---------------------------------------------------------------------------------------------------------


def test_both_are_silent_lazy_and_leave_no_file(kind, tmp_path):
    """In a fresh process: no output, no warning, no import before use, and no file where temporary files go."""
    program = (
        "import sys, warnings, textnn.text as text\n"
        "warnings.simplefilter('error')\n"
        f"tokenizer = text.{kind.__name__}(['很好'])\n"
        "assert not {'jieba', 'rjieba'} & set(sys.modules)\n"
        "print('|'.join(tokenizer('酒店很好')))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "酒店|很好\n", "")
    assert list(tmp_path.iterdir()) == []


def test_warnings_of_the_import_are_kept_from_users(tmp_path, monkeypatch):
    """Python 3.12 and later warn of jieba's regular expressions whenever it is compiled anew."""
    (tmp_path / "jieba.py").write_text(
        "import warnings\n__version__ = 'of the test'\nwarnings.warn('invalid escape', SyntaxWarning)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "jieba", raising=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert JiebaTokenizer().config()["version"] == "of the test"
    finally:
        sys.modules.pop("jieba", None)


def test_a_directory_for_temporary_files_is_not_needed(monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError("read-only")

    for name in ("gettempdir", "mkstemp"):
        monkeypatch.setattr(f"tempfile.{name}", refuse)
    assert "酒店" in JiebaTokenizer()(TEXT)


def test_threads_load_it_once(kind, monkeypatch):
    tokenizer = kind()
    load, loads = tokenizer._load, []
    monkeypatch.setattr(tokenizer, "_load", lambda entries: (loads.append(1), load(entries))[1])
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(tokenizer(TEXT))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert results == [tokenizer(TEXT)] * 8
