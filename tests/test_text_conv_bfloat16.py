"""Text convolutions that multiply bfloat16 on the CPU: error bounds, when they do, dtypes, tracing.

The kernels by themselves, over more shapes and threads: tests/native/test_kernels_text_conv_bfloat16.py.

Bounds follow from the roundings. A factor is rounded to the nearest bfloat16, x (1 + d) with abs(d) <= 2^-8, so that a
sum of products is off by 2 * 2^-8 * the sum of the products' absolute values at most, and terms of higher order. That
sum is the same operator on absolute values, in float64. A maximum is off by no more than the largest of what is
compared, and an activation by no more than its argument. Gradients are judged for the outputs and windows that they are
given, since another window may win.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from bfloat16_bounds import HIGHER, UNIT
from torch import Tensor, nn

import textnn

HALF = torch.bfloat16
ops = torch.ops.textnn
pytestmark = pytest.mark.cpu

LENGTHS = [6, 0, 9, 1, 3]
# Kernel sizes, D, C, activation (identity, relu, tanh), same; then padding and stride of the operators without maximum.
CASES = [
    ((2, 3), 5, 7, 1, False, 0, 1),
    ((3,), 33, 18, 2, True, 0, 1),
    ((1, 4), 16, 33, 0, True, 0, 2),
    ((3,), 100, 20, 1, False, 2, 3),
]


@pytest.fixture
def medium() -> Iterator[None]:
    """Products of float32 in bfloat16, as torch has a switch for it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


def made(kernels: tuple[int, ...], D: int, C: int, flat: bool, V: int = 11) -> tuple[Any, ...]:
    """ids, table, x (their rows), kernels, biases and sizes of a batch, none of them bfloat16."""
    longest, N = max(LENGTHS), sum(LENGTHS)
    ids = torch.randint(0, V, (N,) if flat else (len(LENGTHS), longest))
    table = torch.rand(V, D) * 2 - 1
    weight = [torch.rand(C, D, K) * 2 - 1 for K in kernels]
    sizes = torch.tensor([0, 6, 6, 15, 16] if flat else LENGTHS)
    return ids, table, table[ids], weight, [torch.rand(C) - 0.5 for _ in kernels], sizes


def check(name: str, got: Tensor, want: Tensor, sums: Tensor, bias: float = 1) -> float:
    """``sums``: of the products' absolute values. Returns how much of the bound was reached."""
    bound = 2 * HIGHER * UNIT * sums + 1e-6 * (bias + sums)
    error = (got.double() - want).abs()
    assert got.dtype == torch.float32
    assert (error <= bound).all(), f"{name}: {error.max():.2g}, bound there {bound.flatten()[error.argmax()]:.2g}"
    return float((error / bound).max())


def wide(tensors: list[Tensor]) -> list[Tensor]:
    return [t.double() for t in tensors]


def absolute(tensors: list[Tensor]) -> list[Tensor]:
    return [t.double().abs() for t in tensors]


