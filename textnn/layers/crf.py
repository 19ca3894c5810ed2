"""A conditional random field with the parameters and calls of pytorch-crf, for ragged batches.

emissions: padded with a mask or lengths, flat with offsets, PackedSequence, nested
    -- _take --> a padded or flat batch -- functional.crf_* --> log-likelihood, lists of tags, marginals
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .. import functional
from .._checks import _can_look, check_tensors
from ..functional.crf import check_best, check_reduction, reduce
from ..functional.sizes import Sizes, size_tensors
from .base import Layer, stay_whole
from .sequences import take_nested
from .tag_schemes import AllowedTransitions, allowed_transitions


class _Batch(NamedTuple):
    """Emissions as the functions take them, and the way back."""

    emissions: Tensor
    sizes: dict[str, Any]
    like: Callable[[Any], Tensor]  # brings tags to the form of the emissions
    restore: Callable[[Tensor], Any]  # gives what is like the emissions the form of the input
    order: list[int] | None = None  # where the sequences of the input are in the batch


class CRF(Layer):
    """A linear-chain conditional random field: ``torchcrf.CRF`` for ragged batches, with forbidden transitions.

    Parameters
    ----------
    num_tags : int
        K.
    batch_first : bool, default=False
        Whether padded emissions are [B, T, K] instead of [T, B, K].
    tags : sequence of K str, optional, by keyword
        Names of the tags, for ``scheme``.
    scheme : {"BIO", "IOB1", "BIOES", "BMES", "BILOU", "IO"}, optional, by keyword
        Forbids what the scheme does not allow; see :func:`textnn.layers.allowed_transitions`.
    allowed : Tensor bool [K, K] or (start [K], end [K], transitions [K, K]), optional, by keyword
        Forbids transitions from tag i to tag j where it is False; of three tensors also first and last tags.
    device, dtype : optional, by keyword

    Raises
    ------
    ValueError
        If ``num_tags`` is not positive, ``tags`` are not K or none of the scheme, or ``allowed`` does not fit.
    TypeError
        If ``allowed`` is not bool.

    Notes
    -----
    The parameters ``start_transitions`` [K], ``end_transitions`` [K] and ``transitions`` [K, K] begin uniform in
    [-0.1, 0.1]; a ``state_dict`` of pytorch-crf loads, and the other way round. What is forbidden is part of the
    constructor, not of the ``state_dict``. See docs/crf.md.

    Examples
    --------
    >>> crf = textnn.CRF(3, batch_first=True, tags=["O", "B-PER", "I-PER"], scheme="BIO")
    >>> emissions, tags = torch.randn(2, 5, 3), torch.tensor([[0, 1, 2, 2, 0], [1, 0, 0, 0, 0]])
    >>> loss = -crf(emissions, tags, lengths=[5, 2])
    >>> loss.backward()
    >>> [len(path) for path in crf.decode(emissions, lengths=[5, 2])]
    [5, 2]
    """

    start_transitions: nn.Parameter
    end_transitions: nn.Parameter
    transitions: nn.Parameter
    allowed_start: Tensor | None
    allowed_end: Tensor | None
    allowed_transitions: Tensor | None

    def __init__(
        self,
        num_tags: int,
        batch_first: bool = False,
        *,
        tags: Sequence[str] | None = None,
        scheme: str | None = None,
        allowed: Tensor | tuple[Tensor, Tensor, Tensor] | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if num_tags <= 0:
            raise ValueError(f"num_tags must be positive, got {num_tags}")
        super().__init__()
        self.num_tags, self.batch_first, self.scheme = num_tags, batch_first, scheme
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.start_transitions = nn.Parameter(torch.empty(num_tags, **factory))
        self.end_transitions = nn.Parameter(torch.empty(num_tags, **factory))
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags, **factory))
        masks = _masks(num_tags, tags, scheme, allowed)
        # Not buffers, which to_empty() would fill with anything: they belong to the constructor, as K does.
        for name, mask in zip(("start", "end", "transitions"), masks, strict=True):
            given = None if mask is None or bool(mask.all()) else mask.detach().to("cpu", copy=True)
            setattr(self, f"allowed_{name}", given)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all parameters to random numbers in [-0.1, 0.1]."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return start, end and transition scores with ``-inf`` for what is forbidden.

        Returns
        -------
        start, end : Tensor [K]
        transitions : Tensor [K, K]
        """
        return (
            _forbid(self.start_transitions, self.allowed_start),
            _forbid(self.end_transitions, self.allowed_end),
            _forbid(self.transitions, self.allowed_transitions),
        )

    def forward(
        self,
        emissions: Tensor | PackedSequence,
        tags: Tensor | PackedSequence,
        mask: Tensor | None = None,
        reduction: str = "sum",
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
    ) -> Tensor:
        """Compute the log-likelihood of tags; its negative is the loss.

        Parameters
        ----------
        emissions : Tensor or PackedSequence
            [T, B, K], or [B, T, K] with ``batch_first``; [N, K] with ``offsets``; or a nested tensor with the layout
            ``torch.jagged``, [B, *, K].
        tags : Tensor int64, or PackedSequence
            In the form of the emissions, without K; values at padding do not matter. Or bool in the form of the
            emissions, with K: which tags are possible at each step, for sequences that are labelled in part.
        mask : Tensor bool or uint8 [T, B], [B, T] with ``batch_first``, optional
            True for steps, False for padding, which stands behind them.
        reduction : {"sum", "none", "mean", "token_mean"}, default="sum"
        lengths, offsets : Tensor int64 [B] or sequence of int, optional
            Steps of each sequence of a padded batch, or where each begins in a flat one.

        Returns
        -------
        Tensor [], or [B] with ``reduction="none"``
            0 for an empty sequence; ``-inf`` for tags that are forbidden.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As :func:`textnn.functional.crf_log_likelihood`; ValueError for a mask with True behind False, or together
            with lengths or offsets.
        """
        options = {"mask": mask, "reduction": reduction, "lengths": lengths, "offsets": offsets}
        if (whole := stay_whole(self, CRF.forward, emissions, tags, **options)) is not None:
            return whole
        check_reduction(reduction)
        batch = self._take(emissions, mask, lengths, offsets)
        every = functional.crf_log_likelihood(
            batch.emissions,
            batch.like(tags),
            *self.scores(),
            reduction="none" if batch.order is not None else reduction,
            **batch.sizes,
        )
        if batch.order is None:
            return every
        every = every[torch.tensor(batch.order, device=every.device)]
        return reduce(every, reduction, lambda: batch.emissions.shape[0])

    def decode(
        self,
        emissions: Tensor | PackedSequence,
        mask: Tensor | None = None,
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
        n_best: int | None = None,
    ) -> list[Any]:
        """Find the best tags of each sequence.

        Parameters
        ----------
        emissions, mask, lengths, offsets
            As in :meth:`forward`.
        n_best : int, optional
            How many sequences of tags are wanted.

        Returns
        -------
        list of B list of int
            The tags; ``[]`` for an empty sequence. With ``n_best``, a list of at most so many (tags, score) for each
            sequence, the best first. :func:`textnn.functional.crf_decode` gives tensors.

        Raises
        ------
        ValueError, TypeError
            As :meth:`forward`.
        """
        check_best(n_best)
        batch = self._take(emissions, mask, lengths, offsets)
        tags, scores = functional.crf_decode(batch.emissions, *self.scores(), n_best=n_best or 1, **batch.sizes)
        found = [_by_sequence(ranked, batch.sizes) for ranked in tags]
        order = range(len(found[0])) if batch.order is None else batch.order
        if n_best is None:
            return [found[0][b] for b in order]
        values = scores.tolist()
        ranks = range(n_best)
        return [[(found[r][b], values[r][b]) for r in ranks if values[r][b] != float("-inf")] for b in order]

    def marginals(
        self,
        emissions: Tensor | PackedSequence,
        mask: Tensor | None = None,
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
    ) -> Any:
        """Compute the probability of each tag at each step.

        Parameters
        ----------
        emissions, mask, lengths, offsets
            As in :meth:`forward`.

        Returns
        -------
        Tensor or PackedSequence
            As emissions; zero at padding.

        Raises
        ------
        ValueError, TypeError
            As :meth:`forward`.
        """
        batch = self._take(emissions, mask, lengths, offsets)
        return batch.restore(functional.crf_marginals(batch.emissions, *self.scores(), **batch.sizes))

    def extra_repr(self) -> str:
        options = [f"num_tags={self.num_tags}"]
        options += ["batch_first=True"] * self.batch_first
        options += [f"scheme={self.scheme!r}"] * (self.scheme is not None)
        return ", ".join(options)

    def _take(self, emissions: Any, mask: Tensor | None, lengths: Sizes | None, offsets: Sizes | None) -> _Batch:
        if sum(given is not None for given in (mask, lengths, offsets)) > 1:
            raise ValueError("at most one of mask, lengths and offsets may be given")
        packed = isinstance(emissions, PackedSequence)
        values = emissions.data if packed else emissions
        check_tensors(emissions=values)
        if values.shape[-1] != self.num_tags:
            raise ValueError(f"emissions must have {self.num_tags} tags last, got shape {list(values.shape)}")
        if packed or values.is_nested:
            if mask is not None or lengths is not None or offsets is not None:
                what = "a PackedSequence" if packed else "a nested tensor"
                raise ValueError(f"{what} has its own lengths: mask, lengths and offsets must be None")
            return _packed(emissions) if packed else _nested(emissions)
        if offsets is not None:
            return _Batch(values, {"offsets": size_tensors(None, offsets)[1]}, _as_tensor, _as_tensor)
        if values.dim() != 3:
            form = "[B, T, K]" if self.batch_first else "[T, B, K]"
            raise ValueError(f"emissions must have shape {form}, or [N, K] with offsets, got {list(values.shape)}")
        if mask is not None:
            lengths = _lengths(mask, values, self.batch_first)
        sizes = {"lengths": size_tensors(lengths, None)[0], "batch_first": self.batch_first}
        return _Batch(values, sizes, _as_tensor, _as_tensor)


