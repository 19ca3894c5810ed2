"""docs/faithfulness.md and its plot, from the results alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textnn.files import atomic_text
from textnn.models import ARCHITECTURES

from ..report import markdown
from .contestants import DRAWS, RANDOM
from .measure import AHEAD, LEAST, LOST, SHARES

PAGE = Path(__file__).parents[2] / "docs" / "faithfulness.md"
COLOURS = {
    "exact": "#0072b2",
    "integrated gradients": "#009e73",
    "integrated gradients from zeros": "#56b4e9",
    "occlusion": "#d55e00",
    "gradient x input": "#cc79a7",
    RANDOM: "#777777",
}
INTRODUCTION = """# Faithfulness of explanations

Written by `python -m bench.faithfulness`; every figure here comes from it. [Explanations](explain.md) says what the
methods are.

**Question.** An explanation names the tokens that speak most for the predicted label. Does the prediction hang on them?

**Method.** The named tokens are cut out of the raw text, and what is left is classified as any text is. *Without them*
is what the predicted label loses in log-odds (comprehensiveness: more is better), *label changed* the share of texts
that get another one. *By them alone* is what it loses when all other tokens are cut out (sufficiency: less is better;
below 0 the label is surer than by the whole text). (DeYoung et al., "ERASER: A Benchmark to Evaluate Rationalized NLP
Models", 2020.) Means over the texts, with 95 % bootstrap intervals over the texts in brackets.

**Texts.** Of the test part, those with at least {least} tokens, the first {texts}; {data}.

**Methods.** In bold the one that `method="auto"` takes. *Gradient x input* is the product of each token's vector with
the gradient at it; it and integrated gradients need a network that reads words alone. *Integrated gradients from zeros*
begin with zero vectors, where textnn's begin with those of unknown words. *Random* names tokens by chance, mean of
{draws} draws.
"""
TABLES = {
    "Without them: log-odds lost": (LOST, 1, 2),
    "Without them: label changed, % of texts": ("label changed", 100, 1),
    "By them alone: log-odds lost": ("log-odds lost by the rest", 1, 2),
    "Log-odds that the labels lose more by the method of `auto`, text by text": (AHEAD, 1, 2),
}
Rows = list[dict[str, Any]]


def write(results: dict[str, Any], path: Path = PAGE) -> None:
    """Write the page, and its plot beside it in ``images/``."""
    found = {name: results["architectures"][name] for name in ARCHITECTURES if name in results["architectures"]}
    rows: Rows = [row for one in found.values() for row in one["rows"]]
    texts = " to ".join(f"{n:,}" for n in sorted({row["texts"] for row in rows}))
    machines = dict.fromkeys(
        "\n".join(f"- {name}: {value}" for name, value in one["machine"].items()) for one in found.values()
    )
    picture = path.parent / "images" / f"{path.stem}.png"
    plot(picture, rows)
    text = [
        INTRODUCTION.format(least=LEAST, texts=texts, data=results["data"], draws=DRAWS),
        *(f"{machine}\n" for machine in machines),
        f"![Log-odds lost](images/{picture.name})\n",
    ]
    for name, one in found.items():
        own = one["rows"]
        text.append(f"## {name}\n\nAccuracy on the whole test part {one['accuracy']:.4f}.\n")
        text += [f"### {title}\n\n{markdown(_table(own, *how))}\n" for title, how in TABLES.items()]
    with atomic_text(path) as file:
        file.write("\n".join(text))


def _table(rows: Rows, figure: str, factor: float, digits: int) -> dict[str, list[str]]:
    shown = [row for row in rows if not (row["auto"] and figure == AHEAD)]
    methods = {row["method"]: f"**{row['method']}**" if row["auto"] else row["method"] for row in shown}
    table = {"case": list(methods.values())}
    for share in SHARES:
        found = {row["method"]: row[figure] for row in rows if row["share"] == share}
        table[share] = [_cell(found[method], factor, digits) for method in methods]
    return table


def _cell(value: dict[str, float], factor: float, digits: int) -> str:
    mean, low, high = (f"{factor * value[name]:.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def plot(path: Path, rows: Rows) -> None:
    """Draw what is lost without the named tokens, and by them alone, a row of panels for each architecture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row["architecture"] for row in rows))
    figure, axes = pyplot.subplots(
        len(names), 2, figsize=(9, 2.3 * len(names) + 0.9), squeeze=False, layout="constrained"
    )
    heads = {LOST: "without them (more is better)", "log-odds lost by the rest": "by them alone (less is better)"}
    for line, name in zip(axes, names, strict=True):
        own = [row for row in rows if row["architecture"] == name]
        methods = list(dict.fromkeys(row["method"] for row in own))
        for axis, (value, head) in zip(line, heads.items(), strict=True):
            for number, method in enumerate(methods):
                found = [row[value] for row in own if row["method"] == method]
                x = [place + 0.12 * (number - (len(methods) - 1) / 2) for place in range(len(found))]
                means = [one["mean"] for one in found]
                errors = [[one["mean"] - one["low"] for one in found], [one["high"] - one["mean"] for one in found]]
                axis.errorbar(x, means, errors, fmt="o", ms=4, lw=1, color=COLOURS[method], label=method)
            axis.axhline(0, color="black", lw=0.6)
            axis.set_xticks(range(len(SHARES)), list(SHARES), fontsize=7)
            axis.tick_params(axis="y", labelsize=7)
            axis.grid(axis="y", alpha=0.3)
            axis.set_title(f"{name}: {head}", loc="left", fontsize=8)
        line[0].set_ylabel("log-odds", fontsize=8)
    shown = [axis.get_legend_handles_labels() for axis in axes.flat]
    handles = {label: one for some, labels in shown for one, label in zip(some, labels, strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle("What the predicted label loses, by the number of named tokens", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
