"""What the commands that train share: options, checks before the work, and how an interrupted training is resumed.

``with_training`` -> Run: what was typed -> ``prepared`` -> Checkpoint, or None: nothing to do -> ``fit_and_save``
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from _textnn_cli.checks import option_errors
from _textnn_cli.common import INTERRUPTED, Quiet, RunError, Threads, note, open_output, set_threads
from _textnn_cli.parameters import with_options

if TYPE_CHECKING:
    from textnn import LanguageModel, SentimentClassifier, SequenceTagger, Translator
    from textnn.distributed import Group
    from textnn.training.checkpoint import Checkpoint

Validation = Annotated[
    str | None,
    typer.Option("--validation", metavar="FILE", help="Validate on this file instead of on a split of FILE."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="The same seed gives the same model.")]
Resume = Annotated[bool, typer.Option("--resume", help="Resume an interrupted training; give the same arguments.")]
Distributed = Annotated[bool, typer.Option("--distributed", help="Train in all processes that torchrun started.")]
Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="Device to train on: cpu, cuda, cuda:1, ...")
]
CheckpointSeconds = Annotated[
    float,
    typer.Option(
        "--checkpoint-seconds",
        min=0,
        rich_help_panel="The training",
        help="Seconds between checkpoints; there is also one after each epoch.",
    ),
]
with_training = with_options(
    {
        "validation": (Validation, None),
        "seed": (Seed, 0),
        "resume": (Resume, False),
        "distributed": (Distributed, False),
        "threads": (Threads, None),
        "device": (Device, None),
        "quiet": (Quiet, False),
        "checkpoint_seconds": (CheckpointSeconds, 60.0),
    }
)
"""Gives a command the options of a :class:`Run`."""


class Run(NamedTuple):
    """How to train, as typed."""

    validation: str | None
    seed: int
    resume: bool
    distributed: bool
    threads: int | None
    device: str | None
    quiet: bool
    checkpoint_seconds: float

    @classmethod
    def of(cls, typed: dict[str, Any]) -> Run:
        """Take the options of a run out of all that were typed."""
        return cls(**{name: typed.pop(name) for name in cls._fields})

    def within(self, group: Group) -> Run:
        """Return the same for a process of a group, of which the first one speaks."""
        return self._replace(quiet=self.quiet or group.rank > 0)

    def parameters(self, group: Group) -> dict[str, Any]:
        """Return the parameters of an estimator that belong to the run."""
        return {
            "random_state": self.seed,
            "device": self.device or group.device,
            "verbose": 0 if self.quiet else 1,
        }

    def check_device(self) -> None:
        """Refuse a device that cannot be used, or is named where each process has its own.

        Raises
        ------
        ValueError
            Naming the option.
        """
        from textnn.data import inputs

        if self.device is None:
            return
        if self.distributed:
            raise ValueError(f"--device: with --distributed each process has its own, got {self.device!r}")
        with option_errors(device="--device"):
            inputs.check_device(self.device)


def check_vectors(parameters: dict[str, Any], group: Group) -> None:
    """Refuse a file of vectors that cannot be used, in process 0, which reads it.

    Raises
    ------
    ValueError
        Naming the option.
    """
    from textnn.training.pretrained import check

    if parameters["vectors"] is not None and group.rank == 0:
        with option_errors(vectors="--vectors", embedding_dim="--embedding-dim"):
            check(parameters["vectors"], parameters["embedding_dim"])


def check_pretrained(architecture: str, parameters: dict[str, Any], group: Group) -> None:
    """Refuse a language model that cannot be used, in process 0.

    Raises
    ------
    ValueError
        Naming the option.
    """
    from textnn.language.handover import language_weights

    if parameters["pretrained"] is not None and group.rank == 0:
        given = {"tokenizer": "auto", **parameters}
        with option_errors(**{name: f"--{name.replace('_', '-')}" for name in parameters}):
            language_weights(parameters["pretrained"]).check(architecture, given)


def prepared(directory: Path, check_target: Callable[[Path], Path], group: Group, run: Run) -> Checkpoint | None:
    """Return where the training keeps its state; None if it is complete. Says in how many processes it runs.

    Parameters
    ----------
    directory, check_target
        Where the model is saved, and what refuses a directory that it cannot be saved to.
    group
        The processes that train.
    run
        As typed.
    """
    from textnn.bundle import checkpoint_directory
    from textnn.bundle.files import CONFIG
    from textnn.training.checkpoint import Checkpoint

    with group.together():
        # Before the work, not after it: can the model be saved there?
        target = check_target(directory) if group.rank == 0 else directory
        checkpoint = Checkpoint(checkpoint_directory(target), run.resume, run.checkpoint_seconds)
        set_threads(run.threads)
    if group.first(run.resume and not checkpoint.exists() and (target / CONFIG).exists()):
        note(f"{directory} is complete, there is nothing to resume; without --resume it is trained again", run.quiet)
        return None
    if group.size > 1:
        kind = group.device.partition(":")[0]
        note(f"processes: {group.size} ({kind}), each with its part of every batch", run.quiet)
    return checkpoint


def fit_and_save(
    estimator: SentimentClassifier | SequenceTagger | LanguageModel | Translator,
    data: Sequence[Any],
    names: Mapping[str, str],
    directory: Path,
    checkpoint: Checkpoint,
    run: Run,
    group: Group,
) -> None:
    """Train, save what was trained, and forget the state of the training.

    Parameters
    ----------
    estimator, data
        What is trained, and on what: X, y and data to validate on.
    names
        What the errors of an argument call it.
    directory, checkpoint, run, group
        As for :func:`prepared`.

    Raises
    ------
    RunError
        If it cannot be saved.
    """
    from textnn.bundle import BundleError

    fitted: Any = estimator
    with saying_how_to_go_on(checkpoint, group), option_errors(**names):
        fitted.fit(*data, run.distributed, checkpoint=checkpoint)
        if group.rank == 0:
            try:
                fitted.save(directory)
            except BundleError as error:
                raise RunError(str(error)) from error
            checkpoint.remove()


def tell_perplexity(model: LanguageModel | Translator, directory: Path, command: str, run: Run) -> None:
    """Say how good what was saved is, and which command uses it."""
    if run.quiet or sys.stdout is None:
        return
    with open_output(None) as stream:
        measured = model.state_.validation_perplexity
        if measured is not None:
            stream.write(f"validation after epoch {model.best_epoch_}: perplexity {measured:.2f}\n\n")
        stream.write(f'saved: {directory}\nnext:  {command.format(shlex.quote(str(directory)))} "..."\n')


@contextmanager
def saying_how_to_go_on(checkpoint: Checkpoint, group: Group) -> Iterator[None]:
    """Say, when the block is interrupted, how to resume from the state that is there."""
    from textnn.training.checkpoint import CheckpointError
    from textnn.training.loop import TrainingError

    before = checkpoint.version()
    try:
        yield
    except (CheckpointError, TrainingError):
        # The same command would fail again; the message names what is kept.
        raise
    except (Exception, KeyboardInterrupt) as error:
        kept = checkpoint.exists() and (checkpoint.resume or checkpoint.version() != before)
        if not kept and not group.rank and isinstance(error, KeyboardInterrupt):
            times = f"after each epoch, and every {checkpoint.seconds:g} s (--checkpoint-seconds)"
            note(f"error: interrupted; nothing of this training is kept yet, its state is {times}")
            raise typer.Exit(INTERRUPTED) from None
        if group.rank or not kept:
            raise
        advice = f"resume with: {_command(checkpoint.resume)}"
        if group.size > 1:
            advice = "resume with the same command plus --resume"
        if isinstance(error, KeyboardInterrupt):
            note(f"error: interrupted; {advice}")
            raise typer.Exit(INTERRUPTED) from None
        note(f"the training so far is kept; {advice}")
        raise


def _command(resumed: bool) -> str:
    return shlex.join(["textnn", *sys.argv[1:], *([] if resumed else ["--resume"])])
