"""The floors of the house: which module may import which, read from the sources, imports within functions included.

    first wing     fast layers: torch alone
    tools          files, limits of readers, processes
    second wing    what every task shares: text, data, models, training, bundle
    tasks          classification: state and functions on it
    roof           facades (estimators), export, serving, the command line

A module imports nothing of a floor above its own, a facade is imported by the roof alone, and no import leads back.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from waiting import HANG

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    "first wing": "version packages _C _checks _registration backends functional layers optim reference",
    "tools": "circumstances connections distributed files fonts parcel reading tensor_file",
    "second wing": "bundle data models text training",
    "tasks": "classification language tagging translation",
    "roof": "__main__ batch benchmark demo evaluation explanation export lab serving",
}
FACADES = {
    "textnn.classification.estimator",
    "textnn.classification.fitted",
    "textnn.estimator",
    "textnn.language.estimator",
    "textnn.tagging.estimator",
    "textnn.tagging.fitted",
    "textnn.translation.estimator",
}
NAMES = list(FLOORS)


@cache
def modules() -> dict[str, Path]:
    files = [path for package in ("textnn", "_textnn_cli") for path in (ROOT / package).rglob("*.py")]
    return {name_of(path): path for path in files}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def floor_of(module: str) -> int:
    """The number of a module's floor; the package itself, whose names are everybody's, is on the roof."""
    if module in FACADES or module == "textnn" or module.startswith("_textnn_cli"):
        return NAMES.index("roof")
    part = module.split(".")[1]
    return next((number for number, names in enumerate(FLOORS.values()) if part in names.split()), -1)


def imported(module: str, path: Path, node: ast.AST) -> Iterator[str]:
    """The modules that a statement imports, of this repository alone."""
    if isinstance(node, ast.Import):
        found = [name.name for name in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module.split(".")[: len(module.split(".")) - node.level + (path.name == "__init__.py")]
            base = ".".join([*package, *([node.module] if node.module else [])])
        found = [f"{base}.{name.name}" for name in node.names]
        found = [name if name in modules() or name == "textnn._C" else base for name in found]
    else:
        return
    yield from (name for name in found if name.split(".")[0] in ("textnn", "_textnn_cli") and name != module)


def is_typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


@cache
def edges() -> dict[tuple[str, str], tuple[int, bool]]:
    """Who imports whom: the line, and whether it is for type checkers alone."""
    found: dict[tuple[str, str], tuple[int, bool]] = {}
    for module, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typing = {id(inner) for node in ast.walk(tree) if is_typing(node) for inner in ast.walk(node)}
        for node in ast.walk(tree):
            for target in imported(module, path, node):
                edge = (node.lineno, id(node) in typing)
                found[module, target] = min(found.get((module, target), edge), edge, key=lambda edge: edge[1])
    return found


def shown(module: str, target: str) -> str:
    line, _ = edges()[module, target]
    return f"{modules()[module].relative_to(ROOT)}:{line} imports {target}"


def on_cycles(graph: dict[str, set[str]]) -> set[str]:
    """The modules that an import leads back to: what is left when those that import nothing left are taken away."""
    graph = {module: set(targets) for module, targets in graph.items()}
    for _ in range(2):  # once from below and once from above
        while ends := {module for module, targets in graph.items() if not targets & graph.keys()}:
            graph = {module: targets - ends for module, targets in graph.items() if module not in ends}
        turned: dict[str, set[str]] = {module: set() for module in graph}
        for module, targets in graph.items():
            for target in targets & graph.keys():
                turned[target].add(module)
        graph = turned
    return set(graph)


def test_the_sources_are_read() -> None:
    assert ("textnn.classification.estimator", "textnn.classification.fitting") in edges()
    assert edges()["textnn", "textnn.classification.estimator"][1] is False, "an import within a function counts"
    assert ("textnn", "textnn.layers") in edges(), "a relative import"
    assert on_cycles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == {"b", "c"}


def test_each_module_has_a_floor() -> None:
    assert not [module for module in modules() if floor_of(module) < 0], "name it in FLOORS"


def test_no_module_imports_one_of_a_floor_above() -> None:
    up = [edge for edge in edges() if floor_of(edge[0]) < floor_of(edge[1])]
    assert not up, "\n".join(["upwards:", *(shown(*edge) for edge in up)])


@pytest.mark.parametrize("facade", sorted(FACADES))
def test_a_facade_is_imported_by_the_roof_alone(facade: str) -> None:
    assert facade in modules()
    below = [edge for edge in edges() if edge[1] == facade and floor_of(edge[0]) < NAMES.index("roof")]
    assert not below, "\n".join(shown(*edge) for edge in below)


def test_no_import_leads_back() -> None:
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for (module, target), (_, typing) in edges().items():
        if not typing:
            graph[module].add(target)
    found = on_cycles(graph)
    assert not found, "\n".join(
        [
            "in a circle:",
            *(shown(module, target) for module in sorted(found) for target in sorted(graph[module] & found)),
        ]
    )


def test_no_task_imports_another() -> None:
    tasks = NAMES.index("tasks")
    aside = [
        (module, target)
        for module, target in edges()
        if floor_of(module) == floor_of(target) == tasks and module.split(".")[1] != target.split(".")[1]
    ]
    assert not aside, "\n".join(["from task to task:", *(shown(*edge) for edge in aside)])


def test_fast_layers_need_torch_alone() -> None:
    others = []
    for module, path in modules().items():
        if floor_of(module) != 0:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            packages = {str(name).split(".")[0] for name in names}
            others += [
                f"{path.relative_to(ROOT)}:{node.lineno} imports {package}"
                for package in packages - sys.stdlib_module_names - {"torch", "textnn"}
            ]
    assert not others, "\n".join(others)


def test_import_textnn_loads_the_first_wing_alone() -> None:
    code = "import sys, textnn; print(*(name for name in sys.modules if name.split('.')[0] == 'textnn'))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=HANG)
    loaded = set(done.stdout.split())
    assert {"textnn", "textnn._C", "textnn.layers.crf"} <= loaded, done.stderr
    assert [name for name in sorted(loaded - {"textnn"}) if floor_of(name)] == []


def test_fast_layers_work_where_torch_alone_is_installed() -> None:
    """Layers of each kind are trained, saved and loaded by a process that can import no other package."""
    command = [sys.executable, str(Path(__file__).with_name("torch_alone.py"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    assert "numpy" in done.stdout, done.stdout  # torch asked for it, and did without
