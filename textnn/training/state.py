"""The state of a training: everything that its future depends on, and how it becomes a checkpoint and comes back.

    network, optimizer, generators, position, sums of the epoch, history, best weights
        -> tensors by name + what JSON can hold -> ``Checkpoint``, written by process 0

Names of tensors, for a parameter NAME:

    model.NAME    optimizer.NAME.{step,exp_avg,exp_avg_sq}    best.NAME    order: the generator as the epoch began
    processR.generator    what each process R of a group has for itself: torch's generators, all of an exact table, and
                          what the network carries from batch to batch

Rows of an exact table catch up when they are read, which is another rounding at another time. So its rows are kept as
they lie, behind or not, with what they have missed, and each process keeps its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from textnn.circumstances import warn
from textnn.distributed import Group
from textnn.models import Network
from textnn.optim import Adam
from textnn.reading import printable
from textnn.text import RaggedDataset
from textnn.training.checkpoint import Checkpoint, Identity, Tensors, differences, make_identity
from textnn.training.objective import Objective
from textnn.training.progress import Epoch, Reporter


class TrainingError(RuntimeError):
    """A training that cannot go on; the message says why and what may help."""


class TrainingState:
    """A training between two of its steps.

    Parameters
    ----------
    model, optimizer
        As they are before the first step.
    generator
        Source of the order of the batches.
    device
        Where the model is.
    group
        The processes that train together.

    Attributes
    ----------
    epoch, batch
        The epoch under way, from 1, and how many of its batches are done.
    loss_sum, correct, seen, seconds
        Sums over the batches of the epoch that are done.
    history
        The figures of the epochs that are done.
    best_epoch, best_weights
        The best epoch so far and its weights, by the names of ``state_dict()``; None: those of the last epoch.
    """

    def __init__(
        self, model: Network, optimizer: Adam, generator: torch.Generator, device: torch.device | str, group: Group
    ) -> None:
        self.model, self.optimizer, self.generator, self.group = model, optimizer, generator, group
        self.device = torch.device(device)
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_weights: Tensors | None = None
        self.epoch = 0
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Go to the next epoch."""
        self.epoch += 1
        self.batch = self.seen = 0
        self.loss_sum = self.correct = self.seconds = 0.0
        self.order = self.generator.get_state()
        self._since = time.perf_counter()

    def tick(self) -> float:
        """Bring the seconds of the epoch up to date, and return them."""
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        return self.seconds

    def is_finite(self) -> bool:
        """Return whether all weights are numbers, in all processes."""
        tensors = (*self.model.parameters(), *self.model.buffers())
        finite = all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor.is_floating_point())
        return all(self.group.gather(finite))

    def capture(self) -> tuple[Tensors, dict[str, Any]] | None:
        """Return the state as tensors and as what JSON can hold, in process 0; None in the others."""
        seconds = self.tick()
        shared, own = self._slots()
        own |= {name: get() for name, (get, _) in self._generators().items()}
        parts = self.group.collect({name: tensor.detach().cpu() for name, tensor in own.items()})
        if parts is None:
            return None
        own = {f"process{rank}.{name}": tensor for rank, part in enumerate(parts) for name, tensor in part.items()}
        stepped = [name for name, parameter in self.model.named_parameters() if self.optimizer.state.get(parameter)]
        plain = {
            "position": [self.epoch, self.batch, self.seen],
            "sums": [self.loss_sum, self.correct, seconds],
            "history": [record.to_dict() for record in self.history],
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights is not None,
            "stepped": stepped,
            "numerics": _numerics(),
        }
        return {**shared, **own, "order": self.order}, plain

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Take over what :meth:`capture` returned in process 0.

        Raises
        ------
        ValueError, TypeError, KeyError, AttributeError, OverflowError
            If it does not fit the model.
        """
        self.epoch, self.batch, self.seen = map(int, plain["position"])
        self.loss_sum, self.correct, self.seconds = map(float, plain["sums"])
        self.history = [Epoch(**record) for record in plain["history"]]
        figures = [value for record in self.history for value in record.to_dict().values()]
        if not all(value is None or isinstance(value, int | float) for value in figures):
            raise ValueError("expected numbers as the figures of the epochs")
        self.best_epoch = int(plain["best_epoch"])
        parameters = dict(self.model.named_parameters())
        for name in plain["stepped"]:
            parameter = parameters[name]
            step = torch.zeros((), device=parameter.device if parameter.is_cuda else "cpu")
            state = {"step": step, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
            self.optimizer.state[parameter] = {key: tensor.detach() for key, tensor in state.items()}
        if plain["best_weights"]:
            self.best_weights = {name: torch.empty_like(tensor) for name, tensor in self.model.state_dict().items()}
        shared, own = self._slots()
        prefix = f"process{self.group.rank}."
        generators = self._generators()
        slots = {**shared, **{prefix + name: tensor for name, tensor in own.items()}, "order": self.order}
        slots |= {prefix + name: get() for name, (get, _) in generators.items()}
        _check_fit(slots, {name: tensor for name, tensor in tensors.items() if _concerns(name, prefix)})
        with torch.no_grad():
            for name, slot in slots.items():
                slot.copy_(tensors[name])
        for weight, table in self.optimizer._tables.items():
            course = own[f"table.{self._name_of(weight)}.course"].tolist()
            table.base, table.step, table.betas = int(course[0]), int(course[1]), (course[2], course[3])
            table.state = self.optimizer.state.get(weight)
        try:
            for name, (_, put) in generators.items():
                put(tensors[prefix + name])
            self.generator.set_state(self.order)
        except RuntimeError as error:
            raise ValueError(f"expected the state of a generator ({error})") from error
        self._since = time.perf_counter()

    def _slots(self) -> tuple[Tensors, Tensors]:
        """The tensors that make up the state: those that all processes share, and those of this one."""
        shared: Tensors = {f"model.{name}": buffer for name, buffer in self.model.named_buffers()}
        own: Tensors = {f"carried.{name}": states for name, states in self.model.carried_states().items()}
        names = self.model.named_parameters(remove_duplicate=False)
        exact = {name for name, parameter in names if parameter in self.optimizer._tables}
        for name, parameter in self.model.named_parameters():
            table = self.optimizer._tables.get(parameter)
            tensors = shared if table is None else own
            tensors[f"model.{name}"] = parameter
            for key, value in (self.optimizer.state.get(parameter) or {}).items():
                tensors[f"optimizer.{name}.{key}"] = value
            if table is not None:
                course = torch.tensor([table.base, table.step, *table.betas], dtype=torch.float64)
                parts = {"last": table.last, "history": table.history, "course": course}
                own |= {f"table.{name}.{part}": values for part, values in parts.items()}
        for name, weights in (self.best_weights or {}).items():
            (own if name in exact else shared)[f"best.{name}"] = weights
        return shared, own

    def _generators(self) -> dict[str, tuple[Any, Any]]:
        """How to get and to set the state of the generators that dropout draws from."""
        found: dict[str, tuple[Any, Any]] = {"generator": (torch.get_rng_state, torch.set_rng_state)}
        if self.device.type == "cuda":
            device = self.device
            found["cuda_generator"] = (
                lambda: torch.cuda.get_rng_state(device),
                lambda state: torch.cuda.set_rng_state(state, device),
            )
        return found

    def _name_of(self, parameter: Tensor) -> str:
        return next(name for name, other in self.model.named_parameters() if other is parameter)


class Keeper:
    """Writes a training's state now and then, and brings it back; without a checkpoint there is nothing to do.

    Parameters
    ----------
    checkpoint
        Where to, or None. Only process 0 touches files.
    identity, defaults
        Of the training, and what holds where a checkpoint lacks a setting; needed in process 0 only.
    state
        The training's.
    """

    def __init__(
        self, checkpoint: Checkpoint | None, identity: Identity, state: TrainingState, defaults: Identity
    ) -> None:
        self.checkpoint, self.identity, self.state, self.defaults = checkpoint, identity, state, defaults
        self.kept = ""
        self._written = time.monotonic()
        self._warned = False

    def is_due(self) -> bool:
        """Return whether it is time to write: in process 0, which has the clock; False in the others."""
        if self.checkpoint is None or self.state.group.rank:
            return False
        return time.monotonic() - self._written >= self.checkpoint.seconds

    def save(self) -> None:
        """Write the state; all processes have to come here. What cannot be written is a warning.

        Raises
        ------
        TrainingError
            If a weight is not a number; the state before then stays.
        """
        if self.checkpoint is None:
            return
        self.check_weights()
        captured = self.state.capture()
        if captured is None:
            return
        try:
            self.checkpoint.write(*captured, self.identity)
        except OSError as error:
            if not self._warned:
                file, reason = self.checkpoint.file, error.strerror or error
                warn(f"{file}: a checkpoint could not be written ({reason}); the training goes on")
            self._warned = True
        else:
            self._keep()
        self._written = time.monotonic()

    def resume(self, epochs: int, batches: int, reporter: Reporter, held_out: bool) -> None:
        """Go on from the state that is there, if that is asked for; all processes have to come here.

        Parameters
        ----------
        epochs, batches
            Epochs of the training at most, and batches of an epoch.
        reporter
            Is told where it goes on.
        held_out
            Whether there are texts to measure by after each epoch.

        Raises
        ------
        CheckpointError
            If what is there is damaged, or of another training.
        """
        if self.checkpoint is None:
            return
        state, group, found = self.state, self.state.group, None
        with group.together():
            if group.rank == 0 and self.checkpoint.resume and self.checkpoint.exists():
                found = self.checkpoint.read(self.identity, self.defaults)
        found = group.first(found)
        if found is None:
            if self.checkpoint.resume:
                reporter.note(f"no checkpoint in {self.checkpoint.directory}: the training starts from the beginning")
            elif group.rank == 0 and self.checkpoint.exists():
                reporter.note(f"the checkpoint in {self.checkpoint.directory} is replaced, as there was no resume")
            return
        with group.together():
            try:
                state.restore(*found)
                _check_position(state, epochs, batches, held_out)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
                raise self.checkpoint.damaged(f"{type(error).__name__}: {error}") from error
        self._keep()
        reporter.note(f"resumed {self._where} of {epochs} from {self.checkpoint.directory}")
        numerics = found[1].get("numerics")
        before = {name: str(value) for name, value in numerics.items()} if isinstance(numerics, dict) else {}
        if changed := printable(differences(before, _numerics())):
            reporter.note(f"the weights may not be, to the bit, those of an uninterrupted training: {changed}")

    def check_weights(self) -> None:
        """Raise an error in all processes if a weight is not a number."""
        if not self.state.is_finite():
            raise self.lost("weights became infinite or NaN")

    def lost(self, what: str, batch: int | None = None) -> Exception:
        """Return an error, for raising it in all processes, about a training that has become useless."""
        state = self.state
        rate = max(group["initial_lr"] for group in state.optimizer.param_groups)
        where = f"epoch {state.epoch}, batch {state.batch if batch is None else batch}"
        advice = f"try a smaller learning_rate than {rate:g}, a warmup or a clip_norm"
        return state.group.fail(TrainingError(f"{what} in {where}; {advice}{self.kept}"))

    def _keep(self) -> None:
        assert self.checkpoint is not None
        self.kept = f"; the state {self._where} is kept in {self.checkpoint.directory}"

    @property
    def _where(self) -> str:
        state = self.state
        return f"after batch {state.batch} of epoch {state.epoch}" if state.batch else f"after epoch {state.epoch - 1}"


def identify(
    model: nn.Module,
    data: RaggedDataset,
    validation: RaggedDataset | None,
    objective: Objective,
    group: Group,
    settings: Mapping[str, Any],
) -> Identity:
    """Return the identity of a training that is about to begin: its settings, and what else it follows from."""
    own = {name: value for name, value in vars(objective).items() if not isinstance(value, nn.Module)}
    values = {name: value.tolist() if isinstance(value, Tensor) else value for name, value in own.items()}
    return make_identity(
        {
            **settings,
            "the objective": (type(objective).__name__, values),
            "the number of processes": group.size,
            "the texts to train on": data,
            "the validation texts": validation,
            "the weights to begin with": model.state_dict(),
        }
    )


def _numerics() -> dict[str, str]:
    """What the last bits of the weights depend on beside the training itself."""
    return {"the number of threads": str(torch.get_num_threads()), "torch": torch.__version__}


def _concerns(name: str, prefix: str) -> bool:
    return name.startswith(prefix) or not name.startswith("process")


def _check_fit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    if set(expected) != set(found):
        missing, foreign = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        raise ValueError(f"expected the tensors of this training; missing: {missing}, unknown: {foreign}")
    for name, tensor in expected.items():
        other = found[name]
        if (tensor.shape, tensor.dtype) != (other.shape, other.dtype):
            form = f"{tensor.dtype} {list(tensor.shape)}"
            raise ValueError(f"{name}: expected {form}, got {other.dtype} {list(other.shape)}")


def _check_position(state: TrainingState, epochs: int, batches: int, held_out: bool) -> None:
    if not 1 <= state.epoch <= epochs + 1 or not 0 <= state.batch <= batches:
        raise ValueError(f"epoch {state.epoch}, batch {state.batch} of {epochs} epochs with {batches} batches")
    if (state.batch > 0) != (state.seen > 0):
        raise ValueError(f"{state.seen} texts in {state.batch} batches")
    measured = [
        (record.validation_loss is not None, record.validation_accuracy is not None) for record in state.history
    ]
    if any(found != (held_out, held_out) for found in measured):
        raise ValueError(f"expected {'figures' if held_out else 'no figures'} of held-out texts for each epoch")
    if any(None in (record.loss, record.accuracy, record.seconds) for record in state.history):
        raise ValueError("expected loss, accuracy and seconds of each epoch")
    if [record.epoch for record in state.history] != list(range(1, state.epoch)):
        raise ValueError(f"expected the figures of {state.epoch - 1} epochs, got {len(state.history)}")
    if not 0 <= state.best_epoch < state.epoch or not all(map(math.isfinite, (state.loss_sum, state.correct))):
        raise ValueError("figures of the training that make no sense")
