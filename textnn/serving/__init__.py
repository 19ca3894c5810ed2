"""A model behind HTTP: texts in as JSON, labels, entities, words or further text out, and a page.

    request -> ``guard``: address, rate, security headers, figures
            -> ``bodies``: bytes, within their limits -> checked values
            -> ``batching``: requests of the same moment become one batch, in a thread beside the event loop
            -> ``tasks``: what comes of it as JSON

``desk`` leads a request through these, ``app`` puts them together as an ASGI application, ``server`` runs that in
uvicorn and ends it without losing a request.
Nothing is kept of a text: it is neither written to a file nor to the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textnn.serving.settings import Settings, require

if TYPE_CHECKING:
    from fastapi import FastAPI

    from textnn import LanguageModel, SentimentClassifier, SequenceTagger

__all__ = ["Settings", "create_app", "require"]


def create_app(
    model: SentimentClassifier | SequenceTagger | LanguageModel, settings: Settings | None = None
) -> FastAPI:
    """Return a model as an ASGI application, for a server of your own.

    Parameters
    ----------
    model
        A fitted classifier, tagger or language model. It must not be fitted again while it is served.
    settings
        Limits, batching and title; by default those of ``textnn serve``.

    Returns
    -------
    FastAPI
        With the lifespan protocol, by which it gets the network ready before the first request and ends.

    Raises
    ------
    ImportError
        If fastapi, prometheus-client or limits is not installed.
    sklearn.exceptions.NotFittedError
        If the model has not been fitted.
    TypeError
        If it is something else.

    Examples
    --------
    >>> import uvicorn  # doctest: +SKIP
    >>> uvicorn.run(create_app(SentimentClassifier.load("model/")))  # doctest: +SKIP
    """
    require()
    from textnn.serving.app import make_app

    return make_app(model, settings or Settings())
