"""The ranks of a job, as the process sees them that gives the orders.

`LocalRanks` starts them on this machine, more of them when a case needs more, and keeps them from
case to case. A case that fails on one rank leaves the others in the middle of a collective, so all
of them are ended then, and the next case gets new ones. `JoinedRanks` are those of a launcher
(`torchrun`), on any number of hosts, which it alone can end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from traincost.instruments.own_process import python_running
from traincost.parallel.order import Order, Outcome

if TYPE_CHECKING:
    from traincost.parallel.store import Store

JOINED = "TRAINCOST_RANKS"
"""In the environment: HOST:PORT:PREFIX:WORLD_SIZE, where a launcher has started the ranks."""
GONE = "gone"
"""The key under which the first rank tells that the launcher ends it."""
WAIT_S = 0.25
ASK_S = 0.02
GRACE_S = 2.0
LIMIT_S = 600.0
"""A case that has not ended by then never will."""
LINES_SHOWN = 2


class Ranks(Protocol):
    """Takes orders."""

    def run(self, order: Order) -> Outcome:
        """Have an order carried out."""
        ...

    def close(self) -> None:
        """No more orders."""


@dataclass
class LocalRanks:
    """Processes on this machine, one a rank."""

    limit_s: float = LIMIT_S
    processes: list[subprocess.Popen[bytes]] = field(
        default_factory=list["subprocess.Popen[bytes]"], init=False
    )
    _store: Store | None = field(default=None, init=False)
    _port: int = field(default=0, init=False)
    _orders: int = field(default=0, init=False)
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, init=False)

    def run(self, order: Order) -> Outcome:
        """Start what ranks are missing, give the order, and wait for its end."""
        store = self._start(order.world_size)
        number, self._orders = self._orders, self._orders + 1
        store.set(f"order/{number}", order.to_bytes())
        outcome = self._wait_for(store, number)
        if outcome.error is not None:
            self.kill()
        return outcome

    def close(self) -> None:
        """Tell the ranks that there are no more orders; end those that do not listen."""
        if self._store is not None:
            self._store.set(f"order/{self._orders}", b"")
        deadline_s = time.monotonic() + GRACE_S
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline_s - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        """End every rank, and what it has started, at once."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()
        self._store, self._orders = None, 0
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start(self, ranks: int) -> Store:
        from traincost.parallel.store import host_store

        if any(process.poll() is not None for process in self.processes):
            self.kill()  # one went between two cases
        if self._store is None:
            self._store, self._port = host_store()
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="traincost-ranks-")
        said_in = Path(self._folder.name)
        for rank in range(len(self.processes), ranks):
            with _said(said_in, rank).open("wb") as said:
                process = subprocess.Popen(
                    [
                        *python_running("traincost.parallel.rank"),
                        *("127.0.0.1", str(self._port), str(rank), str(self._orders)),
                    ],
                    env={"TORCH_CPP_LOG_LEVEL": "ERROR", **os.environ},  # warnings hide last words
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.processes.append(process)
        return self._store

    def _wait_for(self, store: Store, number: int) -> Outcome:
        deadline_s = time.monotonic() + self.limit_s
        while True:
            ended = _ended(store, number, WAIT_S)
            gone = self._gone(wait=ended is not None and ended.error is not None)
            if gone is not None and (ended is None or ended.error is not None):
                return Outcome(error=gone)
            if ended is not None:
                return ended
            if time.monotonic() > deadline_s:
                return Outcome(error=f"the ranks did not end within {self.limit_s:.0f} s")

    def _gone(self, *, wait: bool) -> str | None:
        """Which rank's process has ended, and how; the others' errors only follow from it."""
        deadline_s = time.monotonic() + (WAIT_S if wait else 0.0)
        while True:
            for rank, process in enumerate(self.processes):
                if (code := process.poll()) is not None:
                    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                    return f"rank {rank} ended with {how}{self._last_words(rank)}"
            if time.monotonic() >= deadline_s:
                return None
            time.sleep(ASK_S)

    def _last_words(self, rank: int) -> str:
        if self._folder is None:
            return ""
        text = _said(Path(self._folder.name), rank).read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return ": " + " ".join(lines[-LINES_SHOWN:]) if lines else ""


def _said(folder: Path, rank: int) -> Path:
    """What a rank has written to stdout and stderr."""
    return folder / f"rank{rank}.txt"


@dataclass
class JoinedRanks:
    """Ranks of a launcher, found through its store."""

    store: Store
    world_size: int
    limit_s: float = LIMIT_S
    gone: bool = field(default=False, init=False)  # for good: nobody here can start others
    _orders: int = field(default=0, init=False)

    @classmethod
    def of(cls, where: str) -> JoinedRanks:
        """By what `JOINED` says."""
        from traincost.parallel.store import join_store, part_of

        host, port, prefix, world_size = where.rsplit(":", 3)
        return cls(part_of(join_store(host, int(port)), prefix), int(world_size))

    def run(self, order: Order) -> Outcome:
        """Give the order and wait for its end."""
        number, self._orders = self._orders, self._orders + 1
        try:
            self.store.set(f"order/{number}", order.to_bytes())
            deadline_s = time.monotonic() + self.limit_s
            while time.monotonic() < deadline_s:
                if (ended := _ended(self.store, number, WAIT_S)) is not None:
                    return ended
                if self.store.check([GONE]):
                    break
            else:
                return Outcome(error=f"the ranks did not end within {self.limit_s:.0f} s")
        except RuntimeError:  # the store was the launcher's
            pass
        self.gone = True
        return Outcome(error="a rank has gone, and the launcher has ended the others")

    def close(self) -> None:
        """Tell the ranks that there are no more orders."""
        with suppress(RuntimeError):
            self.store.set(f"order/{self._orders}", b"")


def _ended(store: Store, number: int, wait_s: float) -> Outcome | None:
    """The outcome of an order, if there is one within this time.

    Asked again and again: a wait of the store's own that ends without it writes to stderr.
    """
    key, deadline_s = f"ended/{number}", time.monotonic() + wait_s
    while not store.check([key]):
        if time.monotonic() >= deadline_s:
            return None
        time.sleep(ASK_S)
    return Outcome.from_bytes(bytes(store.get(key)))


def open_ranks() -> Ranks:
    """Those of the launcher that has started this process, or our own."""
    where = os.environ.get(JOINED)
    return LocalRanks() if where is None else JoinedRanks.of(where)
