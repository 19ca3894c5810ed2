"""tools/cuda_check: reading the reports of the compiler, occupancy, budgets and what breaks them; without nvcc."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from dataclasses import replace

import pytest

from tools import cuda_toolkit
from tools.cuda_check import __main__ as program
from tools.cuda_check import budget, compilation, occupancy, report, table
from tools.cuda_check.report import Usage

POOL = (
    "_ZN6textnn4cuda45_GLOBAL__N__9d078c2f_7_pool_cu_373bbe49_2329320max_mean_pool_kernelIfEEvNS0_11MaxMeanPoolIT_EEl"
)
REPORT = f"""
pool.cu(12): warning: something else
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '{POOL}' for 'sm_75'
ptxas info    : Function properties for {POOL}
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 31 registers, used 1 barriers, 3072 bytes smem, 416 bytes cmem[0]
ptxas info    : Compile time = 26.587 ms
ptxas info    : Compiling entry function 'tell' for 'sm_120'
ptxas info    : Function properties for tell
    24 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Function properties for helper
    40 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 0 barriers, 40 bytes cumulative stack size, 424 bytes cmem[0]
"""
PTX = """
.extern .func (.param .b32 func_retval0) vprintf(.param .b64 a, .param .b64 b);
.extern .shared .align 16 .b8 scratch[];
.visible .entry first(
	.param .u64 first_param_0
)
.maxntid 32, 8, 1
.minnctapersm 4
{
	mov.u32 	%r1, scratch;
	ret;
}
.entry second(
)
{
	// .maxntid 64 in a body means nothing
	bar.sync 	0;
	ret;
}
.weak .entry third()
.maxntid 256
{
	ret;

}
	// .globl	after
