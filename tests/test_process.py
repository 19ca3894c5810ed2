"""The kernels inside a process that has its own ideas: threads, forks, floating-point modes, environment variables."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch
from waiting import HANG

import textnn
from textnn import backends


def job():
    """Enough work for several threads; returns everything it computed."""
    torch.manual_seed(1)
    lstm = textnn.LSTM(40, 120)
    conv = textnn.EmbeddingTextConv(300, 40, 50)
    x, ids = torch.randn(12, 20, 40), torch.randint(0, 300, (20, 30))
    y, _ = lstm(x)
    z = conv(ids)
    (y.sum() + z.sum()).backward()
    return [y.detach(), z.detach(), lstm.weight_hh_l0.grad, conv.weight.grad]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_many_python_threads_at_once():
    generator = torch.manual_seed(1)
    lstm, x = textnn.LSTM(40, 120), torch.randn(12, 20, 40, generator=generator)
    want, wrong = lstm(x)[0], []

    def work():
        for _ in range(20):
            if not torch.equal(lstm(x)[0], want):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_more_threads_than_cores():
    want, before = job(), torch.get_num_threads()
    torch.set_num_threads(4 * (os.cpu_count() or 1))
    try:
        assert same(job(), want)
    finally:
        torch.set_num_threads(before)


SCRIPT_PREFIX = "import sys; sys.path.insert(0, 'tests'); import torch, textnn; from test_process import job, same;"


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT_PREFIX + code],
        capture_output=True,
        text=True,
        timeout=HANG,
        env={**os.environ, **environment},
        check=False,
    )


def test_after_fork():
    """OpenMP itself allows parallel regions in a child only if the parent had none; one thread must always work."""
    code = """
import os
want = job()
pid = os.fork()
if pid == 0:
    torch.set_num_threads(1)
    os._exit(0 if same(job(), want) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    result = run(code)
    assert result.returncode == 0, result.stderr


def test_the_callers_floating_point_mode_is_restored():
    tiny = torch.tensor([1e-40])
    job()
    assert (tiny * 0.5).item() > 0, "subnormals are still numbers after a kernel"
    code = "torch.set_flush_denormal(True); job(); sys.exit(int((torch.tensor([1e-40]) * 0.5).item() != 0))"
    assert run(code).returncode == 0


def test_vanishing_gradients_are_flushed():
    """Over a long sequence the recurrence carries exact zeros to the first steps, not subnormal numbers."""
    torch.manual_seed(0)
    lstm = textnn.LSTM(4, 8)
    with torch.no_grad():
        for p in lstm.parameters():
            p.mul_(0.2)
    x = torch.randn(400, 1, 4, requires_grad=True)
    lstm(x)[0][-1].sum().backward()
    g = x.grad.abs()
    assert g[-1].min() > 0
    assert g[0].max() == 0
    subnormal = (g > 0) & (g < torch.finfo(torch.float32).tiny)  # made by the product with the input's weights only
    assert subnormal.any(dim=2).sum() <= 12  # without flushing 31


@pytest.mark.parametrize("name", backends.CPU_CAPABILITIES)
def test_the_environment_variable_chooses_the_instruction_set(name, request):
    result = run("print(textnn.backends.cpu_capability()); job()", TEXTNN_CPU_CAPABILITY=name)
    if result.returncode == 0:
        assert result.stdout.strip() == name
    else:
        assert f"this CPU does not support '{name}'" in result.stderr


def test_an_unknown_instruction_set_is_an_error():
    result = run("job()", TEXTNN_CPU_CAPABILITY="avx9")
    assert result.returncode != 0
    *names, last = backends.CPU_CAPABILITIES
    assert f"TEXTNN_CPU_CAPABILITY must be {', '.join(names)} or {last}, got 'avx9'" in result.stderr


def test_capability_comes_back_after_use():
    before = backends.cpu_capability()
    with backends.use_cpu_capability("base"):
        assert backends.cpu_capability() == "base"
    assert backends.cpu_capability() == before
    with pytest.raises(RuntimeError, match="got 'avx9'"), backends.use_cpu_capability("avx9"):
        pass


def test_workspaces_can_be_released_at_any_time():
    want = job()
    backends.release_workspaces()
    assert same(job(), want)


HEAVY = ["torch._dynamo", "sympy", "sklearn", "scipy", "pandas", "safetensors", "rich", "typer"]
HEAVY += ["jieba", "rjieba", "snownlp", "matplotlib"]


def test_importing_textnn_loads_nothing_that_only_parts_of_it_need():
    """Torch takes most of the time of ``import textnn``; what else is heavy waits for its first use."""
    code = "import sys, torch; before = set(sys.modules); import textnn; print(*sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG, check=True)
    imported = result.stdout.split()
    assert "textnn.layers" in imported
    assert not {*HEAVY, "_textnn_cli", "textnn.classification.estimator"} & set(imported)
