"""Platforms on which the kernels do not build get a sentence that names the way out."""

from __future__ import annotations

import pytest

from tools.platforms import refusal


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "AMD64"])
def test_linux_is_taken(machine: str) -> None:
    assert refusal("linux", machine) is None


@pytest.mark.parametrize(
    ("system", "machine", "advice"),
    [("win32", "AMD64", "WSL 2"), ("darwin", "arm64", "a Linux container"), ("linux", "riscv64", "such a machine")],
)
def test_others_get_a_sentence_with_the_way_out(system: str, machine: str, advice: str) -> None:
    said = refusal(system, machine)
    assert said is not None
    assert f"this is {system} on {machine}: " in said
    assert advice in said.partition(machine)[2]
