"""textnn.LSTM against torch.nn.LSTM: dense, ragged and single sequences, inference and training.

    python -m bench.lstm [--data FILE] [--seconds S]

Peers: ``nn.LSTM`` on dense input (oneDNN); for ragged batches the faster of ``nn.LSTM`` on padded input, which computes
the padding too, and on a ``PackedSequence``. Ragged lengths are those of real reviews, cut at 200 tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import textnn

from . import reviews
from .harness import Call, Effort, Row, compare
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
LONGEST = 200


def pair(width: int, H: int, layers: int, directions: int) -> tuple[textnn.LSTM, nn.LSTM]:
    theirs = nn.LSTM(width, H, layers, bidirectional=directions == 2)
    ours = textnn.LSTM(width, H, layers, bidirectional=directions == 2)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def inference(layer: nn.Module, *inputs: Tensor) -> Call:
    @torch.inference_mode()
    def call() -> list[Tensor]:
        return [layer(*inputs)[0]]

    return call


def training(layer: nn.Module, x: Tensor, last: bool) -> Call:
    """Forward and backward; the loss is a fixed weighting of all outputs, or of those of the last step."""
    y = layer(x)[0]
    weight = torch.randn(y.shape[1:] if last else y.shape, dtype=y.dtype, device=y.device)

    def call() -> list[Tensor]:
        for p in layer.parameters():
            p.grad = None
        x.grad = None
        y = layer(x)[0]
        ((y[-1] if last else y) * weight).sum().backward()
        assert x.grad is not None
        return [x.grad, *[p.grad for p in layer.parameters() if p.grad is not None]]

    return call


def flops(B: int, T: int, width: int, H: int, layers: int, directions: int) -> float:
    """Of the matrix products of a forward pass."""
    first, rest = width + H, directions * H + H
    return 2.0 * B * T * 4 * H * directions * (first + (layers - 1) * rest)


def inference_rows(name: str, shapes: Sequence[Shape], peak: float, effort: Effort) -> Iterator[Row]:
    for shape in shapes:
        B, T, width, H, layers, directions = shape
        ours, theirs = pair(width, H, layers, directions)
        x = torch.randn(T, B, width)
        row = compare(name, str(shape), inference(ours, x), {"nn.LSTM": inference(theirs, x)}, effort)
        rate = flops(*shape) / row.ours / 1e6
        row.extra = {"GFLOP/s": rate, "of the peak": rate / peak}
        yield row


def training_rows(name: str, shapes: Sequence[Shape], last: bool, effort: Effort) -> Iterator[Row]:
    for shape in shapes:
        B, T, width, H, layers, directions = shape
        ours, theirs = pair(width, H, layers, directions)
        x = torch.randn(T, B, width, requires_grad=True)
        torch.manual_seed(1)
        mine = training(ours, x, last)
        torch.manual_seed(1)
        yield compare(name, str(shape), mine, {"nn.LSTM": training(theirs, x, last)}, effort)


def dense_rows(effort: Effort) -> Iterator[Row]:
    peak, brief, train = matrix_product_peak(), effort.share(0.5), "LSTM, dense, forward and backward"
    yield from inference_rows("LSTM, dense, inference", DENSE, peak, effort)
    yield from inference_rows("LSTM, one sequence, inference", SINGLE, peak, effort)
    yield from training_rows(f"{train}, loss on all outputs", DENSE, False, effort)
    yield from training_rows(f"{train}, loss on the last output", [s for s in DENSE if s[1] >= 100], True, effort)
    yield from inference_rows("LSTM, dense, inference, other shapes", OTHER, peak, brief)
    yield from training_rows(f"{train}, loss on all outputs, other shapes", OTHER, False, brief)


class Packed(nn.Module):
    """nn.LSTM on a PackedSequence, from padded input to padded output."""

    def __init__(self, lstm: nn.LSTM, lengths: Tensor) -> None:
        super().__init__()
        self.lstm, self.lengths = lstm, lengths

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        y, _ = self.lstm(pack_padded_sequence(x, self.lengths, enforce_sorted=False))
        return pad_packed_sequence(y, total_length=x.shape[0])[0], None


class Ragged(nn.Module):
    """textnn.LSTM with lengths, or nn.LSTM on padded input whose outputs at padding are set to zero."""

    def __init__(self, lstm: nn.Module, lengths: Tensor, masked: bool) -> None:
        super().__init__()
        self.lstm, self.lengths, self.masked = lstm, lengths, masked

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        if not self.masked:
            return self.lstm(x, lengths=self.lengths)[0], None
        mask = (torch.arange(x.shape[0], device=x.device)[:, None] < self.lengths).unsqueeze(2)
        return self.lstm(x)[0] * mask, None


def ragged_sides(data: reviews.Reviews, B: int, H: int, directions: int) -> tuple[Tensor, dict[str, nn.Module]]:
    """Inputs [T, B, H] and the modules to compare, for the lengths of B reviews."""
    lengths = data.padded(B, LONGEST)[1]
    ours, theirs = pair(H, H, 1, directions)
    # The padded form has another result in the reverse direction, where it begins with padding; it is timed all the
    # same, as the fastest thing that people do.
    return torch.randn(int(lengths.max()), B, H), {
        "textnn": Ragged(ours, lengths, masked=False),
        "packed": Packed(theirs, lengths),
        "padded": Ragged(theirs, lengths, masked=True),
    }


def ragged_rows(data: reviews.Reviews, effort: Effort) -> Iterator[Row]:
    for train in (False, True):
        group = f"LSTM, ragged, {'forward and backward' if train else 'inference'}"
        for B, H, directions in RAGGED:
            x, sides = ragged_sides(data, B, H, directions)
            x.requires_grad_(train)
            calls = {}
            for name, side in sides.items():
                torch.manual_seed(1)
                calls[name] = training(side, x, last=False) if train else inference(side, x)
            row = compare(group, f"B={B} H={H} directions={directions}", calls.pop("textnn"), calls, effort)
            if row.peer == "padded" and directions == 2:
                row.difference = float("nan")
            yield row


def rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    yield from dense_rows(effort)
    yield from ragged_rows(reviews.load(data_path), effort)


if __name__ == "__main__":
    from .__main__ import run

    run(["lstm"])
