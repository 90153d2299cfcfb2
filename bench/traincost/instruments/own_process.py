"""The command of a process of ours, which asks a driver so that nobody else is harmed by it.

Its modules are found where this process found them, and after everything else: a file that happens
to be called `statistics.py` in the folder where somebody measures is not taken for Python's own.
"""

from __future__ import annotations

import sys

_START = """\
import sys
sys.path += [p for p in {path!r} if p not in sys.path]
from {module} import main
main(sys.argv[1:])
"""


def python_running(module: str) -> tuple[str, ...]:
    """Runs `main` of a module with the arguments that follow."""
    path = [entry for entry in sys.path if entry]
    return (sys.executable, "-P", "-c", _START.format(path=path, module=module))
