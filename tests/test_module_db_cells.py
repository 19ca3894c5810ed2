"""torch's own table of inputs and errors of nn.RNNCell, nn.GRUCell and nn.LSTMCell, on the layers with their names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_table import ModuleErrorEnum, module_db

import textnn

TABLE = {i.module_cls.__name__: i for i in module_db if i.module_cls in (nn.RNNCell, nn.GRUCell, nn.LSTMCell)}
# Second derivatives of float32 lose some digits on both sides.
DTYPES = {torch.float32: dict(rtol=1e-3, atol=2e-4), torch.float64: dict(rtol=1e-9, atol=1e-11)}

each_cell = pytest.mark.parametrize("cell", TABLE)


def tensors(value: Any) -> list[Tensor]:
    """The tensors among arguments or results."""
    if isinstance(value, Tensor):
        return [value]
    return [t for part in value for t in tensors(part)] if isinstance(value, (tuple, list)) else []


def call(cell: nn.Module, given: Any) -> list[Tensor]:
    return tensors(cell(*given.args, **given.kwargs))


def test_the_table_has_all_of_them():
    assert set(TABLE) == {"RNNCell", "GRUCell", "LSTMCell"}


@each_cell
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_samples(cell, dtype, training, device):
    """Results, gradients of everything, and gradients of the gradients; without gradients as well."""
    info = TABLE[cell]
    samples = list(info.module_inputs_func(info, device=device, dtype=dtype, requires_grad=True, training=training))
    assert len(samples) >= 2
    for number, sample in enumerate(samples):
        args, kwargs = sample.constructor_input.args, {"dtype": dtype, **sample.constructor_input.kwargs}
        theirs = getattr(nn, cell)(*args, **kwargs, device=device).train(training)
        ours = getattr(textnn, cell)(*args, **kwargs, device=device).train(training)
        ours.load_state_dict(theirs.state_dict())
        found = []
        for layer in (ours, theirs):
            outputs = call(layer, sample.forward_input)
            inputs = [*tensors(sample.forward_input.args), *layer.parameters()]
            first = torch.autograd.grad(sum(t.sin().sum() for t in outputs), inputs, create_graph=True)
            second = torch.autograd.grad(sum(g.cos().sum() for g in first), inputs, materialize_grads=True)
            with torch.no_grad():
                found.append([*outputs, *first, *second, *call(layer, sample.forward_input)])
        for place, (a, b) in enumerate(zip(*found, strict=True)):
            case = f"{number}: {args} {kwargs} {sample.desc}, result {place}"
            torch.testing.assert_close(a, b, **DTYPES[dtype], msg=lambda m, case=case: f"{case}: {m}")


@each_cell
def test_errors(cell):
    """The same type, and a message that torch's own test of it takes."""
    info = TABLE[cell]
    options = dict(device="cpu", dtype=torch.float32, requires_grad=False, training=True)
    errors = list(info.module_error_inputs_func(info, **options))
    assert len(errors) >= 4
    for error in errors:
        assert error.error_on == ModuleErrorEnum.FORWARD_ERROR
        made = error.module_error_input.constructor_input
        layer = getattr(textnn, cell)(*made.args, **made.kwargs)
        with pytest.raises(error.error_type, match=error.error_regex) as caught:
            call(layer, error.module_error_input.forward_input)
        assert type(caught.value) is error.error_type
