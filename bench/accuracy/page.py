"""docs/accuracy.md and its plot, from the results alone.

What stands between two marks on the page is written by hand, and is kept when the page is written anew.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textnn.files import atomic_text
from tools.markdown import replace_part

from ..report import markdown
from . import precision, summary
from .results import Entry, Results

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- kept: begin -->", "<!-- kept: end -->"
TRIED = "\nNothing has been written here yet.\n"
INTRODUCTION = """# Accuracy

Written by `python -m bench.accuracy` and `python -m bench.accuracy --page`; every figure here comes from them. Those of
each split, with all settings and versions, are in `bench/accuracy/figures.json`, which
`--results bench/accuracy/figures.json` goes on with.

**Texts.** Of texts that differ in white space at most, one is kept; texts that occur with different labels are dropped.
For each seed the rest is shuffled and split into 80 % training, 10 % validation and 10 % test. Where a number of texts
to learn from is given, the test part is half of all texts, 2,000 at most, and of those to learn from a ninth is for
validation. All contestants get the same three parts, and are scored on the test part. Other data, held-out sets among
them, are run by `python -m bench.accuracy --data FILE ... --sizes 200 1000 all` (any file that `textnn train` reads).

**Words** are the same for all who read words: rjieba's for Chinese; for scripts with spaces those of Unicode's rules,
case folded. Both are what textnn's default tokenizer chooses by itself.

**textnn.** Every architecture with its own defaults, nothing chosen for the data set: `fit` with the training and
validation parts together, of which each architecture holds out its own share (5 or 10 %), not to learn from it. The
seed is also that of the weights.

**Opponents.** They choose their settings on the validation part, from a small grid, and then learn from training and
validation parts together, all of them.

- `tfidf`: TF-IDF (sublinear; with 2,000 texts or more, n-grams in at least two of them) of words and pairs of words
  (`words`), of one to four characters (`characters`), of both, or of words and of two to six characters within them
  (`words+char_wb`, in scripts with spaces), with a linear support vector machine or logistic regression; C is chosen.
- `nbsvm`: the same vectors and a linear support vector machine, columns scaled by naive Bayes' log-count ratios.
- `fasttext`: words and pairs of words; with `+characters` also the one to three characters within words, three to six
  in scripts with spaces. Learning rate and epochs are chosen.
- `snownlp`: the package's own naive Bayes, trained on the same texts with its own words and stop words; it has nothing
  to choose.

