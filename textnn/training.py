"""Training: from a model with fresh weights to the weights of its best epoch.

    rows of similar length -> RaggedBatch -> logits -> cross entropy -> gradients -> Adam        (each batch)
    validation part -> accuracy -> keep the weights if they are the best -> stop after `patience` worse epochs

The gradient of an embedding table is sparse and the optimizer updates only the rows of the batch, so that the cost of a
step follows the batch and not the vocabulary. All other parameters have decoupled weight decay.

In a group of processes each has all texts and takes its part of every batch; loss, gradients and validation are those
of all parts together, so that every process makes the same steps and stops after the same epoch.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import cross_entropy

from textnn.distributed import ALONE, GradientSum, Group
from textnn.models import TextModel
from textnn.optim import Adam
from textnn.progress import Epoch, Reporter
from textnn.text import LengthBucketSampler, RaggedDataset


class TrainingError(RuntimeError):
    """A training that cannot go on; the message says why and what may help."""


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes
    ----------
    epochs
        Passes over the training texts at most.
    batch_size
        Texts of a batch, in a group of processes of all parts together.
    learning_rate, weight_decay
        Adam's step size, and what each step takes from the weights (not from the embedding).
    label_smoothing
        Share of each text's target that is spread evenly over all classes.
    patience
        Stop after this many epochs in a row that were not better than the best one on the validation part, and go back
        to the best one's weights. 0: train all epochs, keep the last weights.
    bucket
        Whether a batch holds texts of similar length; else they are drawn at random.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    patience: int
    bucket: bool

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> TrainingOptions:
        """Pick the options of the training out of all options of an architecture."""
        return cls(**{field.name: options[field.name] for field in fields(cls)})


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


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch's global generators start from a seed, and give them back as they were.

    The layers draw weights and dropout from the global generators. Nothing else in the process should draw from them
    meanwhile: not because it could harm, but because the result would no longer follow from the seed alone.
    """
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        set_seed(seed, device)
        yield


def set_seed(seed: int, device: torch.device) -> None:
    """Set torch's global generators, on the CPU and on ``device``; use it within :func:`seeded`."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def stratified_split(codes: Sequence[int], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Split rows into a training and a validation part with the same shares of classes.

    Parameters
    ----------
    codes
        Class of each row.
    fraction
        Share of the validation part.
    seed
        The same seed gives the same split.

    Returns
    -------
    training, validation
        Rows in random order. A class with a single row is in the training part. The validation part is empty if
        ``fraction`` is 0, or if it would be too small to have each class.
    """
    labels = np.asarray(codes)
    counts = np.bincount(labels)
    single = np.flatnonzero(counts[labels] < 2)
    several = np.flatnonzero(counts[labels] >= 2)
    size = math.ceil(fraction * len(labels))
    classes = int((counts >= 2).sum())
    if fraction == 0 or size < classes or len(several) - size < classes:
        return np.random.RandomState(seed).permutation(len(labels)).tolist(), []
    from sklearn.model_selection import train_test_split

    training, validation = train_test_split(several, test_size=size, stratify=labels[several], random_state=seed)
    return [*training.tolist(), *single.tolist()], validation.tolist()


