"""bench.accuracy: texts and splits, contestants that learn, results that are kept and gone on from, the page.

Accuracies of toy texts mean nothing; that all get the same texts, and that what is written is what was measured, does.
"""

from __future__ import annotations

import io
import itertools
import json
import pickle
import random

import pytest
from rich.console import Console

import textnn
from bench import harness
from bench.accuracy import __main__ as command
from bench.accuracy import contestants, corpora, opponents, page, run
from bench.accuracy.contestants import Contestant, Outcome
from bench.accuracy.corpora import Corpus, Part
from bench.accuracy.results import Results
from bench.accuracy.tokens import Tokens
from textnn.models import ARCHITECTURES

GOOD, BAD, EITHER = ("好", "棒", "喜欢"), ("差", "坏", "讨厌"), ("书", "物流", "包装", "店家", "价格", "质量")


def toy(size: int = 200, seed: int = 0) -> Corpus:
    """Texts of words with spaces, each different; one word tells the label."""
    generator = random.Random(seed)
    texts, labels = [], []
    for number in range(size):
        label = ("good", "bad")[number % 2]
        words = [*generator.choices(EITHER, k=4), generator.choice(GOOD if label == "good" else BAD), f"第{number}"]
        generator.shuffle(words)
        texts.append(" ".join(words))
        labels.append(label)
    return Corpus("toy", Part(texts, labels))


class Majority(Contestant):
    """Predicts the usual label, and remembers what it was given."""

    tokenizer = "whitespace"

    def __init__(self, name: str = "plain/majority", **settings) -> None:
        self.name, self.given, self._settings = name, [], settings

    def settings(self):
        return {"grid": (1, 2), "versions": {"plain": "1.0"}, **self._settings}

    def run(self, split, tokens, seed, threads):
        self.given.append((split, tokens, seed, threads))
        return Outcome(["good"] * len(split.test), 1.5, 0.25, choosing=2.0, chosen={"C": 0.1})


class Missing(Majority):
    def settings(self):
        raise ImportError("plain is not installed")


class Broken(Majority):
    def run(self, split, tokens, seed, threads):
        raise ValueError("no luck")


def measure(results, *taking_part, seeds=2, data=None):
    console = Console(file=io.StringIO(), width=200)
    return run.measure([toy(50)] if data is None else data, taking_part, seeds, results, 1, console)


@pytest.fixture
def results(tmp_path, monkeypatch) -> Results:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    return Results(tmp_path / "accuracy.json")


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
    assert sorted(names) == sorted(f"textnn/{name}" for name in ARCHITECTURES)


