"""textnn::adam_rows, adam_exact_rows and adam_catch_up: what they change, and what they refuse."""

from __future__ import annotations

import pytest
import torch

V, D = 30, 13


def operators(dtype=torch.float32):
    """The operators with valid arguments; the first step of a table with rows 1 and 4."""
    p, m, v = (torch.zeros(V, D, dtype=dtype) for _ in range(3))
    last, history = torch.full((V,), -1, dtype=torch.int32), torch.zeros(5, 7, dtype=torch.float64)
    rows, g = torch.tensor([1, 4]), torch.ones(2, D, dtype=dtype)
    return {
        "adam_rows": [p, m, v, rows, g, 0.1, 1e-8, 0.9, 0.999],
        "adam_exact_rows": [p, m, v, last, history, rows, g, 0, 1, 0.1, 1e-8, 0.9, 0.999],
        "adam_catch_up": [p, m, v, last, history, rows, 0, 2, 0.9, 0.999],
    }


@pytest.mark.parametrize("name", operators())
def test_opcheck(name):
    torch.library.opcheck(getattr(torch.ops.textnn, name).default, operators()[name])


@pytest.mark.cpu
@pytest.mark.parametrize(
    ("name", "argument", "value", "message"),
    [
        ("adam_rows", 3, torch.tensor([4, 1]), r"rows must rise and lie in \[0, 30\), got 1 at position 1"),
        ("adam_rows", 3, torch.tensor([4, 4]), "rows must rise"),
        ("adam_rows", 3, torch.tensor([1, 30]), "got 30 at position 1"),
        ("adam_rows", 3, torch.tensor([-1, 3]), "got -1 at position 0"),
        ("adam_rows", 4, torch.ones(2, 3), r"grad must have shape \[2, 13\], got \[2, 3\]"),
        ("adam_rows", 1, torch.ones(D, V).t(), "exp_avg must be contiguous"),
        ("adam_rows", 2, torch.ones(V, D).double(), "exp_avg_sq must have the dtype"),
        ("adam_exact_rows", 3, torch.full((V,), 7, dtype=torch.int32), "last must be -1 or a step from 0 to 0, got 7"),
        ("adam_exact_rows", 8, 5, "history with 5 rows from step 0 has no room for step 5"),
        ("adam_exact_rows", 12, 0.81, r"beta1\^2 must be below beta2, got 0.9 and 0.81"),
        ("adam_catch_up", 3, torch.full((V,), 3, dtype=torch.int32), "last must be -1 or a step from 0 to 2, got 3"),
        ("adam_catch_up", 4, torch.zeros(5, 3).double(), r"history must have shape \[\*, 7\], got \[5, 3\]"),
    ],
)
def test_the_operators_refuse_what_would_read_or_write_elsewhere(name, argument, value, message):
    arguments = operators()[name]
    arguments[argument] = value
    with pytest.raises(RuntimeError, match=message):
        getattr(torch.ops.textnn, name)(*arguments)
