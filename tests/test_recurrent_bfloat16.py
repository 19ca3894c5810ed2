"""Recurrent layers that multiply bfloat16 on the CPU: error bounds, when they do, dtypes, tracing.

The kernels by themselves, over more shapes and threads: tests/native/test_kernels_recurrent_bfloat16.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from bfloat16_bounds import bounds
from torch import Tensor, nn

import textnn

CELLS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
BLOCKS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
KINDS = ("LSTM", "GRU", "RNN")
HALF = torch.bfloat16
ops = torch.ops.textnn
pytestmark = pytest.mark.cpu


@pytest.fixture
def medium() -> Iterator[None]:
    """Products of float32 in bfloat16, as torch has a switch for it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


def uniform(*shape: int, scale: float = 1.0) -> Tensor:
    return (torch.rand(shape) * 2 - 1) * scale


def made(cell: str, T: int, B: int, I: int, H: int, P: int | None = None) -> tuple[Any, ...]:  # noqa: E741
    """x, h0, c0 and weights that are no bfloat16."""
    rows, state = BLOCKS[cell] * H, P or H
    w = [uniform(rows, I, scale=0.6), uniform(rows, state, scale=0.6), uniform(rows), uniform(rows)]
    w += [uniform(P, H, scale=0.6)] if P else []
    return uniform(T, B, I), uniform(B, state), uniform(B, H) if cell == "lstm" else None, w


def operands(w: list[Tensor]) -> list[Tensor | None]:
    return [*w, *[None] * (10 - len(w))]


def both_passes(
    cell: str, x: Tensor, h: Tensor, c: Tensor | None, w: list[Tensor], given: list[Tensor], precision: str, **of: Any
) -> list[Tensor]:
    """What the operators return: y, h_n, c_n, then the gradients of x, h, c and all weights."""
    table, sizes, layout = of.get("table"), of.get("sizes"), of.get("layout", "time_major")
    batch = (x, table, h, c, *operands(w), sizes, layout, of.get("reverse", False), precision)
    y, h_n, c_n, _, *kept = ops.recurrent(cell, *batch, -1, False, True, False, True, True)
    dy, dh_n, dc_n = (*given, None)[:3]
    dx, _, dh, dc, *dw = ops.recurrent_backward(cell, dy, dh_n, dc_n, None, *batch, *kept, -1, False, True)
    private = [c_n], [dc]
    return [y, h_n, *(private[0] if c is not None else []), dx, dh, *(private[1] if c is not None else []), *dw]


def names(cell: str, P: int | None) -> list[str]:
    states = ("h", "c") if cell == "lstm" else ("h",)
    weights = ["w_ih", "w_hh", "b_ih", "b_hh"] + ["w_hr"] * (P is not None)
    return ["y", *(f"{s}_n" for s in states), "dx", *(f"d{s}" for s in states), *(f"d{w}" for w in weights)]


@pytest.mark.parametrize(
    ("cell", "T", "B", "I", "H", "P"),
    [
        ("lstm", 4, 2, 3, 5, None),
        ("lstm", 3, 2, 4, 4, 3),
        ("gru", 4, 2, 3, 5, None),
        ("rnn_tanh", 4, 2, 3, 5, None),
        ("rnn_relu", 3, 3, 5, 18, None),
        ("lstm", 1, 3, 6, 17, None),
    ],
)
def test_errors_lie_within_what_the_roundings_can_cause(capability, cell, T, B, I, H, P):  # noqa: E741
    x, h, c, w = made(cell, T, B, I, H, P)
    given = [uniform(T, B, P or H), uniform(B, P or H), *([] if c is None else [uniform(B, H)])]
    found = both_passes(cell, x, h, c, w, given, "bf16")
    full = both_passes(cell, x, h, c, w, given, "ieee")
    largest = 0.0
    for name, got, exact, (want, bound) in zip(
        names(cell, P), found, full, bounds(cell, x, h, c, w, given), strict=False
    ):
        error = (got.double() - want).abs()
        assert (error <= bound).all(), (
            f"{cell} {name}: {error.max():.2g}, bound there {bound.flatten()[error.argmax()]:.2g}"
        )
        torch.testing.assert_close(exact.double(), want, rtol=1e-4, atol=1e-5)
        largest = max(largest, float((error / bound).max()))
    assert largest > 0.02, "the products have not been rounded, or the bounds are far too wide"


