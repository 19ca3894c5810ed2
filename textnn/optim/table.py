"""A table that catches up: which step each row has seen, what the steps since were, and the hooks that see to it.

    step t:   history[t] = size and floor of the step, and what it adds to the sums of all steps before
              last[row] = t for the rows of the gradient
    forward:  rows of the ids with last[row] < t move by what they missed, last[row] = t

csrc/math/adam.h has the equations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .. import backends

_ops = torch.ops.textnn

CAPACITY = 4096
"""Steps that the history holds. When it is full all rows catch up, so that it begins anew: one dense step in 4096."""

_COLUMNS = 7
_NEVER = -1


class ExactTable:
    """The rows of one parameter [V, D].

    Raises
    ------
    ValueError
        If the parameter is not a contiguous float32 or float64 matrix on a device that :func:`has_kernels`.
    """

    def __init__(self, parameter: Tensor) -> None:
        if not has_kernels(parameter):
            where = "the CPU or, where textnn was built with its CUDA kernels, on a GPU"
            raise ValueError(
                f"exact: expected a float32 or float64 table on {where}, got {parameter.dtype} on {parameter.device}"
            )
        if not parameter.is_contiguous():
            raise ValueError("exact: expected a contiguous table")
        self.parameter = parameter
        self.last = torch.full((parameter.shape[0],), _NEVER, dtype=torch.int32, device=parameter.device)
        self.history = torch.zeros(CAPACITY + 1, _COLUMNS, dtype=torch.float64, device=parameter.device)
        self.state: dict[str, Any] | None = None
        self.betas = (0.0, 0.0)
        self.base = self.step = 0
        self._handles: list[Any] = []

    @property
    def behind(self) -> bool:
        """Whether some row may have missed a step."""
        return self.step > self.base

    def begin(self, state: dict[str, Any] | None, step: int) -> None:
        """Start from moments that are up to date at a step: loaded ones, or those of a dense step."""
        self.state, self.step = state, step
        self.last.fill_(_NEVER)
        if state:
            self.last[state["exp_avg_sq"].any(dim=1) | state["exp_avg"].any(dim=1)] = step
        self._forget()

    @torch.no_grad()
    def catch_up(self, ids: Tensor | None = None) -> None:
        """Bring the rows of these ids up to date, or all; ids outside the table are left to those who look them up."""
        if not self.behind or self.state is None:
            return
        moments = self.state["exp_avg"], self.state["exp_avg_sq"]
        ids = None if ids is None else ids.to(device=self.last.device, dtype=torch.int64)
        _ops.adam_catch_up(self.parameter, *moments, self.last, self.history, ids, self.base, self.step, *self.betas)
        if ids is None:
            self._forget()

    def step_rows(
        self,
        state: dict[str, Any],
        rows: Tensor,
        values: Tensor,
        step: int,
        step_size: float,
        floor: float,
        beta1: float,
        beta2: float,
    ) -> None:
        """Make a step with the gradients ``values`` [U, D] of distinct, rising ``rows`` [U]."""
        if (beta1, beta2) != self.betas or self.step - self.base == CAPACITY:
            self.catch_up()
            self.betas = (beta1, beta2)
        if self.state is not state:  # the first step
            self.begin(state, step - 1)
        moments = state["exp_avg"], state["exp_avg_sq"]
        _ops.adam_exact_rows(
            self.parameter,
            *moments,
            self.last,
            self.history,
            rows,
            values,
            self.base,
            step,
            step_size,
            floor,
            beta1,
            beta2,
        )
        self.step = step

    def set_hooks(self, modules: Iterable[nn.Module]) -> None:
        """Have the modules that hold the parameter catch up before they use it."""
        for module in modules:
            hook = Hook(self)
            # The hook for state_dict() returns nothing to be removed by.
            self._handles += [
                module.register_forward_pre_hook(hook, with_kwargs=True),
                module.register_load_state_dict_pre_hook(hook.before_transfer),
                hook,
            ]
            module.register_state_dict_pre_hook(hook.before_transfer)

    def remove_hooks(self) -> None:
        """Undo :meth:`set_hooks`."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _forget(self) -> None:
        self.base = self.step
        self.history[0].zero_()


class Hook:
    """Called before a module reads its table; holds the table alive, as its last steps may still have to be made."""

    def __init__(self, table: ExactTable | None = None) -> None:
        self.table = table
        if table is not None:
            # As a decorator it would import the compiler, some hundred modules, with the package.
            self._outside = torch.compiler.disable(self._catch_up)

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Catch up, outside of compiled code: with gradients the rows of the ids; else, or without ids, all rows."""
        if self.table is not None:
            self._outside(module, args, kwargs)

    def _catch_up(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        assert self.table is not None
        rows_read = getattr(module, "rows_read", None)
        if rows_read is not None:  # a layer whose rows are not its ids
            args, kwargs = (rows_read(*args, **kwargs),), {}
        ids = args[0] if args else kwargs.get("ids", kwargs.get("input"))
        whole = not isinstance(ids, Tensor) or ids.is_floating_point() or not torch.is_grad_enabled()
        self.table.catch_up(None if whole else ids)

    def before_transfer(self, *_: Any) -> None:
        """Catch up before the weights are saved or replaced."""
        if self.table is not None:
            self.table.catch_up()

    def remove(self) -> None:
        """Do nothing from now on."""
        self.table = None

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy of the module is nobody's table.
        if self.table is not None and self.table.behind:
            raise RuntimeError("a model with rows of an exact table behind cannot be copied: call flush() before")
        return Hook, ()


def has_kernels(parameter: Tensor) -> bool:
    """Return whether the operators on rows take a table of this type on this device."""
    return backends.has_kernels(parameter.device) and parameter.dtype in (torch.float32, torch.float64)


def find_tables(modules: Iterable[nn.Module]) -> dict[Tensor, list[nn.Module]]:
    """Return the tables inside the modules, each with all modules there that hold it."""
    inside = list(dict.fromkeys(m for module in modules for m in module.modules()))
    found: dict[Tensor, list[nn.Module]] = {}
    for module in inside:
        weight = getattr(module, "weight", None)
        if getattr(module, "sparse", False) is True and isinstance(weight, nn.Parameter) and weight.dim() == 2:
            found.setdefault(weight, [])
    for module in inside:
        for parameter in module._parameters.values():
            if parameter is not None and parameter in found:
                found[parameter].append(module)
    return found
