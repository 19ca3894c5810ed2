"""The command line: ``textnn train | predict | evaluate | tag | write | translate | serve | lab | export | ...``.

    arguments -> a command of this package -> the classifier -> standard output, or a file that appears complete or not

Each command is a file. The package stands beside ``textnn`` and not inside it, and its commands import what they need
inside their functions: ``import textnn`` loads torch to register the operators, for which nobody who asks for
``textnn --help`` should wait.

Exit codes: 0 done, 1 failed at run time, 2 wrong usage or bad input, 130 interrupted with Ctrl-C, 143 ended by SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from _textnn_cli.bench import bench
from _textnn_cli.cut import cut
from _textnn_cli.demo import demo
from _textnn_cli.evaluate import evaluate
from _textnn_cli.explain import explain
from _textnn_cli.export import export
from _textnn_cli.info import info
from _textnn_cli.lab import lab
from _textnn_cli.parameters import run_file
from _textnn_cli.predict import predict
from _textnn_cli.serve import serve
from _textnn_cli.tag import evaluate as tag_evaluate
from _textnn_cli.tag import predict as tag_predict
from _textnn_cli.tag import train as tag_train
from _textnn_cli.train import train
from _textnn_cli.translate import evaluate as translate_evaluate
from _textnn_cli.translate import predict as translate_predict
from _textnn_cli.translate import train as translate_train
from _textnn_cli.write import continuing as write_continuing
from _textnn_cli.write import score as write_score
from _textnn_cli.write import train as write_train

HELP = """
Classify and tag texts with fast neural networks: train on your own file, predict, evaluate.

[bold]A first tour[/]

  textnn demo                                 train on real Chinese reviews
  textnn train reviews.csv --output model/    train on your CSV, TSV or JSONL
  textnn predict model/ --text "房间很干净"   classify one text
  textnn predict model/ new.csv -o out.csv    classify a file of any size
  textnn evaluate model/ test.csv             accuracy and the worst errors
  textnn explain model/ --text "太差了"       which words decided the label
  textnn tag train ner.conll -o tagger/       entities, parts of speech, words
  textnn cut segmenter/ novel.txt             spaces between Chinese words
  textnn write train verses.txt -o model/     learn what comes next, and write
  textnn translate train en-zh.tsv -o model/  learn to translate
  textnn serve model/                         an HTTP server, and a page to try it on
  textnn lab                                  how it all works: vanishing gradients, ...
  textnn export model/ -o exported/           ONNX or torch.export, to run without textnn
  textnn bench                                speed and gradients beside torch.nn

Each command explains itself: textnn train --help
"""

TAG_HELP = """
Tag tokens: named entities, parts of speech, words of Chinese text.

[bold]A first tour[/]

  textnn demo --task tag                    learn to cut Chinese text into words
  textnn tag train ner.conll -o model/      columns, CoNLL-U, or JSON with spans
  textnn tag predict model/ -t "叶老桂说"   entities of one text
  textnn tag predict model/ new.txt         entities of a file of any size
  textnn tag evaluate model/ test.conll     precision, recall, F1 of each type
  textnn tag train words.txt -o segmenter/  learn words from spaces between them
  textnn cut segmenter/ novel.txt           cut text into words
"""


WRITE_HELP = """
Write text: learn from texts what comes next (a language model).

[bold]A first tour[/]

  textnn write train verses.txt -o model/             a text in each line
  textnn demo --task write                            learn to write short reviews
  textnn write train novel.txt -o model/ --unit file  one long text
  textnn write continue model/ --prompt 春 --count 5  what follows, five times
  textnn write score model/ test.txt                  perplexity
  textnn write score model/ -t "春风又绿江南岸"       how probable a text is
"""


TRANSLATE_HELP = """
Translate text: learn from texts with their translations.

[bold]A first tour[/]

  textnn demo --task translate                    learn numbers and dates
  textnn translate train en-zh.tsv -o model/      text, tab, translation
  textnn translate predict model/ -t "Run!"       translate one text
  textnn translate predict model/ a.txt -o b.txt  a file, line by line
  textnn translate evaluate model/ test.tsv       BLEU
"""


class _Command(TyperCommand):
    """A command that takes an unknown option for the initials of one: ``--lr``, as other programs have it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            unknown: Any = error  # a NoSuchOption has both names; typer does not say where its class is
            if hasattr(error, "option_name") and hasattr(error, "possibilities"):
                names = [name for parameter in self.params for name in parameter.opts if name.count("-") > 2]
                alike = [name for name in names if _initials(name) == unknown.option_name.lstrip("-")]
                unknown.possibilities = alike or unknown.possibilities
            raise


def _initials(option: str) -> str:
    return "".join(word[:1] for word in option.lstrip("-").split("-"))


def _group(text: str) -> typer.Typer:
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app, tag_app, write_app, translate_app = map(_group, (HELP, TAG_HELP, WRITE_HELP, TRANSLATE_HELP))
for command in (train, predict, evaluate, explain):
    app.command(cls=_Command)(command)
app.add_typer(tag_app, name="tag")
app.command(cls=_Command)(cut)
app.add_typer(write_app, name="write")
app.add_typer(translate_app, name="translate")
for command in (serve, lab, export, info, demo, bench):
    app.command(cls=_Command)(command)
for command in (tag_train.train, tag_predict.predict, tag_evaluate.evaluate):
    tag_app.command(cls=_Command)(command)
write_app.command(cls=_Command)(write_train.train)
write_app.command("continue", cls=_Command)(write_continuing.continue_)
write_app.command(cls=_Command)(write_score.score)
for command in (translate_train.train, translate_predict.predict, translate_evaluate.evaluate):
    translate_app.command(cls=_Command)(command)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"textnn {_version()}")
        raise typer.Exit


def _version() -> str:
    """Return textnn's version from its file, without importing the package."""
    return str(run_file("version.py")["__version__"])


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that come before a command."""


def _fill_closed_streams() -> None:
    """Put nothing in the place of closed standard streams: else the next file that is opened would take it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def _end(number: int, _: Any) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; the entry point of ``textnn`` and ``python -m textnn``."""
    _fill_closed_streams()
    signal.signal(signal.SIGTERM, _end)  # as Ctrl-C does: without half-written files
    try:
        app(prog_name="textnn")
    except KeyboardInterrupt:
        # Before a command began, or while the interpreter ended one.
        sys.exit(130)
