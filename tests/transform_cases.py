"""Calls of every function of textnn.functional that has a derivative, and of some layers, for ``test_transforms.py``:
each with the fast functions or with plain PyTorch's, of parameters and data that transforms map over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from ragged import ragged_batch
from torch import Tensor, nn
from torch.func import functional_call

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
