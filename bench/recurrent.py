"""The recurrent layers against those of torch.nn: dense, ragged and single sequences, inference and training.

    python -m bench [lstm] [gru] [rnn] [lstm_bf16] [gru_bf16] [rnn_bf16] [--data FILE] [--seconds S]

lstm_bf16 and its like run textnn under autocast to bfloat16, against the faster of torch's layers under autocast and in
float32.

Peers: torch's own layer on dense input (oneDNN has the LSTM alone); for ragged batches the faster of the layer on
padded input, which computes the padding too, and on a ``PackedSequence``; from token ids the same behind an
``nn.Embedding``.
Ragged lengths are those of real reviews, cut at 200 tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import textnn

from . import reviews
from .harness import AUTOCAST, Call, Effort, Row, compare, precisions
from .peak import matrix_product_peak

# B, T, I, H, layers, directions
Shape = tuple[int, int, int, int, int, int]
DENSE = [
    (128, 10, 100, 256, 2, 1),
    (32, 50, 128, 256, 1, 1),
    (64, 128, 256, 256, 1, 1),
    (128, 100, 100, 128, 1, 2),
    (32, 32, 512, 512, 1, 1),
    (256, 200, 128, 64, 1, 1),
    (8, 64, 128, 128, 1, 2),
    (16, 40, 97, 75, 1, 1),
]
SINGLE = [(1, 50, 100, 256, 2, 1), (1, 200, 300, 128, 1, 2), (1, 23, 128, 128, 1, 1)]
# Outside of what the kernels were made for: tiny, wide and long ones, odd widths; none of them counts in the others'
# means.
OTHER = [
    (1, 1, 64, 64, 1, 1),
    (4, 20, 64, 64, 1, 1),
    (64, 30, 300, 200, 1, 1),
    (512, 20, 128, 128, 1, 1),
    (16, 500, 64, 128, 1, 1),
    (32, 50, 50, 33, 2, 2),
]
RAGGED = [(B, H, directions) for B in (32, 64, 256) for H in (64, 128, 256) for directions in (1, 2)]
FROM_IDS = [(B, H, directions) for B in (64, 256) for H in (128, 256) for directions in (1, 2)]
LONGEST = 200


def pair(width: int, H: int, layers: int, directions: int, kind: str = "LSTM") -> tuple[nn.RNNBase, nn.RNNBase]:
    """A layer of textnn and one of torch.nn with the same weights."""
    theirs: nn.RNNBase = getattr(nn, kind)(width, H, layers, bidirectional=directions == 2)
    ours: nn.RNNBase = getattr(textnn, kind)(width, H, layers, bidirectional=directions == 2)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def autocast(half: bool) -> torch.autocast:
    """Autocast to bfloat16, or nothing."""
    return torch.autocast("cpu", torch.bfloat16, enabled=half)


def inference(layer: nn.Module, *inputs: Tensor, half: bool = False) -> Call:
    @torch.inference_mode()
    def call() -> list[Tensor]:
        with autocast(half):
            return [layer(*inputs)[0]]

    return call


def training(layer: nn.Module, x: Tensor, last: bool, half: bool = False) -> Call:
    """Forward and backward; the loss is a fixed weighting of all outputs, or of those of the last step."""
    with autocast(half):
        y = layer(x)[0]
    # Drawn in float32, so that peers in other dtypes have the same ones.
    weight = torch.randn(y.shape[1:] if last else y.shape, device=y.device).to(y.dtype)

    def call() -> list[Tensor]:
        for p in layer.parameters():
            p.grad = None
        x.grad = None
        with autocast(half):
            y = layer(x)[0]
        ((y[-1] if last else y) * weight).sum().backward()
        assert x.grad is not None
        return [x.grad, *[p.grad for p in layer.parameters() if p.grad is not None]]

    return call


def flops(B: int, T: int, width: int, H: int, layers: int, directions: int, kind: str = "LSTM") -> float:
    """Of the matrix products of a forward pass."""
    blocks = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    first, rest = width + H, directions * H + H
    return 2.0 * B * T * blocks * H * directions * (first + (layers - 1) * rest)


def in_words(kind: str, half: bool) -> str:
    """The layer in a group's name."""
    return f"{kind} in bfloat16" if half else kind


