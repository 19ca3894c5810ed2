"""The file of a checkpoint: whose it is, damage, and what happens when it cannot be written."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from trainings import BATCHES, OPTIONS, Breaker, BrokenOffError, assert_same, make_data, run

from textnn.classification.objectives import Multilabel
from textnn.text import RaggedDataset
from textnn.training import checkpoint as checkpoint_module
from textnn.training.checkpoint import FILE, Checkpoint, CheckpointError, differences, make_identity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": replace(OPTIONS, epochs=5, batch_size=9)}, "epochs was 3 and is 5 now, batch_size was 8 and is 9"),
        ({"options": replace(OPTIONS, schedule="linear")}, "schedule was 'cosine' and is 'linear' now"),
        ({"options": replace(OPTIONS, precision="bfloat16")}, "precision was 'float32' and is 'bfloat16' now"),
        ({"seed": 1}, "the weights to begin with changed"),
        ({"data": make_data(seed=5)}, "the texts to train on changed"),
        ({"validation": make_data(4)}, "the validation texts changed"),
        ({"identity": {"architecture": "bilstm"}}, "architecture was 'textcnn' and is 'bilstm' now"),
        ({"identity": {}}, "architecture was 'textcnn' and is absent now"),
        ({"identity": {"architecture": "textcnn", "vocabulary": ["a"] * 99}}, "vocabulary changed"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    identity = {"architecture": "textcnn"}
    run("textcnn", Checkpoint(tmp_path), identity=identity)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(CheckpointError) as error:
        run("textcnn", Checkpoint(tmp_path, resume=True), **{"identity": identity, **change})
    assert str(error.value).startswith(f"{tmp_path / FILE}: the checkpoint is of another training: ")
    assert message in str(error.value)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_checkpoint_from_before_an_option_was_trained_with_its_default(tmp_path: Path) -> None:
    """Written by a textnn that did not know ``precision`` yet."""
    whole, checkpoint = run("textcnn"), Checkpoint(tmp_path, resume=True)
    with pytest.raises(BrokenOffError):
        run("textcnn", checkpoint, reporter=Breaker(epochs=1))
    with safe_open(checkpoint.file, "pt") as file:
        everything = json.loads(file.metadata()["content"])["identity"]
    state = checkpoint.read(everything)
    assert everything.pop("precision") == "'float32'"
    checkpoint.write(*state, everything)
    before = checkpoint.file.read_bytes()
    with pytest.raises(CheckpointError, match="precision was 'float32' and is 'bfloat16' now"):
        run("textcnn", checkpoint, options=replace(OPTIONS, precision="bfloat16"))
    assert checkpoint.file.read_bytes() == before
    assert_same(run("textcnn", checkpoint), whole)


def test_another_objective_is_another_training(tmp_path: Path) -> None:
    data = make_data()
    assert data.labels is not None
    data.labels = torch.nn.functional.one_hot(data.labels).float()
    run("textcnn", Checkpoint(tmp_path), data=data, objective=Multilabel(0.0, [1.0, 2.0]))
    with pytest.raises(CheckpointError, match="of another training: the objective changed"):
        run("textcnn", Checkpoint(tmp_path, True), data=data, objective=Multilabel(0.0, [1.0, 3.0]))


def test_identity_follows_everything_that_a_dataset_holds() -> None:
    def identify(**change: Any) -> dict[str, str]:
        parts = {"sequences": [[1, 2], [3]], "labels": [0, 1], "weights": None, "others": (), **change}
        return make_identity({"data": RaggedDataset(**parts)})

    changes: list[dict[str, Any]] = [
        {},
        {"sequences": [[1], [2, 3]]},
        {"sequences": [[1, 2], [4]]},
        {"sequences": [[3], [1, 2]]},
        {"labels": [1, 0]},
        {"labels": torch.eye(2)},
        {"labels": None},
        {"weights": [1.0, 1.0]},
        {"weights": [1.0, 2.0]},
        {"others": [RaggedDataset([[5], [6]])]},
        {"others": [RaggedDataset([[5], [7]])]},
    ]
    found = [identify(**change) for change in changes]
    assert len({identity["data"] for identity in found}) == len(changes)
    assert found[0] == identify()


def test_identity_does_not_follow_how_a_dataset_was_made() -> None:
    whole = make_data(9)
    parts = [whole.take(torch.arange(4)), whole.take(torch.arange(4, 9))]
    assert make_identity({"data": RaggedDataset.chained(parts)}) == make_identity({"data": whole})


def test_differences_are_none_for_the_same_identity() -> None:
    identity = make_identity({"a": 1, "b": "x" * 1000, "c": None, "d": {"w": torch.ones(2)}})
    assert differences(identity, dict(identity)) == ""


# damage


def damage_bytes(path: Path, position: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(position * (len(content) - 1))] ^= 0x10
    path.write_bytes(bytes(content))


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def metadata_of(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stored:
        return dict(stored.metadata())


def replace_tensors(path: Path, change: Any) -> None:
    """Write other tensors with a right sum: what another program, or another version, may have written."""
    tensors, metadata = load_file(path), metadata_of(path)
    change(tensors)
    save_file(tensors, path, {**metadata, "sum": checkpoint_module._sum(metadata["content"], tensors)})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint in the middle of an epoch, with the best weights of an earlier one."""
    folder = tmp_path_factory.mktemp("written")
    with pytest.raises(BrokenOffError):
        run("lecture-lstm", Checkpoint(folder, seconds=0), WITH_BEST, reporter=Breaker(BATCHES + 3), **HELD_OUT)
    return (folder / FILE).read_bytes()


