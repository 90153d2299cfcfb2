"""What the workflows of the gate's how-to do in the shell, done here: BASE's policy, both sides."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ab_project import SAME, SUITE, write_package
from project import ROOT, SHORT_CASES, SOURCES, environment

from traincost import cli
from traincost.data.errors import BadInputError
from traincost.data.results import read_records
from traincost.judge.policy import read_policy

CPU, GPU = (
    pytest.param((ROOT / f"docs/how-to/workflows/gate-{kind}.yml").read_text(), id=kind)
    for kind in ("cpu", "gpu")
)
OTHER = """
def test_other(train_cost):
    train_cost(lambda: None, samples=1, phase="op")
"""


def shell(lines: str, folder: Path, **variables: str) -> int:
    """As GitHub's runner does it; the exit code."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", lines]
    env = environment(**variables)
    return subprocess.run(command, cwd=folder, env=env, check=False).returncode


def has_policy(text: str) -> str:
    """The program in the workflow's environment."""
    (found,) = re.findall(r"^  HAS_POLICY: \|-\n((?: {4}.*\n)+)", text, re.M)
    return textwrap.dedent(found)


@pytest.mark.parametrize("text", [CPU, GPU])
@pytest.mark.parametrize(
    ("base", "is_kept"),
    [
        ("", False),
        ("[project]\nname = 'x'", False),
        ("[tool.other]\ngate = 1\n", False),
        ("tool = {other = 1}\n", False),
        ("[tool.traincost]\n", False),
        ('[tool.traincost.gate]\nrequired = ["a/*"]\n', True),
        ('  [ tool . traincost . gate ]\nrequired = ["a/*"]\n', True),
        ('[tool.traincost]\ngate = {required = ["a/*"]}\n', True),
        ('[tool]\ntraincost.gate.required = ["a/*"]\n', True),
        ('[tool.traincost.gate.thresholds]\n"a/*" = "off"\n', True),
        ("[tool.traincost]\ngate = {}\n", True),
    ],
)
def test_a_base_without_a_policy_gets_an_empty_one_and_any_other_is_kept(
    text: str, base: str, is_kept: bool, tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    lines = re.findall(r"^ +(test .*HAS_POLICY.*)$", text, re.M)
    assert len(lines) == text.count("--policy")
    for line in lines:
        file.write_text(base)
        python = re.sub(r"\$\(\S*python ", f"$({sys.executable} ", line)
        assert shell(f'policy="{file}"\n{python}', tmp_path, HAS_POLICY=has_policy(text)) == 0
        assert (file.read_text() == base) == is_kept
        policy = read_policy(file, must_have=True)
        assert policy.required == (("a/*",) if "required" in base else ())


@pytest.mark.parametrize("text", [CPU, GPU])
@pytest.mark.parametrize("base", ["[tool.traincost.gates]\n", "[tool", "tool = 5\n"])
def test_a_policy_that_is_none_is_not_replaced_by_the_defaults(
    text: str, base: str, tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    for line in re.findall(r"^ +(test .*HAS_POLICY.*)$", text, re.M):
        file.write_text(base)
        python = re.sub(r"\$\(\S*python ", f"$({sys.executable} ", line)
        shell(f'policy="{file}"\n{python}', tmp_path, HAS_POLICY=has_policy(text))
        with pytest.raises(BadInputError):
            read_policy(file, must_have=True)


@pytest.fixture
def sides(tmp_path: Path) -> Path:
    """`head` renames what its suite uses; each side has an environment with its own code."""
    for side in ("base", "head"):
        write_package(tmp_path / side, SAME)
        pytest_of_side = tmp_path / f"env-{side}" / "bin" / "pytest"
        pytest_of_side.parent.mkdir(parents=True)
        path = os.pathsep.join([SOURCES, str(tmp_path / side / "src")])
        pytest_of_side.write_text(
            f"#!/bin/sh\nexport PYTHONPATH='{path}'\n"
            f'exec {sys.executable} -m pytest -p traincost.plugin --cost-threads 1 "$@"\n'
        )
        pytest_of_side.chmod(0o755)
    package = tmp_path / "head/src/nap/__init__.py"
    package.write_text(package.read_text().replace("def work", "def labour"))
    (tmp_path / "head/suites").mkdir()
    (tmp_path / "head/suites/test_nap.py").write_text(SUITE.replace("work", "labour"))
    (tmp_path / "head/suites/test_other.py").write_text(OTHER)
    (tmp_path / "head/suites/conftest.py").write_text(textwrap.dedent(SHORT_CASES))
    return tmp_path


@pytest.mark.thorough
@pytest.mark.parametrize("text", [CPU])
def test_a_suite_that_base_does_not_fit_leaves_its_others_and_lets_no_required_case_pass(
    text: str, sides: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"- name: Run both sides\n +run: \|\n((?: {10}.*\n)+)", text)
    assert shell(textwrap.dedent(block), sides) == 0
    found = {
        side: {r.suite for f in (sides / "results" / side).glob("*.csv") for r in read_records(f)}
        for side in ("base", "head")
    }
    assert found == {"base": {"other"}, "head": {"nap", "other"}}
    monkeypatch.chdir(sides)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    Path("policy.toml").write_text('[tool.traincost.gate]\nrequired = ["nap/*"]\n')
    (gate,) = re.findall(r"env-head/bin/traincost (gate .*)\\\n +(.*) --policy", text)
    command = [*" ".join(gate).split(), "--policy", "policy.toml"]
    assert cli.main(command) == 3
    assert "nap/nap[kind=a]" in capsys.readouterr().out
    (sides / "head/src/nap/__init__.py").write_text("")
    assert shell(textwrap.dedent(block.replace("cp -r", ": cp -r")), sides) != 0
