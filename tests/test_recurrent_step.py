"""textnn.functional.recurrent_step: a step of a stack of recurrent layers; ``test_layer_step.py`` has the layers'."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ragged import compare
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import textnn.functional as fast
import textnn.reference as slow
from textnn._registration.recurrent import step_by_products

CELLS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
SHAPES = [(1, 1, 1, 1), (1, 3, 5, 2), (2, 16, 16, 1), (3, 17, 33, 2), (5, 40, 19, 3), (9, 8, 48, 1), (0, 4, 4, 2)]
each_cell = pytest.mark.parametrize("cell", CELLS)
each_cell_and_projection = pytest.mark.parametrize(("cell", "P"), [("lstm", 3), *((cell, 0) for cell in CELLS)])


def arguments(cell: str, shape: tuple[int, ...], P: int = 0, bias: bool = True, **options: Any) -> list[Any]:
    """x, h, c and one flat list of weights."""
    B, I, H, layers = shape  # noqa: E741
    G, width = CELLS[cell], P or H
    weights = []
    for layer in range(layers):
        weights += [torch.randn(G * H, width if layer else I, **options), torch.randn(G * H, width, **options)]
        weights += [torch.randn(G * H, **options) for _ in range(2 * bias)]
        weights += [torch.randn(width, H, **options)] * bool(P)
    c = torch.randn(layers, B, H, **options) if cell == "lstm" else None
    return [torch.randn(B, I, **options), torch.randn(layers, B, width, **options), c, [w / 2 for w in weights]]


def on(module: Any, cell: str, bias: bool = True) -> Any:
    """The function of this module for a flat list of weights, without the state that the cell does not have."""

    def run(x: Tensor, h: Tensor, c: Tensor | None, weights: list[Tensor], **options: Any) -> tuple[Tensor, ...]:
        each = len(weights) // h.shape[0]
        layers: list[list[Any]] = [weights[i : i + each] for i in range(0, len(weights), each)]
        if not bias:
            layers = [[*w[:2], None, None, *w[2:]] for w in layers]
        results = module.recurrent_step(cell, x, h, c, layers, **options)
        return tuple(result for result in results if result is not None)

    return run


def run_operator(cell: str, x: Tensor, h: Tensor, c: Tensor | None, weights: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.ops.textnn.recurrent_step(cell, x, None, h, c, weights)


@each_cell
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference(capability, cell, shape, dtype):
    given = arguments(cell, shape, dtype=dtype)
    compare(on(fast, cell), on(slow, cell), given, dtype, f"{capability} {cell} {shape} {dtype}")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_projection(capability, shape, bias):
    for P in (1, 7, 20):
        given = arguments("lstm", shape, P, bias, dtype=torch.float64)
        compare(on(fast, "lstm", bias), on(slow, "lstm", bias), given, torch.float64, f"{capability} {shape} {P}")


@each_cell
def test_token_ids(capability, cell):
    _, *given = arguments(cell, (6, 5, 19, 2))
    ids, table = torch.tensor([2, 0, 8, 8, 1, 2]), torch.randn(9, 5)
    compare(
        lambda table, *rest: on(fast, cell)(ids, *rest, table=table),
        lambda table, *rest: on(slow, cell)(ids, *rest, table=table),
        [table, *given],
        torch.float32,
        f"{capability} {cell}",
    )
    with pytest.raises(IndexError, match=r"ids must lie in \[0, V\) = \[0, 9\), got 9"):
        on(fast, cell)(ids + 1, *given, table=table)
    with pytest.raises(RuntimeError, match=r"ids must lie in \[0, 9\), got -1 at position 0"):
        torch.ops.textnn.recurrent_step(cell, ids * 0 - 1, table, *given)


def test_one_bias_of_two():
    x, h, c, (w_ih, w_hh, b_ih, b_hh) = arguments("lstm", (2, 3, 5, 1))
    for given in ([w_ih, w_hh, b_ih], [w_ih, w_hh, None, b_hh]):
        got, want = (module.recurrent_step("lstm", x, h, c, [given]) for module in (fast, slow))
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b)


@each_cell
def test_takes_non_contiguous_tensors(capability, cell):
    given = arguments(cell, (4, 4, 4, 2))
    given = [t if t is None or isinstance(t, list) else t.transpose(-1, -2) for t in given[:3]] + [
        [w.t() if w.shape == (4, 4) else w for w in given[3]]
    ]
    compare(on(fast, cell), on(slow, cell), given, torch.float32, f"{capability} {cell}")


@each_cell
def test_a_sequence_does_not_depend_on_others_or_on_threads(capability, cell):
    x, h, c, weights = arguments(cell, (9, 200, 300, 2))
    every = run_operator(cell, x, h, c, weights)
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            for a, b in zip(run_operator(cell, x, h, c, weights), every, strict=True):
                assert torch.equal(a, b)
        finally:
            torch.set_num_threads(before)
    one = run_operator(cell, x[4:5], h[:, 4:5], None if c is None else c[:, 4:5], weights)
    assert torch.equal(one[0], every[0][4:5])
    assert torch.equal(one[1], every[1][:, 4:5])


def test_nan_stays_in_its_sequence(capability):
    x, h, c, weights = arguments("gru", (5, 20, 30, 2))
    x[2, 7] = float("nan")
    y, h_next, _ = run_operator("gru", x, h, c, weights)
    assert y[2].isnan().all()
    assert h_next[:, 2].isnan().all()
    assert not y[[0, 1, 3, 4]].isnan().any()


@each_cell
def test_opcheck_and_gradcheck(cell):
    x, h, c, weights = arguments(cell, (2, 3, 4, 2), dtype=torch.float64)
    operator = torch.ops.textnn.recurrent_step.default
    tests = ("test_schema", "test_faketensor", "test_autograd_registration", "test_aot_dispatch_dynamic")
    torch.library.opcheck(operator, (cell, x, None, h, c, weights), test_utils=tests)
    table = torch.randn(5, 3, dtype=torch.float64)
    torch.library.opcheck(operator, (cell, torch.tensor([1, 4]), table, h, c, weights), test_utils=tests)
    leaves = [t.requires_grad_() for t in (x, h, *([] if c is None else [c]), *weights)]

    def call(x: Tensor, h: Tensor, *rest: Tensor) -> Any:
        return on(fast, cell)(x, h, rest[0] if c is not None else None, list(rest[c is not None :]))

    torch.autograd.gradcheck(call, leaves)


@each_cell_and_projection
@pytest.mark.parametrize("states", [torch.float32, torch.bfloat16])
def test_autocast_gives_the_dtypes_of_torchs_layers(cell, P, states):
    """Also with the states of the step before, which it has given other dtypes."""
    if cell == "lstm" and not P and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("torch's LSTM does not run under autocast on this CPU")
    x, h, c, weights = arguments(cell, (3, 4, 5, 2), P)
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}.get(cell, nn.RNN)
    options = {"proj_size": P} if P else {"nonlinearity": cell[4:]} if cell.startswith("rnn") else {}
    theirs = kind(4, 5, 2, **options)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights, strict=True)))
    exact = on(fast, cell)(x, h, c, weights)
    h, c = h.to(states), None if c is None else c.to(states)
    with torch.autocast("cpu", torch.bfloat16):
        got = on(fast, cell)(x, h, c, weights)
        y, want = theirs(x[None], h if c is None else (h, c))
        again = on(fast, cell)(x.bfloat16(), got[1], None if c is None else got[2], weights)
        y_again, want_again = theirs(x.bfloat16()[None], want)
    assert [t.dtype for t in got] == [t.dtype for t in (y, *tree_leaves(want))]
    assert [t.dtype for t in again] == [t.dtype for t in (y_again, *tree_leaves(want_again))]
    for a, b in zip(got, exact, strict=True):
        torch.testing.assert_close(a.float(), b, rtol=0.02, atol=0.02)


@each_cell_and_projection
@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_products_do_the_same_on_devices_without_the_kernel(cell, table, P, bias):
    x, h, c, weights = arguments(cell, (3, 4, 5, 2), P, bias, dtype=torch.float64)
    given = (torch.tensor([1, 0, 1]), x[:2].contiguous()) if table else (x, None)
    got = step_by_products(cell, *given, h, c, weights)
    torch.testing.assert_close(got, tuple(torch.ops.textnn.recurrent_step(cell, *given, h, c, weights)))
    with pytest.raises(RuntimeError, match="cell must be one of"):
        step_by_products("lstn", *given, h, c, weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "lstn"}, "cell must be one of 'lstm'"),
        ({"c": None}, "c must be a tensor for the cell 'lstm'"),
        ({"x": torch.zeros(2, 4)}, r"layers\[0\].w_ih must have shape \[4H, I\] = \[20, 4\], got \[20, 3\]"),
        ({"x": torch.zeros(3, 3)}, r"x must have shape \[B, I\] = \[2, \*\], got \[3, 3\]"),
        ({"h": torch.zeros(2, 5)}, r"h must have shape \[layers, B, P\] = \[2, \*, \*\], got \[2, 5\]"),
        ({"h": torch.zeros(2, 2, 4)}, r"layers\[0\].w_hh must have shape"),
        ({"c": torch.zeros(2, 3, 5)}, r"c must have shape"),
        ({"layers": [[torch.zeros(20, 3)]] * 2}, r"layers\[0\] must hold w_ih, w_hh and at most"),
        ({"layers": []}, r"h must have shape \[layers, B, P\] = \[0, \*, \*\]"),
    ],
)
def test_wrong_arguments(change, message):
    weights = [torch.zeros(20, 3), torch.zeros(20, 5)], [torch.zeros(20, 5), torch.zeros(20, 5)]
    right = {"cell": "lstm", "x": torch.zeros(2, 3), "h": torch.zeros(2, 2, 5), "c": torch.zeros(2, 2, 5)}
    right["layers"] = list(weights)
    fast.recurrent_step(**right)
    with pytest.raises(ValueError, match=message):
        fast.recurrent_step(**{**right, **change})
    with pytest.raises(TypeError, match=r"h must have the dtype of x, torch\.float32, got torch\.float64"):
        fast.recurrent_step(**{**right, "h": right["h"].double()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({1: torch.zeros(3, 3)}, "x must have shape"),
        ({2: torch.zeros(3, 5)}, "ids must have shape"),
        ({3: torch.zeros(2, 5)}, "h must have shape"),
        ({4: torch.zeros(2, 2, 6)}, "h must have 6 columns, got 5"),
        ({4: None}, "c must be given for lstm"),
        ({5: []}, "2 to 5 weights"),
        ({5: [torch.zeros(20, 3)] * 5}, "as many for each of 2 layers"),
        ({5: [torch.zeros(20, 3)] * 6}, "w_hh must have shape"),
        ({3: torch.zeros(2, 2, 5).double()}, "h must have the dtype of the input"),
    ],
)
def test_raw_calls_with_wrong_arguments(change, message):
    weights = [torch.zeros(20, 3), torch.zeros(20, 5), torch.zeros(20, 5), torch.zeros(20, 5)]
    right: list[Any] = ["lstm", torch.zeros(2, 3), None, torch.zeros(2, 2, 5), torch.zeros(2, 2, 5), weights]
    torch.ops.textnn.recurrent_step(*right)
    with pytest.raises(RuntimeError, match=message):
        torch.ops.textnn.recurrent_step(*[change.get(i, value) for i, value in enumerate(right)])
