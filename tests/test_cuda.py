"""What only the CUDA kernels do, on a GPU or in the emulator (``--device cuda`` or ``cuda-emulated``)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import cuda_cases
import pytest
import torch
from ragged import TOLERANCE, ragged_batch

import textnn
import textnn.functional as fast
import textnn.reference as slow
from textnn import backends

emulated = pytest.mark.skipif("config.getoption('--device') != 'cuda-emulated'", reason="about the emulated device")
on_a_gpu = pytest.mark.skipif("config.getoption('--device') != 'cuda'", reason="needs a GPU")


def launches(library: ctypes.CDLL) -> list[dict[str, Any]]:
    """The kernels that were launched."""
    name = ctypes.create_string_buffer(200)
    grid, block = (ctypes.c_uint * 3)(), (ctypes.c_uint * 3)()
    shared, stream, cooperative = ctypes.c_size_t(), ctypes.c_void_p(), ctypes.c_int()
    found = []
    for i in range(library.cuemu_log_size()):
        rest = (ctypes.byref(shared), ctypes.byref(stream), ctypes.byref(cooperative))
        library.cuemu_log_entry(i, name, len(name), grid, block, *rest)
        found.append(
            {
                "name": name.value.decode(),
                "grid": tuple(grid),
                "stream": stream.value,
                "cooperative": bool(cooperative.value),
            }
        )
    return found


def lstm_arguments(B: int, H: int, T: int = 3, width: int = 4, dtype: torch.dtype = torch.float32) -> list[Any]:
    states = [torch.randn(B, H, dtype=dtype) for _ in range(2)]
    return [torch.randn(T, B, width, dtype=dtype), *states, *cuda_cases.lstm_weights(width, H, H, dtype)]


@pytest.mark.parametrize("name", cuda_cases.CASES)
def test_values_and_gradients_equal_the_reference(name: str) -> None:
    cuda_cases.CASES[name]()


# --- sizes on the device ---

SIZED: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "lstm": lambda f, sizes: f.lstm(SIZED_X, *SIZED_STATES, **sizes),
    "text_conv": lambda f, sizes: f.text_conv(SIZED_X, SIZED_KERNELS, **sizes),
    "max_mean_pool": lambda f, sizes: f.max_mean_pool(SIZED_X, **sizes),
}
SIZED_X = torch.randn(5, 6, 4, dtype=torch.float64)
SIZED_STATES = [torch.randn(*s, dtype=torch.float64) for s in ((5, 7), (5, 7), (28, 4), (28, 7))]
SIZED_KERNELS = [torch.randn(3, 4, k, dtype=torch.float64) for k in (2, 3)]


def packed_lstm(batch_sizes: list[int]) -> Any:
    """Of 6 vectors and 5 sequences."""
    return fast.lstm(SIZED_X[0], *SIZED_STATES, batch_sizes=torch.tensor(batch_sizes))


@emulated
@pytest.mark.parametrize("form", ["steps", "persistent"])
@pytest.mark.parametrize("layout", ["padded", "batch_first", "flat", "packed"])
@pytest.mark.parametrize("P", [10, 4])
@pytest.mark.parametrize("lengths", [[3, 7, 0, 5, 2], [4], [0, 0, 1]], ids=str)
def test_an_lstm_with_sizes_on_the_device_needs_no_look_at_them(
    library: ctypes.CDLL, form: str, layout: str, P: int, lengths: list[int]
) -> None:
    batch = ragged_batch(layout, lengths, 6, torch.float64)
    states = [torch.randn(batch.B, n, dtype=torch.float64) for n in (P, 10)]
    w = [t if t is None else t.double() for t in cuda_cases.lstm_weights(6, 10, P, torch.float64)]
    library.textnn_emulate(None, 1)
    with backends.use_cuda_recurrence(form):
        cuda_cases.agree(
            lambda *a: fast.lstm(*a, **batch.sizes),
            lambda *a: slow.lstm(*a, **batch.sizes),
            [batch.x.nan_to_num(), *states, *w],
            TOLERANCE[torch.float64],
        )
        # Padding is not read: what it holds does not matter.
        y = fast.lstm(batch.x, *states, *w, **batch.sizes)[0]
        assert bool(y.isfinite().all())


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("lengths", [[3, 6, 0, 5, 2], [0, 0, 0, 0, 0]], ids=str)
def test_lengths_may_be_on_either_side(request: pytest.FixtureRequest, name: str, lengths: list[int]) -> None:
    emulator = getattr(request.config, "emulated", None)
    sizes = {"lengths": torch.tensor(lengths)} | ({"batch_first": True} if name == "lstm" else {})
    with backends.use_cuda_recurrence("steps"):
        results = []
        for on_device in (0, 1):
            if emulator:
                emulator.textnn_emulate(None, on_device)
            else:
                sizes["lengths"] = sizes["lengths"].to("cuda" if on_device else "cpu")
            result = SIZED[name](fast, sizes)
            results.append(result if isinstance(result, tuple) else (result,))
    if emulator:
        emulator.textnn_emulate(None, 0)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@emulated
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fast.lstm(SIZED_X, *SIZED_STATES, lengths=torch.tensor([1, 2, 7, 0, 0]), batch_first=True),
            "length 7",
        ),
        (lambda: fast.max_mean_pool(SIZED_X, lengths=torch.tensor([1, -2, 3, 0, 0])), "length -2"),
        (lambda: fast.text_conv(SIZED_X[0], SIZED_KERNELS, offsets=torch.tensor([0, 7])), "sentence 0 has length 7"),
        (lambda: fast.text_conv(SIZED_X[0], SIZED_KERNELS, offsets=torch.tensor([1, 3])), "sentence 0 has length 2"),
        (lambda: packed_lstm([2, 3, 1]), "batch_sizes must fall and be at most 5, got 3 at step 1"),
        (lambda: packed_lstm([6]), "batch_sizes must fall and be at most 5, got 6 at step 0"),
        (lambda: packed_lstm([5, 2]), "sizes must sum to the 6 rows of the input, got 7"),
        (lambda: packed_lstm([5]), "sizes must sum to the 6 rows of the input, got 5"),
    ],
)
def test_a_size_out_of_range_stops_the_kernel_that_reads_it(
    library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch, capfd: Any, call: Callable[[], Any], message: str
) -> None:
    monkeypatch.setattr("textnn._checks._can_look", lambda t: False)
    library.textnn_emulate(None, 1)
    with pytest.raises(RuntimeError, match="trap"):
        call()
    ctypes.CDLL(None).fflush(None)
    assert message in capfd.readouterr().out


@emulated
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_id_outside_the_table_stops_the_kernel_before_memory_is_read(
    monkeypatch: pytest.MonkeyPatch, capfd: Any, dtype: torch.dtype
) -> None:
    monkeypatch.setattr("textnn._checks._can_look", lambda t: False)
    ids, table = torch.tensor([[1, 2, 12]]), torch.randn(9, 4).to(dtype)
    weight, states = [torch.randn(2, 4, 2).to(dtype)], [torch.zeros(1, 1, 3).to(dtype)] * 2
    ahead = cuda_cases.lstm_weights(4, 3, 3, dtype)
    for call in (
        lambda: fast.embedding(ids, table),
        lambda: fast.embedding_text_conv(ids, table, weight),
        lambda: fast.embedding_lstm(ids, table, *states, ahead),
    ):
        with pytest.raises(RuntimeError, match="trap"):
            call()
        ctypes.CDLL(None).fflush(None)
        assert "ids must lie in [0, 9), got 12 at position 2" in capfd.readouterr().out


# --- streams, graphs, devices ---


@emulated
def test_every_launch_is_on_the_current_stream(library: ctypes.CDLL) -> None:
    for stream in (0x10, 0x20):
        library.textnn_emulate(ctypes.c_void_p(stream), 0)
        library.cuemu_log_clear()
        for name in (
            "lstm steps H=20 float64",
            "gru steps H=20 float64",
            "embedding_lstm float32",
            "text_conv float32",
            "frozen_text_conv",
            "adam",
        ):
            cuda_cases.CASES[name]()
        found = launches(library)
        assert len(found) > 50
        assert {launch["stream"] for launch in found} == {stream}


@on_a_gpu
def test_two_streams_give_what_one_does() -> None:
    arguments = lstm_arguments(16, 32)
    want = fast.lstm(*arguments)[0]
    streams = [torch.cuda.Stream() for _ in range(2)]
    results = []
    for stream in streams:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            results.append(fast.lstm(*arguments)[0])
    torch.cuda.synchronize()
    for result in results:
        torch.testing.assert_close(result, want)


@on_a_gpu
@pytest.mark.parametrize("form", ["steps", "persistent"])
def test_a_training_step_can_be_captured_into_a_cuda_graph(form: str) -> None:
    arguments = [None if a is None else a.requires_grad_() for a in lstm_arguments(16, 32)]
    lengths = torch.tensor([i % 4 for i in range(16)], device="cuda")

    def step() -> list[torch.Tensor]:
        y = fast.lstm(*arguments, lengths=lengths)[0]
        return [y, *torch.autograd.grad(y.square().sum(), [a for a in arguments if a is not None])]

    with backends.use_cuda_recurrence(form):
        want = [t.clone() for t in step()]
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            got = step()
        graph.replay()
    torch.cuda.synchronize()
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b)


@on_a_gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_tensors_of_another_device_than_the_current_one() -> None:
    arguments = [None if a is None else a.to("cuda:1") for a in lstm_arguments(5, 8)]
    with torch.cuda.device(0):
        y = fast.lstm(*arguments)[0]
    assert y.device == torch.device("cuda:1")
    torch.testing.assert_close(y, slow.lstm(*arguments)[0], **TOLERANCE[torch.float32])


# --- the two forms of the recurrence ---


@emulated
def test_a_device_that_is_too_small_for_the_persistent_form_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUEMU_SMS", "1")
    arguments = lstm_arguments(2, 200)
    words = "too small for the persistent form of lstm with H = 200: it needs 25 blocks at the same time"
    with backends.use_cuda_recurrence("persistent"), pytest.raises(RuntimeError, match=words):
        fast.lstm(*arguments)
    torch.testing.assert_close(fast.lstm(*arguments), slow.lstm(*arguments), **TOLERANCE[torch.float32])


@emulated
@pytest.mark.parametrize(
    ("variable", "value"), [("CUEMU_COOPERATIVE", "0"), ("CUEMU_CAPABILITY", "7.5"), ("CUEMU_COMPILED", "75")]
)
def test_what_a_device_cannot_do_is_done_in_steps(
    library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    arguments = lstm_arguments(3, 16, dtype=torch.bfloat16)
    got = fast.lstm(*arguments)
    want = slow.lstm(*[None if a is None else a.float() for a in arguments])
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.float(), b, **cuda_cases.tolerance_of(torch.bfloat16))
    assert not any(launch["cooperative"] for launch in launches(library))


@emulated
@pytest.mark.parametrize(
    ("cell", "B", "H", "persistent"),
    [
        ("lstm", 4, 32, True),
        ("lstm", 4, 128, True),
        ("lstm", 1000, 40, True),
        ("lstm", 3, 600, False),
        ("rnn_relu", 3, 600, True),
        ("lstm", 4, 1100, False),
    ],
)
def test_the_form_is_chosen_by_its_cost(
    library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch, cell: str, B: int, H: int, persistent: bool
) -> None:
    """A small layer is bound by launches, which one cooperative launch avoids; a large one by its product."""
    monkeypatch.setenv("CUEMU_SMS", "108" if H < 600 and B < 100 else "8")
    h0, w = torch.zeros(1, B, H), cuda_cases.weights_of(cell, 4, H, H, torch.float32)[:4]
    with torch.inference_mode():
        fast.recurrent(cell, torch.randn(1, B, 4), h0, torch.zeros(1, B, H) if cell == "lstm" else None, [w])
    assert any(launch["cooperative"] for launch in launches(library)) == persistent


@emulated
@pytest.mark.parametrize(
    ("cell", "H", "slices", "back"),
    [("lstm", 20, 3, 1), ("lstm", 40, 5, 2), ("gru", 21, 3, 1), ("gru", 40, 4, 2), ("rnn_tanh", 40, 2, 2)],
)
def test_groups_of_blocks_share_the_sequences(library: ctypes.CDLL, cell: str, H: int, slices: int, back: int) -> None:
    """Forwards a slice has 8 units of an LSTM, 10 of a GRU, 32 of an RNN, backwards 32; a group has 8 sequences."""
    x, h0 = torch.randn(3, 50, 4, requires_grad=True), torch.zeros(1, 50, H)
    c0 = torch.zeros(1, 50, H) if cell == "lstm" else None
    w = cuda_cases.weights_of(cell, 4, H, H, torch.float32)[:4]
    with backends.use_cuda_recurrence("persistent"), cuda_cases.multiprocessors(24):
        fast.recurrent(cell, x, h0, c0, [w])[0].sum().backward()
    grids = [launch["grid"] for launch in launches(library) if launch["cooperative"]]
    assert grids == [(slices, 7, 1), (back, 7, 1)]


@emulated
def test_steps_of_flat_vectors_with_offsets_on_the_device_are_not_all_made(
    library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be as many as vectors; a stream that is being captured has to make them, as nothing may wait."""
    x, states = torch.randn(40, 3), [torch.zeros(10, 4)] * 2
    offsets, w = torch.arange(0, 40, 4), cuda_cases.lstm_weights(3, 4, 4, torch.float32)
    results, counts = [], []
    for capturing in ("0", "1"):
        monkeypatch.setenv("CUEMU_CAPTURING", capturing)
        library.textnn_emulate(None, 1)
        library.cuemu_log_clear()
        with backends.use_cuda_recurrence("steps"):
            results.append(fast.lstm(x, *states, *w, offsets=offsets)[0])
        counts.append(sum("step_kernel" in launch["name"] for launch in launches(library)))
    assert counts == [4, 40]
    assert torch.equal(*results)


