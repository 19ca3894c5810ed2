"""Where inputs come from: atheris, which looks for new paths through the code, or random changes of seeds.

seeds -> engine -> input -> watch -> ... until so many inputs have been run
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzz.mutation import TOKENS

LONGEST = 2048
"""Bytes of an input at most."""

# What atheris watches: all that reads files and requests.
READERS = (
    *(
        "textnn.reading",
        "textnn.tensor_file",
        "textnn.bundle",
        "textnn.classification.bundle",
        "textnn.text",
        "textnn.files",
        "textnn.data.labels",
    ),
    *("textnn.training.checkpoint", "textnn.training.state", "textnn.models.options", "textnn.models.registry"),
    *("textnn.classification.evaluation.calibration", "_textnn_cli.partial", "_textnn_cli.rows", "textnn.serving"),
)


def has_atheris() -> bool:
    """Return whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def generate(seeds: list[bytes], seed: int, count: int) -> Iterator[bytes]:
    """Yield so many inputs: each seed as it is, then seeds with random changes."""
    source = random.Random(seed)
    yield from seeds[:count]
    for _ in range(count - len(seeds)):
        if source.random() < 0.5:
            yield source.randbytes(source.choice((16, 64, 256)))
            continue
        data = bytearray(source.choice(seeds))
        for _ in range(source.randint(1, 8)):
            place = source.randrange(len(data) + 1)
            kind = source.randrange(4)
            if kind == 0:
                data[place:place] = source.randbytes(source.randint(1, 8))
            elif kind == 1:
                del data[place : place + source.randint(1, 16)]
            elif kind == 2:
                data[place : place + 1] = bytes([source.randrange(256)])
            else:
                data[place:place] = source.choice(TOKENS)
        yield bytes(data[:LONGEST])


def explore(run: Callable[[bytes], object], seeds: list[bytes], seed: int, count: int, folder: Path) -> None:
    """Run so many inputs of atheris, which does not come back: ``run`` has to take down what it finds.

    Parameters
    ----------
    run
        Takes an input.
    seeds
        Inputs to begin with.
    seed, count
        Of the engine, and how many inputs to run.
    folder
        For the inputs that led to new paths, which a later run begins with.
    """
    import atheris

    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds):
        (folder / f"seed-{number:03d}").write_bytes(data)
    options = [f"-runs={count}", f"-seed={seed or 1}", f"-max_len={LONGEST}", "-timeout=120", "-rss_limit_mb=0"]
    quiet = ["-verbosity=0", f"-artifact_prefix={folder.parent}/"]
    atheris.Setup(["fuzz", *options, *quiet, str(folder)], lambda data: run(bytes(data)))
    atheris.Fuzz()
