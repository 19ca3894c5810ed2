"""``textnn tag train``: tagged sentences in, a saved tagger out."""

from __future__ import annotations

import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from _textnn_cli.checks import option_errors
from _textnn_cli.common import Encoding, EncodingErrors, command_errors, note, open_output, session
from _textnn_cli.parameters import options_of, parse, table, with_parameters
from _textnn_cli.tag.options import SentenceLimit, Separator, SkipSentences, TagColumn, TaggedFormat, TokenColumn
from _textnn_cli.tag.reading import Tagged, line_errors, read_sentences, tagged_options
from _textnn_cli.training import Run, check_vectors, fit_and_save, prepared, with_training

if TYPE_CHECKING:
    from textnn import SequenceTagger

PARAMETERS = table("tagging")
OPTIONS = {**options_of(PARAMETERS), "architecture": "--architecture", "random_state": "--seed"}


@command_errors
@with_parameters(PARAMETERS, before="checkpoint_seconds")
@with_training
def train(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Tagged sentences; - reads standard input.")],
    directory: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIRECTORY", help="Where to save the model; replaces an older tagger."),
    ],
    architecture: Annotated[
        str,
        typer.Option(
            "--architecture", "-a", metavar="NAME", help="bilstm-crf, bigru-crf, birnn-crf, cnn-crf or ngram-crf."
        ),
    ] = "bilstm-crf",
    words_only: Annotated[
        bool, typer.Option("--words-only", help="Of word/tag learn where words end, not their parts of speech.")
    ] = False,
    tagged_format: TaggedFormat = None,
    token_column: TokenColumn = None,
    tag_column: TagColumn = None,
    separator: Separator = "/",
    encoding: Encoding = None,
    encoding_errors: EncodingErrors = "strict",
    on_error: SkipSentences = "stop",
    limit: SentenceLimit = None,
    **typed: Any,
) -> None:
    """Train a tagger on a file of tagged sentences and save it.

    Named entities, parts of speech: FILE has a token and its tag in each line,
    in columns, and a blank line between sentences (conll); or the ten columns
    of Universal Dependencies (conllu); or it is a table of tokens, columns
    sentence, word and tag (csv); or JSON lines, {"text": ..., "label":
    [[0, 3, "PER"]]} with spans of characters as annotation tools write them,
    or {"tokens": [...], "tags": [...]}. How tags mark spans (BIO, IOB1, BIOES,
    BMES, BILOU) is found; the first line of output says it.

    Word segmentation: FILE has a sentence in each line, with spaces between
    words (words), and perhaps a part of speech behind each (word/tag). With
    --level word the words of word/tag are tokens, and their parts of speech
    tags.

    A validation split measures how good the tagger is and finds the best
    epoch; --validation names a file to use instead. During training the state
    is kept beside DIRECTORY, in .NAME.checkpoint. After Ctrl-C or a crash, the
    same command with --resume continues from there and ends with the model
    that an uninterrupted training gives.

    [bold]Examples[/]

      textnn tag train train.conll -o model/ --validation dev.conll
      textnn tag train entities.jsonl -o model/ --architecture cnn-crf
      textnn tag train corpus.conllu -o model/ --tag-column 4
      textnn tag train segmented.txt -o segmenter/
      textnn tag train corpus.txt -o model/ --format word/tag --level word
      torchrun --nproc-per-node=2 -m textnn tag train a.conll -o model/ --distributed
    """
    from textnn import SequenceTagger
    from textnn.models.options import TAGGING, chosen
    from textnn.tagging import TaggedReport
    from textnn.tagging.architectures import resolve_options
    from textnn.tagging.bundle import check_target
    from textnn.tagging.tags import check_tag_scheme

    reading = tagged_options(locals())
    run = Run.of(typed)
    with session(run.distributed) as group:
        run = run.within(group)
        with group.together():
            parameters = parse(PARAMETERS, typed)
            if str(parameters["scheme"]).lower() == "none":
                parameters["scheme"] = None
            level = parameters["level"]
            with option_errors(**OPTIONS):
                if level not in ("auto", "char", "word"):
                    raise ValueError(f"level: expected auto, char or word, got {level!r}")
                parameters["scheme"] = check_tag_scheme(parameters["scheme"])
                resolve_options(architecture, {name: parameters[name] for name in chosen(TAGGING)})
            check_vectors(parameters, group)
            run.check_device()
        checkpoint = prepared(directory, check_target, group, run)
        if checkpoint is None:
            return
        data = held_out = Tagged([], TaggedReport())
        with group.together():  # process 0 has all sentences
            if group.rank == 0:
                written = "BIOES" if parameters["scheme"] in (None, "auto") else str(parameters["scheme"])
                how = (reading, level, written)
                data = read_sentences(file, *how, limit, run.quiet, words_only)
                parameters |= _tell_task(data, parameters["scheme"], level, run.quiet)
                if run.validation is not None:
                    held_out = read_sentences(run.validation, *how, None, run.quiet, words_only)
        parameters = group.first(parameters)
        tagger = SequenceTagger(architecture, **run.parameters(group), **parameters)
        # The tags that their scheme does not allow were told with the file.
        warnings.filterwarnings("ignore", message=r"y: [\d,]+ tags are not allowed")
        pair = None if run.validation is None else (held_out.tokens, held_out.tags)
        with line_errors(file, data.sentences, run.validation, held_out.sentences):
            inputs = data.tokens, data.tags, pair
            fit_and_save(tagger, inputs, {**OPTIONS, "X": file, "y": file}, directory, checkpoint, run, group)
    if run.quiet or sys.stdout is None:
        return
    with open_output(None) as stream:
        stream.write(_scores(tagger) + f"saved: {directory}\n{_next(tagger, directory)}")


