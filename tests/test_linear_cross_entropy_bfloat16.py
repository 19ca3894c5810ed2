"""textnn.functional.linear_cross_entropy in bfloat16, whose products torch makes: where the CPU is fast at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from cross_entropy_inputs import check_threads, make, results
from torch import Tensor

import textnn.functional as fast
import textnn.reference as slow
from textnn import backends


@contextmanager
def medium() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


ASKED = {"autocast": lambda: torch.autocast("cpu", torch.bfloat16), "medium": medium, "tensors": nullcontext}


def in_float32(x: Tensor, w: Tensor, target: Tensor, linear_bias: Tensor, reduction: str) -> Tensor:
    call = (x.float(), w.float(), linear_bias.float(), target, None, reduction, -100, 0.0, "ieee", True, True, True)
    loss: Tensor = torch.ops.textnn.linear_cross_entropy(*call)[0]
    return loss.to(x.dtype)


@pytest.mark.cpu
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_cpu_without_bfloat16_multiplies_float32(capability: str, reduction: str, asked: str) -> None:
    """torch's products of bfloat16 take up to 70 times as long there."""
    dtype = torch.bfloat16 if asked == "tensors" else torch.float32
    (x, w, target), options = make(40, 16, 50, torch.float32, bias=True)
    inputs, options = [x.to(dtype), w.to(dtype), target], {"linear_bias": options["linear_bias"].to(dtype)}
    options["reduction"] = reduction
    with ASKED[asked]():
        got = results(fast.linear_cross_entropy, inputs, options)
    with medium() if asked == "medium" else nullcontext():  # what it means to products of float32 torch decides
        want = results(in_float32, inputs, options)
    same = all(torch.equal(one, other) for one, other in zip(got, want, strict=True))
    assert same == (not backends.has_bfloat16())


@pytest.mark.cpu
def test_so_does_a_compiled_graph(capability: str) -> None:
    inputs, _ = make(40, 16, 50, torch.float32)
    compiled = torch.compile(fast.linear_cross_entropy, backend="aot_eager", fullgraph=True)
    for asked in ("autocast", "medium"):
        with ASKED[asked]():
            assert torch.equal(compiled(*inputs), fast.linear_cross_entropy(*inputs))


def test_bfloat16_and_autocast(capability: str, bfloat16: None) -> None:
    """The products of torch's own layer under autocast; the loss is float32 there, and of bfloat16 with bfloat16."""
    inputs, options = make(50, 32, 2100, torch.float32, bias=True)
    inputs[1] /= 6
    device = inputs[0].device.type
    with torch.autocast(device, torch.bfloat16):
        got = results(fast.linear_cross_entropy, inputs, options)
        want = results(slow.linear_cross_entropy, inputs, options)
    assert [t.dtype for t in got] == [t.dtype for t in want] == [torch.float32] * 4
    exact = results(slow.linear_cross_entropy, inputs, options)
    for a, b, c in zip(got, want, exact, strict=True):
        error = float((b - c).norm() / c.norm())
        assert 0 < float((a - c).norm() / c.norm()) < 1.5 * error + 1e-3, (a, c)
    halves = [t.bfloat16() if t.is_floating_point() else t for t in inputs]
    loss = fast.linear_cross_entropy(*halves, linear_bias=options["linear_bias"].bfloat16())
    assert loss.dtype == torch.bfloat16
    torch.testing.assert_close(loss.float(), exact[0], rtol=2e-2, atol=0)
    loss = fast.linear_cross_entropy(*[t.half() if t.is_floating_point() else t for t in inputs])
    assert loss.dtype == torch.float16


@pytest.mark.cpu
def test_medium_precision_multiplies_bfloat16(bfloat16: None) -> None:
    inputs, _ = make(40, 16, 50, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        want = fast.linear_cross_entropy(*inputs)
    with medium():
        assert torch.equal(fast.linear_cross_entropy(*inputs), want)
    assert not torch.equal(fast.linear_cross_entropy(*inputs), want)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_same_result_for_every_run_and_number_of_threads(capability: str, bfloat16: None, reduction: str) -> None:
    with torch.autocast(torch.get_default_device().type, torch.bfloat16):
        check_threads(reduction)


@pytest.mark.cpu
def test_inference_mode_with_threads(bfloat16: None) -> None:
    """Threads of a pool do not know of it, and results made in it are not to be written elsewhere."""
    inputs, options = make(300, 8, 2100, torch.float32, bias=True)
    want, before = slow.linear_cross_entropy(*inputs, **options), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        for precision in (False, True):
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision):
                got = fast.linear_cross_entropy(inputs[0].requires_grad_(), *inputs[1:], **options)
                torch.testing.assert_close(got, want, rtol=1e-2 if precision else 1e-5, atol=0)
    finally:
        torch.set_num_threads(before)
