"""``textnn info``: what is installed, or what a saved model is."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

from _textnn_cli.common import command_errors, open_output, set_threads


@command_errors
def info(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Directory of a saved model.")] = None,
) -> None:
    """Show version, torch, instruction set, CUDA and threads; of a model, its card.

    [bold]Examples[/]

      textnn info
      textnn info model/       a classifier, a tagger, a language model
    """
    with open_output(None) as stream:
        if model is not None:
            stream.write(_card(model))
            return
        for name, value in _installation():
            stream.write(f"{name:<16} {value}\n")


def _card(model: str) -> str:
    """Return the card of a model of any task."""
    from textnn.bundle import read_format
    from textnn.classification import bundle
    from textnn.language import bundle as language
    from textnn.tagging import bundle as tagging
    from textnn.translation import bundle as translation

    cards = {task.FORMAT.name: task.read_card for task in (tagging, language, translation)}
    return cards.get(read_format(model), bundle.read_card)(model)


def _installation() -> list[tuple[str, object]]:
    import torch

    from textnn.backends import cpu_capability, cuda_architectures, cuda_built
    from textnn.circumstances import cpu_quota
    from textnn.version import __version__

    set_threads(None)
    quota = cpu_quota()
    limit = "no quota of CPU time" if quota is None else f"the quota is the time of {quota:g} CPUs"
    cuda = "not in this build"
    if cuda_built():
        devices = f"{torch.cuda.device_count()} devices" if torch.cuda.is_available() else "no device"
        cuda = f"kernels for {', '.join(cuda_architectures())}; {devices} here"
    return [
        ("textnn", __version__),
        ("torch", torch.__version__),
        ("Python", platform.python_version()),
        ("instruction set", cpu_capability()),
        ("CUDA", cuda),
        ("threads", f"{torch.get_num_threads()} ({limit})"),
    ]
