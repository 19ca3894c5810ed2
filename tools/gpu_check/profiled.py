"""One layer's forward and backward pass in the persistent form, once to warm up and once to be looked at by ncu.

python -m tools.gpu_check.profiled [--device cuda]
"""

from __future__ import annotations

import argparse

B, T, H = 64, 200, 256
CASE = f"B {B}, T {T}, H {H}, float16, persistent"
KERNELS = 2  # of each round: one forward, one backward


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_check.profiled", description=__doc__)
    parser.add_argument("--device", default="cuda")
    device = parser.parse_args().device

    import torch

    import textnn
    from textnn import backends

    dtype = torch.float16 if device == "cuda" else torch.float32  # the CPU's kernels have no halves
    layer = textnn.LSTM(H, H, device=device, dtype=dtype)
    with backends.use_cuda_recurrence("persistent"):
        for _ in range(2):
            x = torch.randn(T, B, H, device=device, dtype=dtype, requires_grad=True)
            layer(x)[0].float().square().mean().backward()
    if device == "cuda":
        torch.cuda.synchronize()
    print(f"{CASE}: done")


if __name__ == "__main__":
    main()
