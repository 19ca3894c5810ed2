"""bench.accuracy: results that are kept and gone on from, the page, the command.

That what is written is what was measured counts, not the accuracies of toy texts.
"""

from __future__ import annotations

import itertools
import json

import pytest
from accuracy_samples import Broken, Majority, Missing, measure, toy

from bench import harness
from bench.accuracy import __main__ as command
from bench.accuracy import corpora, page, summary
from bench.accuracy.corpora import Corpus
from bench.accuracy.results import Results


@pytest.fixture
def results(tmp_path, monkeypatch) -> Results:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    return Results(tmp_path / "accuracy.json")


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
    assert rows[2] == "| toy | all | 0.9100 | 0.9050 | tfidf/words/LinearSVC | +0.50 | 1 of 2 |"
    first = rows.index(f"| {' | '.join([*heads, 'size, MB'])} |")
    assert rows[first + 2 :] == [
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
        "![Accuracy with all texts to learn from](images/accuracy.png)",
        "On every row: +0.50 percentage points in the mean, from +0.50 to +0.50.",
    ):
        assert expected in text, expected
    assert (tmp_path / "docs" / "images" / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_sizes_of_one_set_are_beside_each_other_and_have_curves(measured, tmp_path):
    for size, score in ((1000, 0.8), (200, 0.7)):
        key = f"toy, {size:,} to learn from 00c0ffee"
        measured.describe(key, name=f"toy, {size:,} to learn from", texts=12340, labels={"bad": 6000, "good": 6340})
        for name, more in (("textnn/textcnn", 0.02), ("plain/other", 0.0)):
            measured.add({**entry(name, 0, score + more), "data": key})
    page.write(measured, tmp_path / "accuracy.md")
    text = (tmp_path / "accuracy.md").read_text()
    rows = [
        line.split(" | ")[1:] for line in text.splitlines() if line.startswith("| toy | ") and "plain/other" in line
    ]
    assert [(row[0], row[4]) for row in rows] == [("200", "+2.00"), ("1,000", "+2.00")]
    assert "With 200 to 1,000 texts: +2.00 percentage points in the mean, from +2.00 to +2.00." in text
    assert (tmp_path / "images" / "accuracy-sizes.png").read_bytes().startswith(b"\x89PNG")
    assert text.index("## toy, 200 to learn from") < text.index("## toy, 1,000 to learn from") < text.index("## toy\n")


def test_the_table_of_the_readme_has_few_and_all_texts_and_marks_the_best_of_each():
    few = {"textnn/a": [entry("textnn/a", 0, 0.8)], "tfidf/b": [entry("tfidf/b", 0, 0.7)]}
    everything = {"textnn/a": [entry("textnn/a", 0, 0.8)], "nbsvm/c": [entry("nbsvm/c", 0, 0.9)]}
    table = summary.readme_table({("trec", 1000): few, ("trec", summary.ALL): everything}, "textnn/a", chinese=True)
    assert table.splitlines()[2] == "| 英文问句，6 类 | **0.800** / 0.800 | 0.700 / – | – / **0.900** | – / – |"


def test_trainings_in_bfloat16_are_compared_split_by_split_and_stand_in_no_other_table(measured, tmp_path):
    for seed, score in enumerate((0.92, 0.95)):
        halved = {"accuracy": score, "differ": 0.01 * seed}
        measured.add(entry("textnn/lstm+bfloat16", seed, score, **{"in bfloat16": halved}))
    measured.add(entry("textnn/gru+bfloat16", 0, 0.99))  # nothing to compare it with
    page.write(measured, tmp_path / "accuracy.md")
    text = (tmp_path / "accuracy.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| lstm")]
    assert rows == [
        "| lstm | 2 | 0.9400 ± 0.0141 | 0.9350 ± 0.0212 | -0.50 ± 0.50 | 3.0 | 3.0 | 0.50 % |",
    ]
    assert "Over all 2 pairs: -0.50 ± 0.50 percentage points; bfloat16 is worse in 1 of them, equal in 1." in text
    assert "+bfloat16" not in text
    assert "the best other architecture, textnn/lstm" in text


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
    monkeypatch.setattr(command, "architectures", lambda *_: [Broken("plain/broken")])
    monkeypatch.setattr(command, "load", lambda path, limit: toy(20))
    with pytest.raises(SystemExit, match="These failed:\ntoy, seed 0, plain/broken: no luck"):
        command.main(["--only", "plain", "--seeds", "1", "--results", str(tmp_path / "accuracy.json")])


@pytest.mark.parametrize("arguments", [["--seeds", "0"], ["--limit", "-1"], ["--threads", "x"]])
def test_numbers_are_at_least_one(arguments, capsys):
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert "expected a number of at least 1" in capsys.readouterr().err
