"""Compiles a model with textnn's layers by torch.compile: one graph without a break, also for batches of other sizes.

python examples/compile.py
python examples/compile.py --backend eager    # traces only; needs no C++ compiler
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn

import textnn


class Classifier(nn.Module):
    """Convolutions and an LSTM over the same tokens."""

    def __init__(self, vocabulary: int = 500, classes: int = 4) -> None:
        super().__init__()
        self.convolution = textnn.EmbeddingTextConv(vocabulary, 32, channels=16)
        self.recurrence = textnn.EmbeddingLSTM(vocabulary, 32, 24, bidirectional=True)
        self.scores = nn.Linear(3 * 16 + 2 * 48, classes)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        steps, _ = self.recurrence(ids, offsets=offsets)  # [N, 48]
        pooled = textnn.functional.max_mean_pool(steps, offsets=offsets)  # [B, 96]
        return self.scores(torch.cat([self.convolution(ids, offsets=offsets), pooled], dim=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="inductor")
    backend = parser.parse_args().backend
    torch.manual_seed(0)
    model = Classifier()
    # fullgraph: an error in the place of a silent break; dynamic: one graph for all numbers of tokens and sentences.
    compiled = torch.compile(model, backend=backend, fullgraph=True, dynamic=True)
    for sentences in (3, 8, 5):
        lengths = torch.randint(1, 20, (sentences,))
        ids = torch.randint(1, 500, (int(lengths.sum()),))
        offsets = lengths.cumsum(0) - lengths
        expected, got = model(ids, offsets), compiled(ids, offsets)
        got.sum().backward()
        print(f"{sentences} sentences, {len(ids)} tokens: largest difference {(got - expected).abs().max():.1e}")


if __name__ == "__main__":
    main()
