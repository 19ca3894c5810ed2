"""to_torch_nn(): textnn's layers inside a user's model become torch.nn's, with the same results, fit to be exported."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import textnn
from textnn import layers, reference
from textnn.export import export_program, to_torch_nn
from textnn.export.plain import hash_ngrams
from textnn.models import ARCHITECTURES, build_model, resolve_options

pytestmark = pytest.mark.slow

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}  # float32 sums in another order
SHAPES = [(4, 9), (1, 1), (3, 2), (7, 30)]
B, L = torch.export.Dim("batch"), torch.export.Dim("length")


class Sentences(nn.Module):
    """A user's model with a layer of textnn's somewhere inside."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"layer": layer})

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        result = self.parts["layer"](x, lengths=lengths)
        if isinstance(result, Tensor):
            return result
        y, states = result  # the states of an LSTM are h and c
        return y, states if isinstance(states, Tensor) else states[0]


class Steps(nn.Module):
    """A cell, one step with a state and one without."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Any:
        return self.cell(x[:, 0], self.cell(x[:, -1]))


LAYERS = {
    **{
        f"LSTM, {layers_} layers, {'both ways' if both else 'one way'}, {'batch' if first else 'time'} first": (
            lambda layers_=layers_, both=both, first=first: textnn.LSTM(
                6, 5, layers_, bidirectional=both, batch_first=first
            )
        )
        for layers_, both, first in itertools.product((1, 2), (False, True), (False, True))
    },
    "LSTM without bias": lambda: textnn.LSTM(6, 5, bias=False, batch_first=True),
    "GRU, 2 layers, both ways": lambda: textnn.GRU(6, 5, 2, bidirectional=True, batch_first=True),
    "GRU without bias, time first": lambda: textnn.GRU(6, 5, bias=False),
    "RNN, 2 layers, both ways, time first": lambda: textnn.RNN(6, 5, 2, "relu", bidirectional=True),
    "RNN": lambda: textnn.RNN(6, 5, batch_first=True),
    "TextConv": lambda: textnn.TextConv(6, 4, (1, 3, 5)),
    "TextConv, same": lambda: textnn.TextConv(6, 4, (2, 4), padding="same", activation="tanh", bias=False),
    "EmbeddingTextConv": lambda: textnn.EmbeddingTextConv(20, 6, 4, (2, 3), activation="identity", padding_idx=None),
    "EmbeddingLSTM": lambda: textnn.EmbeddingLSTM(20, 6, 5, 2, bidirectional=True),
    "EmbeddingGRU": lambda: textnn.EmbeddingGRU(20, 6, 5, bidirectional=True, weight_dropout=0.5),
    "EmbeddingRNN": lambda: textnn.EmbeddingRNN(20, 6, 5, 2, variational=True, dropout=0.5),
    "FrozenTextConv": lambda: frozen((3, 2), "relu"),
    "FrozenTextConv, same": lambda: frozen((1, 4, 2), "tanh", padding="same"),
    "FrozenTextConv, float64": lambda: frozen((5,), "identity", bias=False, dtype=torch.float64),
    "NgramBag": lambda: bag(),
}


def frozen(sizes: tuple[int, ...], activation: str, **arguments: Any) -> layers.FrozenTextConv:
    return textnn.EmbeddingTextConv(20, 6, 4, sizes, activation=activation, padding_idx=None, **arguments).freeze()


def bag() -> layers.NgramBag:
    layer = layers.NgramBag(50, 3, (1, 2, 4))
    with torch.no_grad():
        layer.weight[1:].normal_()
    return layer


def inputs(name: str, batch: int, length: int, fewest: int = 0) -> tuple[Tensor, Tensor]:
    """Return vectors or ids, and lengths, of the shape that a layer takes."""
    lengths = torch.randint(fewest, length + 1, (batch,))
    if name.startswith(("Embedding", "Frozen", "Ngram")):
        return torch.randint(0, 20, (batch, length)), lengths
    return torch.randn((length, batch, 6) if "time first" in name else (batch, length, 6)), lengths


@pytest.fixture(params=LAYERS)
def case(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    torch.manual_seed(0)
    return request.param, Sentences(LAYERS[request.param]()).eval()


def dynamic(name: str) -> Any:
    return ({0: L, 1: B} if "time first" in name else {0: B, 1: L}, {0: B})


def assert_same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(tuple(found) if isinstance(found, list) else found, expected, **TOLERANCE)


CELLS = {
    "LSTMCell": lambda: textnn.LSTMCell(6, 5),
    "GRUCell": lambda: textnn.GRUCell(6, 5),
    "RNNCell": lambda: textnn.RNNCell(6, 5, nonlinearity="relu"),
}


@torch.no_grad()
def test_results_and_weights_are_the_same(case: tuple[str, nn.Module]) -> None:
    name, model = case
    plain = to_torch_nn(model)
    assert all(a is b for a, b in zip(plain.parameters(), model.parameters(), strict=True))
    if not name.startswith("Frozen"):  # its table gets two rows more
        assert plain.state_dict().keys() == model.state_dict().keys()
    for shape in SHAPES:
        x = inputs(name, *shape)
        assert_same(plain(*x), model(*x))


@pytest.mark.parametrize("case", LAYERS, indirect=True)
@torch.no_grad()
def test_a_program_of_torchs_takes_any_shape(case: tuple[str, nn.Module]) -> None:
    name, model = case
    program = export_program(to_torch_nn(model), inputs(name, 3, 5), dynamic_shapes=dynamic(name))
    assert "textnn" not in program.graph_module.code
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for shape in SHAPES:
        x = inputs(name, *shape)
        assert_same(loaded(*x), model(*x))


@pytest.mark.parametrize("case", LAYERS, indirect=True)
@torch.no_grad()
def test_onnx_takes_any_shape(case: tuple[str, nn.Module], tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    name, model = case
    shapes = dynamic(name)
    program = torch.onnx.export(
        to_torch_nn(model), inputs(name, 3, 5), dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    program.save(tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    for shape in SHAPES:
        x = inputs(name, *shape)
        arrays = {one.name: tensor.numpy() for one, tensor in zip(session.get_inputs(), x, strict=True)}
        found = [torch.from_numpy(array) for array in session.run(None, arrays)]
        assert_same(found[0] if len(found) == 1 else found, model(*x))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_what_stands_in_the_padding_of_a_table_does_not_count(padding: str) -> None:
    torch.manual_seed(0)
    layer = frozen((3, 2), "identity", padding=padding)
    plain, ids, lengths = to_torch_nn(layer), torch.randint(0, 20, (4, 6)), torch.tensor([6, 1, 0, 3])
    expected = layer(ids, lengths=lengths)
    for other in (0, 19, -1, 10**6):
        padded = ids.masked_fill(torch.arange(6) >= lengths[:, None], other)
        torch.testing.assert_close(plain(padded, lengths=lengths), expected, **TOLERANCE)
    torch.testing.assert_close(plain(ids[:, :0]), layer(ids[:, :0]), **TOLERANCE)
    torch.testing.assert_close(plain(ids.int()), layer(ids), **TOLERANCE)


def test_a_table_of_a_layer_in_half_precision_has_its_results_dtype() -> None:
    torch.manual_seed(0)
    layer, ids = frozen((3, 2), "relu", dtype=torch.float16), torch.randint(0, 20, (4, 6))
    torch.testing.assert_close(to_torch_nn(layer)(ids), layer(ids), rtol=1e-3, atol=1e-3)  # a unit in the last place


def test_it_undoes_accelerate() -> None:
    x = torch.randn(5, 2, 3)
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        model = nn.Sequential(kind(3, 4, 2, dropout=0.5), nn.Linear(4, 4)).eval()
        expected = model[0](x)
        plain = to_torch_nn(textnn.accelerate(model))
        assert isinstance(plain[0], kind)
        torch.testing.assert_close(plain[0](x), expected)
    for kind in (nn.LSTMCell, nn.GRUCell, nn.RNNCell):
        assert type(to_torch_nn(textnn.accelerate(kind(3, 4)))) is kind


@pytest.mark.parametrize("name", CELLS)
@torch.no_grad()
def test_cells_are_exported(name: str) -> None:
    torch.manual_seed(0)
    model = Steps(CELLS[name]()).eval()
    plain, x = to_torch_nn(model), torch.randn(3, 2, 6)
    program = export_program(plain, (x,), dynamic_shapes=({0: B},))
    assert "textnn" not in program.graph_module.code
    for batch in (x, torch.randn(5, 2, 6)):
        assert_same(plain(batch), model(batch))
        assert_same(program.module()(batch), model(batch))


def test_the_model_stays_as_it_is() -> None:
    model = Sentences(textnn.LSTM(6, 5))
    to_torch_nn(model)
    assert type(model.parts["layer"]) is textnn.LSTM


def test_initial_states_projection_and_packed_or_unbatched_input_work_as_in_torch() -> None:
    torch.manual_seed(0)
    layer = textnn.LSTM(6, 5, 2, bidirectional=True, proj_size=3)
    plain = to_torch_nn(layer)
    x, lengths, hx = torch.randn(7, 3, 6), torch.tensor([7, 2, 0]), (torch.randn(4, 3, 3), torch.randn(4, 3, 5))
    torch.testing.assert_close(plain(x, hx, lengths=lengths), layer(x, hx, lengths=lengths), **TOLERANCE)
    torch.testing.assert_close(plain(x[:, 0]), layer(x[:, 0]), **TOLERANCE)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([7, 2, 1]), enforce_sorted=False)
    torch.testing.assert_close(plain(packed)[0].data, layer(packed)[0].data, **TOLERANCE)
    gru = textnn.GRU(6, 5, 2, bidirectional=True)
    torch.testing.assert_close(to_torch_nn(gru)(x, hx[1], lengths=lengths), gru(x, hx[1], lengths=lengths), **TOLERANCE)
    with torch.no_grad():
        shapes = ({0: L, 1: B}, {1: B}, {1: B})
        program = export_program(_States(plain), (x, *hx), dynamic_shapes=shapes)
        torch.testing.assert_close(program.module()(x, *hx), layer(x, hx), **TOLERANCE)


class _States(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Any:
        return self.layer(x, (h, c))


def test_the_hash_is_the_references() -> None:
    ids, lengths = torch.randint(0, 2**31 - 1, (5, 9)), torch.tensor([9, 1, 3, 2, 0])
    for sizes, buckets in (((1, 2, 4), 1000), ((16, 3), 2**31), ((1,), 2)):
        expected = reference.hash_ngrams(ids, sizes, buckets, lengths=lengths)
        assert torch.equal(hash_ngrams(ids, lengths, sizes, buckets), expected)
        assert torch.equal(hash_ngrams(ids.int(), lengths, sizes, buckets), expected)


@pytest.mark.parametrize(
    "layer",
    [
        layers.NgramBag(9, 2),
        textnn.TextConv(3, 2),
        textnn.EmbeddingTextConv(9, 3, 2),
        textnn.EmbeddingTextConv(9, 3, 2).freeze(),
        textnn.EmbeddingLSTM(9, 3, 2),
        textnn.LSTM(3, 2),
        textnn.EmbeddingGRU(9, 3, 2),
        textnn.RNN(3, 2),
    ],
)
def test_flat_batches_are_refused(layer: nn.Module) -> None:
    x = torch.zeros(4, dtype=torch.int64) if hasattr(layer, "num_embeddings") else torch.zeros(4, 3)
    with pytest.raises(ValueError, match="offsets: expected None, as flat batches cannot be exported"):
        to_torch_nn(layer)(x, offsets=torch.tensor([0, 2]))


@pytest.mark.parametrize("name", ["GRU", "EmbeddingGRU"])
def test_nested_tensors_are_refused(name: str) -> None:
    layer, x = (
        (textnn.GRU(3, 2), torch.zeros(4, 3)) if name == "GRU" else (textnn.EmbeddingGRU(9, 3, 2), torch.zeros(4))
    )
    nested = torch.nested.nested_tensor([x, x[:2]], dtype=None if name == "GRU" else torch.int64, layout=torch.jagged)
    with pytest.raises(ValueError, match="nested tensors cannot be exported; give padded input and lengths"):
        to_torch_nn(layer)(nested)


def test_what_cannot_be_replaced_is_refused() -> None:
    class Own(textnn.LSTM):
        pass

    with pytest.raises(TypeError, match=r"module: expected an nn\.Module, got str"):
        to_torch_nn("model")
    with pytest.raises(ValueError, match=r"module: 0 is a Own, which has no form of torch\.nn"):
        to_torch_nn(nn.Sequential(Own(3, 2)))
    for arguments in ({"dtype": "int8"}, {"memory_limit": 5000}):
        layer = textnn.EmbeddingTextConv(9, 3, 2).freeze(**arguments)
        with pytest.raises(ValueError, match=r"it is a FrozenTextConv, .*; freeze it in its own dtype without a mem"):
            to_torch_nn(layer)


LOADED = """
import sys, torch, textnn
for name in sys.argv[1:]:
    module = torch.export.load(f"{name}.pt2").module()
    try:
        for case, expected in torch.load(f"{name}.cases"): torch.testing.assert_close(module(*case), expected)
        print(name)
    except AssertionError as error:
        print(name, error, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Another process, which has loaded the program of each architecture; it names those that are right."""
    folder = tmp_path_factory.mktemp("programs")
    for name in ARCHITECTURES:
        export_with_operators(name, folder)
    command = [sys.executable, "-c", LOADED, *ARCHITECTURES]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_with_textnns_operators_is_a_program_too(
    architecture: str, loaded: subprocess.CompletedProcess[str]
) -> None:
    """torch.export of the classifier's own network; who loads it imports textnn for the operators."""
    assert architecture in loaded.stdout.splitlines(), loaded.stderr


def export_with_operators(architecture: str, folder: Path) -> None:
    """Keep the program of an architecture, and inputs with what comes of them."""
    kind = ARCHITECTURES[architecture]
    small = {"embedding_dim": 8, "channels": 8, "hidden_size": 8, "ngram_buckets": 64, "ensemble": 2}
    options = resolve_options(architecture, {key: value for key, value in small.items() if key in kind.defaults})
    torch.manual_seed(0)
    model = build_model(architecture, [20] * len(kind.streams), 3, options).eval()

    def batch(lengths: list[int]) -> tuple[Tensor, ...]:
        offsets = torch.tensor([0, *itertools.accumulate(lengths[:-1])])
        return tuple(tensor for _ in kind.streams for tensor in (torch.randint(0, 20, (sum(lengths),)), offsets))

    rows = torch.export.Dim("rows", min=2)
    shapes = tuple(shape for form in kind.streams for shape in ({0: torch.export.Dim(form)}, {0: rows}))
    example = batch([3, 1, 4])
    with torch.no_grad():
        program = torch.export.export(
            model, example, dynamic_shapes=shapes if architecture == "tfidf-textcnn" else (shapes,), strict=False
        )
        torch.export.save(program, folder / f"{architecture}.pt2")
        cases = [batch(lengths) for lengths in ([3, 1, 4], [1, 5, 2, 9, 1, 1], [4, 2])]
        torch.save([(case, model(*case)) for case in cases], folder / f"{architecture}.cases")
