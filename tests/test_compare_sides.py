"""Sides of a comparison: what tells them apart, their names, what differs between them."""

from dataclasses import replace

import pytest
from comparing import cases
from two_machines import A100, H100, results, step

from traincost.data.errors import BadInputError
from traincost.data.record import Record
from traincost.judge.compare import compare


def test_cpu_and_cuda_rows_of_a_box_are_different_sides_that_never_meet() -> None:
    def cpu(record: Record) -> Record:
        case = record.case_id.replace("step", "cpu_step")
        return replace(record, device="cpu", gpu=None, machine_id="cpu", case_id=case)

    boxes = [[step(box, 1), cpu(step(box, 1))] for box in (A100, H100)]
    data = cases(*boxes)
    assert [(s.name, s.device) for s in data.sides.sides] == [
        ("A100-SXM4-80GB", "cuda"),
        ("EPYC", "cpu"),  # the same machine for CPU rows, whatever card is in it
        ("H100 80GB HBM3", "cuda"),
    ]
    assert data.sides.pairs(None) == [(0, 2)]


def test_machines_of_one_gpu_are_told_apart_by_what_differs() -> None:
    newer = replace(A100, machine_id="c3" * 6, driver="570.1")
    data = cases([step(A100, 1)], [replace(step(newer, 1), torch="2.14.0")])
    assert [s.name for s in data.sides.sides] == [
        "A100-SXM4-80GB, driver 550.54",
        "A100-SXM4-80GB, driver 570.1",
    ]


def test_what_differs_is_named_clocks_and_measured_peaks_included() -> None:
    found = compare(cases(results(A100), results(H100)))
    (facts,) = found.facts.values()
    differs = {f.name: (f.base, f.other) for f in facts if f.differs}
    assert differs["driver"] == ("550.54", "580.95")
    assert differs["sm_clock_mean_hz"] == (1.41e9, 1.98e9)
    assert differs["measured peak, bf16"] == (200e12, 500e12)
    assert differs["measured peak, memory"] == (1.5e12, 2.5e12)
    assert {"torch", "python", "threads"} <= {f.name for f in facts if not f.differs}


def test_sides_are_machines_else_commits_else_arguments_else_runs() -> None:
    one = step(A100, 1)
    commit = replace(one, run_id="x", commit="b" * 12)
    run = replace(one, run_id="x")
    assert cases([one, step(H100, 1)]).sides.by == "machine"
    by_commit = cases([one, commit]).sides
    assert (by_commit.by, [s.name for s in by_commit.sides]) == ("commit", ["012345678", "b" * 9])
    by_argument = cases([one], [run]).sides
    assert (by_argument.by, [s.name for s in by_argument.sides]) == ("argument", ["side0", "side1"])
    assert cases([one, run]).sides.by == "run"
    assert len(cases([one], [run], by="machine").sides.sides) == 1


def test_the_base_can_be_asked_for_by_any_name_of_it() -> None:
    for name in ("H100 80GB HBM3", "h100", "b2" * 6, "box-b2", "NVIDIA H100 80GB HBM3"):
        data = cases(results(A100), results(H100), base=name)
        assert data.sides.pairs(data.base) == [(1, 0)], name
    for name, says in (("V100", "unknown"), ("100", "fits several")):
        with pytest.raises(BadInputError, match=f"side '{name}': {says}; expected one of 'A100"):
            compare(cases(results(A100), results(H100), base=name))


def test_three_machines_are_each_compared_with_the_first() -> None:
    b200 = replace(H100, gpu="NVIDIA B200", machine_id="d4" * 6)
    found = compare(cases(results(A100), results(H100), results(b200)))
    assert {(s.base, s.other) for s in found.summaries} == {
        ("A100-SXM4-80GB", "H100 80GB HBM3"),
        ("A100-SXM4-80GB", "B200"),
    }


def test_sides_that_were_run_in_pairs_are_compared_as_runs_and_it_is_said() -> None:
    sides = [
        [replace(r, commit=commit, pair=i, run_id=f"{commit}{i}") for i in (1, 2) for r in rows]
        for commit, rows in (("a" * 12, [step(A100, 1)]), ("b" * 12, [step(A100, 1)]))
    ]
    found = compare(cases(*sides))
    assert found.notes[0] == (
        "aaaaaaaaa and bbbbbbbbb were run in pairs, which count as unpaired runs here; "
        "traincost gate judges them pair by pair"
    )
    assert found.lines[0].interval == "runs"
    alone = [sides[0], [replace(r, pair=None) for r in sides[1]]]
    assert not any("pairs" in note for note in compare(cases(*alone)).notes)
