"""The plugin as a user meets it: a project of their own, pytest in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from project import ONE, SHORT_CASES, environment, run_pytest, write_project

from traincost.data.results import read_records

FATES = """
    def test_ok(train_cost):
        train_cost(**work())

    def test_raises(train_cost):
        raise KeyError("no such thing")

    def test_step_raises(train_cost):
        def step():
            raise ValueError("bad step")
        train_cost(step, samples=1)

    def test_diverges(train_cost):
        train_cost(lambda: float("nan"), samples=1)

    @pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
    def test_out_of_memory(train_cost, error):
        def step():
            raise error("out of memory")
        train_cost(step, samples=1)

    def test_allocator_fails(train_cost):
        train_cost(lambda: torch.empty(2**62, dtype=torch.uint8), samples=1)

    def test_builds_too_much(train_cost):
        torch.empty(2**62, dtype=torch.uint8)

    def test_twice(train_cost):
        train_cost(**work())
        train_cost(**work())

    def test_never(train_cost):
        pass

    def test_skips(train_cost):
        pytest.skip("needs a bigger box")

    def test_wrong_answer(train_cost):
        train_cost(**work())
        assert 1 == 2

    @pytest.fixture
    def broken():
        raise RuntimeError("set-up fails")

    def test_set_up_fails(train_cost, broken):
        train_cost(**work())

    def test_bad_samples(train_cost):
        train_cost(**work() | {"samples": 0})

    def test_bad_metric(train_cost):
        train_cost(**work(), metrics={"mfu": 0.5})

    def test_says_too_much(train_cost):
        raise ValueError("x" * 200_000)

    def test_last(train_cost):
        train_cost(**work())
