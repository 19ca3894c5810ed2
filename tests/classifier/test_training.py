"""Training: splits, early stopping, repeatability, sparse updates, errors, progress."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from dataclasses import replace

import pytest
import torch

from textnn.classification.objectives import Softmax
from textnn.data.splitting import stratified_split
from textnn.models import TextModel, build_model, resolve_options
from textnn.optim import Adam
from textnn.text import RaggedBatch, RaggedDataset
from textnn.training.loop import TrainingError, TrainingOptions, predict_logits, seeded, train
from textnn.training.objective import Objective, Sums
from textnn.training.progress import BarReporter, Epoch, LineReporter, Reporter, make_reporter
from textnn.training.schedule import rate_share

CPU = torch.device("cpu")
OPTIONS = TrainingOptions(epochs=3, batch_size=8, learning_rate=0.01, weight_decay=0.0, patience=0, bucket=True)


def make_data(rows: int = 60, flip: bool = False, seed: int = 0) -> RaggedDataset:
    """Texts of 1 to 6 ids; class 1 has the id 3 in it, class 0 the id 2. ``flip`` exchanges the classes."""
    generator = torch.Generator().manual_seed(seed)
    texts, labels = [], []
    for row in range(rows):
        filler = torch.randint(4, 10, (int(torch.randint(0, 6, (), generator=generator)),), generator=generator)
        label = row % 2
        texts.append([2 + label, *filler.tolist()])
        labels.append(1 - label if flip else label)
    return RaggedDataset(texts, labels)


def make_model(name: str = "textcnn", seed: int = 0, **options: object) -> TextModel:
    small = {"embedding_dim": 8, "channels": 8} if name == "textcnn" else {"embedding_dim": 8, "hidden_size": 8}
    with seeded(seed, CPU):
        return build_model(name, [12], 2, resolve_options(name, {**small, **options}))


def fit(model: TextModel, options: TrainingOptions = OPTIONS, seed: int = 0, **arguments: object):
    with seeded(seed, CPU):
        return train(model, make_data(), options, torch.Generator().manual_seed(seed), Softmax(), **arguments)


def same(one: TextModel, other: TextModel) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("counts", [(50, 50), (90, 10), (30, 30, 40), (97, 3)])
def test_split_keeps_the_shares_of_the_classes(counts: tuple[int, ...]) -> None:
    codes = [code for code, count in enumerate(counts) for _ in range(count)]
    training, validation = stratified_split(codes, 0.2, seed=1)
    assert sorted(training + validation) == list(range(100)), counts
    assert len(validation) == 20, counts
    found = Counter(codes[row] for row in validation)
    for code, count in enumerate(counts):
        assert abs(found[code] - 0.2 * count) <= 1, f"class {code} of {counts}"


def test_split_follows_the_seed() -> None:
    codes = [0, 1] * 50
    assert stratified_split(codes, 0.1, 3) == stratified_split(codes, 0.1, 3)
    assert stratified_split(codes, 0.1, 3) != stratified_split(codes, 0.1, 4)


@pytest.mark.parametrize(
    ("codes", "fraction"), [([0, 1] * 20, 0.0), ([0, 1, 0, 1], 0.1), ([0, 1, 2], 0.5), (list(range(10)) * 2, 0.1)]
)
def test_no_validation_part_where_it_could_not_have_each_class(codes: list[int], fraction: float) -> None:
    training, validation = stratified_split(codes, fraction, seed=0)
    assert validation == []
    assert sorted(training) == list(range(len(codes)))


def test_a_class_with_one_text_is_trained_on() -> None:
    training, validation = stratified_split([0, 1] * 20 + [2], 0.25, seed=0)
    assert 40 in training
    assert len(validation) == 11


@pytest.mark.parametrize("bucket", [True, False])
@pytest.mark.parametrize("name", ["textcnn", "rnn", "bigru", "mlp", "lstm", "bilstm", "lecture-lstm"])
def test_training_learns_and_tells_each_epoch(name: str, bucket: bool) -> None:
    model = make_model(name)
    # What tells the classes apart is the first word, nine steps away from what the lecture's classifier reads.
    epochs = 60 if name == "lecture-lstm" else 12
    trained = fit(model, replace(OPTIONS, epochs=epochs, bucket=bucket), validation=make_data(20, seed=1))
    assert [epoch.epoch for epoch in trained.history] == list(range(1, epochs + 1))
    assert trained.best_epoch == epochs
    assert trained.history[-1].loss < trained.history[0].loss, f"{name}: {trained.history}"
    assert trained.history[-1].validation_accuracy == 1.0, f"{name}: {trained.history[-1]}"
    assert not model.training


def test_reported_figures_are_means_over_texts() -> None:
    """One batch an epoch: the epoch's figures are those of the fresh model, known beforehand."""
    model = make_model(dropout=0.0, word_dropout=0.0)
    data = make_data()
    logits = predict_logits(model, data)
    assert data.labels is not None
    trained = fit(model, replace(OPTIONS, epochs=1, batch_size=60))
    assert trained.history[0].loss == pytest.approx(
        torch.nn.functional.cross_entropy(logits, data.labels).item(), rel=1e-5
    )
    assert trained.history[0].accuracy == (logits.argmax(1) == data.labels).double().mean().item()
    assert trained.history[0].validation_loss is None


