"""Text convolutions with an output for each position: what nn.Conv1d makes of each sentence by itself."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import LENGTHS, compare
from torch import nn

import textnn.functional as fast
import textnn.reference as slow
from textnn import EmbeddingTextConv, TextConv, backends
from textnn._registration import position_gradients
from textnn.export.plain import to_torch_nn

OPERATORS = ["text_conv_positions", "embedding_text_conv_positions"]
ACTIVATIONS = ["relu", "tanh", "identity"]
PLACES = [("valid", 1), ("valid", 3), ("same", 1), ("same", 2), (1, 1), (2, 2), (6, 4)]


def make(operator, lengths, form, D, C, taps, dtype, V=23, bias=True):
    """Arguments and keyword arguments; padding is NaN or an unused token."""
    weight = [torch.randn(C, D, k, dtype=dtype) for k in taps]
    biases = [torch.randn(C, dtype=dtype) for _ in taps] if bias else None
    B, L, N = len(lengths), max(lengths, default=0), sum(lengths)
    if form == "flat":
        ids = torch.randint(0, V, (N,))
        sizes = {"offsets": torch.tensor([sum(lengths[:b]) for b in range(B)], dtype=torch.int64)}
    else:
        ids = torch.randint(0, V, (B, L))
        sizes = {"lengths": torch.tensor(lengths, dtype=torch.int64)} if form == "padded" else {}
    if operator == "embedding_text_conv_positions":
        return [ids, torch.randn(V, D, dtype=dtype), weight, biases], sizes
    x = torch.randn(*ids.shape, D, dtype=dtype)
    if form == "padded":
        for b, n in enumerate(lengths):
            x[b, n:] = float("nan")
    return [x, weight, biases], sizes


def check(operator, inputs, dtype, case, **kwargs):
    def outputs(function):
        def call(*arguments, **options):
            y, sizes = function(*arguments, **options)
            found.append((y.shape, sizes.tolist()))
            return y

        return call

    found = []
    compare(outputs(getattr(fast, operator)), outputs(getattr(slow, operator)), inputs, dtype, case, **kwargs)
    assert found[0] == found[1], case


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("padding", "stride"), PLACES)
@pytest.mark.parametrize("form", ["padded", "flat", "dense"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_equals_the_reference(capability, operator, padding, stride, form, lengths):
    taps = (1, 2, 3, 5) if padding == "same" else (4, 4)
    inputs, sizes = make(operator, lengths, form, 7, 18, taps, torch.float64)
    case = f"{operator} {capability} {form} {lengths} {padding} {stride}"
    activation = ACTIVATIONS[len(lengths) % 3]
    check(operator, inputs, torch.float64, case, padding=padding, stride=stride, activation=activation, **sizes)


@pytest.mark.parametrize("form", ["padded", "flat", "dense"])
@pytest.mark.parametrize(("padding", "stride"), PLACES)
@pytest.mark.parametrize("tokens", [0, 1, 10, 25])
def test_gradients_in_parts(monkeypatch, form, padding, stride, tokens):
    """Whatever the number of tokens that are worked on at a time: each sentence by itself, some of them, all."""
    monkeypatch.setattr(position_gradients, "_PART", tokens * 8 * (2 * 5 + 2 * 6))
    inputs, sizes = make("text_conv_positions", [3, 0, 12, 1, 0, 7, 0], form, 5, 6, (4, 4), torch.float64)
    case = f"{form} {padding} {stride} {tokens}"
    check("text_conv_positions", inputs, torch.float64, case, padding=padding, stride=stride, **sizes)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("D", [1, 3, 35])
@pytest.mark.parametrize("C", [1, 16, 33, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference_for_odd_sizes(capability, operator, D, C, dtype):
    inputs, sizes = make(operator, LENGTHS["ragged"], "flat", D, C, (3,), dtype)
    check(operator, inputs, dtype, f"{capability} D={D} C={C} {dtype}", padding=1, stride=2, **sizes)


@pytest.mark.parametrize("layer", [TextConv, EmbeddingTextConv])
@pytest.mark.parametrize("K", [1, 2, 3, 5])
@pytest.mark.parametrize("P", [0, 1, 2, 4])
@pytest.mark.parametrize("S", [1, 2, 3])
def test_the_size_rule_of_conv1d(layer, K, P, S):
    """floor((W - F + 2 P) / S) + 1 outputs of W tokens, the values and gradients of nn.Conv1d on each sentence."""
    embedded = layer is EmbeddingTextConv
    make = (lambda *a, **o: layer(15, *a, padding_idx=None, **o)) if embedded else layer
    conv = make(4, 6, (K,), padding=P, stride=S, activation="identity", pooling=None, dtype=torch.float64)
    peer = nn.Conv1d(4, 6, K, stride=S, padding=P, dtype=torch.float64)
    peer.load_state_dict(conv.convs[0].state_dict())
    lengths = [7, 0, 1, 12, 3, 5]
    parts = [torch.randint(0, 15, (n,)) if embedded else torch.randn(n, 4, dtype=torch.float64) for n in lengths]
    y, offsets = conv(torch.cat(parts), offsets=[sum(lengths[:b]) for b in range(6)])
    counts = [max(0, (W - K + 2 * P) // S + 1) for W in lengths]
    assert torch.diff(offsets, append=torch.tensor([len(y)])).tolist() == counts
    table = conv.weight.detach().requires_grad_() if embedded else None
    wanted = []
    for part, count in zip(parts, counts, strict=True):
        if count:
            x = F.embedding(part, table) if embedded else part
            if len(x):
                wanted.append(peer(x.t()[None])[0].t())
            else:  # nn.Conv1d takes no empty input; what it would read is the padding
                wanted.append(F.conv1d(x.new_zeros(1, 4, 2 * P), peer.weight, peer.bias, S)[0].t())
            assert wanted[-1].shape[0] == count, "the rule is that of nn.Conv1d"
    want = torch.cat(wanted)
    torch.testing.assert_close(y, want)
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    (y * weight).sum().backward()
    (want * weight).sum().backward()
    torch.testing.assert_close(conv.convs[0].weight.grad, peer.weight.grad)
    torch.testing.assert_close(conv.convs[0].bias.grad, peer.bias.grad)
    if embedded:
        torch.testing.assert_close(conv.weight.grad, table.grad)


@settings(deadline=None, max_examples=60)
@given(
    operator=st.sampled_from(OPERATORS),
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    form=st.sampled_from(["flat", "padded"]),
    D=st.integers(1, 20),
    C=st.integers(1, 40),
    K=st.integers(1, 6),
    kernels=st.integers(1, 3),
    padding=st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 8)),
    stride=st.integers(1, 5),
    activation=st.sampled_from(ACTIVATIONS),
    bias=st.booleans(),
)
def test_equals_the_reference_for_any_shape(
    operator, lengths, form, D, C, K, kernels, padding, stride, activation, bias
):
    inputs, sizes = make(operator, lengths, form, D, C, [K] * kernels, torch.float64, V=9, bias=bias)
    case = f"{lengths} {form} D={D} C={C} K={K} {padding} {stride} {activation} bias={bias}"
    check(operator, inputs, torch.float64, case, padding=padding, stride=stride, activation=activation, **sizes)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", ["padded", "flat"])
def test_gradcheck(capability, operator, activation, form):
    inputs, sizes = make(operator, [4, 1, 0, 6], form, 3, 5, (2, 3), torch.float64)
    *tokens, weight, bias = inputs
    tokens = [t.nan_to_num() if t.is_floating_point() else t for t in tokens]
    leaves = [t.requires_grad_() for t in [*tokens, *weight, *bias] if t.is_floating_point()]
    S, ids = len(weight), [t for t in tokens if not t.is_floating_point()]

    def f(vectors, *w):
        options = {"padding": "same", "stride": 2, "activation": activation, **sizes}
        return getattr(fast, operator)(*ids, vectors, w[:S], w[S:], **options)[0]

    assert torch.autograd.gradcheck(f, leaves)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("form", ["padded", "flat"])
@pytest.mark.parametrize(("same", "padding", "stride"), [(True, 0, 1), (False, 2, 3)])
def test_opcheck(operator, form, same, padding, stride):
    inputs, sizes = make(operator, [4, 1, 0, 6], form, 3, 5, (3, 3), torch.float32)
    *tokens, weight, bias = inputs
    tokens = [t.nan_to_num() if t.is_floating_point() else t for t in tokens]
    for t in [*tokens, *weight, *bias]:
        if t.is_floating_point():
            t.requires_grad_()
    options = (*sizes.values(), form == "flat", same, padding, stride, 1, "ieee")
    extra = (-1, False) if operator == "embedding_text_conv_positions" else ()
    forward = getattr(torch.ops.textnn, operator).default
    torch.library.opcheck(forward, (*tokens, weight, bias, *options, *extra))
    y = forward(*tokens, weight, bias, *options, *extra).detach()
    backward = getattr(torch.ops.textnn, operator + "_backward").default
    plain, kernels = [t.detach() for t in tokens], [w.detach() for w in weight]
    for sparse in (False, True) if extra else (None,):
        tail = (-1, sparse, True) if extra else (True,)
        given = (torch.randn_like(y), *plain, kernels, *options, y, *tail)
        torch.library.opcheck(backward, given, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("form", "padding", "stride"), [("padded", 1, 2), ("dense", 3, 1), ("flat", "same", 1), ("flat", "valid", 2)]
)
def test_compiles_to_one_graph(operator, dynamic, form, padding, stride):
    compiled = torch.compile(getattr(fast, operator), fullgraph=True, dynamic=dynamic, backend="aot_eager")
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=form == "flat" and padding != "same"):
        for lengths in ([4, 2, 6], [3, 8, 2, 2]):
            inputs, sizes = make(operator, lengths, form, 5, 7, (3,), torch.float64)
            compare(
                lambda *a, **o: compiled(*a, **o)[0],
                lambda *a, **o: getattr(slow, operator)(*a, **o)[0],
                inputs,
                torch.float64,
                f"{operator} {form} {lengths}",
                padding=padding,
                stride=stride,
                **sizes,
            )


@pytest.mark.parametrize("operator", OPERATORS)
def test_same_result_for_every_run_and_number_of_threads(capability, deterministic, operator):
    inputs, sizes = make(operator, [30, 2, 17, 9] * 12, "flat", 40, 50, (3,), torch.float32, V=150)
    before, results = torch.get_num_threads(), []
    try:
        # In the emulator torch's own matrix product is made by so many threads.
        for threads in (1, 2, 4, 8, 2) if capability in backends.CPU_CAPABILITIES else (1, 1):
            torch.set_num_threads(threads)
            results.append(getattr(fast, operator)(*inputs, **sizes)[0])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("stride", [1, 2])
def test_sparse_gradient_equals_the_dense_one(capability, stride):
    inputs, sizes = make("embedding_text_conv_positions", [8, 3, 5], "flat", 6, 9, (3,), torch.float64, V=30)
    ids, table, weight, bias = inputs
    table.requires_grad_()
    gradients = []
    for sparse in (True, False):
        options = {"padding_idx": int(ids[0]), "sparse": sparse, "stride": stride, "padding": "same", **sizes}
        y, _ = fast.embedding_text_conv_positions(ids, table, weight, bias, **options)
        gradients.append(torch.autograd.grad(y.square().sum(), table)[0])
    assert gradients[0].is_sparse
    assert gradients[0]._nnz() == len(ids.unique())
    torch.testing.assert_close(gradients[0].to_dense(), gradients[1])
    assert not gradients[1][ids[0]].any()
    assert gradients[1].any()


def test_the_layers_take_what_the_pooled_ones_take():
    options = {"kernel_sizes": (2, 3), "padding": "same", "pooling": None}
    conv, embedded = TextConv(6, 5, **options), EmbeddingTextConv(20, 6, 5, **options)
    embedded.convs.load_state_dict(conv.convs.state_dict())
    pooled = TextConv(6, 5, (2, 3), padding="same")
    pooled.load_state_dict(conv.state_dict())
    ids, lengths = torch.randint(0, 20, (3, 9)), torch.tensor([9, 1, 5])
    x = embedded.weight[ids]
    y, outputs = conv(x, lengths=lengths)
    assert y.shape == (3, 9, 10)
    assert outputs.tolist() == [9, 1, 5]
    assert not y[1, 1:].any(), "zeros behind the end"
    torch.testing.assert_close(y.amax(1), pooled(x, lengths=lengths))
    torch.testing.assert_close(embedded(ids, lengths=lengths)[0], y)
    inside = torch.arange(9) < lengths[:, None]
    flat, offsets = embedded(ids[inside], offsets=[0, 9, 10])
    torch.testing.assert_close(flat, y[inside])
    assert offsets.tolist() == [0, 9, 10]
    nested = torch.nested.nested_tensor([ids[b, :n] for b, n in enumerate(lengths)], layout=torch.jagged)
    torch.testing.assert_close(embedded(nested).values(), flat)
    vectors = torch.nested.nested_tensor([x[b, :n].detach() for b, n in enumerate(lengths)], layout=torch.jagged)
    torch.testing.assert_close(conv(vectors).values(), flat)
    assert "stride=1, pooling=None" in repr(conv)
    assert "stride=1, pooling=None" in repr(embedded)


@pytest.mark.parametrize(("padding", "stride", "taps"), [("same", 2, (2, 3)), (2, 3, (4,)), ("valid", 1, (2,))])
def test_by_torch_nn_alone(padding, stride, taps):
    """What is exported gives the same."""
    layer = nn.ModuleList([EmbeddingTextConv(20, 6, 5, taps, padding, pooling=None, stride=stride)])
    ids, lengths = torch.randint(0, 20, (3, 9)), torch.tensor([9, 1, 5])
    plain = to_torch_nn(layer)
    for sizes in ({"lengths": lengths}, {}):
        for got, want in zip(plain[0](ids, **sizes), layer[0](ids, **sizes), strict=True):
            torch.testing.assert_close(got, want)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_and_autocast(dtype):
    layer = EmbeddingTextConv(20, 6, 5, (3,), pooling=None)
    ids = torch.randint(0, 20, (4, 9))
    want = layer(ids)[0]
    with torch.autocast(ids.device.type, dtype=dtype):
        y = layer(ids)[0]
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), want, rtol=0.05, atol=0.05)
    y.float().square().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    narrow = layer.to(dtype)(ids)[0]
    assert narrow.dtype == dtype
    torch.testing.assert_close(narrow.float(), want, rtol=0.05, atol=0.05)


def test_nan_stays_where_it_is(capability):
    x = torch.randn(2, 9, 3)
    x[0, 4, 1] = float("nan")
    y, _ = fast.text_conv_positions(x, [torch.randn(20, 3, 2)])
    assert y.isnan().any(2).nonzero().tolist() == [[0, 3], [0, 4]]


def test_an_empty_batch_and_sentences_that_are_too_short():
    w = [torch.randn(3, 4, 5)]
    y, lengths = fast.text_conv_positions(torch.randn(2, 3, 4), w)
    assert (y.shape, lengths.tolist()) == ((2, 0, 3), [0, 0])
    y, offsets = fast.text_conv_positions(torch.randn(0, 4), w, offsets=[])
    assert (y.shape, offsets.tolist()) == ((0, 3), [])


@pytest.mark.parametrize("form", ["padded", "flat", "dense"])
def test_windows_far_from_the_sentences(capability, form):
    """Of three windows of each sentence the second is over its first position, the others over padding alone."""
    inputs, sizes = make("text_conv_positions", [4, 1, 6], form, 5, 7, (3,), torch.float64)
    x, (weight,), (bias,) = inputs
    x = x.nan_to_num().requires_grad_()
    places = {"padding": 1 << 12, "stride": (1 << 12) - 2, "activation": "identity"}
    y, _ = fast.text_conv_positions(x, [weight.requires_grad_()], [bias.requires_grad_()], **places, **sizes)
    windows = y.reshape(3, 3, 7)
    first = torch.tensor([0, 4, 5]) if form == "flat" else torch.arange(3) * x.shape[1]
    torch.testing.assert_close(windows[:, 1], x.view(-1, 5)[first] @ weight[:, :, 2].t() + bias)
    torch.testing.assert_close(windows[:, ::2], bias.expand(3, 2, 7))
    dx, dweight, dbias = torch.autograd.grad(y.sum(), [x, weight, bias])
    wanted = torch.zeros_like(x).view(-1, 5)
    wanted[first] = weight[:, :, 2].sum(0)
    torch.testing.assert_close(dx, wanted.view(x.shape))
    wanted = torch.zeros_like(weight)
    wanted[:, :, 2] = x.detach().view(-1, 5)[first].sum(0)
    torch.testing.assert_close(dweight, wanted)
    assert dbias.tolist() == [9] * 7


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("form", ["padded", "flat", "dense"])
def test_padding_takes_no_memory(capability, operator, form):
    """A window at the beginning and one at the end of 4 thousand million zeros."""
    inputs, sizes = make(operator, [4, 1, 6], form, 5, 7, (3,), torch.float32)
    places = {"padding": (1 << 31) - 1, "stride": (1 << 32) - 6, "activation": "identity"}
    leaves = [t.requires_grad_() for t in (*inputs[2], *inputs[-1]) if t.is_floating_point()][-2:]
    y, _ = getattr(fast, operator)(*inputs, **places, **sizes)
    windows = y.reshape(-1, 7)
    torch.testing.assert_close(windows, leaves[1].expand_as(windows))
    y.sum().backward()
    assert leaves[1].grad.tolist() == [len(windows)] * 7


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("form", ["padded", "flat", "dense"])
@pytest.mark.parametrize("padding", ["valid", "same", 1, 9])
@pytest.mark.parametrize("stride", [1 << 61, (1 << 62) - 1, (1 << 63) - 2, (1 << 63) - 1])
def test_the_widest_strides(operator, form, padding, stride):
    """One window of each sentence, the first."""
    inputs, sizes = make(operator, [4, 9], form, 5, 6, (3,), torch.float64)
    check(operator, inputs, torch.float64, f"{form} {padding} {stride}", padding=padding, stride=stride, **sizes)
