"""A watched command gets the signals that it would get, and the summary still comes."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from project import environment
from watching import EXIT_3, WATCH, python, told_code, watched

from traincost.child import Child
from traincost.data.errors import BadInputError
from traincost.watch import Watched, watch

COUNTS_INTERRUPTS = python(
    """
    import signal, time
    got = []
    signal.signal(signal.SIGINT, lambda *_: got.append(1))
    print("ready", flush=True)
    deadline = time.monotonic() + 20
    while not got and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    print("interrupts", len(got), flush=True)
    raise SystemExit(5)
    """
)


def test_a_signal_is_passed_on_and_the_summary_still_comes() -> None:
    with subprocess.Popen(
        [*WATCH, "--", *COUNTS_INTERRUPTS],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert out == "interrupts 1\n"
    assert process.returncode == 5
    assert told_code(err) == 5


def test_ctrl_c_reaches_the_command_once() -> None:
    """The terminal sends it to both."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*WATCH, "--", *COUNTS_INTERRUPTS], environment())
    shown = b""
    while b"ready" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    while b"host_peak_bytes" not in shown:
        shown += os.read(terminal, 1024)
    assert b"interrupts 1" in shown
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    os.close(terminal)


def test_a_command_that_ends_by_a_signal_that_was_passed_on_has_its_code() -> None:
    with subprocess.Popen(
        [*WATCH, "--", *python("print('ready', flush=True); import time; time.sleep(30)")],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM


def test_signals_that_were_blocked_for_the_command_are_as_before() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    watched("true")
    with pytest.raises(BadInputError):
        watched("no-such-program")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    blocked = watched(
        *python("import signal; exit(len(signal.pthread_sigmask(0, ())))")
    ).host.exit_code
    assert blocked == len(before)


def test_ctrl_c_that_comes_with_the_end_of_the_command_does_not_end_the_watching() -> None:
    child = Child.start(("sleep", "30"))
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    signal.raise_signal(signal.SIGINT)  # waits until it is asked for
    try:
        ended = child.wait(5.0)
        child.release()
    except KeyboardInterrupt:  # which would end all tests
        pytest.fail("the interrupt reached the watching")
    assert ended is not None
    assert ended.exit_code == 128 + signal.SIGKILL


def test_ctrl_c_while_the_summary_is_written_does_not_cut_it_off() -> None:
    told = list[int]()

    def tell(found: Watched) -> None:
        signal.raise_signal(signal.SIGINT)
        told.append(found.host.exit_code)

    try:
        watch(EXIT_3, 1.0, lambda _: None, on_end=tell)
    except KeyboardInterrupt:  # which would end all tests
        pytest.fail("the interrupt reached the watching")
    assert told == [3]


def state_of(pid: int) -> str:
    """One letter; T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_stop_and_continue_stop_and_continue_the_command_and_the_watching() -> None:
    """In a group of its own in this session: nobody could wake a group that nobody controls."""
    with subprocess.Popen(
        [*WATCH, "--", "sh", "-c", "echo $$; read line; exit 5"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        pids = (int(process.stdout.readline()), process.pid)
        try:
            for signum, stopped in ((signal.SIGTSTP, True), (signal.SIGCONT, False)):
                process.send_signal(signum)
                deadline_s = time.monotonic() + 30
                while any((state_of(pid) == "T") != stopped for pid in pids):
                    assert time.monotonic() < deadline_s, [state_of(pid) for pid in pids]
                    time.sleep(0.01)
            process.communicate("go on\n", timeout=30)
        finally:
            if process.poll() is None:
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
        assert process.returncode == 5