def _masks(
    K: int, tags: Sequence[str] | None, scheme: str | None, allowed: Any
) -> AllowedTransitions | tuple[None, None, None] | tuple[Tensor | None, Tensor | None, Tensor]:
    """The masks of start, end and transitions."""
    if (tags is None) != (scheme is None):
        raise ValueError("tags and scheme belong together: names of the tags, and how they write spans")
    if tags is not None and scheme is not None:
        if allowed is not None:
            raise ValueError("at most one of scheme and allowed may be given, got both")
        if len(tags) != K:
            raise ValueError(f"tags must be {K} names, got {len(tags)}")
        return allowed_transitions(tags, scheme)
    if allowed is None:
        return None, None, None
    if isinstance(allowed, Tensor):
        allowed = (None, None, allowed)
    if len(allowed) != 3:
        raise ValueError(f"allowed must be a tensor or three of them, start, end and transitions, got {len(allowed)}")
    start, end, transitions = allowed
    for name, mask, shape in (("start", start, [K]), ("end", end, [K]), ("transitions", transitions, [K, K])):
        if mask is None:
            continue
        check_tensors(**{f"allowed {name}": mask})
        if mask.dtype != torch.bool:
            raise TypeError(f"allowed {name} must be bool, got {mask.dtype}")
        if list(mask.shape) != shape:
            raise ValueError(f"allowed {name} must have shape {shape}, got {list(mask.shape)}")
    return start, end, transitions


