"""What each n-gram of a text adds to what convolutions and bags of n-grams say of it.

    direction . logits = base + contributions of n-grams = base + contributions of the tokens in them

Both kinds of layers are sums over n-grams once it is known what share each window has in a maximum, so the split is
exact. It is made for one text at a time, in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from textnn.functional import hash_ngrams
from textnn.layers import EmbeddingTextConv, NgramBag
from textnn.layers.text_conv import kernel_weights


@dataclass(frozen=True, eq=False)
class NgramParts:
    """What the n-grams of one size add to a score.

    Attributes
    ----------
    stream
        Which form of the text they are of, by its number in the model's ``streams``.
    starts
        Position of each one's first token in that form, int64 [n].
    taps
        What each token of each n-gram adds, float64 [n, size]; a row's sum is what the n-gram adds.
    """

    stream: int
    starts: Tensor
    taps: Tensor


@dataclass(frozen=True, eq=False)
class Decomposition:
    """A score of one text as a sum.

    Attributes
    ----------
    base
        What the network says of no text at all.
    parts
        What n-grams add to it.
    """

    base: float
    parts: Sequence[NgramParts]

    @classmethod
    def mean(cls, members: Sequence[Decomposition]) -> Decomposition:
        """Return that of the mean of several networks' scores."""
        share = 1 / len(members)
        parts = [NgramParts(part.stream, part.starts, share * part.taps) for one in members for part in one.parts]
        return cls(share * sum(one.base for one in members), parts)


@torch.no_grad()
def split_convolution(layer: EmbeddingTextConv, ids: Tensor, weight: Tensor, stream: int) -> list[NgramParts]:
    """Split ``weight . features`` of a convolution with ReLU, "valid", over its windows and their tokens.

    A feature is the maximum of its channel over all windows, or 0. The windows share it by their Shapley value: that of
    the game in which some windows are worth the largest of their values. It has a closed form: by rising value, window
    i of n gets the sum over j <= i of (v_j - v_{j-1}) / (n - j + 1), v_0 being 0. A window that wins alone has nearly
    all; two that are equally good have half each, where whoever comes first would else have everything and the other,
    without which nothing changes either, nothing. Within a window, where it is active, its value is linear in its
    tokens: each has its own product, and an equal part of the bias.

    Parameters
    ----------
    layer
        The convolution.
    ids
        Of one text, int64 [L], at least one.
    weight
        Of the features, float64 [C * kernel sizes].
    stream
        To be noted in the parts.

    Notes
    -----
    Littlechild and Owen, "A Simple Expression for the Shapley Value in a Special Case", 1973 (the airport game).
    """
    kernels, biases = kernel_weights(layer.convs)
    embedded = layer.weight[ids].double()  # [L, D]
    parts = []
    for number, (kernel, head) in enumerate(zip(kernels, weight.split(kernels[0].shape[0]), strict=True)):
        K = kernel.shape[2]
        x = F.pad(embedded, (0, 0, 0, max(0, K - len(embedded))))  # at least one window
        P = len(x) - K + 1
        taps = torch.stack([(x @ kernel[:, :, k].double().T)[k : k + P] for k in range(K)])  # [K, P, C]
        if biases is not None:
            taps += biases[number].double() / K
        values = taps.sum(0)
        shares = _share_maximum(values.relu())
        scale = torch.where(values > 0, shares / values.where(values > 0, 1.0), 0.0)  # [P, C]
        parts.append(NgramParts(stream, torch.arange(P, device=ids.device), ((scale * taps) @ head).T))
    return parts


def _share_maximum(values: Tensor) -> Tensor:
    """Return the Shapley value of each row in the maximum of each column: [P, C], at least 0, to the same."""
    P = len(values)
    rising, order = values.sort(dim=0)
    steps = torch.diff(rising, dim=0, prepend=torch.zeros_like(rising[:1]))
    sharers = torch.arange(P, 0, -1, dtype=values.dtype, device=values.device)
    return torch.empty_like(values).scatter_(0, order, (steps / sharers[:, None]).cumsum(0))


@torch.no_grad()
def split_bags(bags: Sequence[tuple[NgramBag | None, Tensor, int]], weight: Tensor) -> list[NgramParts]:
    """Split ``weight . y`` over the n-grams; the tokens of one have equal parts of it, their Shapley value.

    Parameters
    ----------
    bags
        Layers, the ids of one text that each reads, int64 [L] with at least one, and the number of their form. y is the
        sum of what unweighted layers give. Weighted ones are one linear model, whose sums are added up and divided by
        the norm of all of them; an n-gram that occurs n times has an n-th of its part at each place.
    weight
        Of y, float64 [D].
    """
    found = [(bag, ids, stream) for bag, ids, stream in bags if bag is not None]
    squares = [bag.sums(ids, offsets=ids.new_zeros(1))[1] for bag, ids, _ in found if bag.weighted]
    norm = float(torch.stack(squares).double().sum()) ** 0.5 if squares else 0.0
    parts = []
    for bag, ids, stream in found:
        rows = hash_ngrams(ids, bag.sizes, bag.num_embeddings, offsets=ids.new_zeros(1))  # [L, S]
        values = bag.weight[rows].double() @ weight  # [L, S]
        if bag.weighted:
            buckets, places, counts = rows.unique(return_inverse=True, return_counts=True)
            values = values * (bag.importance[buckets].double() / counts)[places] / (norm or 1.0)
        else:
            values = values / max(1, int((rows > 0).sum())) ** 0.5
        for column, size in enumerate(bag.sizes):
            n = max(0, len(ids) - size + 1)
            starts = torch.arange(n, device=ids.device)
            parts.append(NgramParts(stream, starts, (values[:n, column] / size)[:, None].expand(n, size)))
    return parts
