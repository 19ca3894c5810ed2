"""textnn.functional.max_mean_pool: maximum and mean over time."""

from __future__ import annotations

import pytest
import torch
from ragged import compare

import textnn.functional as fast
import textnn.reference as slow

LENGTHS = {"ragged": [3, 7, 1, 5, 2], "with empty": [0, 3, 0, 5], "all empty": [0, 0], "none": []}


def make(lengths, form, F, dtype):
    lengths_ = torch.tensor(lengths, dtype=torch.int64)
    if form == "flat":
        return torch.randn(sum(lengths), F, dtype=dtype), {"offsets": lengths_.cumsum(0) - lengths_}
    x = torch.randn(len(lengths), max(lengths, default=0) + 1, F, dtype=dtype)
    return x, {"lengths": lengths_} if form == "padded" else {}


@pytest.mark.parametrize("form", ["flat", "padded", "dense"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("F", [1, 21, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference(capability, form, lengths, F, dtype):
    x, sizes = make(lengths, form, F, dtype)
    compare(fast.max_mean_pool, slow.max_mean_pool, [x], dtype, f"{capability} {form} {lengths} F={F}", **sizes)


@pytest.mark.parametrize("form", ["flat", "padded"])
def test_gradcheck_opcheck_and_compile(capability, form):
    x, sizes = make(LENGTHS["with empty"], form, 5, torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: fast.max_mean_pool(x, **sizes), [x])
    (size,) = sizes.values()
    torch.library.opcheck(torch.ops.textnn.max_mean_pool.default, (x, size, form == "flat", True))
    for dynamic in (False, True):
        compiled = torch.compile(fast.max_mean_pool, fullgraph=True, dynamic=dynamic, backend="aot_eager")
        compare(compiled, slow.max_mean_pool, [x.detach()], torch.float64, form, **sizes)


def test_strided_input_and_half_precision():
    x = torch.randn(4, 6, 3).transpose(0, 1)
    compare(fast.max_mean_pool, slow.max_mean_pool, [x], torch.float32, "strided")
    half = torch.randn(2, 3, 4).bfloat16()
    assert torch.equal(fast.max_mean_pool(half), fast.max_mean_pool(half.float()).bfloat16())


@pytest.mark.parametrize(
    ("x", "sizes", "error", "message"),
    [
        (torch.randn(3), {}, ValueError, r"x must have shape \[B, T, F\], got \[3\]"),
        (torch.randn(2, 3, 4), {"offsets": torch.tensor([0])}, ValueError, r"x must have shape \[N, F\] with offsets"),
        (torch.randn(2, 3, 4), {"lengths": torch.tensor([4, 1])}, ValueError, "lengths must lie between 0 and 3"),
        (torch.ones(2, 3, 4, dtype=torch.int64), {}, TypeError, "floating-point"),
    ],
)
def test_errors_name_the_argument(x, sizes, error, message):
    with pytest.raises(error, match=message):
        fast.max_mean_pool(x, **sizes)