def _forbid(scores: Tensor, allowed: Tensor | None) -> Tensor:
    return scores if allowed is None else scores.masked_fill(~allowed.to(scores.device), float("-inf"))


def _as_tensor(t: Any) -> Any:
    return t


def _lengths(mask: Tensor, emissions: Tensor, batch_first: bool) -> Tensor:
    """The lengths that a mask stands for."""
    check_tensors(mask=mask)
    if mask.shape != emissions.shape[:2]:
        raise ValueError(f"mask must have shape {list(emissions.shape[:2])} like emissions, got {list(mask.shape)}")
    if mask.dtype not in (torch.bool, torch.uint8):
        raise TypeError(f"mask must be bool or uint8, got {mask.dtype}")
    steps = (mask if batch_first else mask.t()) != 0
    if _can_look(steps) and bool((steps[:, 1:] & ~steps[:, :-1]).any()):
        b = int((steps[:, 1:] & ~steps[:, :-1]).any(1).nonzero()[0])
        raise ValueError(
            f"mask must be True for the first steps of each sequence and False behind them: sequence {b} has True "
            "behind False; move its steps to the front, or leave them out with offsets"
        )
    return steps.sum(1)


def _packed(packed: PackedSequence) -> _Batch:
    """A flat batch of the sequences in their sorted order."""
    sizes = packed.batch_sizes.tolist()
    lengths = [sum(size > b for size in sizes) for b in range(sizes[0] if sizes else 0)]
    starts = [0, *torch.tensor(sizes).cumsum(0).tolist()]
    rows = torch.tensor([starts[t] + b for b, length in enumerate(lengths) for t in range(length)], dtype=torch.int64)
    rows = rows.to(packed.data.device)
    back = torch.empty_like(rows).scatter_(0, rows, torch.arange(len(rows), device=rows.device))
    offsets = torch.tensor([0, *lengths], dtype=torch.int64).cumsum(0)[:-1]
    unsorted = packed.unsorted_indices
    order = list(range(len(lengths))) if unsorted is None else unsorted.tolist()

    def like(tags: Any) -> Tensor:
        if not isinstance(tags, PackedSequence) or not torch.equal(tags.batch_sizes, packed.batch_sizes):
            raise ValueError("tags of a PackedSequence must be one, too, with the same batch sizes")
        return tags.data[rows]

    def restore(y: Tensor) -> PackedSequence:
        return PackedSequence(y[back], packed.batch_sizes, packed.sorted_indices, unsorted)

    return _Batch(packed.data[rows], {"offsets": offsets}, like, restore, order)


