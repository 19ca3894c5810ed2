"""Every function of textnn.functional that has a derivative under every transform that torch has, against the same
transform of plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
import torch.utils._pytree as pytree
from ragged import ragged_batch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

import textnn
import textnn.functional as fast
import textnn.reference as slow

V, H = 6, 2
Parameters = dict[str, Tensor]


@dataclass
class Case:
    """call(functions, parameters, data) -> results; functions: textnn.functional, or plain PyTorch."""

    call: Callable[[Any, Parameters, Tensor], Any]
    parameters: Parameters
    data: Tensor


def real(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def recurrent(
    cell: str, form: str, directions: int = 1, projection: int = 0, table: bool = False, cells: bool = False
) -> Case:
    batch = ragged_batch(form, [2, 3], H, torch.float64)
    blocks, P = {"lstm": 4, "gru": 3}.get(cell, 1), projection or H
    names = ["w_ih", "w_hh", "b_ih", "b_hh"] + ["w_hr"] * bool(projection)
    shapes = [(blocks * H, H), (blocks * H, P), (blocks * H,), (blocks * H,), (P, H)]
    p = {f"{name}{d}": real(*s) for d in range(directions) for name, s in zip(names, shapes, strict=False)}
    p |= {"h0": real(directions, 2, P)} | ({"c0": real(directions, 2, H)} if cell == "lstm" else {})
    x, options = batch.x.nan_to_num(), batch.sizes
    if table:
        p["table"] = real(V, H)
        x, options = torch.randint(1, V, x.shape[:-1]), {**options, "padding_idx": 0}
        options.pop("batch_first", None)

    def call(functions: Any, p: Parameters, x: Tensor) -> Any:
        weights = [[p[f"{name}{d}"] for name in names] for d in range(directions)]
        own = {"table": p.get("table"), "cells": cells, **options}
        results = functions.recurrent(cell, x, p["h0"], p.get("c0"), weights, **own)
        return tuple(r for r in results if r is not None)

    return Case(call, p, x)


def attention(form: str) -> Case:
    batch = ragged_batch(form, [2, 3], H, torch.float64)
    batch.sizes.pop("batch_first", None)

    def call(functions: Any, p: Parameters, states: Tensor) -> Any:
        return functions.ragged_attention(p["query"], states, **batch.sizes, return_weights=True)

    return Case(call, {"query": real(2, 3, H)}, batch.x.nan_to_num())


def recurrent_step(cell: str, projection: int = 0, table: bool = False) -> Case:
    """Two layers; the data are vectors, or where there is a table the states, since ids have no derivative."""
    blocks, P = {"lstm": 4, "gru": 3}[cell], projection or H
    shapes = [[(blocks * H, width), (blocks * H, P), (blocks * H,), (blocks * H,)] for width in (H, P)]
    p = {
        f"w{layer}{i}": real(*s) for layer in (0, 1) for i, s in enumerate(shapes[layer] + [(P, H)] * bool(projection))
    }
    p |= {"c": real(2, 3, H)} if cell == "lstm" else {}
    p |= {"table": real(V, H)} if table else {"h": real(2, 3, P)}

    def call(functions: Any, p: Parameters, data: Tensor) -> Any:
        layers = [[p[name] for name in p if name.startswith(f"w{layer}")] for layer in (0, 1)]
        x, h = (torch.tensor([1, 4, 1]), data) if table else (data, p["h"])
        y, h_next, c_next = functions.recurrent_step(cell, x, h, p.get("c"), layers, table=p.get("table"))
        return (y, h_next) if c_next is None else (y, h_next, c_next)

    return Case(call, p, real(2, 3, P) if table else real(3, H))


def convolution(form: str, activation: str, table: bool = False, padding: str = "valid") -> Case:
    batch = ragged_batch("batch_first" if form == "padded" else form, [1, 4, 0], H, torch.float64)
    sizes = {name: value for name, value in batch.sizes.items() if name != "batch_first"}
    p = {"w0": real(2, H, 2), "w1": real(2, H, 3), "b0": real(2), "b1": real(2)}
    p |= {"table": real(V, H)} if table else {"x": batch.x.nan_to_num()}
    data = torch.randint(1, V, batch.x.shape[:-1]) if table else real(2)

    def call(functions: Any, p: Parameters, data: Tensor) -> Any:
        kernels, options = ([p["w0"], p["w1"]], [p["b0"], p["b1"]]), {"activation": activation, "padding": padding}
        if table:
            return functions.embedding_text_conv(data, p["table"], *kernels, padding_idx=0, **options, **sizes)
        return functions.text_conv(p["x"] * data, *kernels, **options, **sizes)

    return Case(call, p, data)


def positions(form: str, activation: str, table: bool = False, **options: Any) -> Case:
    pooled = convolution(form, activation, table)
    batch = ragged_batch("batch_first" if form == "padded" else form, [1, 4, 0], H, torch.float64)
    options |= {name: value for name, value in batch.sizes.items() if name != "batch_first"}

    def call(functions: Any, p: Parameters, data: Tensor) -> Any:
        kernels = [p["w1"]], [p["b1"]]
        if table:
            y, _ = functions.embedding_text_conv_positions(data, p["table"], *kernels, activation=activation, **options)
        else:
            y, _ = functions.text_conv_positions(p["x"] * data, *kernels, activation=activation, **options)
        return y

    parameters = {name: t for name, t in pooled.parameters.items() if name in ("x", "table", "w1", "b1")}
    return Case(call, parameters, pooled.data)


def field(form: str, function: str) -> Case:
    batch = ragged_batch(form, [2, 3], 3, torch.float64)
    p = {"x": batch.x.nan_to_num(), "start": real(3), "end": real(3), "transitions": real(3, 3)}

    def call(functions: Any, p: Parameters, factor: Tensor) -> Any:
        tags = torch.arange(p["x"].shape[:-1].numel()).reshape(p["x"].shape[:-1]) % 3
        tags = (tags,) if function == "crf_log_likelihood" else ()
        options = {"reduction": "none", **batch.sizes} if tags else batch.sizes
        return getattr(functions, function)(p["x"] * factor, *tags, p["start"], p["end"], p["transitions"], **options)

    return Case(call, p, real(3))


def language(reduction: str) -> Case:
    p = {"w": real(4, H), "b": real(4), "x": real(3, H)}
    target, options = torch.tensor([2, -100, 3]), {"reduction": reduction, "label_smoothing": 0.1}

    def call(functions: Any, p: Parameters, factor: Tensor) -> Any:
        return functions.linear_cross_entropy(p["x"] * factor, p["w"], target, linear_bias=p["b"], **options)

    return Case(call, p, real(H))


def pool(form: str) -> Case:
    batch = ragged_batch("batch_first" if form == "padded" else form, [1, 4, 0], 3, torch.float64)
    sizes = {name: value for name, value in batch.sizes.items() if name != "batch_first"}
    x = batch.x.nan_to_num()
    return Case(lambda functions, p, w: functions.max_mean_pool(p["x"] * w, **sizes).tanh(), {"x": x}, real(3))


def layer(ours: nn.Module, data: Tensor, plain: Callable[[Parameters, Tensor], Any]) -> Case:
    """A layer by functional_call."""

    def call(functions: Any, p: Parameters, data: Tensor) -> Any:
        return functional_call(ours, p, (data,)) if functions is fast else plain(p, data)

    return Case(call, {name: p.detach() for name, p in ours.named_parameters()}, data)


def bag(weighted: bool) -> Case:
    ours = textnn.NgramBag(11, 2, weighted=weighted, dtype=torch.float64)

    def plain(p: Parameters, ids: Tensor) -> Tensor:
        rows = fast.hash_ngrams(ids, (1, 2), 11, distinct=weighted).flatten(-2)
        norm = (rows > 0).sum(-1, keepdim=True) if weighted else torch.tensor(2 * ids.shape[-1] - 1)
        return (p["weight"][rows] * (rows > 0)[..., None]).sum(-2) / norm**0.5

    case = layer(ours, torch.randint(0, V, (2, 4)), plain)
    weight = real(11, 2)
    weight[0] = 0.0
    return Case(lambda *a: case.call(*a).tanh(), {"weight": weight}, case.data)


def lstm_cell_layer() -> Case:
    def plain(p: Parameters, x: Tensor) -> Any:
        zeros = torch.zeros(len(x), H, dtype=x.dtype)
        gates = x @ p["weight_ih"].t() + p["bias_ih"] + zeros @ p["weight_hh"].t() + p["bias_hh"]
        return slow.lstm_cell(gates, zeros)

    return layer(textnn.LSTMCell(H, H, dtype=torch.float64), real(3, H), plain)


def gru_cell_layer() -> Case:
    def plain(p: Parameters, x: Tensor) -> Any:
        zeros = torch.zeros(len(x), H, dtype=x.dtype)
        products = x @ p["weight_ih"].t() + p["bias_ih"], zeros @ p["weight_hh"].t() + p["bias_hh"]
        return slow.recurrent_cell("gru", *products, zeros)[0]

    return layer(textnn.GRUCell(H, H, dtype=torch.float64), real(3, H), plain)


CASES: dict[str, Callable[[], Case]] = {
    "lstm": lambda: recurrent("lstm", "dense"),
    "lstm, flat": lambda: recurrent("lstm", "flat"),
    "lstm, both directions, projection": lambda: recurrent("lstm", "batch_first", 2, 1),
    "lstm, packed": lambda: recurrent("lstm", "packed"),
    "lstm, cell states of all steps": lambda: recurrent("lstm", "padded", 2, 1, cells=True),
    "lstm, token ids": lambda: recurrent("lstm", "flat", 2, table=True),
    "gru": lambda: recurrent("gru", "padded"),
    "gru, packed, both directions": lambda: recurrent("gru", "packed", 2),
    "gru, token ids": lambda: recurrent("gru", "batch_first", table=True),
    "rnn, tanh": lambda: recurrent("rnn_tanh", "flat"),
    "rnn, relu": lambda: recurrent("rnn_relu", "batch_first"),
    "lstm_cell": lambda: Case(
        lambda functions, p, x: functions.lstm_cell(p["gates"] + x, p["c"]),
        {"gates": real(2, 8), "c": real(2, 2)},
        real(8),
    ),
    "recurrent_cell, gru": lambda: Case(
        lambda functions, p, x: functions.recurrent_cell("gru", p["input"] + x, p["hidden"], p["h"])[0],
        {"input": real(2, 6), "hidden": real(2, 6), "h": real(2, 2)},
        real(6),
    ),
    "recurrent_cell, rnn": lambda: Case(
        lambda functions, p, x: functions.recurrent_cell("rnn_tanh", p["input"] + x, p["hidden"])[0],
        {"input": real(2, 2), "hidden": real(2, 2)},
        real(2),
    ),
    "recurrent_step, lstm": lambda: recurrent_step("lstm", 1),
    "recurrent_step, gru, token ids": lambda: recurrent_step("gru", table=True),
    "ragged_attention": lambda: attention("batch_first"),
    "ragged_attention, flat": lambda: attention("flat"),
    "LSTMCell": lstm_cell_layer,
    "GRUCell": gru_cell_layer,
    "text_conv": lambda: convolution("padded", "tanh"),
    "text_conv, flat": lambda: convolution("flat", "relu", padding="same"),
    "embedding_text_conv": lambda: convolution("flat", "tanh", table=True),
    "embedding_text_conv, padded": lambda: convolution("padded", "identity", table=True, padding="same"),
    "text_conv_positions": lambda: positions("padded", "tanh", padding=1, stride=2),
    "text_conv_positions, flat": lambda: positions("flat", "relu", padding="same"),
    "embedding_text_conv_positions": lambda: positions("flat", "tanh", table=True, padding="same"),
    "embedding_text_conv_positions, padded": lambda: positions("padded", "identity", table=True, padding=2),
    "crf_log_likelihood": lambda: field("padded", "crf_log_likelihood"),
    "crf_log_likelihood, flat": lambda: field("flat", "crf_log_likelihood"),
    "crf_marginals": lambda: field("flat", "crf_marginals"),
    "linear_cross_entropy": lambda: language("mean"),
    "linear_cross_entropy, none": lambda: language("none"),
    "max_mean_pool": lambda: pool("padded"),
    "max_mean_pool, flat": lambda: pool("flat"),
    "embedding": lambda: Case(
        lambda functions, p, ids: functions.embedding(ids, p["table"], padding_idx=0).tanh(),
        {"table": real(V, H)},
        torch.randint(1, V, (2, 3)),
    ),
    "NgramBag": lambda: bag(weighted=False),
    "NgramBag, weighted": lambda: bag(weighted=True),
}


def tangents_of(p: Parameters) -> Parameters:
    return {name: torch.linspace(-1, 1, t.numel(), dtype=t.dtype).view_as(t) for name, t in p.items()}


def scalar(results: Any) -> Tensor:
    return sum(r.square().sum() for r in pytree.tree_leaves(results))


def leaves(p: Parameters) -> Parameters:
    return {name: t.clone().requires_grad_() for name, t in p.items()}


def again(f: Any, p: Parameters, x: Tensor, order: int) -> Any:
    """Gradients of the squares of gradients, as often as `order` says."""
    own = leaves(p)
    total = scalar(f(own, x))
    for _ in range(order):
        gradients = torch.autograd.grad(total, list(own.values()), create_graph=True, allow_unused=True)
        total = scalar([g for g in gradients if g is not None])
    return torch.autograd.grad(total, list(own.values()), allow_unused=True, materialize_grads=True)


def dual(f: Any, p: Parameters, x: Tensor, requires_grad: bool) -> Any:
    with forward_ad.dual_level():
        own = {
            n: forward_ad.make_dual(t.clone().requires_grad_(requires_grad), v)
            for (n, t), v in zip(p.items(), tangents_of(p).values(), strict=True)
        }
        results = [forward_ad.unpack_dual(r) for r in pytree.tree_leaves(f(own, x))]
        assert all(r.primal.requires_grad == requires_grad for r in results)
        return [(r.primal.detach(), r.tangent.detach()) for r in results]


def forward_over_reverse(f: Any, p: Parameters, x: Tensor) -> Any:
    with forward_ad.dual_level():
        own = {name: forward_ad.make_dual(t, tangents_of(p)[name]) for name, t in leaves(p).items()}
        gradients = torch.autograd.grad(scalar(f(own, x)), list(own.values()))
        return [forward_ad.unpack_dual(g).tangent for g in gradients]


def batched_gradients(f: Any, p: Parameters, x: Tensor) -> Any:
    own = leaves(p)
    y = pytree.tree_leaves(f(own, x))[0]
    seeds = torch.stack([torch.ones_like(y), 2 * torch.ones_like(y)])
    return torch.autograd.grad(
        y, list(own.values()), seeds, is_grads_batched=True, allow_unused=True, materialize_grads=True
    )


def several(p: Parameters) -> Parameters:
    return {name: torch.stack([t, 2 * t, -t]) for name, t in p.items()}


def loss(f: Any) -> Callable[[Parameters, Tensor], Tensor]:
    return lambda p, x: scalar(f(p, x))


def pulled_back(f: Any, p: Parameters, x: Tensor) -> Any:
    results, pull = vjp(lambda p: f(p, x), p)
    return pull(pytree.tree_map(torch.ones_like, results))


TRANSFORMS: dict[str, Callable[[Any, Parameters, Tensor], Any]] = {
    "grad": lambda f, p, x: grad(loss(f))(p, x),
    "vjp": pulled_back,
    "jacrev": lambda f, p, x: jacrev(f)(p, x),
    "jvp": lambda f, p, x: jvp(lambda p: f(p, x), (p,), (tangents_of(p),)),
    "jacfwd": lambda f, p, x: jacfwd(f)(p, x),
    "hessian": lambda f, p, x: hessian(loss(f))(p, x),
    "grad of grad": lambda f, p, x: grad(lambda p: scalar(grad(loss(f))(p, x)))(p),
    "grad of jvp": lambda f, p, x: grad(lambda p: scalar(jvp(lambda p: f(p, x), (p,), (tangents_of(p),))[1]))(p),
    "vmap over samples": lambda f, p, x: vmap(f, in_dims=(None, 0))(p, torch.stack([x, x.flip(0)])),
    "vmap over parameters": lambda f, p, x: vmap(f, in_dims=(0, None))(several(p), x),
    "vmap of vmap": lambda f, p, x: vmap(lambda p: vmap(lambda x: f(p, x))(torch.stack([x, x.flip(0)])))(several(p)),
    "vmap of grad": lambda f, p, x: vmap(grad(loss(f)), in_dims=(None, 0))(p, torch.stack([x, x.flip(0)])),
    "grad of vmap": lambda f, p, x: grad(lambda p: scalar(vmap(lambda x: f(p, x))(torch.stack([x, x.flip(0)]))))(p),
    "vmap of jvp": lambda f, p, x: vmap(lambda p: jvp(lambda p: f(p, x), (p,), (tangents_of(p),))[1])(several(p)),
    "jvp of vmap": lambda f, p, x: jvp(lambda p: vmap(lambda p: f(p, x))(several(p)), (p,), (tangents_of(p),)),
    "second derivatives": lambda f, p, x: again(f, p, x, 1),
    "third derivatives": lambda f, p, x: again(f, p, x, 2),
    "forward mode": lambda f, p, x: dual(f, p, x, requires_grad=False),
    "forward mode with gradients": lambda f, p, x: dual(f, p, x, requires_grad=True),
    "forward over reverse mode": forward_over_reverse,
    "batched gradients": batched_gradients,
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", CASES)
def test_equals_plain_pytorch(name: str, transform: str) -> None:
    case = CASES[name]()
    got, want = (
        TRANSFORMS[transform](partial(case.call, functions), case.parameters, case.data) for functions in (fast, slow)
    )
    assert any(t.any() for t in pytree.tree_leaves(want)), "the case says nothing"
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("layout", ["lengths", "offsets"])
@pytest.mark.parametrize("transform", ["vmap", "vmap of grad", "vmap of jvp"])
def test_vmap_maps_over_lengths_and_offsets(layout: str, transform: str) -> None:
    """Values that vmap hides are not looked at, and each sample has its own."""
    shape = (3, 2, 4, H) if layout == "lengths" else (3, 6, H)
    x, sizes = real(*shape), torch.tensor([[1, 4], [3, 0], [2, 2]] if layout == "lengths" else [[0, 1], [0, 0], [0, 6]])
    w, w_ih, w_hh, zeros = real(2, H, 2), real(3 * H, H), real(3 * H, H), torch.zeros(2, H, dtype=torch.float64)

    def function(x: Tensor, sizes: Tensor) -> Tensor:
        batch = {layout: sizes}
        first = {"batch_first": True} if layout == "lengths" else {}
        _, h = fast.gru(x, zeros, w_ih, w_hh, **batch, **first)
        return torch.cat([h, fast.text_conv(x, [w], **batch), fast.max_mean_pool(x, **batch)], dim=1)

    of_one = {
        "vmap": function,
        "vmap of grad": grad(lambda x, sizes: scalar(function(x, sizes))),
        "vmap of jvp": lambda x, sizes: jvp(lambda x: function(x, sizes), (x,), (torch.ones_like(x),))[1],
    }[transform]
    want = torch.stack([of_one(x[i], sizes[i]) for i in range(3)])
    torch.testing.assert_close(vmap(of_one)(x, sizes), want)


def test_vmap_over_nothing() -> None:
    w = real(2, H, 2)
    assert vmap(lambda x: fast.text_conv(x, [w]))(real(0, 3, 5, H)).shape == (0, 3, 2)


@pytest.mark.parametrize("sizes", [torch.tensor([9, 1]), torch.tensor([-1, 1])])
def test_lengths_out_of_range_are_still_found(sizes: Tensor) -> None:
    x = real(2, 4, 3)
    with pytest.raises(ValueError, match="lengths must lie between 0 and 4"):
        grad(lambda x: scalar(fast.max_mean_pool(x, lengths=sizes)))(x)
    with pytest.raises(RuntimeError, match="textnn: lengths must"):
        vmap(lambda x, sizes: fast.max_mean_pool(x, lengths=sizes))(x[None], sizes[None])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_per_sample_gradients_of_a_layer(kind: str) -> None:
    """The recipe of torch.func's tutorials; nn.GRU and nn.RNN fail at it on the CPU."""
    ours, theirs = (getattr(module, kind)(H, 3, 2, dtype=torch.float64) for module in (textnn, nn))
    ours.load_state_dict(theirs.state_dict())
    x = real(5, 4, 1, H)  # samples, T, B, I
    p = {name: value.detach() for name, value in ours.named_parameters()}
    got = vmap(grad(lambda p, x: scalar(functional_call(ours, p, (x,)))), in_dims=(None, 0))(p, x)
    for i in range(5):
        want = torch.autograd.grad(scalar(theirs(x[i])), list(theirs.parameters()))
        for name, gradient in zip(p, want, strict=True):
            torch.testing.assert_close(got[name][i], gradient)


