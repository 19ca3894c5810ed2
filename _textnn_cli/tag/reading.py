"""Files of tagged sentences as the commands read them, and what they say of them.

FILE, options -> textnn.tagging.read_tagged -> Sentences; what was read, doubts -> standard error
an error of sentence N -> ``line_errors`` -> the same with file and line
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from _textnn_cli.checks import option_errors
from _textnn_cli.common import TAGGER, check_kind, note
from _textnn_cli.labels import count_line
from _textnn_cli.progress import busy

if TYPE_CHECKING:
    from textnn import SequenceTagger
    from textnn.tagging import Sentence, TaggedReport
    from textnn.text import CorpusReport

SEGMENTED = ("words", "word/tag")
_LONGEST_MEAN = 10  # characters of a word
_NAMES = ("format", "token_column", "tag_column", "separator", "encoding", "encoding_errors", "on_error")
OPTIONS = {name: f"--{name.replace('_', '-')}" for name in _NAMES}
"""The option of each argument of how a file is read."""

_PLACE = re.compile(r"(?:validation_data\[[01]\]|[Xy])\[(\d+)\](?:\[\d+\])?: ")


class Tagged(NamedTuple):
    """What was read of a file."""

    sentences: list[Sentence]
    report: TaggedReport

    @property
    def segmented(self) -> bool:
        """Whether the tokens are characters, and the tags say where words begin and end."""
        return self.report.format in SEGMENTED and self.report.scheme == "BMES"

    @property
    def tokens(self) -> list[list[str]]:
        """Of each sentence."""
        return [sentence.tokens for sentence in self.sentences]

    @property
    def tags(self) -> list[list[str]]:
        """Of each sentence."""
        return [sentence.tags for sentence in self.sentences]


def tagged_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return how a file is to be read, as arguments of :func:`textnn.tagging.read_tagged`, of a command's options.

    Raises
    ------
    ValueError
        Naming the option, if one makes no sense.
    """
    found = {name: options["tagged_format" if name == "format" else name] for name in OPTIONS}
    from textnn.tagging import iter_tagged

    with option_errors(**OPTIONS):
        iter_tagged("-", **found)  # nothing is read before the first sentence is asked for
    return found


def read_sentences(
    file: str,
    options: dict[str, Any],
    level: str,
    scheme: str,
    limit: int | None,
    quiet: bool,
    words_only: bool = False,
) -> Tagged:
    """Read the tagged sentences of a file, and say what was read.

    Parameters
    ----------
    file
        Its name, or "-".
    options
        As :func:`tagged_options` returns them.
    level
        Whether the tokens of segmented text, and of texts with spans, are to be characters (``"char"``) or words.
    scheme
        How spans of JSON are written as tags.
    limit
        Read so many sentences at most.
    quiet
        Whether to say nothing but what looks like a mistake.
    words_only
        Whether words are read without their parts of speech.

    Raises
    ------
    ValueError
        If something in the file is not as expected.
    """
    from textnn.tagging import read_tagged

    check_file(file)
    with busy(f"reading {file}", quiet):
        if options["format"] == "words":
            level = "char"
        tagged = Tagged(*read_tagged(file, limit=limit, level=level, scheme=scheme, **options))
        if words_only and tagged.segmented:
            sentences = [each._replace(tags=[tag[:1] for tag in each.tags]) for each in tagged.sentences]
            tagged = tagged._replace(sentences=sentences)
            tagged.report.tags = Counter(tag for each in sentences for tag in each.tags)
    note(str(tagged.report), quiet)
    tell(tagged.report)
    note(_summary(tagged), quiet)
    if tagged.segmented:
        words = sum(count for tag, count in tagged.report.tags.items() if tag[:1] in "BS")
        mean = tagged.report.tokens / max(words, 1)
        if mean > _LONGEST_MEAN:
            shown = f"its words have {mean:.0f} characters on average: are these texts without spaces between words?"
            note(f"warning: {tagged.report.source}: {shown}")
    return tagged


def _summary(tagged: Tagged) -> str:
    """Return how many spans of each type there are, or how many words, or how often each tag stands."""
    from textnn.tagging import spans_of

    scheme = tagged.report.scheme
    if scheme is None:
        return count_line(tagged.report.tags, "tags")
    counts = Counter(span.type for tags in tagged.tags for span in spans_of(tags, scheme))
    if set(counts) <= {""}:
        return f"{'words' if tagged.segmented else 'spans'}: {counts.total():,}"
    return count_line(counts, "words by tag" if tagged.segmented else "spans")


def check_file(file: str) -> None:
    """Refuse a directory.

    Raises
    ------
    ValueError
        If it is one.
    """
    if file != "-" and Path(file).is_dir():
        raise ValueError(f"{file}: expected a file, got a directory; name the files in it one by one")


def tell(report: TaggedReport | CorpusReport) -> None:
    """Warn of what looks like a mistake, of what was left out, and of bytes that were replaced."""
    for message in report.doubts:
        note(f"warning: {report.source}: {message}")
    for message in report.problems:
        note(f"warning: left out: {message}")
    if report.bad_rows > len(report.problems):
        note(f"warning: {report.source}: {report.bad_rows:,} were left out, of which these are the first")
    if report.replaced:
        note(f"warning: {report.source}: {report.replaced:,} bytes did not fit the encoding; read as U+FFFD")


@contextmanager
def line_errors(
    file: str, sentences: Sequence[Sentence], validation: str | None = None, held_out: Any = ()
) -> Iterator[None]:
    """Name file and line in a ValueError of the block that begins with the number of a sentence.

    Raises
    ------
    ValueError
        In its place.
    """
    try:
        yield
    except ValueError as error:
        place = _PLACE.match(str(error))
        if place is None:
            raise
        theirs = str(error).startswith("validation_data")
        name, those = (validation, held_out) if theirs else (file, sentences)
        line = those[int(place[1])].line
        raise ValueError(f"{name}, sentence of line {line}: {str(error)[place.end() :]}") from error


def load_tagger(path: str) -> SequenceTagger:
    """Load a saved tagger.

    Raises
    ------
    ValueError
        If it is a classifier.
    BundleError
        If it is no tagger, or damaged.
    """
    from textnn import SequenceTagger

    check_kind(path, TAGGER)
    return SequenceTagger.load(path)
