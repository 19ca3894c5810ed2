"""Two processes, each with a share of the pairs, train the translator of one process that has them all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import translator_group_worker as worker
from process_group import run_group

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed"),
]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run_group(worker, tmp_path_factory.mktemp("group"))


@pytest.mark.parametrize("case", [*worker.CASES, "validation data"])
def test_two_processes_come_to_what_one_comes_to(case: str, ranks: list[dict[str, Any]]) -> None:
    validation = case == "validation data"
    expected = worker.describe(worker.fit("attention" if validation else case, validation))
    weights, history = expected.pop("weights"), expected.pop("history")
    for rank in ranks:
        found = dict(rank["fits"][case])
        for name, tensor in found.pop("weights").items():
            torch.testing.assert_close(tensor, weights[name], rtol=1e-6, atol=1e-9)
        for epoch, one in zip(found.pop("history"), history, strict=True):
            assert epoch == pytest.approx(one)
        assert found == expected


def test_what_fails_in_one_process_fails_in_both(ranks: list[dict[str, Any]]) -> None:
    assert "y: expected 80 texts, as many as in X, got 79" in ranks[0]["error"]
    assert "y: expected 80 texts, as many as in X, got 79" in ranks[1]["error"]