@pytest.mark.parametrize("H", [5, 16, 35])
@pytest.mark.parametrize(("cell", "P"), [*((cell, None) for cell in CELLS), ("lstm", 3)])
def test_outputs_and_their_gradient_in_bfloat16(capability, cell, H, P):
    """Bit for bit those in float32, rounded; nothing else changes, and padding stays zero."""
    x, h, c, w = made(cell, 6, 4, 7, H, P)
    other = [t.flip(0).contiguous() for t in w]
    h2, c2 = (None if t is None else torch.stack([t, t.flip(0)]) for t in (h, c))
    sizes = torch.tensor([6, 1, 0, 4])
    given = [uniform(6, 4, 2 * (P or H)).to(HALF), torch.zeros_like(h2)]

    def run(precision: str, dy: Tensor) -> list[Tensor]:
        weights = [*(w + [None] * (5 - len(w))), *(other + [None] * (5 - len(w)))]
        batch = (x, None, h2, c2, *weights, sizes, "time_major", False, precision)
        y, h_n, c_n, _, *kept = ops.recurrent(cell, *batch, -1, False, True, False, True, True)
        found = ops.recurrent_backward(cell, dy, given[1], None, None, *batch, *kept, -1, False, True)
        return [y, h_n, c_n, found[0], *found[2:]]

    y, *rest = run("bf16_outputs", given[0])
    want, *others = run("bf16", given[0].float())
    assert y.dtype is HALF
    assert y.equal(want.to(HALF))
    assert all(a.dtype is b.dtype and a.equal(b) for a, b in zip(rest, others, strict=True))


def test_a_gradient_of_another_dtype_than_the_outputs_is_refused():
    x, h, c, w = made("gru", 3, 2, 4, 5)
    with pytest.raises(RuntimeError, match="dy must be in bfloat16 as the outputs are"):
        both_passes("gru", x, h, c, w, [uniform(3, 2, 5), torch.zeros(2, 5)], "bf16_outputs")
    with pytest.raises(RuntimeError, match="precision must be ieee, bf16 or bf16_outputs, got half"):
        both_passes("gru", x, h, c, w, [uniform(3, 2, 5), torch.zeros(2, 5)], "half")


def test_activations_have_13_bits(capability):
    """Of sums that are exact: a factor has 8 bits."""
    sums = torch.cat([torch.logspace(-6, 1.9, 3000), torch.zeros(1)]).to(HALF).float()
    x, one, zero = torch.cat([-sums, sums])[None, :, None], torch.ones(1, 1), torch.zeros(1, 1)
    h = torch.zeros(x.shape[1], 1)
    batch = (None, "time_major", False, "bf16", -1, False, True, False, False, True)
    y, *_ = ops.recurrent("rnn_tanh", x, None, h, None, *operands([one, zero]), *batch)
    want = x.double().tanh()
    assert ((y - want).abs() <= 2.0**-13 * want.abs()).all()
    # The input gate alone: the others are 1, and so is the candidate.
    w_ih, b = torch.tensor([[1.0], [0.0], [0.0], [0.0]]), torch.tensor([0.0, 100.0, 100.0, 100.0])
    _, _, c_n, *_ = ops.recurrent("lstm", x, None, h, h, *operands([w_ih, torch.zeros(4, 1), b]), *batch)
    want = x[0].double().sigmoid()
    assert ((c_n - want).abs() <= 2.0**-12 * want + 1e-37).all()


def test_infinity_and_nan(capability):
    x, one, zero = (
        torch.tensor([torch.inf, -torch.inf, torch.nan, 3e38])[None, :, None],
        torch.ones(1, 1),
        torch.zeros(1, 1),
    )
    batch = (None, "time_major", False, "bf16", -1, False, True, False, False, True)
    h = torch.zeros(4, 1)
    y, *_ = ops.recurrent("rnn_tanh", x, None, h, None, *operands([one, zero]), *batch)
    torch.testing.assert_close(y[0, :, 0], torch.tensor([1.0, -1.0, torch.nan, 1.0]), equal_nan=True)
    _, _, c_n, *_ = ops.recurrent("lstm", x, None, h, h, *operands([torch.ones(4, 1), torch.zeros(4, 1)]), *batch)
    torch.testing.assert_close(c_n[:, 0], torch.tensor([1.0, 0.0, torch.nan, 1.0]), equal_nan=True)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layout", ["time_major", "flat"])