def _tell_task(data: Tagged, scheme: str | None, level: str, quiet: bool) -> dict[str, Any]:
    """Say what is learnt, where a file leaves that open; return the parameters that follow from it."""
    from textnn.tagging.segmented import doubt_of_words

    if len(data.report.tags) == 1:
        question = "is it the right column (--tag-column)?"
        note(f"warning: {data.report.source}: every token has the tag {next(iter(data.report.tags))!r}; {question}")
    if data.report.level == "word" and level == "auto":
        way = "as blanks stand between their words (--level char: as characters)"
        note(f"{data.report.source}: texts are read as words, {way}", quiet)
    if not data.segmented:
        return {}
    what = "their parts of speech" if any(len(tag) > 1 for tag in data.report.tags) else "nothing else"
    note(f"{data.report.source}: trains to cut text into words, with {what} (--help: other tasks)", quiet)
    if doubt := doubt_of_words(data.tokens, data.tags):
        note(f"warning: {data.report.source}: {doubt}")
    return {"scheme": "BMES", "level": "char"} if scheme == "auto" else {}


def _scores(tagger: SequenceTagger) -> str:
    """Return how good the best epoch was on the validation split, and its scores by type."""
    best = tagger.history_[tagger.best_epoch_ - 1] if tagger.history_ else {}
    measured = {"F1": best.get("validation_f1"), "accuracy": best.get("validation_accuracy")}
    found = [f"{name} {value:.4f}" for name, value in measured.items() if value is not None]
    if not found:
        return ""
    scores = tagger.state_.validation_scores
    return f"validation after epoch {tagger.best_epoch_}: {found[0]}\n" + (f"{scores}\n\n" if scores else "\n")


def _next(tagger: SequenceTagger, directory: Path) -> str:
    """Say which command uses the model."""
    tags, quoted = tagger.state_.tags, shlex.quote(str(directory))
    if tagger.state_.is_segmenter:
        return f'next:  textnn cut {quoted} --text "..."\n'
    if tags.scheme is not None:
        return f'next:  textnn tag predict {quoted} --text "..."\n'
    return f"next:  textnn tag predict {quoted} FILE\n"
