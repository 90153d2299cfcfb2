"""The documentation: its commands run, its links lead somewhere, its tables are complete."""

import argparse
import contextlib
import importlib.util
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from forecast_rows import peaks, steps, write
from project import ROOT, SHORT_CASES, environment
from two_machines import A100, H100, benchmark_json, write_liger, write_runs

from traincost.cli import VERBS
from traincost.data.profile import PROFILES
from traincost.data.record import COLUMNS, Status
from traincost.data.results import read_records
from traincost.fixture import TrainCost
from traincost.run_fixture import TrainRun
from traincost.training import Budget, Training

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "results" / "README.md",
]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
DIFFICULTIES = " ".join(
    f"suites/test_{name}.py"
    for name in (
        *("gradients", "optimizers", "learning_rate"),
        *("data_requirements", "tuning", "efficiency"),
    )
)
ELSEWHERE = {  # run by CI itself, or as main parts of other tests
    "traincost gate results/base results/head --exact-only",
    "traincost gate base.csv head.csv --junit gate.xml --markdown gate.md",
    "pip install tox && tox run",
    "pip install tox && tox run -e suites",
    "tox run -e gpu",
    "traincost calibrate",
    "traincost calibrate --only simulation --full",
    "traincost calibrate --only real",
    "pytest suites --cost-profile standard",
    "pytest suites/test_kernels.py suites/test_fused_training.py --cost-profile standard",
    "python3 -m pytest suites",
    "pytest tests/kernels/test_catalog.py -k relu_squared",
    "python -m traincost_kernels.static relu_squared --dtype bf16",
    "pytest suites/test_kernels.py -k relu_squared --cost-profile standard",
    "pytest suites/test_machine.py suites/test_parameters.py suites/test_batch.py "
    "suites/test_dataset.py --cost-profile standard --cost-device cpu --cost-threads 1",
    "python tests/show_forecast.py --write results/reference/scaling-cpu-standard.csv",
    "python tests/write_difficulties_page.py",
    f"pytest {DIFFICULTIES} --cost-profile standard",
    f"pytest {DIFFICULTIES} --cost-profile standard --cost-device cpu --cost-threads 1"
    " --cost-results reference",
    "pytest suites/test_parallel.py --cost-profile standard",
    "torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29400"
    " -m traincost.parallel suites/test_parallel.py --cost-profile full",
}
FIRST = "pytest my_suite.py"
TYPES = {int: "integer", float: "number", str: "text"}


def blocks(language: str) -> list[tuple[Path, str]]:
    """Fenced blocks of a language, with their page."""
    found = [(page, m) for page in PAGES for m in FENCE.finditer(page.read_text())]
    return [(page, m[2]) for page, m in found if m[1] == language]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project with the suite of the documentation, and a first result."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(re.sub(r"^    ", "", SHORT_CASES, flags=re.M))
    (suite,) = (text for _, text in blocks("python") if "def test_step" in text)
    (folder / "my_suite.py").write_text(suite)
    run(folder, FIRST)
    for name, box in (("a100", A100), ("h100", H100)):
        write_runs(folder / name, box, 3)
    for name, factor in (("laptop", 2.0), ("server", 1.0)):
        text = benchmark_json(name, name, {"test_sort.py::test_sort": factor * 1e-3})
        (folder / f"{name}.json").write_text(text)
    write_liger(folder / "liger.csv")
    shutil.copytree(ROOT / "results" / "reference", folder / "results" / "reference")
    write(folder / "cpu.csv", [*steps(), *peaks()])
    write(folder / "gpu.csv", peaks(slowness=0.01, machine_id="m2"))
    if importlib.util.find_spec("pyarrow"):
        (code,) = (text for _, text in blocks("python") if "to_parquet" in text)
        with contextlib.chdir(folder):
            exec(compile(code, "scale.md", "exec"), {})
    return folder


