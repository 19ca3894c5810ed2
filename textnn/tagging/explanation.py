"""Why a span of a text is an entity: each token becomes the unknown one in turn, and what that costs is its part.

text -> pieces -> best tags -> spans;  the piece without token i -> log-odds of the span -> contribution of i

(Occlusion: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from textnn.circumstances import plain_torch
from textnn.models.predictor import in_chunks
from textnn.reading import escape_controls
from textnn.tagging.encoding import Tokens
from textnn.tagging.entities import Entity, check_entities, span_chances
from textnn.tagging.prediction import Array, best_tags, rows_at_once, work_on
from textnn.tagging.state import State
from textnn.tagging.tags import Spans
from textnn.tagging.texts import pieces

if TYPE_CHECKING:
    from rich.text import Text

_ROWS = 1 << 17  # of emissions at a time
_CERTAIN = 1e-12
_LEAST = 0.1  # of the largest contribution: numbers for all tokens would hide the text
_NO_TOKENS = "\ufffd\ufffe\uffff\ufdd0\ufdd1"


class TokenEffect(NamedTuple):
    """What a token adds to an entity.

    Attributes
    ----------
    token : str
        The token.
    start, end : int, int
        Its place in the text.
    contribution : float
        By how much the log-odds of the entity fall when the token is unknown: above 0, it speaks for the entity.

    Examples
    --------
    >>> tokens = [TokenEffect("Dr", 0, 2, 1.5), TokenEffect("Ann", 3, 6, 2.0)]
    >>> max(tokens, key=lambda token: token.contribution).token
    'Ann'
    """

    token: str
    start: int
    end: int
    contribution: float


@dataclass(frozen=True)
class EntityExplanation:
    """Why a span of a text is an entity.

    Attributes
    ----------
    entity : Entity
        The entity, with its probability.
    tokens : list of TokenEffect
        All tokens of its line, or of its part of a long line, in their order.

    Examples
    --------
    >>> tokens = [TokenEffect("Dr", 0, 2, 1.5), TokenEffect("Ann", 3, 6, 2.0), TokenEffect("ran", 7, 10, 0.1)]
    >>> print(EntityExplanation(Entity(3, 6, "PER", "Ann", 0.9), tokens))
    PER 'Ann', probability 0.900: Dr[+1.50] Ann[+2.00] ran
    """

    entity: Entity
    tokens: list[TokenEffect]

    def __str__(self) -> str:
        return "".join(text for text, _ in self._parts())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {**asdict(self), "entity": self.entity._asdict(), "tokens": [token._asdict() for token in self.tokens]}

    def __rich__(self) -> Text:
        """Return what a :class:`rich.console.Console` prints: blue speaks for the entity, orange against it."""
        from rich.text import Text

        return Text.assemble(*self._parts())

    def _parts(self) -> Iterator[tuple[str, str]]:
        """Yield the parts of a line, each with its style."""
        entity = self.entity
        name = f"{escape_controls(entity.type)} " if entity.type else ""
        yield f"{name}{entity.text!r}", "bold"
        yield f", probability {entity.confidence:.3f}:", ""
        before = -1
        least = _LEAST * max((abs(token.contribution) for token in self.tokens), default=0.0)
        for token in self.tokens:
            yield f"{' ' if token.start > before else ''}{escape_controls(token.token)}", ""
            if abs(token.contribution) >= least > 0:
                yield f"[{token.contribution:+.2f}]", "#3f82f0" if token.contribution > 0 else "#e8701a"
            before = token.end


def explain(state: State, text: str) -> list[EntityExplanation]:
    """Explain each entity of a text; see :meth:`SequenceTagger.explain`."""
    check_entities(state)
    found: list[EntityExplanation] = []
    for piece in pieces(text, state.level):
        numbers = work_on(state, [piece.tokens], best_tags)[0]
        spans = state.tags.spans(numbers)
        if not len(spans.start):
            continue
        chances = np.concatenate(list(_chances(state, piece.tokens, numbers, spans)))
        safe = chances.clip(_CERTAIN, 1 - _CERTAIN)
        odds = np.log(safe) - np.log1p(-safe)
        places = list(zip(piece.tokens, piece.starts, piece.ends, strict=True))
        for column, span in enumerate(state.tags.named(spans)):
            start, end = piece.starts[span.start], piece.ends[span.end - 1]
            entity = Entity(start, end, span.type, text[start:end], float(chances[0, column]))
            effects = (odds[0, column] - odds[1:, column]).tolist()
            tokens = [TokenEffect(*place, effect) for place, effect in zip(places, effects, strict=True)]
            found.append(EntityExplanation(entity, tokens))
    return found


def _chances(state: State, tokens: Tokens, numbers: Array, spans: Spans) -> Iterator[Array]:
    """Yield the probability of each span, [n, spans]: with all tokens first, and then without each of them."""
    N, unknown = len(tokens), _no_token(state)
    versions = [list(tokens), *([*tokens[:place], unknown, *tokens[place + 1 :]] for place in range(N))]
    device = next(state.model.parameters()).device
    for chunk in in_chunks(versions, max(1, rows_at_once(_ROWS, len(state.tags)) // (N * len(spans.start)))):
        yield _of_versions(state, chunk, numbers, spans, device)


def _of_versions(state: State, versions: Sequence[Tokens], numbers: Array, spans: Spans, device: torch.device) -> Array:
    first = np.arange(len(versions))[:, None] * len(numbers)
    starts, ends = ((first + place).reshape(-1) for place in (spans.start, spans.end))
    with plain_torch(), torch.inference_mode():
        batch = state.encoder(versions).whole().to(device)
        emissions = state.model(*batch.inputs).double()
        tags = torch.from_numpy(np.tile(numbers, len(versions))).to(device)
        chances = span_chances(state, emissions, batch, starts, ends, tags)
    return chances.cpu().numpy().reshape(len(versions), -1)


def _no_token(state: State) -> str:
    """Return a token that the model does not know, nor any letter of it."""
    letters = () if state.letters is None else state.letters.tokens
    known = {*state.vocabulary.tokens, *letters}
    return next(token for token in _NO_TOKENS if token not in known)