def test_a_ragged_batch_is_its_sequences_bit_for_bit(capability, cell, layout):
    """Both directions of it, and what the tokens of a table give."""
    lengths = [3, 0, 7, 1]
    x, h, c, w = made(cell, 7, 4, 5, 19)
    for reverse in (False, True):
        batch = x if layout == "time_major" else torch.cat([x[:n, b] for b, n in enumerate(lengths)])
        sizes = torch.tensor(lengths if layout == "time_major" else [0, 3, 3, 10])
        given = [uniform(*batch.shape[:-1], 19)]
        y, h_n, *rest = both_passes(
            cell, batch, h, c, w, [*given, None, None], "bf16", sizes=sizes, layout=layout, reverse=reverse
        )
        dx = rest[1 if cell == "lstm" else 0]
        for b, n in enumerate(lengths):
            own = slice(b, b + 1)
            start = [0, 3, 3, 10][b]
            mine = (slice(0, n), own) if layout == "time_major" else (slice(start, start + n),)
            dy = given[0][mine].reshape(n, 1, 19)
            one = both_passes(
                cell, x[:n, own], h[own], None if c is None else c[own], w, [dy, None, None], "bf16", reverse=reverse
            )
            assert y[mine].reshape(n, 1, 19).equal(one[0])
            assert h_n[own].equal(one[1])
            assert dx[mine].reshape(n, 1, 5).equal(one[3 if cell == "lstm" else 2])


@pytest.mark.parametrize("cell", CELLS)
def test_tokens_are_the_rows_that_they_name(capability, cell):
    _, h, c, w = made(cell, 6, 3, 5, 19)
    table, ids = uniform(4, 5), torch.randint(0, 4, (3, 6))
    vectors = table[ids]
    given = [uniform(3, 6, 19), None, None]
    of_ids = both_passes(cell, ids, h, c, w, given, "bf16", table=table, layout="batch_major")
    of_rows = both_passes(cell, vectors, h, c, w, given, "bf16", layout="batch_major")
    assert of_ids[0].equal(of_rows[0])
    for a, b in zip(of_ids[4:], of_rows[4:], strict=True):
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02 * max(1.0, float(b.abs().max())) if b.numel() else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_modules_in_bfloat16_and_the_switch(kind, medium):
    """They are what multiplies bfloat16, forwards and backwards, to the bit what the operator gives with it."""
    layer, x = getattr(textnn, kind)(6, 20), torch.randn(5, 3, 6)
    cell, zeros = layer.mode.lower(), torch.zeros(3, 20)
    c = zeros if kind == "LSTM" else None
    w = [p.detach() for p in layer.parameters()]
    dy = torch.randn(5, 3, 20).to(HALF).float()
    wanted, plain = (both_passes(cell, x, zeros, c, w, [dy, None, None], p) for p in ("bf16", "ieee"))

    def run(layer: nn.Module, x: Tensor) -> list[Tensor]:
        x = x.clone().requires_grad_()
        layer.zero_grad()
        y = layer(x)[0]
        y.backward(dy.to(y.dtype))
        return [y.detach(), x.grad, *(p.grad for p in layer.parameters())]

    first = 3 if kind == "LSTM" else 2
    of_state = 2 if kind == "LSTM" else 1

    def results(found: list[Tensor]) -> list[Tensor]:
        return [found[0], found[first], *found[first + 1 + of_state :][:4]]

    switched = run(layer, x)
    for a, b, other in zip(switched, results(wanted), results(plain), strict=True):
        assert a.equal(b)
        assert not a.equal(other)
    torch.set_float32_matmul_precision("high")
    for a, b in zip(run(layer, x), results(plain), strict=True):
        assert a.equal(b)
    with torch.autocast("cpu", HALF):
        y = layer(x)[0]
    assert y.dtype == (torch.float32 if kind == "GRU" else HALF)
    assert y.equal(wanted[0].to(y.dtype))
    half, exact = getattr(textnn, kind)(6, 20).to(HALF), [p.to(HALF).float() for p in w]
    half.load_state_dict(layer.state_dict())
    want = results(both_passes(cell, x.to(HALF).float(), zeros, c, exact, [dy, None, None], "bf16"))
    for a, b in zip(run(half, x.to(HALF)), want, strict=True):
        assert a.dtype == HALF
        assert a.equal(b.to(HALF))


