"""The machine's own limit: the rate of torch's matrix product, in GFLOP/s. The LSTM's rate is given as a share of it.

python -m bench.peak
"""

from __future__ import annotations

import time

import torch

from .harness import has_bfloat16


def matrix_product_peak(dtype: torch.dtype = torch.float32, size: int = 1536, repeats: int = 15) -> float:
    """Return the best rate of ``repeats`` products of square matrices, in GFLOP/s.

    That of bfloat16 is float32's where the CPU has no instructions for it: textnn then multiplies in float32, and
    torch's product takes a hundred times as long.
    """
    if dtype is torch.bfloat16 and not has_bfloat16():
        dtype = torch.float32
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    out = torch.empty(size, size, dtype=dtype)
    best = 0.0
    for _ in range(repeats):
        begin = time.perf_counter()
        torch.mm(a, b, out=out)
        best = max(best, 2 * size**3 / (time.perf_counter() - begin) / 1e9)
    return best


if __name__ == "__main__":
    print(f"{matrix_product_peak():.0f} GFLOP/s with {torch.get_num_threads()} threads")
