"""bench/cuda: what is timed, in which order, and what happens to sides that cannot run; on the CPU, whose figures mean
nothing but whose way through the programs is the same."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pytest
import torch

from bench.cuda import __main__ as program
from bench.cuda import ceilings, lstm, text_conv
from bench.cuda.timing import differences, measure
from bench.reviews import generated
from tools.cuda_toolkit import find_toolkit
from tools.gpu_check import parts, rows


def test_every_round_has_new_inputs_and_its_sides_in_another_order() -> None:
    order, inputs = [], itertools.count()
    x = torch.zeros(1)

    def side(name: str):
        def call():
            order.append((name, int(x)))
            return [x]

        return call

    found = measure({"a": side("a"), "b": side("b")}, lambda: x.fill_(next(inputs)), "cpu", 0.0, least=3)
    assert order == [(n, i) for i in range(5) for n in ("ab" if i % 2 == 0 else "ba")]
    assert found.calls == 3, "two rounds warm up"
    assert set(found.us) == set(found.quartiles) == {"a", "b"}


def test_a_side_that_cannot_run_is_left_out_and_says_why() -> None:
    def broken():
        raise RuntimeError("too small for H = 9\nmore")

    found = measure({"textnn": lambda: [torch.ones(2)], "b": broken}, lambda: None, "cpu", 0.0, least=2)
    assert found.trouble == {"b": "too small for H = 9"}
    assert list(found.us) == ["textnn"]


def test_differences_are_relative_to_the_largest_value() -> None:
    results = {"a": [torch.tensor([4.0, -8.0]), torch.zeros(0)], "b": [torch.tensor([4.0, -7.0]), torch.zeros(0)]}
    assert differences(results, "a") == {"b": pytest.approx(1 / 8)}
    assert differences({"b": results["b"]}, "a") == {}


def test_the_cases_of_the_lstm_are_those_that_were_asked_for_and_the_published_size_comes_first() -> None:
    cases = lstm.cases()
    assert len(set(cases)) == len(cases)
    assert [(c.B, c.T, c.H) for c in cases[:8]] == [(16, 1024, 768)] * 8
    dense = {(c.B, c.T, c.H, c.precision, c.train) for c in cases if not c.ragged}
    sizes = itertools.product((16, 32, 64, 128), (50, 200, 1024), (128, 256, 512, 768, 1024))
    for (B, T, H), precision, train in itertools.product(sizes, ("float16", "float32", "bfloat16"), (False, True)):
        assert (B, T, H, precision, train) in dense


@pytest.mark.parametrize("case", lstm.TINY, ids=str)
def test_a_case_of_the_lstm_compares_equal_results(case: lstm.Case) -> None:
    row = lstm.run(case, "cpu", 0.0)
    assert set(row["us"]) == {"textnn", "padded"} | ({"packed"} if case.ragged else set())
    assert all(difference < 1e-4 for difference in row["difference"].values()), row
    assert row["trouble"] == {}
    json.dumps(row)


@pytest.mark.parametrize("case", text_conv.TINY, ids=str)
def test_a_case_of_the_text_convolution_compares_equal_results(case: text_conv.Case) -> None:
    row = text_conv.run(case, "cpu", 0.0)
    assert set(row["us"]) == {"textnn", "Conv1d", "unfold"}
    assert all(difference < 1e-4 for difference in row["difference"].values()), row


def test_generated_texts_have_no_padding_inside() -> None:
    data = generated(300, torch.Generator().manual_seed(0))
    assert int(data.ids.min()) >= 1
    assert int(data.ids.max()) < data.V
    assert int(data.lengths.sum()) == len(data.ids)
    assert 15 < int(data.lengths.float().median()) < 35


def test_what_there_was_no_time_for_is_named(tmp_path: Path) -> None:
    record = tmp_path / "rows.jsonl"
    program.main(["lstm", "--record", str(record), "--device", "cpu", "--tiny", "--seconds", "-1"])
    (row,) = rows.read(record)
    assert row == {"kind": "left out", "of": "lstm", "cases": [str(case) for case in lstm.TINY]}


def test_a_case_that_breaks_ends_the_program_and_the_next_one_goes_on_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, run = tmp_path / "rows.jsonl", lstm.run

    def break_second(case: lstm.Case, device: str, seconds: float):
        if case == lstm.TINY[1]:
            raise RuntimeError("CUDA error: an illegal memory access\nmore")
        return run(case, device, seconds)

    monkeypatch.setattr(lstm, "run", break_second)
    arguments = ["lstm", "--record", str(record), "--device", "cpu", "--tiny"]
    with pytest.raises(SystemExit, match=r"an illegal memory access$"):
        program.main(arguments)
    assert parts.unfinished(record) == str(lstm.TINY[1])
    program.main(arguments)
    assert parts.unfinished(record) is None
    measured = [row["case"] for row in rows.read(record) if row["kind"] == "lstm"]
    assert measured == [str(case) for case in (lstm.TINY[0], *lstm.TINY[2:])]


@pytest.mark.parametrize(("name", "number"), [("lstm", 4), ("text_conv", 4), ("ceilings", 5)])
def test_every_program_writes_its_rows(tmp_path: Path, name: str, number: int) -> None:
    record = tmp_path / "rows.jsonl"
    program.main([name, "--record", str(record), "--device", "cpu", "--tiny"])
    found = [row for row in rows.read(record) if row["kind"] != "begin"]
    assert len(found) == number
    assert {row["kind"] for row in found} == ({name} if name != "ceilings" else {"copy", "product"})


def test_a_product_counts_two_operations_for_each_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "clock", lambda call, device: 2.0)
    assert ceilings.product("cpu", "float32", 100)["TFLOP/s"] == pytest.approx(2e6 / 2e-6 / 1e12)
    assert ceilings.copy("cpu", 1)["TB/s"] == pytest.approx(2 * 2**20 / 2e-6 / 1e12)


@pytest.mark.parametrize("architecture", ["75", "90"])
def test_the_program_of_barriers_compiles_without_a_warning(tmp_path: Path, architecture: str) -> None:
    toolkit = find_toolkit()
    if toolkit is None:
        pytest.skip("needs a CUDA toolkit")
    strict = ["-std=c++17", f"-arch=sm_{architecture}", "-Werror=all-warnings", "-Wno-deprecated-gpu-targets"]
    command = [toolkit / "bin/nvcc", *strict, ceilings.BARRIERS, "-o", tmp_path / "barriers"]
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