**Columns.** *Mean* and *deviation* (of a sample, n - 1) are of the accuracies of the seeds. *Learns from* says which
parts the model that predicts was fitted to. *Training* is the mean CPU time of the training of that model, *choosing*
that of the trainings before it, all threads added up: it varies less than a clock's where other work goes on. Words are
found beforehand, once for all. *Size* is that of the saved model, nothing
left out or compressed beyond what each does by itself.
"""


def write(results: Results, path: Path = PAGE) -> None:
    """Write the page, and its plot beside it in ``images/``.

    Raises
    ------
    SystemExit
        If there are no results, or the page exists without the marks around what is written by hand.
    """
    found = {key: latest for key in results.content["data"] if (latest := results.latest(key))}
    if not found:
        raise SystemExit("no results; run python -m bench.accuracy first")
    tried, default = _kept(path), results.content["default"]
    text = [INTRODUCTION, _machines([entry for data in found.values() for one in data.values() for entry in one])]
    named = dict(sorted((summary.place(results.content["data"][key]["name"]), key) for key in found))
    sets = {place: _ordered(precision.without(found[key]), default) for place, key in named.items()}
    text += summary.sections(sets, default, path.parent / "images" / f"{path.stem}-sizes.png")
    picture = path.parent / "images" / f"{path.stem}.png"
    if whole := {name: data for (name, size), data in sets.items() if size == summary.ALL}:
        plot(picture, whole, default)
        text.append(f"![Accuracy with all texts to learn from](images/{picture.name})\n")
    for place, key in named.items():
        text += _section(results, key, sets[place], default)
    text += precision.sections({place: found[key] for place, key in named.items()})
    text.append(f"## What was tried\n\n{BEGIN}{tried}{END}")
    if path == PAGE:
        for readme in (ROOT / "README.md", ROOT / "README.zh-CN.md"):
            part = summary.readme_table(sets, default, chinese="zh" in readme.name)
            replace_part(readme, summary.README_BEGIN, summary.README_END, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_text(path) as file:
        file.write("\n".join(text) + "\n")


def _kept(path: Path) -> str:
    """Return what stands between the marks of the page that is there."""
    if not path.exists():
        return TRIED
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(
            f"{path}: expected {BEGIN} and {END} around what was written by hand, once each; not overwritten"
        )
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def _ordered(data: Mapping[str, list[Entry]], default: str) -> dict[str, list[Entry]]:
    """Return the default first, then the others by falling mean."""
    return dict(sorted(data.items(), key=lambda item: (item[0] != default, -_mean(item[1], "accuracy"))))


def _mean(entries: Sequence[Entry], figure: str) -> float:
    return statistics.mean(entry[figure] for entry in entries)


def _machines(entries: Sequence[Entry]) -> str:
    """Say what the figures were measured with, a list for each machine."""
    versions: dict[str, list[str]] = {}
    for entry in entries:
        for package, version in entry["settings"].get("versions", {}).items():
            if version not in versions.setdefault(package, []):
                versions[package].append(version)
    machines = list({tuple(entry["machine"].items()): None for entry in entries})
    lines = ["\n".join(f"- {name}: {value}" for name, value in machine) + "\n" for machine in machines]
    also = ", ".join(f"{package} {' and '.join(known)}" for package, known in sorted(versions.items()))
    return "\n".join([*lines, f"With {also}.\n"])


def _section(results: Results, key: str, data: Mapping[str, list[Entry]], default: str) -> list[str]:
    facts = results.content["data"][key]
    labels = ", ".join(f"{count:,} {label}" for label, count in facts["labels"].items())
    tests = sorted({entry["test"] for entries in data.values() for entry in entries})
    text = [
        f"## {facts['name']}\n",
        f"{facts['texts']:,} texts ({labels}), {' or '.join(f'{n:,}' for n in tests)} of them to test; checksum "
        f"{key.rsplit(maxsplit=1)[-1]}.\n",
        markdown(_table(data, default)) + "\n",
    ]
    text += [f"{line}\n" for line in _comparisons(data, default)]
    if times := facts.get("tokenizing"):
        listed = ", ".join(f"{name} {seconds:,.1f} CPU s" for name, seconds in times.items())
        text.append(f"Finding the words of all texts: {listed}.\n")
    if chosen := [line for name, entries in data.items() if (line := _chosen(name, entries))]:
        text.append("Chosen on the validation part:\n\n" + "\n".join(chosen) + "\n")
    if missing := [one for one in results.content["not run"] if one["data"] == key]:
        lines = "\n".join(f"- {one['contestant']}: {' '.join(one['reason'].split())}" for one in missing)
        text.append(f"Not run:\n\n{lines}\n")
    return text


def _table(data: Mapping[str, list[Entry]], default: str) -> dict[str, list[str]]:
    seeds = sorted({entry["seed"] for entries in data.values() for entry in entries})
    table = {
        "case": [f"**{name}** (default)" if name == default else name for name in data],
        "mean": [f"{_mean(entries, 'accuracy'):.4f}" for entries in data.values()],
        "deviation": [f"{_deviation(entries):.4f}" if len(entries) > 1 else "" for entries in data.values()],
    }
    for seed in seeds:
        scores = [{entry["seed"]: entry["accuracy"] for entry in entries} for entries in data.values()]
        table[f"seed {seed}"] = [f"{score[seed]:.4f}" if seed in score else "" for score in scores]
    table["learns from"] = [entries[-1]["learns from"] for entries in data.values()]
    table["training, CPU s"] = [f"{_mean(entries, 'seconds'):.1f}" for entries in data.values()]
    choosing = [_mean(entries, "choosing") for entries in data.values()]
    table["choosing, CPU s"] = [f"{seconds:.1f}" if seconds else "" for seconds in choosing]
    table["size, MB"] = [f"{_mean(entries, 'megabytes'):.1f}" for entries in data.values()]
    return table


def _deviation(entries: Sequence[Entry]) -> float:
    return statistics.stdev(entry["accuracy"] for entry in entries)


def _comparisons(data: Mapping[str, list[Entry]], default: str) -> list[str]:
    """Compare the default with the best opponent and the best other architecture, split by split."""
    if default not in data:
        return []
    ours = {entry["seed"]: entry["accuracy"] for entry in data[default]}
    lines = []
    for kind, own in (("opponent", False), ("other architecture", True)):
        others = [name for name in data if name != default and name.startswith("textnn/") == own]
        if not others:
            continue
        best = max(others, key=lambda name: _mean(data[name], "accuracy"))
        theirs = {entry["seed"]: entry["accuracy"] for entry in data[best]}
        differences = [100 * (ours[seed] - theirs[seed]) for seed in ours if seed in theirs]
        if not differences:
            continue
        deviation = f", deviation {statistics.stdev(differences):.2f}" if len(differences) > 1 else ""
        splits = f"{len(differences)} split{'s' if len(differences) > 1 else ''}"
        lines.append(
            f"{default} and the best {kind}, {best}: {statistics.mean(differences):+.2f} percentage points{deviation}, "
            f"better on {sum(d > 0 for d in differences)} of {splits}."
        )
    return lines


def _chosen(name: str, entries: Sequence[Entry]) -> str:
    settings = Counter(", ".join(f"{k} {_shown(v)}" for k, v in entry["chosen"].items()) for entry in entries)
    settings.pop("", None)
    listed = "; ".join(f"{what} ({count} of {len(entries)})" for what, count in settings.most_common())
    return f"- {name}: {listed}" if listed else ""


def _shown(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list) else f"{value:g}"


def plot(path: Path, sets: Mapping[str, Mapping[str, list[Entry]]], default: str) -> None:
    """Draw a point for each seed and a line at the mean, contestants below each other, data sets beside each other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = max(map(len, sets.values()))
    figure, axes = pyplot.subplots(
        len(sets), 1, figsize=(8, len(sets) * (0.26 * rows + 0.9)), squeeze=False, layout="constrained"
    )
    for axis, (name, data) in zip(axes[:, 0], sets.items(), strict=True):
        for y, (contestant, entries) in enumerate(list(data.items())[::-1]):
            colour = "#2a7f62" if contestant.startswith("textnn/") else "#b5482a"
            scores = [entry["accuracy"] for entry in entries]
            axis.plot(scores, [y] * len(scores), "o", color=colour, alpha=0.5, markersize=4, markeredgewidth=0)
            axis.plot([statistics.mean(scores)] * 2, [y - 0.35, y + 0.35], color=colour, lw=2)
        names: list[Any] = [f"{one} (default)" if one == default else one for one in data]
        axis.set_yticks(range(len(data)), names[::-1])
        axis.set_ylim(-0.6, len(data) - 0.4)
        axis.set_title(name, loc="left", fontsize=9)
        axis.tick_params(labelsize=7)
        axis.grid(axis="x", alpha=0.3)
    figure.suptitle("Accuracy on the test part: each seed, and the mean", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
