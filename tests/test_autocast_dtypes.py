"""Under autocast on the CPU every layer gives the dtypes that torch's own gives, carried states included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import textnn

B, T, H = 2, 4, 5
KINDS = ("LSTM", "GRU", "RNN")
HALF, FULL, DOUBLE = torch.bfloat16, torch.float32, torch.float64


def dtypes(results: Any) -> list[torch.dtype]:
    return [t.dtype for t in pytree.tree_leaves(results) if isinstance(t, Tensor) and t.is_floating_point()]


def outputs(results: Any) -> list[Tensor]:
    """The data of packed ones."""
    y, states = results
    return [y.data if isinstance(y, nn.utils.rnn.PackedSequence) else y, *pytree.tree_leaves(states)]


def pair(kind: str, *arguments: Any, **options: Any) -> tuple[nn.Module, nn.Module]:
    if kind == "LSTM" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("torch's LSTM does not run under autocast on this CPU")
    dtype = options.pop("dtype", None)
    ours, theirs = (getattr(module, kind)(*arguments, **options).to(dtype) for module in (textnn, nn))
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def same(ours: Callable[[], Any], theirs: Callable[[], Any], dtype: torch.dtype = HALF) -> None:
    """The same dtypes, and the values that 16 bits allow."""
    with torch.autocast("cpu", dtype):
        got, want = pytree.tree_leaves(ours()), pytree.tree_leaves(theirs())
    assert dtypes(got) == dtypes(want)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)


@pytest.mark.cpu
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("of_weights", [FULL, HALF, DOUBLE])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, {}) for kind in KINDS),
        *((kind, {"num_layers": 2, "bidirectional": True}) for kind in KINDS),
        ("LSTM", {"proj_size": 2}),
        ("LSTM", {"proj_size": 2, "num_layers": 2}),
        ("GRU", {"bias": False}),
    ],
    ids=str,
)
def test_recurrent_layers(kind: str, options: dict[str, Any], of_weights: torch.dtype, packed: bool) -> None:
    ours, theirs = pair(kind, 3, H, dtype=of_weights, **options)
    x: Any = torch.randn(T, B, 3).to(of_weights)
    x = pack_padded_sequence(x, torch.tensor([4, 3])) if packed else x
    same(lambda: outputs(ours(x)), lambda: outputs(theirs(x)))


@pytest.mark.cpu
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("of_states", [FULL, HALF])
@pytest.mark.parametrize("of_input", [FULL, HALF])
@pytest.mark.parametrize("kind", KINDS)
def test_states_that_are_handed_in(kind: str, of_input: torch.dtype, of_states: torch.dtype, packed: bool) -> None:
    ours, theirs = pair(kind, 3, H)
    x: Any = torch.randn(T, B, 3).to(of_input)
    x = pack_padded_sequence(x, torch.tensor([4, 3])) if packed else x
    h = torch.randn(1, B, H).to(of_states)
    hx = (h, 2 * h) if kind == "LSTM" else h
    same(lambda: outputs(ours(x, hx)), lambda: outputs(theirs(x, hx)))


@pytest.mark.cpu
@pytest.mark.parametrize("kind", KINDS)
def test_states_carried_from_call_to_call(kind: str) -> None:
    """As a loop over pieces of a long text does it."""
    ours, theirs = pair(kind, 3, H)
    x = torch.randn(3, T, B, 3)

    def run(layer: nn.Module) -> list[Tensor]:
        results, states = [], None
        for piece in x:
            y, states = layer(piece, states)
            results += [y, *pytree.tree_leaves(states)]
        return results

    same(lambda: run(ours), lambda: run(theirs))


@pytest.mark.cpu
@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_float16(kind: str) -> None:
    """oneDNN has an LSTM in float16 on few CPUs only: torch's raises an error on the others, textnn's does not."""
    ours, theirs = pair(kind, 3, H)
    x = torch.randn(T, B, 3)
    same(lambda: ours(x), lambda: theirs(x), torch.float16)
    with torch.autocast("cpu", torch.float16):
        assert dtypes(textnn.LSTM(3, H)(x)) == [torch.float16] * 3


@pytest.mark.cpu
@pytest.mark.parametrize("of_states", [None, FULL, HALF])
@pytest.mark.parametrize("of_input", [FULL, HALF])
@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells(kind: str, of_input: torch.dtype, of_states: torch.dtype | None) -> None:
    ours, theirs = pair(kind, 3, H)
    x = torch.randn(B, 3).to(of_input)
    h = None if of_states is None else torch.randn(B, H).to(of_states)
    hx = h if h is None or kind != "LSTMCell" else (h, 2 * h)
    same(lambda: ours(x, hx), lambda: theirs(x, hx))


@pytest.mark.cpu
@pytest.mark.parametrize("of_weights", [FULL, HALF, DOUBLE])
def test_convolution_look_up_and_pooling(of_weights: torch.dtype) -> None:
    conv, ids, x = nn.Conv1d(3, H, 2).to(of_weights), torch.randint(0, 7, (B, T)), torch.randn(B, T, 3).to(of_weights)
    table, kernels = torch.randn(7, 3).to(of_weights), ([conv.weight], [conv.bias])
    functions = textnn.functional
    same(lambda: functions.text_conv(x, *kernels), lambda: conv(x.transpose(1, 2)).relu().amax(-1))
    same(
        lambda: functions.embedding_text_conv(ids, table, *kernels),
        lambda: conv(F.embedding(ids, table).transpose(1, 2)).relu().amax(-1),
    )
    same(lambda: functions.embedding(ids, table), lambda: F.embedding(ids, table))
    same(lambda: functions.max_mean_pool(x), lambda: torch.cat([x.amax(1), x.mean(1)], 1))


@pytest.mark.cpu
@pytest.mark.parametrize("kind", KINDS)
def test_token_ids_lengths_and_offsets(kind: str) -> None:
    """What torch's layers do not take has the dtypes of a padded batch."""
    layer, theirs = pair(kind, 3, H, batch_first=True)
    joined = getattr(textnn, f"Embedding{kind}")(7, 3, H)
    x, ids = torch.randn(B, T, 3), torch.randint(0, 7, (B, T))
    with torch.autocast("cpu", HALF):
        want = dtypes(theirs(x))
        assert dtypes(layer(x, lengths=[4, 2])) == want
        assert dtypes(layer(x.flatten(0, 1), offsets=[0, 3])) == want
        assert dtypes(joined(ids)) == want
        assert dtypes(joined(ids.flatten(), offsets=[0, 3])) == want


