"""bench.accuracy: texts and splits, words that are kept, contestants that learn.

Accuracies of toy texts mean nothing; that all get the same texts does.
"""

from __future__ import annotations

import json
import pickle

import pytest
from accuracy_samples import Majority, toy

import textnn
from bench.accuracy import contestants, corpora, opponents, run
from bench.accuracy.corpora import Corpus, Part
from bench.accuracy.tokens import Tokens
from textnn.models import ARCHITECTURES

# texts and splits


def test_texts_are_kept_once_and_not_with_two_labels():
    part = Part(["好 书", "差", " 好  书", "怪", "怪", "差"], ["1", "0", "1", "0", "1", "0"])
    assert corpora.distinct(part) == Part(["好 书", "差"], ["1", "0"])


def test_parts_are_disjoint_complete_and_the_same_each_time():
    corpus = toy(203)
    one, same, other = corpora.split(corpus, 3), corpora.split(corpus, 3), corpora.split(corpus, 4)
    assert one == same != other
    parts = [set(part.texts) for part in (one.training, one.validation, one.test)]
    assert list(map(len, parts)) == [163, 20, 20]
    assert set.union(*parts) == set(corpus.part.texts)
    assert sum(map(len, parts)) == len(corpus.part)
    label = dict(zip(corpus.part.texts, corpus.part.labels, strict=True))
    for part in (one.training, one.validation, one.test):
        assert part.labels == [label[text] for text in part.texts]


def test_a_split_of_too_few_texts_is_refused():
    with pytest.raises(SystemExit, match="toy: expected at least 10 different texts, got 9"):
        corpora.split(toy(9), 0)
    rare = Corpus("rare", Part([str(n) for n in range(10)], list("abcdefghij")))
    with pytest.raises(SystemExit, match=r"rare: seed 0 leaves no training text for \['.', '.'\]"):
        corpora.split(rare, 0)


