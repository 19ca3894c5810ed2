"""How to compare two sides' speed, and the short comparison with ``torch.nn`` that ``textnn bench`` shows.

lengths like those of reviews, random tokens -> textnn and torch.nn with the same weights, call by call in turn
-> times, ratios, largest differences; and numerical gradients of the compiled kernels in float64
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from . import functional
from .layers import GRU, LSTM, EmbeddingTextConv

Call = Callable[[], Sequence[Tensor]]
# The batch: B sequences of at most L tokens of V words; D, H and C are the same.
B, L, D, V = 64, 200, 128, 20000
SIZES = (3, 4, 5)


@dataclass(frozen=True)
class Comparison:
    """One line of ``textnn bench``: seconds, ratio = peer / textnn, difference relative to the largest value."""

    case: str
    ours: float
    peer: str
    theirs: float
    ratio: float
    difference: float


def interleave(
    calls: Mapping[str, Call], seconds: float, least: int = 7, most: int = 101
) -> tuple[dict[str, list[float]], dict[str, list[Tensor]]]:
    """Run calls in turn, so that a drift of the machine's speed meets all of them.

    Parameters
    ----------
    calls : mapping of str to callable
        Functions without arguments that do the work once and return tensors.
    seconds : float
        Time for all of it, within ``least`` and ``most`` rounds.

    Returns
    -------
    times : dict of str to list of float
        Seconds of each call, round by round.
    results : dict of str to list of Tensor
        Copies of what each call's first run returned, the one that warms up.
    """
    results = {name: [_value(t) for t in call()] for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    rounds, spent = 0, 0.0
    while rounds < least or (rounds < most and spent < seconds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
            spent += times[name][-1]
        rounds += 1
    return times, results


def _value(t: Tensor) -> Tensor:
    return t.detach().to_dense() if t.is_sparse else t.detach().clone()


def review_lengths(number: int, random: torch.Generator, least: int, most: int) -> Tensor:
    """Draw lengths of reviews: half below 23 tokens, some very long."""
    return (23 * torch.randn(number, generator=random).exp()).long().clamp(least, most)


def frequent_tokens(number: int, random: torch.Generator) -> Tensor:
    """Draw tokens of a vocabulary of :data:`V` words that are as frequent as in a language: by Zipf's law."""
    frequency = 1 / torch.arange(1, V + 1, dtype=torch.float64)
    return torch.multinomial(frequency, number, replacement=True, generator=random)


def comparisons(seconds: float) -> Iterator[Comparison]:
    """Compare textnn's LSTM, GRU and TextCNN with ``torch.nn``, inference and training, in some ``seconds``."""
    random = torch.Generator().manual_seed(0)
    lengths = review_lengths(B, random, SIZES[-1], L)
    ids = frequent_tokens(B * int(lengths.max()), random).view(B, -1)
    ids = ids * (torch.arange(ids.shape[1]) < lengths[:, None])
    x = torch.randn(B, ids.shape[1], D, generator=random)
    sides = (
        ("LSTM", x, _recurrent("LSTM", nn.LSTM, LSTM, lengths)),
        ("GRU", x, _recurrent("GRU", nn.GRU, GRU, lengths)),
        ("TextCNN", ids, _text_convs(lengths)),
    )
    for name, tokens, modules in sides:
        for train in (False, True):
            calls = {side: _call(module, tokens, train) for side, module in modules.items()}
            times, results = interleave(calls, seconds / (2 * len(sides)), least=3)
            medians = {side: statistics.median(t) for side, t in times.items()}
            peer = min((side for side in calls if side != "textnn"), key=medians.__getitem__)
            pairs = zip(results["textnn"], results[peer], strict=True)
            yield Comparison(
                f"{name} {'training' if train else 'inference'}",
                medians["textnn"],
                peer,
                medians[peer],
                statistics.median(p / o for p, o in zip(times[peer], times["textnn"], strict=True)),
                max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs),
            )


