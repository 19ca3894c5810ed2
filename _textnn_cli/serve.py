"""``textnn serve``: a saved model behind HTTP, and a page to try it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from _textnn_cli.common import (
    LANGUAGE_MODEL,
    TAGGER,
    RunError,
    Threads,
    TokenizerName,
    command_errors,
    load_model,
    note,
    set_threads,
)
from _textnn_cli.write.reading import load_language_model

if TYPE_CHECKING:
    from textnn import LanguageModel, SentimentClassifier, SequenceTagger

LIMITS = "Limits"
BATCHES = "Batches"
NETWORK = "Network"
LEVELS = ("debug", "info", "warning", "error", "critical")


@command_errors
def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved model.")],
    host: Annotated[
        str, typer.Option("--host", rich_help_panel=NETWORK, help="Address to listen on; 0.0.0.0 or :: for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", rich_help_panel=NETWORK, help="0: any free one.")
    ] = 8000,
    root_path: Annotated[
        str,
        typer.Option("--root-path", metavar="/PATH", rich_help_panel=NETWORK, help="Where a proxy shows the server."),
    ] = "",
    forwarded_allow_ips: Annotated[
        str,
        typer.Option(
            "--forwarded-allow-ips",
            metavar="IPS",
            rich_help_panel=NETWORK,
            help="Proxies whose X-Forwarded-For is trusted: addresses or networks, separated by commas.",
        ),
    ] = "",
    allowed_hosts: Annotated[
        str,
        typer.Option(
            "--allowed-hosts",
            metavar="NAMES",
            rich_help_panel=NETWORK,
            help="Host names to answer for, separated by commas; *.example.org for a domain. Default: any.",
        ),
    ] = "",
    max_batch: Annotated[
        int,
        typer.Option(
            "--max-batch", min=1, metavar="N", rich_help_panel=BATCHES, help="Maximum number of texts in a batch."
        ),
    ] = 64,
    max_wait: Annotated[
        float,
        typer.Option(
            "--max-wait",
            min=0,
            max=1000,
            metavar="MS",
            rich_help_panel=BATCHES,
            help="How long a batch waits for requests still arriving.",
        ),
    ] = 2.0,
    max_queue: Annotated[
        int,
        typer.Option(
            "--max-queue",
            min=1,
            metavar="N",
            rich_help_panel=BATCHES,
            help="Maximum number of waiting texts; beyond: 503.",
        ),
    ] = 1024,
    max_text: Annotated[
        int,
        typer.Option("--max-text", min=1, metavar="CHARS", rich_help_panel=LIMITS, help="Maximum length of a text."),
    ] = 10_000,
    max_texts: Annotated[
        int,
        typer.Option(
            "--max-texts", min=1, metavar="N", rich_help_panel=LIMITS, help="Maximum number of texts in a request."
        ),
    ] = 256,
    max_body: Annotated[
        int,
        typer.Option("--max-body", min=1, metavar="BYTES", rich_help_panel=LIMITS, help="Maximum size of a request."),
    ] = 1 << 20,
    rate_limit: Annotated[
        str,
        typer.Option(
            "--rate-limit", metavar="N/TIME", rich_help_panel=LIMITS, help="Requests allowed per client; 0: no limit."
        ),
    ] = "600/minute",
    max_per_client: Annotated[
        int,
        typer.Option(
            "--max-per-client",
            min=1,
            metavar="N",
            rich_help_panel=LIMITS,
            help="Maximum number of concurrent requests per client.",
        ),
    ] = 512,
    max_connections: Annotated[
        int,
        typer.Option(
            "--max-connections", min=1, metavar="N", rich_help_panel=LIMITS, help="Maximum number of open connections."
        ),
    ] = 900,
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=0.001, metavar="S", rich_help_panel=LIMITS, help="Time limit of a request."),
    ] = 30.0,
    title: Annotated[str, typer.Option("--title", help="Title of the page.")] = "textnn",
    tokenizer: TokenizerName = None,
    threads: Threads = None,
    log_level: Annotated[str, typer.Option("--log-level", metavar="|".join(LEVELS), help="What to log.")] = "info",
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="Log a line for each request, without its text.")
    ] = True,
) -> None:
    """Serve a model over HTTP, with a page to try it on.

    A classifier has POST /predict and /explain, a tagger POST /entities or
    /cut, and /tags; they take {"text": "..."} or {"texts": [...]}. A language
    model has POST /continue, which takes {"prompt": "..."}, and /score.
    GET /openapi.json describes everything. Concurrent requests become one
    batch. Ctrl-C or SIGTERM stops the server once all requests are answered;
    a second one stops it at once.

    [bold]Examples[/]

      textnn serve model/
      textnn serve model/ --host 0.0.0.0 --port 80 --rate-limit 60/minute
      curl localhost:8000/predict -H 'Content-Type: application/json' -d '{"text": "房间很干净"}'
    """
    if log_level not in LEVELS:
        raise typer.BadParameter(f"expected {', '.join(LEVELS)}, got {log_level!r}", param_hint="--log-level")
    from textnn.serving import Settings, create_app, require

    try:
        require()
    except ImportError as error:
        raise RunError(str(error)) from None
    settings = Settings(
        max_batch=max_batch,
        max_wait=max_wait,
        max_queue=max_queue,
        max_text=max_text,
        max_texts=max_texts,
        max_body=max_body,
        rate_limit=rate_limit,
        max_per_client=max_per_client,
        max_connections=max_connections,
        timeout=timeout,
        title=title,
        root_path=root_path,
        allowed_hosts=tuple(name.strip() for name in allowed_hosts.split(",") if name.strip()),
    )
    from textnn.serving.server import open_sockets, run

    # A port that is taken is found out before a model is read; it listens when that is ready.
    sockets = open_sockets(host, port)
    set_threads(threads)
    app = create_app(_load(model, tokenizer), settings)
    shown = f"[{host}]" if ":" in host else host
    note(f"{model} is served at http://{shown}:{sockets[0].getsockname()[1]}", quiet=log_level in LEVELS[2:])
    run(app, sockets, settings, forwarded_allow_ips, log_level, access_log)


def _load(path: str, tokenizer: str | None) -> SentimentClassifier | SequenceTagger | LanguageModel:
    """Load a saved model of the task that its format names."""
    from textnn.bundle import read_format

    kind = read_format(path)
    if kind == LANGUAGE_MODEL:
        return load_language_model(path, tokenizer)
    if kind != TAGGER:
        return load_model(path, tokenizer, True)
    if tokenizer is not None:
        raise RunError("--tokenizer: expected a classifier; a tagger reads characters or words and has no tokenizer")
    from textnn import SequenceTagger

    return SequenceTagger.load(path)
