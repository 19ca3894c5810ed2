"""``textnn export``: a saved model, of any task, as a directory that needs no textnn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from _textnn_cli.checks import option_errors
from _textnn_cli.common import Quiet, RunError, TokenizerName, command_errors, load_model, note, write_errors


@command_errors
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved model.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIRECTORY", help="Directory to write; replaces an earlier export.")
    ],
    format: Annotated[  # noqa: A002
        str, typer.Option("--format", "-f", metavar="NAME", help="onnx, or torch for a torch.export program.")
    ] = "onnx",
    tables: Annotated[
        bool | None,
        typer.Option(
            "--tables/--no-tables",
            help="Use tables in place of convolutions: a larger file, several times faster. Default: if the table "
            "takes at most 256 MB.",
            show_default=False,
        ),
    ] = None,
    tokenizer: TokenizerName = None,
    quiet: Quiet = False,
) -> None:
    """Export a model to run without textnn: ONNX or a torch.export program.

    The directory contains the network, the vocabularies, the labels, a script
    that classifies or tags texts with them (predict.py), and a README. Of a
    language model the network is a single step, with states in and out, around
    which predict.py has the loop.

    [bold]Examples[/]

      textnn export model/ -o exported/
      textnn export model/ -o exported/ --format torch --no-tables
      python exported/predict.py "房间很干净"
    """
    from textnn.bundle import read_format
    from textnn.export.directory import check_format, check_target
    from textnn.language.bundle import FORMAT as LANGUAGE
    from textnn.tagging.bundle import FORMAT as TAGGER

    with option_errors(format="--format", path="--output"):
        check_format(format)
        check_target(output)
    other = {TAGGER.name: _tagger, LANGUAGE.name: _language_model}.get(read_format(model), _classifier)
    write = other(model, tables, tokenizer)
    try:
        with write_errors(output), option_errors(format="--format", path="--output"):
            write(format, output)
    except ImportError as error:
        raise RunError(str(error)) from error
    note(f"exported to {output}; its README.md says how to use it", quiet)


def _classifier(model: str, tables: bool | None, tokenizer: str | None) -> Callable[[str, str], None]:
    from textnn.export.package import export_classifier

    classifier = load_model(model, tokenizer, frozen=False)
    return lambda kind, output: export_classifier(classifier, kind, output, tables)


def _tagger(model: str, tables: bool | None, tokenizer: str | None) -> Callable[[str, str], None]:
    from textnn import SequenceTagger
    from textnn.export.tagging import export_tagger

    _refuse("tagger", model, tables, tokenizer)
    tagger = SequenceTagger.load(model)
    return lambda kind, output: export_tagger(tagger, kind, output)


def _language_model(model: str, tables: bool | None, tokenizer: str | None) -> Callable[[str, str], None]:
    from textnn import LanguageModel

    _refuse("language model", model, tables, tokenizer)
    return LanguageModel.load(model).export


def _refuse(kind: str, model: str, tables: bool | None, tokenizer: str | None) -> None:
    """Refuse options that only classifiers have."""
    for option, given in (("--tables", tables), ("--tokenizer", tokenizer)):
        if given is not None:
            raise ValueError(f"{option}: expected none for the {kind} {model}; classifiers alone have it")
