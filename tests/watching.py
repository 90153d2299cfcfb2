"""Commands that the tests of `traincost watch` watch."""

import re
import sys
import textwrap
from pathlib import Path

from traincost.watch import Watched, watch

WATCH = (sys.executable, "-m", "traincost", "watch")
EXIT_3 = ("sh", "-c", "exit 3")


def python(code: str) -> tuple[str, str, str]:
    """A command of this Python."""
    return (sys.executable, "-c", textwrap.dedent(code))


def watched(*command: str, interval_s: float = 1.0, sys: Path = Path("/sys")) -> Watched:
    """The command, watched to its end."""
    return watch(command, interval_s, lambda _: None, sys)


def told_code(shown: str) -> int:
    """The exit code that the summary tells."""
    [code] = re.findall(r"^ exit_code +(\d+)", shown, re.M)
    return int(code)
