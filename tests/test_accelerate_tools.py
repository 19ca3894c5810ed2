"""What PyTorch's own tools do with an accelerated model: what they do with the one of torch.nn."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils._per_sample_grad import call_for_per_sample_grads
from torch.nn.utils.rnn import pack_padded_sequence
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

import textnn
from textnn import accelerate

KINDS = ["LSTM", "GRU", "RNN"]
each_kind = pytest.mark.parametrize("kind", KINDS)


class Model(nn.Module):
    def __init__(self, kind: str = "LSTM", **options) -> None:
        super().__init__()
        self.recurrent = getattr(nn, kind)(5, 8, 2, batch_first=True, **options)
        self.output = nn.Linear(self.recurrent.hidden_size, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps, _ = self.recurrent(x)
        return self.output(steps[:, -1])


def both(kind="LSTM", change=lambda model: None, **options):
    """A model of torch.nn's, and the same accelerated; both changed before that."""
    theirs, ours = Model(kind, **options), Model(kind, **options)
    ours.load_state_dict(theirs.state_dict())
    for model in (theirs, ours):
        torch.manual_seed(1)
        change(model)
    accelerate(ours)
    assert isinstance(ours.recurrent, getattr(textnn, kind))
    return theirs, ours


def assert_same(theirs, ours, shape=(3, 4, 5), prefix=""):
    """Same results, and same gradients of input and parameters; prefix: of the names of ours."""
    x = torch.randn(shape, dtype=next(theirs.parameters()).dtype)
    results = []
    for model in (theirs, ours):
        model.zero_grad()
        leaf = x.clone().requires_grad_()
        y = model(leaf)
        y.square().sum().backward()
        results.append(
            {"y": y, "x": leaf.grad, **{name.removeprefix(prefix): p.grad for name, p in model.named_parameters()}}
        )
    for name, want in results[0].items():
        assert (want is None) == (results[1][name] is None), name
        if want is not None:
            torch.testing.assert_close(results[1][name], want, msg=lambda m, name=name: f"{name}: {m}")


# --- weights that are computed ---


PARAMETRIZATIONS = {
    "weight_norm": lambda layer: parametrizations.weight_norm(layer, "weight_hh_l0"),
    "spectral_norm": lambda layer: parametrizations.spectral_norm(layer, "weight_ih_l1"),
    "orthogonal": lambda layer: parametrizations.orthogonal(layer, "weight_hh_l1"),
    "two": lambda layer: parametrizations.weight_norm(
        parametrizations.weight_norm(layer, "weight_hh_l0"), "weight_ih_l0"
    ),
}


@each_kind
@pytest.mark.parametrize("how", PARAMETRIZATIONS)
def test_a_parametrized_layer_keeps_its_parametrizations(kind, how):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs, ours = both(kind, lambda model: PARAMETRIZATIONS[how](model.recurrent))
    assert parametrize.is_parametrized(ours.recurrent)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.eval(), ours.eval()  # spectral_norm takes a step of its iteration at each access, in training
    assert_same(theirs, ours)
    other = Model(kind)
    PARAMETRIZATIONS[how](other.recurrent)
    ours.load_state_dict(other.state_dict())
    assert_same(other.eval(), ours)


def test_a_parametrized_layer_is_trained_copied_and_set_free():
    theirs, ours = both("GRU", lambda model: PARAMETRIZATIONS["weight_norm"](model.recurrent))
    x = torch.randn(3, 4, 5)
    for model in (theirs, ours):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours(x), theirs(x))
    want = ours(x)
    assert torch.equal(copy.deepcopy(ours)(x), want)
    with pytest.raises(RuntimeError, match="Serialization of parametrized modules"):
        pickle.dumps(ours)
    parametrize.remove_parametrizations(ours.recurrent, "weight_hh_l0")
    assert type(ours.recurrent) is textnn.GRU
    torch.testing.assert_close(ours(x), want)


def test_a_parametrized_subclass_is_left_alone():
    class Own(nn.LSTM):
        pass

    model = nn.Sequential(parametrizations.weight_norm(Own(5, 8), "weight_hh_l0"))
    with pytest.warns(UserWarning, match=r"left 0 \(ParametrizedOwn\) as it is"):
        accelerate(model)


@each_kind
@pytest.mark.parametrize("first", [False, True], ids=["accelerated first", "pruned first"])
def test_pruned_layers(kind, first):
    def cut(model):
        prune.l1_unstructured(model.recurrent, "weight_hh_l0", 0.5)

    theirs, ours = both(kind, cut if first else lambda _: None)
    if not first:
        cut(theirs), cut(ours)
    assert (ours.recurrent.weight_hh_l0 == 0).float().mean() == 0.5
    assert_same(theirs, ours)
    prune.remove(ours.recurrent, "weight_hh_l0")
    assert_same_values(theirs, ours)