def test_early_stopping_goes_back_to_the_best_weights() -> None:
    """On a validation part with exchanged labels every epoch of learning is a step down."""
    options = replace(OPTIONS, epochs=30, patience=2, learning_rate=0.003)
    model = make_model()
    trained = fit(model, options, validation=make_data(20, flip=True))
    assert len(trained.history) == trained.best_epoch + 2 < 30
    scores = [(epoch.validation_accuracy, -epoch.validation_loss) for epoch in trained.history]
    assert max(scores) == scores[trained.best_epoch - 1]
    stopped_there = make_model()
    fit(stopped_there, replace(options, epochs=trained.best_epoch, patience=0))
    assert same(model, stopped_there)


def test_without_patience_the_last_weights_are_kept() -> None:
    with_validation, without = make_model(), make_model()
    trained = fit(with_validation, validation=make_data(20, flip=True))
    fit(without)
    assert trained.best_epoch == len(trained.history) == 3
    assert same(with_validation, without)


@pytest.mark.parametrize("name", ["textcnn", "rnn", "bigru", "mlp", "lstm", "bilstm", "lecture-lstm"])
def test_weights_follow_from_the_seed_to_the_bit(name: str) -> None:
    one, two, other = make_model(name), make_model(name), make_model(name, seed=1)
    fit(one)
    torch.rand(5)
    fit(two)
    fit(other, seed=1)
    assert same(one, two), name
    assert not same(one, other), name


def test_global_generator_is_left_as_it_was_also_after_an_error() -> None:
    before = torch.random.get_rng_state()
    with seeded(3, CPU):
        first = torch.rand(3)
    with pytest.raises(ZeroDivisionError), seeded(3, CPU):
        _draw_and_fail(first)
    assert torch.equal(torch.random.get_rng_state(), before)


def _draw_and_fail(expected: torch.Tensor) -> None:
    assert torch.equal(torch.rand(3), expected)
    raise ZeroDivisionError


def test_rows_of_absent_tokens_are_not_touched() -> None:
    model = make_model(word_dropout=0.0)
    before = model.encoder.weight.detach().clone()
    fit(model)
    changed = (model.encoder.weight != before).any(dim=1)
    assert changed.nonzero().flatten().tolist() == list(range(2, 10))


def test_the_lecture_recipe_with_sparse_gradients_is_that_with_dense_ones() -> None:
    """Row for row, those of the seldom words included, and epoch by epoch."""
    models = [make_model("lecture-lstm", sparse=sparse) for sparse in (True, False)]
    one, other = (fit(model, replace(OPTIONS, bucket=False), validation=make_data(20)) for model in models)
    for a, b in zip(one.history, other.history, strict=True):
        assert (a.loss, a.validation_loss) == pytest.approx((b.loss, b.validation_loss), rel=1e-4), f"epoch {a.epoch}"
    for (name, a), b in zip(models[0].state_dict().items(), models[1].state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("rate", [1e20, 1e38])
def test_a_loss_that_is_no_number_stops_with_a_message(rate: float) -> None:
    message = r"the loss became (nan|inf) in epoch 1, batch \d; try a smaller learning_rate than"
    with pytest.raises(TrainingError, match=message):
        fit(make_model(), replace(OPTIONS, learning_rate=rate))


@pytest.mark.parametrize("batch_size", [1, 7, 60, 1000])
def test_logits_come_in_the_order_of_the_texts(batch_size: int) -> None:
    model, data = make_model("bilstm").eval(), make_data()
    expected = torch.cat([model(*(lambda b: (b.ids, b.offsets))(data.batch([row]))) for row in range(len(data))])
    logits = predict_logits(model, data, batch_size)
    # Another batch may take another order of additions in the matrix products.
    torch.testing.assert_close(logits, expected.detach(), rtol=1e-4, atol=1e-6, msg=f"batch_size {batch_size}")


class _Recorder(Reporter):
    def __init__(self) -> None:
        self.batches, self.epochs = 0, []

    def batch(self, loss: float, accuracy: float) -> None:
        self.batches += 1
        assert 0 <= accuracy <= 1
        assert loss > 0

    def epoch(self, record: Epoch, measure: str) -> None:
        self.epochs.append(record)


def test_reporter_is_told_of_every_batch_and_epoch() -> None:
    recorder = _Recorder()
    trained = fit(make_model(), reporter=recorder)
    assert recorder.batches == 3 * 8
    assert recorder.epochs == trained.history


def test_without_a_terminal_progress_is_one_line_an_epoch_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = make_reporter(1)
    assert type(reporter) is LineReporter
    fit(make_model(), reporter=reporter, validation=make_data(20))
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"epoch {number}/3  loss ")
        assert "validation loss" in line


