"""bench/transforms.py on tiny layers: each figure is made, and stands in the table."""

from __future__ import annotations

from bench import transforms


def test_a_table_of_every_layer_and_every_kind_of_derivative() -> None:
    settings = transforms.layers(B=2, T=4, width=3)
    measured = {name: transforms.measure(*setting, repeats=0) for name, setting in settings.items()}
    lines = transforms.table(measured).splitlines()
    names = ("LSTM", "GRU", "RNN", "EmbeddingLSTM", "TextConv", "EmbeddingTextConv")
    assert lines[0] == "| CPU ms | " + " | ".join(f"`{name}`" for name in names) + " |"
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == list(transforms.ROWS.values())
    for found in measured.values():
        assert set(found) == set(transforms.ROWS)
        assert min(found.values()) > 0
