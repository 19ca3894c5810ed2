"""How many steps there are, and the learning rate of each as a share of the rate that was asked for.

    step s of T    0 ... W - 1                       W ... T - 1
    share          (s + 1) / W, rising to 1          1 | 1 - p | (1 + cos(pi * p)) / 2,   p = (s - W) / (T - W)

T counts the steps of all epochs. Where training stops early, the rate has not reached its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

LARGEST_STEP = 4.0
"""What a learning rate is multiplied by at most where there are few steps."""

_DECAYS: Mapping[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: (1.0 + math.cos(math.pi * progress)) / 2,
}


def rate_share(schedule: str, warmup: float, step: int, steps: int) -> float:
    """Return the share of the learning rate that a step is made with.

    Parameters
    ----------
    schedule
        ``"constant"``, ``"linear"`` or ``"cosine"``: how the rate falls after the warm-up, to zero for the latter two.
        (Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, for the cosine.)
    warmup
        Share of all steps in which the rate rises linearly.
        (Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2.)
    step
        The step, from 0.
    steps
        All steps.

    Examples
    --------
    >>> [rate_share("linear", 0.5, step, 4) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return _DECAYS[schedule]((step - rising) / (steps - rising))


def suit_steps(options: dict[str, Any], given: Mapping[str, Any], texts: int) -> dict[str, Any]:
    """Return options with as many steps as a network needs, where few texts make few steps an epoch.

    Batches become smaller, then epochs more, and patience with them. The fewer steps there are, the larger is each: the
    rate is for ``full_steps``, and grows with the root of their share. What the user gave stays.
    """
    options = dict(options)
    if texts * options["epochs"] < options["min_steps"] * options["batch_size"]:
        if given["batch_size"] is None:
            options["batch_size"] = max(1, options["batch_size"] // 2)
        if given["epochs"] is None:
            steps = max(1, -(-texts // options["batch_size"]))
            epochs = max(options["epochs"], -(-options["min_steps"] // steps))
            if given["patience"] is None:
                options["patience"] = -(-options["patience"] * epochs // options["epochs"])
            options["epochs"] = epochs
    steps = options["epochs"] * -(-texts // options["batch_size"])
    if given["learning_rate"] is None and 0 < steps < options["full_steps"]:
        options["learning_rate"] *= min(LARGEST_STEP, (options["full_steps"] / steps) ** 0.5)
    return options
