"""`--prepare CMD`: each side built in an environment of its own, once, before anything runs.

The environment is a fresh one that falls back on this Python's packages, so that torch need not be
installed again, and whatever CMD installs comes first.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import venv
from pathlib import Path

from traincost.ab.process import call
from traincost.ab.trees import Tree
from traincost.data.errors import BadInputError

LINES_SHOWN, TIMEOUT_S = 10, 3600.0


def prepared(tree: Tree, command: str, scratch: Path) -> str:
    """Run the command in the side's tree and environment; the Python of that environment."""
    folder = scratch / f"environment-{tree.name}"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    _fall_back(folder)
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    path = f"{folder / 'bin'}{os.pathsep}{kept.get('PATH', '')}"
    environment = {**kept, "VIRTUAL_ENV": str(folder), "PATH": path}
    shell = ["sh", "-c", _with_pip(command)]
    code, output = call(shell, tree.workdir, environment, None, TIMEOUT_S)
    if code:
        tail = "\n  ".join(output.strip().splitlines()[-LINES_SHOWN:])
        raise BadInputError(
            f"--prepare {command!r} in {tree.name.upper()} ({tree.what}): exit code {code}; "
            f"expected 0:\n  {tail}"
        )
    return str(python)


def _with_pip(command: str) -> str:
    """`pip` is this Python's, working on the environment."""
    return f'pip() {{ python -m pip "$@"; }}\n{command}'


def _fall_back(folder: Path) -> None:
    """This Python's packages behind the environment's own; editable installs among them are not."""
    (own,) = folder.glob("lib/python*/site-packages")
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    extra = [p for p in sys.path if "site-packages" in p or "dist-packages" in p]
    (own / "_behind.pth").write_text("".join(f"{p}\n" for p in dict.fromkeys([*ours, *extra])))
