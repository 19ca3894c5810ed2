"""``textnn tag train``: tagged sentences in, a saved tagger out."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textnn_cli.checks import option_errors
from textnn_cli.common import (
    Encoding,
    EncodingErrors,
    Quiet,
    RunError,
    Threads,
    command_errors,
    note,
    open_output,
    session,
    set_threads,
)
from textnn_cli.parameters import parse, table, with_parameters
from textnn_cli.tag.options import SentenceLimit, Separator, SkipSentences, TagColumn, TaggedFormat, TokenColumn
from textnn_cli.tag.reading import Tagged, line_errors, read_sentences, tagged_options
from textnn_cli.train import saying_how_to_go_on

if TYPE_CHECKING:
    from textnn import SequenceTagger

PARAMETERS = table("tagging")


@command_errors
@with_parameters(PARAMETERS, before="checkpoint_seconds")
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
    validation: Annotated[
        str | None,
        typer.Option("--validation", metavar="FILE", help="Validate on this file instead of on a split of FILE."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="The same seed gives the same model.")] = 0,
    words_only: Annotated[
        bool, typer.Option("--words-only", help="Of word/tag learn where words end, not their parts of speech.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume an interrupted training; give the same arguments.")
    ] = False,
    threads: Threads = None,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="Device to train on: cpu, cuda, cuda:1, ...")
    ] = "cpu",
    quiet: Quiet = False,
    tagged_format: TaggedFormat = None,
    token_column: TokenColumn = None,
    tag_column: TagColumn = None,
    separator: Separator = "/",
    encoding: Encoding = None,
    encoding_errors: EncodingErrors = "strict",
    on_error: SkipSentences = "stop",
    limit: SentenceLimit = None,
    checkpoint_seconds: Annotated[
        float,
        typer.Option(
            "--checkpoint-seconds",
            min=0,
            rich_help_panel="The training",
            help="Seconds between checkpoints; there is also one after each epoch.",
        ),
    ] = 60.0,
    **typed: Any,
) -> None:
    """Train a tagger on a file of tagged sentences and save it.

    Named entities, parts of speech: FILE has a token and its tag in each line,
    in columns, and a blank line between sentences (conll); or the ten columns
    of Universal Dependencies (conllu); or JSON lines, {"text": ..., "label":
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
    """
    from textnn import SequenceTagger
    from textnn.bundle import checkpoint_directory
    from textnn.bundle.files import CONFIG
    from textnn.data.inputs import check_device
    from textnn.models.options import TAGGING, chosen
    from textnn.tagging.architectures import resolve_options
    from textnn.tagging.bundle import check_target
    from textnn.tagging.tags import check_tag_scheme
    from textnn.training.checkpoint import Checkpoint
    from textnn.training.pretrained import check as check_vectors

    reading = tagged_options(locals())
    parameters = parse(PARAMETERS, typed)
    if str(parameters["scheme"]).lower() == "none":
        parameters["scheme"] = None
    level = parameters["level"]
    names = {"scheme": "--scheme", "level": "--level", "device": "--device", "architecture": "--architecture"}
    with option_errors(**names, precision="--precision"):
        if level not in ("auto", "char", "word"):
            raise ValueError(f"level: expected auto, char or word, got {level!r}")
        parameters["scheme"] = check_tag_scheme(parameters["scheme"])
        check_device(device)
        resolve_options(architecture, {name: parameters[name] for name in chosen(TAGGING)})
    if parameters["vectors"] is not None:
        with option_errors(vectors="--vectors", embedding_dim="--embedding-dim"):
            check_vectors(parameters["vectors"], parameters["embedding_dim"])
    # Before the work, not after it: can the model be saved there?
    target = check_target(directory)
    checkpoint = Checkpoint(checkpoint_directory(target), resume, checkpoint_seconds)
    set_threads(threads)
    if resume and not checkpoint.exists() and (target / CONFIG).exists():
        note(f"{directory} is complete, there is nothing to resume; without --resume it is trained again", quiet)
        return

    def read(name: str, most: int | None) -> Tagged:
        tokens = "word" if level == "word" else "char"
        written = "BIOES" if parameters["scheme"] in (None, "auto") else str(parameters["scheme"])
        return read_sentences(name, reading, tokens, written, most, quiet, words_only)

    data = read(file, limit)
    if len(data.report.tags) == 1:
        question = "is it the right column (--tag-column)?"
        note(f"warning: {data.report.source}: every token has the tag {next(iter(data.report.tags))!r}; {question}")
    if data.segmented:
        what = "their parts of speech" if any(len(tag) > 1 for tag in data.report.tags) else "nothing else"
        note(f"{data.report.source}: trains to cut text into words, with {what} (--help: other tasks)", quiet)
        if parameters["scheme"] == "auto":
            parameters |= {"scheme": "BMES", "level": "char"}
    held_out = None if validation is None else read(validation, None)
    tagger = SequenceTagger(architecture, random_state=seed, device=device, verbose=0 if quiet else 1, **parameters)
    # The tags that their scheme does not allow were told with the file.
    warnings.filterwarnings("ignore", message=r"y: [\d,]+ tags are not allowed")
    names = {"X": file, "y": file, "min_count": "--min-count", "vectors": "--vectors", "scheme": "--scheme"}
    pair = None if held_out is None else (held_out.tokens, held_out.tags)
    others = (validation, [] if held_out is None else held_out.sentences)
    with session(False) as group, saying_how_to_go_on(checkpoint, group), option_errors(**names):
        with line_errors(file, data.sentences, *others):
            tagger.fit(data.tokens, data.tags, pair, checkpoint=checkpoint)
        _save(tagger, directory)
        checkpoint.remove()
    if quiet or sys.stdout is None:
        return
    with open_output(None) as stream:
        stream.write(_scores(tagger) + f"saved: {directory}\n{_next(tagger, directory)}")


def _scores(tagger: SequenceTagger) -> str:
    """Return how good the best epoch was on the validation part, and its scores by type."""
    best = tagger.history_[tagger.best_epoch_ - 1] if tagger.history_ else {}
    measured = {"F1": best.get("validation_f1"), "accuracy": best.get("validation_accuracy")}
    found = [f"{name} {value:.4f}" for name, value in measured.items() if value is not None]
    if not found:
        return ""
    scores = tagger.state_.validation_scores
    return f"validation after epoch {tagger.best_epoch_}: {found[0]}\n" + (f"{scores}\n\n" if scores else "\n")


def _next(tagger: SequenceTagger, directory: Path) -> str:
    """Say which command uses the model."""
    tags = tagger.state_.tags
    if tagger.state_.is_segmenter:
        return f'next:  textnn cut {directory} --text "..."\n'
    if tags.scheme is not None:
        return f'next:  textnn tag predict {directory} --text "..."\n'
    return f"next:  textnn tag predict {directory} FILE\n"


def _save(tagger: SequenceTagger, directory: Path) -> None:
    from textnn.bundle import BundleError

    try:
        tagger.save(directory)
    except BundleError as error:
        raise RunError(str(error)) from error
