"""textnn.functional.linear_cross_entropy: a linear layer and its loss without the logits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from cross_entropy_inputs import OPTIONS, REDUCTIONS, check, check_threads, make, results
from ragged import TOLERANCE
from torch import Tensor

import textnn.functional as fast
import textnn.reference as slow
from textnn._registration import logit_blocks

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

# N, H, V: of one block, of several blocks of rows and of columns, and the edges of vectors.
SHAPES = [(1, 1, 1), (3, 5, 7), (0, 4, 6), (3, 0, 4), (17, 16, 33), (300, 3, 40), (5, 8, 4500), (270, 4, 2100)]


# --- against plain PyTorch ---


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_linear_and_cross_entropy(
    capability: str, shape: tuple[int, int, int], kind: str, reduction: str, dtype: torch.dtype
) -> None:
    inputs, options = make(*shape, dtype, **OPTIONS[kind])
    options["reduction"] = reduction
    want = results(slow.linear_cross_entropy, inputs, options, 0.7)
    check(results(fast.linear_cross_entropy, inputs, options, 0.7), want, dtype, f"{capability} {shape} {kind}")
    plain = torch.no_grad()(fast.linear_cross_entropy)(*inputs, **options)
    torch.testing.assert_close(plain, want[0], **TOLERANCE[dtype], equal_nan=True)


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(0, 40), st.integers(1, 20), st.integers(1, 70)),
    kind=st.sampled_from(list(OPTIONS)),
    reduction=st.sampled_from(REDUCTIONS),
)
def test_equals_the_reference_for_any_shape(shape: tuple[int, int, int], kind: str, reduction: str) -> None:
    inputs, options = make(*shape, **OPTIONS[kind])
    options["reduction"] = reduction
    got, want = (results(f.linear_cross_entropy, inputs, options) for f in (fast, slow))
    check(got, want, torch.float64, f"{shape} {kind} {reduction}")


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_torch_operations_of_other_devices_are_the_same(
    monkeypatch: pytest.MonkeyPatch, kind: str, reduction: str
) -> None:
    monkeypatch.setattr(logit_blocks, "_LOGITS", 1)
    monkeypatch.setattr(logit_blocks, "_FEW_ROWS", 7)
    (x, w, target), options = make(30, 5, 11, **OPTIONS[kind])
    arguments = (x, w, options.get("linear_bias"), target, options.get("weight"), reduction)
    arguments += (options.get("ignore_index", -100), options.get("label_smoothing", 0.0), "ieee")
    ops, dloss = torch.ops.textnn, torch.randn(30 if reduction == "none" else (), dtype=torch.float64)
    got, want = (f(*arguments, True, True, True) for f in (logit_blocks.forward, ops.linear_cross_entropy))
    torch.testing.assert_close(got, tuple(want))
    backward = (dloss, *arguments[:5], want[1], *arguments[5:], True, True)
    got, want = (f(*backward) for f in (logit_blocks.backward, ops.linear_cross_entropy_backward))
    torch.testing.assert_close(got, tuple(want))


def test_more_dimensions_are_more_rows(capability: str) -> None:
    (x, w, target), _ = make(12, 5, 9, ignored=0.2)
    want = fast.linear_cross_entropy(x, w, target, reduction="none")
    got = fast.linear_cross_entropy(x.view(3, 4, 5), w, target.view(3, 4), reduction="none")
    assert torch.equal(got, want.view(3, 4))
    plain = slow.linear_cross_entropy(x.view(3, 4, 5), w, target.view(3, 4), reduction="none")
    torch.testing.assert_close(got, plain)
    one = fast.linear_cross_entropy(x[0], w, torch.tensor(3), reduction="none")
    assert one.shape == ()
    torch.testing.assert_close(one, F.cross_entropy(x[0] @ w.t(), torch.tensor(3)))


def test_probabilities_and_several_losses_a_row() -> None:
    x, w = torch.randn(6, 5, dtype=torch.float64), torch.randn(4, 3, 5, dtype=torch.float64)
    b, target = torch.randn(4, 3, dtype=torch.float64), torch.randint(4, (6, 3))
    want = F.cross_entropy(torch.einsum("nh,vdh->nvd", x, w) + b, target)
    torch.testing.assert_close(fast.linear_cross_entropy(x, w, target, linear_bias=b), want)
    p = torch.rand(6, 4, dtype=torch.float64).softmax(1)
    want = F.cross_entropy(x @ w[:, 0].t(), p)
    torch.testing.assert_close(fast.linear_cross_entropy(x, w[:, 0], p), want)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_rows_that_are_ignored_are_not_looked_at(capability: str, reduction: str) -> None:
    inputs, _ = make(20, 4, 30)
    inputs[2][::3] = -100
    want = results(fast.linear_cross_entropy, inputs, {"reduction": reduction})
    inputs[0] = inputs[0].clone()
    inputs[0][::3] = float("nan")
    got = results(fast.linear_cross_entropy, inputs, {"reduction": reduction})
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
    assert not got[1][::3].any()


@pytest.mark.parametrize("N", [0, 5])
def test_without_any_row_that_counts(capability: str, N: int) -> None:
    x, w = torch.randn(N, 4, requires_grad=True), torch.randn(7, 4, requires_grad=True)
    target = torch.full((N,), -100)
    assert fast.linear_cross_entropy(x, w, target).isnan()
    assert fast.linear_cross_entropy(x, w, target, reduction="sum") == 0
    assert torch.equal(fast.linear_cross_entropy(x, w, target, reduction="none"), torch.zeros(N))
    for g in torch.autograd.grad(fast.linear_cross_entropy(x, w, target), [x, w]):
        assert not g.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_values_that_are_not_finite(capability: str, value: float, reduction: str) -> None:
    """In a row of the input: as in torch, that row's loss, and what it adds to, is NaN; other rows keep theirs."""
    inputs, _ = make(6, 4, 2100)
    inputs[0][2, 1] = value
    got, want = (results(f.linear_cross_entropy, inputs, {"reduction": reduction}) for f in (fast, slow))
    check(got, want, torch.float64, f"{capability} {value}")
    assert got[1].isnan().any(1).tolist() == [i == 2 for i in range(6)]


