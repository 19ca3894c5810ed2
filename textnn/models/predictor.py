"""Prediction in bulk: any number of texts, in order, in constant memory, on all cores.

    texts -> chunks -> [tokenize -> ids -> batches of similar length -> frozen network] -> logits of each chunk

Each core takes a chunk through all of these steps by itself. Tokenizing needs the interpreter and so goes on in one
thread at a time, but the kernels run without it: while one thread tokenizes, the others compute. A network that used
all cores for each chunk would leave them idle while the next one is tokenized.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

from textnn.circumstances import plain_torch
from textnn.models import TextModel
from textnn.models.changes import Unchanged
from textnn.text import Encoder

CHUNK = 1024
"""Texts that are tokenized and classified at a time: memory stays bounded, batches of similar lengths stay possible."""

_TOKENS = 1 << 16  # of a batch: few calls for many texts, and still some 100 MB for what an LSTM puts out
_TABLE = 1 << 28  # bytes of each table at most, where nobody has asked for one

Item = TypeVar("Item")
Result = TypeVar("Result")


class Predictor:
    """A trained network and what gives it its input; the network is frozen when it is first needed.

    Predictions follow the network: where its weights have changed since it was frozen (:class:`Unchanged` says which
    changes are seen), it is frozen once more, in the same way.

    Parameters
    ----------
    model
        In evaluation mode, on the device where it is to work.
    encoder
        The one that the model was trained with.

    Attributes
    ----------
    frozen
        The frozen form of the network, or None as long as there is none.
    """

    def __init__(self, model: TextModel, encoder: Encoder) -> None:
        self.model, self.encoder = model, encoder
        self._frozen: _Frozen | None = None
        self._live = False
        self._lock = threading.Lock()

    @property
    def frozen(self) -> TextModel | None:
        """See above."""
        if self._frozen is None:
            return None
        with plain_torch():
            return self._network()

    def freeze(self, memory_limit: int | None = None, dtype: str | None = None) -> None:
        """Predict from a frozen form of the network; see :meth:`TextModel.freeze`."""
        with self._lock, plain_torch():
            self._frozen, self._live = _Frozen(self.model, (memory_limit, dtype)), False

    def unfreeze(self) -> None:
        """Predict from the network itself."""
        with self._lock:
            self._frozen, self._live = None, True

    def logits(self, texts: list[str]) -> Tensor:
        """Return the logits [texts, K] of one text or more, on the CPU."""
        with plain_torch(), torch.inference_mode():
            data, network = self.encoder(texts), self._network()
            batches = [data.whole()] if int(data.lengths.sum()) <= _TOKENS else data.batches(_by_length(data.lengths))
            parts = [(batch.index, network(*batch.to(self._device).inputs).cpu()) for batch in batches]
            if len(parts) == 1:
                return parts[0][1]
            logits = torch.empty(len(texts), parts[0][1].shape[1], dtype=parts[0][1].dtype)
            for rows, part in parts:
                logits[rows] = part
            return logits

    def stream(self, texts: Iterable[str]) -> Iterator[Tensor]:
        """Yield the logits [n, K] of each chunk of texts, in their order.

        Parameters
        ----------
        texts
            Read as far as the results are asked for, and a few chunks more.
        """
        with plain_torch():
            self._network()
        return ordered(self.logits, in_chunks(texts, CHUNK), torch.get_num_threads())

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _network(self) -> TextModel:
        frozen = self._frozen  # read once: another thread may choose another form meanwhile
        if frozen is not None and frozen.current():
            return frozen.network
        with self._lock:
            if self._live or not (self._frozen or self.model.freezable):
                return self.model
            if self._frozen is None:
                self._frozen = _Frozen(self.model, (_TABLE, None))
            elif not self._frozen.current():
                self._frozen = _Frozen(self.model, self._frozen.options)
            return self._frozen.network

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles make a lock of their own, and look for changes of their own network."""
        state = {name: value for name, value in vars(self).items() if name not in ("_lock", "_frozen")}
        frozen = self._frozen
        kept = None if frozen is None else (frozen.network if frozen.current() else None, frozen.options)
        return {**state, "frozen": kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.pop("frozen")
        vars(self).update(state, _lock=threading.Lock(), _frozen=None)
        if kept is not None:
            network, options = kept
            self._frozen = _Frozen(self.model, options, network)


class _Frozen:
    """A frozen form of a network, how it was made, and whether the network is still the same."""

    def __init__(
        self, model: TextModel, options: tuple[int | None, str | None], network: TextModel | None = None
    ) -> None:
        self.options = options
        unchanged = Unchanged(model)  # made first, so that a change while the tables are computed is seen
        self.network = model.freeze(*options) if network is None else network
        self._unchanged = None if self.network is model else unchanged

    def current(self) -> bool:
        """Return whether the frozen form still is that of the network."""
        return self._unchanged is None or self._unchanged()


def _by_length(lengths: Tensor) -> Sequence[Tensor]:
    """Return rows from the longest to the shortest, in batches of so many tokens or a single row."""
    order = lengths.argsort(descending=True, stable=True)
    number = lengths[order].cumsum(0).sub_(1).div_(_TOKENS, rounding_mode="floor")
    return order.split(number.unique_consecutive(return_counts=True)[1].tolist())


def in_chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of ``size``; the last one has what remains."""
    stream = iter(items)
    while chunk := list(itertools.islice(stream, size)):
        yield chunk


def ordered(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield the result of each item, in order, while threads of one core each work on the next ones.

    Parameters
    ----------
    work
        Called with an item, in several threads at once.
    items
        Taken one by one in the calling thread, at most ``workers`` + 1 ahead.
    workers
        Threads; 1 works in the calling thread, with all cores.
    """
    if workers == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers, "textnn", initializer=_use_one_core)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _use_one_core() -> None:
    from threadpoolctl import threadpool_limits

    torch.get_num_threads()  # sets the thread up as torch wants it; the limit comes after that
    threadpool_limits(1, user_api="openmp")  # of the calling thread
