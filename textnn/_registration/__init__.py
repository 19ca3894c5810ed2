"""What torch has to know of each operator besides its kernels: fake kernel, autograd formula, autocast rule.

The operators' schemas are in csrc/ops/library.cpp. Backward operators are operators like the others; differentiating
them again is an error, not silence. Autocast runs everything on the CPU in float32, where its kernels accumulate
anyway, and on CUDA in the dtype that it is set to.
"""

from __future__ import annotations

import torch
from torch.library import register_autocast, register_fake

from . import convolution, positions, recurrent  # noqa: F401
from .common import follow_autocast

# --- adam: what is changed in place comes first, and nothing is returned ---

for _name in ("adam_rows", "adam_exact_rows", "adam_catch_up"):
    register_fake(f"textnn::{_name}", lambda *_: None)

AUTOCAST = (
    "recurrent_cell",
    "recurrent",
    "max_mean_pool",
    "text_conv",
    "embedding_text_conv",
    "text_conv_positions",
    "embedding_text_conv_positions",
    "embedding",
)
for _name in AUTOCAST:
    register_autocast(f"textnn::{_name}", "cpu", torch.float32)
    if _name != "embedding":  # a copy of the table in another dtype would cost more than the rows that are looked up
        follow_autocast(_name, "cuda")
