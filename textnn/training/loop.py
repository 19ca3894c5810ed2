"""Training: from a model with fresh weights to the weights of its best epoch.

    rows of similar length -> RaggedBatch -> outputs -> loss -> gradients -> clipped -> Adam     (each batch)
    validation part -> accuracy -> keep the weights if they are the best -> stop after `patience` worse epochs
    now and then -> the state of it all -> checkpoint

The gradient of an embedding table is sparse and the optimizer updates only the rows of the batch, so that the cost of a
step follows the batch and not the vocabulary. All other parameters have decoupled weight decay.

In a group of processes each has all texts and takes its part of every batch; loss, gradients and validation are those
of all parts together, so that every process makes the same steps and stops after the same epoch.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from textnn.distributed import ALONE, GradientSum, Group
from textnn.models import Network
from textnn.optim import Adam
from textnn.text import LengthBucketSampler, RaggedBatch, RaggedDataset
from textnn.training.checkpoint import Checkpoint, Identity, make_identity
from textnn.training.clipping import clip_gradients
from textnn.training.objective import Objective
from textnn.training.options import TrainingOptions as TrainingOptions
from textnn.training.precision import check_precision, forward
from textnn.training.progress import Epoch, Reporter
from textnn.training.schedule import rate_share
from textnn.training.state import Keeper, TrainingState, identify
from textnn.training.state import TrainingError as TrainingError


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes
    ----------
    history
        The figures of each epoch.
    best_epoch
        The epoch, from 1, whose weights the model has.
    """

    history: list[Epoch]
    best_epoch: int


_seeding = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch's global generators start from a seed, and give them back as they were.

    The layers draw weights and dropout from the global generators. Other fits of the process wait meanwhile. Nothing
    else in it should draw from them: not because it could harm, but because the result would no longer follow from the
    seed alone.
    """
    cuda = device.type == "cuda"
    with _seeding, torch.random.fork_rng(devices=[device] if cuda else []):
        set_seed(seed, device)
        yield


def set_seed(seed: int, device: torch.device) -> None:
    """Set torch's global generators, on the CPU and on ``device``; use it within :func:`seeded`."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def random_state(device: torch.device, state: Sequence[Tensor] = ()) -> list[Tensor]:
    """Return the state of torch's global generators, on the CPU and on ``device``, set to ``state`` if one is given."""
    cuda = device.type == "cuda"
    if state:
        torch.set_rng_state(state[0])
        if cuda:
            torch.cuda.set_rng_state(state[1], device)
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if cuda else [])]


