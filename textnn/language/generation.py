"""What a language model writes behind a prompt: token by token, or the most probable of all texts.

    prompt -> ids behind END -> states -> logits -> ``sampling`` -> token -> states -> ...      until END, n, or a stop
    prompt -> ... -> beam: the hypotheses, each with every token -> the best of them ...

The unknown token may stand in a prompt, but is never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from textnn.circumstances import plain_torch
from textnn.language.network import END
from textnn.language.sampling import Sampling, distribution, draw, known
from textnn.language.state import State
from textnn.models.options import integer


class Request(NamedTuple):
    """What is to be written.

    Attributes
    ----------
    prompt
        Ids, END first.
    n
        Tokens at most.
    stop
        Strings, behind the first of which in what is written it ends.
    last
        The last token of the prompt as it stands there; empty if nothing, or white space, is its end.
    """

    prompt: list[int]
    n: int
    stop: tuple[str, ...] = ()
    last: str = ""


def check_request(state: State, prompt: Any, n: Any, stop: Any, warn: bool = True) -> Request:
    """Return what is asked for.

    Parameters
    ----------
    state
        The model.
    prompt, n, stop
        As a user gives them.
    warn
        Whether to warn of unknown tokens.

    Raises
    ------
    TypeError, ValueError
        If it makes no sense.

    Warns
    -----
    UserWarning
        If a token of the prompt is unknown.
    """
    if not isinstance(prompt, str):
        raise TypeError(f"prompt: expected a string, got {type(prompt).__name__}")
    if isinstance(stop, bytes) or not isinstance(stop, Iterable | None):
        raise TypeError(f"stop: expected a string, or strings, got {type(stop).__name__}")
    stops = [stop] if isinstance(stop, str) else [] if stop is None else list(stop)
    for string in stops:
        if not isinstance(string, str) or not string:
            raise ValueError(f"stop: expected a string, or strings, none of them empty, got {string!r:.40}")
    ids, count = state.encoder.prompt(prompt, warn), integer(1)("n", n)
    return Request(ids, count, tuple(stops), _last_token(state.splitter.split(prompt), prompt))


def logits_of(state: State, x: Tensor) -> Tensor:
    """Return logits [B, V] of features [B, E]."""
    return F.linear(x, state.model.weight, state.model.bias)


def read_prompt(state: State, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the features [1, E] behind a prompt, and the states [S, layers, 1, H]."""
    model = state.model
    one = torch.tensor(ids, device=model.bias.device)
    states = model.fresh(1)
    for part in one.split(1 << 12):
        x, states = model.read(part, part.new_zeros(1), states)
    return x[-1:], states


def next_tokens(state: State, prompt: list[int]) -> Tensor:
    """Return the log-probability of each token behind a prompt, float64 [V]; the unknown one has its own."""
    with plain_torch(), torch.inference_mode():
        x, _ = read_prompt(state, prompt)
        return logits_of(state, x)[0].to("cpu", torch.float64).log_softmax(dim=0)


def sample(state: State, request: Request, sampling: Sampling, seed: int) -> Iterator[str]:
    """Yield the text that is written, in pieces, one for each token."""
    generator = torch.Generator().manual_seed(seed)
    x, states = _call(read_prompt, state, request.prompt)
    text, last = "", request.last
    for _ in range(request.n):
        logits = _call(logits_of, state, x)
        id_ = draw(distribution(logits[0], sampling), generator)
        if id_ == END:
            return
        (token,) = state.vocabulary.decode([id_])
        piece = state.splitter.gap(last, token) + token
        before, text, last = len(text), text + piece, token
        if (end := first_stop(text, request.stop, len(piece))) is not None:
            yield text[before:end]
            return
        yield piece
        x, states = _call(_step, state, id_, states)


def _call(function: Any, state: State, *arguments: Any) -> Any:
    """Call a function without gradients: the reader of a stream must not find its own modes changed."""
    with plain_torch(), torch.inference_mode():
        return function(state, *arguments)


def _step(state: State, id_: int, states: Tensor) -> tuple[Tensor, Tensor]:
    return state.model.step(_ids(state, [id_]), states)


def _ids(state: State, ids: list[int]) -> Tensor:
    return torch.tensor(ids, device=state.model.bias.device)


def _last_token(tokens: Sequence[str], prompt: str) -> str:
    last = tokens[-1] if tokens else ""
    return "" if prompt[-1:].isspace() and not last[-1:].isspace() else last


def first_stop(text: str, stop: Sequence[str], new: int) -> int | None:
    """Return where a text ends: behind the first of some strings that its last ``new`` characters complete."""
    ends = []
    for string in stop:
        place = text.find(string, max(0, len(text) - new - len(string) + 1))
        if place >= 0:
            ends.append(place + len(string))
    return min(ends, default=None)


class _Hypothesis(NamedTuple):
    """A text that is being written: its log-probability, its ids, and its text."""

    score: float
    ids: list[int]
    text: str


def beam_search(state: State, request: Request, width: int) -> tuple[str, float]:
    """Return the most probable text that is found, and its log-probability.

    Texts that end within ``n`` tokens count with the probability of their end, longer ones as far as they go. With a
    width of as many texts as there are, none is more probable. Of equally probable ones the first is kept: by the order
    of hypotheses, then of ids.
    """
    with plain_torch(), torch.inference_mode():
        x, states = read_prompt(state, request.prompt)
        alive, best = [_Hypothesis(0.0, [], "")], _Hypothesis(-float("inf"), [], "")
        last = request.last
        for _ in range(request.n):
            scores = known(logits_of(state, x)) + torch.tensor([[each.score] for each in alive], dtype=torch.float64)
            parents, kept = [], list[_Hypothesis]()
            # Behind one that ends a text none is better than that text.
            for score, parent, id_ in _largest(scores, width + 1):
                if len(kept) == width or score <= best.score:
                    break
                if id_ == END:
                    best = alive[parent]._replace(score=score)
                    continue
                each = _longer(state, alive[parent], id_, score, last)
                if (end := first_stop(each.text, request.stop, len(each.text) - len(alive[parent].text))) is not None:
                    best = each._replace(text=each.text[:end])
                    continue
                parents.append(parent)
                kept.append(each)
            alive = kept
            if not alive:
                break
            ids = _ids(state, [each.ids[-1] for each in alive])
            x, states = state.model.step(ids, states[:, :, _ids(state, parents)])
        best = max([best, *alive], key=lambda each: each.score)
        return best.text, best.score


def _largest(scores: Tensor, count: int) -> list[tuple[float, int, int]]:
    """Return the largest of scores [rows, columns], at most so many, in falling order, with their places.

    Of equal ones the first comes first, which ``topk`` alone does not promise.
    """
    flat = scores.flatten()
    count = min(count, len(flat))
    places = (flat >= flat.topk(count).values[-1]).nonzero().flatten()
    places = places[flat[places].argsort(descending=True, stable=True)[:count]]
    rows, columns = places // scores.shape[1], places % scores.shape[1]
    return list(zip(flat[places].tolist(), rows.tolist(), columns.tolist(), strict=True))


def _longer(state: State, before: _Hypothesis, id_: int, score: float, last: str) -> _Hypothesis:
    (token,) = state.vocabulary.decode([id_])
    previous = state.vocabulary.decode(before.ids[-1:])[0] if before.ids else last
    return _Hypothesis(score, [*before.ids, id_], before.text + state.splitter.gap(previous, token) + token)
