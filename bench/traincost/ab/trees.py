"""The two sides as folders of their own: a revision as a git worktree, a folder as a copy.

Both lie in one temporary folder, and both get the same suite files: those of one side, or of a file
or folder that is named. So only the code under test differs. At the end nothing is left, neither
in the temporary folder nor among git's worktrees.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from traincost.ab.git import git, last_line, populate_submodules
from traincost.data.errors import BadInputError

BASE, HEAD = "base", "head"
PREFIX = "traincost-ab-"
LEFT_OUT = (
    f"{PREFIX}*",
    ".git",
    ".tox",
    ".nox",
    ".venv",
    "venv",
    "node_modules",
    "__pycache__",
    "*.pyc",
)


@dataclass(frozen=True)
class Tree:
    """One side."""

    name: str  # `base` or `head`
    what: str  # as it was asked for: `main`, `./fast`
    folder: Path
    workdir: Path  # where its pytest is started: as deep inside as `ab` was
    commit: str | None  # None for a folder that is no revision
    empty: tuple[str, ...] = ()  # submodules that the checkout has not got


@dataclass(frozen=True)
class Trees:
    """Both sides, and what else is known of where they come from."""

    base: Tree
    head: Tree
    origin: Path  # the folder that `ab` was started in
    project: Path  # the checkout around it; the same folder where there is none
    shared: tuple[str, ...]  # suite files that both sides have from `suites_from`
    replaced: tuple[str, ...]  # those of them that are another file on the other side
    new: tuple[str, ...]  # those of them that HEAD has, and BASE had not
    suites_from: str
    own: Mapping[str, bytes | None] = field(default_factory=dict[str, bytes | None])
    """What BASE had in place of suite files that it got; None where it had none."""

    def of(self, name: str) -> Tree:
        """By its name."""
        return self.base if name == BASE else self.head


@contextmanager
def trees_of(
    base: str, head: str | None, suites_from: str, suites: Sequence[str], origin: Path
) -> Generator[Trees]:
    """Lay out both sides; BadInputError names what cannot be.

    Args:
        base: A revision, or a folder.
        head: The same; None for the commit that is checked out.
        suites_from: `base`, `head`, or a file or folder to take the suites from.
        suites: Paths of the suites, relative to the checkout, for `base` and `head`.
        origin: The current folder.
    """
    root = _git_root(origin)
    if head is None:
        head = "HEAD"
        _check_clean(root)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as made:
        folder = Path(made).resolve()
        worktrees: list[Path] = []
        try:
            sides = [
                _lay_out(name, what, folder / name, root, origin, worktrees)
                for name, what in ((BASE, base), (HEAD, head))
            ]
            own: dict[str, bytes | None] = {}
            given = _share_suites(sides, suites_from, suites, origin, own)
            yield Trees(sides[0], sides[1], origin, root or origin, *given, suites_from, own)
        finally:
            for worktree in worktrees:
                git(root, "worktree", "remove", "--force", "--force", str(worktree))


@contextmanager
def own_suites(trees: Trees) -> Generator[None]:
    """BASE has its own suites as long as this lasts."""
    shared = {name: (trees.base.workdir / name).read_bytes() for name in trees.own}
    _lay(trees.base.workdir, trees.own)
    try:
        yield
    finally:
        _lay(trees.base.workdir, shared)


def _lay(folder: Path, contents: Mapping[str, bytes | None]) -> None:
    for name, content in contents.items():
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)


def _lay_out(
    name: str, what: str, folder: Path, root: Path | None, origin: Path, worktrees: list[Path]
) -> Tree:
    commit = _commit(root, what)
    path = origin / what
    if commit is None and path.is_dir():
        try:
            shutil.copytree(path, folder, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
        except (OSError, shutil.Error) as e:
            reason = " ".join(str(e).split())[:200]
            raise BadInputError(f"{name.upper()} {what!r}: cannot be copied: {reason}") from e
        return Tree(name, what, folder, folder, None)
    if root is None or commit is None:
        where = _no_checkout(origin) if root is None else f"no such revision in {root}"
        raise BadInputError(f"{name.upper()} {what!r}: {where}; expected a revision or a folder")
    worktrees.append(folder)
    done = git(root, "worktree", "add", "--detach", "--force", str(folder), commit)
    if done.returncode:
        raise BadInputError(
            f"{name.upper()} {what!r}: {last_line(done)}; expected a revision to check out"
        )
    empty = populate_submodules(root, folder, commit)
    workdir = folder / origin.resolve().relative_to(root)
    if not workdir.is_dir():
        raise BadInputError(
            f"{name.upper()} {what!r} has no folder {origin.resolve().relative_to(root)}; expected "
            "the folder that this is started in"
        )
    return Tree(name, what, folder, workdir, commit, tuple(empty))


def _share_suites(
    sides: Sequence[Tree],
    suites_from: str,
    suites: Sequence[str],
    origin: Path,
    own: dict[str, bytes | None],
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Copy the suites of one side over the other's: all, those replaced, those new on HEAD.

    What BASE had in their places goes to `own`.
    """
    named = {side.name: side.workdir for side in sides}
    given = Path(suites_from)
    source = named.get(suites_from, origin)
    paths = list(suites) if suites_from in named else [suites_from]
    if suites_from not in named and not (origin / given).exists():
        raise BadInputError(
            f"--suites-from {suites_from!r}: no such file or folder; expected base, head or a path"
        )
    shared, replaced, new = list[str](), list[str](), list[str]()
    for text in paths:
        path = source / text
        if not path.exists():
            raise BadInputError(f"{suites_from} has no {text!r}; expected the path of a suite")
        if not path.resolve().is_relative_to(source.resolve()):
            raise BadInputError(f"{text!r}: expected a suite inside the folder {source}")
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                relative = str(file.relative_to(source))
                shared.append(relative)
                if [side.name for side in sides if (side.workdir / relative).is_file()] == [HEAD]:
                    new.append(relative)
                before = sides[0].workdir / relative
                known = before.read_bytes() if before.is_file() else None
                if known != file.read_bytes():
                    own[relative] = known
                if _put(file, relative, sides):
                    replaced.append(relative)
    return tuple(shared), tuple(replaced), tuple(new)


