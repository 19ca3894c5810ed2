"""What all estimators share: a fit that happens at once or not at all, fitted attributes, saving and loading.

    fit          parameters, data -> a task's ``fitting.fit`` -> ``state_``
    attributes   ``name_`` is the field ``name`` of ``state_``
    save, load   ``state_`` <-> a task's ``bundle``

A task's estimator is a dataclass on :class:`Estimator` whose fields are its parameters, each declared once: dataclasses
make the constructor that scikit-learn's contract asks for, which only stores. It is a facade (DESIGN.md): state and
functions below it know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, ClassVar, Generic, TypeVar

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from textnn.circumstances import plain_torch
from textnn.distributed import ALONE, Group
from textnn.training.checkpoint import Checkpoint

State = TypeVar("State")
Self = TypeVar("Self", bound="Estimator[Any]")


class _Fitted:
    """An attribute that a fit makes: ``name_`` is the field ``name`` of ``state_``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._field = name[:-1]

    def __get__(self, estimator: Any, owner: type | None = None) -> Any:
        return self if estimator is None else getattr(estimator._state, self._field)

    def __set__(self, estimator: Any, value: Any) -> None:
        estimator._change(self._field, value)


def fitted() -> Any:
    """Declare an attribute ``name_`` of an estimator, the field ``name`` of its state."""
    return _Fitted()


class Estimator(BaseEstimator, Generic[State]):
    """Base of the estimators.

    Attributes
    ----------
    state_ : State
        All that a fit came to, in one record.
    """

    _bundle: ClassVar[Any]
    """The task's module of saved models: ``save(state, parameters, path)`` and ``load(path, ..., device, names)``."""

    state_: State
    options_: dict[str, Any] = fitted()
    history_: list[dict[str, Any]] = fitted()
    best_epoch_: int = fitted()
    seed_: int = fitted()

    @property
    def _state(self) -> State:
        check_is_fitted(self, "state_")
        return self.state_

    def _change(self, field: str, value: Any) -> None:
        self.state_ = replace(self._state, **{field: value})  # type: ignore[type-var]

    def _fit(
        self: Self,
        fit: Callable[..., Any],
        *data: Any,
        distributed: bool = False,
        checkpoint: Checkpoint | str | PathLike[str] | None = None,
        forms: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Self:
        """Train by a task's function; ``forms`` are parameters that the data decide."""
        group, kept = Group.default() if distributed else ALONE, Checkpoint.of(checkpoint)
        parameters = {**self.get_params(deep=False), **(forms or {})}
        with plain_torch(gradients=True):
            self.state_ = fit(parameters, *data, group=group, checkpoint=kept, **more)
        return self

    def save(self, path: str | PathLike[str]) -> None:
        """Save the fitted model as a directory of plain files, without pickle; an earlier one is replaced at once.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model has not been fitted.
        BundleError
            If the directory cannot be written, or holds something else.
        """
        self._bundle.save(self._state, self.get_params(deep=False), path)

    @classmethod
    def _loaded(cls: type[Self], path: str | PathLike[str], *request: Any, device: str) -> Self:
        with plain_torch(gradients=True):
            state, parameters = cls._bundle.load(path, *request, device, cls._get_param_names())
        estimator = cls(**parameters, device=device)
        estimator.state_ = state
        return estimator
