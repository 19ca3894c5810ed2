"""Fitting in two processes: the classifier of one process, errors that end both, and how shares are put together."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import fitting_worker as worker
import pytest
import torch
from process_group import run_group

from textnn import SentimentClassifier
from textnn.distributed import ALONE, GradientSum, Group


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("group")


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, Any]]:
    """What each process of the group has after all cases."""
    return run_group(worker, folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, case in worker.CASES.items() if case.exact])
def test_two_processes_give_the_classifier_of_one(name: str, ranks: list[dict[str, Any]]) -> None:
    expected = worker.describe(worker.fit(worker.CASES[name]))
    for rank, results in enumerate(ranks):
        found = results[name]
        for key, value in expected.items():
            where = f"process {rank}, {key}"
            if key == "weights":
                # Gradients are sums in another order, and Adam divides by the roots of their squares.
                for parameter, weights in value.items():
                    torch.testing.assert_close(
                        found[key][parameter],
                        weights,
                        rtol=1e-6,
                        atol=1e-7,
                        msg=lambda m, where=f"{where}, {parameter}": f"{where}: {m}",
                    )
            elif key == "history":
                for one, other in zip(found[key], value, strict=True):
                    for figure, number in other.items():
                        close = number if number is None else pytest.approx(number, rel=1e-8)
                        assert one[figure] == close, f"{where}, {figure}"
            elif key in ("temperature", "thresholds"):
                assert found[key] == (value if value is None else pytest.approx(value, rel=1e-6)), where
            else:
                assert found[key] == value, where


@pytest.mark.slow
def test_in_bfloat16_two_processes_come_close_to_the_classifier_of_one(ranks: list[dict[str, Any]]) -> None:
    """The order of additions changes a bit here and there, a rounding to bfloat16 then 2^-9 of a factor."""
    case = worker.CASES["bfloat16"]
    classifier = worker.fit(case)
    expected = worker.describe(classifier)
    other = worker.fit(replace(case, parameters={**case.parameters, "precision": "float32"})).model_.state_dict()
    for rank, results in enumerate(ranks):
        found = results["bfloat16"]
        for name, weights in expected["weights"].items():
            assert found["weights"][name].dtype == torch.float32
            apart = float((found["weights"][name] - weights).norm() / weights.norm())
            assert apart < 0.01, f"process {rank}, {name}: {apart:.2g}"
        assert found["predictions"] == expected["predictions"]
        for one, figures in zip(found["history"], expected["history"], strict=True):
            assert one["loss"] == pytest.approx(figures["loss"], rel=1e-3)
    assert any(not torch.equal(weights, other[name]) for name, weights in expected["weights"].items())


@pytest.mark.slow
def test_process_0_warns_as_one_process_does(ranks: list[dict[str, Any]]) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", UserWarning)
        worker.fit(worker.CASES["texts that occur twice"])
    messages = [str(warning.message) for warning in seen]
    assert [message.partition(":")[0] for message in messages] == ["labels"]
    assert ranks[0]["warnings"]["texts that occur twice"] == messages
    assert ranks[1]["warnings"]["texts that occur twice"] == []


@pytest.mark.slow
def test_the_cases_test_what_they_are_named_for(ranks: list[dict[str, Any]]) -> None:
    cases = ranks[0]
    assert cases["one text left"]["texts"] % 12 == 1
    assert cases["temperature"]["temperature"] != 1
    assert cases["weights"]["weights"]["output.weight"].ne(cases["textcnn"]["weights"]["output.weight"]).any()
    assert cases["weights"]["classes"] == ["bad", "good", "mixed"]
    assert cases["class weights"]["weights"]["output.weight"].ne(cases["weights"]["weights"]["output.weight"]).any()
    assert cases["word vectors"]["options"]["embedding_dim"] == 6
    assert cases["sets of labels"]["classes"] == ["good", "short"]
    assert cases["sets of labels"]["thresholds"] != [0.5, 0.5]


def test_early_stopping_came_early(ranks: list[dict[str, Any]]) -> None:
    """Or the case would not test that both stop."""
    assert len(ranks[0]["early stopping"]["history"]) < 40
    assert len(ranks[0]["early stopping"]["history"]) == ranks[0]["early stopping"]["best epoch"] + 1


@pytest.mark.parametrize("name", worker.CASES)
def test_all_processes_hold_the_same_weights(name: str, ranks: list[dict[str, Any]]) -> None:
    one, other = (results[name] for results in ranks)
    for parameter, weights in one["weights"].items():
        if name == "lecture-lstm":
            # Rows of an exact table catch up when they are read: a step at a time or several at once.
            torch.testing.assert_close(other["weights"][parameter], weights, rtol=1e-9, atol=1e-9, msg=parameter)
        else:
            assert torch.equal(other["weights"][parameter], weights), parameter
    assert one["history"] == other["history"]
    assert one["predictions"] == other["predictions"]


def test_with_dropout_it_learns_as_well_as_one_process(ranks: list[dict[str, Any]]) -> None:
    alone = worker.fit(worker.CASES["dropout"])
    assert alone.score(worker.TEXTS, worker.LABELS) > 0.9
    for results in ranks:
        assert results["dropout"]["accuracy"] > 0.9


def test_the_model_that_was_saved_predicts_what_both_hold(folder: Path, ranks: list[dict[str, Any]]) -> None:
    classifier = SentimentClassifier.load(folder / "model")
    for results in ranks:
        assert classifier.predict(worker.TEXTS).tolist() == results["dropout"]["predictions"]


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("tokenizer", ["process 1 of 2: no tokens today", "no tokens today"]),
        ("options", ["the parameters: expected the same in every process, got embedding_dim 9 in process 1"] * 2),
        ("words", ["the parameters: expected the same in every process, got checksum of its words"] * 2),
        ("vectors", ["the parameters: expected the same in every process, got vectors False in process 1"] * 2),
        ("classes", ["y: expected at least two classes, got only one class, 'same'"] * 2),
        ("validation", ["validation_data labels[1]: expected one of", "process 0 of 2: validation_data labels[1]"]),
        ("labels that cannot be sent", ["process 1 of 2: ", "pickle"]),
        ("validation in one process", ["the parameters: expected the same in every process, got validation_data"] * 2),
        ("empty validation", ["validation_data: expected at least one", "process 0 of 2: validation_data: expected"]),
        ("no texts", ["X: expected at least one text, got none", "process 0 of 2: X: expected at least one text"]),
        ("loss", ["the loss became nan in epoch 1, batch 2"] * 2),
        ("weights", ["the parameters: expected the same in every process, got class_weight {'good': 2.0}"] * 2),
        ("kinds", ["y: expected the same in every process, got one label a text and a list of labels"] * 2),
        ("shares", ["process 1 of 2: y: expected one for each of 59 texts, got 60", "y: expected one"]),
    ],
)
def test_an_error_in_one_process_ends_all(name: str, messages: list[str], ranks: list[dict[str, Any]]) -> None:
    assert name in worker.ERRORS
    for message, results in zip(messages, ranks, strict=True):
        kind, found, shared = results["errors"][name]
        assert message in found, f"{name}: {kind}: {found}"
        assert shared, name


def test_what_is_exchanged_arrives_as_it_was(ranks: list[dict[str, Any]]) -> None:
    one, other = (results["exchange"] for results in ranks)
    assert one["first"] == other["first"]
    assert torch.equal(one["tensors"][0], other["tensors"][0])
    assert other["tied"] == [True, True]
    assert [part["rank"] for part in one["collected"]] == [0, 1]
    assert [part["values"].tolist() for part in one["collected"]] == [[], [1.0]]
    assert one["joined"] == worker.ROWS
    assert one["dealt"] == worker.ROWS[0::2]
    assert other["dealt"] == worker.ROWS[1::2]
    assert other["collected"] is other["joined"] is None


def test_sums_of_narrow_parameters_keep_counts_figures_and_types(ranks: list[dict[str, Any]]) -> None:
    expected = torch.zeros(1000, 2)
    expected[:257], expected[257:259] = 2.0, 1.0
    for results in ranks:
        found = results["narrow gradients"]
        assert found["figures"] == [1.0, 2003.0]
        assert [gradient.dtype for gradient in found["dense"]] == [torch.bfloat16, torch.float32]
        assert [gradient.tolist() for gradient in found["dense"]] == [[3.0] * 3] * 2
        assert found["table"].dtype == torch.bfloat16
        assert torch.equal(found["table"].to_dense().float(), expected)


def test_gradients_are_summed_also_where_a_process_has_none(ranks: list[dict[str, Any]]) -> None:
    tables = [[[0, 0], [7, 1], [0, 0], [0, 0], [5, 1], [0, 0]], [[0, 0], [5, 0], [0, 0], [0, 0], [2, 0], [0, 0]]]
    for rank, results in enumerate(ranks):
        found = results["gradients"]
        assert found["figures"] == [1.0, 5.0], rank
        assert [None if g is None else g.unique().tolist() for g in found["dense"]] == [[3.0], [5.0], None], rank
        assert found["tables"][2] is None, rank
        for gradient, expected in zip(found["tables"], tables, strict=False):
            assert gradient.is_coalesced(), rank
            assert gradient._nnz() == 2, rank
            assert gradient.to_dense().tolist() == expected, rank


def test_distributed_needs_a_process_group() -> None:
    with pytest.raises(ValueError, match="distributed: expected a process group, got none"):
        SentimentClassifier().fit(["a", "b"], [0, 1], distributed=True)


def test_alone_nothing_is_exchanged() -> None:
    rows = torch.arange(5)
    assert ALONE.part(rows) is rows
    assert (ALONE.gather(3), ALONE.collect(4), ALONE.first(5)) == ([3], [4], 5)
    assert (ALONE.join([1, 2]), ALONE.deal(("a", "b"))) == ([1, 2], ["a", "b"])
    assert GradientSum(ALONE, [], [])([1.0, 2.0]) == [1.0, 2.0]
    with pytest.raises(ZeroDivisionError), ALONE.together():
        raise ZeroDivisionError


def test_parts_of_a_batch_are_all_of_it() -> None:
    rows = torch.randperm(11)
    parts = [Group(rank, 3).part(rows) for rank in range(3)]
    assert sorted(torch.cat(parts).tolist()) == list(range(11))
    assert {len(part) for part in parts} == {3, 4}
