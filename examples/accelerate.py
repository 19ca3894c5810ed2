"""Makes the LSTMs of a finished model fast, without touching its code or its weights, and shows that results stay.

python examples/accelerate.py
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import textnn


class Encoder(nn.Module):
    """A model as people have it: it knows nothing of textnn."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 64)
        self.lstm = nn.LSTM(64, 96, num_layers=2, bidirectional=True, batch_first=True)
        self.scores = nn.Linear(4 * 96, 3)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)  # [layers * directions, B, H]
        return self.scores(torch.cat([h[-4], h[-3], h[-2], h[-1]], dim=1))


def main() -> None:
    torch.manual_seed(0)
    model = Encoder().eval()
    lengths = torch.randint(1, 40, (16,))
    ids = torch.randint(0, 1000, (16, 40))
    with torch.no_grad():
        before = model(ids, lengths)

    optimizer = torch.optim.Adam(model.parameters())  # made before: the parameters stay the same objects
    textnn.accelerate(model)
    print(model.lstm)  # textnn.LSTM(64, 96, ...)

    with torch.no_grad():
        after = model(ids, lengths)
    print(f"largest difference: {(after - before).abs().max():.1e}")

    loss = nn.functional.cross_entropy(model.train()(ids, lengths), torch.randint(0, 3, (16,)))
    loss.backward()
    optimizer.step()
    nn.LSTM(64, 96, 2, bidirectional=True, batch_first=True).load_state_dict(model.lstm.state_dict())
    print("trained one step; the weights load into nn.LSTM")


if __name__ == "__main__":
    main()
