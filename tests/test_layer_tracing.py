"""Models that hold the layers in torch.fx, torch.jit and torch.onnx, as such ones of torch.nn."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import textnn
from textnn import accelerate
from textnn.functional.elsewhere import run_onnx

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.torch.jit:DeprecationWarning")

KINDS = ["LSTM", "GRU", "RNN"]
each_kind = pytest.mark.parametrize("kind", KINDS)


class Model(nn.Module):
    def __init__(self, kind: str, **options) -> None:
        super().__init__()
        self.recurrent = getattr(nn, kind)(5, 6, 2, **{"batch_first": True, **options})
        width = self.recurrent.proj_size or 6
        self.output = nn.Linear(width * (2 if self.recurrent.bidirectional else 1), 3)

    def forward(self, x):
        steps, _ = self.recurrent(x)
        return self.output(steps[:, -1])


class Ragged(nn.Module):
    """Reads lengths: one of textnn's layers alone does."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x, lengths):
        steps, final = self.layer(x, lengths=lengths)
        return steps, *(final if isinstance(final, tuple) else (final,))


# --- torch.fx ---


@each_kind
def test_symbolic_tracing_keeps_a_layer_whole(kind):
    theirs, ours = Model(kind), accelerate(Model(kind))
    ours.load_state_dict(theirs.state_dict())
    traced = torch.fx.symbolic_trace(ours)
    wanted = torch.fx.symbolic_trace(theirs)
    assert [(n.op, str(n.target)) for n in traced.graph.nodes] == [(n.op, str(n.target)) for n in wanted.graph.nodes]
    assert traced.recurrent is ours.recurrent
    x = torch.randn(3, 4, 5)
    torch.testing.assert_close(traced(x), theirs(x))