def assert_same_values(theirs, ours):
    x = torch.randn(3, 4, 5)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
def test_the_old_weight_norm():
    theirs, ours = both("LSTM", lambda model: nn.utils.weight_norm(model.recurrent, "weight_hh_l0"))
    assert_same(theirs, ours)
    nn.utils.remove_weight_norm(ours.recurrent, "weight_hh_l0")
    assert_same_values(theirs, ours)


@each_kind
def test_two_layers_with_one_weight(kind):
    def tie(model):
        model.recurrent.weight_hh_l1 = model.recurrent.weight_hh_l0

    theirs, ours = both(kind, tie)
    assert ours.recurrent.weight_hh_l1 is ours.recurrent.weight_hh_l0
    assert_same(theirs, ours)
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))


# --- copies and files ---


@each_kind
@pytest.mark.parametrize(
    "clone",
    [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model)), lambda model: saved(model)],
    ids=["deepcopy", "copy", "pickle", "torch.save"],
)
def test_copies(kind, clone):
    _, ours = both(kind)
    other, x = clone(ours), torch.randn(3, 4, 5)
    assert type(other.recurrent) is type(ours.recurrent)
    assert torch.equal(other(x), ours(x))


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False) if not options else torch.load(file, **options)


@each_kind
@pytest.mark.parametrize("assign", [False, True])
def test_states_load_both_ways(kind, assign):
    _, ours = both(kind)
    fresh = Model(kind)
    fresh.load_state_dict(saved(ours.state_dict(), weights_only=True), assign=assign)
    assert_same(fresh, ours)
    ours.load_state_dict(saved(Model(kind).state_dict(), weights_only=True), assign=assign)
    fresh.load_state_dict(ours.state_dict())
    assert_same(fresh, ours)


def test_a_file_of_a_model_of_torch_loads_and_is_accelerated():
    theirs = Model("LSTM")
    assert_same(theirs, accelerate(saved(theirs)))


def test_its_memory_is_shared_between_processes():
    theirs, ours = both("LSTM")
    assert ours.share_memory() is ours
    assert all(p.is_shared() for p in ours.parameters())
    assert_same(theirs, ours)


# --- conversions ---


@each_kind
@pytest.mark.parametrize("swap", [False, True])
def test_conversions(kind, swap):
    theirs, ours = both(kind)
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(swap)
    try:
        parameters = list(ours.parameters())
        assert_same(theirs.double(), ours.double())
        assert all(a is b for a, b in zip(parameters, ours.parameters(), strict=True))
        assert_same(theirs.float(), ours.float())
        ours.recurrent.flatten_parameters()
        assert_same(theirs, ours.to("cpu"))
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)


def test_vectors_of_parameters():
    theirs, ours = both("GRU")
    vector = nn.utils.parameters_to_vector(theirs.parameters())
    assert torch.equal(nn.utils.parameters_to_vector(ours.parameters()), vector)
    for model in (theirs, ours):
        nn.utils.vector_to_parameters(vector * 1.5, model.parameters())
    assert_same(theirs, ours)


@each_kind
def test_gradients_that_are_clipped_or_not_wanted(kind):
    theirs, ours = both(kind, lambda model: model.recurrent.weight_hh_l0.requires_grad_(False))
    assert not ours.recurrent.weight_hh_l0.requires_grad
    assert_same(theirs, ours)
    norms = [nn.utils.clip_grad_norm_(model.parameters(), 0.1) for model in (theirs, ours)]
    torch.testing.assert_close(*norms)
    with torch.no_grad():
        assert_same_values(theirs, ours)


def test_loops_over_parameters_and_modules():
    def initialise(model):
        torch.manual_seed(2)
        for name, parameter in model.named_parameters():
            nn.init.orthogonal_(parameter) if "weight" in name else nn.init.zeros_(parameter)
        for module in model.modules():
            if isinstance(module, nn.RNNBase):
                nn.init.ones_(module.bias_hh_l1)

    theirs, ours = both("LSTM")
    initialise(theirs), initialise(ours)
    assert_same(theirs, ours)
    for model in (theirs, ours):
        torch.manual_seed(3)
        model.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    assert_same(theirs, ours)


def test_flags_and_buffers_stay():
    model = Model("LSTM", dropout=0.5).eval()
    model.recurrent.register_buffer("scale", torch.ones(2))
    model.recurrent.note = "kept"
    accelerate(model)
    assert not model.recurrent.training
    assert model.recurrent.note == "kept"
    assert "recurrent.scale" in model.state_dict()
    x = torch.randn(3, 4, 5)
    assert torch.equal(model(x), model(x))


# --- hooks ---


