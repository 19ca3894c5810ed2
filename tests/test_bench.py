"""bench/: what a row says, tables and the page made of rows, results kept and refused, memory, tiny runs of programs.

Figures measured here mean nothing; that they are made as described does.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from bench import (
    harness,
    lecture,
    linear_cross_entropy,
    lstm_more,
    memory,
    page,
    recurrent,
    report,
    reviews,
    rounding,
    scaling,
    text_conv,
    text_conv_more,
)
from bench.harness import Effort, Row, has_bfloat16, precisions
from textnn import backends, benchmark

TINY = Effort(seconds=0.0, least=3, most=3)


def row(group="G", case="c", ratio=2.0, **settings) -> Row:
    return Row(group, case, 1.0, "peer", ratio, ratio, 0.9 * ratio, 1.1 * ratio, 1e-7, **settings)


@pytest.fixture
def data(monkeypatch) -> reviews.Reviews:
    """Random reviews in the place of real ones."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 40, (60,), generator=generator)
    ids = torch.randint(2, 300, (int(lengths.sum()),), generator=generator)
    loaded = reviews.Reviews("random", ids, lengths.cumsum(0) - lengths, 300, torch.zeros(60, dtype=torch.int64))
    monkeypatch.setattr(reviews, "load", lambda path=None: loaded)
    return loaded


# one case


@pytest.fixture
def clock(monkeypatch):
    """The clock by which sides are compared; it moves when one of them says so."""
    now = [0.0]
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: now[0])
    return now


def waits(seconds, value, clock):
    def call():
        clock[0] += seconds
        return [torch.tensor([value])]

    return call


def test_the_fastest_peer_counts(clock):
    found = harness.compare(
        "G", "c", waits(0.001, 1.0, clock), {"slow": waits(0.02, 9.0, clock), "fast": waits(0.004, 1.5, clock)}, TINY
    )
    assert found.peer == "fast"
    assert found.theirs == found.peers["fast"] < found.peers["slow"]
    assert found.low == pytest.approx(4)
    assert found.ratio == pytest.approx(4)
    assert found.difference == 0.5


@pytest.mark.parametrize(("half", "peer_precision"), [(3.0, "bfloat16"), (5.0, "float32")])
def test_a_row_in_bfloat16_names_the_precision_of_both_sides(half, peer_precision):
    of = Row("G", "c", 2.0, "layer, autocast" if half < 4 else "layer", min(half, 4.0), 2.0, 2.0, 2.0, 0.0)
    of.peers = {"layer": 4.0, "layer, autocast": half}
    table = report.columns([of.in_bfloat16()])
    assert (table["textnn in"], table["best peer"], table["peer in"]) == (["bfloat16"], ["layer"], [peer_precision])
    assert table["against float32"] == ["2"]


def test_lesser_instruction_sets_are_forced_and_given_back(clock):
    used, before = set(), backends.cpu_capability()

    def ours():
        used.add(backends.cpu_capability())
        return waits(1, 0.0, clock)()

    found = harness.compare(
        "G", "c", ours, {"peer": waits(1, 0.0, clock)}, Effort(0.0, 3, 3, sets=harness.lesser_sets())
    )
    assert used == set(backends.supported_cpu_capabilities())
    assert list(found.forced) == [harness.SETS[name] for name in harness.lesser_sets()]
    assert backends.cpu_capability() == before

    def fails():
        if backends.cpu_capability() != before:
            raise ValueError("forced")
        return waits(1, 0.0, clock)()

    if harness.lesser_sets():
        with pytest.raises(ValueError, match="forced"):
            harness.compare(
                "G", "c", fails, {"peer": waits(1, 0.0, clock)}, Effort(0.0, 3, 3, sets=harness.lesser_sets())
            )
    assert backends.cpu_capability() == before


def test_a_share_of_an_effort_keeps_three_calls():
    assert Effort(2.0, 8, 100, ("base",)).share(0.25) == Effort(0.5, 3, 25, ("base",))


