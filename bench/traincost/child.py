"""A command run as if nothing stood between it and who started it: streams, signals, exit code.

Signals that reach this process are passed on. Those that a terminal sends (Ctrl-C) go to the whole
group, so the command has them already; they are not sent twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from traincost.data.errors import BadInputError
from traincost.instruments.process_tree import look

PASSED_ON = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGCONT,
    }
)
_WAITED_FOR = PASSED_ON | {signal.SIGCHLD}


@dataclass(frozen=True)
class Ended:
    """The end of a command."""

    time_s: float  # on the clock `time.monotonic`
    exit_code: int  # 128 + N where signal N ended it, as shells have it
    cpu_time_s: float  # of it and all that it waited for
    largest_bytes: int | None  # the most that one of them held; None if it was not much


@dataclass
class Child:
    """The command, once started. Between `start` and its end signals are held for `wait`."""

    pid: int
    started_s: float
    _mask: set[signal.Signals]
    _own_bytes: int
    _process: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(cls, command: Sequence[str]) -> Child:
        """Run it; BadInputError if it cannot be."""
        own_bytes = look(os.getpid()).largest_bytes or 0
        mask = {signal.Signals(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)}
        started_s = time.monotonic()
        try:
            process = subprocess.Popen(
                command, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            )
        except OSError as e:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            reason = e.strerror or str(e)
            raise BadInputError(
                f"{command[0]!r} cannot be started: {reason}; expected a program and its arguments"
            ) from e
        return cls(process.pid, started_s, mask, own_bytes, process)

    def wait(self, timeout_s: float) -> Ended | None:
        """Until it ends, None if it does not in time; passes signals on meanwhile."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            now_s = time.monotonic()
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._process.returncode = code
                signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
                # The kernel's mark begins with what this process held when it forked.
                largest_bytes = usage.ru_maxrss * 1024
                return Ended(
                    now_s,
                    code if code >= 0 else 128 - code,
                    usage.ru_utime + usage.ru_stime,
                    largest_bytes if largest_bytes > self._own_bytes else None,
                )
            if now_s >= deadline_s:
                return None
            got = signal.sigtimedwait(_WAITED_FOR, deadline_s - now_s)
            if got is not None and got.si_signo in PASSED_ON and got.si_code <= 0:
                os.kill(self.pid, got.si_signo)
