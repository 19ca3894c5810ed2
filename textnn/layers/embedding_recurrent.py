"""Recurrent layers that begin with token ids: an embedding table joined with the layer that reads it."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from ..functional.sizes import Sizes
from .base import stay_whole
from .embedding import TableModule
from .frozen import check_limit
from .frozen_lstm import FrozenEmbeddingLSTM
from .frozen_recurrent import FrozenRecurrent, freeze
from .recurrent import GRU, LSTM, RNN, Recurrent
from .sequences import take_ids
from .step import take_step


class EmbeddingRecurrent(TableModule):
    """Base class of the recurrent layers on token ids."""

    def _layer(self) -> Recurrent:
        """What runs on the vectors."""
        raise NotImplementedError

    def forward(
        self,
        ids: Tensor,
        hx: Any = None,
        lengths: Sizes | None = None,
        offsets: Sizes | None = None,
        outputs: bool = True,
        return_cells: bool = False,
    ) -> Any:
        """Look up and run a batch.

        Parameters
        ----------
        ids : Tensor int64 [B, L], [N] with ``offsets``, or a nested tensor with the layout ``torch.jagged``
        hx : Tensor or tuple of Tensor, optional
            The initial states h0 [layers * directions, B, H]; of an LSTM two, h0 [.., P] and c0 [.., H]. Zeros by
            default.
        lengths, offsets : Tensor int64 [B] or sequence of int, optional
            Tokens of each sequence, or where each begins in a flat batch. Without either, all L tokens count.
        outputs : bool, default=True
            Whether the outputs are wanted; see :class:`LSTM`.
        return_cells : bool, default=False
            Whether the cell states of all tokens are wanted, of an LSTM.

        Returns
        -------
        output : Tensor [B, L, H * directions], or [N, H * directions] with ``offsets``, or a nested tensor
            Zero at padding. [0] without ``outputs``. P in the place of H for an LSTM with a projection.
        h_n : Tensor, or (h_n, c_n)
            Final states, shaped as hx, at each sequence's own last token.
        cells : tuple of Tensor
            With ``return_cells`` alone: of each layer the cell state after each token, as :class:`LSTM` returns them.

        Raises
        ------
        IndexError
            If an id lies outside the table.
        ValueError
            If shapes do not fit, a length or offset is out of range, or for ``return_cells`` of a layer that has no
            cell state.
        """
        options = {"lengths": lengths, "offsets": offsets, "outputs": outputs, "return_cells": return_cells}
        if (whole := stay_whole(self, EmbeddingRecurrent.forward, ids, hx, **options)) is not None:
            return whole
        layer = self._layer()
        batch = take_ids(layer, ids, hx, lengths, offsets, outputs, self.weight)
        table = {"table": self.weight, "padding_idx": self.padding_idx, "sparse": self.sparse}
        return layer.run(batch, outputs, return_cells, table)

    def step(self, ids: Tensor, state: Any = None) -> Any:
        """Look up one token of each sequence and take a step through all layers; see :meth:`LSTM.step`.

        Parameters
        ----------
        ids : Tensor int64 [B]
        state : Tensor or tuple of Tensor, optional
            As ``hx`` of ``forward``; zeros by default.

        Returns
        -------
        y : Tensor [B, H]
            The output of the last layer.
        state
            The states after the step, for the next one.

        Raises
        ------
        IndexError
            If an id lies outside the table.
        ValueError
            If the layer is bidirectional, or ids have another shape.

        Examples
        --------
        >>> gru, ids = textnn.EmbeddingGRU(9, 4, 3), torch.tensor([2, 7])
        >>> y, state = gru.step(ids)
        >>> torch.allclose(y, gru(ids[:, None])[0][:, 0], atol=1e-6)
        True
        """
        return take_step(self._layer(), ids, state, self.weight, self)

    def _step_forward(self, ids: Tensor, state: Any) -> Any:
        y, state = self(ids.unsqueeze(1), state)
        return y.squeeze(1), state

    frozen_dtypes: ClassVar[tuple[str, ...]] = ("bfloat16",)

    def freeze(  # type: ignore[override]
        self, memory_limit: int | None = None, dtype: str = "bfloat16"
    ) -> FrozenRecurrent:
        """Return a module for inference only that multiplies bfloat16; see :meth:`GRU.freeze`.

        Parameters
        ----------
        memory_limit : int, optional
            Of no effect: there is no table of products to be limited.
        dtype : {"bfloat16"}

        Returns
        -------
        FrozenRecurrent

        Raises
        ------
        ValueError
            As :meth:`GRU.freeze` does; or for a ``memory_limit`` below 0.
        TypeError
            If ``memory_limit`` is no integer.
        """
        if memory_limit is not None:
            check_limit(memory_limit)
        return freeze(self, dtype)


class EmbeddingLSTM(EmbeddingRecurrent):
    """``Embedding`` and a batch-first :class:`LSTM` in one, for ragged batches of token ids.

    Parameters
    ----------
    num_embeddings, embedding_dim, hidden_size : int
        V, D and H.
    num_layers, bias, dropout, bidirectional, proj_size, weight_dropout, variational
        As in :class:`LSTM`.
    padding_idx : int or None, default=0
        A row that begins as zero and gets no gradient. It does not shorten sequences: give lengths or offsets.
    sparse : bool, default=False
        Whether the gradient of the table is sparse, with one row for each distinct token: :class:`textnn.optim.Adam`
        then takes only these rows.
    device, dtype : optional

    Notes
    -----
    Parameters: ``weight`` [V, D], and those of :class:`LSTM` under ``lstm``.

    Examples
    --------
    >>> encoder = textnn.EmbeddingLSTM(1000, 16, 8, bidirectional=True)
    >>> steps, (h, c) = encoder(torch.tensor([4, 7, 7, 9, 2]), offsets=[0, 3])
    >>> steps.shape, h.shape
    (torch.Size([5, 16]), torch.Size([2, 2, 8]))
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        padding_idx: int | None = 0,
        sparse: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        weight_dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, sparse, device, dtype)
        self.lstm = LSTM(
            embedding_dim,
            hidden_size,
            num_layers,
            proj_size=proj_size,
            bias=bias,
            batch_first=True,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            weight_dropout=weight_dropout,
            variational=variational,
        )

    def _layer(self) -> LSTM:
        return self.lstm

    frozen_dtypes = ("bfloat16", "int8")

    def freeze(  # type: ignore[override]
        self, memory_limit: int | None = None, dtype: str = "int8"
    ) -> FrozenEmbeddingLSTM | FrozenRecurrent:
        """Return a module for inference only with products of fewer bits; see :meth:`LSTM.freeze`.

        Parameters
        ----------
        memory_limit : int, optional
            Of no effect: there is no table of products to be limited.
        dtype : {"int8", "bfloat16"}

        Returns
        -------
        FrozenEmbeddingLSTM or FrozenRecurrent

        Raises
        ------
        ValueError
            As :meth:`LSTM.freeze` does; or for a ``memory_limit`` below 0.
        TypeError
            If ``memory_limit`` is no integer.
        """
        if memory_limit is not None:
            check_limit(memory_limit)
        if dtype not in self.frozen_dtypes:
            hint = "in its own dtype an LSTM has nothing to freeze"
            raise ValueError(f"dtype must be 'int8' or 'bfloat16', got {dtype!r}: {hint}")
        return FrozenEmbeddingLSTM.of(self) if dtype == "int8" else FrozenRecurrent(self)