def test_symbolic_tracing_keeps_the_arguments():
    class WithState(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([textnn.GRU(5, 6)])

        def forward(self, x, h, lengths):
            return self.layers[0](x, h, lengths=lengths, outputs=False)[1]

    model = WithState()
    traced = torch.fx.symbolic_trace(model)
    (call,) = (node for node in traced.graph.nodes if node.op == "call_module")
    assert (call.target, len(call.args), dict(call.kwargs, lengths=0)) == (
        "layers.0",
        2,
        {"lengths": 0, "outputs": False},
    )
    given = torch.randn(4, 3, 5), torch.randn(1, 3, 6), torch.tensor([4, 2, 1])
    assert torch.equal(traced(*given), model(*given))


# --- torch.jit ---


@each_kind
@pytest.mark.parametrize("training", [True, False])
def test_a_trace_passes_its_own_check_and_takes_other_shapes(kind, training):
    ours = accelerate(Model(kind)).train(training)
    traced = torch.jit.trace(ours, torch.randn(3, 4, 5))
    for shape in ((3, 4, 5), (2, 7, 5), (1, 1, 5)):
        x = torch.randn(shape)
        torch.testing.assert_close(traced(x), ours(x))


@each_kind
@pytest.mark.parametrize("with_gradients", [True, False])
def test_a_trace_has_gradients_however_it_was_made(kind, with_gradients):
    ours = accelerate(Model(kind))
    with torch.set_grad_enabled(with_gradients):
        traced = torch.jit.trace(ours, torch.randn(3, 4, 5))
    x = torch.randn(2, 5, 5)
    found = [torch.autograd.grad(m(x).square().sum(), list(ours.parameters())) for m in (traced, ours)]
    torch.testing.assert_close(*found)


def test_a_trace_with_lengths():
    model = Ragged(textnn.EmbeddingLSTM(11, 5, 6, bidirectional=True))
    traced = torch.jit.trace(model, (torch.randint(0, 11, (3, 4)), torch.tensor([4, 2, 1])))
    for B, T in ((3, 4), (5, 6)):
        given = torch.randint(0, 11, (B, T)), torch.randint(1, T + 1, (B,))
        torch.testing.assert_close(traced(*given), model(*given))


@pytest.mark.parametrize(
    "make",
    [
        lambda: textnn.EmbeddingTextConv(11, 5, 6, (1, 2)),
        lambda: textnn.NgramBag(11, 5),
        lambda: textnn.EmbeddingGRU(11, 5, 6),
        lambda: nn.Sequential(nn.Embedding(11, 5), textnn.TextConv(5, 6, (1, 2))),
    ],
    ids=["EmbeddingTextConv", "NgramBag", "EmbeddingGRU", "TextConv"],
)
def test_a_trace_of_other_layers(make):
    layer = make()
    traced = torch.jit.trace(layer, torch.randint(1, 11, (3, 4)))
    ids, found = torch.randint(1, 11, (2, 7)), []
    for module in (traced, layer):
        y = module(ids)
        y = y[0] if isinstance(y, tuple) else y
        found.append([y, *torch.autograd.grad(y.exp().sum(), list(layer.parameters()))])
    torch.testing.assert_close(*found)


class Packed(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0]


@each_kind
def test_a_trace_of_a_packed_batch(kind):
    model = Packed(getattr(textnn, kind)(5, 6))
    traced = torch.jit.trace(model, (torch.randn(3, 4, 5), torch.tensor([4, 2, 1])))
    for B, T in ((3, 4), (5, 6)):
        given = torch.randn(B, T, 5), torch.tensor([T, *range(1, B)])
        torch.testing.assert_close(traced(*given), model(*given))


@each_kind
def test_torch_jit_script_takes_torchs_layer_with_the_same_parameters(kind):
    ours = accelerate(Model(kind))
    x = torch.randn(3, 4, 5)
    want = ours(x)
    with pytest.warns(UserWarning, match=rf"cannot compile textnn\.{kind} and takes torch\.nn\.{kind} with the same"):
        scripted = torch.jit.script(ours)
    torch.testing.assert_close(scripted(x), want)
    torch.testing.assert_close(scripted(x[:2, :1]), ours(x[:2, :1]))
    with torch.no_grad():
        ours.recurrent.weight_hh_l0.zero_()
    torch.testing.assert_close(scripted(x), ours(x))
    assert type(ours.recurrent) is getattr(nn, kind)
    assert type(accelerate(ours).recurrent) is getattr(textnn, kind)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (textnn.GRU(5, 6, variational=True), "GRU with variational dropout"),
        (textnn.LSTM(5, 6, weight_dropout=0.5), "LSTM with weight dropout"),
        (textnn.EmbeddingLSTM(11, 5, 6), "EmbeddingLSTM"),
        (textnn.EmbeddingTextConv(11, 5, 6), "EmbeddingTextConv"),
        (textnn.TextConv(5, 6), "TextConv"),
        (parametrizations.weight_norm(textnn.LSTM(5, 6), "weight_hh_l0"), "ParametrizedLSTM"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_torch_jit_script_cannot_take_says_what_to_do(layer, name):
    message = rf"torch\.jit\.script cannot compile textnn\.{name}: take torch\.jit\.trace\(model, example\) or torch"
    with pytest.raises(RuntimeError, match=f"^{message}"):
        torch.jit.script(nn.Sequential(layer))


# --- torch.onnx ---


@pytest.fixture
def runtime():
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    return pytest.importorskip("onnxruntime")


def export(runtime, model, example, path, **options):
    """Results of a model in onnxruntime."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model.eval(), example, dynamo=True, verbose=False, **options)
    program.save(path)
    session = runtime.InferenceSession(path)
    names = [given.name for given in session.get_inputs()]

    def run(*inputs):
        found = session.run(None, {name: t.numpy() for name, t in zip(names, inputs, strict=True)})
        return [torch.from_numpy(array) for array in found]

    return run, {node.op_type for node in program.model_proto.graph.node}


@pytest.mark.slow
@each_kind
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "bias": False}, {"batch_first": False}], ids=str)
def test_an_accelerated_model_in_onnx(runtime, kind, options, tmp_path):
    ours = accelerate(Model(kind, **options))
    run, operators = export(runtime, ours, (torch.randn(3, 4, 5),), tmp_path / "model.onnx")
    assert kind in operators
    x = torch.randn(3, 4, 5)
    torch.testing.assert_close(run(x)[0], ours(x))


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_any_number_of_sequences_and_steps_in_onnx(runtime, kind, tmp_path):
    """torch.nn.LSTM and RNN cannot do this: torch.export fixes their number of steps."""
    ours = accelerate(Model(kind, bidirectional=True))
    run, _ = export(runtime, ours, (torch.randn(3, 4, 5),), tmp_path / "m.onnx", dynamic_shapes=({0: "B", 1: "T"},))
    for shape in ((2, 7, 5), (1, 1, 5)):
        x = torch.randn(shape)
        torch.testing.assert_close(run(x)[0], ours(x))


@each_kind
def test_lengths_in_onnx(runtime, kind, tmp_path):
    layer = getattr(textnn, f"Embedding{kind}")(11, 5, 6, num_layers=2, bidirectional=True)
    model, lengths = Ragged(layer), torch.tensor([4, 0, 1])
    run, _ = export(runtime, model, (torch.randint(0, 11, (3, 4)), torch.tensor([4, 2, 1])), tmp_path / "m.onnx")
    ids = torch.randint(0, 11, (3, 4))
    torch.testing.assert_close(run(ids, lengths), list(model(ids, lengths)))


@pytest.mark.parametrize("lengths", [False, True])
def test_a_projection_in_onnx(runtime, lengths, tmp_path):
    """ONNX has none; torch.nn's layer comes out without it."""
    layer = textnn.LSTM(5, 6, proj_size=4, bidirectional=True, batch_first=True)
    model, x = Ragged(layer), torch.randn(3, 4, 5)
    if not lengths:
        model = nn.Sequential(layer)
    example = (x, torch.tensor([4, 2, 1])) if lengths else (x,)
    run, _ = export(runtime, model, example, tmp_path / "m.onnx")
    given = (torch.randn(3, 4, 5), torch.tensor([2, 4, 0])) if lengths else (torch.randn(3, 4, 5),)
    want = model(*given)
    want = list(want) if lengths else [want[0], *want[1]]
    torch.testing.assert_close(run(*given), want)


class ByDynamo(nn.Module):
    """What torch.export takes by Dynamo only, which torch.onnx.export tries in the end."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        if not torch.compiler.is_dynamo_compiling():
            raise RuntimeError("only by Dynamo")
        return self.layer(x)[0]


def test_an_export_that_needs_dynamo(runtime, tmp_path):
    layer, x = textnn.GRU(5, 6, bidirectional=True), torch.randn(4, 3, 5)
    run, _ = export(runtime, ByDynamo(layer), (x,), tmp_path / "m.onnx")
    torch.testing.assert_close(run(x)[0], layer(x)[0])


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = textnn.GRU(5, 6)

    def forward(self, x, offsets):
        return self.layer(x, offsets=offsets)[0]


def test_flat_batches_are_refused_by_an_export(runtime, tmp_path):
    with pytest.raises(torch.onnx.OnnxExporterError, match="the layers of ONNX take padded batches; give lengths in"):
        export(runtime, Flat(), (torch.randn(8, 5), torch.tensor([0, 3])), tmp_path / "m.onnx")


def test_a_projection_with_any_number_of_steps_is_refused(runtime, tmp_path):
    layer = textnn.LSTM(5, 6, proj_size=3)
    with pytest.raises(torch.onnx.OnnxExporterError, match="must not be dynamic, since ONNX has no LSTM with a proj"):
        export(runtime, layer, (torch.randn(4, 3, 5),), tmp_path / "m.onnx", dynamic_shapes=({0: "T"},))


@pytest.mark.parametrize(("layout", "name"), [("flat", "offsets"), ("packed", "a PackedSequence")])
def test_what_onnx_has_not_is_said(layout, name):
    weights = [torch.zeros(18, 5), torch.zeros(18, 6), *[None] * 8]
    with pytest.raises(ValueError, match=f"the layers of ONNX take padded batches; give lengths in place of {name}"):
        run_onnx("gru", torch.zeros(8, 5), torch.zeros(1, 3, 6), None, weights, torch.zeros(3), layout, False)


@each_kind
@pytest.mark.filterwarnings("ignore")
def test_the_exporter_by_torchscript(runtime, kind, tmp_path):
    ours, x = accelerate(Model(kind)).eval(), torch.randn(3, 4, 5)
    torch.onnx.export(copy.deepcopy(ours), (x,), tmp_path / "m.onnx", dynamo=False)
    session = runtime.InferenceSession(tmp_path / "m.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), ours(x))


WHOLE = {
    "TextConv": (lambda: textnn.TextConv(3, 4), lambda: torch.randn(2, 5, 3)),
    "TextConv, no pooling": (lambda: textnn.TextConv(3, 4, (3,), pooling=None), lambda: torch.randn(2, 5, 3)),
    "EmbeddingTextConv": (lambda: textnn.EmbeddingTextConv(9, 3, 4), lambda: torch.randint(0, 9, (2, 5))),
    "EmbeddingLSTM": (lambda: textnn.EmbeddingLSTM(9, 3, 4), lambda: torch.randint(0, 9, (2, 5))),
    "EmbeddingGRU": (lambda: textnn.EmbeddingGRU(9, 3, 4), lambda: torch.randint(0, 9, (2, 5))),
}


@pytest.mark.parametrize("name", WHOLE)
def test_other_layers_stay_whole_in_a_symbolic_trace(name):
    layer, x = (make() for make in WHOLE[name])
    model = nn.Sequential(layer)
    traced = torch.fx.symbolic_trace(model)
    assert [node.op for node in traced.graph.nodes] == ["placeholder", "call_module", "output"]
    torch.testing.assert_close(traced(x), model(x))


def test_a_crf_stays_whole_in_a_symbolic_trace():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.crf = nn.Linear(4, 3), textnn.CRF(3, batch_first=True)

        def forward(self, x, tags, lengths):
            return -self.crf(self.linear(x), tags, lengths=lengths)

    model, inputs = Tagger(), (torch.randn(2, 5, 4), torch.randint(0, 3, (2, 5)), torch.tensor([5, 2]))
    traced = torch.fx.symbolic_trace(model)
    assert "crf" in [node.target for node in traced.graph.nodes if node.op == "call_module"]
    torch.testing.assert_close(traced(*inputs), model(*inputs))
