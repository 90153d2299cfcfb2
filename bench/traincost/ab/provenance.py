"""Which code ran: every module imported from the side's tree, and those that should have been.

An editable install, a path in the environment or a copy in site-packages can make both sides import
the same code; the comparison would then say HELD whatever was changed. A module is *outside* if

    its file lies in the original checkout or in the other side's tree, or
    its package also stands in the side's tree, and was imported from somewhere else.

Where no module of the tree ran but tests, its packages are looked for in all its folders: a project
of unusual layout that is installed somewhere would else be compared with itself. The harness, this
package, is the same on both sides by intent and left out.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from traincost.data.side_plan import SidePlan

HARNESS = "traincost"


def provenance(
    plan: SidePlan, modules: Mapping[str, ModuleType | None] | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """Hash by path of the tree's modules that were imported; file by name of those outside."""
    tree, inside, outside = Path(plan.tree).resolve(), dict[str, str](), dict[str, str]()
    foreign = [Path(folder).resolve() for folder in plan.foreign]
    others: dict[str, Path] = {}
    for name, file in _files(sys.modules if modules is None else modules):
        if name.partition(".")[0] == HARNESS:
            continue
        if file.is_relative_to(tree) and not _is_installed(file):
            inside[str(file.relative_to(tree))] = _hash(file)
        elif any(_belongs(file, folder) for folder in foreign):
            outside[name] = str(file)
        else:
            others[name] = file
    roots = [Path(root) for root in plan.roots]
    if all(_is_test(Path(path).name) for path in inside):
        roots = [*roots, *_folders_of_packages(tree)]
    own = set(packages_of(roots))
    outside |= {name: str(file) for name, file in others.items() if name.partition(".")[0] in own}
    return inside, outside


def _is_test(name: str) -> bool:
    return name.startswith(("test_", "conftest")) or name.endswith("_test.py")


def _folders_of_packages(tree: Path) -> Iterator[Path]:
    """Folders anywhere in the tree that hold a package and are none."""
    for init in tree.rglob("__init__.py"):
        folder = init.parents[1]
        if folder.is_relative_to(tree) and not (folder / "__init__.py").exists():
            yield folder


def packages_of(roots: Iterable[Path]) -> Iterator[str]:
    """Names that `import` would find in these folders."""
    for root in roots:
        for path in root.glob("*"):
            if path.suffix == ".py":
                yield path.stem
            elif (path / "__init__.py").exists():
                yield path.name


def _files(modules: Mapping[str, ModuleType | None]) -> Iterator[tuple[str, Path]]:
    for name, module in list(modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and Path(file).is_absolute() and Path(file).is_file():
            yield name, Path(file).resolve()


def _belongs(file: Path, folder: Path) -> bool:
    """A file of the project, not of an environment that stands inside it (`.venv`)."""
    prefix = Path(sys.prefix).resolve()
    return file.is_relative_to(folder) and not (_is_installed(file) or file.is_relative_to(prefix))


def _is_installed(file: Path) -> bool:
    return "site-packages" in file.parts or "dist-packages" in file.parts


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
