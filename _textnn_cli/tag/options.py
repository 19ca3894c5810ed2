"""The options that the commands for taggers share."""

from __future__ import annotations

from typing import Annotated

import typer

from _textnn_cli.common import COLUMNS

TaggerDirectory = Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved tagger.")]
TaggedFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        "--input-format",
        metavar="NAME",
        rich_help_panel=COLUMNS,
        help="conll (columns, blank lines between sentences), conllu, jsonl, csv (a table, a token a row), words "
        "(words between spaces) or word/tag (default: detected).",
    ),
]
TokenColumn = Annotated[
    str | None,
    typer.Option(
        "--token-column",
        metavar="NAME|N",
        rich_help_panel=COLUMNS,
        help="Column of the tokens by name, or by number from 0; negative: from the end (default: the first; of conllu "
        "the second, of csv by its name).",
    ),
]
TagColumn = Annotated[
    str | None,
    typer.Option(
        "--tag-column",
        metavar="NAME|N",
        rich_help_panel=COLUMNS,
        help="Column of the tags (default: the last; of conllu the fourth, of csv by its name).",
    ),
]
Separator = Annotated[
    str,
    typer.Option(
        "--separator", metavar="TEXT", rich_help_panel=COLUMNS, help="What stands between word and tag in word/tag."
    ),
]
TextLimit = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, metavar="N", rich_help_panel=COLUMNS, help="Read the first N texts, or sentences, only."
    ),
]
SentenceLimit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", rich_help_panel=COLUMNS, help="Read the first N sentences only."),
]
SkipTexts = Annotated[
    str,
    typer.Option(
        "--on-error",
        metavar="stop|skip",
        rich_help_panel=COLUMNS,
        help="Stop at a bad row, or sentence, or skip it and report it.",
    ),
]
SkipSentences = Annotated[
    str,
    typer.Option(
        "--on-error",
        metavar="stop|skip",
        rich_help_panel=COLUMNS,
        help="Stop at a bad sentence, or skip it and report it.",
    ),
]
