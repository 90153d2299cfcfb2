"""Files that a command is asked to write: refused before it starts, whole or as they were."""

import os
import re
from pathlib import Path
from typing import NoReturn

import pytest
from gate_rows import SLOWER, pairs
from two_machines import write

from traincost import cli
from traincost.data.errors import BadInputError
from traincost.data.outputs import Output, Taken, check_outputs, write_output
from traincost.verbs.ab import BASE


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    write(Path("base.csv"), pairs("b", SLOWER))
    write(Path("head.csv"), pairs("h", [2 * t for t in SLOWER]))
    Path("pyproject.toml").write_text("[tool.traincost.gate]\n")
    Path("folder").mkdir()
    Path("link.csv").symlink_to("base.csv")
    Path("circle").symlink_to("circle")
    os.link("head.csv", "hard.csv")


def contents() -> dict[str, bytes | None]:
    """All that is here."""
    return {
        str(p): None if p.is_symlink() or p.is_dir() else p.read_bytes() for p in Path().rglob("*")
    }


REFUSED = [
    ("none/x.xml", "there is no folder"),
    ("head.csv/x.xml", "Not a directory|there is no folder"),
    ("folder", "is a folder"),
    ("/", "is a folder"),
    ("circle", "circle"),
    ("x" * 300, "File name too long"),
    ("x" * 253, "File name too long"),
    ("base.csv", "is a file of BASE"),
    ("link.csv", "is a file of BASE"),
    ("folder/../base.csv", "is a file of BASE"),
    ("hard.csv", "is a file of HEAD"),
    ("pyproject.toml", "is the policy"),
    ("summary.md", r"is \$GITHUB_STEP_SUMMARY"),
]


@pytest.mark.parametrize("option", ["--junit", "--markdown"])
@pytest.mark.parametrize(("path", "said"), REFUSED)
def test_the_gate_refuses_a_file_before_it_judges_and_writes_nothing(
    path: str,
    said: str,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    before = contents()
    other = "--markdown" if option == "--junit" else "--junit"
    assert cli.main(["gate", "base.csv", "head.csv", option, path, other, "fine"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith(f"traincost gate: {option} {path}: ") and "; expected" in err
    assert re.search(said, err)
    assert contents() == before


def test_two_outputs_are_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.md").symlink_to("b.md")
    command = ["gate", "base.csv", "head.csv", "--junit", "b.md", "--markdown", "a.md"]
    assert cli.main(command) == 2
    assert "--markdown a.md: is the file of --junit" in capsys.readouterr().err
    assert not Path("b.md").exists()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("out/base.csv", "is where BASE's rows go"),
        ("out/head.csv", "is where HEAD's rows go"),
        ("out", "is a folder that is made"),
        ("none/x.xml", "there is no folder"),
        ("suite.py", "is the suites"),
        *(case for case in REFUSED if case[0] in ("folder", "circle", "pyproject.toml")),
    ],
)
def test_the_ab_refuses_a_file_before_it_lays_out_anything(
    path: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("suite.py").write_text("")
    before = contents()
    arguments = ("--output", "out", "--suites-from", "suite.py", "--junit", path)
    assert cli.main(["ab", "no_such_revision", *arguments]) == 2
    err = capsys.readouterr().err
    assert f"--junit {path}: {said}" in err or (path == "circle" and "--junit circle: " in err)
    assert contents() == before


def test_an_output_may_go_into_the_folder_that_the_ab_makes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in ("out/new/gate.xml", "out/gate.xml"):
        cli.main(["ab", "no_such_revision", "--output", "out/new", "--junit", path])
        assert "BASE 'no_such_revision'" in capsys.readouterr().err


def test_a_page_never_takes_the_place_of_what_it_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents()
    for path, said in (*REFUSED[:7], ("base.csv", "is a file of"), ("hard.csv", "is a file of")):
        assert cli.main(["report", "base.csv", "head.csv", "-o", path]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"traincost report: --output {path}: ")
        assert said.partition("|")[0] in err or "there is no folder" in err
    assert contents() == before


def test_what_cannot_be_written_whole_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(28, "No space left on device")

    Path("old.md").write_text("old")
    before = contents()
    monkeypatch.setattr(os, "fsync", full)
    for name in ("old.md", "new.md"):
        with pytest.raises(BadInputError, match=f"--markdown {name}: No space left on device"):
            write_output(Output("--markdown", Path(name)), "new")
    assert contents() == before


def test_a_link_stays_a_link_and_a_file_keeps_its_mode() -> None:
    Path("old.md").write_text("old")
    Path("old.md").chmod(0o600)
    Path("to_old").symlink_to("old.md")
    write_output(Output("--markdown", Path("to_old")), "new\ud800")
    assert Path("to_old").is_symlink() and Path("old.md").read_text() == "new\\ud800"
    assert Path("old.md").stat().st_mode & 0o777 == 0o600


def test_a_device_can_be_several_outputs_and_is_written_to() -> None:
    null = [Output(option, Path("/dev/null")) for option in ("--junit", "--markdown")]
    check_outputs(null, [Taken(BASE, Path("/dev/null"))])
    for output in null:
        write_output(output, "text")
    assert Path("/dev/null").is_char_device()
