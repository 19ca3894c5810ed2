"""The command line: ``textnn train | predict | evaluate | tag | write | translate | serve | lab | export | ...``.

    arguments -> a command of this package -> the classifier -> standard output, or a file that appears complete or not

Each command is a file, imported when it is called: the overview, ``textnn --help``, reads docstrings alone. The package
stands beside ``textnn`` and not inside it, and its commands import what they need inside their functions: ``import
textnn`` loads torch to register the operators, for which nobody who asks for ``textnn train --help`` should wait.

Exit codes: 0 done, 1 failed at run time, 2 wrong usage or bad input, 130 interrupted with Ctrl-C, 143 ended by SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.abc import InspectLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand

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


class _Deferred(TyperCommand):
    """A command in the overview; its file is imported when it is called. ``callback`` gives its function."""

    def load(self) -> Any:
        """Return the command itself."""
        alone = _group(None)
        alone.command(self.name, cls=_Command)(cast(Any, self.callback)())
        return typer.main.get_command(alone)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        return self.load().make_context(*arguments, **options)


def _group(text: str | None) -> typer.Typer:
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _add(group: typer.Typer, module: str, name: str = "", function: str = "") -> None:
    """Add the command of a file; the file's name is that of its function and of the command, unless given."""
    place = f"{__name__}.{module}"
    function = function or module.rpartition(".")[2]

    def load() -> Callable[..., None]:
        return cast(Callable[..., None], getattr(import_module(place), function))

    load.__doc__ = _docstring(place, function)
    group.command(name or function, cls=_Deferred)(load)


def _docstring(module: str, function: str) -> str | None:
    """Return the docstring of a module's function, out of its compiled code: running it takes ten times as long."""
    spec = find_spec(module)
    code = cast(InspectLoader, spec.loader).get_code(module) if spec is not None else None
    inner = (each for each in code.co_consts if isinstance(each, CodeType)) if code is not None else ()
    first = next((each.co_consts[0] for each in inner if each.co_name == function), None)
    return first if isinstance(first, str) else None


app, tag_app, write_app, translate_app = map(_group, (HELP, TAG_HELP, WRITE_HELP, TRANSLATE_HELP))
for command in ("train", "predict", "evaluate", "explain", "cut", "serve", "lab", "export", "info", "demo", "bench"):
    _add(app, command)
for title, group in {"tag": tag_app, "write": write_app, "translate": translate_app}.items():
    app.add_typer(group, name=title)
    _add(group, f"{title}.train")
for command in ("tag.predict", "tag.evaluate"):
    _add(tag_app, command)
_add(write_app, "write.continuing", "continue", "continue_")
_add(write_app, "write.score")
for command in ("translate.predict", "translate.evaluate"):
    _add(translate_app, command)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"textnn {_version()}")
        raise typer.Exit


def _version() -> str:
    """Return textnn's version from its file, without importing the package."""
    from _textnn_cli.parameters import run_file

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
