"""What torch has to know of each operator besides its kernels: fake kernel, autograd formula, autocast rule.

The operators' schemas are in csrc/ops/library.cpp. Backward operators are operators like the others, and can be
differentiated again (gradients.py). Autocast runs everything on the CPU with tensors of float32, where its kernels
accumulate anyway (those of recurrent layers and convolutions round the factors of their products), and on CUDA in the
dtype that it is set to; the results have the dtype of torch's own layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.library import register_autocast, register_fake

from . import attention, convolution, crf, linear_cross_entropy, position_gradients, positions, recurrent  # noqa: F401
from .common import follow_autocast
from .gradients import register_vmap

# --- adam: what is changed in place comes first, and nothing is returned ---

for _name in ("adam_rows", "adam_exact_rows", "adam_catch_up"):
    register_fake(f"textnn::{_name}", lambda *_: None)

# Sums over sequences, for which 16 bits are too few.
for _name in ("crf_log_likelihood", "crf_marginals", "crf_decode"):
    for _device in ("cpu", "cuda"):
        register_autocast(f"textnn::{_name}", _device, torch.float32)

# --- vmap ---

for _name in (
    "recurrent_cell",
    "recurrent_cell_backward",
    "recurrent_step",
    "recurrent",
    "recurrent_backward",
    "quantized_lstm",
    "max_mean_pool",
    "max_mean_pool_backward",
    "embedding",
    "embedding_backward",
    "hash_ngrams",
    "text_conv",
    "text_conv_backward",
    "embedding_text_conv",
    "embedding_text_conv_backward",
    "text_conv_positions",
    "text_conv_positions_backward",
    "embedding_text_conv_positions",
    "embedding_text_conv_positions_backward",
    "frozen_text_conv",
    "ragged_attention",
    "ragged_attention_backward",
    "crf_log_likelihood",
    "crf_log_likelihood_backward",
    "crf_marginals",
    "crf_decode",
    "linear_cross_entropy",
    "linear_cross_entropy_backward",
):
    register_vmap(_name)

# --- autocast: dtypes of the results on the CPU, those of torch's own layers there ---

AUTOCAST: dict[str, Callable[..., Sequence[torch.dtype]]] = {
    "recurrent_cell": recurrent.autocast_dtypes_of_cell,
    "recurrent_step": recurrent.autocast_dtypes_of_step,
    "recurrent": recurrent.autocast_dtypes,
    "max_mean_pool": lambda _, x, *rest: [x.dtype],
    "ragged_attention": lambda dtype, *rest: [dtype] * 2,
    "text_conv": lambda dtype, *rest: [dtype],
    "embedding_text_conv": lambda dtype, *rest: [dtype],
    "text_conv_positions": lambda dtype, *rest: [dtype],
    "embedding_text_conv_positions": lambda dtype, *rest: [dtype],
    "embedding": lambda _, ids, table, *rest: [table.dtype],
}
# Torch does these two in the dtype of what comes in.
CUDA_AUTOCAST = set(AUTOCAST) - {"max_mean_pool", "embedding"}
for _name, _results in AUTOCAST.items():
    follow_autocast(_name, "cpu", _results)
for _name in CUDA_AUTOCAST:
    follow_autocast(_name, "cuda")
