"""TextCNN beyond the groups of bench/text_conv.py: frozen inference, sparse gradients of the table, other sizes.

Part of ``python -m bench text_conv``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from . import reviews, text_conv
from .harness import Effort, Row, compare

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


def rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    for dtype in ("float32", "int8"):
        yield from frozen_rows(data_path, effort.share(0.5), dtype)
    yield from sparse_rows(data_path, effort.share(0.5))
    yield from other_rows(data_path, effort.share(0.5))
