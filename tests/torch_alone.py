"""The fast layers where torch is the only package that can be imported; a program that test_slim.py runs.

    python tests/torch_alone.py    in an environment with torch and textnn, whatever else it holds

What is neither of the standard library nor needed by torch cannot be imported here; nor can numpy, which torch can do
without.
Each model is trained, saved and loaded; exit status 0 means that all of them learned and came back as they were saved.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from installed import hide_all_but

hidden, asked = hide_all_but("torch")
hidden.add("numpy")

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import textnn  # noqa: E402

V, D, H, B, T = 30, 8, 8, 6, 7
IDS, LENGTHS = torch.randint(V, (B, T), generator=torch.manual_seed(0)), torch.tensor([7, 5, 1, 3, 7, 2])
CLASSES = torch.arange(B) % 2


class Vectors(nn.Module):
    """An embedding of torch's, a layer that reads its vectors, and a classifier of what the layer gives."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.embedding, self.layer, self.output = nn.Embedding(V, D), layer, nn.Linear(width, 2)

    def forward(self) -> Tensor:
        return self.output(summary(self.layer(self.embedding(IDS), lengths=LENGTHS)))


class Ids(nn.Module):
    """The same with a layer that takes ids."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.output = layer, nn.Linear(width, 2)

    def forward(self) -> Tensor:
        return self.output(summary(self.layer(IDS, lengths=LENGTHS)))


class Tagger(nn.Module):
    """A CRF on emissions that are parameters; its scores stand for losses."""

    def __init__(self) -> None:
        super().__init__()
        self.emissions, self.layer = nn.Parameter(torch.zeros(B, T, 3)), textnn.CRF(3, batch_first=True)

    def forward(self) -> Tensor:
        return -self.layer(self.emissions, IDS % 3, lengths=LENGTHS)


class Words(nn.Module):
    """The last layer of a language model; the loss is its result."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.layer = nn.Embedding(V, D), textnn.LinearCrossEntropyLoss(D, V)

    def forward(self) -> Tensor:
        return self.layer(self.embedding(IDS), IDS)


class Cell(nn.Module):
    """Two steps of a cell."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.embedding, self.cell, self.output = nn.Embedding(V, D), cell, nn.Linear(H, 2)

    def forward(self) -> Tensor:
        state: Any = None
        for ids in IDS[:, :2].T:
            state = self.cell(self.embedding(ids), state)
        return self.output(state[0] if isinstance(state, tuple) else state)


def summary(result: Any) -> Tensor:
    """The final state of a recurrent layer's result, or a convolution's maxima."""
    if not isinstance(result, tuple):
        return result
    final = result[1]
    return (final[0] if isinstance(final, tuple) else final)[-1]


def accelerated() -> nn.Module:
    model = Vectors(textnn.accelerate(nn.LSTM(D, H, batch_first=True)), H)
    assert type(model.layer) is textnn.LSTM
    model.forward = lambda: model.output(model.layer(model.embedding(IDS))[0][:, -1])  # torch's own call
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: Vectors(textnn.LSTM(D, H, 2, batch_first=True, bidirectional=True), H),
    "GRU": lambda: Vectors(textnn.GRU(D, H, batch_first=True), H),
    "RNN": lambda: Vectors(textnn.RNN(D, H, batch_first=True), H),
    "LSTMCell": lambda: Cell(textnn.LSTMCell(D, H)),
    "GRUCell": lambda: Cell(textnn.GRUCell(D, H)),
    "RNNCell": lambda: Cell(textnn.RNNCell(D, H)),
    "EmbeddingLSTM": lambda: Ids(textnn.EmbeddingLSTM(V, D, H, sparse=True), H),
    "EmbeddingGRU": lambda: Ids(textnn.EmbeddingGRU(V, D, H), H),
    "EmbeddingRNN": lambda: Ids(textnn.EmbeddingRNN(V, D, H), H),
    "TextConv": lambda: Vectors(textnn.TextConv(D, H, (1, 2)), 2 * H),
    "EmbeddingTextConv": lambda: Ids(textnn.EmbeddingTextConv(V, D, H, (1, 2), sparse=True), 2 * H),
    "NgramBag": lambda: Ids(textnn.NgramBag(64, H), H),
    "LinearCrossEntropyLoss": Words,
    "CRF": Tagger,
    "accelerate": accelerated,
}


def loss_of(model: nn.Module) -> Tensor:
    result = model()
    return nn.functional.cross_entropy(result, CLASSES) if result.ndim else result


def train(model: nn.Module) -> tuple[float, float]:
    """The loss before training, and after it."""
    optimizer = textnn.optim.Adam(model.parameters(), lr=0.05, exact=model if sparse(model) else None)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


def sparse(model: nn.Module) -> bool:
    return any(getattr(module, "sparse", False) for module in model.modules())


def check(name: str, folder: Path) -> None:
    torch.manual_seed(1)
    model = MODELS[name]()
    before, after = train(model)
    assert after < before / 2, f"{name}: the loss went from {before} to {after} only"
    torch.save(model.state_dict(), folder / name)
    torch.manual_seed(2)
    loaded = MODELS[name]()
    loaded.load_state_dict(torch.load(folder / name, weights_only=True))
    with torch.no_grad():
        assert torch.equal(loss_of(loaded), loss_of(model)), f"{name}: another loss after loading"


def check_inference() -> None:
    """What is no training: frozen layers, decoding, one step, functions, the reference."""
    with torch.no_grad():
        conv, lstm, gru = textnn.EmbeddingTextConv(V, D, H), textnn.EmbeddingLSTM(V, D, H), textnn.GRU(D, H)
        assert torch.allclose(conv.freeze()(IDS), conv(IDS), atol=1e-5)
        assert torch.allclose(lstm.freeze()(IDS)[0], lstm(IDS)[0], atol=0.05)
        assert torch.allclose(gru.freeze("bfloat16")(torch.ones(3, 2, D))[0], gru(torch.ones(3, 2, D))[0], atol=0.05)
        assert lstm.step(IDS[:, 0])[0].shape == (B, H)
        crf, emissions = textnn.CRF(3, batch_first=True), torch.randn(B, T, 3)
        assert [len(tags) for tags in crf.decode(emissions, lengths=LENGTHS)] == LENGTHS.tolist()
        weights = [conv.convs[i].weight for i in range(3)]
        assert torch.allclose(
            textnn.functional.embedding_text_conv(IDS, conv.weight, weights, lengths=LENGTHS),
            textnn.reference.embedding_text_conv(IDS, conv.weight, weights, lengths=LENGTHS),
            atol=1e-5,
        )
    assert textnn.backends.cpu_capability() in textnn.backends.supported_cpu_capabilities()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for each in MODELS:
            check(each, Path(temporary))
    check_inference()
    assert not hidden & set(sys.modules), "imported all the same"
    print(f"models: {len(MODELS)}; asked for in vain: {', '.join(sorted(asked))}")
