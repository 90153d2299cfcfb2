"""Which code ran: every module imported from the side's tree, and those that should have been.

An editable install, a path in the environment or a copy in site-packages can make both sides import
the same code; the comparison would then say HELD whatever was changed. A module is *outside* if

    its file lies in the original checkout or in the other side's tree, or
    its package also stands in the side's tree, and was imported from somewhere else.

A module is *suspect* if it came from elsewhere and something of its name stands anywhere in the
tree: a vendored copy, or a project of unusual layout that is installed. Where nothing that differs
between the sides ran, a suspect means that code is compared with itself. The harness, this package,
is the same on both sides by intent and left out.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from traincost.data.side_plan import SidePlan

HARNESS = "traincost"


@dataclass(frozen=True)
class Provenance:
    """Modules by where they came from."""

    inside: Mapping[str, str]  # hash by path in the tree
    outside: Mapping[str, str]  # file by name: of the code under test, and not of the tree
    suspect: Mapping[str, str]  # file by name: perhaps of the code under test


def provenance(
    plan: SidePlan, modules: Mapping[str, ModuleType | None] | None = None
) -> Provenance:
    """Where the modules of this process came from."""
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
    own = set(packages_of(Path(root) for root in plan.roots))
    anywhere = {path.stem if path.suffix else path.name for path in _named_in(tree)}
    suspect: dict[str, str] = {}
    for name, file in others.items():
        top = name.partition(".")[0]
        if top in own:
            outside[name] = str(file)
        elif top in anywhere:
            suspect[name] = str(file)
    return Provenance(inside, outside, suspect)


def _named_in(tree: Path) -> Iterator[Path]:
    """Everything anywhere in the tree that a module could be named after."""
    for file in tree.rglob("*.py"):
        if not _is_installed(file):
            yield from (file, *(p for p in file.parents if p != tree and p.is_relative_to(tree)))


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