def peer_name(peer: str, half: bool) -> str:
    return peer + AUTOCAST if half else peer


def inference_rows(
    kind: str, name: str, shapes: Sequence[Shape], peak: float, effort: Effort, half: bool = False
) -> Iterator[Row]:
    for shape in shapes:
        B, T, width, H, layers, directions = shape
        ours, theirs = pair(width, H, layers, directions, kind)
        x = torch.randn(T, B, width)
        peers = {peer_name(f"nn.{kind}", h): inference(theirs, x, half=h) for h in precisions(half)}
        row = compare(f"{in_words(kind, half)}, {name}", str(shape), inference(ours, x, half=half), peers, effort)
        rate = flops(*shape, kind) / row.ours / 1e6
        row.extra = {"GFLOP/s": rate, "of the peak": rate / peak}
        yield row.in_bfloat16() if half else row


def training_rows(
    kind: str, name: str, shapes: Sequence[Shape], last: bool, effort: Effort, half: bool = False
) -> Iterator[Row]:
    for shape in shapes:
        B, T, width, H, layers, directions = shape
        ours, theirs = pair(width, H, layers, directions, kind)
        x = torch.randn(T, B, width, requires_grad=True)
        peers = {}
        for h in precisions(half):
            torch.manual_seed(1)
            peers[peer_name(f"nn.{kind}", h)] = training(theirs, x, last, h)
        torch.manual_seed(1)
        mine = training(ours, x, last, half)
        row = compare(f"{in_words(kind, half)}, {name}", str(shape), mine, peers, effort)
        yield row.in_bfloat16() if half else row


def dense_rows(kind: str, effort: Effort, half: bool = False) -> Iterator[Row]:
    peak = matrix_product_peak(torch.bfloat16) if half else matrix_product_peak()
    brief, train, long = effort.share(0.5), "dense, forward and backward", [s for s in DENSE if s[1] >= 100]
    yield from inference_rows(kind, "dense, inference", DENSE, peak, effort, half)
    yield from inference_rows(kind, "one sequence, inference", SINGLE, peak, effort, half)
    yield from training_rows(kind, "one sequence, forward and backward", SINGLE, False, effort, half)
    yield from training_rows(kind, f"{train}, loss on all outputs", DENSE, False, effort, half)
    yield from training_rows(kind, f"{train}, loss on the last output", long, True, effort, half)
    yield from inference_rows(kind, "dense, inference, other shapes", OTHER, peak, brief, half)
    yield from training_rows(kind, f"{train}, loss on all outputs, other shapes", OTHER, False, brief, half)


class Packed(nn.Module):
    """A layer of torch.nn on a PackedSequence, from padded input to padded output."""

    def __init__(self, layer: nn.Module, lengths: Tensor) -> None:
        super().__init__()
        self.layer, self.lengths = layer, lengths

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        y, _ = self.layer(pack_padded_sequence(x, self.lengths, enforce_sorted=False))
        return pad_packed_sequence(y, total_length=x.shape[0])[0], None


class Ragged(nn.Module):
    """A layer of textnn with lengths, or torch's on padded input whose outputs at padding are set to zero."""

    def __init__(self, layer: nn.Module, lengths: Tensor, masked: bool) -> None:
        super().__init__()
        self.layer, self.lengths, self.masked = layer, lengths, masked

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        if not self.masked:
            return self.layer(x, lengths=self.lengths)[0], None
        mask = (torch.arange(x.shape[0], device=x.device)[:, None] < self.lengths).unsqueeze(2)
        return self.layer(x)[0] * mask, None


def ragged_sides(
    data: reviews.Reviews, B: int, H: int, directions: int, kind: str = "LSTM"
) -> tuple[Tensor, dict[str, nn.Module]]:
    """Inputs [T, B, H] and the modules to compare, for the lengths of B reviews."""
    lengths = data.padded(B, LONGEST)[1]
    ours, theirs = pair(H, H, 1, directions, kind)
    # The padded form has another result in the reverse direction, where it begins with padding; it is timed all the
    # same, as the fastest thing that people do.
    return torch.randn(int(lengths.max()), B, H), {
        "textnn": Ragged(ours, lengths, masked=False),
        "packed": Packed(theirs, lengths),
        "padded": Ragged(theirs, lengths, masked=True),
    }


