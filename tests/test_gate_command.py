"""`traincost gate BASE HEAD` on files: exit codes, the policy, and bad input in one line."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from gate_rows import SLOWER, row, runs
from project import environment

from traincost.cli import main
from traincost.data.record import Record
from traincost.data.results import to_csv


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in this checkout, whose pyproject.toml would be found, nor in GitHub's CI."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def written(name: str, rows: Sequence[Record]) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(to_csv(rows))
    return name


@pytest.fixture
def base() -> str:
    return written("base.csv", runs("b", SLOWER))


@pytest.mark.parametrize(
    ("head", "policy", "code"),
    [
        (runs("h", SLOWER), "", 0),
        (runs("h", [2 * t for t in SLOWER]), "", 1),
        (runs("h", SLOWER[:1]), "", 0),
        (runs("h", SLOWER[:1]), "required = ['batch/*']", 3),
        (runs("h", SLOWER), "required = ['kernels/*']", 1),
        (runs("h", SLOWER, workload="changed"), "", 2),
    ],
)
def test_the_exit_code_says_what_was_found(
    base: str, head: Sequence[Record], policy: str, code: int
) -> None:
    Path("pyproject.toml").write_text(f"[tool.traincost.gate]\n{policy}\n")
    assert main(["gate", base, written("head.csv", head)]) == code


def test_folders_are_read_whole() -> None:
    for side in ("base", "head"):
        for r in runs(side, SLOWER):
            written(f"{side}/{r.run_id}.csv", [r])
    assert main(["gate", "base", "head"]) == 0


def test_options_go_above_the_policy(base: str) -> None:
    head = written("head.csv", runs("h", SLOWER[:1]))
    assert main(["gate", base, head, "--inconclusive", "fail"]) == 3
    assert main(["gate", base, head, "--inconclusive", "fail", "--exact-only"]) == 0
    Path("strict.toml").write_text("[tool.traincost.gate]\ninconclusive = 'fail'\n")
    assert main(["gate", base, head, "--policy", "strict.toml"]) == 3
    assert main(["gate", base, head, "--policy", "strict.toml", "--inconclusive", "warn"]) == 0


def test_a_named_policy_must_have_the_table_and_one_that_is_found_need_not(
    base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head = written("head.csv", runs("h", SLOWER))
    Path("pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert main(["gate", base, head]) == 0
    capsys.readouterr()
    assert main(["gate", base, head, "--policy", "pyproject.toml"]) == 2
    assert "pyproject.toml: no [tool.traincost.gate]; expected" in capsys.readouterr().err
    Path("pyproject.toml").write_text("[tool.traincost.gate]\n")
    assert main(["gate", base, head, "--policy", "pyproject.toml"]) == 0


def test_the_margin_of_the_command_line_decides_what_is_held(
    base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head = written("head.csv", runs("h", [1.019 * t for t in SLOWER]))
    assert main(["gate", base, head, "--fail-if-slower", "3%"]) == 0
    assert "1 held" in capsys.readouterr().out
    assert main(["gate", base, head, "--fail-if-slower", "1.5%"]) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.csv", "head.csv"], "none.csv: no such file or folder"),
        (["empty.csv", "head.csv"], "empty.csv"),
        (["header.csv", "head.csv"], "header.csv: no rows"),
        (["folder", "head.csv"], "folder: expected at least one result CSV"),
        (["zero.csv", "head.csv"], "time_median_s"),
        (["nan.csv", "head.csv"], "time_median_s: 'nan'"),
        (["other.csv", "head.csv"], "no case in common"),
        (["head.csv", "head.csv"], "run 'h0' stands in BASE and in HEAD"),
        (["twice", "head.csv"], "stands in"),
        (["base.csv", "head.csv", "--fail-if-slower", "5"], "--fail-if-slower '5': expected"),
        (["base.csv", "head.csv", "--fail-if-slower", "0"], "expected a share above 0"),
        (["base.csv", "head.csv", "--policy", "none.toml"], "none.toml"),
        (["base.csv", "head.csv", "--junit", "no/x.xml"], "--junit no/x.xml"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    base: str, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written("head.csv", runs("h", SLOWER))
    Path("empty.csv").touch()
    Path("header.csv").write_text(to_csv([]))
    Path("folder").mkdir()
    good = Path(base).read_text()
    Path("zero.csv").write_text(good.replace("0.001,", "0.0,", 1))
    Path("nan.csv").write_text(good.replace("0.001,", "nan,", 1))
    written("other.csv", [row("o", case_id="other/x")])
    for copy in ("one", "two"):
        written(f"twice/{copy}.csv", runs("b", SLOWER))
    assert main(["gate", *arguments]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1 and "Traceback" not in err


def test_no_bad_input_is_a_command_to_githubs_runner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    evil = "x\n::error::owned"
    twice = written("twice.csv", [row(evil, case_id=evil)])
    written("named.csv", [row("n", case_id=evil)])
    other = written("other.csv", [row("o")])
    for verb, *files in (
        ("gate", twice, twice),
        ("gate", "named.csv", other),
        ("gate", f"none{evil}.csv", other),
        ("compare", "named.csv", other),
    ):
        assert main([verb, *files]) == 2
        out, err = capsys.readouterr()
        assert not any(line.lstrip().startswith("::") for line in (out + err).splitlines())


def test_help_imports_neither_torch_nor_pandas_nor_scipy() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, pandas=None, scipy=None, numpy=None);"
        "from traincost.cli import main; main(['gate', '--help'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--fail-if-slower" in done.stdout
