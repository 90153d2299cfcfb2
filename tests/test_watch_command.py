"""A watched command is run as if nobody watched: streams, arguments, signals, exit code."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from project import environment
from watching import EXIT_3, WATCH, python, told_code, watched

from traincost.cli import main

# The command is run as it would be.


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
        assert watched(*python(says)).host.exit_code == 6
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGCHLD, before)