"""


@pytest.mark.thorough
def test_every_case_leaves_a_row_with_its_status_and_the_suite_goes_on(tmp_path: Path) -> None:
    outcome = run_pytest(write_project(tmp_path, {"test_fates.py": FATES}))
    assert outcome.statuses == {
        "fates/ok": "ok",
        "fates/raises": "error",
        "fates/step_raises": "error",
        "fates/diverges": "diverged",
        "fates/out_of_memory[error=MemoryError]": "oom",
        "fates/out_of_memory[error=OutOfMemoryError]": "oom",
        "fates/allocator_fails": "oom",
        "fates/builds_too_much": "oom",
        "fates/twice": "error",
        "fates/never": "error",
        "fates/skips": "unavailable",
        "fates/wrong_answer": "invalid",
        "fates/set_up_fails": "error",
        "fates/bad_samples": "error",
        "fates/bad_metric": "error",
        "fates/says_too_much": "error",
        "fates/last": "ok",
    }
    notes = {r.case_id: r.notes or "" for r in outcome.records}
    assert "KeyError: 'no such thing'" in notes["fates/raises"]
    assert "nan at step 1" in notes["fates/diverges"]
    assert "called twice" in notes["fates/twice"]
    assert "never called" in notes["fates/never"]
    assert "needs a bigger box" in notes["fates/skips"]
    assert "samples=0: expected" in notes["fates/bad_samples"]
    assert "metric 'mfu' is a column of the instruments" in notes["fates/bad_metric"]
    twice = next(r for r in outcome.records if r.case_id == "fates/twice")
    assert twice.time_median_s is not None, "the numbers of the first call are kept"
    assert outcome.code == 1  # errors and wrong answers fail the session; oom and diverged do not
    assert "8 failed, 7 passed, 1 skipped" in outcome.output


@pytest.mark.thorough
def test_a_case_is_named_by_suite_test_and_the_axes_that_differ(tmp_path: Path) -> None:
    suite = """
        @pytest.mark.parametrize("batch_size", [4])
        @pytest.mark.parametrize("dtype", ["fp32", "tf32"])
        @pytest.mark.parametrize("phase", ["step", "forward"])
        @pytest.mark.parametrize("colour", ["red"])
        def test_train_step(train_cost, batch_size, dtype, phase, colour):
            metrics = {"glow_s": 0.5, "data_wait_share": lambda: 0.25}
            train_cost(**work(), axes={"hue": 3}, metrics=metrics)
    """
    outcome = run_pytest(write_project(tmp_path, {"test_it.py": suite}))
    rows = {r.case_id: r for r in outcome.records}
    assert set(rows) == {
        "it/train_step[batch_size=4,colour=red]",
        "it/train_step[batch_size=4,colour=red,phase=forward]",
        "it/train_step[batch_size=4,colour=red,matmul_precision=tf32]",
        "it/train_step[batch_size=4,colour=red,matmul_precision=tf32,phase=forward]",
    }
    row = rows["it/train_step[batch_size=4,colour=red,matmul_precision=tf32]"]
    assert (row.batch_size, row.dtype, row.matmul_precision, row.phase) == (
        4,
        "fp32",
        "tf32",
        "step",
    )
    assert dict(row.axes) == {"colour": "red", "hue": "3"}
    assert dict(row.metrics) == {"glow_s": 0.5}
    assert row.data_wait_share == 0.25


@pytest.mark.thorough
def test_without_cuda_one_unavailable_row_stands_for_the_cuda_cases_of_a_suite(
    tmp_path: Path,
) -> None:
    suite = """
        @pytest.mark.parametrize("batch_size", [1, 2])
        def test_step(train_cost, device, batch_size):
            train_cost(**work())
    """
    project = write_project(tmp_path, {"test_a.py": suite, "test_b.py": suite})
    outcome = run_pytest(project, CUDA_VISIBLE_DEVICES="")
    assert outcome.statuses == {
        f"{s}/step[batch_size={b}{d}]": status
        for s in ("a", "b")
        for b, d, status in ((1, "", "ok"), (2, "", "ok"), (1, ",device=cuda", "unavailable"))
    }
    assert all(
        "stands for 2 CUDA cases" in (r.notes or "") for r in outcome.records if r.device == "cuda"
    )


@pytest.mark.slow
def test_the_step_peak_is_the_same_alone_in_another_order_and_in_company(tmp_path: Path) -> None:
    suite = """
        @pytest.mark.parametrize("batch_size", [1, 2, 3])
        def test_step(train_cost, batch_size):
            train_cost(**work(width=64 * batch_size))
    """
    names = [f"test_a.py::test_step[{n}]" for n in (1, 2, 3)]
    project = write_project(tmp_path, {"test_a.py": suite})
    outcome = [
        run_pytest(project, *names),
        run_pytest(project, *reversed(names)),
        run_pytest(project, "-k", "2"),
    ][-1]
    peaks = {r.step_peak_bytes for r in outcome.records if r.case_id == "a/step[batch_size=2]"}
    runs = {r.run_id for r in outcome.records if r.case_id == "a/step[batch_size=2]"}
    assert len(runs) == 3
    assert len(peaks) == 1


@pytest.mark.thorough
def test_an_unrelated_run_imports_none_of_the_heavy_parts(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_heavy():\n"
        "    heavy = {'torch', 'pandas', 'numpy', 'rich.progress', 'scipy', 'pynvml', 'triton',\n"
        "             'traincost.running', 'traincost.measure'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    outcome = run_pytest(tmp_path)
    assert outcome.code == 0, outcome.output
    assert "traincost" not in outcome.output.split("collected")[1]


@pytest.mark.thorough
def test_a_project_with_folders_named_bench_and_kernels_is_left_alone(tmp_path: Path) -> None:
    project = write_project(
        tmp_path, ONE, SHORT_CASES + "\n    import bench, kernels\n    assert bench.OURS\n"
    )
    for name in ("bench", "kernels"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OURS = True\n")
    assert run_pytest(project).statuses == {"one/it": "ok"}


@pytest.mark.thorough
def test_the_summary_fits_100_columns(tmp_path: Path) -> None:
    suite = """
        @pytest.mark.parametrize("an_axis_with_a_long_name", ["a_value_longer_than_most" * 3])
        @pytest.mark.parametrize("model", ["transformer-with-a-long-name"])
        def test_a_case_with_a_long_name(train_cost, model, an_axis_with_a_long_name):
            train_cost(**work())
    """
    outcome = run_pytest(write_project(tmp_path, {"test_long.py": suite}))
    summary = outcome.output.split("training cost")[1].splitlines()[1:]
    assert any("status" in line for line in summary)
    assert max(map(len, summary)) <= 100


@pytest.mark.thorough
def test_the_uninstalled_checkout_measures_with_the_few_packages_that_a_gpu_box_has(
    tmp_path: Path,
) -> None:
    needless = ("hypothesis", "scipy", "sklearn", "triton", "xdist")
    (tmp_path / "few_packages.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({needless}))\n"
    )
    env = environment(PYTHONPATH=str(tmp_path), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    options = ["-p", "few_packages", "-p", "pytest_benchmark.plugin", "-k", "dispatch"]
    options += ["--cost-results", str(tmp_path / "results"), "--cost-threads", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "suites", *options],
        cwd=Path(__file__).parents[1],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "machine/dispatch" in done.stdout
    (file,) = (tmp_path / "results").glob("*.csv")
    assert any(r.time_median_s for r in read_records(file)), "measured, however busy the machine"
