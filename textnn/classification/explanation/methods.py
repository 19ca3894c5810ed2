"""What each token of a text adds to a score of it: three methods.

    a network, a tokenized text, direction [K]  ->  Attribution: base, a contribution for each token, n-grams

``direction . logits`` is the score. Each method is for any network, or says that it is not for this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from textnn.classification.explanation.gradients import integrate_gradients
from textnn.classification.explanation.tokens import TokenizedText
from textnn.models import PAD, Ensemble, TextModel
from textnn.models.decomposition import NgramParts

EXACT, OCCLUSION, GRADIENTS = "exact", "occlusion", "integrated gradients"

_TOKENS = 1 << 16  # of a batch at most, or one text


class Ngram(NamedTuple):
    """What an n-gram adds: ids from ``start`` to before ``end`` of a form of the text."""

    stream: int
    start: int
    end: int
    contribution: float


@dataclass(frozen=True, eq=False)
class Attribution:
    """Contributions to a score.

    Attributes
    ----------
    base
        The score without them; see docs/explain.md for what that is with each method.
    tokens
        Of each token of the text, float64 [tokens].
    ngrams
        The n-grams of the largest contributions, the largest first, where the method knows them.
    """

    base: float
    tokens: Tensor
    ngrams: list[Ngram]


Method = Callable[[TextModel, TokenizedText, Tensor, int], "Attribution | None"]
"""(network, text, direction float64 [K], n-grams at most) -> what is found; None from a network that it is not for."""


def decompose(model: TextModel, text: TokenizedText, direction: Tensor, most: int) -> Attribution | None:
    """Take the sum apart that the network itself is; see :meth:`textnn.models.TextModel.decompose`."""
    found = model.decompose(*text.inputs, direction=direction)
    if found is None:
        return None
    contributions, base = torch.zeros(len(text.tokens), dtype=torch.float64), found.base
    for part in found.parts:
        owner, taps = text.owners[part.stream].cpu(), part.taps.cpu()
        places = part.starts.cpu()[:, None] + torch.arange(taps.shape[1])
        inside = places < len(owner)
        contributions.index_add_(0, owner[places[inside]], taps[inside])
        base += float(taps[~inside].sum())  # where windows reach beyond the text
    return Attribution(base, contributions, _largest(found.parts, text, most))


def _largest(parts: Sequence[NgramParts], text: TokenizedText, most: int) -> list[Ngram]:
    """Return the n-grams of the largest contributions; the same one in several parts is added up."""
    sums: dict[tuple[int, int], Tensor] = {}  # by form and size, [L]
    for part in parts:
        L = len(text.owners[part.stream])
        starts, values = part.starts.cpu(), part.taps.cpu().sum(1)
        sizes = (L - starts).clamp(max=part.taps.shape[1])  # a window reaches beyond a text that is shorter
        for size in sizes.unique().tolist():
            if size > 0:
                chosen = sizes == size
                total = sums.setdefault((part.stream, size), torch.zeros(L, dtype=torch.float64))
                total.index_add_(0, starts[chosen], values[chosen])
    found = []
    for (stream, size), total in sums.items():
        for start in total.abs().topk(min(most, len(total))).indices.tolist():
            found.append(Ngram(stream, start, start + size, float(total[start])))
    found.sort(key=lambda ngram: -abs(ngram.contribution))
    return [ngram for ngram in found if ngram.contribution != 0.0][:most]


def occlude(model: TextModel, text: TokenizedText, direction: Tensor, most: int) -> Attribution:
    """Take each token out of the text, and see by how much the score falls.

    (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014; Li et al., "Understanding Neural
    Networks through Representation Erasure", 2016.) Contributions do not add up to the score: of two tokens that say
    the same, neither is missed. Its base is the score of the text without all of its tokens.
    """
    read = torch.cat([owner.cpu() for owner in text.owners]).unique()  # tokens that the network sees anything of
    contributions = torch.zeros(len(text.tokens), dtype=torch.float64)
    score = float(scores(model, text.inputs, direction))
    everything = [torch.ones(1, len(owner), dtype=torch.bool) for owner in text.owners]
    base = float(scores(model, _without(text, everything), direction))
    size = max(1, _TOKENS // sum(len(ids) for ids in text.ids))
    for numbers in read.split(size):
        hidden = [owner.cpu()[None] == numbers[:, None] for owner in text.owners]
        contributions[numbers] = score - scores(model, _without(text, hidden), direction)
    return Attribution(base, contributions, [])


def _without(text: TokenizedText, hidden: list[Tensor]) -> list[Tensor]:
    """Return a batch of the text without some of its ids: of each form, those that are not hidden, bool [B, L]."""
    inputs = []
    for ids, hide in zip(text.ids, hidden, strict=True):
        B = len(hide)
        rows = ids.cpu().expand(B, -1).clone()
        keep = torch.ones(rows.shape, dtype=torch.bool)
        keep[:, : hide.shape[1]] = ~hide  # [PAD] in the place of an empty text belongs to no token
        empty = ~keep.any(1)
        keep[empty, 0], rows[empty, 0] = True, PAD
        lengths = keep.sum(1)
        inputs += [rows[keep].to(ids.device), (lengths.cumsum(0) - lengths).to(ids.device)]
    return inputs


@torch.no_grad()
def scores(model: TextModel, inputs: list[Tensor], direction: Tensor) -> Tensor:
    """Return the score of each text of a batch, float64 [B], on the CPU."""
    return (model(*inputs).double() @ direction).cpu()


def integrate(model: TextModel, text: TokenizedText, direction: Tensor, most: int) -> Attribution | None:
    """Integrate gradients from unknown words to the text; see :func:`integrate_gradients`."""
    members = model.networks if isinstance(model, Ensemble) else [model]
    contributions, base = torch.zeros(len(text.tokens), dtype=torch.float64), 0.0
    for member in members:
        if member.embedding is None:
            return None
        found = integrate_gradients(member, text.ids[0], direction / len(members))
        (owner,) = text.owners
        contributions.index_add_(0, owner.cpu(), found.contributions[: len(owner)])
        base += found.base + float(found.contributions[len(owner) :].sum())
    return Attribution(base, contributions, [])


METHODS: dict[str, Method] = {EXACT: decompose, GRADIENTS: integrate, OCCLUSION: occlude}
"""Every method by its name, in the order in which "auto" takes the first that is for the network."""
