"""The same network in plain PyTorch: nn.Embedding, nn.LSTM, tied output, on padded or packed batches of verses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

LAYERS: Mapping[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}

_PADDING = -100


class PlainNetwork(nn.Module):
    """What ``textnn.language.network`` computes, without ragged batches and with torch's own dropout."""

    def __init__(self, vocabulary_size: int, options: dict[str, Any], cell: str = "lstm", packed: bool = False) -> None:
        super().__init__()
        D, H = options["embedding_dim"], options["hidden_size"]
        self.embedding = nn.Embedding(vocabulary_size, D)
        nn.init.normal_(self.embedding.weight, std=0.1)
        dropout = options["dropout"] if options["num_layers"] > 1 else 0.0
        self.layers, self.packed = LAYERS[cell](D, H, options["num_layers"], batch_first=True, dropout=dropout), packed
        self.narrow = nn.Linear(H, D, bias=False) if H != D else nn.Identity()
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.before, self.after = nn.Dropout(options["embedding_dropout"]), nn.Dropout(options["dropout"])

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits [B, T, V] of ids [B, T] and their lengths [B]."""
        x = self.before(self.embedding(ids))
        if self.packed:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x, _ = pad_packed_sequence(self.layers(packed)[0], batch_first=True)
        else:
            x, _ = self.layers(x)
        return F.linear(self.narrow(self.after(x)), self.embedding.weight, self.bias)


def train(
    rows: Sequence[Tensor], held_out: Sequence[Tensor], vocabulary_size: int, options: dict[str, Any], seed: int
) -> tuple[PlainNetwork, int]:
    """Train on verses with as many tokens a step as textnn has; return the best epoch's network, and that epoch."""
    torch.manual_seed(seed)
    network = PlainNetwork(vocabulary_size, options)
    optimizer = torch.optim.Adam(network.parameters(), options["learning_rate"], fused=True)
    size = verses_a_step(rows, options)
    steps = options["epochs"] * -(-len(rows) // size)
    warm = max(1, round(options["warmup"] * steps))
    best, found, weights, step = math.inf, 0, {}, 0
    for epoch in range(1, options["epochs"] + 1):
        network.train()
        for part in torch.randperm(len(rows)).split(size):
            share = (step + 1) / warm if step < warm else 1 - (step - warm) / (steps - warm)
            for group in optimizer.param_groups:
                group["lr"] = options["learning_rate"] * share
            loss, number = losses(network, [rows[row] for row in part.tolist()])
            optimizer.zero_grad(set_to_none=True)
            (loss / number).backward()
            nn.utils.clip_grad_norm_(network.parameters(), options["clip_norm"])
            optimizer.step()
            step += 1
        if (now := perplexity(network, held_out)) < best:
            best, found = now, epoch
            weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        elif epoch - found >= options["patience"]:
            break
    network.load_state_dict(weights)
    return network.eval(), found


def verses_a_step(rows: Sequence[Tensor], options: Mapping[str, Any]) -> int:
    """Return how many verses have as many tokens as a step of textnn."""
    tokens = sum(len(row) - 1 for row in rows)
    return max(1, options["batch_size"] * options["window"] * len(rows) // tokens)


def losses(network: PlainNetwork, rows: Sequence[Tensor]) -> tuple[Tensor, int]:
    """Return the sum of the losses of verses, and their tokens."""
    lengths = torch.tensor([len(row) - 1 for row in rows])
    ids = pad_sequence([row[:-1] for row in rows], batch_first=True)
    targets = pad_sequence([row[1:] for row in rows], batch_first=True, padding_value=_PADDING)
    logits = network(ids, lengths)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=_PADDING, reduction="sum")
    return loss, int((targets != _PADDING).sum())


@torch.no_grad()
def perplexity(network: PlainNetwork, rows: Sequence[Tensor]) -> float:
    """Return exp of the mean loss of a token."""
    network.eval()
    ordered = sorted(rows, key=len)
    total, tokens = 0.0, 0
    for first in range(0, len(ordered), 64):
        loss, number = losses(network, ordered[first : first + 64])
        total, tokens = total + float(loss), tokens + number
    return math.exp(total / tokens)
