"""Wrong arguments for every operator and public function: none may crash, hang, or write where it must not.

Some of them here in every run; more of them, on kernels and operators with the sanitizers, in the suite ``slow``.
``python -m fuzz.operators`` makes as many as are wanted, and ``--replay`` makes one that was found again.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from native import extension, sanitizers

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import textnn.functional  # noqa: E402
from fuzz.operators import driver, worker  # noqa: E402
from fuzz.operators.recording import PUBLIC, Call, copied, operators, schema_of, valid_calls  # noqa: E402

# What the wrong calls begin with, by the name of an argument.
WORDS = {
    "cell": {"lstm", "gru", "rnn_tanh", "rnn_relu"},
    "layout": {"time_major", "batch_major", "flat", "packed"},
    "precision": {"ieee", "bf16"},
    "reduction": {"mean", "sum", "none"},
}
NAMES = [*operators(), *(PUBLIC + name for name in textnn.functional.__all__)]
CALLS, SANITIZED = 20, 150


def test_every_operator_has_valid_calls() -> None:
    """Examples of the docstrings make them; only what takes no tensors is made from its schema."""
    calls = valid_calls()
    assert set(NAMES) == set(calls)
    without = [name for name in NAMES if not any(isinstance(a, torch.Tensor) for a in calls[name][0].arguments)]
    assert all("Tensor" not in str(getattr(torch.ops.textnn, name).default._schema) for name in without)


@pytest.mark.parametrize("name", [name for name in operators() if "Tensor" in str(schema_of(name))])
def test_valid_calls_have_every_kind_of_argument(name: str) -> None:
    """All words, both values of a flag, optional arguments with and without: no path of a kernel begins with a wrong
    call alone."""
    calls = valid_calls()[name]
    calls[0].function(*copied(calls[0].arguments))
    for place, declared in enumerate(schema_of(name).arguments):
        values = [call.arguments[place] for call in calls]
        if declared.name in WORDS:
            found, wanted = set(values), WORDS[declared.name] - ({"packed"} if name.startswith("crf") else set())
        elif str(declared.type).startswith("Optional"):
            found, wanted = {value is not None for value in values}, {True, False}
        else:  # those with a default are for CUDA kernels
            flag = str(declared.type) == "bool" and not declared.has_default_value()
            found, wanted = (set(values), {True, False}) if flag else (set(), set())
        assert wanted <= found, f"{declared.name}: {wanted - found}"


def test_wrong_arguments_are_refused_or_harmless() -> None:
    figures = driver.run(NAMES, CALLS, driver.Setting())
    assert figures.findings == [], str(figures)
    assert figures.calls == CALLS * len(NAMES)
    assert figures.calls // 4 < figures.errors < figures.calls, "wrong arguments that are never refused, or always"


@pytest.mark.slow
def test_wrong_arguments_under_the_sanitizers() -> None:
    environment = sanitizers.sanitized_environment()
    environment["ASAN_OPTIONS"] += ":allocator_may_return_null=1:max_allocation_size_mb=1024"
    library = extension.build_extension()
    setting = driver.Setting(seed=1, library=library, environment=environment, sanitized=True)
    figures = driver.run(NAMES, SANITIZED, setting)
    assert figures.findings == [], str(figures)
    assert figures.calls == SANITIZED * len(NAMES)


def test_a_call_can_be_made_again() -> None:
    first, again = (worker.describe(worker.make_call("text_conv_backward", 11, 0)[0]) for _ in range(2))
    assert first == again
    assert first != worker.describe(worker.make_call("text_conv_backward", 12, 0)[0])


@dataclass(frozen=True)
class _Writing(Call):
    """A call of a function that writes a value so many elements before or behind its first argument."""

    place: int = 0

    @property
    def function(self) -> Any:
        def write(t: torch.Tensor) -> None:
            address = t.storage_offset() + self.place
            t.new_empty(0).set_(t.untyped_storage(), address, (1,)).fill_(1.1)  # all of whose bytes change

        return write


@pytest.mark.parametrize("place", [-1, 0, 5, 6])
def test_writes_beside_and_into_arguments_are_noticed(place: int) -> None:
    call = _Writing(PUBLIC + "write", (torch.zeros(6),), {}, place)
    outcome, message = worker.run_call(call, guarded=True)
    assert (outcome, message[: len(f"byte {4 * place} of 24")]) == ("finding", f"byte {4 * place} of 24")


@dataclass(frozen=True)
class _Dying(driver.Setting):
    """A worker that ends by a signal at its first call, and one that makes the others."""

    def command(self, *arguments: str) -> list[str]:
        first, _, out = (a.partition("=")[2] for a in arguments[:3])
        program = (
            "import os, sys; out = sys.argv[1]; number = int(sys.argv[2]);"
            "open(out + '/current', 'w').write(f'recurrent {number}\\n');"
            "number or os.kill(os.getpid(), 11);"
            'open(out + "/results", "w").write(\'["recurrent", 1, "ValueError", "no 12"]\\n\')'
        )
        return [sys.executable, "-c", program, out, first]


def test_a_call_that_ends_its_process_is_a_finding() -> None:
    figures = driver.run(["recurrent"], 2, _Dying())
    assert figures.crashes == 1
    assert figures.findings == [f"recurrent:0 ended with {-signal.SIGSEGV}: "]
    assert (figures.calls, figures.errors, dict(figures.messages)) == (2, 1, {"ValueError: no #": 1})


def test_reports_of_sanitizers_become_a_line() -> None:
    text = "x\n/a.h:3:4: runtime error: signed integer overflow: 1 * 2\n    #0 0x12 in textnn::ops::pooled(int) /a.h\n"
    assert driver.report_of(text) == (
        "/a.h:3:4: runtime error: signed integer overflow: 1 * 2 in textnn::ops::pooled(int)"
    )


@dataclass(frozen=True)
class _Starving(driver.Setting):
    """A worker that a sanitizer ends, as its allocation is too large, and one that makes no more calls."""

    def command(self, *arguments: str) -> list[str]:
        first, _, out = (a.partition("=")[2] for a in arguments[:3])
        program = (
            "import os, sys; out, number = sys.argv[1], int(sys.argv[2]);"
            "number == 1 and sys.exit(0);"
            "open(out + '/current', 'w').write(f'recurrent {number}\\n');"
            "sys.exit('SUMMARY: AddressSanitizer: allocation-size-too-big')"
        )
        return [sys.executable, "-c", program, out, first]


def test_a_process_without_memory_is_no_finding() -> None:
    figures = driver.run(["recurrent"], 1, _Starving())
    assert (figures.calls, figures.errors, figures.crashes, figures.findings) == (1, 1, 0, [])
