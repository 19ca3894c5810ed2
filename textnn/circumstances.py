"""What a program around the classifier may have set: threads, forks, quotas of CPU time, torch's defaults.

    containers' quotas -> ``usable_cpus`` -> the default number of threads of the command line
    fork of a process with threads -> ``after_fork`` at the child's first work -> one thread
    default dtype, device, autocast, gradients off, inference mode -> ``plain_torch`` -> float32 on the CPU, in a block

OpenMP's threads do not survive a fork, and whoever waits for them in the child waits for ever; torch does.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import torch


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of what a user did: the warning names the line outside this package from which it was called."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "textnn":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


_GROUPS, _V1 = Path("sys/fs/cgroup"), "cpu,cpuacct"


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return how many CPUs' time the control groups of this process allow it, None without a limit.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    with suppress(OSError):
        quotas = []
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            base = root / _GROUPS / controllers if controllers else root / _GROUPS
            if controllers and not base.is_dir():
                base = root / _GROUPS / "cpu"
            group = Path(path.lstrip("/"))
            # A container may see its own group as the root: what the path names is then not there.
            quotas += [_quota_of(base / folder) for folder in (group, *group.parents)]
        limits = [quota for quota in quotas if quota is not None]
        return min(limits) if limits else None
    return None


def _quota_of(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
            )
        if quota != "max" and int(quota) > 0:
            return int(quota) / int(period)
    return None


def usable_cpus() -> int:
    """Return how many threads can work at once: the CPUs of this process, or the quota, rounded up, if that is less."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


class _Fork:
    """Whether this process was forked of one that had threads, and has not done any work since."""

    pending = False
    threads = 1

    @classmethod
    def before(cls) -> None:
        try:
            cls.threads = sum(1 for _ in Path("/proc/self/task").iterdir())
        except OSError:
            cls.threads = 2  # not to be told here

    @classmethod
    def in_child(cls) -> None:
        cls.pending = cls.threads > 1


os.register_at_fork(before=_Fork.before, after_in_child=_Fork.in_child)


def after_fork() -> None:
    """Go on with one thread, with a warning, if this process was forked of one that had threads.

    Warns
    -----
    UserWarning
        Then, and if there were to be more.
    """
    if not _Fork.pending:
        return
    _Fork.pending = False
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)
        warn(
            "this process was forked of one with threads, which do not survive that: it goes on with one thread. Start "
            "processes by spawn, or fork before the first prediction and set the number of threads in each",
        )


_dtype_lock = threading.Lock()
_dtype_users, _dtype_before = 0, torch.float32


_AUTOCAST = ("cpu", "cuda", "xpu", "mps")


@contextmanager
def plain_torch(gradients: bool = False) -> Iterator[None]:
    """Let torch make float32 tensors on the CPU within a block, whatever the program around it has set.

    Parameters
    ----------
    gradients
        Whether the block needs gradients, or parameters that can have some: then they are on, and inference mode off.
    """
    after_fork()
    with ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if torch.get_default_dtype() != torch.float32 or _dtype_users:
            stack.enter_context(_float32())
        if torch._C._is_any_autocast_enabled():
            for device in filter(torch.is_autocast_enabled, _AUTOCAST):
                stack.enter_context(torch.autocast(device, enabled=False))
        if gradients:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
        yield


@contextmanager
def _float32() -> Iterator[None]:
    """Hold the default dtype, which is the whole process's, at float32 as long as any thread needs it."""
    global _dtype_users, _dtype_before  # as torch's own default is
    with _dtype_lock:
        if not _dtype_users:
            _dtype_before = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)
        _dtype_users += 1
    try:
        yield
    finally:
        with _dtype_lock:
            _dtype_users -= 1
            if not _dtype_users:
                torch.set_default_dtype(_dtype_before)
