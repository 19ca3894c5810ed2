"""``textnn lab``: the laboratory, a site on this machine, or as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from _textnn_cli.common import RunError, Threads, command_errors, load_model, note, set_threads

_OPEN_AFTER = 0.5  # seconds: by then the server listens, and a browser waits for it anyway


@command_errors
def lab(
    host: Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 or :: for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="0: any free one.")] = 8000,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="DIRECTORY",
            help="A saved model of your own for the exhibits that look into one; repeatable, one of a kind.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="DIRECTORY",
            help="Write pages with the results of the default settings, and serve nothing.",
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the site in a browser.")] = True,
    threads: Threads = None,
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="Log a line for each request, without its text.")
    ] = False,
) -> None:
    """Open the laboratory: what a lecture draws on a board, run live.

    A site on this machine, which needs no network: neurons, gradient descent,
    forms and gates of recurrent networks, vanishing gradients, convolution,
    words and tags, with sliders. Ctrl-C ends it.

    [bold]Examples[/]

      textnn lab
      textnn lab --html pages/
    """
    from textnn.lab import exhibits
    from textnn.lab.site.page import write

    if html is not None:
        if html.exists() and not html.is_dir():
            raise RunError(f"--html: expected a folder, got the file {html}")
        set_threads(threads)
        pages = write(exhibits(), html, _load(model or ()), lambda page: note(f"written: {page}"))
        note(f"{len(pages)} pages are in {html}; open {pages[-1]}")
        return
    from textnn.serving import require

    try:
        require()
    except ImportError as error:
        raise RunError(str(error)) from None
    from textnn.lab.site.app import create_app, settings_for
    from textnn.serving.server import open_sockets, run

    # A port that is taken is found out before a model is read.
    sockets = open_sockets(host, port)
    set_threads(threads)
    settings = settings_for(host)
    app = create_app(exhibits(), _load(model or ()), settings, prepare=True)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{sockets[0].getsockname()[1]}"
    note(f"The laboratory is served at {url}; Ctrl-C ends it")
    if browser:
        _open(url)
    run(app, sockets, settings, log_level="info" if access_log else "warning", access_log=access_log)


def _open(url: str) -> None:
    import threading
    import webbrowser

    timer = threading.Timer(_OPEN_AFTER, webbrowser.open, [url])
    timer.daemon = True
    timer.start()


def _load(paths: Sequence[str]) -> dict[str, Any]:
    """Return the models by their kind.

    Raises
    ------
    RunError
        If two are of one kind.
    """
    from textnn.bundle import read_format
    from textnn.language.bundle import FORMAT as LANGUAGE
    from textnn.tagging.bundle import FORMAT as TAGGER
    from textnn.translation.bundle import FORMAT as TRANSLATOR

    found: dict[str, Any] = {}
    for path in paths:
        name = read_format(path)
        if name == TAGGER.name:
            from textnn import SequenceTagger

            kind, loaded = "tagger", SequenceTagger.load(path)
        elif name == LANGUAGE.name:
            from textnn import LanguageModel

            kind, loaded = "language", LanguageModel.load(path)
        elif name == TRANSLATOR.name:
            from textnn import Translator

            kind, loaded = "translator", Translator.load(path)
        else:
            kind, loaded = "classifier", load_model(path, None, True)
        if kind in found:
            raise RunError(f"--model: expected one {kind}, got a second one: {path}")
        found[kind] = loaded
    return found