def test_second_derivatives_where_one_input_is_made_from_another() -> None:
    """Each way from an input to the gradients counts once."""
    w_ih, w_hh, start = real(3 * H, H), real(3 * H, H), real(4, 2, H)
    results = []
    for functions in (fast, slow):
        x = start.clone().requires_grad_()
        y, _ = functions.gru(x, x.mean(0), w_ih, w_hh)
        (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        results.append(torch.autograd.grad(g.square().sum(), x)[0])
    torch.testing.assert_close(*results)


TABLES = ["embedding", "embedding_lstm", "embedding_text_conv"]


def from_ids(name: str, ids: Tensor, table: Tensor, sparse: bool) -> Tensor:
    options: dict[str, Any] = {"padding_idx": 0, "sparse": sparse}
    if name == "embedding":
        return fast.embedding(ids, table, **options).tanh()
    if name == "embedding_text_conv":
        w = torch.linspace(-1, 1, 4 * H, dtype=torch.float64).view(2, H, 2)
        return fast.embedding_text_conv(ids, table, [w], offsets=[0, 3], activation="tanh", **options)
    w, zeros = torch.linspace(-1, 1, 4 * H * H, dtype=torch.float64).view(4 * H, H), torch.zeros(1, 2, H).double()
    return fast.embedding_lstm(ids, table, zeros, zeros, [w, w], offsets=[0, 3], **options)[0]


@pytest.mark.parametrize("name", TABLES)
def test_second_derivatives_of_sparse_gradients(name: str) -> None:
    ids, start, results = torch.tensor([1, 3, 3, 0, 5]), real(V, H), []
    for sparse in (False, True):
        table = start.clone().requires_grad_()
        (g,) = torch.autograd.grad(scalar(from_ids(name, ids, table, sparse)), table, create_graph=True)
        assert g.is_sparse == sparse
        g = g.to_dense() if sparse else g
        results.append((g.detach(), torch.autograd.grad(g.square().sum(), table)[0].to_dense()))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("name", TABLES)
def test_a_sparse_gradient_is_dense_where_a_transform_takes_no_other(name: str) -> None:
    ids, table = torch.tensor([1, 3, 3, 0, 5]), real(V, H)

    def total(table: Tensor, ids: Tensor, sparse: bool) -> Tensor:
        return scalar(from_ids(name, ids, table, sparse))

    samples = torch.stack([ids, ids.flip(0)])
    each = vmap(grad(total), in_dims=(None, 0, None))
    torch.testing.assert_close(each(table, samples, True), each(table, samples, False))
    assert grad(total)(table, ids, True).is_sparse


def test_derivatives_under_autocast_are_computed_in_float32() -> None:
    """Plain PyTorch's products in the backward pass of a backward pass are not cut to 16 bits."""
    x, w_ih, w_hh = torch.randn(4, 2, 8, requires_grad=True), torch.randn(24, 8), torch.randn(24, 8)
    y, _ = fast.gru(x, torch.zeros(2, 8), w_ih, w_hh)
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
            results.append(torch.autograd.grad(g.square().sum(), x, retain_graph=True)[0])
    torch.testing.assert_close(*results)


def memory_of(results: Any) -> list[int]:
    """Where the memory of each of the tensors begins."""
    return [t.untyped_storage().data_ptr() for t in pytree.tree_leaves(results) if t is not None and t.numel()]


@pytest.mark.parametrize("name", CASES)
def test_no_two_results_and_no_two_gradients_share_memory(name: str) -> None:
    """What is done in place to one of them, by a hook or by clipping, is not done to another."""
    case = CASES[name]()
    own = leaves(case.parameters)
    results = case.call(fast, own, case.data)
    gradients = torch.autograd.grad(scalar(results), list(own.values()), allow_unused=True)
    for found in (memory_of(results), memory_of(gradients)):
        assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "name", ["lstm", "gru, token ids", "embedding_text_conv, padded", "max_mean_pool", "embedding"]
)
@pytest.mark.parametrize("transform", ["grad", "vmap of grad", "vmap over samples"])
def test_compiles(name: str, transform: str) -> None:
    """torch.compile of a transform, which it traces."""
    case = CASES[name]()
    function = partial(TRANSFORMS[transform], partial(case.call, fast))
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(case.parameters, case.data), function(case.parameters, case.data))