def train(
    model: TextModel,
    data: RaggedDataset,
    options: TrainingOptions,
    generator: torch.Generator,
    validation: RaggedDataset | None = None,
    reporter: Reporter | None = None,
    device: torch.device | str = "cpu",
    group: Group = ALONE,
) -> Trained:
    """Train a model in place.

    Parameters
    ----------
    model
        The model, on ``device``; it is left in evaluation mode.
    data, validation
        Labelled texts. Without a validation part all epochs are trained and the last weights are kept.
    options
        How to train.
    generator
        Source of the order of the batches. Dropout draws from torch's global generator.
    reporter
        Told of every batch and epoch.
    group
        Processes that train the same model on the same data together, all with the same arguments.

    Raises
    ------
    TrainingError
        If the loss is not a finite number.
    PeerError
        If another process of the group is gone.
    """
    reporter = reporter or Reporter()
    validation = validation if validation is not None and len(validation) else None
    early = validation is not None and options.patience > 0
    optimizer = _make_optimizer(model, options)
    gradients = GradientSum(group, *_split_parameters(model))
    history: list[Epoch] = []
    best: tuple[float, float] = (-math.inf, -math.inf)
    best_epoch, best_weights = 0, None
    batches = -(-len(data) // options.batch_size)
    with reporter.training(options.epochs, batches):
        for epoch in range(1, options.epochs + 1):
            start = time.perf_counter()
            model.train()
            loss, accuracy = _train_epoch(
                model, data, options, generator, optimizer, gradients, reporter, device, epoch
            )
            held_out = None if validation is None else _measure(model, validation, options.batch_size, device, group)
            seconds = time.perf_counter() - start
            held_loss, held_accuracy = (None, None) if held_out is None else held_out
            # What decides whether to go on must be the same number everywhere, to the bit.
            record = group.first(Epoch(epoch, loss, accuracy, held_loss, held_accuracy, seconds))
            history.append(record)
            reporter.epoch(record)
            if not early or record.validation_accuracy is None or record.validation_loss is None:
                best_epoch = epoch
                continue
            # Accuracy is what counts; among equal ones, and small validation parts have many, the lower loss.
            score = (record.validation_accuracy, -record.validation_loss)
            if score > best:
                best, best_epoch = score, epoch
                best_weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            elif epoch - best_epoch >= options.patience:
                break
    if best_weights is not None:
        model.load_state_dict(best_weights)
    optimizer.release()
    model.eval()
    return Trained(history, best_epoch)


def predict_logits(
    model: TextModel,
    data: RaggedDataset,
    batch_size: int = 128,
    device: torch.device | str = "cpu",
    group: Group = ALONE,
) -> Tensor:
    """Return the logits [rows, classes] of all texts, in their order, on the CPU; the model is put in evaluation mode.

    Batches hold texts of similar length, so that none waits for a much longer one. The processes of a group share the
    work, and each gets all logits.
    """
    model.eval()
    index, outputs = [], []
    rows = LengthBucketSampler(data.lengths, batch_size, shuffle=False)
    with torch.inference_mode():
        for batch in data.batches(part for part in map(group.part, rows) if len(part)):
            batch = batch.to(device)
            index.append(batch.index.cpu())
            outputs.append(model(batch.ids, batch.offsets).cpu())
    parts = group.gather((torch.cat(index), torch.cat(outputs)) if outputs else None)
    found = [part for part in parts if part is not None]
    if not found:
        raise ValueError("data: expected at least one text, got none")
    first = found[0][1]
    logits = torch.empty(len(data), first.shape[1], dtype=first.dtype)
    for rows_of_part, part in found:
        logits[rows_of_part] = part
    return logits


def _train_epoch(
    model: TextModel,
    data: RaggedDataset,
    options: TrainingOptions,
    generator: torch.Generator,
    optimizer: Adam,
    gradients: GradientSum,
    reporter: Reporter,
    device: torch.device | str,
    epoch: int,
) -> tuple[float, float]:
    """Return loss and accuracy, as means over the texts of the epoch."""
    group = gradients.group
    loss_sum, correct, seen = 0.0, 0.0, 0
    whole, own = itertools.tee(_batches(data, options, generator))
    batches = zip(whole, data.batches(map(group.part, own)), strict=True)
    for number, (rows, batch) in enumerate(batches, 1):
        optimizer.zero_grad(set_to_none=True)
        value, hits = 0.0, 0.0
        if batch.size:
            batch = batch.to(device)
            assert batch.labels is not None
            logits = model(batch.ids, batch.offsets)
            loss = cross_entropy(logits, batch.labels, label_smoothing=options.label_smoothing)
            if group.size > 1:  # the parts' shares of the mean over the whole batch
                loss = loss * (batch.size / len(rows))
            value, hits = loss.item(), float((logits.detach().argmax(1) == batch.labels).sum())
            loss.backward()
        value, hits = gradients([value, hits])
        if not math.isfinite(value):
            raise group.fail(
                TrainingError(
                    f"the loss became {value} in epoch {epoch}, batch {number}; "
                    f"try a smaller learning_rate than {options.learning_rate:g}"
                )
            )
        optimizer.step()
        loss_sum += value * len(rows)
        correct += hits
        seen += len(rows)
        reporter.batch(loss_sum / seen, correct / seen)
    return loss_sum / seen, correct / seen


def _batches(data: RaggedDataset, options: TrainingOptions, generator: torch.Generator) -> Iterator[Tensor]:
    if options.bucket:
        return iter(LengthBucketSampler(data.lengths, options.batch_size, shuffle=True, generator=generator))
    return iter(torch.randperm(len(data), generator=generator).split(options.batch_size))


def _split_parameters(model: TextModel) -> tuple[list[Parameter], list[Parameter]]:
    """Return the parameters with dense gradients, and those with sparse ones."""
    tables = model.sparse_parameters()
    known = {id(table) for table in tables}
    return [parameter for parameter in model.parameters() if id(parameter) not in known], tables


def _make_optimizer(model: TextModel, options: TrainingOptions) -> Adam:
    dense, tables = _split_parameters(model)
    groups: list[dict[str, Any]] = [{"params": dense, "weight_decay": options.weight_decay}] if dense else []
    if tables:
        groups.append({"params": tables})
    return Adam(groups, lr=options.learning_rate, exact=model if tables and model.exact else None)


def _measure(
    model: TextModel, data: RaggedDataset, batch_size: int, device: torch.device | str, group: Group
) -> tuple[float, float]:
    """Return loss and accuracy on labelled texts."""
    assert data.labels is not None
    logits = predict_logits(model, data, batch_size, device, group)
    loss = cross_entropy(logits, data.labels).item()
    return loss, float((logits.argmax(1) == data.labels).double().mean())