@pytest.mark.parametrize("kind", KINDS)
def test_float64_and_float16_are_not_touched(kind, medium):
    layer, x = getattr(textnn, kind)(6, 20).double(), torch.randn(5, 3, 6).double()
    theirs = getattr(nn, kind)(6, 20).double()
    theirs.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x)[0], theirs(x)[0])
    half = layer.half()
    want = half.float()(x.to(torch.float16).float())
    torch.set_float32_matmul_precision("highest")
    exact = half.float()(x.to(torch.float16).float())[0]
    torch.set_float32_matmul_precision("medium")
    torch.testing.assert_close(half.half()(x.half())[0], exact.half())
    assert not want[0].equal(exact)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_to_float16_multiplies_float32(kind, medium):
    layer, x = getattr(textnn, kind)(6, 20), torch.randn(5, 3, 6)
    with torch.autocast("cpu", torch.float16):
        found = layer(x)[0].float()
    torch.set_float32_matmul_precision("highest")
    with torch.autocast("cpu", torch.float16):
        assert found.equal(layer(x)[0].float())


NEWER = """
import torch, textnn
layer, x = textnn.LSTM(6, 20), torch.randn(5, 3, 6)
exact = layer(x)[0]
{setting}
print(layer(x)[0].equal(exact))
compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
print(compiled(x)[0].equal(layer(x)[0]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "exact"),
    [
        ('torch.backends.mkldnn.matmul.fp32_precision = "bf16"', False),
        ('torch.backends.mkldnn.matmul.fp32_precision = "tf32"', True),
        ('torch.backends.mkldnn.fp32_precision = "bf16"', False),
        ('torch.backends.fp32_precision = "tf32"', True),
        ('torch.backends.cuda.matmul.fp32_precision = "tf32"', True),
        ('torch.set_float32_matmul_precision("medium")', False),
        ('torch.set_float32_matmul_precision("high")', True),
    ],
)
def test_torch_may_be_asked_in_each_of_its_ways(setting, exact):
    """In a process of its own: torch does not let a program that took one way take another."""
    command = [sys.executable, "-c", NEWER.format(setting=setting)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(exact), "True"], done.stderr[-2000:]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits_every_time(capability, cell, threads):
    x, h, c, w = made(cell, 30, 40, 33, 70)
    given = [uniform(30, 40, 70), None, None]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        first, *others = (both_passes(cell, x, h, c, w, given, "bf16") for _ in range(3))
    finally:
        torch.set_num_threads(before)
    for other in others:
        assert all(a.equal(b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("precision", ["bf16", "bf16_outputs"])
@pytest.mark.parametrize("cell", CELLS)
def test_opcheck(cell, precision):
    x, h, c, w = made(cell, 4, 3, 5, 6)
    x, h, *w = (t.requires_grad_() for t in (x, h, *w))
    c = None if c is None else c.requires_grad_()
    batch = (x, None, h, c, *operands(w), torch.tensor([4, 1, 2]), "time_major", False, precision)
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(ops.recurrent.default, (cell, *batch, -1, False, True, False, True, True), test_utils=checks)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_graph_keeps_the_precision(kind, dynamic, medium):
    layer, x = getattr(textnn, kind)(6, 20), torch.randn(5, 3, 6)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=dynamic)
    want = layer(x)[0]
    assert compiled(x)[0].equal(want)
    torch.set_float32_matmul_precision("highest")
    assert not layer(x)[0].equal(want)
    torch._dynamo.reset()
    with torch.autocast("cpu", HALF):
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=dynamic)
        assert compiled(x)[0].float().equal(layer(x)[0].float())
