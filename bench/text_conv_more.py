"""TextCNN beyond the groups of bench/text_conv.py: frozen inference, sparse gradients of the table, other sizes; and
convolutions without pooling.

Part of ``python -m bench text_conv``; what has products of bfloat16 is ``python -m bench text_conv_bf16``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

import textnn

from . import reviews, text_conv
from .harness import Effort, Row, compare
from .recurrent import in_words

OTHER: list[text_conv.Shape] = [
    (32, 20, 50, 64, (2, 3)),
    (64, 400, 300, 256, (3, 4, 5)),
    (8, 30, 128, 100, (1, 2, 3)),
]


def other_rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    """The groups of text_conv.py once more, in groups of their own: none of them counts in the others' means."""
    for row in text_conv.rows(data_path, effort, OTHER):
        row.group += ", other shapes"
        yield row


def frozen_rows(data_path: str | None, effort: Effort, dtype: str) -> Iterator[Row]:
    """Inference from a table of all tokens' products; making the table is not part of the time."""
    data = reviews.load(data_path)
    for shape in text_conv.SHAPES:
        ids, modules = text_conv.sides(shape, data)
        ours = modules.pop("textnn")
        assert isinstance(ours, text_conv.Ours)
        table = ours.layer.freeze(dtype=dtype)
        frozen = text_conv.inference(text_conv.Ours(table, ours.lengths), ids)
        calls = {name: text_conv.inference(module, ids) for name, module in modules.items() if name != "Conv2d"}
        row = compare(f"TextCNN, inference, frozen, {dtype}", text_conv.case_of(shape), frozen, calls, effort)
        row.extra["table, MB"] = table.table.numel() * table.table.element_size() / 1e6
        yield row


def sparse_rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    """EmbeddingTextConv(sparse=True) against nn.Embedding(sparse=True); gradients as an optimizer is handed them."""
    data = reviews.load(data_path)
    for shape in text_conv.SHAPES:
        ids, modules = text_conv.sides(shape, data)
        calls = {}
        for name, module in modules.items():
            if isinstance(module, text_conv.Ours):
                module.layer.sparse = True
            elif isinstance(module, text_conv.Peer):
                module.embedding.sparse = True
            torch.manual_seed(1)
            calls[name] = text_conv.training(module, ids)
        group = "TextCNN, forward and backward, sparse gradient of the table"
        yield compare(group, text_conv.case_of(shape), calls.pop("textnn"), calls, effort)


POSITIONS: list[tuple[int, int, int, int, int]] = [
    (128, 64, 100, 100, 3),
    (50, 60, 300, 100, 5),
    (256, 200, 128, 128, 3),
]


class Convolved(nn.Module):
    """Embedding or vectors, Conv1d and activation: an output for each position, [B, L, C]."""

    def __init__(self, layer: textnn.EmbeddingTextConv | textnn.TextConv, vectors: Tensor | None) -> None:
        super().__init__()
        (conv,) = layer.convs
        C, D, K = conv.weight.shape
        self.vectors = None if vectors is None else nn.Parameter(vectors)
        if isinstance(layer, textnn.EmbeddingTextConv):
            self.embedding = nn.Embedding(layer.num_embeddings, D, padding_idx=0)
            self.embedding.load_state_dict({"weight": layer.weight.detach()})
        self.conv = nn.Conv1d(D, C, K, padding=(K - 1) // 2)
        self.conv.load_state_dict(conv.state_dict())

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids) if self.vectors is None else self.vectors
        return self.conv(x.transpose(1, 2)).relu().transpose(1, 2)


class Positions(nn.Module):
    def __init__(self, layer: textnn.EmbeddingTextConv | textnn.TextConv, vectors: Tensor | None) -> None:
        super().__init__()
        self.layer, self.vectors = layer, None if vectors is None else nn.Parameter(vectors)

    def forward(self, ids: Tensor) -> Tensor:
        return self.layer(ids if self.vectors is None else self.vectors)[0]


def position_rows(data_path: str | None, effort: Effort, half: bool, of_vectors: bool) -> Iterator[Row]:
    """Layers with pooling=None against nn.Conv1d, behind nn.Embedding or on vectors with gradients of their own.

    Padding counts as tokens on both sides.
    """
    data = reviews.load(data_path)
    name = in_words("Convolution without pooling", half) + (", of vectors" if of_vectors else "")
    for train in (True, False):
        for B, L, D, C, K in POSITIONS:
            ids, _ = data.padded(B, L)
            options = {"kernel_sizes": (K,), "padding": (K - 1) // 2, "pooling": None}
            layer: textnn.EmbeddingTextConv | textnn.TextConv = (
                textnn.TextConv(D, C, **options) if of_vectors else textnn.EmbeddingTextConv(data.V, D, C, **options)
            )
            vectors = torch.randn(B, L, D) if of_vectors else None
            modules = {"textnn": Positions(layer, vectors), "Conv1d": Convolved(layer, vectors)}
            calls = text_conv.calls_of(modules, ids, train, half)
            ours = calls.pop("textnn")
            group = f"{name}, {'forward and backward' if train else 'inference'}"
            yield compare(group, f"({B}, {L}, {D}, {C}, {K})", ours, calls, effort)


def rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    for of_vectors in (False, True):
        yield from position_rows(data_path, effort.share(0.5), False, of_vectors)
    for dtype in ("float32", "int8"):
        yield from frozen_rows(data_path, effort.share(0.5), dtype)
    yield from sparse_rows(data_path, effort.share(0.5))
    yield from other_rows(data_path, effort.share(0.5))


def half_rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    """With products of bfloat16."""
    yield from text_conv.rows(data_path, effort, text_conv.SHAPES, half=True)
    for of_vectors in (False, True):
        yield from position_rows(data_path, effort.share(0.5), True, of_vectors)