class EmbeddingGRU(EmbeddingRecurrent):
    """``Embedding`` and a batch-first :class:`GRU` in one, for ragged batches of token ids.

    Parameters
    ----------
    num_embeddings, embedding_dim, hidden_size : int
        V, D and H.
    num_layers, bias, dropout, bidirectional, weight_dropout, variational
        As in :class:`GRU`.
    padding_idx : int or None, default=0
        A row that begins as zero and gets no gradient. It does not shorten sequences: give lengths or offsets.
    sparse : bool, default=False
        Whether the gradient of the table is sparse, with one row for each distinct token: :class:`textnn.optim.Adam`
        then takes only these rows.
    device, dtype : optional

    Notes
    -----
    Parameters: ``weight`` [V, D], and those of :class:`GRU` under ``gru``.

    Examples
    --------
    >>> encoder = textnn.EmbeddingGRU(1000, 16, 8, bidirectional=True)
    >>> steps, h = encoder(torch.tensor([4, 7, 7, 9, 2]), offsets=[0, 3])
    >>> steps.shape, h.shape
    (torch.Size([5, 16]), torch.Size([2, 2, 8]))
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        padding_idx: int | None = 0,
        sparse: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        weight_dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, sparse, device, dtype)
        self.gru = GRU(
            embedding_dim,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=True,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            weight_dropout=weight_dropout,
            variational=variational,
        )

    def _layer(self) -> GRU:
        return self.gru


class EmbeddingRNN(EmbeddingRecurrent):
    """``Embedding`` and a batch-first :class:`RNN` in one, for ragged batches of token ids.

    Parameters
    ----------
    num_embeddings, embedding_dim, hidden_size : int
        V, D and H.
    num_layers, nonlinearity, bias, dropout, bidirectional, weight_dropout, variational
        As in :class:`RNN`.
    padding_idx : int or None, default=0
        A row that begins as zero and gets no gradient. It does not shorten sequences: give lengths or offsets.
    sparse : bool, default=False
        Whether the gradient of the table is sparse, with one row for each distinct token: :class:`textnn.optim.Adam`
        then takes only these rows.
    device, dtype : optional

    Notes
    -----
    Parameters: ``weight`` [V, D], and those of :class:`RNN` under ``rnn``.

    Examples
    --------
    >>> encoder = textnn.EmbeddingRNN(1000, 16, 8, bidirectional=True)
    >>> steps, h = encoder(torch.tensor([4, 7, 7, 9, 2]), offsets=[0, 3])
    >>> steps.shape, h.shape
    (torch.Size([5, 16]), torch.Size([2, 2, 8]))
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        padding_idx: int | None = 0,
        sparse: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        weight_dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, sparse, device, dtype)
        self.rnn = RNN(
            embedding_dim,
            hidden_size,
            num_layers,
            nonlinearity,
            bias=bias,
            batch_first=True,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            weight_dropout=weight_dropout,
            variational=variational,
        )

    def _layer(self) -> RNN:
        return self.rnn
