"""Checks of arguments, shared by the functions and the reference: every message names the argument, what was expected
and what came.

Values (a length above L, an id outside the table) are checked here where they are on the CPU, outside of
``torch.compile``; where a check would need the data or wait for a device, the operators themselves check before a
kernel reads memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .backends import check_kernels, runs_cuda

_FEW = 128  # numbers that are looked at sooner in a list than by an operation of torch
ACTIVATIONS = ("identity", "relu", "tanh")
PADDINGS = ("valid", "same")
MAX_PADDING = (1 << 31) - 1  # what kernels take


def check_tensors(**given: Any) -> None:
    """Raise a TypeError that names the first value that is not a tensor."""
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")


def check_shape(name: str, t: Tensor, symbols: Sequence[str], want: Sequence[int | None]) -> None:
    """``want`` may be shorter than the shape and hold None for "any"."""
    if not isinstance(t, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(t).__name__}")
    if t.shape == want:  # nearly always, and three times as fast
        return
    fits = t.dim() == len(symbols) and all(w is None or w == n for w, n in zip(want, t.shape, strict=False))
    if not fits:
        sizes = [*("*" if w is None else str(w) for w in want), *["*"] * (len(symbols) - len(want))]
        raise ValueError(f"{name} must have shape [{', '.join(symbols)}] = [{', '.join(sizes)}], got {list(t.shape)}")


def check_dtypes(tensors: Mapping[str, Tensor | None]) -> torch.dtype:
    """Return the common floating-point dtype; differences are allowed where autocast will remove them."""
    values = [t for t in tensors.values() if t is not None]
    dtype, device = values[0].dtype, values[0].device
    same = [t.dtype == dtype and t.device == device for t in values]  # a generator costs 2 µs more
    if dtype.is_floating_point and all(same):
        return dtype
    given = {name: t for name, t in tensors.items() if t is not None}
    (first, like), *others = given.items()
    for name, t in given.items():
        if not t.is_floating_point():
            raise TypeError(f"{name} must have a floating-point dtype, got {t.dtype}")
    if not _autocast(like.device.type):
        for name, t in others:
            if t.dtype != like.dtype:
                raise TypeError(f"{name} must have the dtype of {first}, {like.dtype}, got {t.dtype}")
    for name, t in others:
        check_device(name, t, first, like)
    return like.dtype


def _autocast(device: str) -> bool:
    """Whether autocast is on for this type of device, of which there are some that it does not know."""
    known = device in ("cpu", "cuda") or torch.amp.is_autocast_available(device)
    return known and torch.is_autocast_enabled(device)


def check_device(name: str, t: Tensor, other: str, like: Tensor) -> None:
    if t.device != like.device:
        raise ValueError(f"{name} must be on the device of {other}, {like.device}, got {t.device}")


def check_sizes_device(
    name: str, like: Tensor, lengths: Tensor | None, offsets: Tensor | None, batch_sizes: Tensor | None = None
) -> None:
    """Check that they are on the device of the batch, or on the CPU, where they may be beside any batch."""
    for kind, sizes in (("lengths", lengths), ("offsets", offsets), ("batch_sizes", batch_sizes)):
        if sizes is not None and sizes.device.type != "cpu" and sizes.device != like.device:
            places = "the CPU" if like.device.type == "cpu" else f"the CPU or the device of {name}, {like.device}"
            raise ValueError(f"{kind} must be on {places}, got {sizes.device}")


def widen(dtype: torch.dtype, *tensors: Tensor | None) -> tuple[list[Any], Callable[[Sequence[Tensor]], Any]]:
    """On the CPU, float16 and bfloat16 tensors are computed in float32; the second result casts outputs back.

    Recurrent layers and convolutions are told to multiply bfloat16 beside that (``backends.product_precision``).
    Autocast does that by itself. CUDA kernels take them as they are.
    """
    first = tensors[0]
    if first is not None and first.is_cuda and not torch.compiler.is_compiling():
        check_kernels()
    if dtype not in (torch.float16, torch.bfloat16) or (first is not None and runs_cuda(first)):
        return list(tensors), tuple
    if torch.is_autocast_enabled("cpu"):
        return list(tensors), tuple
    wide = [None if t is None else t.float() for t in tensors]
    return wide, lambda results: tuple(t.to(dtype) for t in results)


def needs_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def keeps(*tensors: Tensor | None) -> bool:
    """Whether an operator keeps what its backward pass needs. A trace is run with gradients however it was made."""
    return needs_gradient(*tensors) or torch.jit.is_tracing()


def _check_index(name: str, t: Tensor, count: int | None) -> Tensor:
    if t.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"{name} must be int64, got {t.dtype}")
    if t.dim() != 1 or (count is not None and t.shape[0] != count):
        raise ValueError(f"{name} must have shape [B]{'' if count is None else f' = [{count}]'}, got {list(t.shape)}")
    # A backward pass reads a copy: this may be the memory of an array of NumPy, and nobody notices if that is refilled.
    return t.to(torch.int64, copy=torch.is_grad_enabled() and _can_look(t))


def _can_look(t: Tensor) -> bool:
    """Whether values can be looked at: not on a device that has to be waited for, nor where ``torch.func.vmap`` hides
    them. Kernels check them otherwise."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or t.device.type != "cpu":
        return False
    functorch = torch._C._functorch
    while functorch.is_gradtrackingtensor(t):
        t = functorch.get_unwrapped(t)
    return not functorch.is_batchedtensor(t)


