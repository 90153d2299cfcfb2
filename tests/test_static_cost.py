"""`static_cost`: a row of what a compiler says, with nothing run."""

from pathlib import Path

import pytest
from project import ONE, run_pytest, write_project

ROW = """
    import pytest
    COMPILED = dict(registers=32, spill_bytes=8, shared_bytes=1024, occupancy=0.5,
                    ptx_instructions=100, load_width_bytes=16, bytes_per_element=4.5)

    @pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
    @pytest.mark.parametrize("kernel", ["copy"])
    def test_it(static_cost, kernel, arch):
        static_cost(**COMPILED, metrics={"atomics": 0, "nothing": None})
"""


@pytest.mark.thorough
def test_a_compiled_case_leaves_its_row_with_neither_time_nor_device(tmp_path: Path) -> None:
    outcome = run_pytest(write_project(tmp_path, {"test_static.py": ROW}))
    assert outcome.code == 0, outcome.output
    assert outcome.statuses == {
        "static/it[arch=sm_80,kernel=copy]": "ok",
        "static/it[arch=sm_90,kernel=copy]": "ok",
    }
    row = outcome.records[0]
    assert (row.arch, row.registers, row.spill_bytes, row.occupancy) == ("sm_80", 32, 8, 0.5)
    assert (row.load_width_bytes, row.store_width_bytes) == (16, None)
    assert (row.launches, row.bytes_per_element) == (1, 4.5)
    assert row.metrics == {"atomics": 0.0}
    assert row.axes == {"kernel": "copy"}
    assert (row.device, row.seed, row.workload, row.time_median_s) == (None, None, None, None)
    assert row.machine_id is not None


@pytest.mark.thorough
def test_targets_stand_side_by_side_in_a_table_of_their_own(tmp_path: Path) -> None:
    outcome = run_pytest(write_project(tmp_path, {"test_static.py": ROW, **ONE}))
    _, _, static = outcome.output.partition("static kernel cost")
    assert "training cost" in outcome.output
    assert "sm_80/sm_90" in static
    assert len([line for line in static.splitlines() if " 32 " in line]) == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("def test_it(static_cost): static_cost(**COMPILED)", "no axis 'arch'"),
        (
            "@pytest.mark.parametrize('arch', ['sm_90'])\n"
            "def test_it(static_cost, arch):\n"
            "    static_cost(**COMPILED)\n"
            "    static_cost(**COMPILED)\n",
            "static_cost called twice",
        ),
        ("def test_it(static_cost): pass", "static_cost was asked for and never called"),
        ("def test_it(train_cost, static_cost): pass", "asks for static_cost and train_cost"),
        (
            "@pytest.mark.parametrize('arch', ['sm_90'])\n"
            "def test_it(static_cost, arch):\n"
            "    static_cost(**COMPILED | {'occupancy': float('nan')})\n",
            "occupancy=nan; expected a finite number",
        ),
    ],
)
def test_a_wrong_use_is_an_error_that_says_what_was_expected(
    tmp_path: Path, body: str, line: str
) -> None:
    head = ROW.partition("@pytest")[0].replace("\n    ", "\n")
    outcome = run_pytest(write_project(tmp_path, {"test_wrong.py": head + body}))
    assert outcome.code == 1
    assert line in outcome.output
    assert set(outcome.statuses.values()) == {"error"}


@pytest.mark.thorough
def test_an_assertion_after_the_call_makes_the_row_invalid_and_keeps_its_numbers(
    tmp_path: Path,
) -> None:
    suite = ROW.replace(
        "        static_cost(**COMPILED", "        assert not static_cost(**COMPILED"
    )
    outcome = run_pytest(write_project(tmp_path, {"test_static.py": suite}))
    assert outcome.code == 1
    assert set(outcome.statuses.values()) == {"invalid"}
    assert outcome.records[0].registers == 32


@pytest.mark.thorough
def test_a_case_that_cannot_be_compiled_is_unavailable_and_names_its_target(
    tmp_path: Path,
) -> None:
    suite = ROW.replace(
        "        static_cost(**COMPILED", "        pytest.skip('no peer')\n        dict(**COMPILED"
    )
    outcome = run_pytest(write_project(tmp_path, {"test_static.py": suite}))
    assert set(outcome.statuses.values()) == {"unavailable"}
    row = outcome.records[0]
    assert (row.arch, row.device, row.notes) == ("sm_80", None, "status: no peer")