def _put(file: Path, relative: str, sides: Sequence[Tree]) -> bool:
    """Into both trees; whether another file stood there in one of them."""
    content, differed = file.read_bytes(), False
    for side in sides:
        target = side.workdir / relative
        if target.is_file() and target.read_bytes() == content:
            continue
        differed = differed or target.is_file()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return differed


def import_roots(tree: Tree, trees: Trees) -> tuple[str, ...]:
    """Where the side's own modules are: what the original checkout has on the path, moved here."""
    roots: dict[str, None] = {}
    for entry in [*_on_path(), *_editable_finders()]:
        path = Path(entry).resolve()
        for above in (trees.project, trees.origin):
            inside = path.is_relative_to(above) and "site-packages" not in path.parts
            if inside and (moved := tree.folder / path.relative_to(above)).is_dir():
                roots[str(moved)] = None
    for folder in (tree.workdir / "src", tree.workdir, tree.folder / "src", tree.folder):
        if folder.is_dir():
            roots[str(folder)] = None
    return tuple(roots)


def _on_path() -> list[str]:
    return [entry for entry in sys.path if entry]


def _editable_finders() -> Iterator[str]:
    """Folders of packages that setuptools' editable installs find without the path."""
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", ""))
        mapping = getattr(module, "MAPPING", {})
        for package in mapping.values() if isinstance(mapping, dict) else ():
            yield str(Path(package).parent)


def _check_clean(root: Path | None) -> None:
    if root is None:
        return  # what is wrong then is said of the revision
    command = ("status", "--porcelain", "--ignore-submodules=untracked")
    changed = git(root, *command).stdout.splitlines()
    tracked = [line[3:] for line in changed if not line.startswith("??")]
    if tracked:
        files = ", ".join(tracked[:3]) + (", …" if len(tracked) > 3 else "")
        raise BadInputError(
            f"{len(tracked)} files have changes that are not committed ({files}); expected a clean "
            "checkout, or HEAD given: a revision, or . for the files as they are"
        )


def _no_checkout(folder: Path) -> str:
    if git(folder, "rev-parse", "--is-bare-repository").stdout.strip() == "true":
        return "this is a bare repository, without a checkout to take suites from"
    return "this is no git repository"


def _git_root(folder: Path) -> Path | None:
    done = git(folder, "rev-parse", "--show-toplevel")
    return Path(done.stdout.strip()).resolve() if done.returncode == 0 else None


def _commit(root: Path | None, what: str) -> str | None:
    if root is None or what.startswith("-"):
        return None
    done = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{what}^{{commit}}")
    return done.stdout.strip() if done.returncode == 0 else None
