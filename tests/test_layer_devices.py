"""Where the layers run: the meta device, other default devices, tensors on two devices, devices without kernels."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import textnn
from textnn import backends, functional
from textnn.functional import elsewhere

KINDS = ["LSTM", "GRU", "RNN"]
each_kind = pytest.mark.parametrize("kind", KINDS)
LENGTHS = [3, 4, 1]


def make(kind, **options):
    options = {"batch_first": True, "bidirectional": True, **options}
    return getattr(textnn, kind)(5, 6, 2, **options)


def embedding(kind, **options):
    return getattr(textnn, f"Embedding{kind}")(11, 5, 6, bidirectional=True, **options)


def shapes(result):
    y, final = result
    return [(t.shape, t.device.type) for t in (y, *(final if isinstance(final, tuple) else (final,)))]


# --- meta ---


@each_kind
@pytest.mark.parametrize("how", ["device", "context", "default", "to"])
def test_a_layer_on_the_meta_device(kind, how):
    want = shapes(getattr(nn, kind)(5, 6, 2, bidirectional=True, device="meta")(torch.empty(4, 3, 5, device="meta")))
    if how == "device":
        found = make(kind, device="meta", batch_first=False)(torch.empty(4, 3, 5, device="meta"))
    elif how == "context":
        with torch.device("meta"):
            found = make(kind, batch_first=False)(torch.empty(4, 3, 5))
    elif how == "default":
        torch.set_default_device("meta")
        try:
            found = make(kind, batch_first=False)(torch.empty(4, 3, 5))
        finally:
            torch.set_default_device(None)
    else:
        found = make(kind, batch_first=False).to("meta")(torch.empty(4, 3, 5, device="meta"))
    assert shapes(found) == want


@each_kind
@pytest.mark.parametrize("sizes", [{}, {"lengths": LENGTHS}, {"lengths": torch.tensor(LENGTHS)}, {"outputs": False}])
def test_forward_and_backward_on_the_meta_device(kind, sizes):
    with torch.device("meta"):
        layer, x = make(kind), torch.empty(3, 4, 5, requires_grad=True)
        y, final = layer(x, **sizes)
        (final[0] if kind == "LSTM" else final).sum().backward()
        steps, _ = embedding(kind)(torch.zeros(3, 4, dtype=torch.int64), lengths=LENGTHS)
    assert x.grad.shape == x.shape
    assert x.grad.device.type == "meta"
    assert y.shape == ((3, 4, 12) if "outputs" not in sizes else (0,))
    assert steps.shape == (3, 4, 12)


@each_kind
def test_packed_and_flat_batches_on_the_meta_device(kind):
    layer = make(kind, device="meta")
    padded = torch.empty(3, 4, 5, device="meta")
    packed = layer(pack_padded_sequence(padded, torch.tensor([4, 2, 1]), batch_first=True))[0]
    assert packed.data.shape == (7, 12)
    assert layer(torch.empty(8, 5, device="meta"), offsets=[0, 3, 7])[0].shape == (8, 12)


@each_kind
def test_a_layer_leaves_the_meta_device(kind):
    theirs = getattr(nn, kind)(5, 6, 2, batch_first=True, bidirectional=True)
    layer = make(kind, device="meta").to_empty(device="cpu")
    layer.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 4, 5)
    torch.testing.assert_close(layer(x)[0], theirs(x)[0])
    layer = make(kind, device="meta")
    layer.load_state_dict(theirs.state_dict(), assign=True)
    torch.testing.assert_close(layer(x)[0], theirs(x)[0])


# --- lists of lengths ---


@pytest.mark.parametrize("sizes", [{"lengths": LENGTHS}, {"offsets": [0, 3, 7]}], ids=str)
@pytest.mark.parametrize("form", [list, tuple, np.array])
def test_lists_are_on_the_cpu_whatever_the_default_device(sizes, form):
    layer, x = make("LSTM"), torch.randn(*((3, 4) if "lengths" in sizes else (8,)), 5)
    sizes = {name: form(value) for name, value in sizes.items()}
    want = layer(x, **sizes)[0]
    with torch.device("meta"):
        assert torch.equal(layer(x, **sizes)[0], want)
    torch.set_default_device("meta")
    try:
        assert torch.equal(layer(x, **sizes)[0], want)
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("form", ["packed", "flat"])
def test_variational_dropout_under_another_default_device(form):
    layer, x = make("GRU", dropout=0.5, variational=True), torch.randn(8, 5)
    packed = pack_padded_sequence(x.view(2, 4, 5), torch.tensor([4, 4]), batch_first=True)
    with torch.device("meta"):
        y = layer(packed)[0].data if form == "packed" else layer(x, offsets=[0, 4])[0]
    assert y.device.type == "cpu"
    assert y.shape == (8, 12)


def marginals(x, **sizes):
    """Of 5 tags."""
    return functional.crf_marginals(x, *torch.ones(2, 5), torch.ones(5, 5), batch_first="lengths" in sizes, **sizes)


FUNCTIONS = {
    "LSTM": lambda: (make("LSTM"), False),
    "EmbeddingGRU": lambda: (embedding("GRU"), True),
    "TextConv": lambda: (textnn.TextConv(5, 6, (1, 2)), False),
    "EmbeddingTextConv": lambda: (textnn.EmbeddingTextConv(11, 5, 6, (1, 2)), True),
    "max_mean_pool": lambda: (functional.max_mean_pool, False),
    "NgramBag": lambda: (textnn.NgramBag(11, 5), True),
    "ragged_attention": lambda: (partial(functional.ragged_attention, torch.randn(3, 2, 5)), False),
    "crf_marginals": lambda: (marginals, False),
    "FrozenTextConv": lambda: (textnn.EmbeddingTextConv(11, 5, 6, (1, 2)).freeze(), True),
    "FrozenLSTM": lambda: (textnn.LSTM(5, 6, batch_first=True).freeze(), False),
}


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if not name.startswith("Frozen")])
@pytest.mark.parametrize("what", ["lengths", "offsets"])
@pytest.mark.parametrize(
    "form", [lambda a: a, torch.from_numpy, torch.as_tensor], ids=["array", "from_numpy", "tensor"]
)
def test_refilling_lengths_before_the_backward_pass_changes_no_gradient(name, what, form):
    function, ids = FUNCTIONS[name]()
    sizes = np.array(LENGTHS if what == "lengths" else [0, 3, 7])
    lead = (3, 4) if what == "lengths" else (8,)
    x = torch.randint(1, 11, lead) if ids else torch.randn(*lead, 5, requires_grad=True)
    leaf = function.weight if ids else x
    gradients = []
    for refill in (False, True):
        given = sizes.copy()
        y = function(x, **{what: form(given)})
        y = y[0] if isinstance(y, tuple) else y
        if refill:
            given[:] = [1, 1, 1] if what == "lengths" else [0, 1, 2]
        gradients.append(torch.autograd.grad(y.exp().sum(), leaf)[0].to_dense())
    assert torch.equal(*gradients)
    assert gradients[0].any()


# --- two devices ---


def on_meta(*shape, dtype=torch.float32):
    return torch.zeros(shape, device="meta", dtype=dtype)


@each_kind
def test_an_input_elsewhere_is_named(kind):
    layer, state = make(kind), on_meta(4, 3, 6)
    with pytest.raises(RuntimeError, match=r"^input must be on the device of the layer, cpu, got meta$"):
        layer(on_meta(3, 4, 5))
    with pytest.raises(RuntimeError, match=r"^input must be on the device of the layer, cpu, got meta$"):
        layer(on_meta(8, 5), offsets=[0, 3, 7])
    with pytest.raises(RuntimeError, match=r"^h0 must be on the device of the input, cpu, got meta$"):
        layer(torch.randn(3, 4, 5), (state, state) if kind == "LSTM" else state)
    with pytest.raises(RuntimeError, match=r"^input must be on the device of the layer, meta, got cpu$"):
        make(kind, device="meta")(torch.randn(3, 4, 5))
    layer.weight_hh_l1 = nn.Parameter(layer.weight_hh_l1.to("meta"))
    with pytest.raises(ValueError, match=r"w_hh must be on the device of x, cpu, got meta$"):
        layer(torch.randn(3, 4, 5))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"lengths": on_meta(3, dtype=torch.int64)}, "lengths must be on the CPU, got meta"),
        ({"offsets": on_meta(3, dtype=torch.int64)}, "offsets must be on the CPU, got meta"),
    ],
    ids=["lengths", "offsets"],
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_lengths_elsewhere_are_named(name, sizes, message):
    function, ids = FUNCTIONS[name]()
    lead = (3, 4) if "lengths" in sizes else (8,)
    with pytest.raises(ValueError, match=f"^{message}$"), torch.set_grad_enabled(not name.startswith("Frozen")):
        function(torch.ones(lead, dtype=torch.int64) if ids else torch.randn(*lead, 5), **sizes)


@pytest.mark.parametrize("name", ["EmbeddingLSTM", "EmbeddingGRU", "EmbeddingRNN"])
def test_ids_elsewhere_are_named_by_layers(name):
    layer = getattr(textnn, name)(11, 5, 6)
    with pytest.raises(RuntimeError, match=r"^ids must be on the device of the layer, cpu, got meta$"):
        layer(on_meta(3, 4, dtype=torch.int64))
    with pytest.raises(RuntimeError, match=r"^ids must be on the device of the layer, meta, got cpu$"):
        layer.to("meta")(torch.ones(3, 4, dtype=torch.int64))


LOOK_UPS = {
    "NgramBag": lambda: textnn.NgramBag(11, 5),
    "weighted NgramBag": lambda: textnn.NgramBag(11, 5, weighted=True),
    "FrozenTextConv": lambda: textnn.EmbeddingTextConv(11, 5, 6, (1, 2)).freeze(),
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_ids_elsewhere_are_named_by_look_ups(name):
    with pytest.raises(ValueError, match=r"^ids must be on the device of (the layer|table), cpu, got meta$"):
        LOOK_UPS[name]()(on_meta(3, 4, dtype=torch.int64))


def test_an_input_elsewhere_is_named_by_a_frozen_layer():
    with torch.no_grad(), pytest.raises(ValueError, match=r"^weight must be on the device of x, meta, got cpu$"):
        textnn.LSTM(5, 6).freeze()(on_meta(3, 4, 5))


TABLES = {
    "embedding": functional.embedding,
    "embedding_text_conv": lambda ids, table: functional.embedding_text_conv(ids, table, [table.new_zeros(6, 5, 2)]),
    "recurrent": lambda ids, table: functional.recurrent(
        "gru",
        ids,
        table.new_zeros(1, 3, 6),
        None,
        [[table.new_zeros(18, 5), table.new_zeros(18, 6)]],
        table=table,
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_ids_elsewhere_are_named_by_functions(name):
    with pytest.raises(ValueError, match=r"^ids must be on the device of table, cpu, got meta$"):
        TABLES[name](on_meta(3, 4, dtype=torch.int64), torch.zeros(11, 5))
    with pytest.raises(ValueError, match=r"^ids must be on the device of table, meta, got cpu$"):
        TABLES[name](torch.zeros(3, 4, dtype=torch.int64), on_meta(11, 5))


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (torch.zeros(2, 4, dtype=torch.int64), ValueError, r"ids must have shape \[B, T\] = \[3, \*\], got \[2, 4\]"),
        (torch.zeros(3, 4), TypeError, r"ids must be int64, got torch\.float32"),
        (torch.full((3, 4), 11), IndexError, r"ids must lie in \[0, V\) = \[0, 11\), got 11"),
    ],
    ids=["shape", "dtype", "value"],
)
def test_messages_about_ids_do_not_speak_of_x(ids, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        TABLES["recurrent"](ids, torch.zeros(11, 5))


# --- devices without kernels: here the CPU, declared to be one ---


@pytest.fixture
def no_kernels(monkeypatch):
    for module in (backends, elsewhere, __import__("textnn.layers.plain").layers.plain):
        monkeypatch.setattr(module, "has_kernels", lambda device: device.type != "cpu")
    monkeypatch.setattr(elsewhere, "_warned", {"cpu"})


@each_kind
def test_a_device_without_kernels_runs_torchs_own(kind, no_kernels, monkeypatch):
    theirs = getattr(nn, kind)(5, 6, 2, batch_first=True, bidirectional=True)
    ours, x = make(kind), torch.randn(3, 4, 5)
    ours.load_state_dict(theirs.state_dict())
    with monkeypatch.context() as refused:
        refused.setattr(functional, "recurrent", None)
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
        for given in (x, x[0], packed):
            for a, b in zip(ours(given)[0:1], theirs(given)[0:1], strict=True):
                assert torch.equal(a.data, b.data)
        assert ours(x, outputs=False)[0].shape == (0,)
    steps, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(ours(x, lengths=LENGTHS)[0], steps)
    flat = torch.cat([x[b, :n] for b, n in enumerate(LENGTHS)])
    torch.testing.assert_close(
        ours(flat, offsets=[0, 3, 7])[0], torch.cat([steps[b, :n] for b, n in enumerate(LENGTHS)])
    )
    assert ours(flat, offsets=[0, 3, 7], outputs=False)[0].shape == (0,)


@each_kind
def test_token_ids_on_a_device_without_kernels(kind, no_kernels, monkeypatch):
    layer, ids = embedding(kind), torch.randint(0, 11, (3, 4))
    found = []
    for known in (False, True):
        if known:
            monkeypatch.undo()
        steps, _ = layer(ids, lengths=LENGTHS)
        found.append((steps, torch.autograd.grad(steps.square().sum(), list(layer.parameters()))))
    torch.testing.assert_close(*found)
    assert not found[0][1][0][0].any()  # of padding_idx


def test_a_warning_says_once_that_a_device_has_no_kernels(no_kernels, monkeypatch):
    monkeypatch.setattr(elsewhere, "_warned", set())
    layer = make("GRU")
    with pytest.warns(UserWarning, match=r"^textnn has no kernels for cpu here"):
        layer(torch.randn(3, 4, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(torch.randn(3, 4, 5))


@pytest.mark.parametrize(
    ("device", "known"), [("cpu", True), ("meta", True), ("mps", False), ("xpu", False), ("cuda", None)]
)
def test_which_devices_have_kernels(device, known):
    want = backends.cuda_built() if known is None else known
    assert backends.has_kernels(torch.device(device)) == want