WITH_BEST = replace(OPTIONS, patience=3)
HELD_OUT = {"validation": make_data(10, seed=1)}


@pytest.mark.parametrize("position", [0.0, 0.001, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 0.999, 1.0])
def test_a_damaged_byte_anywhere_is_found(position: float, written: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(written)
    damage_bytes(tmp_path / FILE, position)
    with pytest.raises(CheckpointError, match=FILE):
        run("lecture-lstm", Checkpoint(tmp_path, True), WITH_BEST, **HELD_OUT)


@pytest.mark.parametrize("share", [0.0, 0.00005, 0.01, 0.5, 0.9999])
def test_a_file_that_is_cut_is_found(share: float, written: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(written)
    cut(tmp_path / FILE, share)
    with pytest.raises(CheckpointError, match=r"the checkpoint is damaged .*; remove it, or train without resume"):
        run("lecture-lstm", Checkpoint(tmp_path, True), WITH_BEST, **HELD_OUT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("order"), r"missing: \['order'\], unknown: \[\]"),
        (lambda t: t.update(more=torch.zeros(1)), r"missing: \[\], unknown: \['more'\]"),
        (lambda t: t.update({"model.output.bias": torch.zeros(3)}), r"model.output.bias: expected torch.float32 \[2\]"),
        (lambda t: t.update({"model.output.bias": torch.zeros(2).double()}), r"got torch.float64 \[2\]"),
        (lambda t: t.update(order=t["order"].zero_()), r"damaged .*expected the state of a generator"),
    ],
)
def test_tensors_that_do_not_fit_are_found(change: Any, message: str, written: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(written)
    replace_tensors(tmp_path / FILE, change)
    with pytest.raises(CheckpointError, match=message):
        run("lecture-lstm", Checkpoint(tmp_path, True), WITH_BEST, **HELD_OUT)


def test_the_checkpoint_that_was_damaged_here_is_a_good_one(written: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(written)
    expected = run("lecture-lstm", options=WITH_BEST, **HELD_OUT)
    assert_same(run("lecture-lstm", Checkpoint(tmp_path, True), WITH_BEST, **HELD_OUT), expected)


def test_other_files_and_versions_are_refused(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / FILE
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="expected a checkpoint of textnn, got another file"):
        run("textcnn", Checkpoint(tmp_path, True))
    path.write_bytes(written)
    save_file(load_file(path), path, {**metadata_of(path), "version": "99"})
    with pytest.raises(CheckpointError, match="the checkpoint has the format version 99, this textnn reads 1"):
        run("textcnn", Checkpoint(tmp_path, True))


# writing


def test_what_cannot_be_written_is_a_warning_and_the_state_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    def fail(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    run("textcnn", Checkpoint(tmp_path))
    before = (tmp_path / FILE).read_bytes()
    monkeypatch.setattr(safetensors.torch, "save_file", fail)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = run("textcnn", Checkpoint(tmp_path))
    monkeypatch.undo()
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 1, messages
    assert messages[0].endswith("could not be written (No space left on device); the training goes on")
    assert (tmp_path / FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert_same(found, run("textcnn"))


def test_one_directory_is_for_one_training(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "a").opened():
        with pytest.raises(CheckpointError, match="another training that is running keeps its state there"):
            run("textcnn", Checkpoint(tmp_path / "a"))
        assert (tmp_path / "a").is_dir()
    run("textcnn", Checkpoint(tmp_path / "a"))


@pytest.mark.parametrize("made_again", [False, True])
def test_a_directory_that_is_removed_before_it_is_locked_is_made_again(
    made_again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that ends removes the directory that the next one has opened already."""
    lock, folder = fcntl.flock, tmp_path / "a"

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        folder.rmdir()
        if made_again:
            folder.mkdir()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with Checkpoint(folder).opened():
        assert folder.is_dir()
        (folder / FILE).touch()
        with pytest.raises(CheckpointError, match="another training"), Checkpoint(folder).opened():
            pass


def test_a_directory_that_is_another_trainings_by_now_is_left_alone(tmp_path: Path) -> None:
    first, second = Checkpoint(tmp_path / "a"), Checkpoint(tmp_path / "a")
    with contextlib.ExitStack() as stack:
        with first.opened():
            first.remove()
            stack.enter_context(second.opened())
            (tmp_path / "a" / f"{FILE}.tmp").touch()
        assert [path.name for path in (tmp_path / "a").iterdir()] == [f"{FILE}.tmp"]
    assert not (tmp_path / "a").exists()


def test_a_place_that_is_no_directory_is_an_error_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        run("textcnn", Checkpoint(tmp_path / "file"), reporter=Breaker(1))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((3,), TypeError), ((None,), TypeError), (("d", False, -1), ValueError), (("d", False, "60"), TypeError)],
)
def test_arguments_that_make_no_sense(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^checkpoint"):
        Checkpoint(*arguments)
    with pytest.raises(ValueError, match="expected a number from 0, got inf"):
        Checkpoint("d", False, float("inf"))


def test_a_path_is_a_checkpoint_that_does_not_resume(tmp_path: Path) -> None:
    assert Checkpoint.of(os.fspath(tmp_path)) == Checkpoint(os.fspath(tmp_path), resume=False, seconds=60.0)
    assert Checkpoint.of(None) is None
    given = Checkpoint(tmp_path, resume=True)
    assert Checkpoint.of(given) is given
