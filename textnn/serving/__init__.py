"""A classifier behind HTTP: texts in as JSON, labels, probabilities and explanations out, and a page for people.

    request -> ``guard``: address, rate, security headers, figures
            -> ``bodies``: bytes, within their limits -> checked values
            -> ``batching``: requests of the same moment become one batch, in a thread beside the event loop
            -> ``views``: predictions as JSON

``app`` puts them together as an ASGI application, ``server`` runs that in uvicorn and ends it without losing a request.
Nothing is kept of a text: it is neither written to a file nor to the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textnn.serving.settings import Settings, require

if TYPE_CHECKING:
    from fastapi import FastAPI

    from textnn import SentimentClassifier

__all__ = ["Settings", "create_app", "require"]


def create_app(classifier: SentimentClassifier, settings: Settings | None = None) -> FastAPI:
    """Return a classifier as an ASGI application, for a server of your own.

    Parameters
    ----------
    classifier
        A fitted classifier. It must not be fitted again while it is served.
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
        If the classifier has not been fitted.

    Examples
    --------
    >>> import uvicorn  # doctest: +SKIP
    >>> uvicorn.run(create_app(SentimentClassifier.load("model/")))  # doctest: +SKIP
    """
    require()
    from sklearn.utils.validation import check_is_fitted

    from textnn.serving.app import make_app

    check_is_fitted(classifier, "model_")
    return make_app(classifier, settings or Settings())
