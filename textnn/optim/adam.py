"""Adam at a cost that follows the batch and not the vocabulary.

    dense gradients         -> torch's fused kernel, one call for all parameters of a group
    sparse gradients        -> textnn::adam_rows: the rows of the gradient; rows at rest stay as they are
    ... of an exact table   -> textnn::adam_exact_rows: the same; rows at rest catch up when they are read

A dense Adam moves every row of a table at every step: where the gradient is zero the moments decay, and the parameter
goes on by what is left of them. csrc/math/adam.h has the sum of such steps in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .. import _C, _registration  # noqa: F401  # the operators
from .table import ExactTable, Hook, find_tables, has_kernels

_ops = torch.ops.textnn


class Adam(Optimizer):
    """Adam for dense and sparse gradients alike; for dense ones ``torch.optim.AdamW(fused=True)``.

    Parameters
    ----------
    params : iterable of Tensor, of (str, Tensor) or of dict
        Parameters, named parameters or groups of them, as for every optimizer of torch.
    lr : float or Tensor, default=1e-3
        Learning rate.
    betas : tuple of float, default=(0.9, 0.999)
        Decay of the two moments at each step.
    eps : float, default=1e-8
        Added to the root of the second moment.
    weight_decay : float, default=0.0
        Decoupled weight decay (AdamW), for dense gradients only.
    exact : Module or iterable of Module, optional
        Where to look for tables that are to end up where a dense Adam would bring them: every module inside that has
        ``sparse=True`` and a ``weight`` [V, D] (``nn.Embedding``, :class:`textnn.EmbeddingLSTM`,
        :class:`textnn.EmbeddingTextConv`); usually the whole model.

    Raises
    ------
    ValueError
        If an argument is out of its range; if ``exact`` holds no table, one that is not among ``params``,
        not float32 or float64, on a device without kernels (a GPU where they were not built), or in a group with weight
        decay; if ``betas[0] ** 2`` is not
        below ``betas[1]`` there. On :meth:`step`, if a sparse gradient meets weight decay or has no rows [U, D].

    Notes
    -----
    **Dense gradients** are stepped as by ``torch.optim.AdamW(fused=True)``; without weight decay that is Adam.

    **Sparse gradients** (COO, rows of a matrix) are stepped in one of two ways. The cost of both follows the rows of
    the gradient. They need not be coalesced; the layers of this package give gradients that are.

    - By default as by ``torch.optim.SparseAdam``: the moments of a row without gradient rest with the row. This is not
      Adam: a rare word keeps its momentum until it comes again.
    - Tables in ``exact`` get what ``torch.optim.Adam`` gives with the dense gradient, up to rounding (the closed form
      is within 1e-7 of the movement), also with a changing learning rate. A row catches up with the steps that it
      missed before it is read again. To make that hard to miss, hooks are set on all modules of ``exact`` that hold the
      table: a forward pass with gradients enabled first brings the rows of its ids up to date, one without gradients
      all rows, and so do ``state_dict()`` and ``load_state_dict()`` of the module and of this optimizer.
      **Anything else that reads or changes the weights has to call** :meth:`flush` **(all rows) or** :meth:`prepare`
      **(some) before**: ``weight[...]``, ``torch.nn.functional.embedding``. Copying or pickling a model with rows
      behind is an error. ``betas`` may change between steps, at the cost of one dense step each time.

    ``torch.compile`` cannot see through these hooks, so it breaks its graph at an exact table.

    State dicts are those of ``torch.optim.Adam`` and load both ways.

    References: Kingma and Ba 2015 (Adam); Loshchilov and Hutter 2019 (decoupled weight decay).

    Examples
    --------
    >>> conv = textnn.EmbeddingTextConv(1000, embedding_dim=16, channels=8, sparse=True)
    >>> optimizer = textnn.optim.Adam(conv.parameters(), lr=0.01, exact=conv)
    >>> conv(torch.randint(1000, (2, 12))).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        exact: nn.Module | Iterable[nn.Module] | None = None,
    ) -> None:
        self._tables: dict[Tensor, ExactTable] = {}
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))
        if exact is not None:
            self._set_up([exact] if isinstance(exact, nn.Module) else list(exact))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; see ``torch.optim.Optimizer.add_param_group``."""
        group = {**self.defaults, **param_group}
        if not float(group["lr"]) >= 0:
            raise ValueError(f"lr: expected a number from 0, got {group['lr']}")
        if not all(0 <= beta < 1 for beta in group["betas"]):
            raise ValueError(f"betas: expected two numbers from 0 to below 1, got {group['betas']}")
        for name in ("eps", "weight_decay"):
            if not group[name] >= 0:
                raise ValueError(f"{name}: expected a number from 0, got {group[name]}")
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes gradients and returns the loss, which is then returned here.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step(group)
        return loss

    def prepare(self, parameter: Tensor, ids: Tensor | None = None) -> None:
        """Bring rows of an exact table up to date, before they are read in another way than by a module's forward pass.

        Parameters
        ----------
        parameter : Tensor [V, D]
            The table. For any other parameter there is nothing to do.
        ids : Tensor int64, optional
            The rows, in any shape and as often as they come; by default all rows.
        """
        table = self._tables.get(parameter)
        if table is not None:
            table.catch_up(ids)

    def flush(self) -> None:
        """Bring all rows of all exact tables up to date; free if nothing was stepped since the last time."""
        for table in self._tables.values():
            table.catch_up()

    def release(self) -> None:
        """Bring all rows up to date and take the hooks off the modules; later steps are like those of SparseAdam."""
        self.flush()
        for table in self._tables.values():
            table.remove_hooks()
        self._tables.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return the state, in the form of ``torch.optim.Adam``, after :meth:`flush`."""
        self.flush()
        return super().state_dict()

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` of this class or of ``torch.optim.Adam`` returned."""
        self.flush()
        super().load_state_dict(state_dict)
        for parameter, table in self._tables.items():
            state = self.state.get(parameter)
            table.begin(state, int(state["step"]) if state else 0)

    def __getstate__(self) -> dict[str, Any]:
        if self._tables:
            raise TypeError("an Adam with exact tables cannot be copied or pickled: save its state_dict()")
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("_tables", {})

    def _set_up(self, modules: list[nn.Module]) -> None:
        tables = find_tables(modules)
        if not tables:
            raise ValueError("exact: expected a module with a table inside, one that has sparse=True; found none")
        groups = {parameter: group for group in self.param_groups for parameter in group["params"]}
        for parameter, holders in tables.items():
            if parameter not in groups:
                shape = list(parameter.shape)
                raise ValueError(f"exact: the table {shape} of {type(holders[0]).__name__} is not among params")
            group = groups[parameter]
            if group["weight_decay"]:
                raise ValueError(f"exact: a table cannot have weight decay, got {group['weight_decay']}")
            _check_betas(group["betas"])
            for hook in [h for m in holders for h in m._forward_pre_hooks.values() if isinstance(h, Hook)]:
                if hook.table is not None and hook.table.parameter is parameter:  # an earlier optimizer's
                    hook.table.catch_up()
                    hook.table.remove_hooks()
            self._tables[parameter] = table = ExactTable(parameter)
            table.set_hooks(holders)

    def _step(self, group: dict[str, Any]) -> None:
        dense: dict[tuple[torch.device, torch.dtype], list[list[Tensor]]] = {}
        sparse: list[tuple[Tensor, Tensor, dict[str, Any]]] = []
        steps: list[Tensor] = []
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=p.device if p.is_cuda else "cpu")
                state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            steps.append(state["step"])
            if p.grad.is_sparse:
                sparse.append((p, p.grad, state))
                continue
            if p in self._tables:
                self._tables[p].catch_up()
            lists = dense.setdefault((p.device, p.dtype), [[], [], [], [], []])
            for values, t in zip(lists, (p, p.grad, state["exp_avg"], state["exp_avg_sq"], state["step"]), strict=True):
                values.append(t)
        if not steps:
            return
        torch._foreach_add_(steps, 1)
        lr, (beta1, beta2), eps = float(group["lr"]), group["betas"], group["eps"]
        for params, grads, exp_avgs, exp_avg_sqs, counts in dense.values():
            torch._fused_adamw_(
                params,
                grads,
                exp_avgs,
                exp_avg_sqs,
                [],
                counts,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=eps,
                amsgrad=False,
                maximize=False,
            )
            for p in params if self._tables else ():
                if p in self._tables:
                    self._tables[p].begin(self.state[p], int(self.state[p]["step"]))
        for p, grad, state in sparse:
            self._step_rows(p, grad, state, lr, group)

    def _step_rows(self, p: Tensor, grad: Tensor, state: dict[str, Any], lr: float, group: dict[str, Any]) -> None:
        if group["weight_decay"]:
            raise ValueError(
                f"weight_decay: expected 0 for a parameter with a sparse gradient, got {group['weight_decay']}; "
                "put it into a group of its own"
            )
        if grad.sparse_dim() != 1 or p.dim() != 2:
            raise ValueError(f"expected a sparse gradient with rows of a matrix, got one for the shape {list(p.shape)}")
        rows, values = _distinct_rows(grad)
        (beta1, beta2), eps, t = group["betas"], group["eps"], int(state["step"])
        root = math.sqrt(1 - beta2**t)
        step_size = lr * root / (1 - beta1**t)
        table = self._tables.get(p)
        if table is not None:
            _check_betas((beta1, beta2))
            table.step_rows(state, rows, values, t, step_size, eps * root, beta1, beta2)
        elif has_kernels(p) and p.is_contiguous():
            moments = state["exp_avg"], state["exp_avg_sq"]
            _ops.adam_rows(p, *moments, rows, values, step_size, eps, beta1, beta2)
        else:
            m = state["exp_avg"][rows].lerp_(values, 1 - beta1)
            v = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(values, values, value=1 - beta2)
            state["exp_avg"][rows], state["exp_avg_sq"][rows] = m, v
            p.index_add_(0, rows, m / v.sqrt().add_(eps), alpha=-step_size)
        torch.autograd.graph.increment_version(p)


def _distinct_rows(grad: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [U], rising, and their values [U, D]. Autograd loses the mark of a coalesced gradient, so look again."""
    rows = grad._indices()[0]
    if not grad.is_coalesced() and not bool((rows[1:] > rows[:-1]).all()):
        grad = grad.coalesce()
        rows = grad._indices()[0]
    return rows, grad._values()


def _check_betas(betas: tuple[float, float]) -> None:
    if not betas[0] ** 2 < betas[1]:
        raise ValueError(f"exact: betas[0] ** 2 must be below betas[1], got {tuple(betas)}")
