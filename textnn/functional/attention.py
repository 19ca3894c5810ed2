"""Attention over ragged states; see :mod:`textnn.functional`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._checks import check_dtypes, check_sentences, check_shape, check_tensors, keeps, widen
from ..backends import has_kernels
from ..reference import masked
from .cell_step import is_plain
from .sizes import Sizes, size_tensors

_attend = torch.ops.textnn.ragged_attention.default


def ragged_attention(
    query: Tensor,
    states: Tensor,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    scale: float = 1.0,
    return_weights: bool = False,
) -> Any:
    """Attend to each sentence's own states: ``(scale * query @ states.mT).softmax(-1) @ states``, without a mask.

    Parameters
    ----------
    query : Tensor [B, Q, H]
        Q queries for each sentence, such as the states of a decoder.
    states : Tensor [B, T, H], or [N, H] with ``offsets``
        What they attend to, such as the outputs of an encoder.
    lengths : Tensor int64 [B] or sequence of int, optional
        How many states each sentence of a padded batch has; without it, T. Padding is neither read nor counted.
    offsets : Tensor int64 [B] or sequence of int, optional
        Where each sentence of flat states begins.
    scale : float, default=1.0
        What scores are multiplied with: 1 is the score "dot", 1 / sqrt(H) that of the Transformer.
    return_weights : bool, default=False

    Returns
    -------
    context : Tensor [B, Q, H]
        Zeros for a sentence without states.
    weights : Tensor [B, Q, T], or [Q, N] with ``offsets``
        With ``return_weights`` alone: they sum to 1 over the states of a sentence, and are zero at padding. Gradients
        flow through them.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or a length or offset is out of range.
    TypeError
        If dtypes differ or are not floating-point.

    Notes
    -----
    Luong, Pham and Manning 2015, Effective approaches to attention-based neural machine translation. Their score
    "general" is this one with ``query @ W``. Devices without kernels run operations of PyTorch on padded states.

    Examples
    --------
    >>> query, states = torch.randn(2, 1, 4), torch.randn(5, 4)
    >>> context, weights = textnn.functional.ragged_attention(query, states, offsets=[0, 3], return_weights=True)
    >>> torch.allclose(context[1], (query[1] @ states[3:].T).softmax(1) @ states[3:], atol=1e-6)
    True
    >>> weights.shape, bool(torch.isclose(weights[0, :3].sum(), torch.tensor(1.0)))
    (torch.Size([1, 5]), True)
    """
    lengths, offsets = size_tensors(lengths, offsets)
    flat = offsets is not None
    check_tensors(query=query, states=states)
    check_shape("query", query, ("B", "Q", "H"), ())
    if flat:
        check_shape("states", states, ("N", "H"), (None, query.shape[2]))
    else:
        check_shape("states", states, ("B", "T", "H"), (query.shape[0], None, query.shape[2]))
    sizes = check_sentences(states, lengths, offsets, "states")
    if sizes is not None and sizes.shape[0] != query.shape[0]:
        raise ValueError(f"query must be of {sizes.shape[0]} sentences, as many as there are, got {query.shape[0]}")
    dtype = check_dtypes({"query": query, "states": states})
    if not has_kernels(states.device):
        found = masked.ragged_attention(query, states, sizes, flat, scale)
        return found if return_weights else found[0]
    (query, states), narrow = widen(dtype, query, states)
    save = return_weights or keeps(query, states)
    arguments = (query, states, sizes, flat, float(scale), save)
    if is_plain() and not keeps(query, states):
        with torch._C._AutoDispatchBelowAutograd():
            found = narrow(_attend(*arguments))
    else:
        found = narrow(_attend(*arguments))
    return found if return_weights else found[0]
