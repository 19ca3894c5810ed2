"""docs/throughput.md and its plot, from the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textnn.files import atomic_text

from ..harness import console
from ..report import markdown

PAGE = Path(__file__).parents[2] / "docs" / "throughput.md"
INTRODUCTION = """# Throughput: from raw text to label

Written by `python -m bench.throughput`; every figure here comes from it, on one machine.

**Method.** All pipelines are trained on the same nine tenths of the texts, in one process. Then they classify the same
texts in turn, {rounds} rounds after a warm-up: raw strings in a list go in, a label for each comes out. *Texts/s* is
the median of the rounds, with the slowest and the quickest one. *Times textnn's time* is the median of the ratios of
neighbouring runs: above 1 textnn is quicker. Slow pipelines classify {sample:,} texts, in fewer rounds. *p50* and *p99*
are the milliseconds of a single text, given as a list of one, over 1,000 texts of the held-out tenth. *Accuracy* is
that on the held-out tenth, to show that nothing was bought with it.

**Pipelines.** *textnn* is `SentimentClassifier(tokenizer=...)` with its defaults: frozen, in float32, unless the name
says otherwise. *jieba + plain PyTorch* is the same network with the same weights, written as it is usually written:
padded batches of 256 texts of similar length, `nn.Embedding`, `nn.Conv1d`, ReLU, maximum, `embedding_bag` for the
n-grams; its labels are checked to be textnn's. Its row and that of *textnn, jieba* have the same tokenizer, and so show
what the network alone makes of it; against the first row the tokenizer counts too. *fastText* has pairs of words
(learning rate 0.5, 5 epochs); it is also run in as many threads as textnn, by the same code. The linear models are
scikit-learn's, on TF-IDF of words and pairs of words, or of one to four characters, or of both.
"""


def write(results: dict[str, Any], path: Path = PAGE) -> None:
    """Write the page and its plot."""
    rows = results["rows"]
    machine = "\n".join(f"- {name}: {value}" for name, value in results["machine"].items())
    table = {
        "case": [f"**{row['name']}**" if row is rows[0] else row["name"] for row in rows],
        "texts/s": [f"{row['rate']:,.0f}" for row in rows],
        "slowest to quickest round": [f"{row['low']:,.0f} to {row['high']:,.0f}" for row in rows],
        "times textnn's time": [f"{row['ratio']:.2f}" for row in rows],
        "p50, ms": [f"{row['p50']:.2f}" for row in rows],
        "p99, ms": [f"{row['p99']:.2f}" for row in rows],
        "accuracy": [f"{row['accuracy']:.4f}" for row in rows],
    }
    start = "\n".join(f"- `{name}`: {seconds:.2f} s" for name, seconds in results["start"].items())
    picture = path.parent / "images" / f"{path.stem}.png"
    _plot(picture, rows)
    text = [
        INTRODUCTION.format(rounds=results["rounds"], sample=min(row["texts"] for row in rows)),
        f"{machine}\n- texts: {results['data']}, {results['texts']:,} of {results['characters']:.0f} characters each\n",
        f"![Texts a second](images/{picture.name})\n",
        markdown(table) + "\n",
        f"## Start\n\nMedian of five starts of the program:\n\n{start}",
    ]
    with atomic_text(path) as file:
        file.write("\n".join(text) + "\n")
    console.print(f"Wrote {path}")


def _plot(path: Path, rows: list[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(8, 0.4 * len(rows) + 1), layout="constrained")
    names, rates = [row["name"] for row in rows][::-1], [row["rate"] for row in rows][::-1]
    bars = axis.barh(names, rates, color=["#2a7f62" if name.startswith("textnn") else "#8a8a8a" for name in names])
    axis.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=3, fontsize=8)
    axis.set_xscale("log")
    axis.set_xlabel("texts a second, from raw text to label")
    axis.tick_params(labelsize=8)
    axis.margins(x=0.12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