def check_gradients() -> dict[str, bool]:
    """Compare the compiled kernels' gradients in float64 with numerical ones, on small ragged batches."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random).requires_grad_()

    lengths = torch.tensor([5, 1, 3])
    states = draw(5, 3, 4), draw(3, 6), draw(3, 6), draw(24, 4), draw(24, 6), draw(24), draw(24)
    state = draw(5, 3, 4), draw(3, 6), draw(18, 4), draw(18, 6), draw(18), draw(18)
    ids = torch.randint(0, 9, (3, 5), generator=random)
    table = draw(9, 4), draw(6, 4, 2), draw(6, 4, 3), draw(6), draw(6)

    def text_conv(table: Tensor, w2: Tensor, w3: Tensor, b2: Tensor, b3: Tensor) -> Tensor:
        return functional.embedding_text_conv(ids, table, [w2, w3], [b2, b3], lengths=lengths)

    checks: dict[str, tuple[Callable[..., Tensor | Sequence[Tensor]], tuple[Tensor, ...]]] = {
        "LSTM": (lambda *tensors: functional.lstm(*tensors, lengths=lengths), states),
        "GRU": (lambda *tensors: functional.gru(*tensors, lengths=lengths), state),
        "TextCNN": (text_conv, table),
    }
    return {
        name: bool(torch.autograd.gradcheck(function, inputs, raise_exception=False))
        for name, (function, inputs) in checks.items()
    }


class _Padded(nn.Module):
    """An nn.LSTM or nn.GRU on padded input [B, L, D]; outputs at padding are set to zero."""

    def __init__(self, layer: nn.RNNBase, lengths: Tensor) -> None:
        super().__init__()
        self.layer, self.lengths = layer, lengths

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)[0]
        return y * (torch.arange(x.shape[1]) < self.lengths[:, None]).unsqueeze(2)


class _Packed(_Padded):
    """The same through a PackedSequence."""

    def forward(self, x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, self.lengths, batch_first=True, enforce_sorted=False)
        y: Tensor = pad_packed_sequence(self.layer(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return y


class _Ours(nn.Module):
    """A layer of textnn with lengths."""

    def __init__(self, layer: nn.Module, lengths: Tensor) -> None:
        super().__init__()
        self.layer, self.lengths = layer, lengths

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x, lengths=self.lengths)
        result: Tensor = y[0] if isinstance(y, tuple) else y
        return result


class _Conv1d(nn.Module):
    """nn.Embedding, nn.Conv1d, ReLU and the largest value of each sentence's own windows."""

    def __init__(self, layer: EmbeddingTextConv, lengths: Tensor) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, D, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(D, D, K) for K in SIZES)
        self.embedding.load_state_dict({"weight": layer.weight.detach()})
        self.convs.load_state_dict(layer.convs.state_dict())
        self.lengths = lengths

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids).transpose(1, 2)
        pooled = []
        for K, conv in zip(SIZES, self.convs, strict=True):
            z = F.relu(conv(x))
            inside = torch.arange(z.shape[2]) <= self.lengths[:, None] - K
            pooled.append((z * inside.unsqueeze(1)).max(dim=2).values)
        return torch.cat(pooled, dim=1)


def _recurrent(
    name: str, torchs: Callable[..., nn.RNNBase], textnns: Callable[..., nn.RNNBase], lengths: Tensor
) -> dict[str, nn.Module]:
    theirs, ours = torchs(D, D, batch_first=True), textnns(D, D, batch_first=True)
    ours.load_state_dict(theirs.state_dict())
    return {
        "textnn": _Ours(ours, lengths),
        f"{name}, packed": _Packed(theirs, lengths),
        f"{name}, padded": _Padded(theirs, lengths),
    }


def _text_convs(lengths: Tensor) -> dict[str, nn.Module]:
    layer = EmbeddingTextConv(V, D, D, SIZES)
    return {"textnn": _Ours(layer, lengths), "Conv1d": _Conv1d(layer, lengths)}


def _call(module: nn.Module, x: Tensor, train: bool) -> Call:
    @torch.inference_mode()
    def forward() -> list[Tensor]:
        return [module(x)]

    if not train:
        return forward
    weight = torch.randn(forward()[0].shape, generator=torch.Generator().manual_seed(1))

    def step() -> list[Tensor]:
        module.zero_grad(set_to_none=True)
        (module(x) * weight).sum().backward()
        return [p.grad for p in module.parameters() if p.grad is not None]

    return step
