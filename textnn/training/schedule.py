"""The learning rate of each step, as a share of the rate that was asked for.

    step s of T    0 ... W - 1                       W ... T - 1
    share          (s + 1) / W, rising to 1          1 | 1 - p | (1 + cos(pi * p)) / 2,   p = (s - W) / (T - W)

T counts the steps of all epochs. Where training stops early, the rate has not reached its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

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
