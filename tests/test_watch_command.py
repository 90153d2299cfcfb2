"""A watched command is run as if nobody watched: streams, arguments, signals, exit code."""

import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from project import environment

from traincost.child import Child
from traincost.cli import main
from traincost.data.errors import BadInputError
from traincost.watch import Watched, watch

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


@pytest.mark.parametrize("command", ["no-such-program", "/", "./not-executable", ""])
def test_a_command_that_cannot_be_started_leaves_files_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("keep.csv", "trace.csv", "not-executable"):
        (tmp_path / name).write_text("kept")
    options = ["--output", "keep.csv", "--trace", "trace.csv"]
    assert main(["watch", *options, "--", command]) == 2
    assert {file.read_text() for file in tmp_path.iterdir()} == {"kept"}


def test_a_program_that_turns_out_not_to_be_one_leaves_files_as_they_are(tmp_path: Path) -> None:
    kept, broken = tmp_path / "keep.csv", tmp_path / "broken"
    kept.write_text("kept")
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    assert main(["watch", "--output", str(kept), "--", str(broken)]) == 2
    assert kept.read_text() == "kept"


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("other", ["x", "./x", "link"])
def test_summary_and_trace_in_one_file_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    there: bool,
    other: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("x")
    if there:
        (tmp_path / "x").write_text("kept")
    assert main(["watch", "--output", "x", "--trace", other, "--", "true"]) == 2
    assert "expected two files" in capsys.readouterr().err
    assert (tmp_path / "x").exists() == there
    assert not there or (tmp_path / "x").read_text() == "kept"


# Its exit code.

EXIT_3 = ("sh", "-c", "exit 3")


def run_under_sh(script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A script in which "$@" is `traincost watch` with these arguments."""
    return subprocess.run(
        ["sh", "-c", script, "sh", *WATCH, *arguments],
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "script",
    [
        '"$@" 2>/dev/full',
        '"$@" 2>&-',
        '"$@" >&-',
        '"$@" <&- >&- 2>&-',
        # The reader of the pipe has ended before the command does.
        'p=$(mktemp -u) && mkfifo $p && exec 3<>$p 4>$p 3>&- && rm $p && "$@" 2>&4',
    ],
)
def test_the_exit_code_is_the_commands_whoever_reads_the_summary(script: str) -> None:
    done = run_under_sh(script, "--", *EXIT_3)
    assert done.returncode == 3
    assert done.stdout == ""


@pytest.mark.parametrize("option", [[], ["--format", "json"], ["--output"]])
def test_the_exit_code_is_the_commands_whatever_it_is_called(
    tmp_path: Path, option: list[str]
) -> None:
    files = [str(tmp_path / "summary")] if option == ["--output"] else []
    script = '"$@" "$(printf "\\377")"'
    ascii_only = {"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C"}
    done = run_under_sh(script, *option, *files, "--", *EXIT_3, **ascii_only)
    assert done.returncode == 3
    text = Path(files[0]).read_text() if files else done.stderr
    assert "exit_code" in text
    assert "Traceback" not in done.stderr


def test_the_exit_code_is_the_commands_where_the_summary_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def odd(*_: object) -> str:
        raise ImportError("no rich")

    monkeypatch.setattr("traincost.show.watch.render", odd)
    assert main(["watch", "--", *EXIT_3]) == 3
    assert capsys.readouterr().err == "traincost watch: exit_code 3; ImportError: no rich\n"


def test_the_exit_code_is_the_commands_where_the_parent_ignores_ended_children() -> None:
    """And the command is started with them ignored, as it would have been."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        says = "import signal; exit(5 + (signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN))"
        assert watched(*python(says)) == 6
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGCHLD, before)


# Signals.

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
