"""The networks of a tagger: from tokens to the scores of their tags, and a CRF over these.

    characters: ids -> embedding | pairs of neighbours -> embedding          --+
    words:      ids -> embedding | letters -> convolution, maximum over each --+-> dropout -> encoder -> linear -+
    ids around each token -> n-grams, hashed -> rows of a table [buckets, K] ------------------------------------+-> sum
                                                                               -> emissions [N, K] -> CRF -> tags

(Huang et al., "Bidirectional LSTM-CRF Models for Sequence Tagging", 2015; Ma and Hovy, "End-to-end Sequence Labeling
via Bi-directional LSTM-CNNs-CRF", 2016; pairs of characters: Chen et al., "Long Short-Term Memory Neural Networks for
Chinese Word Segmentation", 2015; a linear model beside a deep one: Cheng et al., "Wide & Deep Learning", 2016.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from textnn.functional.ngrams import sum_rows
from textnn.layers import CRF, GRU, LSTM, RNN, EmbeddingTextConv, TextConv
from textnn.models import PAD, UNK, Network
from textnn.models.base import Embedding
from textnn.models.dropout import Dropout
from textnn.models.starts import start_recurrent
from textnn.tagging.lexicon import LONGEST
from textnn.tagging.windows import Windows, hash_features, lexicon_features, pair_keys, window_features

_RECURRENT: Mapping[str, Any] = {"bilstm": LSTM, "bigru": GRU, "birnn": RNN}
_LETTER_DIM, _LETTER_SIZES = 30, (3,)
_LENGTH_DIM = 8  # of the vectors of the lengths of known words
_DEVIATION = 0.3  # of fresh vectors


class TaggingNetwork(Network):
    """Emissions and a CRF.

    Parameters
    ----------
    encoder
        ``"bilstm"``, ``"bigru"``, ``"birnn"`` or ``"cnn"``; ``"ngram"``: none, the n-grams alone decide.
    vocabulary_size, letters_size, pairs
        Tokens; letters of words, 0 for characters; pairs of neighbours that are known, 0 for words.
    lexicon
        Whether what a lexicon knows of each character comes along.
    tags, scheme
        Names of the tags, and how they mark spans; see :class:`textnn.tagging.tags.TagSet`.
    embedding_dim, pair_dim, letter_channels
        Sizes of the vectors of tokens and of pairs, and channels of the convolution over letters.
    hidden_size, num_layers
        Of the encoder, the first in each direction.
    ngram_buckets
        Rows of the table of n-grams; 0 for none.
    dropout, embedding_dropout, ngram_dropout
        Shares that are dropped in training: of what the encoder puts out, of what it reads, and of the n-grams.
    word_dropout
        Share of the tokens that become the unknown one in training.
    sparse
        Whether the gradients of the tables are sparse.
    """

    keys: Tensor
    kinds: Tensor
    rates: Mapping[str, float] = {"ngrams.weight": 2.5}

    def __init__(
        self,
        encoder: str,
        vocabulary_size: int,
        letters_size: int,
        pairs: int,
        lexicon: bool,
        tags: Sequence[str],
        scheme: str | None,
        *,
        embedding_dim: int,
        pair_dim: int,
        letter_channels: int,
        hidden_size: int,
        num_layers: int,
        ngram_buckets: int,
        dropout: float,
        embedding_dropout: float,
        ngram_dropout: float,
        word_dropout: float,
        sparse: bool,
    ) -> None:
        super().__init__()
        K = len(tags)
        self.vocabulary_size, self.word_dropout, self.ngram_dropout = vocabulary_size, word_dropout, ngram_dropout
        self.register_buffer("keys", torch.zeros(pairs, dtype=torch.int64))
        self.register_buffer("kinds", torch.zeros(vocabulary_size, dtype=torch.int64))
        self.has_lexicon = lexicon
        self.pairs = self.letters = self.lengths = self.encoder = None
        if encoder != "ngram":
            self.tokens = _table(vocabulary_size, embedding_dim, sparse)
            width = embedding_dim
            if pairs and pair_dim:
                self.pairs = _table(pairs + 1, pair_dim, sparse)
                width += 2 * pair_dim
            if letters_size and letter_channels:
                self.letters = EmbeddingTextConv(
                    letters_size, _LETTER_DIM, letter_channels, _LETTER_SIZES, "same", padding_idx=None
                )
                width += letter_channels
            if lexicon:
                self.lengths = _table(3 * (LONGEST + 1), _LENGTH_DIM, sparse=False)
                width += 3 * _LENGTH_DIM
            self.before = Dropout(embedding_dropout)
            self.encoder = _make_encoder(encoder, width, hidden_size, num_layers, dropout)
            self.after = Dropout(dropout)
            self.output = nn.Linear(self.encoder.width, K)
        self.ngrams = None
        if ngram_buckets:
            self.ngrams = nn.Embedding(ngram_buckets, K, padding_idx=PAD, sparse=sparse)
            nn.init.zeros_(self.ngrams.weight)
        self.crf = CRF(K, tags=tags, scheme=scheme) if scheme is not None else CRF(K)

    def forward(
        self, ids: Tensor, offsets: Tensor, beside: Tensor | None = None, beside_offsets: Tensor | None = None
    ) -> Tensor:
        """Return the emissions [N, K] of the tokens of a flat batch.

        Parameters
        ----------
        ids, offsets
            int64 [N] and [B].
        beside, beside_offsets
            Of words, int64: [PAD] and then the letters of each. Where there is a lexicon: what it knows of each
            character, [3 N]. And where the sentences begin there.
        """
        windows = Windows(ids, offsets) if self.ngrams is not None or self.pairs is not None else None
        emissions: Tensor | None = None
        if self.encoder is not None:
            x = self._read(ids, windows, beside)
            emissions = self.output(self.after(self.encoder(self.before(x), offsets)))
        if self.ngrams is not None:
            assert windows is not None
            wide = self._remember(windows, ids, beside)
            emissions = wide if emissions is None else emissions + wide
        assert emissions is not None
        return emissions

    def word_tables(self) -> list[nn.Parameter]:
        """Return the table of tokens, if there is one."""
        return [] if self.encoder is None else [cast(nn.Parameter, self.tokens.weight)]

    def _read(self, ids: Tensor, windows: Windows | None, beside: Tensor | None) -> Tensor:
        """Return the vectors that the encoder reads, [N, D]."""
        parts = [self.tokens(self._drop(ids, UNK))]
        if self.pairs is not None:
            assert windows is not None
            before, after = windows.at(-1), windows.at(1)
            for left, right in ((before, ids), (ids, after)):
                row = find_keys(self.keys, pair_keys(left, right, self.vocabulary_size))
                parts.append(self.pairs(self._drop(row, 0)))
        if self.letters is not None:
            assert beside is not None
            parts.append(self.letters(beside, offsets=(beside == PAD).nonzero().flatten()))
        if self.lengths is not None:
            assert beside is not None
            columns = torch.arange(3, device=ids.device) * (LONGEST + 1)
            parts.append(self.lengths(beside.view(-1, 3) + columns).flatten(1))
        return torch.cat(parts, dim=1)

    def _drop(self, ids: Tensor, unknown: int) -> Tensor:
        if not self.training or self.word_dropout == 0.0:
            return ids
        return ids.masked_fill(torch.rand(ids.shape, device=ids.device) < self.word_dropout, unknown)

    def _remember(self, windows: Windows, ids: Tensor, beside: Tensor | None) -> Tensor:
        """Return what the n-grams around each token say, [N, K]."""
        assert self.ngrams is not None
        table = self.ngrams.weight
        features = window_features(windows, windows.with_ids(self.kinds[ids]))
        if self.has_lexicon:
            assert beside is not None
            features += lexicon_features(ids, beside.view(-1, 3))
        rows = hash_features(features, table.shape[0])
        keep = None
        if self.training and self.ngram_dropout:
            kept = torch.rand(rows.shape, device=rows.device) >= self.ngram_dropout
            keep = kept.to(table.dtype) / (1.0 - self.ngram_dropout)
        starts = torch.arange(rows.shape[0], device=rows.device)
        return sum_rows(table, rows, starts, torch.ones_like(starts), keep, self.ngrams.sparse)


class _Recurrent(nn.Module):
    def __init__(self, cell: Any, width: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = cell(
            width, hidden_size, num_layers, bidirectional=True, dropout=dropout if num_layers > 1 else 0.0
        )
        self.width = 2 * hidden_size
        start_recurrent(self.layers)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        steps: Tensor = self.layers(x, offsets=offsets)[0]
        return steps


class _Convolutions(nn.Module):
    """Convolutions that keep the length, each added to what it reads (He et al. 2016)."""

    def __init__(self, width: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.width = 2 * hidden_size
        widths = [width, *[self.width] * (num_layers - 1)]
        self.layers = nn.ModuleList(
            TextConv(width, self.width, (5 if layer == 0 else 3,), "same", pooling=None)
            for layer, width in enumerate(widths)
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        x, _ = self.layers[0](x, offsets=offsets)
        for layer in list(self.layers)[1:]:
            x = x + layer(self.dropout(x), offsets=offsets)[0]
        return x


def _make_encoder(kind: str, width: int, hidden_size: int, num_layers: int, dropout: float) -> Any:
    if kind == "cnn":
        return _Convolutions(width, hidden_size, num_layers, dropout)
    return _Recurrent(_RECURRENT[kind], width, hidden_size, num_layers, dropout)


def _table(rows: int, dim: int, sparse: bool) -> Embedding:
    table = Embedding(rows, dim, sparse=sparse)
    nn.init.normal_(table.weight, std=_DEVIATION)
    return table


def find_keys(keys: Tensor, wanted: Tensor) -> Tensor:
    """Return 1 + the place of each number in sorted ``keys`` [P], or 0 where it is not among them."""
    if not len(keys):
        return torch.zeros_like(wanted)
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where(keys[place] == wanted, place + 1, 0)