@pytest.mark.parametrize("layout", ["batch_first", "padded", "flat"])
def test_a_backward_pass_inside_autocast_keeps_the_dtype_of_its_forward_pass(layout: str) -> None:
    batch = ragged_batch(layout, [3, 1, 4], 5, torch.float32)
    x = batch.x.nan_to_num().requires_grad_()
    arguments = [torch.zeros(3, 6), torch.zeros(3, 6), *cuda_cases.lstm_weights(5, 6, 6, torch.float32)]
    want = torch.autograd.grad(slow.lstm(x, *arguments, **batch.sizes)[0].square().sum(), x)[0]
    y = fast.lstm(x, *arguments, **batch.sizes)[0]
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        got = torch.autograd.grad(y.square().sum(), x)[0]
    torch.testing.assert_close(got, want, **TOLERANCE[torch.float32])


@emulated
def test_the_old_name_of_the_choice_still_works(library: ctypes.CDLL) -> None:
    with backends.use_cuda_lstm("steps"):
        fast.lstm(*lstm_arguments(2, 8))
    assert not any(launch["cooperative"] for launch in launches(library))


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form must be 'auto', 'steps' or 'persistent', got 'fast'"):
        backends.use_cuda_recurrence("fast").__enter__()


# --- precision ---


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_runs_in_its_own_dtype(dtype: torch.dtype) -> None:
    ids, table = torch.randint(0, 9, (3, 5)), torch.randn(9, 4, requires_grad=True)
    weight = [torch.randn(6, 4, 2, requires_grad=True)]
    lstm = [a.requires_grad_() for a in lstm_arguments(3, 8) if a is not None]
    device = table.device.type
    with torch.autocast(device, dtype=dtype):
        results = [fast.embedding_text_conv(ids, table, weight), fast.lstm(*lstm)[0]]
    assert [r.dtype for r in results] == [dtype] * 2
    sum(r.float().sum() for r in results).backward()
    assert table.grad.dtype == torch.float32
    want = [slow.embedding_text_conv(ids, table, weight), slow.lstm(*lstm)[0]]
    for a, b in zip(results, want, strict=True):
        torch.testing.assert_close(a.float(), b, **cuda_cases.tolerance_of(dtype))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "TextConv"])
def test_a_table_that_autocast_casts_keeps_its_sparse_gradient(kind: str) -> None:
    sizes = 20, 6, 5
    layers = [getattr(textnn, f"Embedding{kind}")(*sizes, sparse=sparse, padding_idx=None) for sparse in (True, False)]
    layers[1].load_state_dict(layers[0].state_dict())
    ids = torch.randint(0, 20, (3, 7))
    for layer in layers:
        with torch.autocast(ids.device.type, torch.bfloat16):
            found = layer(ids)
        (found if kind == "TextConv" else found[0]).float().sum().backward()
    sparse, dense = (layer.weight.grad for layer in layers)
    assert (sparse.layout, sparse.dtype) == (torch.sparse_coo, torch.float32)
    torch.testing.assert_close(sparse.to_dense(), dense, rtol=0.02, atol=0.02)


@emulated
@pytest.mark.parametrize("order", ["reverse", "random:3"])
def test_the_order_of_threads_does_not_matter(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setenv("CUEMU_ORDER", order)
    for name in ("lstm persistent H=70 float32", "gru persistent H=24 float16", "text_conv float64", "adam"):
        torch.manual_seed(0)
        cuda_cases.CASES[name]()