"""
NAME = "pool.cu: kernel<float>"


def usage(architecture: str = "sm_90", **settings) -> Usage:
    return replace(Usage("kernel<float>", architecture, registers=32, shared=1024, threads=256), **settings)


def recorded(**settings) -> budget.Budget:
    return budget.Budget(nvcc="13.0", kernels={NAME: {"registers": 32, "shared": 1024, "stack": 0}}, **settings)


def test_the_report_of_ptxas():
    assert report.parse_report(REPORT) == [
        Usage(POOL, "sm_75", registers=31, shared=3072, barriers=1),
        # What a function that is not inlined spills is the kernel's.
        Usage("tell", "sm_120", registers=40, stack=40, spill_stores=12, spill_loads=12),
    ]


def test_a_report_that_reads_otherwise_is_refused():
    with pytest.raises(ValueError, match="no registers for tell"):
        report.parse_report(REPORT.replace("Used 40 registers", "Registers: 40"))
    with pytest.raises(ValueError, match="outside of any kernel"):
        report.parse_report(
            "Function properties for f\n 0 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads"
        )


def test_launch_bounds_and_dynamic_shared_memory_are_read_from_the_ptx():
    assert report.parse_ptx(PTX) == {
        "first": (256, True, False),
        "second": (None, False, False),
        "third": (256, False, True),
    }
    # A kernel that does nothing on an architecture uses nothing there.
    usages = [Usage("first", "sm_80"), Usage("third", "sm_80")]
    assert report.with_ptx(usages, {"sm_80": PTX}) == [Usage("first", "sm_80", threads=256, dynamic=True)]


@pytest.mark.parametrize(
    ("demangled", "short"),
    [
        ("textnn::cuda::(anonymous namespace)::mark_kernel(long, unsigned int*)", "mark_kernel"),
        ("void a::(anonymous namespace)::k<a::BFloat16, 8, true>(a::Pool<a::BFloat16>, long)", "k<BFloat16, 8, true>"),
        ("void a::k<a::Slice<a::Half<1> >, (a::Kind)1>(void (*)(int))", "k<Slice<Half<1>>, (Kind)1>"),
        ("plain", "plain"),
    ],
)
def test_short_names(demangled, short):
    assert report.short_name(demangled) == short


@pytest.mark.skipif(shutil.which("c++filt") is None, reason="needs c++filt")
def test_names_are_demangled():
    assert [use.kernel for use in report.named([Usage(POOL, "sm_75")])] == ["max_mean_pool_kernel<float>"]


@pytest.mark.parametrize(
    ("architecture", "threads", "registers", "shared", "blocks"),
    [
        ("sm_75", 256, 32, 0, 4),  # 1024 threads
        ("sm_75", 256, 65, 0, 3),  # 72 registers x 32 = 2304 a warp, 7 warps in a quarter of 16384
        ("sm_80", 256, 32, 0, 8),  # 2048 threads
        ("sm_80", 128, 255, 0, 2),  # 8192 a warp, two in each quarter
        ("sm_86", 32, 16, 0, 16),  # blocks
        ("sm_89", 32, 16, 0, 24),
        ("sm_86", 256, 32, 48 << 10, 2),  # 100 KB, 1 KB of each block reserved
        ("sm_80", 256, 32, 48 << 10, 3),  # 164 KB
        ("sm_75", 256, 32, 32 << 10, 2),  # 64 KB, nothing reserved
        ("sm_90", 1024, 64, 0, 1),
        ("sm_90", 1024, 65, 0, 0),  # does not fit
        ("sm_100", 256, 32, 227 << 10, 1),
        ("sm_100", 256, 32, 228 << 10, 0),
        ("sm_120", 512, 40, 0, 3),
        ("sm_80", 48, 16, 0, 32),  # half a warp counts as a whole one
    ],
)
def test_resident_blocks(architecture, threads, registers, shared, blocks):
    assert occupancy.resident_blocks(architecture, threads, registers, shared) == blocks
    warps = {"sm_75": 32, "sm_86": 48, "sm_89": 48, "sm_120": 48}.get(architecture, 64)
    share = occupancy.occupancy(architecture, threads, registers, shared)
    assert share == pytest.approx(blocks * ((threads + 31) // 32) / warps)


ORACLE = """
#include "cuda_occupancy.h"
#include <cstdio>
int main() {
  int major, minor, threads, warps, multiprocessor, reserved, registers, shared, barriers;
  while (std::scanf("%d %d %d %d %d %d %d %d %d", &major, &minor, &warps, &multiprocessor, &reserved, &threads,
                    &registers, &shared, &barriers) == 9) {
    cudaOccDeviceProp device;
    device.computeMajor = major, device.computeMinor = minor;
    device.maxThreadsPerBlock = 1024, device.maxThreadsPerMultiprocessor = warps * 32, device.warpSize = 32;
    device.regsPerBlock = device.regsPerMultiprocessor = 65536;
    device.sharedMemPerBlock = 48 << 10, device.sharedMemPerMultiprocessor = multiprocessor;
    device.sharedMemPerBlockOptin = multiprocessor - reserved, device.reservedSharedMemPerBlock = reserved;
    device.numSms = 1;
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = 1024, kernel.numRegs = registers, kernel.sharedSizeBytes = shared;
    kernel.partitionedGCConfig = PARTITIONED_GC_OFF, kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    kernel.maxDynamicSharedSizeBytes = 0, kernel.numBlockBarriers = barriers;
    cudaOccDeviceState state;
    state.carveoutConfig = SHAREDMEM_CARVEOUT_MAX_SHARED;
    cudaOccResult result;
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, 0)) return 1;
    std::printf("%d\\n", result.activeBlocksPerMultiprocessor);
  }
}
"""
TOOLKIT = cuda_toolkit.find_toolkit()


@pytest.mark.skipif(TOOLKIT is None or shutil.which("g++") is None, reason="needs cuda_occupancy.h and g++")
def test_resident_blocks_are_those_of_the_toolkits_header(tmp_path):
    (tmp_path / "oracle.cpp").write_text(ORACLE)
    program = tmp_path / "oracle"
    subprocess.run(["g++", f"-I{TOOLKIT}/include", str(tmp_path / "oracle.cpp"), "-o", str(program)], check=True)
    shared = (0, 1, 3072, 16384, 34817, 49152, 66000, 101376)
    cases = list(itertools.product((32, 96, 256, 480, 1024), (0, 16, 40, 41, 72, 128, 168, 255), shared, (0, 1, 3)))
    lines, expected = [], []
    for architecture, limit in occupancy.MULTIPROCESSORS.items():
        number = int(architecture.removeprefix("sm_"))
        device = f"{number // 10} {number % 10} {limit.warps} {limit.shared} {limit.reserved}"
        for threads, registers, memory, barriers in cases:
            if memory > limit.shared - limit.reserved:
                continue  # an error in the header
            lines.append(f"{device} {threads} {registers} {memory} {barriers}")
            expected.append(occupancy.resident_blocks(architecture, threads, registers, memory, barriers))
    told = subprocess.run([str(program)], input="\n".join(lines), capture_output=True, text=True, check=True).stdout
    differences = [case for case in zip(lines, map(int, told.split()), expected, strict=True) if case[1] != case[2]]
    assert not differences, f"{len(differences)} of {len(lines)} differ, the first: {differences[0]}"


def test_every_architecture_has_limits():
    assert [f"sm_{one.replace('.', '')}" for one in cuda_toolkit.ARCHITECTURES] == list(occupancy.MULTIPROCESSORS)
    assert cuda_toolkit.torch_arch_list().endswith("+PTX")
    assert len(cuda_toolkit.architecture_flags()) == len(cuda_toolkit.ARCHITECTURES) + 1


def toolkit(home, version="13000"):
    for name, text in (
        ("include/cuda_runtime.h", ""),
        ("include/cuda.h", f"#define CUDA_VERSION {version}\n"),
        ("bin/nvcc", "#!/bin/sh\n"),
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    (home / "bin/nvcc").chmod(0o755)
    return home


def test_finding_the_toolkit(monkeypatch, tmp_path):
    monkeypatch.setattr(cuda_toolkit, "DEFAULT", tmp_path / "nowhere")
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cuda_toolkit.find_toolkit() is None
    real = toolkit(tmp_path / "cuda-12.9", "12090")
    assert cuda_toolkit.toolkit_version(real) == (12, 9)

    wrapper = tmp_path / "local/bin/nvcc"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text("#!/bin/sh\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent))
    assert cuda_toolkit.find_toolkit() is None  # its folder holds no headers
    wrapper.unlink()
    wrapper.symlink_to(real / "bin/nvcc")
    assert cuda_toolkit.find_toolkit() == real

    monkeypatch.setattr(cuda_toolkit, "DEFAULT", toolkit(tmp_path / "cuda"))
    assert cuda_toolkit.find_toolkit() == tmp_path / "cuda"
    monkeypatch.setenv("CUDA_HOME", str(real))
    assert cuda_toolkit.find_toolkit() == real


def test_within_the_budget():
    uses = {NAME: [usage("sm_75"), usage("sm_90", registers=30)]}
    assert budget.faults(recorded(), uses) == []
    assert budget.notes(recorded(), "13.0", uses) == []


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (dict(spill_stores=16, spill_loads=20), f"{NAME} spills registers on sm_90: 16 bytes stored, 20 bytes loaded"),
        (dict(registers=33), f"{NAME} takes 33 registers on sm_90, its budget is 32."),
        (dict(shared=1028), f"{NAME} takes 1028 bytes of static shared memory on sm_90, its budget is 1024."),
        (dict(stack=8), f"{NAME} has a stack frame of 8 bytes"),
        (dict(dynamic=True), f"{NAME} takes dynamic shared memory"),
        (dict(threads=None), f"{NAME} has no __launch_bounds__"),
        (dict(threads=1024, registers=80), f"{NAME} cannot run on sm_90"),
    ],
)
def test_what_fails(broken, sentence):
    uses = {NAME: [usage("sm_75"), usage("sm_90", **broken)]}
    assert any(fault.startswith(sentence) for fault in budget.faults(recorded(), uses)), budget.faults(recorded(), uses)


@pytest.mark.parametrize("settings", [dict(spill_loads=4), dict(stack=8), dict(dynamic=True), dict(threads=None)])
def test_recording_does_not_mend(settings):
    limits, uses = recorded(), {NAME: [usage(**settings)]}
    limits.record("13.0", uses)
    assert budget.faults(limits, uses)


def test_what_is_recorded_by_hand_is_by_pattern():
    limits = recorded(
        launches={"pool.cu: kernel<*": {"dynamic_shared": 16384, "threads": 128}},
        stack_frames={"pool.cu: *": "arguments of printf"},
    )
    uses = {NAME: [usage(dynamic=True, threads=None, stack=8)]}
    limits.record("13.0", uses)
    assert budget.faults(limits, uses) == []
    # 12 blocks of 17 KB with what is reserved, and of 1 KB that is rounded to the next 128 bytes
    assert limits.occupancy(NAME, uses[NAME][0]) == 12 * 4 / 64


def test_a_kernel_without_a_budget_fails():
    assert "no recorded budget" in budget.faults(budget.Budget(), {NAME: [usage()]})[0]


def test_notes():
    limits = recorded(stack_frames={"sizes.cu: *": "arguments of printf"})
    limits.kernels["gone.cu: kernel"] = {"registers": 1, "shared": 0, "stack": 0}
    told = budget.notes(limits, "13.1", {NAME: [usage(registers=30)]})
    assert told == [
        "The budgets are from nvcc 13.0, this is 13.1: figures may differ.",
        f"{NAME} takes at most 30 registers: its budget of 32 can go.",
        "gone.cu: kernel has a budget, but there is no such kernel.",
        '"sizes.cu: *" in stack_frames of budget.json fits no kernel.',
    ]


def test_the_budget_file_is_written_as_it_was_read(tmp_path):
    limits = budget.Budget.load()
    limits.save(tmp_path / "budget.json")
    assert (tmp_path / "budget.json").read_text() == budget.FILE.read_text()


def test_the_table_replaces_its_part_of_a_page(tmp_path):
    page = tmp_path / "cuda.md"
    page.write_text(f"# CUDA\n\n{table.BEGIN}\nold\n{table.END}\n\nMore.\n")
    uses = {NAME: [usage(one, registers=72 if one == "sm_90" else 32) for one in list(occupancy.MULTIPROCESSORS)[1:]]}
    for _ in range(2):
        table.replace_part(page, table.markdown(recorded(), "13.0", uses))
    text = page.read_text()
    assert text.startswith(f"# CUDA\n\n{table.BEGIN}\n")
    assert text.endswith(f"\n{table.END}\n\nMore.\n")
    assert "old" not in text
    assert "| `kernel<float> (not sm_75)` | 256 | 32-72 (sm_90) | 1024 | 0 | 38-100 % (sm_90) |" in text
    assert "kernel<float> (not sm_75)" in table.plain(recorded(), uses)


@pytest.mark.parametrize("text", ["", table.BEGIN, f"{table.END}{table.BEGIN}", 2 * (table.BEGIN + table.END)])
def test_a_page_without_the_place_is_left_alone(tmp_path, text):
    page = tmp_path / "cuda.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="must hold"):
        table.replace_part(page, "new")
    assert page.read_text() == text


def test_without_a_toolkit(monkeypatch, capsys):
    monkeypatch.setattr(program, "find_toolkit", lambda: None)
    assert program.main([]) == 0
    assert program.main(["--require"]) == 2
    assert capsys.readouterr().out == 2 * "No CUDA toolkit found: kernels were not compiled.\n"


@pytest.mark.parametrize(
    ("result", "code", "told"),
    [
        (compilation.Compiled("pool.cu", (usage(),)), 0, "1 kernels on 7 architectures: no spills"),
        (compilation.Compiled("pool.cu", (usage(spill_stores=4),)), 1, f"Error: {NAME} spills registers on sm_90"),
        (compilation.Compiled("pool.cu", (), "pool.cu(3): error: x"), 1, "pool.cu does not compile:\npool.cu(3)"),
    ],
)
def test_the_program(monkeypatch, capsys, tmp_path, result, code, told):
    monkeypatch.setattr(program, "find_toolkit", lambda: tmp_path)
    monkeypatch.setattr(compilation, "nvcc_version", lambda toolkit: "13.0")
    monkeypatch.setattr(compilation, "compile_all", lambda *arguments: [result])
    monkeypatch.setattr(budget.Budget, "load", lambda: recorded())
    assert program.main([]) == code
    assert told in capsys.readouterr().out


def test_a_file_is_compiled_again_when_something_of_it_changed(monkeypatch, tmp_path):
    monkeypatch.setattr(compilation, "ROOT", tmp_path)
    monkeypatch.setattr(compilation, "BUILD", tmp_path / "build")
    (tmp_path / "build").mkdir()
    source, header = tmp_path / "pool.cu", tmp_path / "pool.h"
    source.write_text("kernel")
    header.write_text("shape")
    makefile = f"pool.o : {source} \\\n    /usr/include/math.h \\\n    {header}\n"
    depends = compilation._depends(makefile)
    assert depends == ["pool.cu", "pool.h"]
    compilation._keep("13.0", source, depends, [usage()])
    assert compilation._kept(source, "13.0") == compilation.Compiled("pool.cu", (usage(),))
    assert compilation._kept(source, "13.1") is None
    header.write_text("another shape")
    assert compilation._kept(source, "13.0") is None
    header.write_text("shape")
    assert compilation._kept(source, "13.0") is not None
    (tmp_path / "build/pool.json").write_text("{")
    assert compilation._kept(source, "13.0") is None
