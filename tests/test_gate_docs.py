"""The how-to of the gate: its policy is read, its commands run, its workflows are sound."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gate_rows import SLOWER, runs
from project import ROOT

from traincost import cli
from traincost.data.results import to_csv
from traincost.judge.exact import EXACT, NAMED_MACHINE, SAME
from traincost.judge.line import Outcome
from traincost.judge.policy import STATISTICAL, read_policy
from traincost.show.gate import MARKER

PAGE = (ROOT / "docs/how-to/gate-ci.md").read_text()
REFERENCE = (ROOT / "docs/reference.md").read_text()
WORKFLOWS = sorted((ROOT / "docs/how-to/workflows").glob("*.yml"))
TEXTS = [pytest.param(w.read_text(), id=w.stem) for w in WORKFLOWS]


def tool(name: str) -> str:
    """The path of a checker beside this Python or on the path; skips without it."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; `tox run -e workflows` has it")
    return found


def test_the_policy_of_the_how_to_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "pyproject.toml").write_text(text)
    policy = read_policy(tmp_path / "pyproject.toml")
    assert policy.limit_rel("batch/x", "step_peak_bytes") == 0.01
    assert policy.is_required("batch/x")


def test_the_commands_of_the_how_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    for side in ("base", "head"):
        Path("results", side).mkdir(parents=True)
        for file in (Path(f"{side}.csv"), Path("results", side, "run.csv")):
            file.write_text(to_csv(runs(side, SLOWER)))
    (block,) = re.findall(r"^```console\n(.*?)^```", PAGE, re.M | re.S)
    for line in block.splitlines():
        assert cli.main(shlex.split(line)[1:]) == 0
    assert Path("gate.xml").exists() and Path("gate.md").exists()


def test_every_workflow_is_named_in_the_how_to_and_checked_by_tox() -> None:
    tox = (ROOT / "tox.ini").read_text()
    assert len(WORKFLOWS) == 2
    for workflow in WORKFLOWS:
        assert f"(workflows/{workflow.name})" in PAGE
        assert tox.count(f"docs/how-to/workflows/{workflow.name}") == 2


@pytest.mark.parametrize("text", TEXTS)
def test_every_command_of_a_workflow_is_one_that_traincost_has(text: str) -> None:
    joined = re.sub(r"\\\n\s*", " ", text)
    joined = re.sub(
        r"run: >-\n((?: {10}.*\n)+)", lambda m: f"run: {' '.join(m[1].split())}\n", joined
    )
    lines = re.findall(r"^(?: *run:)? *(?:env-head/bin/)?(traincost .*)$", joined, re.M)
    assert lines
    for line in lines:
        given, rest = cli._split(shlex.split(line)[1:])
        options = cli._parser().parse_args(given)  # exits on an option that isn't there
        assert options.verb.name in ("ab", "gate", "machine")
        assert rest == [] or rest == ["suites", "--cost-device", "cuda"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_workflow_pins_its_actions_and_asks_for_as_little_as_it_can(text: str) -> None:
    uses = re.findall(r"uses: (\S+)(.*)", text)
    assert uses
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action, _ in uses)
    assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", version) for _, version in uses)
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")
    assert "\npermissions: {}\n" in text
    assert "pull_request_target" not in text


def test_the_comment_is_found_by_the_marker_that_the_report_begins_with() -> None:
    (cpu,) = (w.read_text() for w in WORKFLOWS if w.stem == "gate-cpu")
    assert f'startswith("{MARKER}")' in cpu


def test_workflows_fit_the_schema_of_github() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *WORKFLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing_in_the_workflows() -> None:
    command = [tool("zizmor"), "--offline", "--persona", "pedantic"]
    done = subprocess.run([*command, *WORKFLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_verdict_and_metric_is_documented_with_what_it_depends_on() -> None:
    section = REFERENCE.split("\n## `traincost gate`\n")[1].partition("\n## ")[0]
    for name in (*Outcome, *STATISTICAL, *EXACT):
        assert f"`{name}`" in section
    for metric in EXACT:
        (line,) = (
            row for row in section.splitlines() if row.startswith("|") and f"`{metric}`" in row
        )
        own = {c for c in SAME[metric] if c not in ("torch", "triton", "arch", NAMED_MACHINE)}
        columns = line.rpartition(" | ")[2]
        missing = {c for c in own - {"python"} if f"`{c}`" not in columns}
        assert not missing, f"{metric}: {missing}"
        assert ("Python" in columns) == ("python" in own)