def _nested(emissions: Tensor) -> _Batch:
    values, offsets = take_nested(emissions)

    def like(tags: Any) -> Tensor:
        if not isinstance(tags, Tensor) or not tags.is_nested:
            raise ValueError("tags of a nested tensor must be one, too")
        own, starts = take_nested(tags)
        if starts is not offsets and not torch.compiler.is_compiling() and not torch.equal(starts, offsets):
            raise ValueError("tags must have the lengths of the emissions, as nested tensors")
        return own

    def restore(y: Tensor) -> Tensor:
        return torch.nested.nested_tensor_from_jagged(y, cast(Any, emissions).offsets())

    return _Batch(values, {"offsets": offsets}, like, restore)


def _by_sequence(tags: Tensor, sizes: dict[str, Any]) -> list[list[int]]:
    """The tags of each sequence as lists."""
    offsets, lengths = sizes.get("offsets"), sizes.get("lengths")
    if offsets is not None:
        flat, starts = tags.tolist(), offsets.tolist()
        ends = [*starts[1:], len(flat)] if starts else []
        return [flat[begin:end] for begin, end in zip(starts, ends, strict=True)]
    rows = (tags if sizes["batch_first"] else tags.t()).tolist()
    return rows if lengths is None else [row[:n] for row, n in zip(rows, lengths.tolist(), strict=True)]