@pytest.mark.cpu
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_have_the_dtype_of_the_parameters(kind: str) -> None:
    ours, theirs = pair(kind, 3, H)
    x = torch.randn(T, B, 3)
    for layer in (ours, theirs):
        with torch.autocast("cpu", HALF):
            y, _ = layer(x)
        y.float().square().sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert a.grad is not None
        assert a.grad.dtype == FULL
        torch.testing.assert_close(a.grad, b.grad, rtol=0.1, atol=0.1)


@pytest.mark.cpu
def test_sums_are_made_in_float32() -> None:
    """Factors that are bfloat16 already give what float32 gives: nothing else is cut to 16 bits."""
    layer, x = textnn.GRU(64, 64), torch.randn(1, B, 64).to(HALF).float()
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(p.to(HALF))
    want = layer(x)[0]
    with torch.autocast("cpu", HALF):
        torch.testing.assert_close(layer(x)[0], want, rtol=1e-3, atol=1e-5)


@pytest.mark.cpu
@pytest.mark.parametrize("kind", KINDS)
def test_compiled(kind: str) -> None:
    layer, x = getattr(textnn, kind)(3, H), torch.randn(T, B, 3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    same(lambda: compiled(x), lambda: layer(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_stack_goes_by_the_dtype_that_it_was_given(kind: str, layers: int, bidirectional: bool) -> None:
    ours, theirs = pair(kind, 3, H, layers, bidirectional=bidirectional)
    for dtype in (torch.float16, HALF, FULL):
        x = torch.randn(T, B, 3).to(dtype)
        same(lambda x=x: ours(x), lambda x=x: theirs(x))


@pytest.mark.parametrize("dtype", [HALF, torch.float32])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "TextConv"])
def test_tables_keep_sparse_gradients(kind: str, dtype: torch.dtype) -> None:
    """Autocast changes the dtype of a table, and on CUDA of every table in float32."""
    layer = getattr(textnn, f"Embedding{kind}")(20, 6, 5, sparse=True, padding_idx=None).to(dtype)
    dense = getattr(textnn, f"Embedding{kind}")(20, 6, 5, padding_idx=None).to(dtype)
    dense.load_state_dict(layer.state_dict())
    ids = torch.randint(0, 20, (3, 7))
    for one in (layer, dense):
        with torch.autocast("cpu", HALF):
            found = one(ids)
        (found if kind == "TextConv" else found[0]).float().sum().backward()
    assert layer.weight.grad.layout == torch.sparse_coo
    assert layer.weight.grad.dtype == dtype
    assert torch.equal(layer.weight.grad.to_dense(), dense.weight.grad)
