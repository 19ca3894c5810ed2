"""TF32 and determinism, of which torch is asked, as arguments of the operators (``--device cuda``, or emulated)."""

from __future__ import annotations

import ctypes
from typing import Any

import cuda_cases
import pytest
import torch
from test_cuda import emulated, launches, lstm_arguments
from torch import Tensor, nn

import textnn
import textnn.functional as fast
import textnn.reference as slow
from textnn import backends

ops = torch.ops.textnn
H = 64  # of a state that tensor cores take
asked = cuda_cases.asked_of_torch


def operator_arguments() -> list[Any]:
    """Of a GRU, up to ``exact``."""
    w = cuda_cases.weights_of("gru", 4, H, H, torch.float32)
    rest = [None] * 6 + [None, "time_major", False, "ieee", -1, False, True, False, True, True]
    return ["gru", torch.randn(3, 5, 4), None, torch.randn(1, 5, H), None, *w[:4], *rest]


def conv_arguments() -> tuple[Tensor, Tensor, list[Tensor]]:
    table, weight = torch.randn(9, 20), torch.randn(30, 20, 3)
    return torch.randint(0, 9, (40, 12)), table.requires_grad_(), [weight.requires_grad_()]


def sums_in_order(library: ctypes.CDLL) -> bool:
    """Whether the gradient of a table was made in a fixed order since the log was read last."""
    names = [launch["name"] for launch in launches(library)]
    library.cuemu_log_clear()
    assert any("position_kernel" in name for name in names)
    return any("sum_tiles_kernel" in name for name in names)


# --- the arguments of the operators ---


@emulated  # on a GPU the products of the steps are cuBLAS's, which asks torch
@pytest.mark.parametrize("form", [1, 2])
def test_the_argument_of_a_recurrent_operator_decides(form: int) -> None:
    """And not what torch is asked for when it runs."""
    given, results = operator_arguments(), {}
    for tf32 in (False, True):
        for precision in ("highest", "high"):
            with asked(precision):
                y, h, _, _, *kept = ops.recurrent(*given, tf32, form)
                back = ops.recurrent_backward("gru", y, h, None, None, *given[1:19], *kept, -1, False, True, tf32, form)
                results[tf32, precision] = [y, *back]
        assert all(map(torch.equal, results[tf32, "highest"], results[tf32, "high"]))
    difference = float((results[True, "high"][0] - results[False, "high"][0]).abs().max())
    assert difference < 1e-2
    assert (difference > 0) == (form == 2)


@emulated
def test_the_form_is_an_argument(library: ctypes.CDLL) -> None:
    given = operator_arguments()
    for form, cooperative in ((1, False), (2, True)):
        library.cuemu_log_clear()
        with backends.use_cuda_recurrence("steps" if form == 2 else "persistent"):
            ops.recurrent(*given, False, form)
        assert any(launch["cooperative"] for launch in launches(library)) is cooperative
    with pytest.raises(RuntimeError, match="form must be 0, 1 or 2, got 3"):
        ops.recurrent(*given, False, 3)


@emulated
@pytest.mark.parametrize("deterministic", [False, True])
def test_the_argument_of_a_convolutions_gradient_decides(library: ctypes.CDLL, deterministic: bool) -> None:
    ids, table, weight = conv_arguments()
    with torch.no_grad():
        y, window = ops.embedding_text_conv(ids, table, weight, [], None, False, False, 1, "ieee", -1, False, True)
        with asked(deterministic=not deterministic):
            options = (None, False, False, 1, "ieee", y, window, -1, False, True, deterministic)
            ops.embedding_text_conv_backward(torch.ones_like(y), ids, table, weight, *options)
    assert sums_in_order(library) is deterministic


@pytest.mark.parametrize("operator", ["embedding_text_conv", "embedding_text_conv_positions"])
def test_the_argument_of_a_convolution_decides(operator: str) -> None:
    ids, table, weight = conv_arguments()
    places = () if operator == "embedding_text_conv" else (0, 1)
    rest = (None, False, False, *places, 1, "ieee")
    last = (-1, False, True) if operator == "embedding_text_conv" else (-1, False)
    with torch.no_grad():
        results = [
            getattr(ops, operator)(ids, table, weight, [], *rest, *last, *tf32) for tf32 in ((), (False,), (True,))
        ]
    a, b, c = (r if isinstance(r, Tensor) else r[0] for r in results)
    assert torch.equal(a, b)
    assert 0 < float((a - c).abs().max()) < 0.1


# --- what the functions make of what torch is asked for ---