# results


def test_rows_are_kept_and_read(monkeypatch, tmp_path):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    rows = [row(extra={"GFLOP/s": 3.0}, forced={"AVX2": 1.5}), row(unit="MB")]
    harness.save("lstm", rows)
    assert harness.load("lstm") == rows


def test_results_that_are_missing_or_of_another_machine_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    with pytest.raises(SystemExit, match="no results; run python -m bench lstm first"):
        harness.load("lstm")
    harness.save("lstm", [row()])
    monkeypatch.setattr(harness, "machine", lambda: {"CPU": "another"})
    with pytest.raises(SystemExit, match=r"measured on .*, this is .*another.*; run python -m bench lstm again"):
        harness.load("lstm")


# tables


def test_a_table_has_the_columns_that_its_rows_have():
    exact = row(case="exact", forced={"AVX2": 1.25}, extra={"of the peak": 0.5})
    exact.low = exact.high = exact.ratio
    exact.difference = math.nan
    table = report.columns([row(case="measured", unit="MB"), exact])
    assert table == {
        "case": ["measured", "exact"],
        "textnn, MB": ["1", "1"],
        "best peer": ["peer", "peer"],
        "peer, MB": ["2", "2"],
        "ratio": ["2.00", "2.00"],
        "quartiles": ["1.80 to 2.20", ""],
        "AVX2": ["", "1.25"],
        "largest difference": ["1e-07", ""],
        "of the peak": ["", "0.5"],
    }
    assert "quartiles" not in report.columns([exact]), "a column without cells is left out"


def test_the_summary_shows_losses():
    rows = [row("A", ratio=4.0), row("A", ratio=0.25), row("B", ratio=3.0, forced={"AVX2": 2.0})]
    assert report.summary({"lstm": rows[:2], "text_conv": rows[2:]}) == {
        "group": ["A", "B"],
        "cases": ["2", "1"],
        "geometric mean": ["1.00", "3.00"],
        "smallest": ["0.25", "3.00"],
        "below 1": ["1", "0"],
        "mean, AVX2": ["", "2.00"],
    }


def test_markdown():
    assert report.markdown({"case": ["a"], "ratio": ["1.00"]}) == "| case | ratio |\n| --- | ---: |\n| a | 1.00 |"


def test_large_numbers_are_written_out():
    assert "4321" in report.columns([row(ratio=4321.0)])["peer, ms"]


