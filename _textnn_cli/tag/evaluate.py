"""``textnn tag evaluate``: how good a saved tagger is on a file of tagged sentences.

file -> sentences, their tags written as the model writes its own -> predictions -> scores by type, a table or JSON
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from _textnn_cli.checks import check_page
from _textnn_cli.common import (
    Encoding,
    EncodingErrors,
    Quiet,
    Threads,
    command_errors,
    note,
    open_output,
    set_threads,
)
from _textnn_cli.labels import quote
from _textnn_cli.progress import busy
from _textnn_cli.tag.options import (
    SentenceLimit,
    Separator,
    SkipSentences,
    TagColumn,
    TaggedFormat,
    TaggerDirectory,
    TokenColumn,
)
from _textnn_cli.tag.reading import Tagged, load_tagger, read_sentences, tagged_options

if TYPE_CHECKING:
    from textnn import SequenceTagger
    from textnn.tagging.evaluation import TaggingReport
    from textnn.tagging.metrics import SpanScore


@command_errors
def evaluate(
    model: TaggerDirectory,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Tagged sentences; - reads standard input.")],
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Leave out spans of FILE that their scheme does not spell in full, as seqeval's."
        ),
    ] = False,
    as_json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the scores to this file, as JSON; - to stdout.")
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
    tagged_format: TaggedFormat = None,
    token_column: TokenColumn = None,
    tag_column: TagColumn = None,
    separator: Separator = "/",
    encoding: Encoding = None,
    encoding_errors: EncodingErrors = "strict",
    on_error: SkipSentences = "stop",
    limit: SentenceLimit = None,
) -> None:
    """Compare a tagger's predictions with the tags of a file.

    Shows precision, recall and F1 of the spans of each type and of all, and
    the accuracy of tags. A span counts if its first token, its last and its
    type are right, as in conlleval and seqeval. Of a segmenter the spans are
    words. Use a file that had no part in the training; it is read as textnn
    tag train reads its file, and its tags may be in another scheme than the
    model's.

    [bold]Examples[/]

      textnn tag evaluate model/ test.conll
      textnn tag evaluate model/ test.conll --strict --json scores.json
      textnn tag evaluate segmenter/ test.txt --format words
    """
    if as_json not in (None, "-"):
        check_page(str(as_json), None if file == "-" else file, "--json")
    options = tagged_options(locals())
    from textnn.tagging import convert_tags
    from textnn.tagging.evaluation import compare

    set_threads(threads)
    tagger = load_tagger(model)
    state = tagger.state_
    cuts = state.is_segmenter
    words_only = cuts and not any(state.tags.types)
    level = "char" if cuts else state.level
    data = read_sentences(file, options, level, state.scheme or "BIOES", limit, quiet, words_only)
    _check_level(tagger, data)
    with busy("predicting", quiet):
        if cuts and data.segmented and not words_only and all(len(tag) == 1 for tag in data.report.tags):
            note(f"{data.report.source}: words without parts of speech; those of the model are left aside", quiet)
            predicted = [[tag[:1] for tag in tags] for tags in tagger.predict(data.tokens)]
            report = compare(data.tags, predicted, "BMES", strict)
        else:
            scheme, predicted = _scheme_of(tagger, data), tagger.predict(data.tokens)
            if scheme is not None and scheme != state.scheme:
                predicted = [convert_tags(tags, str(state.scheme), scheme) for tags in predicted]
            report = compare(data.tags, predicted, scheme, strict)
    if as_json is not None:
        facts = {"file": data.report.source, "model": model, "scheme": data.report.scheme, "strict": strict}
        with open_output(as_json) as stream:
            stream.write(json.dumps({**facts, **_to_dict(report)}, ensure_ascii=False, indent=2) + "\n")
        if as_json == "-":
            return
        note(f"{as_json}: the scores", quiet)
    with open_output(None) as stream:
        stream.write(f"{report}\n")


def _check_level(tagger: SequenceTagger, data: Tagged) -> None:
    """Warn of words where the model was trained on characters, or of characters where it was on words."""
    from textnn.tagging.encoding import guess_level

    found = guess_level(data.tokens[:1000])
    if found != tagger.level_:
        names = {"char": "characters", "word": "words"}
        note(
            f"warning: {data.report.source}: most tokens look like {names[found]}, the model was trained on "
            f"{names[tagger.level_]}"
        )


def _scheme_of(tagger: SequenceTagger, data: Tagged) -> str | None:
    """Return how the tags of a file mark spans, as which predictions are to be written, too.

    Raises
    ------
    ValueError
        If they are of another kind than the model's, or it knows none of them.
    """
    from textnn.tagging import spans_of

    ours, theirs, source, tags = tagger.scheme_, data.report.scheme, data.report.source, set(data.report.tags)
    if "IO" in (ours, theirs) and None in (ours, theirs):  # whether O is a tag like others cannot be seen
        theirs = ours
    if ours is not None and tags == {"O"}:
        return ours
    if (ours is None) is not (theirs is None):
        kinds = ["tags that mark no spans", f"tags that mark spans ({theirs or ours})"]
        expected, got = kinds if ours is None else kinds[::-1]
        raise ValueError(f"{source}: expected {expected}, as the model has, got {got}, {quote(sorted(tags)[:5])}")
    if theirs is None:
        _tell_unknown(source, "tags", tags, set(tagger.tags_))
    else:
        types = {span.type for each in data.tags for span in spans_of(each, theirs)}
        _tell_unknown(source, "types", types, set(tagger.state_.tags.types))
    return theirs


def _tell_unknown(source: str, what: str, found: set[str], known: set[str]) -> None:
    """Say which tags the model does not know; an error if it knows none.

    Raises
    ------
    ValueError
        If it knows none of them.
    """
    unknown = sorted(found - known)
    if unknown and not found & known:
        raise ValueError(f"{source}: expected {what} of the model ({quote(sorted(known))}), got {quote(unknown)}")
    if unknown:
        note(f"warning: {source}: {what} that the model does not know count as missed: {quote(unknown)}")


def _to_dict(report: TaggingReport) -> dict[str, Any]:
    found: dict[str, Any] = {"sentences": report.sentences, "tokens": report.tokens, "accuracy": report.accuracy}
    if report.spans is not None:
        found["overall"] = _score(report.spans.overall)
        found["macro_f1"] = report.spans.macro_f1
        found["types"] = {name: _score(score) for name, score in report.spans.types.items()}
    return found


def _score(score: SpanScore) -> dict[str, float]:
    figures: dict[str, float] = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
    return {**figures, "true": score.true, "predicted": score.predicted, "correct": score.correct}