SMALL = [
    *(opponents.TfIdf(f, m, "whitespace") for f in ("words", "characters", "both") for m in opponents.COSTS),
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
    with pytest.raises(ImportError, match=r"no-such-thing or nor-this is not installed: pip install 'textnn\[bench\]'"):
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


# running


def test_all_get_the_same_parts_and_each_seed_others(results):
    one, other = Majority("plain/one"), Majority("plain/other")
    assert measure(results, one, other) == []
    assert one.given == other.given
    assert [(seed, threads) for _, _, seed, threads in one.given] == [(0, 1), (1, 1)]
    splits = [split for split, *_ in one.given]
    assert splits == [corpora.split(toy(50), seed) for seed in (0, 1)]
    entries = results.latest(toy(50).key)["plain/one"]
    expected = [split.test.labels.count("good") / 5 for split in splits]
    assert [entry["accuracy"] for entry in entries] == expected
    assert {key: entries[0][key] for key in ("seconds", "choosing", "megabytes", "chosen", "test")} == {
        "seconds": 1.5,
        "choosing": 2.0,
        "megabytes": 0.25,
        "chosen": {"C": 0.1},
        "test": 5,
    }
    assert results.content["data"][toy(50).key]["labels"] == {"bad": 25, "good": 25}
    assert list(results.content["data"][toy(50).key]["tokenizing"]) == ["whitespace"]


def test_a_run_that_was_broken_off_goes_on_where_it_stopped(results, tmp_path):
    class Interrupted(Majority):
        def run(self, split, tokens, seed, threads):
            if seed == 1:
                raise KeyboardInterrupt
            return super().run(split, tokens, seed, threads)

    first = Majority("plain/first")
    with pytest.raises(KeyboardInterrupt):
        measure(results, first, Interrupted("plain/second"))
    assert len(first.given) == 2
    read = Results(tmp_path / "accuracy.json")
    assert read.content == results.content
    first, second = Majority("plain/first"), Majority("plain/second")
    measure(read, first, second)
    assert first.given == []
    assert [seed for _, _, seed, _ in second.given] == [1]
    again = Majority("plain/second")
    measure(read, again)
    assert again.given == []


@pytest.mark.parametrize(
    "change",
    [
        lambda: (Majority(grid=(1, 3)), [toy(50)]),
        lambda: (Majority(versions={"plain": "1.1"}), [toy(50)]),
        lambda: (Majority("plain/other"), [toy(50)]),
        lambda: (Majority(), [toy(50, seed=1)]),
        lambda: (Majority(), [Corpus("other", toy(50).part)]),
    ],
    ids=["settings", "version", "contestant", "texts", "name of the data"],
)
def test_what_differs_in_anything_is_measured_again(results, change):
    measure(results, Majority(), seeds=1)
    contestant, data = change()
    measure(results, contestant, seeds=1, data=data)
    assert len(contestant.given) == 1
    assert len(results.content["results"]) == 2


def test_the_settings_measured_last_are_those_that_count(results):
    measure(results, Majority(grid=(1,)), seeds=2)
    measure(results, Majority(grid=(2,)), seeds=1)
    (entries,) = results.latest(toy(50).key).values()
    assert [(entry["seed"], entry["settings"]["grid"]) for entry in entries] == [(0, [2])]


def test_who_cannot_run_is_listed_with_the_reason_until_it_can(results):
    good = Majority("plain/good")
    failures = measure(results, Missing("plain/missing"), Broken("plain/broken"), good)
    assert failures == [f"toy, seed {seed}, plain/broken: no luck" for seed in (0, 1)]
    assert len(good.given) == 2
    reasons = {one["contestant"]: one["reason"] for one in results.content["not run"]}
    assert reasons == {"plain/missing": "plain is not installed", "plain/broken": "failed: ValueError: no luck"}
    assert len(results.content["not run"]) == 2
    measure(results, Majority("plain/missing"))
    assert [one["contestant"] for one in results.content["not run"]] == ["plain/broken"]


def test_results_can_be_dropped(results):
    measure(results, Majority("plain/one"), Majority("plain/other"))
    results.forget(toy(50).key, ["plain/one"])
    results.forget("other data", ["plain/other"])
    assert list(results.latest(toy(50).key)) == ["plain/other"]


@pytest.mark.parametrize("content", ["", "[1]", '{"results": 3}', "\udcff"])
def test_a_file_with_something_else_is_not_overwritten(tmp_path, content):
    path = tmp_path / "accuracy.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SystemExit, match=r"accuracy\.json: expected "):
        Results(path)


# the page


def entry(contestant: str, seed: int, accuracy: float, **more):
    return {
        "data": "toy 00c0ffee",
        "contestant": contestant,
        "settings": {"versions": {"plain": "1.0"}},
        "seed": seed,
        "accuracy": accuracy,
        "test": 1234,
        "learns from": "training",
        "seconds": 2.0 + 2 * seed,
        "choosing": 0.0,
        "megabytes": 3.25,
        "chosen": {},
        "machine": {"CPU": "a CPU", "threads": "1"},
        **more,
    }


@pytest.fixture
def measured(results) -> Results:
    pytest.importorskip("matplotlib")
    results.describe(
        "toy 00c0ffee", name="toy", texts=12340, labels={"bad": 6000, "good": 6340}, tokenizing={"char": 7}
    )
    results.set_default("textnn/textcnn")
    rows = {
        "textnn/lstm": (0.93, 0.95),
        "textnn/textcnn": (0.90, 0.92),
        "tfidf/words/LinearSVC": (0.88, 0.93),
        "plain/other": (0.5, 0.5),
    }
    for (name, scores), seed in itertools.product(rows.items(), range(2)):
        more = {"chosen": {"C": 0.1 + seed}, "choosing": 9.0} if name.startswith("tfidf") else {}
        results.add(entry(name, seed, scores[seed], **more))
    results.add_not_run("toy 00c0ffee", "plain/missing", "plain is\nnot installed")
    return results


def test_the_page_says_what_was_measured(measured, tmp_path):
    path = tmp_path / "docs" / "accuracy.md"
    page.write(measured, path)
    text = path.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    heads = ["case", "mean", "deviation", "seed 0", "seed 1", "learns from", "training, CPU s", "choosing, CPU s"]
    assert rows[0] == f"| {' | '.join([*heads, 'size, MB'])} |"
    assert rows[2:] == [
        "| **textnn/textcnn** (default) | 0.9100 | 0.0141 | 0.9000 | 0.9200 | training | 3.0 |  | 3.2 |",
        "| textnn/lstm | 0.9400 | 0.0141 | 0.9300 | 0.9500 | training | 3.0 |  | 3.2 |",
        "| tfidf/words/LinearSVC | 0.9050 | 0.0354 | 0.8800 | 0.9300 | training | 3.0 | 9.0 | 3.2 |",
        "| plain/other | 0.5000 | 0.0000 | 0.5000 | 0.5000 | training | 3.0 |  | 3.2 |",
    ]
    for expected in (
        "12,340 texts (6,000 bad, 6,340 good), 1,234 of them to test; checksum 00c0ffee.",
        "textnn/textcnn and the best opponent, tfidf/words/LinearSVC: +0.50 percentage points, deviation 2.12, "
        "better on 1 of 2 splits.",
        "textnn/textcnn and the best other architecture, textnn/lstm: -3.00 percentage points, deviation 0.00, "
        "better on 0 of 2 splits.",
        "- tfidf/words/LinearSVC: C 0.1 (1 of 2); C 1.1 (1 of 2)",
        "- plain/missing: plain is not installed",
        "- CPU: a CPU\n- threads: 1\n",
        "With plain 1.0.",
        "Finding the words of all texts: char 7.0 CPU s.",
        "![Accuracy](images/accuracy.png)",
    ):
        assert expected in text, expected
    assert (tmp_path / "docs" / "images" / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_written_by_hand_is_kept(measured, tmp_path):
    path = tmp_path / "accuracy.md"
    page.write(measured, path)
    assert page.TRIED in path.read_text()
    path.write_text(path.read_text().replace(page.TRIED, "\n- 注意力: no gain\n\n") + "lost\n")
    page.write(measured, path)
    text = path.read_text()
    assert f"## What was tried\n\n{page.BEGIN}\n- 注意力: no gain\n\n{page.END}\n" in text
    assert "lost" not in text
    page.write(measured, path)
    assert path.read_text() == text


@pytest.mark.parametrize("content", ["", "by hand", f"{page.BEGIN} only", f"{page.END}{page.BEGIN}", page.BEGIN * 2])
def test_a_page_without_the_marks_is_not_overwritten(measured, tmp_path, content):
    path = tmp_path / "accuracy.md"
    path.write_text(content)
    with pytest.raises(SystemExit, match=r"accuracy\.md: expected .* once each; not overwritten"):
        page.write(measured, path)
    assert path.read_text() == content


def test_a_page_needs_results(results, tmp_path):
    with pytest.raises(SystemExit, match=r"no results; run python -m bench\.accuracy first"):
        page.write(results, tmp_path / "accuracy.md")


# the command


def test_the_command_measures_goes_on_and_writes_the_page(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    data, results = tmp_path / "shop.csv", tmp_path / "accuracy.json"
    part = toy(60).part
    data.write_text("label,review\n" + "".join(f"{y},{x}\n" for x, y in zip(part.texts, part.labels, strict=True)))
    arguments = ["--data", str(data), "--tokenizer", "whitespace", "--only", "tfidf/words", "--results", str(results)]
    command.main([*arguments, "--seeds", "1"])
    first = json.loads(results.read_text())["results"]
    assert [one["contestant"] for one in first] == ["tfidf/words/LinearSVC", "tfidf/words/LogisticRegression"]
    command.main([*arguments, "--seeds", "2"])
    second = json.loads(results.read_text())["results"]
    assert second[:2] == first
    assert [one["seed"] for one in second] == [0, 0, 1, 1]
    command.main([*arguments, "--seeds", "1", "--again"])
    third = json.loads(results.read_text())["results"]
    assert [one["seed"] for one in third] == [0, 0]
    assert [one["accuracy"] for one in third] == [one["accuracy"] for one in first]
    command.main(["--results", str(results), "--page", str(tmp_path / "page.md")])
    assert "## shop\n" in (tmp_path / "page.md").read_text()


def test_the_command_ends_with_an_error_if_a_contestant_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "architectures", lambda tokenizer: [Broken("plain/broken")])
    monkeypatch.setattr(command, "load", lambda path, limit: toy(20))
    with pytest.raises(SystemExit, match="These failed:\ntoy, seed 0, plain/broken: no luck"):
        command.main(["--only", "plain", "--seeds", "1", "--results", str(tmp_path / "accuracy.json")])


@pytest.mark.parametrize("arguments", [["--seeds", "0"], ["--limit", "-1"], ["--threads", "x"]])
def test_numbers_are_at_least_one(arguments, capsys):
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert "expected a number of at least 1" in capsys.readouterr().err
