"""Makes calls one after the other, in a process that one of them may end; what is being done stands in a file.

    name, number -> random numbers of their own -> valid call -> wrong call -> tensors in guarded memory -> the call
                 -> nothing else written? errors that say something? -> counts, findings

Without the sanitizers every tensor lies between guards, which are looked at afterwards as the arguments themselves are:
an operator changes only what its schema says. Under them a tensor has memory of its own size.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import traceback
import warnings
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

GUARD = 80  # bytes: a multiple of the largest element, not of a vector
ADDRESSES = 1 << 30  # beyond what the process has when it begins
ERRORS = (RuntimeError, TypeError, ValueError, IndexError, OverflowError, MemoryError)
MEANINGLESS = ("INTERNAL ASSERT", "report a bug", "Unknown exception", "vector::", "basic_string")


def load_extension(path: str) -> None:
    """Take the extension at this path for textnn._C."""
    import torch  # noqa: F401  # its libraries

    spec = spec_from_file_location("textnn._C", path)
    assert spec is not None, path
    assert spec.loader is not None, path
    sys.modules["textnn._C"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["textnn._C"])


def emulate(path: str) -> None:
    """Put the CUDA kernels of a library for the emulator in the place of the CPU's."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from cuda_emulator import operators

    operators.load(Path(path))


def _is_plain(t: Any) -> bool:
    import torch

    return (
        type(t) is torch.Tensor
        and t.layout == torch.strided
        and t.device.type == "cpu"
        and not t.requires_grad
        and not t.is_neg()
        and not t.is_conj()
        and not t.is_quantized
        and (t.numel() == 0 or t.untyped_storage().nbytes() > 0)
    )


class Memory:
    """Keeps what the tensors of a call are made of, to see what has changed."""

    def __init__(self, guarded: bool) -> None:
        self.guarded = guarded
        self.moved: dict[int, tuple[Any, Any]] = {}  # by the address of a storage: that, and its copy
        self.before: list[tuple[Any, Any]] = []

    def place(self, value: Any) -> Any:
        """The value with its tensors between guards; tensors that share memory still do."""
        import torch

        if isinstance(value, (list, tuple)):
            return type(value)(self.place(v) for v in value)
        if isinstance(value, dict):
            return {k: self.place(v) for k, v in value.items()}
        if not (isinstance(value, torch.Tensor) and _is_plain(value)) or value.untyped_storage().nbytes() > 1 << 20:
            return value
        storage = value.untyped_storage()
        if storage.data_ptr() not in self.moved:
            raw = torch.full((storage.nbytes() + 2 * GUARD,), 0xA5, dtype=torch.uint8)
            old = torch.tensor([], dtype=torch.uint8).set_(storage, 0, (storage.nbytes(),))  # type: ignore[call-overload]
            raw[GUARD : GUARD + storage.nbytes()] = old
            self.moved[storage.data_ptr()] = storage, raw if self.guarded else old
            self.before.append((self.moved[storage.data_ptr()][1], self.moved[storage.data_ptr()][1].clone()))
        if not self.guarded:
            return value
        _, raw = self.moved[storage.data_ptr()]
        offset = value.storage_offset() + GUARD // value.element_size()
        new = torch.tensor([], dtype=value.dtype)
        return new.set_(raw.untyped_storage(), offset, value.size(), value.stride())  # type: ignore[call-overload]

    def changed(self, mutable: list[Any]) -> str:
        """What was written that the schema does not say."""
        import torch

        allowed = {t.untyped_storage().data_ptr() for t in mutable if _is_plain(t)}
        for now, before in self.before:
            edge = GUARD if self.guarded else 0
            same = now == before
            if now.untyped_storage().data_ptr() in allowed:
                same[edge : len(same) - edge] = True
            if not bool(same.all()):
                place = int(torch.nonzero(~same)[0]) - edge
                return f"byte {place} of {len(same) - 2 * edge} of a tensor that is not to be changed was written"
        return ""