def train(
    model: Network,
    data: RaggedDataset,
    options: TrainingOptions,
    generator: torch.Generator,
    objective: Objective,
    validation: RaggedDataset | None = None,
    reporter: Reporter | None = None,
    device: torch.device | str = "cpu",
    group: Group = ALONE,
    checkpoint: Checkpoint | None = None,
    identity: Mapping[str, Any] | None = None,
) -> Trained:
    """Train a model in place.

    Parameters
    ----------
    model
        The model, on ``device``; it is left in evaluation mode.
    data, validation
        Sequences with all that the objective needs. Without a validation part all epochs are trained and the last
        weights are kept.
    options
        How to train.
    generator
        Source of the order of the batches. Dropout draws from torch's global generator.
    objective
        The loss.
    reporter
        Told of every batch and epoch.
    group
        Processes that train the same model on the same data together, all with the same arguments.
    checkpoint
        Where to keep the state of the training, so that it can be broken off and gone on with; see
        :class:`textnn.training.Checkpoint`. The last state stays there when the training is done: remove it when the
        model is saved.
    identity
        What else the training follows from (architecture, vocabulary, ...), by names that a user understands; a
        checkpoint with another identity is refused.

    Raises
    ------
    TrainingError
        If the loss, the norm of the gradients or a weight is not a finite number.
    CheckpointError
        If the checkpoint is damaged, in use, or of another training.
    PeerError
        If another process of the group is gone.
    ValueError
        If there is no bfloat16 on the device.
    """
    if validation is not None and not len(validation):
        validation = None
    reporter = reporter or Reporter()
    reporter.trained_by = objective.trained_by
    if line := check_precision(options.precision, device):
        reporter.note(line)
    state = TrainingState(model, _make_optimizer(model, options), generator, device, group)
    batches = -(-len(data) // options.batch_size)
    with ExitStack() as stack:
        group.check_same("the training", {"checkpoint": checkpoint is not None})
        with group.together():
            known: Identity = {}
            if checkpoint is not None and group.rank == 0:
                stack.enter_context(checkpoint.opened())
                everything = {**(identity or {}), **asdict(options)}
                known = identify(model, data, validation, objective, group, everything)
        keeper = Keeper(checkpoint, known, state, make_identity(TrainingOptions.defaults()))
        keeper.resume(options.epochs, batches, reporter, held_out=validation is not None)
        run = _Run(model, data, options, validation, reporter, group, objective, state, keeper, batches)
        stack.enter_context(reporter.training(options.epochs, batches, (state.epoch - 1) * batches + state.batch))
        while not run.is_over():
            run.train_epoch()
    if state.best_weights is not None:
        model.load_state_dict(state.best_weights)
    state.optimizer.release()
    model.begin_epoch(options.epochs + 1)  # all may learn again
    model.end_passes()
    model.eval()
    return Trained(state.history, state.best_epoch)


def check_logits(model: Network, data: RaggedDataset, device: torch.device | str, texts: int = 64) -> None:
    """Refuse a trained network that gives no numbers for some of its own texts.

    Raises
    ------
    TrainingError
        If a logit is infinite or NaN.
    """
    with torch.inference_mode():
        batch = next(iter(data.batches([torch.arange(min(len(data), texts))]))).to(device)
        if not bool(torch.isfinite(model(*batch.inputs)).all()):
            raise TrainingError(
                "the network has come to weights with which it gives infinite numbers or NaN; a smaller learning_rate "
                "or a limit of the gradients (clip_norm) may help"
            )


def predict_logits(
    model: Network, data: RaggedDataset, batch_size: int = 128, device: torch.device | str = "cpu"
) -> Tensor:
    """Return the logits [rows, classes] of all texts, in their order, on the CPU; the model is put in evaluation mode.

    Batches hold texts of similar length, so that none waits for a much longer one.
    """
    model.eval()
    index, outputs = [], []
    with torch.inference_mode():
        for batch in data.batches(LengthBucketSampler(data.lengths, batch_size, shuffle=False)):
            batch = batch.to(device)
            index.append(batch.index.cpu())
            outputs.append(model(*batch.inputs).cpu())
    if not outputs:
        raise ValueError("data: expected at least one text, got none")
    logits = torch.empty(len(data), outputs[0].shape[1], dtype=outputs[0].dtype)
    logits[torch.cat(index)] = torch.cat(outputs)
    return logits


@dataclass
class _Run:
    """A training with all that it needs; what changes is in ``state``."""

    model: Network
    data: RaggedDataset
    options: TrainingOptions
    validation: RaggedDataset | None
    reporter: Reporter
    group: Group
    objective: Objective
    state: TrainingState
    keeper: Keeper
    batches: int

    def __post_init__(self) -> None:
        self.gradients = GradientSum(self.group, *_split_parameters(self.model))
        self.early = self.validation is not None and self.options.patience > 0

    def is_over(self) -> bool:
        """Return whether all epochs are done, or the last ones were no better than the best."""
        behind = self.state.epoch - 1 - self.state.best_epoch
        return self.state.epoch > self.options.epochs or (self.early and behind >= self.options.patience)

    def train_epoch(self) -> None:
        """Make the steps of the epoch that are left, measure, and go to the next epoch."""
        state, device = self.state, self.state.device
        self.model.train()
        self.model.begin_epoch(state.epoch)
        if not state.batch:
            self.model.begin_pass()
        whole, own = itertools.tee(
            itertools.islice(
                self.data.rows_to_train(self.options.batch_size, self.options.bucket, state.generator),
                state.batch,
                None,
            )
        )
        for rows, batch in zip(whole, self.data.batches(map(self.group.part, own)), strict=True):
            self._step(rows, batch.to(device))
        self.keeper.check_weights()
        held_loss, held_accuracy = None, None
        if self.validation is not None:
            held_loss, held_accuracy = self._measure(self.validation)
        loss, accuracy = self._figures()
        # What decides whether to go on must be the same number everywhere, to the bit.
        record = self.group.first(Epoch(state.epoch, loss, accuracy, held_loss, held_accuracy, state.tick()))
        self._judge(record)
        state.begin_epoch()
        self.keeper.save()
        self.reporter.epoch(record, self.objective.measured_by)

    def _measure(self, data: RaggedDataset) -> tuple[float, float]:
        """Return loss and measure on held-out sequences, of which each process takes a part."""
        self.model.eval()
        self.model.begin_pass()
        sums = [0.0, 0.0, 0.0, 0.0]
        rows = data.rows_in_order(self.options.batch_size)
        with torch.inference_mode():
            for batch in data.batches(part for part in map(self.group.part, rows) if len(part)):
                batch = batch.to(self.state.device)
                found = self.objective.held_out(self.model(*batch.inputs), batch)
                sums = [have + more for have, more in zip(sums, (float(found.loss), *found[1:]), strict=True)]
        loss, right, weight, total = (sum(column) for column in zip(*self.group.gather(sums), strict=True))
        return loss / weight, self.objective.quality(loss / weight, right / total if total else 0.0)

    def _figures(self) -> tuple[float, float]:
        """Return loss and measure of the epoch so far."""
        loss = self.state.loss_sum / self.state.seen
        return loss, self.objective.quality(loss, self.state.correct / self.state.seen)

    def _judge(self, record: Epoch) -> None:
        """Take down the figures of an epoch, and its weights if they are the best so far."""
        state = self.state
        best = state.history[state.best_epoch - 1] if state.best_epoch else None
        state.history.append(record)
        if self.early and best is not None and self._score(record) <= self._score(best):
            return
        state.best_epoch = record.epoch
        if self.early:
            weights = self.model.state_dict().items()
            state.best_weights = {name: tensor.detach().clone() for name, tensor in weights}

    def _score(self, record: Epoch) -> tuple[float, float]:
        """What epochs are compared by: the measure; among equal ones, and small data has many, the loss."""
        assert record.validation_accuracy is not None
        assert record.validation_loss is not None
        return self.objective.sign * record.validation_accuracy, -record.validation_loss

    def _step(self, rows: Tensor, batch: RaggedBatch) -> None:
        """Make the step of one batch: ``rows`` of all processes, of which ``batch`` is the part of this one."""
        state, options = self.state, self.options
        optimizer, number = state.optimizer, state.batch + 1
        optimizer.zero_grad(set_to_none=True)
        value, right = 0.0, 0.0
        size = self.objective.size(self.data.lengths[rows])
        if batch.size:
            outputs = forward(self.model, batch, options.precision, state.device)
            loss, right, *_ = self.objective.sums(outputs, batch)
            loss = loss / size
            value = loss.item()
            loss.backward()
        # Process 0 has the clock. Its word goes with the sums, so that all write a checkpoint after the same batch.
        value, right, due = self.gradients([value, right, float(self.keeper.is_due())])
        if not math.isfinite(value):
            raise self.keeper.lost(f"the loss became {value}", number)
        if options.clip_norm:
            norm = clip_gradients(self.model.parameters(), options.clip_norm)
            if not math.isfinite(norm):
                raise self.keeper.lost(f"the norm of the gradients became {norm}", number)
        step = (state.epoch - 1) * self.batches + state.batch
        rate = options.learning_rate * rate_share(options.schedule, options.warmup, step, options.epochs * self.batches)
        for parameters in optimizer.param_groups:
            parameters["lr"] = rate * parameters["rate"]
        optimizer.step()
        state.batch = number
        state.loss_sum += value * size
        state.correct += right
        state.seen += size
        self.reporter.batch(*self._figures())
        if due:
            self.keeper.save()


def _split_parameters(model: Network) -> tuple[list[Parameter], list[Parameter]]:
    """Return the parameters with dense gradients, and those with sparse ones."""
    tables = model.sparse_parameters()
    known = {id(table) for table in tables}
    dense = [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) not in known]
    return dense, tables


def _make_optimizer(model: Network, options: TrainingOptions) -> Adam:
    dense, tables = _split_parameters(model)
    groups: list[dict[str, Any]] = []
    named = dict(model.named_parameters())
    rates = {id(named[name]): rate for name, rate in model.rates.items() if name in named}
    for parameters, more in (dense, {"weight_decay": options.weight_decay}), (tables, {}):
        for rate in sorted({rates.get(id(one), 1.0) for one in parameters}):
            members = [one for one in parameters if rates.get(id(one), 1.0) == rate]
            groups.append({"params": members, "rate": rate, **more})
    for group in groups:
        group["initial_lr"] = options.learning_rate
    return Adam(groups, lr=options.learning_rate, exact=model if tables and model.exact else None)
