"""textnn.optim.Adam: dense parameters, rows of tables, and tables that end up where a dense Adam brings them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from optimized_tables import SCHEDULES, D, V, draw_batches, seeded, step, tables, train_both
from torch import nn

from textnn import EmbeddingLSTM, EmbeddingTextConv, NgramBag, backends
from textnn.optim import Adam, table


@pytest.mark.parametrize(
    ("eps", "schedule"),
    [*[(eps, "cosine") for eps in (1e-8, 1e-6, 1e-5, 1e-3)], *[(1e-5, name) for name in SCHEDULES if name != "cosine"]],
)
def test_exact_is_dense_adam(capability, eps, schedule):
    """Within 1e-6 of the way that each element has gone, however long its row was at rest."""
    sides = tables()
    ours = Adam(sides[0].parameters(), eps=eps, exact=sides[0])
    theirs = torch.optim.Adam(sides[1].parameters(), eps=eps)
    path = train_both(ours, theirs, sides, schedule=SCHEDULES[schedule])
    ours.flush()
    difference = (sides[0].weight - sides[1].weight).abs() / path.clamp(min=1e-300)
    assert difference.max() < 1e-6, (
        f"{capability} {eps} {schedule}: {difference.max()} in row {difference.argmax() // D}"
    )
    for name in ("exp_avg", "exp_avg_sq"):
        mine, other = ours.state[sides[0].weight][name], theirs.state[sides[1].weight][name]
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-30, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.5, 0.9), (0.0, 0.999), (0.99, 0.999), (0.9, 0.82)])
def test_exact_is_dense_adam_for_other_betas(betas):
    sides = tables()
    ours = Adam(sides[0].parameters(), betas=betas, eps=1e-5, exact=sides[0])
    theirs = torch.optim.Adam(sides[1].parameters(), betas=betas, eps=1e-5)
    path = train_both(ours, theirs, sides)
    ours.flush()
    assert ((sides[0].weight - sides[1].weight).abs() / path.clamp(min=1e-300)).max() < 1e-6


@pytest.mark.parametrize("eps", [1e-8, 1e-3])
def test_exact_in_single_precision_is_as_close_as_dense_adam(capability, eps):
    single, _ = tables(torch.float32)
    _, truth = tables()
    truth.load_state_dict(single.state_dict())
    optimizers = Adam(single.parameters(), eps=eps, exact=single), torch.optim.Adam(truth.parameters(), eps=eps)
    train_both(*optimizers, (single, truth))
    optimizers[0].flush()
    # 300 steps at |weight| of up to 4, where float32 rounds at 2e-7; a dense Adam is off by up to 3e-6.
    torch.testing.assert_close(single.weight.double(), truth.weight, rtol=0, atol=3e-6)


def test_a_row_catches_up_as_soon_as_it_is_read():
    sides = tables()
    ours = Adam(sides[0].parameters(), lr=0.1, exact=sides[0])
    theirs = torch.optim.Adam(sides[1].parameters(), lr=0.1)
    for ids in ([1, 2], [2], [2], [2]):
        for side, optimizer in zip(sides, (ours, theirs), strict=True):
            step(side, optimizer, torch.tensor(ids), torch.ones(len(ids), D))
    with torch.no_grad():
        behind = sides[0].weight[1].clone()
    read = sides[0](torch.tensor([1]))
    torch.testing.assert_close(read, sides[1](torch.tensor([1])), rtol=1e-7, atol=0)
    assert (read[0] - behind).abs().min() > 0.01, "a row at rest goes on by what is left of its momentum"


def test_all_rows_catch_up_without_gradients_and_before_weights_leave_or_come():
    for read in (
        lambda m, o: torch.no_grad()(m)(torch.tensor([5])),
        lambda m, o: torch.inference_mode()(m)(torch.tensor([5])),
        lambda m, o: m.state_dict(),
        lambda m, o: nn.Sequential(m).state_dict(),
        lambda m, o: o.state_dict(),
        lambda m, o: o.prepare(m.weight),
        lambda m, o: o.flush(),
        lambda m, o: o.release(),
        lambda m, o: Adam(m.parameters(), exact=m),
    ):
        sides = tables()
        ours = Adam(sides[0].parameters(), exact=sides[0])
        train_both(ours, torch.optim.Adam(sides[1].parameters()), sides, steps=20)
        assert not torch.allclose(sides[0].weight, sides[1].weight, rtol=1e-7, atol=0)
        read(sides[0], ours)
        torch.testing.assert_close(sides[0].weight, sides[1].weight, rtol=1e-7, atol=1e-9)


def test_weights_that_are_loaded_stay_as_they_are():
    """What rows missed before belongs to the weights before; the momentum goes on, as that of a dense Adam."""
    sides = tables()
    ours, theirs = Adam(sides[0].parameters(), exact=sides[0]), torch.optim.Adam(sides[1].parameters())
    train_both(ours, theirs, sides, steps=20)
    other = {"weight": torch.randn(V, D, dtype=torch.float64)}
    for side in sides:
        side.load_state_dict(other)
    ours.flush()
    assert torch.equal(sides[0].weight, other["weight"])
    train_both(ours, theirs, sides, steps=20, seed=1)
    ours.flush()
    torch.testing.assert_close(sides[0].weight, sides[1].weight, rtol=1e-7, atol=1e-9)


def test_the_history_begins_anew_when_it_is_full_or_betas_change(monkeypatch):
    monkeypatch.setattr(table, "CAPACITY", 10)
    sides = tables()
    ours, theirs = Adam(sides[0].parameters(), exact=sides[0]), torch.optim.Adam(sides[1].parameters())
    for seed, betas in enumerate([(0.9, 0.999), (0.8, 0.99), (0.9, 0.999)]):
        for optimizer in (ours, theirs):
            optimizer.param_groups[0]["betas"] = betas
        train_both(ours, theirs, sides, steps=35, seed=seed)
    ours.flush()
    torch.testing.assert_close(sides[0].weight, sides[1].weight, rtol=1e-6, atol=1e-8)


def small_bag(V, D, H, sparse):
    return NgramBag(V, 5, (1, 2), sparse=sparse)


@pytest.mark.parametrize("layer", [EmbeddingLSTM, EmbeddingTextConv, small_bag])
def test_exact_layers_train_as_with_dense_adam(layer):
    models, optimizers = [], []
    for sparse in (True, False):
        torch.manual_seed(1)
        models.append(
            nn.ModuleList([layer(50, 6, 5, sparse=sparse), nn.Linear(15 if layer is EmbeddingTextConv else 5, 1)])
        )
        models[-1].double()
        exact = models[-1] if sparse else None
        make = (
            (lambda p, exact=exact: Adam(p, lr=0.01, exact=exact))
            if sparse
            else (lambda p: torch.optim.Adam(p, lr=0.01))
        )
        optimizers.append(make(models[-1].parameters()))
    for seed in range(40):
        ids = torch.randint(0, 50, (4, 7), generator=seeded(seed)) % (seed % 7 * 7 + 5)
        for model, optimizer in zip(models, optimizers, strict=True):
            y = model[0](ids)
            y = y[0][:, -1] if isinstance(y, tuple) else y
            optimizer.zero_grad()
            model[1](y).square().sum().backward()
            optimizer.step()
    for (name, a), b in zip(models[0].state_dict().items(), models[1].state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8, msg=lambda m, name=name: f"{name}: {m}")


def test_a_table_that_another_layer_shares_is_trained_as_with_dense_adam():
    """The output's gradient is dense, so the sum is; its forward pass has no ids, so all rows catch up."""
    sides = tables()
    models, optimizers = [], []
    for side in sides:
        output = nn.Linear(D, V, bias=False, dtype=torch.float64)
        output.weight = side.weight
        models.append(nn.ModuleList([side, output]))
    optimizers = [Adam(models[0].parameters(), exact=models[0]), torch.optim.Adam(models[1].parameters())]
    for t, (ids, gradient) in enumerate(draw_batches(30)):
        for (embedding, output), optimizer in zip(models, optimizers, strict=True):
            y = embedding(ids) * gradient
            optimizer.zero_grad()
            (output(y).tanh() if t % 3 else y).sum().backward()
            optimizer.step()
    optimizers[0].flush()
    torch.testing.assert_close(sides[0].weight, sides[1].weight, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_tables_are_stepped_as_by_sparse_adam(capability, dtype):
    sides = tables(dtype)[0], nn.Embedding(V, D, sparse=True, dtype=dtype)
    sides[1].load_state_dict(sides[0].state_dict())
    train_both(Adam(sides[0].parameters()), torch.optim.SparseAdam(sides[1].parameters()), sides, steps=50)
    torch.testing.assert_close(sides[0].weight, sides[1].weight, rtol=1e-5, atol=1e-6)


def test_a_table_that_is_not_contiguous_is_stepped_as_well():
    sides = tables()
    sides[0].weight = nn.Parameter(sides[0].weight.detach().t().contiguous().t())
    sides[1].sparse = True
    train_both(Adam(sides[0].parameters()), torch.optim.SparseAdam(sides[1].parameters()), sides, steps=5)
    torch.testing.assert_close(sides[0].weight, sides[1].weight)


def test_what_a_table_keeps_is_on_its_device(monkeypatch):
    """Told on a device that has no memory, as all devices of the other tests may be the CPU."""
    weight = nn.Parameter(torch.zeros(V, D, device="meta"))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(backends, "has_kernels", lambda device: False)
        with pytest.raises(ValueError, match=r"exact: expected .* on the CPU or, .*, on a GPU, got torch.float32 on m"):
            table.ExactTable(weight)
    state = {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
    exact, rows = table.ExactTable(weight), torch.tensor([1, 4], device="meta")
    exact.step_rows(state, rows, torch.ones(2, D, device="meta"), 1, 0.1, 1e-8, 0.9, 0.999)
    assert exact.behind
    seen = []
    monkeypatch.setattr(table._ops, "adam_catch_up", lambda *arguments: seen.extend(arguments), raising=False)
    exact.catch_up(torch.tensor([4, 2], device="cpu"))
    assert {t.device.type for t in seen if isinstance(t, torch.Tensor)} == {"meta"}


def test_the_rows_of_a_table_are_stepped_by_the_operators(monkeypatch):
    """On each device that has them, also without ``exact``."""
    calls = []
    names = "adam_rows", "adam_exact_rows", "adam_catch_up"
    for name in names:
        operator = getattr(torch.ops.textnn, name)
        monkeypatch.setattr(
            torch.ops.textnn, name, lambda *a, name=name, operator=operator: (calls.append(name), operator(*a))
        )
    for exact in (False, True):
        embedding, _ = tables()
        optimizer = Adam(embedding.parameters(), exact=embedding if exact else None)
        for ids, gradient in draw_batches(2):
            step(embedding, optimizer, ids, gradient)
        optimizer.flush()
    assert set(calls) == set(names)


def test_rows_of_other_dtypes_are_stepped_as_well():
    narrow, wide = nn.Embedding(V, D, sparse=True, dtype=torch.bfloat16), nn.Embedding(V, D, sparse=True)
    wide.load_state_dict(narrow.state_dict())
    train_both(Adam(narrow.parameters(), lr=0.1), Adam(wide.parameters(), lr=0.1), (narrow, wide), steps=3)
    torch.testing.assert_close(narrow.weight.float(), wide.weight, rtol=0.05, atol=0.05)


def test_same_result_for_every_number_of_threads(capability):
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            wide = nn.Embedding(500, 70, sparse=True)
            optimizer = Adam(wide.parameters(), exact=wide)
            for seed in range(6):
                ids = torch.randint(0, 500, (800,), generator=seeded(seed)) % (80 * seed + 50)
                step(wide, optimizer, ids, torch.linspace(-1, 1, 70))
            optimizer.flush()
            results.append(wide.weight.detach().clone())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_functional_use_prepares_by_hand():
    sides = tables()
    ours, theirs = Adam(sides[0].parameters(), exact=sides[0]), torch.optim.Adam(sides[1].parameters())
    for ids, gradient in draw_batches(20):
        ours.prepare(sides[0].weight, ids)
        torch.testing.assert_close(sides[0].weight[ids], sides[1].weight[ids], rtol=1e-7, atol=1e-9)
        for side, optimizer in zip(sides, (ours, theirs), strict=True):
            optimizer.zero_grad()
            (F.embedding(ids, side.weight, sparse=side.sparse) * gradient).sum().backward()
            optimizer.step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: Adam(m.parameters(), lr=-1.0), "lr: expected a number from 0, got -1.0"),
        (lambda m: Adam(m.parameters(), betas=(0.9, 1.0)), r"betas: expected two numbers .* got \(0.9, 1.0\)"),
        (lambda m: Adam(m.parameters(), eps=-1e-8), "eps: expected a number from 0, got -1e-08"),
        (lambda m: Adam(m.parameters(), weight_decay=-1), "weight_decay: expected a number from 0, got -1"),
        (lambda m: Adam(m.parameters(), exact=nn.Linear(2, 2)), "exact: expected a module with a table inside"),
        (
            lambda m: Adam(nn.Linear(2, 2).parameters(), exact=m),
            r"the table \[30, 13\] of Embedding is not among params",
        ),
        (lambda m: Adam(m.parameters(), weight_decay=0.1, exact=m), "a table cannot have weight decay, got 0.1"),
        (lambda m: Adam(m.parameters(), betas=(0.9, 0.81), exact=m), r"must be below betas\[1\], got \(0.9, 0.81\)"),
        (
            lambda m: Adam(m.half().parameters(), exact=m),
            "expected a float32 or float64 table on the CPU or, .*, on a GPU, got torch.float16",
        ),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make(tables()[0])


def test_a_sparse_gradient_and_weight_decay_do_not_go_together():
    embedding, _ = tables()
    optimizer = Adam(embedding.parameters(), weight_decay=0.1)
    with pytest.raises(ValueError, match=r"weight_decay: expected 0 .* a sparse gradient, got 0\.1"):
        step(embedding, optimizer, torch.tensor([1]), torch.ones(1, D))
