"""Several processes that train one model together.

    inputs of each process --join--> process 0: prepares --first--> every process: data, model with its first weights
    each step   texts r, r + W, ... of the batch in process r -> gradients -> summed -> the same step in each
    process 0: judges --first--> every process: the result

A step therefore has the gradient of the joint batch, whatever the number of processes, and the work on it is dealt out
evenly. ``Group`` is what a process knows of the others: alone it exchanges nothing, so that one code path serves both.

Whatever fails in one process must end all of them. Where each works by itself, :meth:`Group.together` tells the others;
a process that is gone closes its connections, which ends what the others wait for, and a host that is gone answers no
more (``connections``).
"""

from __future__ import annotations

import datetime
import functools
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from textnn import connections
from textnn.parcel import Column, Parcel

T = TypeVar("T")

ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells each process that it starts."""

_SHARED = "_textnn_shared"
_JOINING = datetime.timedelta(minutes=10)  # for processes that torchrun starts at the same time
_LONGEST = datetime.timedelta(days=1)  # that the others wait for process 0; if it is gone, they hear of it


class PeerError(RuntimeError):
    """Another process of the group failed, or cannot be reached any more."""


class Group:
    """This process among those that work together; by default a group of one.

    Parameters
    ----------
    rank, size
        Number of this process, from 0, and the number of all.
    device
        Where this process is to train.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: str = "cpu") -> None:
        self.rank, self.size, self.device = rank, size, device

    @classmethod
    def default(cls) -> Group:
        """Return the default process group of ``torch.distributed``.

        Raises
        ------
        ValueError
            If there is none.
        """
        if not (distributed.is_available() and distributed.is_initialized()):
            raise ValueError(
                "distributed: expected a process group, got none; call torch.distributed.init_process_group() before"
            )
        return cls(distributed.get_rank(), distributed.get_world_size())

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, by rank; any Python object."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with _connected():
            distributed.all_gather_object(values, value)
        return values

    def collect(self, value: T) -> list[T] | None:
        """Return the values of all processes in process 0, None in the others; tensors in them go as they are."""
        if self.size == 1:
            return [value]
        with self.together():
            parcel = Parcel.of(value)
        with _connected():
            if not self.rank:
                return [value, *map(_receive, range(1, self.size))]
            _send(parcel, 0)
        return None

    def first(self, value: T) -> T:
        """Return the value of process 0; tensors in it go as they are."""
        if self.size == 1:
            return value
        with self.together():
            parcel = Parcel.of(value if self.rank == 0 else None)
        with _connected():
            heads = [parcel.head]
            distributed.broadcast_object_list(heads)
            if self.rank:
                received: T = Parcel(heads[0]).open(_receiver(distributed.broadcast, 0))
                return received
            for tensor in parcel.tensors:
                distributed.broadcast(_on_carrier(tensor), 0)
        return value

    def join(self, rows: Sequence[T]) -> list[T] | None:
        """Return the rows of all processes in process 0, in the order of one process that has them all; else None.

        The first row of each process, the second of each, ...: what was dealt out as ``rows[rank::size]`` is together
        again. Strings, and lists of them, go as tensors, each different one once.
        """
        if self.size == 1:
            return list(rows)
        shares = self.collect(Column(rows))
        return None if shares is None else interleave([share.rows() for share in shares])

    def deal(self, rows: Sequence[T] | None) -> list[T]:
        """Return this process's share of the rows that process 0 has, ``rows[rank::size]``; :meth:`join` undoes it."""
        if self.size == 1:
            return list(rows or ())
        with self.together():
            shares = [] if rows is None else [rows[rank :: self.size] for rank in range(self.size)]
            parcels = [Parcel.of(Column(share)) for share in shares[1:]]
        with _connected():
            if self.rank:
                column: Column = _receive(0)
                return column.rows()
            for rank, parcel in enumerate(parcels, start=1):
                _send(parcel, rank)
        return list(shares[0])

    def part(self, rows: Tensor) -> Tensor:
        """Return this process's part of the rows of a batch: every ``size``-th, which keeps lengths even."""
        return rows if self.size == 1 else rows[self.rank :: self.size]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Enclose work that each process does by itself, without exchange: what fails in one fails in all.

        Raises
        ------
        PeerError
            If it failed in other processes only. A process in which it failed raises its own error.
        """
        if self.size == 1:
            yield
            return
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        messages = self.gather(None if failure is None else str(failure) or type(failure).__name__)
        failed = [(rank, message) for rank, message in enumerate(messages) if message is not None]
        if failed:
            rank, message = failed[0]
            raise self.fail(failure or PeerError(f"process {rank} of {self.size}: {message}"))

    def fail(self, error: Exception) -> Exception:
        """Return an error, for raising it, that ends every process at this place; :func:`is_shared` knows it."""
        setattr(error, _SHARED, self.size > 1)
        return error

    def check_same(self, what: str, values: Mapping[str, Any]) -> None:
        """Raise an error in every process if named values are not the same in all.

        Raises
        ------
        ValueError
            Naming the first process that differs from process 0.
        """
        everyone = self.gather(dict(values))
        for rank, others in enumerate(everyone):
            for name, expected in everyone[0].items():
                if others[name] != expected:
                    message = f"{what}: expected the same in every process, got {name} {others[name]!r} in process"
                    raise self.fail(ValueError(f"{message} {rank} and {expected!r} in process 0"))


ALONE = Group()


def is_shared(error: BaseException) -> bool:
    """Return whether all processes know of an error, so that one of them is enough to tell of it."""
    return isinstance(error, PeerError) or getattr(error, _SHARED, False)


class GradientSum:
    """Sums gradients over the processes, each of which has those of its part of a batch.

    One exchange holds everything dense, a second one the rows of the tables. ``DistributedDataParallel`` would do for
    dense gradients; NCCL has no sum of sparse ones, and a process whose part of a batch is empty has no backward pass.

    Parameters
    ----------
    group
        The processes.
    dense, tables
        Parameters [...] with dense gradients and [V, D] with sparse ones, in the same order in every process.
    """

    def __init__(self, group: Group, dense: Sequence[nn.Parameter], tables: Sequence[nn.Parameter]) -> None:
        self.group, self.dense, self.tables = group, list(dense), list(tables)

    def __call__(self, figures: Sequence[float]) -> list[float]:
        """Sum the gradients, in place, and some figures beside them, which are returned.

        A parameter without a gradient in any process has none afterwards.
        """
        if self.group.size == 1:
            return list(figures)
        with _connected(), torch.no_grad():
            rows = [0 if table.grad is None else table.grad._nnz() for table in self.tables]
            present = [float(parameter.grad is not None) for parameter in self.dense]
            # A place for each process: the sum then holds everyone's number of rows.
            places = [[0.0] * self.group.size for _ in rows]
            for place, count in zip(places, rows, strict=True):
                place[self.group.rank] = float(count)
            counts = [*present, *(count for place in places for count in place)]
            # float32 counts rows up to 2**24; what is counted here is the distinct tokens of a batch. bfloat16 would
            # do up to 2**8, so everything is exchanged, and summed, in the widest type.
            parameters = [*self.dense, *self.tables]
            dtype = functools.reduce(torch.promote_types, (p.dtype for p in parameters), torch.float32)
            head = torch.tensor([*figures, *counts], dtype=dtype, device=parameters[0].device)
            flat = torch.cat([head, *(self._flat_gradient(parameter).to(dtype) for parameter in self.dense)])
            distributed.all_reduce(flat)
            head = flat[: len(head)].cpu()
            sums = head[len(figures) :].tolist()
            start = len(head)
            for parameter, owners in zip(self.dense, sums, strict=False):
                end = start + parameter.numel()
                parameter.grad = flat[start:end].view_as(parameter).to(parameter.dtype) if owners else None
                start = end
            for number, table in enumerate(self.tables):
                begin = len(self.dense) + number * self.group.size
                table.grad = self._sum_rows(table, [int(count) for count in sums[begin : begin + self.group.size]])
        return [float(figure) for figure in head[: len(figures)]]

    @staticmethod
    def _flat_gradient(parameter: nn.Parameter) -> Tensor:
        return parameter.new_zeros(parameter.numel()) if parameter.grad is None else parameter.grad.reshape(-1)

    def _sum_rows(self, table: nn.Parameter, counts: list[int]) -> Tensor | None:
        """Sum sparse gradients of ``counts`` rows each, by gathering them, padded to equal lengths."""
        longest, depth = max(counts), table.shape[1]
        if longest == 0:
            return None
        index = torch.zeros(longest, dtype=torch.int64, device=table.device)
        values = table.new_zeros(longest, depth)
        if table.grad is not None:
            index[: counts[self.group.rank]] = table.grad._indices()[0]
            values[: counts[self.group.rank]] = table.grad._values()
        all_index = [torch.empty_like(index) for _ in counts]
        all_values = [torch.empty_like(values) for _ in counts]
        distributed.all_gather(all_index, index)
        distributed.all_gather(all_values, values)
        index = torch.cat([part[:count] for part, count in zip(all_index, counts, strict=True)])
        values = torch.cat([part[:count] for part, count in zip(all_values, counts, strict=True)])
        return torch.sparse_coo_tensor(index[None], values, table.shape, check_invariants=False).coalesce()


def interleave(shares: Sequence[Sequence[T]]) -> list[T]:
    """Return the first item of each share, the second of each, ...

    Examples
    --------
    >>> interleave([[0, 2, 4], [1, 3]])
    [0, 1, 2, 3, 4]
    """
    nothing: Any = object()
    return [
        item for items in itertools.zip_longest(*shares, fillvalue=nothing) for item in items if item is not nothing
    ]


@contextmanager
def joined() -> Iterator[Group]:
    """Join the processes that torchrun started, and leave them after work that ended well.

    Gradients go through NCCL between GPUs, one for each process of a machine, where torch has CUDA and this build its
    kernels; all else through gloo.

    Raises
    ------
    ValueError
        If torchrun did not start this process, or started more than the machine has GPUs; for a time in the environment
        that is none (``connections``).
    PeerError
        If the others cannot be reached.
    """
    missing = [name for name in ENVIRONMENT if not os.environ.get(name)]
    if missing:
        raise ValueError(
            f"--distributed: expected to be started by torchrun, but the environment lacks {', '.join(missing)}; "
            "write: torchrun --nproc-per-node=2 -m textnn train FILE --output DIRECTORY --distributed"
        )
    if not distributed.is_available():
        raise ValueError("--distributed: this torch was built without torch.distributed")
    silence = connections.read_seconds()
    device, backend = _choose_device()
    with _connected():
        with connections.watched(silence):
            distributed.init_process_group(backend, timeout=_JOINING)
        distributed.distributed_c10d._set_pg_timeout(_LONGEST)
    yield Group(distributed.get_rank(), distributed.get_world_size(), device)
    # After an error the others may be gone, and leaving could wait for them.
    distributed.destroy_process_group()


def _choose_device() -> tuple[str, str]:
    """Return the device of this process, and the backend."""
    from textnn.backends import cuda_built

    if not (torch.cuda.is_available() and cuda_built()):
        return "cpu", "gloo"
    local, devices = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= devices:
        raise ValueError(f"--distributed: expected at most {devices} processes, one for each GPU, got more")
    torch.cuda.set_device(local)
    return f"cuda:{local}", "cpu:gloo,cuda:nccl"


def _send(parcel: Parcel, rank: int) -> None:
    head = torch.frombuffer(bytearray(parcel.head), dtype=torch.uint8)
    for tensor in (torch.tensor([len(head)]), head, *parcel.tensors):
        distributed.send(_on_carrier(tensor), rank)


def _receive(rank: int) -> Any:
    """Return the value that another process sends by :func:`_send`."""
    fill, length = _receiver(distributed.recv, rank), torch.zeros(1, dtype=torch.int64)
    fill(length)
    head = torch.empty(int(length), dtype=torch.uint8)
    fill(head)
    return Parcel(head.numpy().tobytes()).open(fill)


def _on_carrier(tensor: Tensor) -> Tensor:
    """Return bytes where the group can send them: on the CPU, or on the GPU of a group that has no other backend."""
    return tensor if "cpu" in distributed.get_backend_config() else tensor.cuda()


def _receiver(receive: Callable[[Tensor, int], Any], rank: int) -> Callable[[Tensor], None]:
    """Return a function that fills a tensor of bytes with what another process sends."""

    def fill(tensor: Tensor) -> None:
        carrier = _on_carrier(tensor)
        receive(carrier, rank)
        if carrier is not tensor:
            tensor.copy_(carrier)

    return fill


@contextmanager
def _connected() -> Iterator[None]:
    """Turn what a broken connection raises into an error that says so."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        # Gloo begins with its own source file and ends with advice.
        reason = re.sub(r"^\[[^]]*\] ", "", (str(error).strip() or type(error).__name__).splitlines()[0])
        reason = reason.partition(". This is")[0]
        raise PeerError(f"another process ended or cannot be reached ({reason})") from error
