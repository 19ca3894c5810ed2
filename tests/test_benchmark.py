"""textnn.benchmark and ``textnn bench``: calls in turn, lines for each case, gradients that agree or fail loudly."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import benchmark


def test_calls_run_in_turn_and_the_first_results_are_kept():
    order = []

    def call(name):
        def run():
            order.append(name)
            return [torch.tensor(float(len(order)))]

        return run

    times, results = benchmark.interleave({"a": call("a"), "b": call("b")}, seconds=0.0, least=3)
    assert order == ["a", "b"] * 4, "one round to warm up, three that count"
    assert {name: len(t) for name, t in times.items()} == {"a": 3, "b": 3}
    assert results == {"a": [torch.tensor(1.0)], "b": [torch.tensor(2.0)]}


def test_rounds_fill_the_time_within_the_limits():
    for seconds, want in ((0.0, 2), (1e9, 5)):
        times, _ = benchmark.interleave({"a": lambda: [torch.zeros(1)]}, seconds, least=2, most=5)
        assert len(times["a"]) == want, f"{seconds} seconds"


def test_sparse_results_are_compared_as_dense_ones():
    rows = torch.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (3,), check_invariants=True)
    _, results = benchmark.interleave({"a": lambda: [rows]}, 0.0)
    assert results["a"][0].tolist() == [0, 5, 0]


def test_both_sides_compute_the_same():
    lines = list(benchmark.comparisons(seconds=0.1))
    assert [line.case for line in lines] == [
        "LSTM inference",
        "LSTM training",
        "GRU inference",
        "GRU training",
        "TextCNN inference",
        "TextCNN training",
    ]
    for line in lines:
        # Sums of some thousand float32 terms in another order.
        assert line.difference < 1e-4, line


def test_gradients_agree_on_each_instruction_set(capability):
    assert benchmark.check_gradients() == {"LSTM": True, "GRU": True, "TextCNN": True}, capability


def test_command():
    before = torch.get_num_threads()
    try:
        done = CliRunner().invoke(app, ["bench", "--seconds", "0.1", "--threads", "1"])
    finally:
        torch.set_num_threads(before)
    assert done.exit_code == 0, done.output
    for part in ("1 threads", "LSTM training", "TextCNN inference", "LSTM agrees, GRU agrees, TextCNN agrees"):
        assert part in done.output, done.output


def test_wrong_gradients_fail_the_command(monkeypatch):
    monkeypatch.setattr(benchmark, "comparisons", lambda seconds: iter(()))
    monkeypatch.setattr(benchmark, "check_gradients", lambda: {"LSTM": True, "TextCNN": False})
    done = CliRunner().invoke(app, ["bench"])
    assert done.exit_code == 1, done.output
    assert "TextCNN DIFFERS" in done.output


@pytest.mark.parametrize("seconds", ["0", "-1", "many"])
def test_a_time_that_is_none_is_refused(seconds):
    assert CliRunner().invoke(app, ["bench", "--seconds", seconds]).exit_code == 2
