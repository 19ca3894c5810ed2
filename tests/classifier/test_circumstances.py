"""A classifier gives the same whatever the program around it has set: defaults of torch, threads, forks, quotas."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import ENVIRONMENT, run
from waiting import HANG

from textnn import SentimentClassifier
from textnn.circumstances import cpu_quota, plain_torch, usable_cpus

TEXTS = ["很 好", "很 差", "", "物流 快"]


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


SETTINGS: list[Callable[[], Any]] = [
    default_dtype,
    default_device,
    lambda: torch.device("meta"),
    torch.no_grad,
    torch.inference_mode,
    lambda: torch.autocast("cpu", torch.bfloat16),
]
NAMES = ["float64", "default device", "device", "no_grad", "inference_mode", "autocast"]


@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_a_saved_model_loads_and_predicts_the_same(
    setting: Callable[[], Any], model: Path, fitted: SentimentClassifier
) -> None:
    expected = fitted.predict_proba(TEXTS)
    with setting():
        loaded = SentimentClassifier.load(model)
        assert (loaded.predict_proba(TEXTS) == expected).all()
        assert (next(loaded.stream_proba(iter(TEXTS))) == expected).all()
        assert (copy.deepcopy(fitted).freeze().predict_proba(TEXTS) == expected).all()
        explained = loaded.explain("很 好").probabilities
    assert explained == fitted.explain("很 好").probabilities
    assert {parameter.dtype for parameter in loaded.model_.parameters()} == {torch.float32}
    assert all(parameter.requires_grad and not parameter.is_inference() for parameter in loaded.model_.parameters())
    loaded.set_params(verbose=0).partial_fit(["很 好", "很 差"] * 4, fitted.classes_.tolist() * 4)


@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
@pytest.mark.parametrize("architecture", ["textcnn", "lstm", "wide-textcnn"])
def test_fit_trains_the_same(
    setting: Callable[[], Any], architecture: str, make_classifier: Any, reviews: tuple[list[str], list[str]]
) -> None:
    texts, labels = (part[:60] for part in reviews)
    expected = make_classifier(architecture, epochs=1).fit(texts, labels)
    with setting():
        before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        found = make_classifier(architecture, epochs=1).fit(texts, labels)
        assert (torch.get_default_dtype(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    for name, tensor in expected.model_.state_dict().items():
        assert torch.equal(found.model_.state_dict()[name], tensor), name


def test_the_default_dtype_is_given_back_when_the_last_thread_is_done() -> None:
    inside, leave = threading.Barrier(2), threading.Event()

    def work() -> None:
        with plain_torch():
            inside.wait(HANG)
            leave.wait(HANG)

    with default_dtype():
        thread = threading.Thread(target=work)
        thread.start()
        with plain_torch():
            inside.wait(HANG)
        assert torch.get_default_dtype() == torch.float32
        leave.set()
        thread.join()
        assert torch.get_default_dtype() == torch.float64


def _numpys_state() -> Any:
    return np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002  # what is looked at is the old one


def test_fits_in_several_threads_follow_from_their_seeds_and_leave_the_generators_as_they_were(
    make_classifier: Any, reviews: tuple[list[str], list[str]]
) -> None:
    texts, labels = (part[:60] for part in reviews)
    expected = [make_classifier(epochs=2, random_state=seed).fit(texts, labels) for seed in range(4)]
    found = [make_classifier(epochs=2, random_state=seed) for seed in range(4)]
    before, numpys = torch.get_rng_state(), _numpys_state()
    threads = [threading.Thread(target=classifier.fit, args=(texts, labels)) for classifier in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(torch.get_rng_state(), before)
    assert (_numpys_state() == numpys).all()
    for one, other in zip(expected, found, strict=True):
        assert (one.predict_proba(TEXTS) == other.predict_proba(TEXTS)).all()


FORK = """
import os, sys, warnings
import torch
from textnn import SentimentClassifier
torch.set_num_threads(2)
classifier = SentimentClassifier.load(sys.argv[1])
texts = ["很 好", "很 差", "物流 快"] * 700
expected = classifier.predict(texts).tolist() if sys.argv[2] == "after" else None
child = os.fork()
if child == 0:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = classifier.predict(texts).tolist()
    assert expected in (None, found)
    assert torch.get_num_threads() == 1
    assert len([each for each in caught if "forked" in str(each.message)]) == 1
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert torch.get_num_threads() == 2
assert classifier.predict(texts).tolist() == (expected or classifier.predict(texts).tolist())
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_forked_process_answers_with_one_thread(model: Path, when: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FORK, str(model), when],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=HANG,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def write_groups(root: Path, groups: str, quotas: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, quota in quotas.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(quota + "\n")
    return root


@pytest.mark.parametrize(
    ("groups", "quotas", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000"}, 2.0),
        ("0::/elsewhere\n", {"cpu.max": "50000 100000"}, 0.5),
        (
            "4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("0::/\n", {"cpu.max": "damaged"}, None),
        ("0::/\n", {}, None),
    ],
)
def test_quotas_of_containers_are_found(
    tmp_path: Path, groups: str, quotas: dict[str, str], expected: float | None
) -> None:
    assert cpu_quota(write_groups(tmp_path, groups, quotas)) == expected


def test_info_shows_threads_and_quota() -> None:
    shown = run("info").stdout
    quota = cpu_quota()
    assert ("no quota of CPU time" if quota is None else f"the time of {quota:g} CPUs") in shown
    assert usable_cpus() >= 1


def test_a_warning_of_a_fork_is_not_given_where_there_was_none(fitted: SentimentClassifier) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.predict(TEXTS)