def shown(value: Any) -> str:
    """A value in some words."""
    import torch

    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown(v) for v in value[:6]) + (", ..]" if len(value) > 6 else "]")
    if not isinstance(value, torch.Tensor):
        return repr(value)[:80]
    text = f"{str(value.dtype)[6:]}{list(value.shape)}"
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        return f"{text} {str(value.layout)[6:]} {value.device}"
    if not value.is_contiguous():
        text += f" strides {list(value.stride())}"
    if value.requires_grad:
        text += " grad"
    if value.untyped_storage().nbytes() == 0 and value.numel():
        return text + " without memory"
    few = not value.is_floating_point() and 0 < value.numel() <= 40
    return text + (f" {value.flatten().tolist()}" if few else "")


def describe(call: Any) -> str:
    """A call as a line."""
    from fuzz.operators.recording import PUBLIC, schema_of

    names = [] if call.name.startswith(PUBLIC) else [a.name for a in schema_of(call.name).arguments]
    names += [""] * (len(call.arguments) - len(names))
    parts = [f"{n}={shown(v)}" if n else shown(v) for n, v in zip(names, call.arguments, strict=False)]
    return f"{call.name}({', '.join([*parts, *(f'{k}={shown(v)}' for k, v in call.keywords.items())])})"


def make_call(name: str, number: int, seed: int) -> Any:
    """The call of this number, and the instruction set to make it with."""
    from fuzz.operators.arguments import wrong_call
    from fuzz.operators.recording import valid_calls

    rng = random.Random(f"{seed} {name} {number}")
    capability = rng.random()
    return wrong_call(rng.choice(valid_calls()[name]), rng), capability


def run_call(call: Any, guarded: bool) -> tuple[str, str]:
    """Make a call: ("results" or the error's type, a finding or the error's message)."""
    import torch

    from fuzz.operators.recording import PUBLIC, schema_of

    memory = Memory(guarded)
    arguments, keywords = memory.place(call.arguments), memory.place(call.keywords)
    mutable: list[Any] = []
    if not call.name.startswith(PUBLIC):
        declared = schema_of(call.name).arguments
        mutable = [a for a, d in zip(arguments, declared, strict=False) if d.alias_info and d.alias_info.is_write]
    outcome, message = "results", ""
    try:
        results = call.function(*arguments, **keywords)
        for t in results if isinstance(results, (tuple, list)) else [results]:
            if _is_plain(t) and t.numel() < 1 << 20:
                t.clone()
    except ERRORS as error:
        outcome, message = type(error).__name__, str(error)
        if any(word in message for word in MEANINGLESS):
            return "finding", f"{outcome}: {message[:300]}"
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "finding", f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
    if wrote := memory.changed([t for t in mutable if isinstance(t, torch.Tensor)]):
        return "finding", wrote
    return outcome, message


def main() -> None:
    """Run the command that the driver gives."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="+")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--library")
    parser.add_argument("--emulated")
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.library:
        load_extension(options.library)
    import torch

    torch.set_num_threads(1 if options.emulated else 2)
    if options.emulated:
        emulate(options.emulated)
    from fuzz.operators.recording import valid_calls
    from textnn import backends

    valid_calls()
    capabilities = backends.supported_cpu_capabilities()
    if not options.sanitized:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with (options.out / "current").open("w") as current, (options.out / "results").open("a") as results:
        for place, name in enumerate(options.names):
            for number in range(options.first if place == 0 else 0, options.last):
                current.seek(0)
                current.write(f"{name} {number}\n")
                current.flush()
                call, capability = make_call(name, number, options.seed)
                torch.ops.textnn.set_cpu_capability(capabilities[int(capability * len(capabilities))])
                if options.show:
                    print(describe(call), flush=True)
                outcome, message = run_call(call, not options.sanitized)
                if options.show:
                    print(outcome, message)
                results.write(json.dumps([name, number, outcome, message[:300]]) + "\n")
                results.flush()


if __name__ == "__main__":
    main()