def run(folder: Path, line: str) -> str:
    """Run a line of the documentation with this Python and this checkout."""
    (first, *rest) = shlex.split(line)
    program = {
        "pytest": ["-m", "pytest", "-p", "traincost.plugin"],
        "traincost": ["-m", "traincost"],
    }
    results = sorted((folder / "results").glob("*.csv"))
    files = [str(results[0]) if "FILE" in word else word for word in rest]
    done = subprocess.run(
        [sys.executable, *program[first], *files],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


COMMANDS = sorted(
    {line for _, text in blocks("console") for line in text.splitlines()} - ELSEWHERE - {FIRST}
)


@pytest.mark.thorough
@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_runs(project: Path, line: str) -> None:
    if "parquet" in line:
        pytest.importorskip("pyarrow")
    assert run(project, line)


def test_the_frame_of_the_documentation_can_be_read(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = (text for _, text in blocks("python") if "case_id" in text and "read_frame" in text)
    monkeypatch.chdir(project)
    exec(compile(code, "read-the-csv.md", "exec"), {})
    assert "my_suite/step" in capsys.readouterr().out


def test_every_link_leads_to_a_file_and_its_heading() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text()):
            if "://" not in target:
                file = page.parent / target if target else page
                assert file.exists(), f"{page.name}: {target}"
                assert not anchor or anchor in anchors(file), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_block_of_code_is_of_a_kind_that_is_run() -> None:
    found = {m[1] for page in PAGES for m in FENCE.finditer(page.read_text())}
    assert found == {"console", "python", "text", "toml"}  # text is output, toml a policy


def test_every_column_is_documented_with_its_type() -> None:
    text = read_the_csv()
    rows = re.findall(r"^\| `(\w+)` \| (text|integer|number) \|", text, re.M)
    assert rows == [(name, TYPES[kind]) for name, kind in COLUMNS.items()]


def test_every_option_of_the_plugin_is_documented() -> None:
    source = (ROOT / "bench/traincost/plugin.py").read_text()
    options = set(re.findall(r'"(--cost-[a-z]+)"', source))
    text = (ROOT / "docs/reference.md").read_text()
    assert options
    assert {o for o in options if f"`{o}" not in text} == set()


def test_every_verb_and_its_options_are_documented() -> None:
    text = (ROOT / "docs/reference.md").read_text()
    for verb in VERBS:
        assert f"`traincost {verb.name}`" in text
        parser = argparse.ArgumentParser(add_help=False)
        verb.add_options(parser)
        named = {word for a in parser._actions for word in a.option_strings}
        assert {option for option in named if f"`{option}" not in text} == set()


def test_every_argument_of_train_cost_is_documented() -> None:
    text = (ROOT / "docs/reference.md").read_text()
    rows = re.findall(r"^\| (`.+?`) \|", text.split("## `train_cost`")[1], re.M)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    wanted = list(inspect.signature(TrainCost.__call__).parameters)[1:]
    assert named[: len(wanted)] == wanted


def test_every_argument_of_train_run_is_documented() -> None:
    text = (ROOT / "docs/reference.md").read_text().split("## `train_run`")[1]
    named = re.findall(r"^\| `(\w+)` \|", text, re.M)
    wanted = list(inspect.signature(TrainRun.__call__).parameters)[1:]
    assert named[: len(wanted)] == wanted
    for kind in (Training, Budget):
        (shown,) = re.findall(rf"`{kind.__name__}\(([^)]*)\)`", text)
        assert [part.split("=")[0].strip() for part in shown.split(",")] == [
            f.name for f in fields(kind)
        ]


@pytest.mark.thorough
def test_the_training_of_the_documentation_reaches_its_target(tmp_path: Path) -> None:
    (suite,) = (text for _, text in blocks("python") if "def test_to_target" in text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "my_suite.py").write_text(suite)
    run(tmp_path, FIRST)
    (file,) = (tmp_path / "results").glob("*.csv")
    reached = [r.steps_to_target for r in read_records(file) if r.device == "cpu"]
    assert len(reached) == 6
    assert None not in reached


def test_every_status_and_profile_is_documented_as_it_is() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| (?:passes|fails|is skipped) \|", read_the_csv(), re.M
    )
    assert sorted(rows) == sorted(Status)
    text = (ROOT / "docs/reference.md").read_text()
    for p in PROFILES.values():
        line = f"| `{p.name}` | {p.timed_s:g} s | {p.timed_max_s:g} s | {p.warmup_s:g} s |"
        assert line in text


def read_the_csv() -> str:
    return (ROOT / "docs/how-to/read-the-csv.md").read_text()


def test_the_reader_is_given_the_two_commands_that_do_everything() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "pip install tox && tox run -e suites\n" in readme
    assert "pip install tox && tox run\n" in readme
