"""Whether a network is still the one that something was computed from, without reading its weights."""

from __future__ import annotations

import operator
from typing import Any

from torch import Tensor, nn

_version = operator.attrgetter("_version")
_address = Tensor.data_ptr


class Unchanged:
    """Notices changes of a module's parameters, buffers and submodules since it was made: ``Unchanged(module)()``.

    It sees a tensor or module that was put in the place of another one, a tensor that moved (``.to()``), and what torch
    counts as a change in place: ``load_state_dict``, an optimizer's step, ``mul_()`` under ``no_grad``. It does not see
    values that are written past this count, through ``.data``, ``.numpy()`` or into a tensor made in inference mode.

    A call takes some 0.2 µs for each tensor.
    """

    def __init__(self, module: nn.Module) -> None:
        modules = list(module.modules())
        self._children = [(m._modules, dict(m._modules)) for m in modules if m._modules]
        self._holders: list[dict[str, Any]] = [d for m in modules for d in (m._parameters, m._buffers) if d]
        self._held = self._tensors()
        self._counted = [t for t in self._held if t is not None and not t.is_inference()]
        self._versions = list(map(_version, self._counted))
        self._present = [t for t in self._held if t is not None]
        self._addresses = list(map(_address, self._present))
        # As long as the memory is in use, no other tensor can be at its address.
        self._memory = [t.untyped_storage() for t in self._present]

    def __call__(self) -> bool:
        """Return whether nothing has changed."""
        held = self._tensors()
        return (
            len(held) == len(self._held)
            and all(map(operator.is_, held, self._held))
            and list(map(_version, self._counted)) == self._versions
            and list(map(_address, self._present)) == self._addresses
            and all(now == before for now, before in self._children)
        )

    def _tensors(self) -> list[Tensor | None]:
        return [t for held in self._holders for t in held.values()]
