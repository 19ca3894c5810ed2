"""Exports with and without tables in the place of convolutions: which is taken, and that both predict the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exports import assert_same, fit

from textnn import SentimentClassifier
from textnn.export import FORMATS, PlainNetwork, export_classifier, networks
from textnn.export.plain import EmbeddingTextConv, FrozenTextConv

pytestmark = pytest.mark.slow

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def wide(make_classifier: Callable[..., SentimentClassifier]) -> SentimentClassifier:
    """An ensemble that becomes one network, of more words than characters."""
    return fit(make_classifier, "wide ensemble")


@pytest.mark.parametrize("case", ["textcnn", "wide-textcnn", "wide ensemble", "bilstm"])
@pytest.mark.parametrize("name", FORMATS)
def test_without_tables_the_probabilities_and_labels_are_the_same(
    make_classifier: Callable[..., SentimentClassifier], tmp_path: Path, case: str, name: str
) -> None:
    classifier = fit(make_classifier, case)
    export_classifier(classifier, name, tmp_path / "exported", tables=False)
    assert_same(classifier, tmp_path / "exported")


@pytest.mark.parametrize(("tables", "convolutions"), [(None, 0), (True, 0), (False, 6)])
def test_tables_leave_no_convolution_in_the_program(
    wide: SentimentClassifier, tmp_path: Path, tables: bool | None, convolutions: int
) -> None:
    export_classifier(wide, "onnx", tmp_path / "exported", tables)
    graph = onnx.load(tmp_path / "exported" / "model.onnx").graph
    assert [node.op_type for node in graph.node].count("Conv") == convolutions
    assert {node.domain for node in graph.node} == {""}


def test_by_itself_each_part_has_a_table_that_is_not_too_large(
    wide: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = "words", "characters"

    def kinds(tables: bool | None = None) -> list[type]:
        network = PlainNetwork(wide.model_, tables).network
        return [type(getattr(network, part)) for part in parts]

    assert kinds() == [FrozenTextConv, FrozenTextConv]
    network = PlainNetwork(wide.model_, tables=None).network
    sizes = sorted((getattr(network, part).table.nbytes, part) for part in parts)
    monkeypatch.setattr(networks, "LARGEST_TABLE", sizes[0][0])
    expected = {sizes[0][1]: FrozenTextConv, sizes[1][1]: EmbeddingTextConv}
    assert kinds() == [expected[part] for part in parts]
    assert kinds(tables=True) == [FrozenTextConv, FrozenTextConv]
    assert kinds(tables=False) == [EmbeddingTextConv, EmbeddingTextConv]
    assert "Conv1d" in str(PlainNetwork(wide.model_))  # a network of torch.nn's has layers of torch.nn's
    wide.export("onnx", tmp_path / "exported")
    assert_same(wide, tmp_path / "exported")


@pytest.mark.parametrize("wrong", ["yes", 1])
def test_what_is_no_choice_is_refused(wide: SentimentClassifier, tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"tables: expected True, False or None, got {type(wrong).__name__} {wrong!r}"):
        export_classifier(wide, "onnx", tmp_path / "exported", wrong)
    assert list(tmp_path.iterdir()) == []
