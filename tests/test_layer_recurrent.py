"""The recurrent layers against torch.nn's: same outputs, states, gradients, or the same errors."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

import textnn

KINDS = ["LSTM", "GRU", "RNN"]
each_kind = pytest.mark.parametrize("kind", KINDS)
OPTIONS = [
    *(
        ("LSTM", dict(num_layers=layers, bias=bias, batch_first=batch_first, bidirectional=both, proj_size=proj))
        for layers, bias, batch_first, both, proj in itertools.product((1, 3), *((True, False),) * 3, (0, 4))
    ),
    *(("GRU", dict(batch_first=a, bidirectional=b)) for a, b in itertools.product((True, False), repeat=2)),
    ("GRU", dict(num_layers=3, bias=False, bidirectional=True)),
    ("RNN", dict(num_layers=2, batch_first=True)),
    ("RNN", dict(nonlinearity="relu", bidirectional=True, bias=False)),
]


def pair(kind="LSTM", dtype=torch.float64, **options):
    """A layer of torch.nn and one of textnn with the same weights."""
    theirs = getattr(nn, kind)(5, 9, dtype=dtype, **options)
    ours = getattr(textnn, kind)(5, 9, dtype=dtype, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def states(layer, B, dtype=torch.float64, batched=True):
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    lead = (count, B) if batched else (count,)
    h = torch.randn(*lead, layer.proj_size or layer.hidden_size, dtype=dtype)
    return (h, torch.randn(*lead, layer.hidden_size, dtype=dtype)) if layer.mode == "LSTM" else h


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


def run(layer, x, hx):
    """Everything that comes out: output, states, and the gradients of x, hx and the parameters."""
    data = x.data if isinstance(x, PackedSequence) else x
    data = data.detach().requires_grad_()
    given = () if hx is None else tuple(h.detach().requires_grad_() for h in as_tuple(hx))
    hx = None if hx is None else given if isinstance(hx, tuple) else given[0]
    output, final = layer(x._replace(data=data) if isinstance(x, PackedSequence) else data, hx)
    y = output.data if isinstance(output, PackedSequence) else output
    layer.zero_grad()
    (y.sin().sum() + sum(state.cos().sum() for state in as_tuple(final))).backward()
    if isinstance(output, PackedSequence):
        assert output.unsorted_indices is x.unsorted_indices
    return [y, *as_tuple(final), data.grad, *(h.grad for h in given), *(p.grad for p in layer.parameters())]


def assert_same(theirs, ours, x, hx, case):
    for i, (a, b) in enumerate(zip(run(ours, x, hx), run(theirs, x, hx), strict=True)):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11, msg=lambda m, i=i: f"{case}, result {i}: {m}")


@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize("with_state", [False, True])
def test_batched_unbatched_and_packed_input_as_torch(kind, options, with_state):
    theirs, ours = pair(kind, **options)
    for B, T in [(1, 1), (4, 6)]:
        shape = (B, T, 5) if theirs.batch_first else (T, B, 5)
        hx = states(ours, B) if with_state else None
        assert_same(theirs, ours, torch.randn(shape, dtype=torch.float64), hx, f"batched {B} {T}")
    hx = states(ours, 1, batched=False) if with_state else None
    assert_same(theirs, ours, torch.randn(7, 5, dtype=torch.float64), hx, "unbatched")
    sequences = [torch.randn(n, 5, dtype=torch.float64) for n in (3, 6, 1, 4)]
    hx = states(ours, 4) if with_state else None
    assert_same(theirs, ours, pack_sequence(sequences, enforce_sorted=False), hx, "packed")


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(KINDS),
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=6),
    width=st.integers(1, 20),
    hidden=st.integers(2, 40),
    layers=st.integers(1, 3),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_any_packed_batch_as_torch(kind, lengths, width, hidden, layers, flags):
    bias, bidirectional, projected, enforce_sorted = flags
    if enforce_sorted:
        lengths = sorted(lengths, reverse=True)
    options = dict(num_layers=layers, bias=bias, bidirectional=bidirectional)
    if projected and kind == "LSTM":
        options["proj_size"] = hidden // 2
    theirs = getattr(nn, kind)(width, hidden, dtype=torch.float64, **options)
    ours = getattr(textnn, kind)(width, hidden, dtype=torch.float64, **options)
    ours.load_state_dict(theirs.state_dict())
    sequences = [torch.randn(n, width, dtype=torch.float64) for n in lengths]
    x = pack_sequence(sequences, enforce_sorted=enforce_sorted)
    assert_same(theirs, ours, x, states(ours, len(lengths)), f"{kind} {lengths} {options}")


@each_kind
@pytest.mark.parametrize("batch_first", [True, False])
def test_lengths_and_offsets_give_what_packing_gives(kind, batch_first):
    theirs, ours = pair(kind, num_layers=2, bidirectional=True, batch_first=batch_first)
    lengths = torch.tensor([3, 6, 1, 4])
    x = torch.randn(4, 6, 5, dtype=torch.float64)
    hx = states(ours, 4)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    output, final = theirs(packed, hx)
    want, _ = pad_packed_sequence(output, batch_first=True)
    got, got_final = ours(x if batch_first else x.transpose(0, 1), hx, lengths=lengths)
    torch.testing.assert_close(got if batch_first else got.transpose(0, 1), want)
    torch.testing.assert_close(got_final, final)
    flat = torch.cat([x[b, :n] for b, n in enumerate(lengths)])
    offsets = lengths.cumsum(0) - lengths
    got, got_final = ours(flat, hx, offsets=offsets)
    torch.testing.assert_close(got, torch.cat([want[b, :n] for b, n in enumerate(lengths)]))
    torch.testing.assert_close(got_final, final)


@each_kind
def test_dropout_is_between_layers_and_in_training_only(kind):
    _, ours = pair(kind, num_layers=2, dropout=0.5)
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    assert not torch.equal(ours(x)[0], ours(x)[0])
    ours.eval()
    assert torch.equal(ours(x)[0], ours(x)[0])
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        type(ours)(3, 4, dropout=0.5)
    theirs, ours = pair(kind, num_layers=2, dropout=1.0)
    assert_same(theirs, ours, x, None, "dropout=1")


CONSTRUCTIONS = [
    dict(hidden_size=0),
    dict(hidden_size=-1),
    dict(num_layers=0),
    dict(dropout=1.5),
    dict(dropout=True),
    dict(dropout="x"),
    dict(proj_size=-1),
    dict(proj_size=9),
    dict(hidden_size="9"),
    dict(num_layers=1.5),
    dict(unknown=1),
]


@each_kind
@pytest.mark.parametrize("options", CONSTRUCTIONS, ids=str)
def test_constructions_that_torch_refuses(kind, options):
    options = {"input_size": 5, "hidden_size": 9, **options}
    with pytest.raises(Exception) as theirs:  # noqa: PT011  # whatever it is, ours is the same
        getattr(nn, kind)(**options)
    with pytest.raises(theirs.type):
        getattr(textnn, kind)(**options)


INPUTS = {
    "one dimension": lambda: (torch.randn(5), None),
    "four dimensions": lambda: (torch.randn(1, 2, 3, 5), None),
    "wrong size": lambda: (torch.randn(2, 3, 4), None),
    "wrong size unbatched": lambda: (torch.randn(2, 4), None),
    "wrong dtype": lambda: (torch.randn(2, 3, 5).double(), None),
    "integers": lambda: (torch.ones(2, 3, 5, dtype=torch.int64), None),
    "no steps": lambda: (torch.randn(0, 3, 5), None),
    "state of another batch": lambda: (torch.randn(2, 3, 5), (torch.randn(1, 4, 9), torch.randn(1, 4, 9))),
    "state of another size": lambda: (torch.randn(2, 3, 5), (torch.randn(1, 3, 8), torch.randn(1, 3, 9))),
    "state of another dimension": lambda: (torch.randn(2, 3, 5), (torch.randn(3, 9), torch.randn(3, 9))),
    "unbatched with batched state": lambda: (torch.randn(2, 5), (torch.randn(1, 1, 9), torch.randn(1, 1, 9))),
    "state of another dtype": lambda: (torch.randn(2, 3, 5), (torch.randn(1, 3, 9).double(),) * 2),
}


@each_kind
@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS.keys())
def test_inputs_that_torch_refuses(kind, make):
    theirs, ours = pair(kind, dtype=torch.float32)
    x, hx = make()
    hx = hx[0] if kind != "LSTM" and hx is not None else hx
    with pytest.raises(Exception) as error:  # noqa: PT011
        theirs(x, hx)
    with pytest.raises((error.type, TypeError) if "dtype" in str(error.value) else error.type) as own:
        ours(x, hx)
    if "Expected hidden" in str(error.value) or "hx" in str(error.value):
        assert str(own.value) == str(error.value)


@pytest.mark.parametrize(
    ("x", "hx", "message"),
    [
        (torch.randn(2, 4), None, r"input.size\(-1\) must be equal to input_size. Expected 5, got 4"),
        (torch.randn(2, 5), (torch.randn(1, 2, 9),) * 2, r"Expected hidden\[0\] size"),
    ],
)
def test_packed_inputs_are_checked_as_padded_ones_are(x, hx, message):
    """torch.nn.LSTM reads past the end of such a packed input instead, and returns whatever it finds."""
    _, ours = pair(dtype=torch.float32)
    with pytest.raises(RuntimeError, match=message):
        ours(pack_sequence([x]), hx)


@each_kind
def test_an_empty_batch_as_torch(kind):
    theirs, ours = pair(kind)
    x = torch.randn(3, 0, 5, dtype=torch.float64)
    for a, b in zip([*as_tuple(ours(x)[1]), ours(x)[0]], [*as_tuple(theirs(x)[1]), theirs(x)[0]], strict=True):
        assert a.shape == b.shape


@pytest.mark.parametrize(("kind", "options"), [("LSTM", {"proj_size": 3}), ("GRU", {}), ("RNN", {})])
def test_state_dict_loads_both_ways(kind, options):
    options = {"num_layers": 2, "bidirectional": True, **options}
    theirs, ours = pair(kind, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(getattr(textnn, kind)(5, 9, dtype=torch.float64, **options).state_dict())


@each_kind
def test_same_initial_weights_for_the_same_seed(kind):
    torch.manual_seed(3)
    theirs = getattr(nn, kind)(5, 9, 2)
    torch.manual_seed(3)
    for a, b in zip(getattr(textnn, kind)(5, 9, 2).parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_are_independent(clone):
    _, ours = pair()
    other = clone(ours)
    x = torch.randn(3, 2, 5, dtype=torch.float64)
    assert torch.equal(ours(x)[0], other(x)[0])
    with torch.no_grad():
        other.weight_ih_l0.zero_()
    assert not torch.equal(ours(x)[0], other(x)[0])


@each_kind
def test_moves_between_dtypes(kind):
    _, ours = pair(kind)
    single = copy.deepcopy(ours).float()
    x = torch.randn(3, 2, 5, dtype=torch.float64)
    torch.testing.assert_close(single(x.float())[0].double(), ours(x)[0], rtol=1e-4, atol=1e-5)
    half = copy.deepcopy(ours).bfloat16()
    assert half(x.bfloat16())[0].dtype == torch.bfloat16


@pytest.mark.parametrize(("kind", "dynamic"), [("LSTM", False), ("LSTM", True), ("GRU", True), ("RNN", False)])
def test_compiles_to_one_graph(kind, dynamic):
    _, ours = pair(kind, num_layers=2, bidirectional=True)
    compiled = torch.compile(ours, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for B in (2, 3):
        x = torch.randn(4, B, 5, dtype=torch.float64)
        torch.testing.assert_close(compiled(x), ours(x))
    lengths = torch.tensor([1, 4, 2])
    torch.testing.assert_close(compiled(x, lengths=lengths), ours(x, lengths=lengths))


@each_kind
def test_exports(kind):
    _, ours = pair(kind)
    batch = torch.export.Dim("batch", min=2, max=64)
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    program = torch.export.export(ours, (x,), dynamic_shapes=({1: batch},))
    assert any("textnn.recurrent" in str(node.target) for node in program.graph.nodes)
    x = torch.randn(4, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(program.module()(x)[0], ours(x)[0])


@each_kind
@pytest.mark.parametrize("sparse", [False, True])
def test_a_layer_on_ids_is_an_embedding_and_a_layer(kind, sparse):
    layer = getattr(textnn, f"Embedding{kind}")(11, 5, 6, num_layers=2, bidirectional=True, sparse=sparse)
    embedding = nn.Embedding(11, 5, padding_idx=0)
    plain = getattr(nn, kind)(5, 6, 2, bidirectional=True, batch_first=True)
    embedding.load_state_dict({"weight": layer.weight.detach()})
    plain.load_state_dict(getattr(layer, kind.lower()).state_dict())
    ids, lengths = torch.randint(0, 11, (3, 7)), torch.tensor([7, 2, 5])
    output, final = layer(ids, lengths=lengths)
    packed = pack_padded_sequence(embedding(ids), lengths, batch_first=True, enforce_sorted=False)
    want, want_final = plain(packed)
    want = pad_packed_sequence(want, batch_first=True)[0]
    torch.testing.assert_close(output, want)
    torch.testing.assert_close(final, want_final)
    output.sum().backward()
    want.sum().backward()
    assert layer.weight.grad.is_sparse == sparse
    torch.testing.assert_close(layer.weight.grad.to_dense(), embedding.weight.grad)
    flat = torch.cat([ids[b, :n] for b, n in enumerate(lengths)])
    got, _ = layer(flat, offsets=lengths.cumsum(0) - lengths)
    torch.testing.assert_close(got, torch.cat([want[b, :n] for b, n in enumerate(lengths)]))
    with pytest.raises(IndexError, match=r"ids must lie in \[0, V\) = \[0, 11\), got 11"):
        layer(torch.tensor([[11]]))


def test_the_methods_of_torchs_layer_stay():
    ours, theirs = textnn.LSTM(5, 9), nn.LSTM(5, 9)
    hx, order, x = (torch.randn(1, 3, 9), torch.randn(1, 3, 9)), torch.tensor([2, 0, 1]), torch.randn(4, 3, 5)
    assert ours.get_expected_cell_size(x, None) == theirs.get_expected_cell_size(x, None)
    for a, b in zip(ours.permute_hidden(hx, order), theirs.permute_hidden(hx, order), strict=True):
        assert torch.equal(a, b)