def test_classes_that_a_bias_forbids(capability: str) -> None:
    """A bias of -inf, over a whole block of columns too; a target among them costs infinitely much."""
    inputs, options = make(6, 4, 4500, bias=True)
    options["linear_bias"][:2500] = options["linear_bias"][3000] = float("-inf")
    inputs[2] = torch.tensor([2600, 4499, 2999, 2500, 4000, 3001])
    for reduction in REDUCTIONS:
        options["reduction"] = reduction
        got, want = (results(f.linear_cross_entropy, inputs, options) for f in (fast, slow))
        check(got, want, torch.float64, f"{capability} {reduction}")
        assert not got[2][:2500].any()
    inputs[2][1] = 7
    got = fast.linear_cross_entropy(*inputs, linear_bias=options["linear_bias"], reduction="none")
    assert got.isinf().tolist() == [False, True] + 4 * [False]


@pytest.mark.parametrize("scale", [1e-30, 100.0, 1e4])
def test_wide_and_narrow_logits(capability: str, scale: float) -> None:
    inputs, _ = make(9, 4, 2500, torch.float32)
    inputs[0] *= scale
    exact = [t.double() if t.is_floating_point() else t for t in inputs]
    got, want = results(fast.linear_cross_entropy, inputs, {}), results(slow.linear_cross_entropy, exact, {})
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=2e-4, atol=2e-4)


