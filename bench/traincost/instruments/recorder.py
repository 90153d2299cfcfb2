"""The recorder as the measuring process sees it: started, asked, and never waited for in vain.

It is a process of its own (`recorder_process.py`), so that polling takes no time from the Python
that runs the step, and so that a driver which hangs or kills what calls it harms nobody else. It
reads only between `on` and `off`; in timed rounds it sleeps.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from traincost.instruments.own_process import python_running
from traincost.instruments.recording import Recording

OPEN_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 2.0
SLOW_CALL_S, HANGING_S = 0.05, 0.5
SHOWN = 80
_MODULE = "traincost.instruments.recorder_process"


class RecorderGoneError(Exception):
    """The recorder can give no readings; the text says why."""


@dataclass
class Recorder:
    """Records one GPU, found as `open_gpu` does; RecorderGoneError from any method, but in time."""

    uuid: str | None
    pci_bus_id: str | None = None
    command: Sequence[str] = field(default_factory=lambda: python_running(_MODULE))
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _errors: IO[bytes] | None = field(default=None, init=False)
    _unread: bytes = field(default=b"", init=False)

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    def open(self) -> Recording:
        """Start the process if it does not run; what is known of the GPU, or of why it is not."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        deadline_s = time.monotonic() + OPEN_TIMEOUT_S
        while True:
            opened = self.take()
            if opened.facts:
                return opened
            if opened.faults:
                self.close()  # what failed may work the next time
                return opened
            if time.monotonic() > deadline_s:
                raise self._gone(f"the recorder did not start within {OPEN_TIMEOUT_S:.0f} s")
            time.sleep(0.01)

    def on(self) -> None:
        """Readings begin."""
        self._say("on")

    def off(self) -> None:
        """Readings end; nothing to say to a recorder that is gone."""
        with suppress(RecorderGoneError):
            self._say("off")

    def take(self) -> Recording:
        """What was read since the last time; waits for a call to NVML that takes long."""
        taken = self._taken()
        while taken.calling_s > SLOW_CALL_S:
            if taken.calling_s > HANGING_S:
                raise self._gone(f"{taken.calling} does not return")
            time.sleep(SLOW_CALL_S)
            taken = taken.then(self._taken())
        return taken

    def _taken(self) -> Recording:
        self._say("take")
        while not (line := self._line()).startswith("{"):
            pass  # what others print when Python starts is no answer
        try:
            return Recording.from_line(line)
        except (ValueError, KeyError, TypeError) as e:
            raise self._gone(f"the recorder answered {line[:SHOWN]!r}") from e

    def close(self) -> None:
        """End the process; it may be dead already, or hang."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout, self._errors):
            if stream is not None:
                stream.close()
        process.wait()

    def _start(self) -> None:
        self.close()
        self._unread = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [*self.command, self.uuid or "", self.pci_bus_id or ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            start_new_session=True,  # Ctrl-C ends the measuring process, and that ends this one
        )

    def _say(self, word: str) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise RecorderGoneError("the recorder is not running")
        try:
            process.stdin.write(f"{word}\n".encode())
        except OSError as e:
            raise self._gone(self._end_of(process)) from e

    def _line(self) -> str:
        process = self._process
        assert process is not None and process.stdout is not None  # `_say` came before
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while b"\n" not in self._unread:
            wait_s = max(0.0, deadline_s - time.monotonic())
            if not select.select([process.stdout], [], [], wait_s)[0]:
                raise self._gone(f"the recorder did not answer within {ANSWER_TIMEOUT_S:g} s")
            read = os.read(process.stdout.fileno(), 1 << 16)
            if not read:
                raise self._gone(self._end_of(process))
            self._unread += read
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode(errors="replace")

    def _end_of(self, process: subprocess.Popen[bytes]) -> str:
        try:
            code = process.wait(ANSWER_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "the recorder closed its streams"
        if code < 0:
            return f"the recorder process ended ({signal.Signals(-code).name})"
        assert self._errors is not None  # it is opened with the process
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        return f"the recorder process ended (exit code {code}): {last}"

    def _gone(self, reason: str) -> RecorderGoneError:
        self.close()
        return RecorderGoneError(reason)
