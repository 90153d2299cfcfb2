"""A slot on its node: one pytest, kept from case to case, started again when a case has killed it.

What it is asked and what it answers is text, so that whatever runs it (an actor of Ray's, a test)
needs no more than this class. The answers: `hello`, `reply`, `died`, `refused`, and a text.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import traincost

Answer = tuple[str, str]
LOOK_S = 0.5
"""What a case has left behind may hold the pipe open: look whether pytest itself lives."""
LINES_SHOWN = 3
NO_CASES = 5
"""Exit code of pytest."""
REAPER = 'exec 3<&0; { read -r _ <&3 || kill -s KILL -- "-$1"; } &'


def share(cpus: Sequence[int], index: int, of: int) -> list[int]:
    """The CPUs of one of several slots of a node: equal, disjoint parts, a rest left idle."""
    each = max(1, len(cpus) // of)
    return list(cpus[index * each : (index + 1) * each]) or list(cpus[-each:])


def _reaper_of(group: int) -> IO[bytes]:
    """A shell that ends a process group when this process goes, however it goes.

    Pytest asks the kernel to be killed then; what its cases have started does not. The shell is
    nobody's child, as Ray kills the children of an actor before they could act.
    """
    outer = subprocess.Popen(
        ["sh", "-c", REAPER, "sh", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    outer.wait()
    assert outer.stdin is not None
    return outer.stdin


@dataclass
class SlotProcess:
    """Runs cases on a slot of this node."""

    arguments: Sequence[str]  # pytest's
    index: int = 0  # of the slot on its node
    slots: int = 1  # that share the node
    folder: Path | None = None  # of the suites; default: the current one
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _orders: IO[str] | None = field(default=None, init=False)
    _replies: int = field(default=-1, init=False)
    _rest: bytes = field(default=b"", init=False)  # read, behind the last line
    _said: Path | None = field(default=None, init=False)
    _reaper: IO[bytes] | None = field(default=None, init=False)
    _scratch: tempfile.TemporaryDirectory[str] | None = field(default=None, init=False)

    def hello(self) -> Answer:
        """Start pytest; its first line, or why there is none."""
        self.close()
        self._start()
        line = self._line()
        if line is not None:
            return "hello", line
        end = self._end()
        if end.startswith(f"exit code {NO_CASES}"):
            asked = " ".join(self.arguments)
            return (
                "refused",
                f"pytest {asked} has no case to run; expected one that -k and -m leave",
            )
        return "refused", f"pytest did not start: {end}"

    def run(self, order: str) -> Answer:
        """Run a case; its reply, or what ended pytest."""
        if self._process is None:
            kind, text = self.hello()
            if kind == "refused":
                return kind, text
        assert self._orders is not None
        with suppress(BrokenPipeError):  # it went between two cases: said below
            self._orders.write(order + "\n")
            self._orders.flush()
        line = self._line()
        return ("died", self._end()) if line is None else ("reply", line)

    def close(self) -> None:
        """End pytest, and all that it has started."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        if self._reaper is not None:
            with suppress(BrokenPipeError):
                self._reaper.write(b"done\n")
                self._reaper.flush()
            with suppress(BrokenPipeError):
                self._reaper.close()
        if self._orders is not None:
            with suppress(BrokenPipeError):
                self._orders.close()
        os.close(self._replies)
        if self._scratch is not None:
            self._scratch.cleanup()

    def _start(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="traincost-fleet-")
        self._said = Path(self._scratch.name) / "said.txt"
        orders_read, orders_write = os.pipe()
        replies_read, replies_write = os.pipe()
        self._rest, self._replies = b"", replies_read
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, share(sorted(before), self.index, self.slots))
        try:
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    self._command(f"{orders_read},{replies_write}"),
                    cwd=self.folder,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    pass_fds=(orders_read, replies_write),
                    start_new_session=True,
                )
        finally:
            os.sched_setaffinity(0, before)
            os.close(orders_read)
            os.close(replies_write)
        self._orders = os.fdopen(orders_write, "w")
        self._reaper = _reaper_of(self._process.pid)

    def _command(self, descriptors: str) -> list[str]:
        assert self._scratch is not None
        return [
            *(sys.executable, "-m", "pytest", "-p", "traincost.plugin"),
            *("-p", "no:cacheprovider", "--benchmark-enable"),
            *(["-n0"] if find_spec("xdist") else []),
            *("--cost-fleet", descriptors, "--cost-results", self._scratch.name),
            *self.arguments,
        ]

    def _environment(self) -> dict[str, str]:
        """This harness first; pytest's settings are the command's alone."""
        harness = str(Path(traincost.__file__).parents[1])
        path = [harness, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(path))}

    def _line(self) -> str | None:
        """The next line that pytest sends; None when it has gone."""
        assert self._process is not None
        while b"\n" not in self._rest:
            readable, _, _ = select.select([self._replies], [], [], LOOK_S)
            if readable:
                chunk = os.read(self._replies, 1 << 16)
                if not chunk:
                    return None
                self._rest += chunk
            elif self._process.poll() is not None:
                return None
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def _end(self) -> str:
        """How pytest went, with its last words."""
        assert self._process is not None
        assert self._said is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LOOK_S * 10)
        code = self._process.poll()
        how = "exit code unknown" if code is None else f"exit code {code}"
        if code is not None and code < 0:
            how = signal.Signals(-code).name
        lines = [line.strip() for line in self._said.read_text(errors="replace").splitlines()]
        marked = [
            line for line in lines if re.match(r"E  |ERROR(?!: usage:)|Exit:|!!|.*: error:", line)
        ]
        words = " ".join((marked or [line for line in lines if line])[-LINES_SHOWN:])
        self.close()
        return f"{how}: {words}" if words and (code is None or code >= 0) else how