def test_verbose_zero_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    fit(make_model(), reporter=make_reporter(0))
    assert capfd.readouterr() == ("", "")


def test_on_a_terminal_progress_is_a_bar_with_loss_accuracy_and_time_left() -> None:
    from rich.console import Console

    screen = io.StringIO()
    reporter = BarReporter(Console(file=screen, force_terminal=True, width=140, color_system=None))
    with reporter.tokenizing(1234) as advance:
        assert advance is not None
        advance(1000)
    fit(make_model(), reporter=reporter)
    for expected in ("tokenizing 1,234 texts", "epoch 1/3", "epoch 3/3  loss", "accuracy", "left"):
        assert expected in screen.getvalue(), expected


def test_batches_hold_every_row_once_an_epoch() -> None:
    data = make_data()
    for bucket, epoch in itertools.product([True, False], range(2)):
        rows = torch.cat(list(data.rows_to_train(8, bucket, torch.Generator().manual_seed(epoch))))
        assert sorted(rows.tolist()) == list(range(60)), f"bucket {bucket}"
        assert rows.tolist() != list(range(60)), f"bucket {bucket}"


def test_each_step_has_the_rate_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all steps of all epochs, also where a last batch is smaller."""
    rates: list[float] = []
    step = Adam.step

    def record(self: Adam) -> None:
        rates.extend({group["lr"] for group in self.param_groups})
        step(self)

    monkeypatch.setattr(Adam, "step", record)
    fit(make_model(), replace(OPTIONS, schedule="cosine", warmup=0.25))
    assert rates == [OPTIONS.learning_rate * rate_share("cosine", 0.25, step, 24) for step in range(24)]


def test_no_step_has_a_gradient_above_the_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    step = Adam.step

    def record(self: Adam) -> None:
        gradients = [p.grad.to_dense().flatten() for group in self.param_groups for p in group["params"]]
        norms.append(torch.cat(gradients).norm().item())
        step(self)

    monkeypatch.setattr(Adam, "step", record)
    fit(make_model(), replace(OPTIONS, clip_norm=0.02))
    assert max(norms) == pytest.approx(0.02, rel=1e-4)
    norms.clear()
    fit(make_model(), OPTIONS)
    assert max(norms) > 0.03


def test_the_bar_of_a_resumed_training_begins_where_it_goes_on() -> None:
    from rich.console import Console

    screen = io.StringIO()
    reporter = BarReporter(Console(file=screen, force_terminal=True, width=140, color_system=None))
    with reporter.training(4, 10, done=15):
        reporter.batch(0.5, 0.5)
        task = reporter._progress.tasks[0]
        assert (task.completed, task.total, task.description) == (16, 40, "epoch 2/4")


class Tags(Objective):
    """One of two tags a token: cross entropy, and a token is an example."""

    def size(self, lengths: torch.Tensor) -> int:
        return int(lengths.sum())

    def sums(self, outputs: torch.Tensor, batch: RaggedBatch) -> Sums:
        tags = batch.aligned["tags"]
        loss = torch.nn.functional.cross_entropy(outputs, tags, reduction="sum")
        return Sums(loss, float((outputs.argmax(1) == tags).sum()), len(tags), len(tags))

    held_out = sums


class TokenModel(TextModel):
    """Two logits a token, from its id alone."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(12, 2)

    def forward(self, ids: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return self.table(ids)


def test_a_task_whose_examples_are_tokens_trains_in_the_same_loop() -> None:
    texts = [[2, 3, 5], [4], [7, 6], [3, 2, 4, 5]] * 8
    tags = torch.tensor([token % 2 for text in texts for token in text])
    data = RaggedDataset(texts, aligned={"tags": tags})
    with seeded(0, CPU):
        model = TokenModel()
        options = replace(OPTIONS, epochs=12, learning_rate=0.1, patience=3)
        trained = train(model, data, options, torch.Generator().manual_seed(0), Tags(), data)
    last = trained.history[-1]
    assert trained.history[0].accuracy < 1.0, "there was something to learn"
    assert last.validation_accuracy == 1.0
    with torch.no_grad():
        batch = data.whole()
        expected = torch.nn.functional.cross_entropy(model(*batch.inputs), tags)
    best = trained.history[trained.best_epoch - 1]
    assert best.validation_loss == pytest.approx(float(expected), rel=1e-5), "the mean over the tokens"
