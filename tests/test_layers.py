"""Who may import whom inside `traincost`: each layer only from those above it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bench" / "traincost"
LAYERS = (  # each imports from itself and from those before it
    ("data", ("data", "__init__")),
    ("machine", ("machine",)),
    ("instruments", ("instruments",)),
    (
        "measuring",
        (
            *("assemble", "calibrate", "case_fixture", "child", "fixture", "measure", "passes"),
            *("parallel", "rates", "run_fixture", "session", "snapshot", "static_cost", "train"),
            *("training", "watch", "watch_gpu", "watch_host", "watch_sample"),
        ),
    ),
    ("judging", ("judge", "ab")),
    (
        "showing",
        (
            *("show", "verbs", "cli", "__main__", "closing", "collecting", "fleet", "plugin"),
            *("running", "side"),
        ),
    ),
)
ROOTS = {"traincost", "traincost_kernels", "traincost_suites"}


def layer_of(part: str) -> int:
    """The number of the layer of a file or folder right below `traincost/`."""
    for number, (_, parts) in enumerate(LAYERS):
        if part in parts:
            return number
    raise AssertionError(f"bench/traincost/{part} stands in no layer: name one in LAYERS")


def imports_of(source: str, package: str) -> set[str]:
    """Modules of ours that a source file imports, anywhere in it, also for types only."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            found |= {
                f"{base}.{alias.name}" if base == "traincost" else base for alias in node.names
            }
    return {name for name in found if name.split(".")[0] in ROOTS}


def violations(source: str, relative: Path) -> list[str]:
    """Imports of a file of `bench/traincost/` that lead down or out."""
    here = layer_of(relative.parts[0].removesuffix(".py"))
    package = ".".join(["traincost", *relative.parts[:-1]])
    wrong: list[str] = []
    for name in sorted(imports_of(source, package)):
        root, _, inside = name.partition(".")
        if root != "traincost":
            wrong.append(f"{relative} imports {name}: suites import both, never the reverse")
        elif layer_of(inside.split(".")[0] or "__init__") > here:
            wrong.append(f"{relative} imports {name}, of a layer below its own")
    return wrong


def files() -> list[Path]:
    """Every source file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def test_every_file_imports_only_from_its_own_layer_and_those_above() -> None:
    found = [v for f in files() for v in violations(f.read_text(), f.relative_to(PACKAGE))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "from traincost.show.tables import table",
        "import traincost.measure",
        "def f():\n    from traincost import plugin",
        "from ..show import tables",
        "import traincost_kernels",
    ],
)
def test_an_upward_import_is_found_wherever_it_stands(line: str) -> None:
    assert violations(line, Path("data/case.py"))


def test_an_import_from_a_layer_above_is_allowed() -> None:
    assert not violations("from traincost.data.case import Case", Path("machine/peaks.py"))


def test_no_two_files_of_the_package_import_each_other_in_a_circle() -> None:
    graph = {
        module_name(f): imports_of(f.read_text(), module_name(f).rpartition(".")[0])
        for f in files()
    }
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name in done or name not in graph:
            return
        for target in graph[name]:
            walk(target, (*path, name))
        done.add(name)

    for name in graph:
        walk(name, ())


def module_name(file: Path) -> str:
    """`bench/traincost/data/case.py` -> `traincost.data.case`."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize("folder", ["judge", "show", "cli.py"])
def test_judging_and_showing_never_import_torch(folder: str) -> None:
    root = PACKAGE / folder
    sources = [root] if root.is_file() else sorted(root.rglob("*.py"))
    for file in sources:
        names = {
            alias.name if isinstance(node, ast.Import) else node.module or ""
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not {n for n in names if n.split(".")[0] == "torch"}, file


def test_only_the_device_file_calls_torch_cuda() -> None:
    for file in files():
        if file.name == "device.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == "cuda":
                value = node.value
                assert not (isinstance(value, ast.Name) and value.id == "torch"), file
