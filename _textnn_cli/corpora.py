"""The files that ``textnn train`` reads, and whether they go with each other and with the options.

FILE, --validation FILE -> texts and labels of each -> checks -> Data
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from _textnn_cli.common import note, short
from _textnn_cli.labels import advice, count_line, find_spellings, pairs, quote, tell_problems

if TYPE_CHECKING:
    from textnn.text import Corpus


class Data(NamedTuple):
    """What a classifier is trained on.

    Attributes
    ----------
    texts, labels
        One label a text, or a list of them.
    validation
        The same of another file, or None.
    """

    texts: list[str]
    labels: list[Any]
    validation: tuple[list[str], list[Any]] | None


def read_data(
    file: str,
    validation: str | None,
    columns: dict[str, Any],
    limit: int | None,
    parameters: dict[str, Any],
    quiet: bool,
) -> Data:
    """Read the texts to train on, and those to choose the best epoch by.

    Parameters
    ----------
    file, validation
        Names of the files.
    columns
        How to read them: arguments of :func:`textnn.text.read_corpus`.
    limit
        Read so many texts of ``file`` at most.
    parameters
        Of the classifier, which have to make sense for the labels.
    quiet
        Whether to say nothing of what was read.

    Raises
    ------
    CorpusError
        If something in a file is not as expected.
    ValueError
        If a parameter does not go with the labels.
    """
    from textnn.data.suspects import suspect_labels
    from textnn.text import read_corpus

    corpus = read_corpus(file, limit=limit, **columns)
    note(str(corpus.report), quiet)
    tell_problems(corpus.report)
    known = Counter(corpus.label_counts())
    sizes = Counter(map(len, corpus.labels)) if corpus.several else Counter[int]()
    _check_classes(corpus, known)
    check_parameters(parameters, known, corpus.several)
    if corpus.several:
        mean = sum(number * texts for number, texts in sizes.items()) / sizes.total()
        note(f"labels: {len(known):,}, {mean:.2f} a text; texts without one: {sizes[0]:,}", quiet)
    else:
        note(count_line(known), quiet)
    shares = () if columns["label_separator"] is not None else sizes
    fasttext = corpus.report.layout.format == "fasttext"
    for message in suspect_labels(known, corpus.several, sizes=shares, fasttext=fasttext, advice=advice()):
        note(f"warning: {corpus.report.source}: {message}")
    if corpus.several and max(sizes) == 1 and (separator := columns["label_separator"]) is not None:
        question = f"is {separator!r} what stands between them?"
        note(f"warning: {corpus.report.source}: no text has several labels; {question}")
    if validation is None:
        return Data(corpus.texts, corpus.labels, None)
    held_out = read_corpus(validation, **columns)
    _take_spellings(held_out, known, quiet)
    _check_known(held_out, known, corpus.several)
    note(str(held_out.report), quiet)
    tell_problems(held_out.report)
    return Data(corpus.texts, corpus.labels, (held_out.texts, held_out.labels))


def _check_classes(corpus: Corpus, known: Collection[str]) -> None:
    from textnn.text import CorpusError

    if len(known) < (1 if corpus.several else 2):
        expected = "at least one label" if corpus.several else "at least two different labels"
        got = f"only {short(next(iter(known)))!r}" if known else "none"
        where = corpus.report.layout.label
        raise CorpusError(f"{corpus.report.source}: expected {expected} in column {where!r}, got {got}")


def check_parameters(parameters: dict[str, Any], known: Collection[str], several: bool) -> None:
    """Refuse what the classifier would refuse later, or not use at all.

    Parameters
    ----------
    parameters
        Of the classifier.
    known, several
        The labels, and whether a text may have several of them.

    Raises
    ------
    ValueError
        Naming the option.
    """
    output, weights = parameters["output"], parameters["class_weight"]
    if not several and "threshold" in parameters:
        raise ValueError(
            "--threshold: expected texts that may have several labels (--label-separator, lists in JSONL), "
            "got one label a text"
        )
    if several and output == "softmax":
        raise ValueError("--output-layer: expected sigmoid where a text may have several labels, got 'softmax'")
    if not several and output == "sigmoid" and len(known) != 2:
        raise ValueError(f"--output-layer: expected softmax for more than two labels, got 'sigmoid' for {len(known):,}")
    for label in weights if isinstance(weights, dict) else ():
        if label not in known:
            raise ValueError(
                f"--class-weight: expected a label of the texts ({quote(sorted(known))}), got {short(label)!r}"
            )


def _take_spellings(corpus: Corpus, known: Collection[str], quiet: bool) -> None:
    """Give labels that differ from those of the training texts in spelling only the spelling that they have there."""
    if spellings := find_spellings(Counter(corpus.label_counts()), list(known)):
        several = corpus.several
        corpus.labels = [
            [spellings.get(each, each) for each in label] if several else spellings.get(label, label)
            for label in corpus.labels
        ]
        about = f"{corpus.report.source}: labels are read in the spelling of the training texts"
        note(f"{about}: {pairs(spellings)}", quiet)


def _check_known(corpus: Corpus, known: Collection[str], several: bool) -> None:
    from textnn.text import CorpusError

    file = corpus.report.source
    if corpus.several != several:
        one, other = "one label a text", "lists of labels"
        expected, got = (other, one) if several else (one, other)
        raise CorpusError(f"{file}: expected {expected} as in the training texts, got {got}")
    for line, label in zip(corpus.lines, corpus.labels, strict=True):
        for name in label if several else [label]:
            if name not in known:
                raise CorpusError(
                    f"{file}, line {line}: expected one of the labels of the training texts ({quote(sorted(known))}), "
                    f"got {short(name)!r}"
                )
