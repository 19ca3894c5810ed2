"""Figures of a running server in the format of Prometheus, in a registry of its own for each application."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The figures, and how they are counted.

    Attributes
    ----------
    answered
        Requests that were answered.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.answered = 0
        self.requests = Counter("textnn_requests", "Requests", ["path", "status"], registry=registry)
        self.seconds = Histogram(
            "textnn_request_seconds", "Time to answer a request", ["path"], buckets=_SECONDS, registry=registry
        )
        self.in_flight = Gauge("textnn_requests_in_flight", "Requests that are under way", registry=registry)
        self.texts = Counter("textnn_texts", "Texts that were accepted", registry=registry)
        self.batches = Histogram(
            "textnn_batch_texts", "Texts that were worked on at once", buckets=_TEXTS, registry=registry
        )
        self.queue = Gauge("textnn_queue_length", "What waits for its turn", ["queue"], registry=registry)
        self.rejected = Counter("textnn_rejected", "Requests that were refused", ["reason"], registry=registry)

    def watch_queue(self, name: str, length: Callable[[], int]) -> None:
        """Show the length of a queue."""
        self.queue.labels(name).set_function(length)

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count a request that has ended; 499 is a client that went away before its answer."""
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)
        self.answered += status != 499

    def page(self) -> bytes:
        """Return all figures as text."""
        return generate_latest(self.registry)
