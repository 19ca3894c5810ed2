"""torch's own table of inputs and errors of nn.RNN, nn.GRU and nn.LSTM, on the layers with their names."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch_table import ModuleErrorEnum, module_db

import textnn

pytestmark = pytest.mark.slow

ENTRIES = {info.module_cls.__name__: info for info in module_db if info.module_cls in (nn.RNN, nn.GRU, nn.LSTM)}
DTYPES = {torch.float32: dict(rtol=1e-4, atol=1e-5), torch.float64: dict(rtol=1e-9, atol=1e-11)}
each_kind = pytest.mark.parametrize("kind", ENTRIES)


def arguments(given, device, dtype):
    return given.args, {"device": device, "dtype": dtype, **given.kwargs}


def leaves(value):
    """The tensors in arguments or results."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for part in value for t in leaves(part)] if isinstance(value, (tuple, list)) else []


def test_the_table_has_all_three():
    assert set(ENTRIES) == {"RNN", "GRU", "LSTM"}


@each_kind
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
def test_samples(kind, dtype, training):
    """Results, gradients of everything, and gradients of the gradients; of these float32 loses digits on both sides."""
    info = ENTRIES[kind]
    samples = list(info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training))
    assert len(samples) >= 16
    for number, sample in enumerate(samples):
        args, kwargs = arguments(sample.constructor_input, "cpu", dtype)
        theirs, ours = getattr(nn, kind)(*args, **kwargs), getattr(textnn, kind)(*args, **kwargs)
        ours.load_state_dict(theirs.state_dict())
        case = f"{kind} {number}: {args} {kwargs} {sample.desc}"
        found = []
        for layer in (ours.train(training), theirs.train(training)):
            given = sample.forward_input
            outputs = leaves(layer(*given.args, **given.kwargs))
            inputs = [*leaves(given.args), *layer.parameters()]
            loss = sum(output.sin().sum() for output in outputs)
            found.append([*outputs, *torch.autograd.grad(loss, inputs, create_graph=dtype == torch.float64)])
            if dtype == torch.float64:
                loss = sum(g.cos().sum() for g in found[-1][len(outputs) :])
                found[-1] += torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
        for place, (a, b) in enumerate(zip(*found, strict=True)):
            torch.testing.assert_close(a, b, **DTYPES[dtype], msg=lambda m, c=case, p=place: f"{c}, result {p}: {m}")


@each_kind
def test_samples_on_the_meta_device(kind):
    info = ENTRIES[kind]
    samples = info.module_inputs_func(info, device="meta", dtype=torch.float32, requires_grad=True, training=True)
    for sample in samples:
        args, kwargs = arguments(sample.constructor_input, "meta", torch.float32)
        found = []
        for layer in (getattr(textnn, kind)(*args, **kwargs), getattr(nn, kind)(*args, **kwargs)):
            outputs = leaves(layer(*sample.forward_input.args, **sample.forward_input.kwargs))
            sum(output.sum() for output in outputs).backward()
            assert all(p.grad.device.type == "meta" for p in layer.parameters())
            found.append([(o.shape, o.dtype, o.device) for o in outputs])
        assert found[0] == found[1], (kind, args, kwargs)


@each_kind
def test_errors(kind):
    """The same type, and a message that torch's own test of it takes."""
    info = ENTRIES[kind]
    options = dict(device="cpu", dtype=torch.float32, requires_grad=False, training=True)
    errors = list(info.module_error_inputs_func(info, **options))
    assert {error.error_on for error in errors} == set(ModuleErrorEnum)
    for error in errors:
        sample = error.module_error_input
        args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
        if error.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(error.error_type, match=error.error_regex) as caught:
                getattr(textnn, kind)(*args, **kwargs)
        else:
            layer = getattr(textnn, kind)(*args, **kwargs)
            with pytest.raises(error.error_type, match=error.error_regex) as caught:
                layer(*sample.forward_input.args, **sample.forward_input.kwargs)
        assert type(caught.value) is error.error_type
