"""A watched command is run as if nobody watched: streams, arguments, signals, exit code."""

import os
import pty
import re
import signal
import subprocess
import sys
import textwrap

import pytest
from project import environment

from traincost.cli import main
from traincost.data.errors import BadInputError
from traincost.watch import watch

WATCH = (sys.executable, "-m", "traincost", "watch")


def python(code: str) -> tuple[str, str, str]:
    return (sys.executable, "-c", textwrap.dedent(code))


# The command is run as it would be.


def watched(*command: str) -> int:
    return watch(command, 1.0, lambda _: None).host.exit_code


def told_code(shown: str) -> int:
    """The exit code that the summary tells."""
    [code] = re.findall(r"^ exit_code +(\d+)", shown, re.M)
    return int(code)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (python("import sys; print(input()); sys.exit(7)"), 7),
        (("sh", "-c", "cat; kill -9 $$"), 137),
    ],
)
def test_streams_and_exit_code_are_the_commands(command: tuple[str, ...], code: int) -> None:
    done = subprocess.run(
        [*WATCH, "--", *command],
        env=environment(),
        input="given\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert done.stdout == "given\n"
    assert told_code(done.stderr) == code


@pytest.mark.parametrize("between", [["--"], []])
def test_arguments_of_the_command_are_left_alone(
    capfd: pytest.CaptureFixture[str], between: list[str]
) -> None:
    words = ["--format", "x", "--", "--help", "a b"]
    command = [sys.executable, "-c", "import sys; print(sys.argv[1:])", *words]
    assert main(["watch", *between, *command]) == 0
    assert capfd.readouterr().out == f"{words}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--", "no-such-program"], ["'no-such-program'", "No such file", "expected"]),
        (["--", "/"], ["'/'", "Permission denied"]),
        (["--"], ["expected a command"]),
        ([], ["expected a command"]),
        (["--interval", "0", "--", "true"], ["--interval '0'", "expected seconds from 0.05 to 60"]),
        (["--interval", "nan", "--", "true"], ["--interval 'nan'", "expected"]),
        (["--trace", "/no/t.csv", "--", "true"], ["--trace '/no/t.csv'", "expected"]),
        (["--output", "/no/s", "--", "true"], ["--output '/no/s'", "expected"]),
        (["--wings", "--", "true"], ["--wings"]),
    ],
)
def test_what_cannot_be_run_is_one_line_and_exit_2(
    capfd: pytest.CaptureFixture[str], arguments: list[str], says: list[str]
) -> None:
    try:
        code: object = main(["watch", *arguments])
    except SystemExit as e:
        code = e.code
    shown = capfd.readouterr()
    assert code == 2
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert all(text in shown.err for text in says), shown.err


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
    blocked = watched(*python("import signal; exit(len(signal.pthread_sigmask(0, ())))"))
    assert blocked == len(before)