def _range(values: Tensor) -> tuple[int, int]:
    """The least and the greatest."""
    if values.numel() <= _FEW:
        numbers = values.tolist()
        return min(numbers), max(numbers)
    low, high = values.aminmax()
    return int(low), int(high)


def check_lengths(lengths: Tensor, B: int, longest: int) -> Tensor:
    """Return lengths as int64, on the device where they are."""
    lengths = _check_index("lengths", lengths, B)
    if _can_look(lengths) and B > 0:
        low, high = _range(lengths)
        if low < 0 or high > longest:
            raise ValueError(f"lengths must lie between 0 and {longest}, got {low if low < 0 else high}")
    return lengths


def check_offsets(offsets: Tensor, N: int, B: int | None) -> Tensor:
    """Return offsets as int64, on the device where they are."""
    offsets = _check_index("offsets", offsets, B)
    if not torch.compiler.is_compiling() and offsets.shape[0] == 0 and N > 0:
        raise ValueError(f"offsets must not be empty where there are tokens, got 0 offsets for {N} tokens")
    if _can_look(offsets) and offsets.shape[0] > 0:
        if offsets.shape[0] <= _FEW:
            values = offsets.tolist()
            first, last, rises = values[0], values[-1], values == sorted(values)
        else:
            first, last, rises = int(offsets[0]), int(offsets[-1]), not bool((offsets[1:] < offsets[:-1]).any())
        if first != 0 or last > N or not rises:
            raise ValueError(
                f"offsets must begin with 0, rise, and end at most at N = {N}, got {offsets.tolist()[:20]}"
            )
    return offsets


def check_ids(ids: Tensor, V: int, table: Tensor | None = None) -> Tensor:
    """Return ids as int64; with ``table`` they have to be on its device."""
    check_tensors(ids=ids)
    if ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"ids must be int64, got {ids.dtype}")
    if table is not None:
        check_device("ids", ids, "table", table)
    if _can_look(ids) and ids.numel() > 0:
        low, high = (int(v) for v in ids.aminmax())
        if low < 0 or high >= V:
            raise IndexError(f"ids must lie in [0, V) = [0, {V}), got {low if low < 0 else high}")
    return ids.long()


def check_padding(padding: str, activation: str) -> tuple[bool, int]:
    """Return whether padding is "same", and the activation's number in the kernels."""
    if padding not in PADDINGS:
        raise ValueError(f"padding must be 'valid' or 'same', got {padding!r}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be 'relu', 'tanh' or 'identity', got {activation!r}")
    return padding == "same", ACTIVATIONS.index(activation)


def check_places(
    padding: str | int, stride: int, activation: str, kernel_sizes: Sequence[int]
) -> tuple[bool, int, int]:
    """Return whether padding is "same", its size otherwise, and the activation's number, where nothing is pooled."""
    number = isinstance(padding, int) and not isinstance(padding, bool) and 0 <= padding <= MAX_PADDING
    if not number and not isinstance(padding, str):
        raise ValueError(f"padding must be 'valid', 'same' or a number from 0 to {MAX_PADDING}, got {padding!r}")
    if isinstance(stride, bool) or not isinstance(stride, int) or not 1 <= stride < 1 << 63:
        raise ValueError(f"stride must be an integer from 1 to 2**63 - 1, got {stride!r}")
    same, code = check_padding("valid" if isinstance(padding, int) else padding, activation)
    if not same and len(set(kernel_sizes)) > 1:
        raise ValueError(
            "without pooling, kernels of different sizes have different numbers of outputs, got "
            f"{tuple(kernel_sizes)}: "
            "give padding='same', or one layer for each size"
        )
    return same, padding if isinstance(padding, int) else 0, code


