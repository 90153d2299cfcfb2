"""Bad input, resumed runs, a full disk: one clear line, and no finished row lost."""

from pathlib import Path

import pytest
from project import ONE, run_pytest, write_project


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--cost-profile", "huge"],
            "--cost-profile 'huge': expected one of quick, standard, full",
        ),
        (["--cost-device", "tpu"], "--cost-device 'tpu': expected auto, all, cpu, cuda or cuda:N"),
        (["--cost-device", "cuda:7"], "--cost-device 'cuda:7': expected one of the 0 CUDA devices"),
        (["--cost-threads", "9999"], "--cost-threads 9999: expected 1 to"),
        (["--cost-resume", "gone.csv"], "gone.csv: no such file or folder"),
        (["--cost-resume", "other.csv"], "other.csv, line 2, column schema: 9; expected 1"),
        (["--cost-results", "pytest.ini/x"], "pytest.ini/x: Not a directory; expected a folder"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    project = write_project(tmp_path, ONE)
    (project / "other.csv").write_text(
        "schema,run_id,started_at,suite,case_id,status\n9,a,b,c,d,ok\n"
    )
    outcome = run_pytest(project, *arguments, CUDA_VISIBLE_DEVICES="")
    assert outcome.code == 2
    assert message in outcome.output
    assert "Traceback" not in outcome.output
    assert not outcome.results.exists()


@pytest.mark.thorough
def test_two_tests_with_one_case_id_are_refused(tmp_path: Path) -> None:
    project = write_project(tmp_path, {**ONE, "one.py": ONE["test_one.py"]})
    outcome = run_pytest(project, "one.py", "test_one.py")
    assert outcome.code == 2
    assert "case id one/it is that of one.py::test_it too" in outcome.output


@pytest.mark.slow
def test_resume_runs_only_what_is_missing_and_the_union_has_no_case_twice(tmp_path: Path) -> None:
    suite = """
        @pytest.mark.parametrize("batch_size", [1, 2, 3])
        def test_step(train_cost, device, batch_size):
            train_cost(**work())
    """
    project = write_project(tmp_path, {"test_a.py": suite})
    first = run_pytest(project, "-k", "not 3")
    (first_file,) = first.results.glob("*.csv")
    second = run_pytest(project, "--cost-resume", str(first_file))
    ids = [r.case_id for r in second.records]
    assert sorted(ids) == sorted(set(ids))
    assert {"a/step[batch_size=1]", "a/step[batch_size=2]", "a/step[batch_size=3]"} < set(ids)
    assert len({r.run_id for r in second.records}) == 2
    third = run_pytest(project, *(f"--cost-resume={f}" for f in second.results.glob("*.csv")))
    assert third.code == 0, third.output
    assert len(third.records) == len(ids)


@pytest.mark.thorough
def test_a_resume_file_of_another_machine_is_refused(tmp_path: Path) -> None:
    project = write_project(tmp_path, ONE)
    first = run_pytest(project)
    (file,) = first.results.glob("*.csv")
    (record,) = first.records
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text(file.read_text().replace(str(record.machine_id), "0123456789ab"))
    outcome = run_pytest(project, "--cost-resume", str(elsewhere))
    assert outcome.code == 2
    assert "column machine_id: 0123456789ab; expected" in outcome.output


@pytest.mark.thorough
def test_a_disk_that_fills_up_ends_the_run_and_keeps_the_finished_rows(tmp_path: Path) -> None:
    suite = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        @pytest.mark.parametrize("batch_size", [1, 2, 3])
        def test_step(train_cost, batch_size):
            train_cost(**work())
            if batch_size == 2:  # from here on no file can grow past 2,000 bytes
                resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    """
    outcome = run_pytest(write_project(tmp_path, {"test_a.py": suite}))
    assert outcome.code == 2
    assert "cannot save the row of a/step[batch_size=3]: File too large" in outcome.output
    assert set(outcome.statuses) == {"a/step[batch_size=1]", "a/step[batch_size=2]"}
    assert not list(outcome.results.glob(".*.tmp"))
