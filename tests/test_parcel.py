"""What goes between processes: the same values come out, and tensors are not within the pickle."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textnn.parcel import Column, Parcel


def sent(value: Any) -> Any:
    """The value that arrives."""
    parcel = Parcel.of(value)
    waiting = iter(parcel.tensors)
    received = Parcel(parcel.head).open(lambda tensor: tensor.copy_(next(waiting)))
    assert next(waiting, None) is None, "all that was sent was asked for"
    return received


TENSORS = {
    "float32": torch.rand(3, 2),
    "bfloat16": torch.rand(5).bfloat16(),
    "int32": torch.arange(4, dtype=torch.int32),
    "bool": torch.tensor([True, False]),
    "complex": torch.rand(2, dtype=torch.complex64),
    "no dimension": torch.tensor(2.5),
    "empty": torch.empty(0, 3),
    "every other": torch.arange(10)[::2],
    "transposed": torch.rand(3, 2).t(),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_arrive_as_they_were(name: str) -> None:
    received = sent({"it": TENSORS[name]})["it"]
    assert received.dtype == TENSORS[name].dtype
    assert torch.equal(received, TENSORS[name])


def test_a_sparse_tensor_is_pickled() -> None:
    value = torch.sparse_coo_tensor([[0, 2]], [1.0, 2.0], (4,), check_invariants=True)
    assert torch.equal(sent(value).to_dense(), value.to_dense())


def test_a_network_keeps_parameters_buffers_and_what_is_tied() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 3))
    network[2].weight = network[0].weight
    network[0].bias.requires_grad_(False)
    received = sent(network)
    assert received[2].weight is received[0].weight
    assert [p.requires_grad for p in received.parameters()] == [p.requires_grad for p in network.parameters()]
    assert list(received.state_dict()) == list(network.state_dict())
    for name, tensor in network.state_dict().items():
        assert torch.equal(received.state_dict()[name], tensor), name
    received(torch.rand(4, 3)).sum().backward()
    assert received[0].weight.grad is not None


def test_the_pickle_has_no_tensors_in_it() -> None:
    parcel = Parcel.of([torch.rand(10_000), "text"])
    assert len(parcel.head) < 1000
    assert [tensor.numel() for tensor in parcel.tensors] == [40_000]


def test_what_cannot_be_pickled_is_an_error() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        Parcel.of(lambda: None)


characters = st.text(st.characters(exclude_categories=[]) | st.sampled_from("\ud800\udc00\0"), max_size=3)
numbers = st.integers(-(2**70), 2**70) | st.booleans() | st.floats(allow_nan=False)
ROWS = st.one_of(
    st.lists(characters),
    st.lists(numbers),
    st.lists(characters | numbers | st.tuples(characters, numbers)),
    st.lists(st.lists(characters)),
    st.lists(st.tuples(characters, characters) | st.just(())),
    st.lists(st.lists(st.integers(0, 3))),
    st.lists(st.lists(st.booleans() | st.integers(0, 1))),
)


@given(ROWS)
def test_rows_arrive_as_they_were(rows: list[Any]) -> None:
    received = sent(Column(rows)).rows()
    assert received == rows
    assert repr(received) == repr(rows), "also 1, 1.0 and True"


def test_a_value_that_occurs_often_is_sent_once() -> None:
    parcel = Parcel.of(Column([["word", "other"] * 50] * 100))
    assert sum(tensor.numel() for tensor in parcel.tensors) < 10_000 * 4 + 100 * 8 + 100
    assert len(parcel.head) < 1000
