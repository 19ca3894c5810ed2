"""The network of a tagger on padded batches, of torch.nn's layers alone, up to the emissions.

    tokens [B, L] -> embedding        --+
    pairs [B, L, 2] -> embedding      --+
    known [B, L, 3] -> embedding      --+
    letters [B, L, W] -> convolution  --+-> encoder -> linear --+
    ngrams [B, L, F] -> rows of a table, added up --------------+-> emissions [B, L, K]

Numbers of pairs and of n-grams are inputs: who calls the program makes them of ids (``consumer``).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textnn.export.plain import to_torch_nn
from textnn.tagging.network import TaggingNetwork

TOKENS, LENGTHS, PAIRS, LETTERS, LETTER_LENGTHS, KNOWN, NGRAMS = INPUTS = (
    *("tokens", "lengths", "pairs", "letters", "letter_lengths", "known", "ngrams"),
)


class ExportedTagger(nn.Module):
    """A trained network of a tagger by torch.nn alone, for inference.

    Parameters
    ----------
    model
        Stays as it is.

    Attributes
    ----------
    inputs
        The names of what the network reads, in the order of its arguments.
    """

    def __init__(self, model: TaggingNetwork) -> None:
        super().__init__()
        deep = model.encoder is not None
        self.network: Any = to_torch_nn(model)
        read = {
            TOKENS: deep,
            LENGTHS: deep,
            PAIRS: model.pairs is not None,
            LETTERS: model.letters is not None,
            LETTER_LENGTHS: model.letters is not None,
            KNOWN: model.lengths is not None,
            NGRAMS: model.ngrams is not None,
        }
        self.inputs = [name for name in INPUTS if read[name]]
        self.eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the emissions [B, L, K]; what stands there behind a sentence's end has no meaning.

        Parameters
        ----------
        inputs
            Those of ``inputs``, int64: ids [B, L] and lengths [B]; numbers of the pairs with the tokens before and
            behind [B, L, 2]; [PAD] and the letters of each token [B, L, W], and how many these are [B, L]; lengths of
            the known words at each token [B, L, 3]; numbers of n-grams [B, L, F].
        """
        given = dict(zip(self.inputs, inputs, strict=True))
        network = self.network
        emissions = None
        if network.encoder is not None:
            steps = _encode(network.encoder, self._read(given), given[LENGTHS])
            emissions = network.output(steps)
        if network.ngrams is not None:
            sums = F.embedding(given[NGRAMS], network.ngrams.weight).sum(dim=2)
            emissions = sums if emissions is None else emissions + sums
        assert isinstance(emissions, Tensor)
        return emissions

    def _read(self, given: dict[str, Tensor]) -> Tensor:
        """Return the vectors that the encoder reads, [B, L, D]."""
        network, tokens = self.network, given[TOKENS]
        parts = [F.embedding(tokens, network.tokens.weight)]
        if network.pairs is not None:
            parts.append(F.embedding(given[PAIRS], network.pairs.weight).flatten(2))
        if network.letters is not None:
            letters, lengths = given[LETTERS], given[LETTER_LENGTHS]
            spelt = network.letters(letters.flatten(0, 1), lengths=lengths.flatten())
            parts.append(spelt.view(tokens.shape[0], tokens.shape[1], spelt.shape[1]))
        if network.lengths is not None:
            table = network.lengths.weight  # a part for each column
            columns = torch.arange(3) * (table.shape[0] // 3)
            parts.append(F.embedding(given[KNOWN] + columns, table).flatten(2))
        return torch.cat(parts, dim=2)


def _encode(encoder: Any, x: Tensor, lengths: Tensor) -> Tensor:
    layers = encoder.layers
    if isinstance(layers, nn.RNNBase):
        steps: Tensor = layers(x.transpose(0, 1), lengths=lengths)[0]
        return steps.transpose(0, 1)
    x, _ = layers[0](x, lengths=lengths)
    for layer in list(layers)[1:]:
        x = x + layer(x, lengths=lengths)[0]
    return x
