"""A command run as if nothing stood between it and who started it: streams, signals, exit code.

Signals that reach this process are passed on. Those that a terminal sends (Ctrl-C, Ctrl-Z) go to
the whole group, so the command has them already; they are not sent twice. Ctrl-Z stops this process
as it stops the command, for the shell to see.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from traincost.data.errors import BadInputError
from traincost.instruments.process_tree import peak_bytes

PASSED_ON = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGTSTP,
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


@dataclass(frozen=True)
class _Signals:
    """How this process treated signals before a command was started."""

    mask: set[signal.Signals]
    on_child_end: Callable[..., object] | int | None

    @classmethod
    def hold(cls) -> _Signals:
        """From here on they wait; where ended children are ignored none could be waited for."""
        on_child_end = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        mask = {signal.Signals(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)}
        return cls(mask, on_child_end)

    def restore(self) -> None:
        """As it was, in this process or in a new one."""
        if self.on_child_end is not None:  # None: set by other than Python, which cannot set it
            signal.signal(signal.SIGCHLD, self.on_child_end)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


@dataclass
class Child:
    """The command, once started. From `start` to `release` signals are held for `wait`."""

    pid: int
    started_s: float
    _signals: _Signals
    _own_bytes: int
    _process: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(cls, command: Sequence[str]) -> Child:
        """Run it; BadInputError if it cannot be."""
        own_bytes = peak_bytes(os.getpid()) or 0
        signals = _Signals.hold()
        started_s = time.monotonic()
        try:
            process = subprocess.Popen(command, preexec_fn=signals.restore)
        except (OSError, subprocess.SubprocessError) as e:  # the latter: Ctrl-C in this moment
            signals.restore()
            reason = e.strerror if isinstance(e, OSError) else None
            raise _cannot_start(command[0], reason or str(e)) from e
        return cls(process.pid, started_s, signals, own_bytes, process)

    def wait(self, timeout_s: float) -> Ended | None:
        """Until it ends, None if it does not in time; passes signals on meanwhile."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            now_s = time.monotonic()
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._process.returncode = code
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
            if got is not None:
                self._pass_on(got)

    def release(self) -> None:
        """Treat signals as before; those that came too late for the command are dropped."""
        while signal.sigtimedwait(PASSED_ON, 0) is not None:
            pass
        self._signals.restore()

    def _pass_on(self, got: signal.struct_siginfo) -> None:
        if got.si_signo in PASSED_ON and got.si_code <= 0:  # sent by a process, not a terminal
            with suppress(PermissionError):  # a command of another user, as of sudo
                os.kill(self.pid, got.si_signo)
        if got.si_signo == signal.SIGTSTP and signal.SIGCONT not in signal.sigpending():
            # By the signal's own action, which leaves a process alone that nobody could wake.
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})


def check_command(command: Sequence[str]) -> None:
    """BadInputError if there is no such program, before anything was done for it."""
    program = command[0]
    if shutil.which(program) is not None:
        return
    folders = [""] if os.sep in program else os.get_exec_path()
    there = program and any(Path(folder, program).exists() for folder in folders)
    raise _cannot_start(program, os.strerror(errno.EACCES if there else errno.ENOENT))


def _cannot_start(program: str, reason: str) -> BadInputError:
    text = f"{program!r} cannot be started: {reason}; expected a program and its arguments"
    return BadInputError(text)
