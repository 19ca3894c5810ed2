"""Every function of textnn.functional that has a derivative under every transform that torch has, against the same
transform of plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from transform_cases import CASES, H, Parameters, V, real

import textnn
import textnn.functional as fast
import textnn.reference as slow


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
