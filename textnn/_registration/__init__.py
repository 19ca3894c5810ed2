"""What torch has to know of each operator besides its kernels: fake kernel, autograd formula, autocast rule.

The operators' schemas are in csrc/ops/library.cpp. Backward operators are operators like the others; differentiating
them again is an error, not silence. Autocast runs everything in float32, where the kernels accumulate anyway.
"""

from __future__ import annotations

import torch
from torch.library import register_autocast, register_fake

from . import convolution, recurrent  # noqa: F401

# --- adam: what is changed in place comes first, and nothing is returned ---

for _name in ("adam_rows", "adam_exact_rows", "adam_catch_up"):
    register_fake(f"textnn::{_name}", lambda *_: None)

for _name in (
    "lstm_cell",
    "lstm",
    "bilstm",
    "embedding_lstm",
    "max_mean_pool",
    "text_conv",
    "embedding_text_conv",
    "embedding",
):
    for _device in ("cpu", "cuda"):
        register_autocast(f"textnn::{_name}", _device, torch.float32)
