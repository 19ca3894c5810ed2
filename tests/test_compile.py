"""A whole model through torch.compile's default compiler: ragged LSTM, convolution, and plain PyTorch around them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from textnn import EmbeddingLSTM, EmbeddingTextConv


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = EmbeddingLSTM(50, 8, 9, bidirectional=True)
        self.conv = EmbeddingTextConv(50, 8, 5)
        self.output = nn.Linear(18 + 15, 2)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        steps, _ = self.lstm(ids, lengths=lengths)
        features = torch.cat([steps.amax(dim=1), self.conv(ids, lengths=lengths)], dim=1)
        return self.output(features.relu())


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_compiled_model_gives_the_same_results_and_gradients(dynamic):
    model = Model()
    compiled = torch.compile(model, fullgraph=True, dynamic=dynamic)
    for B, L in [(3, 7), (5, 4)]:
        ids, lengths = torch.randint(0, 50, (B, L)), torch.randint(1, L + 1, (B,))
        results = []
        for module in (model, compiled):
            model.zero_grad()
            logits = module(ids, lengths)
            logits.square().sum().backward()
            results.append([logits.detach(), *(p.grad.clone() for p in model.parameters())])
        for i, (a, b) in enumerate(zip(*results, strict=True)):
            torch.testing.assert_close(a, b, msg=lambda m, i=i, B=B, L=L: f"B={B} L={L}, result {i}: {m}")
