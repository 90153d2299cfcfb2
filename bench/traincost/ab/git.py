"""Git, asked without the variables of whatever started this; and submodules of a worktree.

A new worktree has empty folders where its submodules belong. They are filled from the checkout that
it was made from, without the network: each is a clone that borrows the objects that are there.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from traincost.data.errors import BadInputError

SUBMODULE = "160000"
"""The mode of a submodule in a tree."""


def populate_submodules(source: Path, folder: Path, commit: str) -> list[str]:
    """Fill the submodules of `commit`, laid out in `folder`, from the checkout `source`.

    Returns those that stay empty, since the checkout has not populated them either, or has them no
    more. BadInputError names one of which it has another commit only.
    """
    empty: list[str] = []
    for line in git(source, "ls-tree", "-rz", commit).stdout.split("\0"):
        about, _, path = line.partition("\t")
        if not about.startswith(SUBMODULE):
            continue
        sha, origin, target = about.split()[2], source / path, folder / path
        if not (origin / ".git").exists():
            empty.append(path)
            continue
        made = git(None, "clone", "-q", "--shared", "--no-checkout", str(origin), str(target))
        done = git(target, "checkout", "-q", "--detach", sha) if made.returncode == 0 else made
        if done.returncode:
            raise BadInputError(
                f"submodule {path}: {last_line(done)}; expected commit {sha[:12]} in {origin}, as "
                f"after `git -C {path} fetch`"
            )
        empty += [f"{path}/{inner}" for inner in populate_submodules(origin, target, sha)]
    return empty


def git(folder: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Never raises; without git the answer is that of a folder that is no repository."""
    command = ["git", *(["-C", str(folder)] if folder else []), *arguments]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    with suppress(FileNotFoundError):
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=kept, errors="replace"
        )
    return subprocess.CompletedProcess(command, 127, "", "git is not installed")


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What it said last."""
    return done.stderr.strip().rpartition("\n")[2]
