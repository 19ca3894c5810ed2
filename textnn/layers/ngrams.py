"""A linear model of hashed n-grams, to stand beside a deep one.

ids [N] --hash--> buckets [N, S] --rows of weight [buckets, D], (dropout)--> sums [B, D] / sqrt(n-grams)

weighted: distinct buckets b of a sentence --importance[b] * weight[b]--> sums [B, D] / norm of their importance
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .. import functional
from .._checks import check_device
from ..functional.ngrams import check_ngrams, sum_rows
from ..functional.sizes import Sizes, size_tensors
from .embedding import TableModule
from .sequences import as_flat


class NgramBag(TableModule):
    """The sum of the weights of a sentence's n-grams, which are found by a hash: no vocabulary, a fixed table.

    With D classes it is a linear classifier on bags of n-grams, as fastText's, whose result is added to the logits of
    another network: that one generalises, this one remembers what single n-grams say. Its weights begin as zero, so
    that at first it has no say; as those of a linear model they need no noise to begin with.

    Parameters
    ----------
    num_buckets : int
        Rows of the table, from 2 to 2**31. Row 0 stands for no n-gram: it is zero and gets no gradient.
    embedding_dim : int
        D.
    sizes : sequence of S int, default=(1, 2)
        How many tokens the n-grams have, from 1 to 16, each size once.
    dropout : float, default=0.0
        The probability with which an n-gram is left out in training; the others then weigh 1 / (1 - dropout).
    sparse : bool, default=False
        Whether the gradient of the table is sparse, with one row for each distinct bucket: :class:`textnn.optim.Adam`
        then takes only these rows.
    weighted : bool, default=False
        Whether each distinct n-gram of a sentence counts once, times its value in the buffer ``importance``
        [num_buckets], and sums are divided by the norm of these values: with inverse document frequencies, the bag is a
        linear model of TF-IDF vectors. N-grams of importance 0 are as good as absent; at first all have 1, but row 0.
    device, dtype : optional

    Raises
    ------
    ValueError
        For arguments outside of what is listed.
    TypeError
        If ``num_buckets`` or ``sizes`` are not integers.

    Notes
    -----
    Parameters: ``weight`` [num_buckets, D]; with ``weighted`` the buffer ``importance`` [num_buckets]. Nothing is to be
    gained by freezing it: inference only adds rows up.

    Weinberger et al. 2009 (Feature Hashing for Large Scale Multitask Learning), Joulin et al. 2017 (Bag of Tricks for
    Efficient Text Classification), and for a linear part beside a deep one Cheng et al. 2016 (Wide & Deep Learning for
    Recommender Systems).

    Examples
    --------
    >>> bag = textnn.NgramBag(1000, 2, sizes=(1, 2))
    >>> bag(torch.tensor([4, 7, 7, 9, 2]), offsets=[0, 3]).tolist()  # at first it has no say
    [[0.0, 0.0], [0.0, 0.0]]
    """

    def __init__(
        self,
        num_buckets: int,
        embedding_dim: int,
        sizes: Sequence[int] = (1, 2),
        dropout: float = 0.0,
        sparse: bool = False,
        weighted: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        ngrams = check_ngrams(sizes, num_buckets)
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be a probability from 0 to below 1, got {dropout}")
        super().__init__(num_buckets, embedding_dim, 0, sparse, device, dtype)
        self.sizes, self.dropout, self.weighted = tuple(ngrams), dropout, weighted
        self.importance: Tensor
        if weighted:
            self.register_buffer("importance", torch.ones_like(self.weight[:, 0]).detach())
            self.importance[0] = 0.0

    def reset_parameters(self) -> None:
        """Set all weights to zero, and the importance of each n-gram to one."""
        nn.init.zeros_(self.weight)
        if getattr(self, "weighted", False):
            nn.init.ones_(self.importance)
            nn.init.zeros_(self.importance[0])

    def rows_read(self, ids: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Tensor:
        """Return the rows of ``weight`` that :meth:`forward` reads: int64 [B, L, S], or [N, S] with ``offsets``.

        See :func:`textnn.functional.hash_ngrams`, also for the errors raised. 0 stands for no n-gram, and in a weighted
        bag for one that its sentence had before.
        """
        return functional.hash_ngrams(
            ids, self.sizes, self.num_embeddings, lengths=lengths, offsets=offsets, distinct=self.weighted
        )

    def forward(self, ids: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Tensor:
        """Sum the weights of each sentence's n-grams.

        Parameters
        ----------
        ids : Tensor int64 [B, L], or [N] with ``offsets``
        lengths, offsets : Tensor int64 [B] or sequence of int, optional
            Tokens of each sentence, or where each begins in a flat batch. Without either, all L tokens count.

        Returns
        -------
        Tensor [B, D]
            Divided by the square root of the number of n-grams, or by the norm of their importance, so that long
            sentences do not outweigh short ones and still say more; 0 for a sentence that has none. For errors see
            :func:`textnn.functional.hash_ngrams`.
        """
        ids, lengths, offsets = as_flat(ids, lengths, offsets)
        return joint([self.sums(ids, lengths, offsets)])

    def sums(self, ids: Tensor, lengths: Sizes | None = None, offsets: Sizes | None = None) -> tuple[Tensor, Tensor]:
        """Return what :meth:`forward` divides, [B, D], and the square of the norm that it is divided by, [B].

        Several bags make one linear model by :func:`joint`.
        """
        lengths, offsets = size_tensors(lengths, offsets)
        rows = self.rows_read(ids, lengths, offsets)
        check_device("ids", ids, "the layer", self.weight)
        if offsets is None:
            B, L = ids.shape
            starts = torch.arange(B, device=ids.device) * L
            tokens = starts.new_full((B,), L) if lengths is None else lengths.to(ids.device)
            ends = starts + L
        else:
            starts = offsets.to(ids.device, torch.int64)
            tokens = torch.diff(starts, append=starts.new_full((1,), ids.shape[0]))
            ends = starts + tokens
        factors = self.importance[rows] if self.weighted else None
        if factors is None:
            count = sum(((tokens - (n - 1)).clamp(min=0) for n in self.sizes), start=torch.zeros_like(tokens))
            squares = count.to(self.weight.dtype)
        else:
            squares = sum_rows(self.importance[:, None], rows, starts, ends - starts, factors, False)[:, 0]
        if self.training and self.dropout > 0:
            drawn = torch.rand(rows.shape, dtype=self.weight.dtype, device=ids.device) >= self.dropout
            keep = drawn.to(self.weight.dtype) / (1 - self.dropout)
            factors = keep if factors is None else factors * keep
        return sum_rows(self.weight, rows, starts, ends - starts, factors, self.sparse), squares

    def extra_repr(self) -> str:
        return (
            f"{self.num_embeddings}, {self.embedding_dim}, sizes={self.sizes}, dropout={self.dropout}, "
            f"sparse={self.sparse}{', weighted=True' if self.weighted else ''}"
        )


def joint(bags: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return what bags give as one linear model, of their :meth:`NgramBag.sums`: [B, D]; 0 where there is no n-gram."""
    sums, squares = bags[0]
    for more, squares_of_more in bags[1:]:
        sums, squares = sums + more, squares + squares_of_more
    return sums * torch.where(squares > 0, squares, torch.ones_like(squares)).rsqrt()[:, None]
