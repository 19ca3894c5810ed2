"""textnn.EmbeddingTextConv against the TextCNN of plain PyTorch, from token ids of real reviews to pooled features.

    python -m bench [text_conv] [text_conv_bf16] [--data FILE] [--seconds S]

text_conv_bf16 runs textnn under autocast to bfloat16, against the faster of torch's under autocast and in float32.

Peers: ``nn.Embedding`` + ``F.conv1d``; the same convolution as unfold + matrix product; the ``nn.Conv2d`` form of the
popular repositories. All give the same features; padding tokens count as tokens, as they do there, but in the ragged
case, where the peers mask what lies behind a sentence's end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import textnn

from . import reviews
from .harness import Call, Effort, Row, compare, precisions
from .recurrent import autocast, in_words, peer_name

# B, L (None: ragged), D, C, kernel sizes
Shape = tuple[int, int | None, int, int, tuple[int, ...]]
SHAPES: list[Shape] = [
    (128, 10, 100, 100, (3,)),
    (64, 64, 128, 128, (3,)),
    (128, 64, 100, 100, (3, 4, 5)),
    (50, 60, 300, 100, (3, 4, 5)),
    (256, 200, 128, 128, (2, 3, 4)),
    (1, 50, 300, 100, (3, 4, 5)),
    (512, None, 200, 128, (1, 2, 3, 4, 5)),
]
Maps = Callable[[Tensor, Tensor, Tensor], Tensor]


def conv1d(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.conv1d(x.transpose(1, 2), w, b)


def unfold(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    C, D, K = w.shape
    windows = x.unfold(1, K, 1).reshape(x.shape[0], -1, D * K)  # [B, windows, D * K]
    return F.linear(windows, w.view(C, D * K), b).transpose(1, 2)


def conv2d(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.conv2d(x.unsqueeze(1), w.transpose(1, 2).unsqueeze(1), b).squeeze(3)


class Peer(nn.Module):
    """The usual TextCNN encoder with the weights of a textnn layer."""

    def __init__(self, layer: textnn.EmbeddingTextConv, maps: Maps, lengths: Tensor | None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(layer.num_embeddings, layer.embedding_dim, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(c.in_channels, c.out_channels, c.kernel_size) for c in layer.convs)
        self.embedding.load_state_dict({"weight": layer.weight.detach()})
        self.convs.load_state_dict(layer.convs.state_dict())
        self.maps, self.lengths = maps, lengths

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        pooled = []
        for conv in self.convs:
            z = self.maps(x, conv.weight, conv.bias).relu()
            if self.lengths is not None:
                windows = (self.lengths - conv.weight.shape[2] + 1).clamp(min=1)
                z = z * (torch.arange(z.shape[2], device=z.device) < windows[:, None]).unsqueeze(1)
            pooled.append(z.amax(dim=2) if not z.requires_grad else z.max(dim=2).values)
        return torch.cat(pooled, dim=1)


class Ours(nn.Module):
    def __init__(self, layer: textnn.EmbeddingTextConv | textnn.FrozenTextConv, lengths: Tensor | None) -> None:
        super().__init__()
        self.layer, self.lengths = layer, lengths

    def forward(self, ids: Tensor) -> Tensor:
        return self.layer(ids, lengths=self.lengths)


def inference(module: nn.Module, ids: Tensor, half: bool = False) -> Call:
    @torch.inference_mode()
    def call() -> list[Tensor]:
        with autocast(half):
            return [module(ids)]

    return call


def training(module: nn.Module, ids: Tensor, half: bool = False) -> Call:
    """Forward and backward; the loss is a fixed weighting of all features."""
    y = module(ids)
    weight = torch.randn(y.shape, device=y.device).to(y.dtype)  # the same for peers in other dtypes

    def call() -> list[Tensor]:
        for p in module.parameters():
            p.grad = None
        with autocast(half):
            y = module(ids)
        (y * weight).sum().backward()
        return [p.grad for p in module.parameters() if p.grad is not None]

    return call


PEERS = {"Conv1d": conv1d, "unfold": unfold, "Conv2d": conv2d}


def sides(shape: Shape, data: reviews.Reviews) -> tuple[Tensor, dict[str, nn.Module]]:
    """Token ids [B, L] and the modules to compare, textnn's first."""
    B, L, D, C, sizes = shape
    ids, lengths = data.padded(B, 200 if L is None else L)
    known = lengths if L is None else None
    layer = textnn.EmbeddingTextConv(data.V, D, C, sizes)
    return ids, {"textnn": Ours(layer, known), **{name: Peer(layer, maps, known) for name, maps in PEERS.items()}}


def case_of(shape: Shape) -> str:
    B, L, D, C, sizes = shape
    return f"({B}, {'ragged' if L is None else L}, {D}, {C}, {'/'.join(map(str, sizes))})"


def calls_of(modules: Mapping[str, nn.Module], ids: Tensor, train: bool, half: bool) -> dict[str, Call]:
    """One call for each side, with ``half`` two for each peer: in float32 and under autocast."""
    calls = {}
    for name, module in modules.items():
        for h in [half] if name == "textnn" else precisions(half):
            torch.manual_seed(1)
            call = (training if train else inference)(module, ids, h)
            calls[name if name == "textnn" else peer_name(name, h)] = call
    return calls


def rows(data_path: str | None, effort: Effort, shapes: Sequence[Shape] = SHAPES, half: bool = False) -> Iterator[Row]:
    data = reviews.load(data_path)
    for train in (True, False):
        for shape in shapes:
            ids, modules = sides(shape, data)
            last = modules.pop("Conv2d")
            calls = calls_of(modules, ids, train, half)
            ours = calls.pop("textnn")
            work = "forward and backward" if train else "inference, live weights"
            case, name = case_of(shape), in_words("TextCNN", half)
            share = len(ids.unique()) / ids.numel()
            row = compare(f"{name}, {work}", case, ours, calls, effort)
            row.extra = {"distinct tokens": share}
            yield row
            if not half:
                calls = calls_of({"Conv2d": last}, ids, train, half)
                yield compare(f"{name}, {work}, against the Conv2d form", case, ours, calls, effort)


if __name__ == "__main__":
    from .__main__ import run

    run(["text_conv"])
