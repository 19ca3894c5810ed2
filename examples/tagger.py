"""Trains a tagger on bare layers: sentences of different lengths in one flat batch, without padding and without a mask.

    python examples/tagger.py --steps 200

The made-up task: is a token inside parentheses? The answer depends on tokens far away, which an LSTM remembers.
"""

import argparse

import torch
from torch import Tensor, nn

import textnn

OPEN, CLOSE, VOCABULARY = 0, 1, 20


def make_batch(sentences: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids [N], offsets [B] and tags [N]: the tokens of sentence b are ids[offsets[b]:offsets[b + 1]]."""
    lengths = torch.randint(1, 30, (sentences,))
    offsets = lengths.cumsum(0) - lengths
    ids = torch.randint(0, VOCABULARY, (int(lengths.sum()),))
    tags, inside, starts = torch.zeros_like(ids), False, set(offsets.tolist())
    for position, token in enumerate(ids.tolist()):
        inside = token != CLOSE and (token == OPEN or (inside and position not in starts))
        tags[position] = inside
    return ids, offsets, tags


class Tagger(nn.Module):
    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 16)
        self.lstm = textnn.LSTM(16, hidden, bidirectional=True)
        self.scores = nn.Linear(2 * hidden, 2)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        steps, _ = self.lstm(self.embedding(ids), offsets=offsets)  # [N, 2H]
        return self.scores(steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    torch.manual_seed(0)
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(parser.parse_args().steps):
        ids, offsets, tags = make_batch(32)
        loss = nn.functional.cross_entropy(model(ids, offsets), tags)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    ids, offsets, tags = make_batch(200)
    accuracy = (model(ids, offsets).argmax(1) == tags).float().mean()
    print(f"accuracy on new sentences: {accuracy:.3f}, always 'outside': {(tags == 0).float().mean():.3f}")


if __name__ == "__main__":
    main()
