"""What a recurrent layer keeps for its backward pass follows the tokens of a batch, not its padded size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

import textnn

LENGTHS = [120, *[i % 4 for i in range(31)]]  # one sequence is long
KINDS: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: textnn.LSTM(6, 20, 2, batch_first=True, bidirectional=True),
    "LSTM with a projection": lambda: textnn.LSTM(6, 20, batch_first=True, proj_size=7),
    "GRU": lambda: textnn.GRU(6, 20, batch_first=True, bidirectional=True),
    "RNN": lambda: textnn.RNN(6, 20, batch_first=True),
    "EmbeddingLSTM": lambda: textnn.EmbeddingLSTM(50, 6, 20),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def kept_bytes(function: Callable[[], Any]) -> int:
    """Bytes of the memory in which tensors saved for the backward pass lie, each piece counted once."""
    pieces = {}

    def pack(t: Tensor) -> Tensor:
        pieces[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with saved_tensors_hooks(pack, lambda t: t):
        function()
    return sum(pieces.values())


def batch(kind: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same sequences padded with their lengths, and flat with their offsets."""
    lengths = torch.tensor(LENGTHS)
    shape = (len(LENGTHS), max(LENGTHS))
    x = torch.randint(1, 50, shape) if kind.startswith("Embedding") else torch.randn(*shape, 6)
    flat = torch.cat([x[b, :n] for b, n in enumerate(LENGTHS)])
    return x, lengths, flat, lengths.cumsum(0) - lengths


@each_kind
def test_padding_takes_no_memory_but_that_of_the_input(capability, kind):
    layer = KINDS[kind]()
    x, lengths, flat, offsets = batch(kind)
    padded = kept_bytes(lambda: layer(x, lengths=lengths, outputs=False)) - x.nbytes
    without = kept_bytes(lambda: layer(flat, offsets=offsets, outputs=False)) - flat.nbytes
    if kind == "LSTM":  # the second layer reads what the first one gives, padded as its input is
        padded -= 4 * 2 * 20 * (len(LENGTHS) * max(LENGTHS) - sum(LENGTHS))
    assert padded == without


@pytest.mark.parametrize("backend", ["aot_eager"])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("captured", [False, True])
def test_a_compiled_graph_keeps_rows_for_the_padding_unless_sizes_may_depend_on_values(backend, dynamic, captured):
    layer = KINDS["LSTM"]()
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=captured):
        compiled = torch.compile(layer, fullgraph=True, dynamic=dynamic, backend=backend)
        for B in (3, 5):
            x, lengths = torch.randn(B, 100, 6, requires_grad=True), torch.tensor([100, *[2] * (B - 1)])
            found = []
            for function in (layer, compiled):
                y, (h, c) = function(x, lengths=lengths)
                found.append([y, h, c, *torch.autograd.grad(y.sum() + c.sum(), [x, *layer.parameters()])])
            torch.testing.assert_close(*found)
            eager = kept_bytes(lambda x=x, n=lengths: layer(x, lengths=n))
            assert (kept_bytes(lambda x=x, n=lengths: compiled(x, lengths=n)) > 1.5 * eager) is not captured


def arguments(exact: bool) -> tuple[Any, ...]:
    """Of the raw operator, for a GRU over 4 sequences of at most 5 steps, 8 in all."""
    w = [torch.randn(9, 6), torch.randn(9, 3), *[None] * 8]
    sizes = torch.tensor([5, 1, 0, 2])
    batch = (sizes, "batch_major", False, "ieee", -1, False, True, False, True, exact)
    return "gru", torch.randn(4, 5, 6), None, torch.zeros(4, 3), None, *w, *batch


def test_a_caller_may_have_rows_for_all_positions(capability):
    given = arguments(exact=True)
    results = []
    for exact in (True, False):
        y, h, _, _, *kept = torch.ops.textnn.recurrent(*given[:-1], exact)
        assert [len(k) for k in kept] == [8 if exact else 20, 0, 8 if exact else 20, 0]
        gradients = ("gru", torch.ones_like(y), h, None, None)
        results.append(torch.ops.textnn.recurrent_backward(*gradients, *given[1:19], *kept, -1, False, True))
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
    short = [k[:7] for k in kept]
    with pytest.raises(RuntimeError, match="must have 8 rows for these sizes, got 7"):
        torch.ops.textnn.recurrent_backward(*gradients, *given[1:19], *short, -1, False, True)


def test_shapes_are_known_without_values_and_without_symbols():
    given = arguments(exact=True)
    found = torch.ops.textnn.recurrent(*(a.to("meta") if isinstance(a, Tensor) else a for a in given))
    assert [len(k) for k in found[4:]] == [20, 0, 20, 0]
    with FakeTensorMode() as mode:
        found = torch.ops.textnn.recurrent(*(mode.from_tensor(a) if isinstance(a, Tensor) else a for a in given))
    assert [len(k) for k in found[4:]] == [20, 0, 20, 0]