def test_the_page_has_a_section_for_each_program_and_the_pictures_that_it_shows(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(page, "DOCS", tmp_path)
    curve = [
        row(f"{model}, scaling, inference", f"{axis}={size}", peers={"Conv1d": 2.0 * size})
        for model in ("LSTM", "TextCNN")
        for axis in ("B", "L")
        for size in (1, 8)
    ]
    results = {name: [row(f"{name}, inference"), row(f"{name}, training", ratio=0.5)] for name in page.TITLES}
    page.write({**results, "scaling": curve}, "random")
    text = (tmp_path / "benchmarks.md").read_text()
    for name, title in page.TITLES.items():
        assert f"## {title}\n" in text, name
    shown = {part.partition(")")[0] for part in text.split("](")[1:]}
    assert shown == {str(path.relative_to(tmp_path)) for path in (tmp_path / "images").iterdir()}
    assert "| lstm, training | 1 | 0.50 | 0.50 | 1 |" in text


def test_a_part_of_a_page_is_replaced_and_the_rest_stays(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("above\n<!-- bench/x.py -->\nold\n<!-- end -->\nbelow\n", encoding="utf-8")
    report.write_part(path, "bench/x.py", "| 新 |")
    whole = "above\n<!-- bench/x.py -->\n| 新 |\n<!-- end -->\nbelow\n"
    assert path.read_text(encoding="utf-8") == whole
    with pytest.raises(SystemExit, match=r"page\.md: expected the lines <!-- bench/y\.py --> and <!-- end -->"):
        report.write_part(path, "bench/y.py", "")
    assert path.read_text(encoding="utf-8") == whole


# memory


@pytest.mark.parametrize(
    ("seen", "want"),
    [
        # One operator makes both gradients, 70 bytes of 100: the first is handed out, then the second.
        ([(100, 80, 10), (80, 80, 70), (80, 80, 70)], 30),
        # Each gradient has its own operator; the second peak is higher and has the first gradient in it.
        ([(500, 60, 50), (700, 80, 70), (80, 80, 70)], 630),
        # The forward pass needs most: it knows no gradients yet.
        ([(90, 10, 0), (80, 80, 60), (80, 80, 60)], 90),
        # Work after the last gradient.
        ([(100, 70, 70), (900, 70, 70)], 830),
    ],
)
def test_memory_without_gradients(seen, want, monkeypatch):
    monkeypatch.setattr(memory, "NOISE", 1)
    assert memory.without_gradients(seen) == want


def step_of_known_size() -> memory.Step:
    """48 MB for a moment, then 16 MB for the product and as much for the gradient."""
    weight, factor = torch.zeros(4_000_000, requires_grad=True), torch.ones(4_000_000)

    def call():
        weight.grad = None
        torch.ones(12_000_000)
        (weight * factor).sum().backward()
        return []

    return memory.Step(call, [weight])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel keeps no peak that can be reset")
def test_memory_of_a_step_is_its_peak_above_what_was_there():
    found = memory.peak(step_of_known_size)
    assert found.gross == pytest.approx(48, abs=1.0), found
    assert found.net == pytest.approx(48, abs=1.0), found
    found = memory.peak(memory.dense_step, (2, 3, 8, 16, 1, 1), "textnn", profile=True)
    assert found.seen > 0


# programs


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent(monkeypatch, data, kind, half):
    tiny = [(2, 3, 8, 4, 1, 2)]
    for name in ("DENSE", "SINGLE", "OTHER"):
        monkeypatch.setattr(recurrent, name, tiny)
    for name in ("RAGGED", "FROM_IDS"):
        monkeypatch.setattr(recurrent, name, [(3, 4, 1)])
    monkeypatch.setattr(recurrent, "matrix_product_peak", lambda *_: 1.0)
    found = list(recurrent.rows(kind, None, TINY, half))
    assert len({r.group for r in found}) == len(found) == 10
    assert all(len(r.peers) >= 2 for r in found) is (len(precisions(half)) == 2)
    assert [r for r in found if not r.difference < (2 if half else 1e-4)] == []


def test_lstm_in_integers_and_pooled(monkeypatch, data):
    for name in ("DENSE", "SINGLE"):
        monkeypatch.setattr(recurrent, name, [(2, 3, 8, 4, 1, 2)])
    monkeypatch.setattr(lstm_more, "POOLED", [(3, 4)])
    found = list(lstm_more.rows(None, TINY))
    assert len({r.group for r in found}) == 2
    tolerance = {"LSTM, inference, weights of 8 bits": 0.05}  # steps of 1/127
    assert [r for r in found if not r.difference < tolerance.get(r.group, 1e-4)] == []


def test_rounding(monkeypatch, data):
    monkeypatch.setattr(rounding, "texts", lambda _: (["很 好", "很 差", "不 好", "太 差"] * 30, ["1", "0"] * 60))
    monkeypatch.setattr(rounding, "FROZEN", {"lstm": ("int8",)})
    (row,) = rounding.rows(None)
    assert row.unit == "% wrong"
    assert row.difference < 0.05


def test_text_conv(monkeypatch, data):
    monkeypatch.setattr(text_conv, "SHAPES", [(4, None, 6, 5, (2, 3))])
    monkeypatch.setattr(text_conv_more, "OTHER", [(4, 12, 6, 5, (2, 3))])
    monkeypatch.setattr(text_conv_more, "POSITIONS", [(4, 12, 6, 5, 3)])
    found = [*text_conv.rows(None, TINY, text_conv.SHAPES), *text_conv_more.rows(None, TINY)]
    names = {r.group for r in found}
    assert {"TextCNN, forward and backward", "TextCNN, forward and backward, other shapes"} <= names
    assert "TextCNN, forward and backward, sparse gradient of the table" in names
    assert {"Convolution without pooling, forward and backward", "Convolution without pooling, inference"} <= names
    # Products of up to about 3 in steps of 1/127 of that, each off by at most half a step, K = 3 of them added.
    tolerance = {"TextCNN, inference, frozen, int8": 0.05}
    assert [r for r in found if not r.difference < tolerance.get(r.group, 1e-4)] == []


def test_text_conv_in_bfloat16(monkeypatch, data):
    monkeypatch.setattr(text_conv, "SHAPES", [(4, None, 6, 5, (2, 3))])
    monkeypatch.setattr(text_conv_more, "POSITIONS", [(4, 12, 6, 5, 3)])
    found = list(text_conv_more.half_rows(None, TINY))
    assert len({r.group for r in found}) == len(found) == 6
    assert all("bfloat16" in r.group for r in found)
    assert all(("Conv1d" in r.peers, "Conv1d, autocast" in r.peers) == (True, has_bfloat16()) for r in found)
    assert [r for r in found if not r.difference < 2] == []  # another window may win


def test_linear_cross_entropy(monkeypatch):
    monkeypatch.setattr(linear_cross_entropy, "SHAPES", [(9, 4, 7)])
    monkeypatch.setattr(memory, "peak", lambda *_: memory.Peak(2.0, 1.0, 0.0))
    found = list(linear_cross_entropy.rows(None, TINY))
    assert [r.unit for r in found] == ["ms", "ms", "MB", "MB"]
    assert [r.precision for r in found[:2]] == ["", "bfloat16"]
    assert len(found[1].peers) == len(precisions(True)) * len(found[0].peers)
    assert found[0].difference < 1e-4
    assert found[1].difference < 0.1


@pytest.mark.parametrize("half", [False, True])
def test_lecture(data, half):
    rows, ours, theirs = lecture.compare_training(None, 1, half)
    epoch, *parts = rows
    assert len(epoch.peers) == len(precisions(half))
    assert epoch.theirs == min(epoch.peers.values())
    assert [row.case for row in parts] == list(lecture.PARTS)
    assert {p.dtype for side in (ours, theirs) for p in side.model.parameters()} == {torch.float32}


def test_scaling(monkeypatch, data):
    monkeypatch.setattr(scaling, "LSTM_AXES", {"T": (2, 4)})
    monkeypatch.setattr(scaling, "LSTM_BASE", {"B": 2, "T": 3, "H": 4})
    monkeypatch.setattr(scaling, "CONV_AXES", {"V": (50, 80), "share": (0.1, 1.0)})
    monkeypatch.setattr(scaling, "CONV_BASE", {"B": 4, "L": 9, "C": 6})
    monkeypatch.setattr(scaling, "peak", lambda *_: memory.Peak(2.0, 1.0, 0.0))
    found = list(scaling.rows(None, TINY))
    assert {r.unit for r in found} == {"ms", "MB"}
    assert [r for r in found if r.unit == "ms" and not r.difference < 1e-4] == []
    table = scaling.ends(harness.groups(found))
    assert list(zip(table["from"], table["to"], strict=True))[-2:] == [("V=50", "V=80"), ("share=0.1", "share=1")]


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_tokens_drawn_for_a_share_have_exactly_that(share):
    ids = scaling.drawn(10, 20, 300, share)
    assert ids.shape == (10, 20)
    assert len(set(ids.flatten().tolist())) == share * 200
