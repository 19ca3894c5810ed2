"""Makes arguments of a valid call wrong: shapes, dtypes, strides, kinds of tensors, values, numbers, words.

valid call, generator of random numbers -> up to three places among the arguments -> a wrong value for each -> call
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fuzz.operators.recording import PUBLIC, Call, copied

DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.complex64,
    torch.complex128,
]
HUGE = [2**31 - 1, 2**31, 2**32, 2**40, 2**61, 2**62, 2**63 - 1]
INTEGERS = [-1, 0, 1, 2, 3, 7, 100, -2, -100, 2**15, 2**31 - 1, 2**31, -(2**31), 2**32, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [float("nan"), float("inf"), -float("inf"), -1.0, 0.0, -0.0, 1.0, 1e-320, 1e308, 3e38, -1e-30, 0.999999]
STRINGS = [
    "",
    "lstm",
    "gru",
    "rnn_relu",
    "rnn_tanh",
    "LSTM",
    "time_major",
    "batch_major",
    "flat",
    "packed",
    "ieee",
    "bf16",
    "bf16_outputs",
    "mean",
    "sum",
    "none",
    "auto",
    "base",
    "tanh",
    "same",
    "\0",
    "x" * 100_000,
    "字",
]

# --- tensors: (random numbers, tensor, other arguments) -> tensor ---


def of_dtype(rng: random.Random, t: Tensor, _: list[Tensor]) -> Tensor:
    return t.to(rng.choice(DTYPES))


def resized(rng: random.Random, t: Tensor, _: list[Tensor]) -> Tensor:
    """One dimension longer, shorter or empty; of repeated values."""
    if t.dim() == 0:
        return t.expand(rng.choice([0, 1, 3])).contiguous()
    dim = rng.randrange(t.dim())
    size = rng.choice([0, 1, t.shape[dim] - 1, t.shape[dim] + 1, 2 * t.shape[dim], 17])
    if t.shape[dim] == 0:
        shape = [max(0, size) if i == dim else n for i, n in enumerate(t.shape)]
        return t.new_zeros(shape)
    return t.index_select(dim, torch.arange(max(0, size)) % t.shape[dim])


def other_dimensions(rng: random.Random, t: Tensor, _: list[Tensor]) -> Tensor:
    kind = rng.randrange(6)
    if kind == 0:
        return t.unsqueeze(rng.randrange(t.dim() + 1))
    if kind == 1 and t.dim() and t.shape[0]:
        return t[0].clone()
    if kind == 2:
        return t.reshape(-1)
    if kind == 3:
        return t.reshape(-1)[0].clone() if t.numel() else t.new_zeros(())
    if kind == 4:
        return t.new_empty([rng.choice([0, 1, 2, 5]) for _ in range(rng.randrange(7))]).fill_(1)
    return t.permute(rng.sample(range(t.dim()), t.dim())).contiguous()


def huge(rng: random.Random, t: Tensor, _: list[Tensor]) -> Tensor:
    """One value or none at all, with sizes as if there were many."""
    shape = list(t.shape) or [1]
    shape[rng.randrange(len(shape))] = rng.choice(HUGE)
    if rng.random() < 0.5:
        shape[rng.randrange(len(shape))] = rng.choice([0, *HUGE])
    try:
        if 0 in shape:
            return t.new_empty(shape)
        return t.new_ones(()).expand(shape)
    except RuntimeError:  # torch itself has no such tensor
        return t.new_empty(0)


def strided(rng: random.Random, t: Tensor, _: list[Tensor]) -> Tensor:
    """The same shape and mostly the same values, in another order in memory."""
    kind = rng.randrange(6)
    if kind == 0 and t.dim() > 1:
        order = rng.sample(range(t.dim()), t.dim())
        return t.permute(order).contiguous().permute([order.index(i) for i in range(t.dim())])
    if kind == 1 and t.dim():
        return t.repeat_interleave(2, -1)[..., ::2]
    if kind == 2 and t.dim() and t.numel():
        dim = rng.randrange(t.dim())
        return t.narrow(dim, 0, 1).expand(t.shape)
    if kind == 3 and t.numel():
        return torch.as_strided(t.contiguous(), t.shape, [0] * t.dim())
    if kind == 4 and t.numel() > 1 and t.dim():  # overlapping
        sizes = [min(n, 2) if i else n for i, n in enumerate(t.shape)]
        return torch.as_strided(t.contiguous(), sizes, [1] * t.dim()) if t.numel() >= sum(sizes) else t
    return torch.cat([t.reshape(-1), t.reshape(-1)])[t.numel() :].view(t.shape)


def of_another_kind(rng: random.Random, t: Tensor, _: list[Tensor]) -> Any:
    kind = rng.randrange(9)
    if kind == 0:
        return t.to("meta")
    if kind == 1 and not t.is_complex():
        return t.to_sparse()
    if kind == 2 and t.dim() == 2:
        return t.to_sparse_csr()
    if kind == 3 and t.is_floating_point():
        return t.detach().requires_grad_()
    if kind == 4 and t.is_floating_point():
        return torch._neg_view(t)
    if kind == 5 and t.is_floating_point():
        return torch.nn.Parameter(t)
    if kind == 6:
        t.untyped_storage().resize_(0)  # as modules that share their memory out do
        return t
    if kind == 7 and t.dtype == torch.float32:
        return torch.quantize_per_tensor(t, 0.1, 0, torch.qint8)
    return t.tolist() if rng.random() < 0.3 else t.numpy()


def with_values(rng: random.Random, t: Tensor, _: list[Tensor]) -> Tensor:
    """One value, or all of them, out of range."""
    t = t.clone()
    if not t.numel():
        return t
    some = rng.sample(range(t.numel()), 1 if rng.random() < 0.7 else min(t.numel(), rng.randint(1, 4)))
    flat = t.view(-1)
    for place in range(t.numel()) if rng.random() < 0.15 else some:
        if t.is_floating_point():
            flat[place] = rng.choice(FLOATS)
        elif t.dtype != torch.bool:
            most = torch.iinfo(t.dtype)
            near = int(flat.max()) + rng.choice([0, 1, 2])
            flat[place] = min(most.max, max(most.min, rng.choice([*INTEGERS, near, most.min, most.max])))
    return t


def out_of_order(rng: random.Random, t: Tensor, _: list[Tensor]) -> Tensor:
    if not t.numel():
        return t
    flat = t.reshape(-1)
    flat = flat[torch.tensor(rng.sample(range(t.numel()), t.numel()))] if rng.random() < 0.5 else flat.flip(0)
    return flat.reshape(t.shape)


def another(rng: random.Random, t: Tensor, others: list[Tensor]) -> Tensor:
    """Another of the call's tensors, or the memory of one with this one's dtype and shape."""
    other = rng.choice(others) if others else t
    if _is_freed(other):
        return other
    if rng.random() < 0.5 or other.is_sparse or other.is_meta or not other.is_contiguous():
        return other
    flat = other.reshape(-1).view(torch.uint8)
    if flat.numel() < t.numel() * t.element_size() or t.numel() == 0:
        return other
    return flat[: t.numel() * t.element_size()].view(t.dtype).view(t.shape)


TENSORS: list[Callable[[random.Random, Tensor, list[Tensor]], Any]] = [
    of_dtype,
    resized,
    resized,
    other_dimensions,
    other_dimensions,
    huge,
    strided,
    strided,
    of_another_kind,
    with_values,
    with_values,
    with_values,
    out_of_order,
    another,
]

# --- everything ---


def _is_freed(t: Tensor) -> bool:
    """Whether the tensor's memory was given back: torch's own functions crash on it."""
    return t.layout == torch.strided and t.device.type == "cpu" and t.numel() > 0 and t.untyped_storage().nbytes() == 0


def wrong(rng: random.Random, value: Any, others: list[Tensor]) -> Any:
    """Something else in the place of a value."""
    if rng.random() < 0.03:
        return rng.choice([None, "x", 1, 1.5, [], torch.zeros(2), object()])
    if isinstance(value, Tensor):
        if _is_freed(value):
            return value
        if value.numel() > 1 << 20:  # made wrong already
            return value[:0] if value.dim() else value
        try:
            return rng.choice(TENSORS)(rng, value, others)
        except (RuntimeError, TypeError, IndexError, ValueError, MemoryError):
            return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice([*INTEGERS, value - 1, value + 1])
    if isinstance(value, float):
        return rng.choice(FLOATS)
    if isinstance(value, str):
        return rng.choice(STRINGS)
    if value is None:
        return rng.choice(others) if others else 1
    if isinstance(value, (list, tuple)):
        return type(value)(_wrong_list(rng, list(value), others))
    return value


def _wrong_list(rng: random.Random, values: list[Any], others: list[Tensor]) -> list[Any]:
    kind = rng.randrange(8)
    if kind == 0:
        return []
    if kind == 1:
        return values * rng.choice([2, 300])
    if kind == 2 and values:
        return values[: rng.randrange(len(values))]
    if kind == 3:
        return [*values, rng.choice(others) if others and isinstance((values or [1])[0], Tensor) else 1]
    for _ in range(rng.choice([1, 1, 2])):
        if values:
            place = rng.randrange(len(values))
            values[place] = wrong(rng, values[place], others)
    return values


def tensors_of(value: Any) -> list[Tensor]:
    """The tensors in a value, those in lists included."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [t for v in value for t in tensors_of(v)]


def wrong_call(call: Call, rng: random.Random) -> Call:
    """The call with one to three of its arguments made wrong."""
    while True:
        made = _wrong_call(call, rng)
        # The public functions look at values with torch's own functions.
        if not (call.name.startswith(PUBLIC) and any(map(_is_freed, tensors_of([made.arguments, made.keywords])))):
            return made


def _wrong_call(call: Call, rng: random.Random) -> Call:
    arguments, keywords = list(copied(call.arguments)), dict(copied(call.keywords))
    places: list[Any] = [*range(len(arguments)), *keywords]
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3])):
        if not places:
            break
        place = rng.choice(places)
        where: Any = arguments if isinstance(place, int) else keywords
        where[place] = wrong(rng, where[place], tensors_of([arguments, keywords]))
    if rng.random() < 0.02:
        arguments = arguments[:-1] if rng.random() < 0.5 else [*arguments, 1]
    return Call(call.name, tuple(arguments), keywords)
