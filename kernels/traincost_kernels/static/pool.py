"""Worker processes that compile and count, a few at a time."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Literal, Self

from traincost_kernels.static.measure import Failure

Mode = Literal["compile", "count"]


class WorkerError(RuntimeError):
    """A worker process ended, or raised."""


class WorkerUnavailableError(RuntimeError):
    """What is asked for needs something that is not installed."""


class Worker:
    """One child process, with the interpreter on (`count`) or off (`compile`)."""

    def __init__(self, mode: Mode, cache: Path) -> None:
        self.mode = mode
        self._log = cache / f"{mode}-{id(self)}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "traincost_kernels.static.worker", mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(mode, cache),
            )

    def ask(self, *request: object) -> Any:
        """The answer to one request, or a `Failure`.

        Raises:
            WorkerError: The process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
            found = pickle.load(self._process.stdout)
        except (BrokenPipeError, EOFError) as ended:
            log = self._log.read_text(errors="replace")[-2000:]
            raise WorkerError(f"the worker that was to {self.mode} ended: {log}") from ended
        return found

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.kill()
        self._process.wait()


def environment(mode: Mode, cache: Path) -> dict[str, str]:
    """The parent's, with the interpreter on or off, its import path, and no trace in its cache."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TRITON_")}
    return {
        **kept,
        **({"TRITON_INTERPRET": "1"} if mode == "count" else {}),
        "TRITON_CACHE_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "OMP_NUM_THREADS": "1",
    }


class Pool:
    """Up to `size` requests at a time; processes start when they are first needed."""

    def __init__(self, size: int | None = None) -> None:
        n = size or len(os.sched_getaffinity(0))
        self._cache = tempfile.TemporaryDirectory(prefix="traincost-static-")
        self._threads = ThreadPoolExecutor(n)
        self._idle: dict[Mode, queue.SimpleQueue[Worker]] = {
            "compile": queue.SimpleQueue(),
            "count": queue.SimpleQueue(),
        }
        self._all: list[Worker] = []
        self._lock = Lock()

    def submit(self, mode: Mode, *request: object) -> Future[Any]:
        """Hand a request to a worker of this mode.

        The future raises WorkerUnavailableError where the request needs something that is not
        installed, and WorkerError where it failed or the worker ended.
        """
        return self._threads.submit(self._ask, mode, request)

    def _ask(self, mode: Mode, request: Sequence[object]) -> Any:
        try:
            worker = self._idle[mode].get_nowait()
        except queue.Empty:
            worker = Worker(mode, Path(self._cache.name))
            with self._lock:
                self._all.append(worker)
        found = worker.ask(*request)
        self._idle[mode].put(worker)
        if isinstance(found, Failure):
            error = WorkerUnavailableError if found.unavailable else WorkerError
            raise error(found.reason) from WorkerError(found.details)
        return found

    def close(self) -> None:
        """Drop what is waiting and end all processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._all:
            worker.close()
        self._threads.shutdown()
        self._cache.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
