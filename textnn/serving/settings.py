"""What a server may be asked for and how much of it; checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from textnn.packages import SERVE, need

if TYPE_CHECKING:
    from limits import RateLimitItem


@dataclass(frozen=True)
class Settings:
    """Limits, batching and looks of a served model.

    Parameters
    ----------
    max_batch
        Texts that are worked on at once, at most.
    max_wait
        Milliseconds for which a batch waits for requests whose body is still arriving, unless it is full. Requests that
        come while a batch is at work are the next batch in any case.
    max_queue
        Texts that wait for a batch, and requests that are under way, at most; what comes beyond is refused with 503.
    max_explanations
        Explanations that wait for their turn, at most.
    max_explanations_per_client
        Explanations of one client that wait or are worked on, at most.
    max_explained
        Characters of a text that is explained by another method than "exact"; the others run the network many times.
    max_dictionary
        Words of the dictionary of a request to cut texts into words.
    max_marginals
        Probabilities of tags that a request may ask for: tokens times tags.
    max_tokens
        Tokens that a request may have written behind each of its prompts.
    max_hypotheses
        Of a beam search.
    max_continuations
        Prompts that wait to be continued, at most.
    max_per_client
        Requests of one client that are under way, at most, those included whose body is still arriving.
    max_connections
        Open connections, at most. What comes on others is refused with 503.
    max_text
        Characters of a text.
    max_texts
        Texts of a request.
    max_body
        Bytes of a request's body.
    rate_limit
        Requests of one client, one limit as ``"600/minute"``; ``"0"``: none. Only what costs time counts: POST.
    max_clients
        Clients that are counted for themselves; what comes from others in the same window is counted together.
    timeout
        Seconds after which a request is given up.
    title
        Of the page.
    root_path
        The path under which a proxy shows the server, ``"/reviews"`` say.
    allowed_hosts
        Names that a request's Host header may have, ``"*.example.org"`` for all in a domain; empty: any. They are
        kept in lower case.

    Raises
    ------
    ValueError
        If a number is out of range, or the rate limit cannot be read.
    TypeError
        If the hosts are one string.
    ImportError
        If the library for rate limits is not installed.
    """

    max_batch: int = 64
    max_wait: float = 2.0
    max_queue: int = 1024
    max_explanations: int = 8
    max_explanations_per_client: int = 2
    max_explained: int = 2000
    max_dictionary: int = 10_000
    max_marginals: int = 1 << 18
    max_tokens: int = 1000
    max_hypotheses: int = 16
    max_continuations: int = 256
    max_per_client: int = 512
    max_connections: int = 900
    max_text: int = 10_000
    max_texts: int = 256
    max_body: int = 1 << 20
    rate_limit: str = "600/minute"
    max_clients: int = 10_000
    timeout: float = 30.0
    title: str = "textnn"
    root_path: str = ""
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.type == "int"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if isinstance(self.allowed_hosts, str):
            raise TypeError(f"allowed_hosts: expected several names, got the string {self.allowed_hosts!r}")
        object.__setattr__(self, "allowed_hosts", tuple(name.lower() for name in self.allowed_hosts))
        if not 0 <= self.max_wait <= 1000:
            raise ValueError(f"max_wait: expected 0 to 1000 milliseconds, got {self.max_wait:g}")
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout: expected a number of seconds above 0, got {self.timeout:g}")
        if self.max_texts > self.max_queue:
            raise ValueError(
                f"max_texts: expected at most max_queue, {self.max_queue}, got {self.max_texts}: "
                "a request of so many texts would never be accepted"
            )
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise ValueError(f"root_path: expected a path like '/reviews', got {self.root_path!r}")
        if self.limited:
            require()
            parse_rate(self.rate_limit)

    @property
    def limited(self) -> bool:
        """Whether there is a rate limit."""
        return self.rate_limit.strip() not in ("", "0")


def require() -> None:
    """Check that what serving needs is installed.

    Raises
    ------
    ImportError
        If not; the message says what to install.
    """
    need(SERVE, "serving needs")


def parse_rate(text: str) -> RateLimitItem:
    """Return a rate limit.

    Raises
    ------
    ValueError
        If it is not one limit that lets something through.
    """
    from limits import parse_many

    try:
        (rate,) = parse_many(text)
        if rate.amount < 1:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"rate_limit: expected one number above 0 and a time, like '600/minute', or '0' for no limit, got {text!r}"
        ) from None
    return rate