def test_tf32_may_be_asked_for_by_either_of_torchs_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = lstm_arguments(2, 8)
    before = torch.backends.cuda.matmul.fp32_precision
    try:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        torch.testing.assert_close(fast.lstm(*arguments), slow.lstm(*arguments), rtol=1e-2, atol=1e-2)
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


def test_tf32_follows_torch() -> None:
    """With torch's own setting, and only then, float32 products may be made in TF32."""
    arguments = lstm_arguments(5, 64)
    results = []
    with backends.use_cuda_recurrence("persistent"):
        for precision in ("highest", "high", "highest"):
            with cuda_cases.asked_of_torch(precision):
                results.append(fast.lstm(*arguments)[0])
    assert torch.equal(results[0], results[2])
    difference = float((results[0] - results[1]).abs().max())
    assert 0 < difference < 1e-2, difference


@pytest.mark.parametrize("sparse", [False, True])
def test_a_deterministic_gradient_has_the_same_bits_in_every_order(
    monkeypatch: pytest.MonkeyPatch, deterministic: None, sparse: bool
) -> None:
    ids, table = torch.randint(0, 9, (40, 12)), torch.randn(9, 20, requires_grad=True)
    weight = [torch.randn(30, 20, 3, requires_grad=True)]
    results = []
    for order in ("forward", "reverse", "random:1", "random:2"):
        monkeypatch.setenv("CUEMU_ORDER", order)
        y = fast.embedding_text_conv(ids, table, weight, sparse=sparse)
        results.append([g.to_dense() for g in torch.autograd.grad(y.square().sum(), [table, *weight])])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


# --- a backward pass and a graph keep what held at their beginning ---


@emulated
@pytest.mark.parametrize("deterministic", [False, True])
def test_a_backward_pass_is_as_deterministic_as_its_forward_pass(library: ctypes.CDLL, deterministic: bool) -> None:
    ids, table, weight = conv_arguments()
    with asked(deterministic=deterministic):
        loss = fast.embedding_text_conv(ids, table, weight).sum()
    with asked(deterministic=not deterministic):
        loss.backward()
    assert sums_in_order(library) is deterministic


@emulated  # on a GPU cuBLAS makes some of the products, and asks torch when it runs
def test_a_backward_pass_has_the_precision_and_form_of_its_forward_pass() -> None:
    arguments = [a.requires_grad_() for a in lstm_arguments(5, H) if a is not None]
    results = []
    for precision, later in (("high", "high"), ("high", "highest"), ("highest", "highest"), ("highest", "high")):
        with asked(precision), backends.use_cuda_recurrence("persistent"):
            loss = fast.lstm(*arguments)[0].square().sum()
        with asked(later), backends.use_cuda_recurrence("steps"):
            results.append(torch.autograd.grad(loss, arguments))
    assert all(map(torch.equal, results[0], results[1]))
    assert all(map(torch.equal, results[2], results[3]))
    assert not torch.equal(results[0][0], results[2][0])


class Both(nn.Module):
    """Of a layer and a function, whose operators have the settings as arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = textnn.LSTM(4, H)
        self.conv = textnn.EmbeddingTextConv(9, 20, 30)

    def forward(self, x: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        return self.lstm(x)[0], self.conv(ids)


@emulated
@pytest.mark.parametrize("asked_at_first", [False, True])
def test_a_traced_graph_keeps_what_held(library: ctypes.CDLL, asked_at_first: bool) -> None:
    model, given = Both(), (torch.randn(3, 5, 4), torch.randint(0, 9, (40, 12)))
    settings = {True: ("high", True), False: ("highest", False)}
    with backends.use_cuda_recurrence("persistent"), asked(*settings[asked_at_first]):
        graph = torch.export.export(model, given).module()
        want = model(*given)
    with asked(*settings[not asked_at_first]):
        got = graph(*given)
        library.cuemu_log_clear()
        sum(y.sum() for y in got).backward()
        assert sums_in_order(library) is asked_at_first
        assert torch.equal(got[0], want[0])
        with backends.use_cuda_recurrence("persistent"):
            assert not torch.equal(model(*given)[0], want[0])


@emulated
def test_a_compiled_function_follows_torch(library: ctypes.CDLL) -> None:
    """Dynamo traces it again where torch is asked for something else."""
    model, given = Both(), (torch.randn(3, 5, 4), torch.randint(0, 9, (40, 12)))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    results = []
    with backends.use_cuda_recurrence("persistent"):
        for precision, deterministic in (("highest", False), ("high", True), ("highest", False)):
            with asked(precision, deterministic):
                y, z = compiled(*given)
                results.append(y)
                library.cuemu_log_clear()
                (y.sum() + z.sum()).backward()
                assert sums_in_order(library) is deterministic
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[1])