def test_files_are_read_and_sampled(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text("label,review\n" + "".join(f"{n % 2},第{n // 2 * 2}条{n % 2}\n" for n in range(40)) * 2)
    whole, sample = corpora.load(str(path)), corpora.load(str(path), 12)
    assert (whole.name, len(whole.part)) == ("shop", 40)
    assert (sample.name, len(sample.part)) == ("shop, 12 texts", 12)
    assert sample == corpora.load(str(path), 12)
    assert set(sample.part.texts) < set(whole.part.texts)
    assert whole.key.startswith("shop ")
    assert corpora.load(str(path), 99) == whole
    with pytest.raises(SystemExit, match=r"none\.csv"):
        corpora.load(str(tmp_path / "none.csv"))


def test_the_checksum_tells_texts_labels_and_order():
    part = toy(20).part
    changed = [
        Part([*part.texts[:-1], "新"], part.labels),
        Part(part.texts, [*part.labels[:-1], "new"]),
        part.take(range(19, -1, -1)),
    ]
    keys = {Corpus("toy", one).key for one in [part, *changed]}
    assert len(keys) == 4


# words


def test_words_are_found_once_and_kept_in_a_file(tmp_path, monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr("bench.accuracy.tokens.load_tokenizer", lambda name: lambda text: calls.append(text) or [text])
    texts, kept, done = [f"第{n}\ud800" for n in range(120)], tmp_path / "new" / "words.jsonl", []
    first = Tokens("slow").prepare(texts, done.append, kept)
    assert calls == texts
    assert sum(done) == 120
    assert first(texts[7]) == [texts[7]]
    # Broken off within a line: all but that text are there.
    kept.write_bytes(kept.read_bytes()[:-5])
    del calls[:], done[:]
    second = Tokens("slow").prepare(texts, done.append, kept)
    assert calls == texts[-1:]
    assert sum(done) == 120
    assert [second(text) for text in texts] == [[text] for text in texts]
    assert calls == texts[-1:]
    assert len(kept.read_bytes().splitlines()) == 120
    assert second("new") == ["new"]


def test_a_pickle_holds_the_name_of_the_tokenizer_alone():
    tokens = Tokens("whitespace").prepare(toy(1000).part.texts)
    data = pickle.dumps(tokens)
    assert len(data) < 200
    assert pickle.loads(data)("好 书") == ["好", "书"]


# contestants


def test_every_architecture_takes_part_the_default_first():
    names = [one.name for one in contestants.architectures("char")]
    assert names[0] == contestants.default_name() == f"textnn/{textnn.SentimentClassifier().architecture}"
    part = f"{contestants.default_name()}, linear part alone"
    assert sorted(names) == sorted([part, *(f"textnn/{name}" for name in ARCHITECTURES)])


def test_with_word_vectors_every_architecture_takes_part_twice(tmp_path):
    file = tmp_path / "words.vec"
    file.write_text("".join(f"{word} {' '.join(['0.5'] * 8)}\n" for word in {*" ".join(toy().part.texts).split()}))
    both = contestants.architectures("whitespace", file)
    names = [one.name for one in contestants.architectures("whitespace")]
    architectures = [name for name in names if "," not in name]
    assert sorted(one.name for one in both) == sorted([*names, *(f"{name}+vectors" for name in architectures)])
    pair = [one for one in both if one.name.startswith("textnn/textcnn")]
    assert [one.settings().get("vectors") for one in pair] == [None, f"words.vec, {file.stat().st_size:,} bytes"]
    parts, tokens = corpora.split(toy(), 0), Tokens("whitespace").prepare(toy().part.texts)
    plain, begun = (one.run(parts, tokens, 0, 1) for one in pair)
    assert begun.megabytes < plain.megabytes  # 8 values a word


def test_in_both_precisions_every_architecture_takes_part_twice():
    both = contestants.architectures("whitespace", precisions=("float32", "bfloat16"))
    names = [one.name for one in contestants.architectures("whitespace")]
    architectures = [name for name in names if "," not in name]
    assert sorted(one.name for one in both) == sorted([*names, *(f"{name}+bfloat16" for name in architectures)])
    pair = run.choose(both, ["textnn/gru"])
    assert [one.name for one in pair] == ["textnn/gru", "textnn/gru+bfloat16"]
    full, half = (one.settings() for one in pair)
    assert half == {**full, "precision": "bfloat16"}
    assert "precision" not in full["options"], "all results so far would be measured again"
    parts, tokens = corpora.split(toy(), 0), Tokens("whitespace").prepare(toy().part.texts)
    plain, halved = (one.run(parts, tokens, 0, 1) for one in pair)
    assert plain.halved == {}
    assert 0 <= halved.halved["accuracy"] <= 1
    assert 0 <= halved.halved["differ"] <= 0.2


SMALL = [
    *(opponents.TfIdf(f, m, "whitespace") for f in ("words", "characters", "both") for m in opponents.COSTS),
    opponents.TfIdf("words+char_wb", "LinearSVC", "whitespace"),
    opponents.NaiveBayesSVM("both", "whitespace"),
    opponents.FastText("whitespace", grid=((0.5, 5), (0.5, 40)), bucket=1000),
    opponents.FastText("whitespace", (1, 3), grid=((0.5, 40),), bucket=1000),
    opponents.SnowNLP(),
    contestants.Architecture("textcnn", "whitespace"),
]


@pytest.mark.parametrize("contestant", SMALL, ids=lambda one: one.name)
@pytest.mark.parametrize("three", [False, True], ids=["two classes", "three classes"])
def test_each_learns_to_tell_good_from_bad(contestant, three, monkeypatch):
    for package in {"fasttext": ["fasttext"], "snownlp": ["snownlp"]}.get(contestant.name.split("/")[0], []):
        pytest.importorskip(package)
    part = toy(400).part
    if three:
        part += Part([f"天气 平淡 {n}" for n in range(200)], ["other"] * 200)
    split = corpora.split(Corpus("toy", part), 0)
    tokens = None
    if contestant.tokenizer is not None:
        # snownlp's words of these texts take a minute.
        tokens = Tokens("whitespace").prepare(part.texts)
    outcome = contestant.run(split, tokens, 0, 1)
    right = sum(map(str.__eq__, outcome.predicted, split.test.labels))
    assert len(outcome.predicted) == len(split.test)
    assert right / len(split.test) > 0.9
    assert outcome.seconds > 0
    assert 0 < outcome.megabytes < 10
    json.dumps([contestant.settings(), outcome.chosen])


def test_settings_are_chosen_on_the_validation_part_and_learning_goes_on_with_both(monkeypatch):
    part = toy(300).part
    split = corpora.split(Corpus("toy", part), 0)
    # A word of the validation texts alone tells the label of a test text.
    validation = Part([f"{t} 唯一" for t in split.validation.texts], ["third"] * len(split.validation))
    split = corpora.Split(split.training, validation, Part(["唯一 唯一"], ["third"]))
    for contestant in (opponents.TfIdf("words", "LinearSVC", "whitespace"), opponents.SnowNLP()):
        if contestant.name.startswith("snownlp"):
            pytest.importorskip("snownlp")
        outcome = contestant.run(split, Tokens("whitespace"), 0, 1)
        assert outcome.predicted == ["third"], contestant.name
        assert contestant.learns_from == contestants.BOTH


def test_the_cost_with_the_best_validation_accuracy_is_chosen(monkeypatch):
    scores = {0.1: 0.7, 1.0: 0.9, 10.0: 0.8}
    monkeypatch.setitem(opponents.COSTS, "LinearSVC", tuple(scores))
    from sklearn.svm import LinearSVC

    monkeypatch.setattr(LinearSVC, "score", lambda self, X, y: scores[self.C])
    outcome = opponents.TfIdf("words", "LinearSVC", "whitespace").run(
        corpora.split(toy(60), 0), Tokens("whitespace"), 0, 1
    )
    assert outcome.chosen == {"C": 1.0}
    assert outcome.choosing > 0


def test_odd_words_do_not_upset_fasttext():
    pytest.importorskip("fasttext")
    odd = ["", " \n", "__label__1 好", "\ud800 好", "好\0差", "\u3000"]
    part = toy(100).part
    split = corpora.split(Corpus("toy", part), 0)
    split = corpora.Split(split.training + Part(odd, ["good"] * len(odd)), split.validation, Part(odd, ["good"] * 6))
    contestant = opponents.FastText("char", grid=((0.5, 5),), bucket=1000)
    outcome = contestant.run(split, Tokens("char"), 0, 1)
    assert set(outcome.predicted) <= {"good", "bad"}
    assert len(outcome.predicted) == 6


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    with pytest.raises(ImportError, match=r"no-such-thing or nor-this is not installed: pip install no-such-thing"):
        contestants.versions("torch", "no-such-thing|nor-this")


@pytest.mark.parametrize("tokenizer", ["jieba", "char"])
def test_the_version_of_the_tokenizer_is_among_the_settings(tokenizer):
    for contestant in (*contestants.architectures(tokenizer), opponents.TfIdf("words", "LinearSVC", tokenizer)):
        settings = contestant.settings()
        assert settings["tokenizer"] == tokenizer
        assert ("jieba" in settings["versions"]) == (tokenizer == "jieba")


def test_some_contestants_can_be_chosen():
    everyone = [Majority("a/x"), Majority("a/y"), Majority("b/x"), Majority("ab/x")]

    def names(*only):
        return [one.name for one in run.choose(everyone, only)]

    assert names() == ["a/x", "a/y", "b/x", "ab/x"]
    assert names("a") == ["a/x", "a/y"]
    assert names("b/x", "a/y") == ["a/y", "b/x"]
    with pytest.raises(SystemExit, match=r"--only: expected some of a/x, a/y, b/x, ab/x, .* got 'x'"):
        names("a", "x")
