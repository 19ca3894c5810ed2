"""The recurrent cells of csrc/math/, for what checks arguments and tells the shapes of results."""

from __future__ import annotations

from typing import NamedTuple


class Cell(NamedTuple):
    """What a cell says of itself in its struct.

    Attributes
    ----------
    blocks
        Of H rows in a weight.
    kept
        Values of a unit that the forward pass keeps for the backward pass.
    state
        Whether there is a cell state beside the output.
    """

    blocks: int
    kept: int
    state: bool


CELLS = {
    "lstm": Cell(4, 4, True),
    "gru": Cell(3, 4, False),
    "rnn_tanh": Cell(1, 1, False),
    "rnn_relu": Cell(1, 1, False),
}
"""By the names that the operators know them by."""