# --- derivatives and transforms ---


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kind", ["bias", "all"])
def test_gradcheck(capability: str, reduction: str, kind: str) -> None:
    inputs, options = make(6, 4, 7, **OPTIONS[kind])
    bias = options.pop("linear_bias")
    leaves = [t.requires_grad_() for t in (*inputs[:2], bias)]

    def loss(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return fast.linear_cross_entropy(x, w, inputs[2], linear_bias=b, reduction=reduction, **options)

    assert torch.autograd.gradcheck(loss, leaves)
    assert torch.autograd.gradgradcheck(loss, leaves)


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_what_is_frozen_gets_no_gradient(wanted: tuple[bool, bool], reduction: str) -> None:
    inputs, options = make(20, 4, 30, bias=True)
    want = results(slow.linear_cross_entropy, inputs, {**options, "reduction": reduction})
    x, w = (t.detach().requires_grad_(needs) for t, needs in zip(inputs[:2], wanted, strict=True))
    loss = fast.linear_cross_entropy(x, w, inputs[2], reduction=reduction, **options)
    (loss * torch.linspace(1, 2, 20, dtype=loss.dtype) if loss.dim() else loss).sum().backward()
    for t, needs, g in zip((x, w), wanted, want[1:], strict=False):
        assert (t.grad is not None) == needs
        if needs:
            torch.testing.assert_close(t.grad, g)


@pytest.mark.parametrize("factor", [1.0, 0.25])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_several_backward_passes(factor: float, reduction: str) -> None:
    """Gradients made beside the loss are given out once; what becomes of them does not change the next ones."""
    inputs, options = make(20, 4, 30, bias=True)
    leaves = [inputs[0].requires_grad_(), inputs[1].requires_grad_(), options["linear_bias"].requires_grad_()]
    options |= {"reduction": reduction}
    loss, want = ((f.linear_cross_entropy(*inputs, **options).sum() * factor) for f in (fast, slow))
    want = torch.autograd.grad(want, leaves)
    for passes in range(3):
        for g in torch.autograd.grad(loss, leaves[passes == 2 :], retain_graph=True):
            g.mul_(7)
    loss.backward(retain_graph=True)
    for leaf, g in zip(leaves, want, strict=True):
        torch.testing.assert_close(leaf.grad, g)
        leaf.grad.zero_()  # type: ignore[union-attr]
    loss.backward()
    for leaf, g in zip(leaves, want, strict=True):
        torch.testing.assert_close(leaf.grad, g)


def test_gradients_one_after_the_other() -> None:
    inputs, _ = make(20, 4, 30)
    x, w = (t.requires_grad_() for t in inputs[:2])
    loss = fast.linear_cross_entropy(*inputs) * 3
    want = torch.autograd.grad(slow.linear_cross_entropy(*inputs) * 3, [x, w])
    for _ in range(2):
        for leaf, g in zip((w, x), want[::-1], strict=True):
            torch.testing.assert_close(torch.autograd.grad(loss, [leaf], retain_graph=True)[0], g)


def test_gradients_are_not_copied() -> None:
    """A parameter keeps the memory in which its gradient was made."""
    inputs, _ = make(20, 4, 30)
    w, made = inputs[1].requires_grad_(), []
    w.register_hook(lambda g: made.append(g.data_ptr()))
    fast.linear_cross_entropy(*inputs).backward()
    assert w.grad is not None
    assert made == [w.grad.data_ptr()]


def test_opcheck() -> None:
    inputs, options = make(9, 4, 7, torch.float32, **OPTIONS["all"])
    x, w, b = (t.requires_grad_() for t in (*inputs[:2], options["linear_bias"]))
    for reduction in REDUCTIONS:
        for need in ((True, True), (True, False), (False, True)):
            arguments = (x, w, b, inputs[2], options["weight"], reduction, 0, 0.1, "ieee", *need)
            torch.library.opcheck(torch.ops.textnn.linear_cross_entropy.default, (*arguments, True))
            plain = tuple(t.detach() if isinstance(t, Tensor) else t for t in arguments)
            loss, lse, *_ = torch.ops.textnn.linear_cross_entropy(*plain, True)
            backward = (torch.randn_like(loss), *plain[:5], lse, *plain[5:])
            torch.library.opcheck(
                torch.ops.textnn.linear_cross_entropy_backward.default,
                backward,
                test_utils=("test_schema", "test_faketensor"),
            )


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_compiles_to_one_graph(dynamic: bool, reduction: str) -> None:
    compiled = torch.compile(fast.linear_cross_entropy, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for shape in ((9, 4, 7), (12, 4, 11)):
        inputs, options = make(*shape, **OPTIONS["weighted"])
        options["reduction"] = reduction
        got, want = (results(f, inputs, options, 0.5) for f in (compiled, slow.linear_cross_entropy))
        check(got, want, torch.float64, f"{shape}")


def test_meta_tensors() -> None:
    (x, w, target), _ = make(6, 3, 5)
    x, w, target = x.to("meta").requires_grad_(), w.to("meta"), target.to("meta")
    assert fast.linear_cross_entropy(x, w, target, reduction="none").shape == (6,)
    loss = fast.linear_cross_entropy(x, w, target)
    loss.backward()
    assert loss.shape == ()
    assert x.grad is not None
    assert x.grad.shape == (6, 3)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_same_result_for_every_run_and_number_of_threads(capability: str, reduction: str) -> None:
    check_threads(reduction)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("N", [40, 300])
def test_same_result_of_long_sums_for_every_number_of_threads(N: int, dtype: torch.dtype) -> None:
    """A library may cut the sums of a product by the number of threads; MKL does with 1024 terms."""
    for H, V in ((1024, 600), (256, 64), (2048, 1500)):
        check_threads("mean", N, H, V, dtype)


def test_strided_input() -> None:
    inputs, options = make(20, 6, 12, bias=True, weighted=True)
    other = [torch.stack([t] * 2, dim=-1)[..., 0] for t in inputs]
    strided = {name: torch.stack([t] * 2, dim=-1)[..., 0] for name, t in options.items()}
    assert not any(t.is_contiguous() for t in other)
    got, want = results(fast.linear_cross_entropy, other, strided), results(fast.linear_cross_entropy, inputs, options)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


# --- memory ---


def resident(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":"))
    return 1024 * int(line.split()[1])


@pytest.mark.cpu
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the system does not count peaks")
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_logits_are_never_all_there(reduction: str) -> None:
    """The peak of the process, as the system counts it: less than a third of the logits."""
    N, H, V = 8192, 8, 5000
    inputs, _ = make(N, H, V, torch.float32)
    w = inputs[1].requires_grad_()
    torch.ops.textnn.release_workspaces()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    fast.linear_cross_entropy(inputs[0], w, inputs[2], reduction=reduction).sum().backward()
    assert resident("VmHWM") - before < 4 * N * V / 3