def before_activation(dy: Tensor, y: Tensor, activation: int) -> Tensor:
    return dy * (1, y > 0, 1 - y * y)[activation]


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_errors_of_maxima_lie_within_what_the_roundings_can_cause(capability, case, flat):
    kernels, D, C, activation, same, *_ = case
    ids, table, x, weight, bias, sizes = made(kernels, D, C, flat)
    exact, reached = (sizes, flat, same, activation, "ieee", False), []
    sums, _ = ops.text_conv(x.double().abs(), absolute(weight), [], sizes, flat, same, 0, "ieee", False)
    want, _ = ops.text_conv(x.double(), wide(weight), wide(bias), *exact)
    y, window = ops.text_conv(x, weight, bias, sizes, flat, same, activation, "bf16", True)
    of_ids, its = ops.embedding_text_conv(
        ids, table, weight, bias, sizes, flat, same, activation, "bf16", -1, False, True
    )
    reached += [check("y", y, want, sums), check("y of ids", of_ids, want, sums)]
    dy = torch.randn_like(y)
    for name, first, kept in (("vectors", (x,), (y, window)), ("ids", (ids, table), (of_ids, its))):
        operator = ops.text_conv_backward if name == "vectors" else ops.embedding_text_conv_backward
        rest = (True,) if name == "vectors" else (-1, False, True)
        batch = (sizes, flat, same)
        found = operator(dy, *first, weight, *batch, activation, "bf16", *kept, *rest)
        kept_wide = (kept[0].double(), kept[1])
        dz = before_activation(dy.double(), kept_wide[0], activation)
        *others, last = first
        exact_ones = operator(dz, *others, last.double(), wide(weight), *batch, 0, "ieee", *kept_wide, *rest)
        sums_of = operator(
            dz.abs(), *others, last.double().abs(), absolute(weight), *batch, 0, "ieee", *kept_wide, *rest
        )
        *dx, dweight, dbias = zip(found, exact_ones, sums_of, strict=True)
        reached += [check(f"dx, {name}", *dx[0], 0), check(f"dweight, {name}", *dweight, 0)]
        torch.testing.assert_close(dbias[0].double(), dbias[1], rtol=1e-5, atol=1e-5)  # no product
    assert max(reached) > 0.02, "the products have not been rounded, or the bounds are far too wide"


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_errors_of_positions_lie_within_what_the_roundings_can_cause(capability, case, flat):
    kernels, D, C, activation, same, padding, stride = case
    kernels = kernels if same else kernels[:1]
    ids, table, x, weight, bias, sizes = made(kernels, D, C, flat)
    batch, reached = (sizes, flat, same, padding, stride), []
    sums = ops.text_conv_positions(x.double().abs(), absolute(weight), [], *batch, 0, "ieee")
    want = ops.text_conv_positions(x.double(), wide(weight), wide(bias), *batch, activation, "ieee")
    y = ops.text_conv_positions(x, weight, bias, *batch, activation, "bf16")
    of_ids = ops.embedding_text_conv_positions(ids, table, weight, bias, *batch, activation, "bf16", -1, False)
    reached += [check("y", y, want, sums), check("y of ids", of_ids, want, sums)]
    dy = torch.randn_like(y)
    for name, first, kept in (("vectors", (x,), y), ("ids", (ids, table), of_ids)):
        operator = ops.text_conv_positions_backward if name == "vectors" else ops.embedding_text_conv_positions_backward
        rest = (True,) if name == "vectors" else (-1, False, True)
        found = operator(dy, *first, weight, *batch, activation, "bf16", kept, *rest)
        dz = before_activation(dy.double(), kept.double(), activation)
        *others, last = first
        exact_ones = operator(dz, *others, last.double(), wide(weight), *batch, 0, "ieee", kept.double(), *rest)
        sums_of = operator(
            dz.abs(), *others, last.double().abs(), absolute(weight), *batch, 0, "ieee", kept.double(), *rest
        )
        if name == "vectors":  # torch's products, which are rounded themselves before they are added
            sums_of = [1.5 * sums for sums in sums_of]
        *dx, dweight, dbias = zip(found, exact_ones, sums_of, strict=True)
        reached += [check(f"dx, {name}", *dx[0], 0), check(f"dweight, {name}", *dweight, 0)]
        torch.testing.assert_close(dbias[0].double(), dbias[1], rtol=1e-5, atol=1e-5)
    assert max(reached) > 0.02, "the products have not been rounded, or the bounds are far too wide"


@pytest.mark.parametrize("precision", ["ieee", "bf16"])
def test_every_form_of_a_batch_gives_the_same_bits(capability, precision):
    """Flat, padded, and one sentence after the other; and what a table's rows give, up to the order of the sums."""
    ids, table, x, weight, bias, lengths = made((2, 3), 33, 19, False)
    how = (True, 1, precision)
    y, window = ops.text_conv(x, weight, bias, lengths, False, *how, True)
    of_ids, _ = ops.embedding_text_conv(ids, table, weight, bias, lengths, False, *how, -1, False, True)
    torch.testing.assert_close(of_ids, y)
    flat = torch.cat([x[b, :n] for b, n in enumerate(LENGTHS)])
    flat_y, flat_window = ops.text_conv(flat, weight, bias, torch.tensor([0, 6, 6, 15, 16]), True, *how, True)
    assert y.equal(flat_y)
    assert window.equal(flat_window)
    outputs = ops.text_conv_positions(x, weight, bias, lengths, False, True, 0, 1, 1, precision)
    for b, n in enumerate(LENGTHS):
        alone, _ = ops.text_conv(x[b : b + 1, :n], weight, bias, None, False, *how, True)
        assert y[b : b + 1].equal(alone)
        if n:
            assert outputs[b, :n].amax(0).equal(y[b])


def layers(kind: str, pooling: str | None) -> tuple[nn.Module, Tensor]:
    padding = "valid" if pooling else "same"
    if kind == "vectors":
        return textnn.TextConv(20, 24, (2, 3), padding, pooling=pooling), torch.randn(3, 9, 20)
    return textnn.EmbeddingTextConv(30, 20, 24, (2, 3), padding=padding, pooling=pooling, padding_idx=0), torch.randint(
        0, 30, (3, 9)
    )


def by_operator(layer: nn.Module, x: Tensor, precision: str) -> Tensor:
    weight, bias = [c.weight.detach().float() for c in layer.convs], [c.bias.detach().float() for c in layer.convs]
    first = (x.float(),) if x.is_floating_point() else (x, layer.weight.detach().float())
    batch = (*first, weight, bias, None, False)
    extra = () if x.is_floating_point() else (0, False)
    if layer.pooling:
        operator = ops.text_conv if x.is_floating_point() else ops.embedding_text_conv
        return operator(*batch, False, 1, precision, *extra, False)[0]
    operator = ops.text_conv_positions if x.is_floating_point() else ops.embedding_text_conv_positions
    return operator(*batch, True, 0, 1, 1, precision, *extra)


def run(layer: nn.Module, x: Tensor) -> Tensor:
    y = layer(x)
    return y if isinstance(y, Tensor) else y[0]


KINDS = pytest.mark.parametrize("kind", ["vectors", "ids"])
POOLINGS = pytest.mark.parametrize("pooling", ["max", None])


