"""The command line of bench/accuracy; its options are in the package's docstring and in --help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from textnn.models.options import FLOAT32, PRECISIONS

from . import page, run
from .contestants import Contestant, architectures
from .corpora import BUILT_IN, Corpus, load
from .opponents import opponents
from .results import Results


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or write the page.

    Raises
    ------
    SystemExit
        If an argument makes no sense, a file cannot be read, or a contestant failed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m bench.accuracy", description="Accuracy of textnn's architectures and of strong opponents."
    )
    parser.add_argument(
        "--data",
        nargs="+",
        default=[BUILT_IN],
        metavar="FILE",
        help=f"CSV, TSV or JSONL files, or {BUILT_IN!r} for the reviews of that package (default)",
    )
    parser.add_argument("--limit", type=_positive, help="take this many texts of each data set, drawn at random")
    parser.add_argument(
        "--sizes",
        nargs="+",
        default=[None],
        type=_size,
        metavar="N",
        help="learn from so many texts of each data set, where it has twice as many; all: from nine tenths (default)",
    )
    parser.add_argument("--seeds", type=_positive, default=5, help="number of splits of each data set (default 5)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="such as textnn/textcnn; tfidf stands for all tfidf/..."
    )
    parser.add_argument(
        "--tokenizer", help="of all but snownlp (default: rjieba, or unicode for scripts with spaces between words)"
    )
    parser.add_argument(
        "--vectors",
        type=_file,
        metavar="FILE",
        help="word vectors: textnn's architectures also run as textnn/...+vectors, which begin with them",
    )
    parser.add_argument(
        "--precision",
        default=FLOAT32,
        choices=[*PRECISIONS, "both"],
        help="textnn's architectures train in it; in bfloat16 they run as textnn/...+bfloat16 (default float32)",
    )
    parser.add_argument("--threads", type=_positive, help="threads (default: torch's own)")
    parser.add_argument(
        "--again", action="store_true", help="drop the results of these contestants on these data first"
    )
    parser.add_argument(
        "--results", type=Path, default=run.RESULTS, help=f"default {run.RESULTS.name} in bench/results"
    )
    parser.add_argument(
        "--page",
        nargs="?",
        type=Path,
        const=page.PAGE,
        metavar="FILE",
        help="measure nothing; write the page from the results (default docs/accuracy.md)",
    )
    options = parser.parse_args(arguments)
    console, results = Console(stderr=True), Results(options.results)
    if options.page is not None:
        page.write(results, options.page)
        console.print(f"Wrote {options.page}", highlight=False)
        return
    if options.threads:
        torch.set_num_threads(options.threads)

    precisions = PRECISIONS if options.precision == "both" else (options.precision,)

    def contestants(corpus: Corpus) -> list[Contestant]:
        spaced = corpus.is_spaced
        tokenizer = options.tokenizer or ("unicode" if spaced else "rjieba")
        ours = architectures(tokenizer, options.vectors, precisions)
        return run.choose([*ours, *opponents(tokenizer, spaced)], options.only)

    loaded = [load(path, options.limit) for path in options.data]
    corpora = [sized for corpus in loaded for size in options.sizes if (sized := corpus.sized(size)) is not None]
    if options.again:
        for corpus in corpora:
            results.forget(corpus.key, [contestant.name for contestant in contestants(corpus)])
    failures = run.measure(corpora, contestants, options.seeds, results, torch.get_num_threads(), console)
    if failures:
        raise SystemExit("\n".join(["These failed:", *failures]))


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"expected a file, got {text!r}")
    return Path(text)


def _size(text: str) -> int | None:
    return None if text == "all" else _positive(text)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not (value := int(text)):
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return value


if __name__ == "__main__":
    main()