def test_hooks_are_kept_and_may_change_what_passes():
    def attach(model):
        layer = model.recurrent
        layer.register_forward_pre_hook(lambda _, args: (args[0] * 2, *args[1:]))
        layer.register_forward_hook(lambda _, args, out: (out[0] + 1, out[1]))
        layer.register_full_backward_hook(lambda _, into, out: tuple(g * 3 for g in into))

    assert_same(*both("LSTM", attach))


def test_hooks_of_a_state():
    seen = []
    theirs, ours = both("LSTM", lambda m: m.recurrent.register_load_state_dict_post_hook(lambda *_: seen.append(1)))
    ours.load_state_dict(theirs.state_dict())
    assert seen == [1]


# --- without the module ---


@each_kind
def test_functional_call(kind):
    theirs, ours = both(kind)
    other = {name: p * 0.5 for name, p in theirs.named_parameters()}
    x = torch.randn(3, 4, 5)
    want = torch.func.functional_call(theirs, other, (x,))
    torch.testing.assert_close(torch.func.functional_call(ours, other, (x,)), want)
    assert not torch.allclose(ours(x), want)


def test_a_replica_of_data_parallel():
    _, ours = both("LSTM")
    layer = ours.recurrent
    replica = layer._replicate_for_data_parallel()
    for name, parameter in layer.named_parameters():
        setattr(replica, name, parameter.detach().clone().requires_grad_())  # what torch.nn.parallel.replicate does
    x = torch.randn(3, 4, 5)
    assert torch.equal(replica(x)[0], layer(x)[0])
    replica(x)[0].sum().backward()
    assert replica.weight_hh_l0.grad is not None
    assert torch.equal(nn.DataParallel(ours)(x), ours(x))


@each_kind
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_activation_checkpoints(kind, use_reentrant):
    theirs, ours = both(kind)
    assert_same(theirs, Checkpointed(ours, use_reentrant), prefix="model.")


class Checkpointed(nn.Module):
    def __init__(self, model, use_reentrant):
        super().__init__()
        self.model, self.use_reentrant = model, use_reentrant

    def forward(self, x):
        return checkpoint(self.model, x, use_reentrant=self.use_reentrant)


@each_kind
@pytest.mark.parametrize("packed", [False, True])
def test_gradients_of_each_sample_by_expanded_weights(kind, packed):
    """A library whose tensors answer torch's functions for the parameters: it has to see those of torch.nn's layers.

    In float64, as torch's own LSTM fails at it in float32 on the CPU.
    """
    x, found = torch.randn(3, 4, 5, dtype=torch.float64), []
    for model in (each.double() for each in both(kind)):
        given = pack_padded_sequence(x, torch.tensor([4, 4, 2]), batch_first=True) if packed else x
        y, _ = call_for_per_sample_grads(model.recurrent, batch_size=3, loss_reduction="sum", batch_first=True)(given)
        (y.data if packed else y).square().sum().backward()
        found.append([p.grad_sample for p in model.recurrent.parameters()])
    torch.testing.assert_close(*found)
    assert found[0][0].shape[0] == 3


@each_kind
def test_complex_numbers(kind):
    """For which there are no kernels: torch.nn's own layers take them."""
    for name, shape in ((kind, (3, 4, 5)), (f"{kind}Cell", (3, 5))):
        theirs = getattr(nn, name)(5, 8, dtype=torch.complex64)
        ours, x, found = accelerate(copy.deepcopy(theirs)), torch.randn(shape, dtype=torch.complex64), []
        for layer in (ours, theirs):
            results = torch.utils._pytree.tree_leaves(layer(x))
            loss = sum(t.abs().sum() for t in results)
            found.append([*results, *torch.autograd.grad(loss, list(layer.parameters()))])
        torch.testing.assert_close(*found)


def test_an_averaged_model():
    theirs, ours = both("GRU")
    assert_same(*(AveragedModel(model).train() for model in (theirs, ours)))


def test_the_base_classes_are_those_of_torch():
    """What torch.nn.LSTM is not: Dynamo refuses to compile its subclasses."""
    _, ours = both("LSTM")
    assert isinstance(ours.recurrent, nn.RNNBase)
    assert not isinstance(ours.recurrent, nn.LSTM)
    assert isinstance(accelerate(nn.LSTMCell(5, 6)), nn.modules.rnn.RNNCellBase)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dynamic_quantization_comes_first():
    """It looks for torch.nn's own classes, so that it would leave an accelerated layer as it is."""
    quantized = torch.ao.quantization.quantize_dynamic(Model("LSTM"), {nn.LSTM})
    x = torch.randn(3, 4, 5)
    want, kind = quantized(x), type(quantized.recurrent)
    with pytest.warns(UserWarning, match="accelerate replaced nothing"):
        accelerate(quantized)
    assert type(quantized.recurrent) is kind
    assert torch.equal(quantized(x), want)
