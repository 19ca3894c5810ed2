"""textnn.functional.quantized_lstm and the layers on it: an LSTM with weights of 8 bits."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from ragged import ragged_batch
from test_recurrent import FORMS, LENGTHS

import textnn
import textnn.functional as fast
import textnn.reference as slow
from textnn.layers.frozen_lstm import quantize_weights


def arguments(batch, width, H, bias=True):
    w = [torch.randn(4 * H, width) / width**0.5, torch.randn(4 * H, H) / H**0.5]
    w += [torch.randn(4 * H), torch.randn(4 * H)] if bias else []
    states = [2 * torch.rand(batch.B, H) - 1, torch.randn(batch.B, H)]
    return [batch.x, *states, *quantize_weights(*w)], w


def check(got, want, case):
    """A value within rounding of a half step may go to the other side: a step of 1/127, rarely."""
    for name, a, b in zip(("y", "h_n", "c_n"), got, want, strict=True):
        assert a.shape == b.shape, f"{case}: {name}"
        difference = (a - b).abs()
        assert not difference.numel() or difference.max() < 0.02, f"{case}: {name} {difference.max()}"
        assert not difference.numel() or difference.mean() < 1e-3, f"{case}: {name} {difference.mean()} in the mean"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lengths", ["single long", "ragged", "with empty", "many", "all empty", "no sequence"])
@pytest.mark.parametrize("reverse", [False, True])
def test_equals_the_reference(capability, form, lengths, reverse):
    if form != "flat" and max(LENGTHS[lengths], default=0) == 0:
        return  # these forms have at least one step
    batch = ragged_batch(form, LENGTHS[lengths], 6, torch.float32)
    inputs, _ = arguments(batch, 6, 18, bias=not reverse)
    case = f"{capability} {form} {lengths} reverse={reverse}"
    for outputs in (True, False):
        options = {"reverse": reverse, "outputs": outputs, **batch.sizes}
        check(fast.quantized_lstm(*inputs, **options), slow.quantized_lstm(*inputs, **options), case)


@pytest.mark.parametrize(("width", "H"), [(1, 1), (3, 5), (16, 16), (17, 33), (64, 40)])
def test_stays_close_to_float32(capability, width, H):
    batch = ragged_batch("flat", LENGTHS["ragged"], width, torch.float32)
    inputs, w = arguments(batch, width, H)
    exact = fast.lstm(*inputs[:3], *w, **batch.sizes)
    for a, b in zip(fast.quantized_lstm(*inputs, **batch.sizes), exact, strict=True):
        assert (a - b).abs().max() < 0.06, f"{capability} I={width} H={H}"


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_same_result_for_every_number_of_threads(capability, threads):
    batch = ragged_batch("flat", [30, 41, 7, 60] * 12, 40, torch.float32)
    inputs, _ = arguments(batch, 40, 50)
    before = torch.get_num_threads()
    results = []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            results.append(fast.quantized_lstm(*inputs, **batch.sizes))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_opcheck_and_compile(form):
    batch = ragged_batch(form, [4, 4, 4], 5, torch.float32)
    inputs, _ = arguments(batch, 5, 6)
    layout = {"padded": "time_major", "batch_first": "batch_major"}.get(form, form)
    sizes = next(v for k, v in batch.sizes.items() if k != "batch_first")
    torch.library.opcheck(torch.ops.textnn.quantized_lstm.default, (*inputs, sizes, layout, False, True))
    compiled = torch.compile(fast.quantized_lstm, fullgraph=True, backend="aot_eager")
    for a, b in zip(compiled(*inputs, **batch.sizes), fast.quantized_lstm(*inputs, **batch.sizes), strict=True):
        assert torch.equal(a, b)


# layers


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_frozen_layer_is_close_to_the_layer_for_every_kind_of_input(layers, bidirectional, batch_first):
    layer = textnn.LSTM(7, 20, layers, bidirectional=bidirectional, batch_first=batch_first)
    frozen = layer.freeze()
    x = torch.randn(4, 6, 7)
    B = 4 if batch_first else 6
    lengths = torch.arange(B) % 4 + 1
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=batch_first, enforce_sorted=False)
    flat, offsets = torch.randn(9, 7), torch.tensor([0, 4, 4])
    states = tuple(2 * torch.rand(layers * (1 + bidirectional), B, 20) - 1 for _ in range(2))
    for args, kwargs in [
        ((x,), {}),
        ((x, states), {}),
        ((x[0],), {}),
        ((x,), {"lengths": lengths}),
        ((packed,), {}),
        ((flat,), {"offsets": offsets}),
        ((x,), {"outputs": False}),
    ]:
        with torch.no_grad():
            (y, (h, c)), (y_, (h_, c_)) = frozen(*args, **kwargs), layer(*args, **kwargs)
        y, y_ = (y.data, y_.data) if isinstance(y_, torch.nn.utils.rnn.PackedSequence) else (y, y_)
        for a, b in ((y, y_), (h, h_), (c, c_)):
            assert a.shape == b.shape
            assert not a.numel() or (a - b).abs().max() < 0.06, kwargs


def test_a_frozen_layer_is_saved_loaded_and_copied():
    frozen = textnn.LSTM(5, 18, 2, bidirectional=True).freeze()
    assert not list(frozen.parameters())
    assert frozen.weight_l0.dtype == torch.int8
    x = torch.randn(3, 2, 5)
    fresh = textnn.FrozenLSTM(5, 18, 2, bidirectional=True)
    fresh.load_state_dict(frozen.state_dict())
    for other in (fresh, copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        assert torch.equal(other(x)[0], frozen(x)[0])


def test_a_copy_does_not_share_its_weights():
    frozen = textnn.LSTM(5, 18).freeze()
    other = copy.deepcopy(frozen)
    x = torch.randn(3, 2, 5)
    before = frozen(x)[0]
    other.bias_l0.fill_(7)
    assert torch.equal(frozen(x)[0], before)
    assert not torch.equal(other(x)[0], before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_layers_of_other_dtypes_can_be_frozen(dtype):
    layer = textnn.LSTM(7, 20, dtype=dtype)
    x = torch.randn(4, 2, 7)
    half = dtype != torch.float64
    y = layer.freeze()(x.to(dtype) if half else x)[0]
    assert y.dtype == (dtype if half else torch.float32)
    assert (y.double() - layer(x.to(dtype))[0].double()).abs().max() < 0.08
    table = textnn.EmbeddingLSTM(9, 7, 20, dtype=dtype)
    ids = torch.randint(0, 9, (2, 4))
    assert (table.freeze()(ids)[0].double() - table(ids)[0].double()).abs().max() < 0.08


def test_a_frozen_layer_keeps_its_dtypes():
    frozen = textnn.LSTM(5, 18).freeze()
    x = torch.randn(3, 2, 5)
    y = frozen(x)[0]
    for other in (frozen.half(), frozen.double(), frozen.to(torch.bfloat16)):
        assert torch.equal(other(x)[0], y)


def test_a_frozen_embedding_lstm_takes_what_the_layer_takes():
    layer = textnn.EmbeddingLSTM(9, 3, 4)
    frozen = layer.freeze()
    empty = torch.zeros(2, 0, dtype=torch.int64)
    assert frozen(empty)[0].shape == layer(empty)[0].shape == (2, 0, 4)
    for module in (layer, frozen):
        with pytest.raises(ValueError, match=r"ids must have shape \[B, L\], or \[N\] with offsets, got \[5\]"):
            module(torch.zeros(5, dtype=torch.int64))
        with pytest.raises(RuntimeError, match=r"Expected hidden\[0\] size \(1, 2, 4\), got \[1, 3, 4\]"):
            module(torch.zeros(2, 5, dtype=torch.int64), (torch.zeros(1, 3, 4),) * 2)
    with pytest.raises(ValueError, match="memory_limit must be at least 0 bytes, got -1"):
        layer.freeze(memory_limit=-1)


@pytest.mark.parametrize("outputs", [True, False])
def test_a_frozen_embedding_lstm(outputs):
    layer = textnn.EmbeddingLSTM(30, 8, 20, bidirectional=True)
    frozen = layer.freeze(dtype="int8")
    ids, lengths = torch.randint(0, 30, (4, 6)), torch.tensor([6, 1, 0, 3])
    (y, (h, _)), (y_, (h_, _)) = (m(ids, lengths=lengths, outputs=outputs) for m in (frozen, layer))
    assert y.shape == y_.shape
    assert (h - h_).abs().max() < 0.06
    with torch.no_grad():
        layer.weight.zero_()
    assert torch.equal(frozen(ids, lengths=lengths, outputs=outputs)[1][0], h), "the frozen layer has its own table"


# errors


def test_a_layer_that_cannot_be_frozen():
    with pytest.raises(ValueError, match="dtype must be 'int8' or 'bfloat16', got 'float32'"):
        textnn.LSTM(3, 4).freeze("float32")
    with pytest.raises(ValueError, match="dtype must be 'int8' or 'bfloat16', got 'int16'"):
        textnn.EmbeddingLSTM(9, 3, 4).freeze(dtype="int16")
    with pytest.raises(ValueError, match="proj_size"):
        textnn.LSTM(3, 4, proj_size=2).freeze()
    layer = textnn.LSTM(3, 4)
    layer.weight_hh_l0.data[0, 0] = float("inf")
    with pytest.raises(ValueError, match="finite weights, but w_hh"):
        layer.freeze()


@pytest.mark.parametrize(
    ("place", "change", "error", "message"),
    [
        (0, lambda t: t[0], ValueError, r"x must have shape \[T, B, I\], got \[3, 5\]"),
        (0, lambda t: t.double(), TypeError, "must have the dtype of x"),
        (2, lambda t: t[:, 1:], ValueError, r"c0 must have shape \[B, H\]"),
        (3, lambda t: t.short(), TypeError, "weight must be torch.int8, got torch.int16"),
        (3, lambda t: t[:, 1:], ValueError, "weight must have shape"),
        (4, lambda t: t[0], ValueError, "scale must have shape"),
        (4, lambda t: t.half(), TypeError, "scale must be torch.float32, got torch.float16"),
        (5, lambda t: t.long(), TypeError, "sum must be torch.int32, got torch.int64"),
        (6, lambda t: t[1:], ValueError, "bias must have shape"),
    ],
)
def test_errors_name_the_argument(place, change, error, message):
    inputs, _ = arguments(ragged_batch("dense", [4, 4, 4], 5, torch.float32), 5, 6)
    inputs[place] = change(inputs[place])
    with pytest.raises(error, match=message):
        fast.quantized_lstm(*inputs)


def test_there_is_no_gradient():
    inputs, _ = arguments(ragged_batch("dense", [4, 4, 4], 5, torch.float32), 5, 6)
    with pytest.raises(RuntimeError, match="train the layer that was frozen"):
        fast.quantized_lstm(inputs[0].requires_grad_(), *inputs[1:])