def sides_in(half: bool, sides: dict[str, nn.Module]) -> Iterator[tuple[str, nn.Module, bool]]:
    """Of each side that is compared a name, the module, and whether it runs under autocast."""
    for name, module in sides.items():
        for h in [half] if name == "textnn" else precisions(half):
            yield name if name == "textnn" else peer_name(name, h), module, h


def ragged_rows(kind: str, data: reviews.Reviews, effort: Effort, half: bool = False) -> Iterator[Row]:
    for train in (False, True):
        group = f"{in_words(kind, half)}, ragged, {'forward and backward' if train else 'inference'}"
        for B, H, directions in RAGGED:
            x, sides = ragged_sides(data, B, H, directions, kind)
            x.requires_grad_(train)
            calls = {}
            for name, side, h in sides_in(half, sides):
                torch.manual_seed(1)
                calls[name] = training(side, x, False, h) if train else inference(side, x, half=h)
            row = _row(group, B, H, directions, calls, effort)
            yield row.in_bfloat16() if half else row


def _row(group: str, B: int, H: int, directions: int, calls: dict[str, Call], effort: Effort) -> Row:
    row = compare(group, f"B={B} H={H} directions={directions}", calls.pop("textnn"), calls, effort)
    if row.peer.startswith("padded") and directions == 2:
        row.difference = float("nan")
    return row


class FromIds(nn.Module):
    """nn.Embedding and a module for ragged batches; ids [T, B]."""

    def __init__(self, table: Tensor, ragged: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(*table.shape, padding_idx=0)
        self.embedding.load_state_dict({"weight": table.detach()})
        self.ragged = ragged

    def forward(self, ids: Tensor) -> tuple[Tensor, None]:
        return self.ragged(self.embedding(ids))[0], None


class Ours(nn.Module):
    def __init__(self, layer: nn.Module, lengths: Tensor) -> None:
        super().__init__()
        self.layer, self.lengths = layer, lengths

    def forward(self, ids: Tensor) -> tuple[Tensor, None]:
        return self.layer(ids.t(), lengths=self.lengths)[0].transpose(0, 1), None


def step(module: nn.Module, ids: Tensor, half: bool = False) -> Call:
    """Forward and backward with a fixed weighting of all outputs."""
    weight = torch.randn(module(ids)[0].shape)

    def call() -> list[Tensor]:
        module.zero_grad()
        with autocast(half):
            y = module(ids)[0]
        (y * weight).sum().backward()
        return [p.grad for p in module.parameters() if p.grad is not None]

    return call


def id_rows(kind: str, data: reviews.Reviews, effort: Effort, half: bool = False) -> Iterator[Row]:
    for train in (False, True):
        group = f"{in_words(kind, half)} from token ids, ragged, {'forward and backward' if train else 'inference'}"
        for B, H, directions in FROM_IDS:
            ids, lengths = data.padded(B, LONGEST)
            ids = ids[:, : int(lengths.max())].t().contiguous()
            layer = getattr(textnn, f"Embedding{kind}")(data.V, H, H, bidirectional=directions == 2)
            theirs = getattr(nn, kind)(H, H, bidirectional=directions == 2)
            theirs.load_state_dict(getattr(layer, kind.lower()).state_dict())
            sides: dict[str, nn.Module] = {
                "textnn": Ours(layer, lengths),
                "packed": FromIds(layer.weight, Packed(theirs, lengths)),
                "padded": FromIds(layer.weight, Ragged(theirs, lengths, masked=True)),
            }
            calls = {}
            for name, side, h in sides_in(half, sides):
                torch.manual_seed(1)
                calls[name] = step(side, ids, h) if train else inference(side, ids, half=h)
            row = _row(group, B, H, directions, calls, effort)
            row.extra = {"distinct tokens": len(ids.unique()) / int(lengths.sum())}
            yield row.in_bfloat16() if half else row


def rows(kind: str, data_path: str | None, effort: Effort, half: bool = False) -> Iterator[Row]:
    data = reviews.load(data_path)
    yield from dense_rows(kind, effort, half)
    yield from ragged_rows(kind, data, effort, half)
    yield from id_rows(kind, data, effort.share(0.5), half)
