"""Functions of the operators on sentences: convolution, pooling, look-up; see :mod:`textnn.functional`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .._checks import (
    check_device,
    check_dtypes,
    check_frozen,
    check_ids,
    check_padding,
    check_sentences,
    check_shape,
    check_sizes_device,
    check_table,
    check_tensors,
    keeps,
    needs_gradient,
    widen,
)
from ..backends import asked_of_torch, product_precision, runs_cuda
from .sizes import Sizes, size_tensors

_ops = torch.ops.textnn
_frozen_text_conv = _ops.frozen_text_conv.default


def max_mean_pool(x: Tensor, *, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Tensor:
    """Pool each sequence's own vectors over time: ``torch.cat([x.amax(1), x.mean(1)], 1)`` without its padding.

    One pass over the vectors; the gradient of a maximum goes to the first step where it stands.

    Parameters
    ----------
    x : Tensor [B, T, F], or [N, F] with ``offsets``
    lengths, offsets : Tensor int64 [B] or sequence of int, optional
        Steps of each sequence, or where each begins in a flat batch. Without either, all T steps count.

    Returns
    -------
    y : Tensor [B, 2F]
        Maxima, then means; zeros for a sequence without steps.

    Raises
    ------
    ValueError
        If ``x`` has another number of dimensions, or a length or offset is out of range.
    TypeError
        If ``x`` is not floating-point.

    Examples
    --------
    >>> x = torch.tensor([[[1.0], [3.0], [9.0]], [[4.0], [2.0], [6.0]]])
    >>> textnn.functional.max_mean_pool(x, lengths=[2, 3])
    tensor([[3., 2.],
            [6., 4.]])
    """
    lengths, offsets = size_tensors(lengths, offsets)
    flat = offsets is not None
    check_tensors(x=x)
    if x.dim() != (2 if flat else 3):
        raise ValueError(f"x must have shape {'[N, F] with offsets' if flat else '[B, T, F]'}, got {list(x.shape)}")
    sizes = check_sentences(x, lengths, offsets, "x")
    (x,), narrow = widen(check_dtypes({"x": x}), x)
    return narrow(_ops.max_mean_pool(x, sizes, flat, keeps(x))[:1])[0]


def embedding(ids: Tensor, table: Tensor, *, padding_idx: int | None = None, sparse: bool = False) -> Tensor:
    """Look up tokens in an embedding table, as ``F.embedding(ids, table)``.

    The result is that of ``torch.nn.functional.embedding``. Its gradient is summed for each distinct token, in parallel
    and in a fixed order; a sparse one has one row for each distinct token and is coalesced.

    Parameters
    ----------
    ids : Tensor int64 [...]
    table : Tensor [V, D]
        The embeddings.
    padding_idx : int, optional
        The row of the table that gets no gradient.
    sparse : bool, default=False
        Whether the gradient of the table is a sparse tensor.

    Returns
    -------
    y : Tensor [..., D]

    Raises
    ------
    IndexError
        If an id lies outside the table.
    ValueError
        If ``table`` is no matrix or ``padding_idx`` none of its rows.
    TypeError
        If the table is not floating-point, or ids are not int64 or int32.

    Examples
    --------
    >>> ids, table = torch.tensor([[1, 2], [2, 0]]), torch.randn(3, 4, requires_grad=True)
    >>> torch.equal(textnn.functional.embedding(ids, table), table[ids])
    True
    """
    row = check_table(table, padding_idx)
    ids = check_ids(ids, table.shape[0], table)
    dtype = check_dtypes({"table": table})
    (table,), narrow = widen(dtype, table)
    return narrow((_ops.embedding(ids, table, row, sparse),))[0]


def text_conv(
    x: Tensor,
    weight: Sequence[Tensor],
    bias: Sequence[Tensor] | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str = "valid",
    activation: str = "relu",
) -> Tensor:
    """Convolve, activate, and take the maximum over time: ``F.conv1d(x, w, b).relu().amax(-1)`` for each kernel.

    The convolution's output is never stored; the backward pass visits the one window that gave each maximum.

    Parameters
    ----------
    x : Tensor [B, L, D], or [N, D] with ``offsets``
        The vectors of the tokens.
    weight : sequence of S tensors [C, D, K]
        The kernels, as in ``torch.nn.Conv1d``; K may differ.
    bias : sequence of S tensors [C], optional
    lengths : Tensor int64 [B] or sequence of int, optional
        How many tokens each sentence has; without it, L.
    offsets : Tensor int64 [B] or sequence of int, optional
        Where each sentence of a flat batch begins.
    padding : {"valid", "same"}, default="valid"
        "valid": windows inside the sentence only; a sentence shorter than a kernel has one window, as if padded with
        the zero vector. "same": as many windows as tokens, with (K - 1) // 2 zero vectors in front, and one window for
        an empty sentence.
    activation : {"relu", "tanh", "identity"}, default="relu"

    Returns
    -------
    y : Tensor [B, S * C]
        Channel c of kernel i in column i * C + c. Where a maximum stands more than once, the first window counts.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or a length or offset is out of range.
    TypeError
        If dtypes differ or are not floating-point.

    Notes
    -----
    Collobert et al. 2011 (Natural Language Processing (Almost) from Scratch) and Kim 2014 (Convolutional Neural
    Networks for Sentence Classification).

    Examples
    --------
    >>> x, w, b = torch.randn(2, 9, 4), torch.randn(6, 4, 3), torch.randn(6)
    >>> y = textnn.functional.text_conv(x, [w], [b])
    >>> torch.allclose(y, torch.conv1d(x.transpose(1, 2), w, b).relu().amax(-1), atol=1e-5)
    True
    >>> textnn.functional.text_conv(torch.randn(11, 4), [w], [b], offsets=[0, 5, 9]).shape
    torch.Size([3, 6])
    """
    lengths, offsets = size_tensors(lengths, offsets)
    flat = offsets is not None
    check_tensors(x=x)
    if x.dim() != (2 if flat else 3):
        raise ValueError(f"x must have shape {'[N, D] with offsets' if flat else '[B, L, D]'}, got {list(x.shape)}")
    biases = _check_kernels(weight, bias, x.shape[-1])
    dtype = check_dtypes({"x": x, **_named("weight", weight), **_named("bias", biases)})
    sizes = check_sentences(x, lengths, offsets, "x")
    same, code = check_padding(padding, activation)
    (x, *rest), narrow = widen(dtype, x, *weight, *biases)
    kernels, biases = rest[: len(weight)], rest[len(weight) :]
    precision = product_precision(dtype, x.device.type, convolution=True)
    y, _ = _ops.text_conv(x, kernels, biases, sizes, flat, same, code, precision, keeps(x, *rest))
    return narrow((y,))[0]


def embedding_text_conv(
    ids: Tensor,
    table: Tensor,
    weight: Sequence[Tensor],
    bias: Sequence[Tensor] | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str = "valid",
    activation: str = "relu",
    padding_idx: int | None = None,
    sparse: bool = False,
) -> Tensor:
    """Look up tokens and convolve them: ``text_conv(F.embedding(ids, table), ...)``.

    The products of embeddings and kernels are computed once for each distinct token of the batch, then gathered.

    Parameters
    ----------
    ids : Tensor int64 [B, L], or [N] with ``offsets``
    table : Tensor [V, D]
        The embeddings.
    weight, bias, lengths, offsets, padding, activation : Tensors, Tensors, Tensor, Tensor, str, str
        As in :func:`text_conv`.
    padding_idx : int, optional
        The row of the table that gets no gradient, as in ``torch.nn.functional.embedding``. It says nothing about
        lengths: without ``lengths`` every position counts.
    sparse : bool, default=False
        Whether the gradient of the table is a sparse tensor with one row for each distinct token, coalesced.

    Returns
    -------
    y : Tensor [B, S * C]

    Raises
    ------
    IndexError
        If an id lies outside the table.
    ValueError
        If shapes do not fit each other, or a length or offset is out of range.
    TypeError
        If dtypes differ or are not floating-point, or ids are not int64 or int32.

    Examples
    --------
    >>> ids, table, w = torch.tensor([1, 2, 2, 5, 1]), torch.randn(9, 4), torch.randn(6, 4, 2)
    >>> y = textnn.functional.embedding_text_conv(ids, table, [w], offsets=[0, 3])
    >>> torch.allclose(y, textnn.functional.text_conv(table[ids], [w], offsets=[0, 3]), atol=1e-5)
    True
    """
    lengths, offsets = size_tensors(lengths, offsets)
    flat = offsets is not None
    check_tensors(ids=ids)
    if ids.dim() != (1 if flat else 2):
        raise ValueError(f"ids must have shape {'[N] with offsets' if flat else '[B, L]'}, got {list(ids.shape)}")
    row = check_table(table, padding_idx)
    ids = check_ids(ids, table.shape[0], table)
    biases = _check_kernels(weight, bias, table.shape[1])
    dtype = check_dtypes({"table": table, **_named("weight", weight), **_named("bias", biases)})
    sizes = check_sentences(ids, lengths, offsets)
    same, code = check_padding(padding, activation)
    (table, *rest), narrow = widen(dtype, table, *weight, *biases)
    kernels, biases = rest[: len(weight)], rest[len(weight) :]
    save = keeps(table, *rest)
    how = (same, code, product_precision(dtype, table.device.type, convolution=True), row, sparse, save)
    on_cuda = asked_of_torch() if runs_cuda(table) else ()
    y, _ = _ops.embedding_text_conv(ids, table, kernels, biases, sizes, flat, *how, *on_cuda)
    return narrow((y,))[0]


def frozen_text_conv(
    ids: Tensor,
    table: Tensor,
    bias: Tensor,
    kernel_sizes: Sequence[int],
    *,
    scale: Tensor | None = None,
    row: Tensor | None = None,
    rest: Tensor | None = None,
    weight: Tensor | None = None,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str = "valid",
    activation: str = "relu",
) -> Tensor:
    """Convolve tokens by a table of their products: ``text_conv(F.embedding(ids, ...), ...)``, for inference.

    The table holds the products of each embedding with the kernels, which were made once.

    Parameters
    ----------
    ids : Tensor int64 [B, L], or [N] with ``offsets``
    table : Tensor [R, sum of K, width], float32, float64, int16 or int8
        Row by row the products of an embedding with tap 0, 1, ... of the first kernel, of the second, ...: C values
        each, then zeros; width is C rounded up to 64 bytes of the sums' type, which is int16 for both integers. The
        integers of a kernel must lie within 32767 / K.
    bias : Tensor [S, C]
        Its dtype is that of the result.
    kernel_sizes : sequence of S int
        The K.
    scale : Tensor [S, C], optional
        What an integer of the table stands for.
    row : Tensor int64 [V], optional
        The row of each id; without it, ids are rows.
    rest : Tensor [V - R, D], optional
        Embeddings that stand behind the R rows of the table: their products are computed once for each batch.
    weight : Tensor [D, sum of K, width], optional
        The kernels, for ``rest``.
    lengths, offsets, padding, activation : Tensor, Tensor, str, str
        As in :func:`text_conv`.

    Returns
    -------
    y : Tensor [B, S * C]

    Raises
    ------
    IndexError
        If an id lies outside the table.
    ValueError
        If shapes do not fit each other, or a length or offset is out of range.
    TypeError
        If dtypes are none of those above.
    RuntimeError
        If a gradient is asked for.

    Examples
    --------
    >>> table, bias = torch.zeros(3, 1, 16), torch.zeros(1, 2)
    >>> table[:, 0, :2] = torch.tensor([[1.0, 2.0], [5.0, 1.0], [3.0, 4.0]])  # V = 3, K = 1, C = 2
    >>> textnn.functional.frozen_text_conv(torch.tensor([[0, 1], [2, 2]]), table, bias, [1])
    tensor([[5., 2.],
            [3., 4.]])
    """
    same, code = check_padding(padding, activation)
    check_tensors(ids=ids, table=table, bias=bias)
    for t in (scale, row, rest, weight):
        if t is not None and not isinstance(t, Tensor):
            raise TypeError(f"scale, row, rest and weight must be tensors or None, got {type(t).__name__}")
    if needs_gradient(table, bias, scale, rest, weight):
        raise RuntimeError("frozen_text_conv has no gradient: train the layer that was frozen, and freeze it again")
    lengths, offsets = size_tensors(lengths, offsets)
    check_device("ids", ids, "table", table)
    check_sizes_device("ids", ids, lengths, offsets)
    compute = torch.float64 if table.dtype == torch.float64 else torch.float32
    given = (scale, row, rest, weight, lengths, offsets)
    if torch.compiler.is_compiling():
        check_frozen(ids, table, bias, kernel_sizes, *given)
    index = ids.long() if ids.dtype == torch.int32 else ids
    sizes = lengths if offsets is None else offsets
    sizes = sizes if sizes is None or sizes.dtype != torch.int32 else sizes.long()
    flat, b = offsets is not None, bias if bias.dtype == compute else bias.to(compute)
    arguments = (index, table, scale, b, kernel_sizes, row, rest, weight, sizes, flat, same, code)
    if torch.compiler.is_compiling():
        y: Tensor = _frozen_text_conv(*arguments)
    else:
        # The operator checks everything once more anyway: a call takes microseconds, and the checks in Python as many.
        try:
            y = _frozen_text_conv(*arguments)
        except RuntimeError:
            check_frozen(ids, table, bias, kernel_sizes, *given)
            raise
    return y if y.dtype == bias.dtype else y.to(bias.dtype)


def _named(name: str, tensors: Sequence[Tensor]) -> dict[str, Tensor | None]:
    return {f"{name}[{i}]": t for i, t in enumerate(tensors)}


def _check_kernels(weight: Sequence[Tensor], bias: Sequence[Tensor] | None, D: int) -> list[Tensor]:
    """Check shapes; the biases as a list, empty where there are none."""
    if isinstance(weight, Tensor) or isinstance(bias, Tensor) or len(weight) == 0:
        raise ValueError("weight and bias must be sequences with one tensor for each kernel size, and at least one")
    check_tensors(**{"weight[0]": weight[0]})
    C = weight[0].shape[0] if weight[0].dim() else None
    for i, w in enumerate(weight):
        check_shape(f"weight[{i}]", w, ("C", "D", "K"), (C, D, None))
        if w.shape[2] == 0:
            raise ValueError(f"weight[{i}] must have at least one tap, got shape {list(w.shape)}")
    biases = list(bias) if bias is not None else []
    if biases and len(biases) != len(weight):
        raise ValueError(f"bias must hold {len(weight)} tensors, one for each kernel, got {len(biases)}")
    for i, b in enumerate(biases):
        check_shape(f"bias[{i}]", b, ("C",), (C,))
    return biases
