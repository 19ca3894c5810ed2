"""``textnn translate evaluate``: how good a saved translator is on a file of texts with their translations.

file -> texts, each with all of its translations -> the model's own -> BLEU, and how many are the same
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from _textnn_cli.checks import check_outputs, check_page, option_errors
from _textnn_cli.common import Limit, Quiet, RunError, Threads, command_errors, note, open_output, set_threads
from _textnn_cli.parameters import with_options
from _textnn_cli.progress import progress
from _textnn_cli.rows import BREAKS
from _textnn_cli.translate.predict import SEARCH, Beam, LengthPenalty, MaxTokens
from _textnn_cli.translate.reading import (
    READING_PAIRS,
    SourceTokenizer,
    TranslatorDirectory,
    load_translator,
    pair_options,
    read_pairs,
)

_EVERY = 100  # texts


@command_errors
@with_options(READING_PAIRS)
def evaluate(
    model: TranslatorDirectory,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Texts and their translations; - reads standard input.")],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write each text with its translations here, as JSON lines."
        ),
    ] = None,
    as_json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the scores to this file, as JSON; - to stdout.")
    ] = None,
    beam: Beam = 5,
    length_penalty: LengthPenalty = 1.0,
    max_tokens: MaxTokens = 200,
    source_tokenizer: SourceTokenizer = None,
    threads: Threads = None,
    quiet: Quiet = False,
    limit: Limit = None,
    **reading: Any,
) -> None:
    """Compare a translator's translations with those of a file.

    Shows BLEU as sacrebleu computes it (pip install sacrebleu), of characters
    where most of the translations are in a script without spaces, else of
    words; and how many translations are the same as in the file, to the
    letter. A text that stands in several rows has several right translations.
    Use a file that had no part in the training; it is read as textnn translate
    train reads its file.

    [bold]Examples[/]

      textnn translate evaluate model/ test.tsv
      textnn translate evaluate model/ test.tsv --beam 1 --json scores.json
      textnn translate evaluate model/ test.tsv -o translations.jsonl
    """
    for option, name in (("--output", output), ("--json", as_json)):
        if name not in (None, "-"):
            check_page(str(name), None if file == "-" else file, option)
    check_outputs({"--output": output, "--json": as_json})
    options = pair_options(reading)
    from textnn.packages import TRANSLATE, need
    from textnn.translation.evaluation import bleu, tokens_for

    try:
        need(TRANSLATE, "BLEU needs")
    except ImportError as error:
        raise RunError(str(error)) from None
    set_threads(threads)
    translator = load_translator(model, source_tokenizer)
    references: dict[str, list[str]] = {}
    for source, target in zip(*read_pairs(file, options, limit, quiet), strict=True):
        references.setdefault(source, []).append(target)
    search: dict[str, Any] = {"beam": beam, "length_penalty": length_penalty, "max_tokens": max_tokens}
    found = list[str]()
    with option_errors(**SEARCH), progress(0, not quiet) as show:
        for translation in translator.stream(references, **search):
            found.append(translation)
            if len(found) % _EVERY == 0:
                show(len(found))
    each = list(references.values())
    same = sum(translation in right for translation, right in zip(found, each, strict=True))
    tokens = {"zh": "characters", "13a": "words"}[tokens_for(target for right in each for target in right)]
    scores = {"bleu": bleu(found, each), "tokens": tokens, "same": same / len(found), "texts": len(found)}
    if output is not None:
        with open_output(output) as stream:
            for source, right, translation in zip(references, each, found, strict=True):
                row = {"source": source, "translation": translation, "references": right}
                stream.write(json.dumps(row, ensure_ascii=False).translate(BREAKS) + "\n")
        if output != "-":
            note(f"{output}: {len(found):,} texts", quiet)
    if as_json is not None:
        with open_output(as_json) as stream:
            facts = {"file": file, "model": model, **search, **scores}
            stream.write(json.dumps(facts, ensure_ascii=False, indent=2) + "\n")
        if as_json == "-":
            return
        note(f"{as_json}: the scores", quiet)
    summary = (
        f"BLEU {scores['bleu']:.2f} of {tokens}; {100 * same / len(found):.1f} % of {len(found):,} texts as in the file"
    )
    if output == "-":
        note(summary, quiet)
        return
    with open_output(None) as stream:
        stream.write(f"{summary}\n")