@KINDS
@POOLINGS
def test_autocast_modules_in_bfloat16_and_the_switch(kind, pooling, medium):
    """They are what multiplies bfloat16, to the bit what the operator gives with it; plain float32 never does."""
    layer, x = layers(kind, pooling)
    want, exact = by_operator(layer, x, "bf16"), by_operator(layer, x, "ieee")
    assert not want.equal(exact)
    assert run(layer, x).equal(want)
    torch.set_float32_matmul_precision("high")
    assert run(layer, x).equal(exact)
    theirs = nn.Conv1d(20, 24, 3)
    with torch.autocast("cpu", HALF):
        y = run(layer, x)
        assert y.dtype == theirs(torch.randn(3, 20, 9)).dtype == HALF
    assert y.equal(want.to(HALF))
    with torch.autocast("cpu", torch.float16):
        assert run(layer, x).equal(exact.to(torch.float16))
    half = layer.to(HALF)
    x = x.to(HALF) if x.is_floating_point() else x
    y = run(half, x)
    assert y.dtype == HALF
    assert y.equal(by_operator(half, x, "bf16").to(HALF))


@KINDS
@POOLINGS
def test_gradients_under_autocast(kind, pooling):
    """In the parameters' dtype, near those in float32, and not the same."""
    layer, x = layers(kind, pooling)
    found = []
    for half in (True, False):
        layer.zero_grad()
        with torch.autocast("cpu", HALF, enabled=half):
            y = run(layer, x)
        weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
        (y * weight).sum().backward()
        found.append([p.grad.clone() for p in layer.parameters()])
    for a, b in zip(*found, strict=True):
        assert a.dtype == torch.float32
        assert not a.equal(b)
        assert float((a - b).norm() / b.norm()) < 0.2  # some maxima stand elsewhere


@KINDS
def test_float64_and_float16_are_not_touched(kind, medium):
    layer, x = layers(kind, "max")
    for dtype in (torch.float64, torch.float16):
        other = layer.to(dtype)
        given = x.to(dtype) if x.is_floating_point() else x
        y = run(other, given)
        torch.set_float32_matmul_precision("highest")
        assert y.equal(run(other, given))
        torch.set_float32_matmul_precision("medium")


NEWER = """
import torch, textnn
layer, x = textnn.TextConv(6, 20, (3,)), torch.randn(5, 9, 6)
exact = layer(x)
{setting}
print(layer(x).equal(exact))
compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
print(compiled(x).equal(layer(x)))
"""
CONV, MATMUL = "torch.backends.mkldnn.conv.fp32_precision", "torch.backends.mkldnn.matmul.fp32_precision"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "exact"),
    [
        (f'{MATMUL} = "bf16"', False),
        (f'{MATMUL} = "tf32"', True),
        (f'{CONV} = "bf16"', False),
        (f'{MATMUL} = "bf16"; {CONV} = "ieee"', True),
        ('torch.backends.mkldnn.fp32_precision = "bf16"', False),
        ('torch.set_float32_matmul_precision("medium")', False),
        ('torch.set_float32_matmul_precision("high")', True),
    ],
)
def test_torch_may_be_asked_in_each_of_its_ways(setting, exact):
    """In a process of its own: torch does not let a program that took one way take another."""
    command = [sys.executable, "-c", NEWER.format(setting=setting)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(exact), "True"], done.stderr[-2000:]


@KINDS
@POOLINGS
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_same_bits_every_time(capability, kind, pooling, threads):
    layer, x = layers(kind, pooling)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = []
    try:
        for _ in range(3):
            layer.zero_grad()
            with torch.autocast("cpu", HALF):
                y = run(layer, x)
            y.float().square().sum().backward()
            found.append([y.detach(), *(p.grad.clone() for p in layer.parameters())])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(a.equal(b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
def test_opcheck(flat):
    ids, table, x, weight, bias, sizes = made((2, 3), 5, 7, flat)
    x, table, *tensors = (t.requires_grad_() for t in (x, table, *weight, *bias))
    weight, bias = tensors[:2], tensors[2:]
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    batch = (weight, bias, sizes, flat, True)
    for operator, given in (
        (ops.text_conv, (x, *batch, 1, "bf16", True)),
        (ops.embedding_text_conv, (ids, table, *batch, 1, "bf16", -1, False, True)),
        (ops.text_conv_positions, (x, *batch, 0, 1, 1, "bf16")),
        (ops.embedding_text_conv_positions, (ids, table, *batch, 0, 1, 1, "bf16", -1, False)),
    ):
        torch.library.opcheck(operator.default, given, test_utils=checks)


@KINDS
@POOLINGS
@pytest.mark.parametrize("dynamic", [False, True])
def test_a_compiled_graph_keeps_the_precision(kind, pooling, dynamic, medium):
    layer, x = layers(kind, pooling)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=dynamic)
    want = run(layer, x)
    assert run(compiled, x).equal(want)
    torch.set_float32_matmul_precision("highest")
    assert not run(layer, x).equal(want)
    torch._dynamo.reset()
    with torch.autocast("cpu", HALF):
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=dynamic)
        assert run(compiled, x).equal(run(layer, x))