def window_counts(length: Any, K: int, same: bool, padding: int, stride: int) -> Any:
    """Return how many windows of K taps a sentence has, or each of several; ``length`` is a number or a tensor."""
    room = length - 1 if same else length - K + 2 * padding
    if isinstance(room, Tensor):
        return (room.div(stride, rounding_mode="floor") + 1).clamp(min=0)
    return torch.sym_max(0, room // stride + 1)


def check_pooling(pooling: str | None, padding: str | int, stride: int) -> bool:
    """Return whether there is the maximum over time."""
    if pooling not in ("max", None):
        raise ValueError(f"pooling must be 'max' or None, got {pooling!r}")
    if pooling == "max" and (stride != 1 or not isinstance(padding, str)):
        found = f"stride={stride!r}, padding={padding!r}"
        raise ValueError(f"stride and a number as padding need pooling=None, got {found}")
    return pooling == "max"


def frozen_width(C: int, dtype: torch.dtype) -> int:
    """Channels of a tap in a table of products: C rounded up to vectors, of 64 bytes, of what sums are made in."""
    lanes = 32 if dtype in (torch.int16, torch.int8) else 64 // dtype.itemsize
    return -(-C // lanes) * lanes


def check_frozen(
    ids: Tensor,
    table: Tensor,
    bias: Tensor,
    kernel_sizes: Sequence[int],
    scale: Tensor | None,
    row: Tensor | None,
    rest: Tensor | None,
    weight: Tensor | None,
    lengths: Tensor | None,
    offsets: Tensor | None,
) -> None:
    """Raise what the arguments of ``frozen_text_conv`` deserve."""
    check_tensors(ids=ids, table=table, bias=bias)
    if len(kernel_sizes) == 0 or any(k < 1 for k in kernel_sizes):
        raise ValueError(f"kernel_sizes must be positive and at least one, got {tuple(kernel_sizes)}")
    if lengths is not None and offsets is not None:
        raise ValueError("at most one of lengths and offsets may be given, got both")
    if ids.dim() != (2 if offsets is None else 1):
        raise ValueError(
            f"ids must have shape {'[B, L]' if offsets is None else '[N] with offsets'}, got {list(ids.shape)}"
        )
    if table.dtype not in (torch.float32, torch.float64, torch.int16, torch.int8):
        raise TypeError(f"table must be float32, float64, int16 or int8, got {table.dtype}")
    S, taps, integers = len(kernel_sizes), sum(kernel_sizes), not table.is_floating_point()
    check_shape("bias", bias, ("S", "C"), (S, None))
    C = bias.shape[1]
    products = (taps, frozen_width(C, table.dtype))
    check_shape("table", table, ("R", "sum of K", "width"), (None, *products))
    if integers != (scale is not None):
        raise ValueError(
            f"scale belongs to a table of integers, got {table.dtype} {'without' if integers else 'with'} it"
        )
    if (rest is None) != (weight is None):
        raise ValueError(f"rest and weight belong together, got only {'weight' if rest is None else 'rest'}")
    compute = torch.float64 if table.dtype == torch.float64 else torch.float32
    if scale is not None:
        check_shape("scale", scale, ("S", "C"), (S, C))
    if rest is not None and weight is not None:
        check_shape("rest", rest, ("V - R", "D"), (None,))
        check_shape("weight", weight, ("D", "sum of K", "width"), (rest.shape[1], *products))
    for name, t in (("scale", scale), ("rest", rest), ("weight", weight)):
        if t is not None and t.dtype != compute:
            raise TypeError(f"{name} must be {compute} for a table of {table.dtype}, got {t.dtype}")
    if not bias.is_floating_point():
        raise TypeError(f"bias must have a floating-point dtype, got {bias.dtype}")
    for name, t in (("bias", bias), ("scale", scale), ("row", row), ("rest", rest), ("weight", weight), ("ids", ids)):
        if t is not None and t.device != table.device:
            raise ValueError(f"{name} must be on the device of table, {table.device}, got {t.device}")
    rows = table.shape[0] + (0 if rest is None else rest.shape[0])
    if row is not None:
        check_shape("row", row, ("V",), (None,))
        if row.dtype != torch.int64:
            raise TypeError(f"row must be int64, got {row.dtype}")
        if _can_look(row) and row.numel() and not 0 <= int(row.min()) <= int(row.max()) < rows:
            raise IndexError(f"row must lie in [0, {rows}), got {int(row.min())} to {int(row.max())}")
    check_ids(ids, rows if row is None else row.shape[0])
    if lengths is not None:
        check_lengths(lengths, ids.shape[0], ids.shape[1])
    if offsets is not None:
        check_offsets(offsets, ids.shape[0], None)


def check_table(table: Tensor, padding_idx: int | None) -> int:
    """Check a table [V, D]; the row without gradient, or -1."""
    check_tensors(table=table)
    if padding_idx is not None and not isinstance(padding_idx, (int, torch.SymInt)):
        raise TypeError(f"padding_idx must be an integer or None, got {type(padding_idx).__name__}")
    if table.dim() != 2:
        raise ValueError(f"table must have shape [V, D], got {list(table.shape)}")
    row = -1 if padding_idx is None else padding_idx + (table.shape[0] if padding_idx < 0 else 0)
    if padding_idx is not None and not 0 <= row < table.shape[0]:
        raise ValueError(f"padding_idx must be a row of the table with {table.shape[0]} rows, got {padding_idx}")
    return row


def check_sentences(tokens: Tensor, lengths: Tensor | None, offsets: Tensor | None, name: str = "ids") -> Tensor | None:
    """Return the lengths or the offsets of a batch of sentences, checked; None where all tokens count."""
    if lengths is not None and offsets is not None:
        raise ValueError("at most one of lengths and offsets may be given, got both")
    check_sizes_device(name, tokens, lengths, offsets)
    if offsets is not None:
        return check_offsets(offsets, tokens.shape[0], None)
    return None if lengths is None else check_lengths(lengths, tokens.shape[0], tokens.shape[1])
