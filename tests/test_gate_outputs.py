"""The report of the gate in every format, and nothing in it that a name could smuggle in."""

import argparse
import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from gate_rows import SLOWER, changed, row, runs

from traincost.judge.gate import GateReport, gate
from traincost.judge.line import CaseVerdict, Outcome
from traincost.judge.policy import Policy
from traincost.show import github
from traincost.show.gate import (
    COLUMNS,
    LONGEST_COMMENT,
    MARKER,
    gate_text,
    headline,
    note_lines,
    write,
)
from traincost.show.junit import junit_xml
from traincost.show.log import defused
from traincost.show.tables import code_span

EVIL = (
    "batch/::error::x\r::warning::y[a=`<img src=x>` @team #1 | ##[set-env]\x1b[31m\x00]"
    "\n::stop-commands::t"
)


def report_of(case_id: str = "batch/step") -> GateReport:
    """A regression in time and one in FLOPs, an undecided case, one that holds."""
    base = [*runs("b", SLOWER, case_id=case_id), row("b0", case_id="other/one")]
    head = [
        *runs("h", [t * 1.2 for t in SLOWER], case_id=case_id, flops=1001),
        row("h0", case_id="other/one"),
        changed(row("h0", case_id="other/new")),
    ]
    return gate(base, head, Policy(required=("other/one",)))


def options(**more: object) -> argparse.Namespace:
    return argparse.Namespace(**{"format": "table", "junit": None, "markdown": None, **more})


def test_people_read_what_ends_the_gate_first_and_nothing_that_is_equal() -> None:
    text = gate_text(report_of(), "table")
    assert text.index("regression\n") < text.index("grew\n") < text.index("inconclusive\n")
    assert "1.00 ms → 1.20 ms: +20.0%, at least" in " ".join(text.split())
    assert "1,000 → 1,001 (+1, +0.10%)" in text
    assert "step_peak_bytes" not in text
    assert text.endswith(f"{headline(report_of())}\n")


def test_the_headline_counts_every_outcome() -> None:
    assert headline(report_of()) == (
        "gate: failed (1 regression, 1 grew, 1 inconclusive, 1 new, 5 equal)"
    )


def test_programs_read_every_line_with_its_numbers() -> None:
    report = report_of()
    rows = json.loads(gate_text(report, "json"))["rows"]
    assert [tuple(r) for r in rows] == [COLUMNS] * len(report.verdicts)
    (time,) = (r for r in rows if (r["case_id"], r["metric"]) == ("batch/step", "time_median_s"))
    assert (time["verdict"], time["exit_code"], time["n"]) == ("regression", 1, 6)
    assert time["estimate_rel"] == pytest.approx(0.2)
    read = list(csv.DictReader(io.StringIO(gate_text(report, "csv"))))
    assert [r["verdict"] for r in read] == [r["verdict"] for r in rows]


def test_a_comment_shows_what_ends_the_gate_and_folds_the_rest() -> None:
    text = gate_text(report_of(), "markdown")
    assert text.startswith(f"{MARKER}\n**gate: failed")
    seen, _, folded = text.partition("<details>")
    assert "| regression | `batch/step` | `time_median_s` |" in seen
    assert "| inconclusive | `other/one` |" in seen
    assert "other/new" in folded and "other/new" not in seen


def test_a_comment_is_never_longer_than_github_takes() -> None:
    many = tuple(
        CaseVerdict(case_id=f"a/{i}", metric="flops", verdict=o, reason="x" * 99, exit_code=code)
        for i in range(2000)
        for o, code in ((Outcome.GREW, 1), (Outcome.HELD, 0))
    )
    text = gate_text(GateReport(many, 1), "markdown")
    assert len(text) <= LONGEST_COMMENT
    assert re.search(r"… \d+ more lines", text) and "2000 lines that pass" in text


def test_a_name_cannot_put_anything_into_a_comment() -> None:
    text = gate_text(report_of(EVIL), "markdown")
    spans = re.sub(r"`[^`\n]*`", "", text)
    assert not re.search(r"<img|@team|#1|set-env|\x1b|\x00", spans)
    assert code_span("a`b\nc") == "`a'b c`" and code_span("") == "` `"


def test_junit_has_a_test_case_a_case_with_all_its_lines() -> None:
    root = ET.fromstring(junit_xml(report_of()))
    assert root.attrib["tests"] == "3" and root.attrib["failures"] == "2"
    assert [s.attrib["name"] for s in root] == ["batch", "other"]
    (case,) = (c for c in root.iter("testcase") if c.attrib["name"] == "batch/step")
    failure = case.find("failure")
    assert failure is not None and failure.attrib["message"].endswith("(and 1 more)")
    assert "flops: grew: 1,000 → 1,001" in (failure.text or "")
    assert "step_peak_bytes: equal" in (case.findtext("system-out") or "")
    assert {c.attrib["name"]: c[0].tag for c in root.iter("testcase")} == {
        "batch/step": "failure",
        "other/one": "failure",
        "other/new": "skipped",
    }


def test_junit_says_error_for_a_case_that_failed_and_skipped_where_nothing_was_decided() -> None:
    report = gate(
        [row("b"), row("b", case_id="batch/x", workload="1"), row("b", case_id="batch/ok")],
        [
            row("h", status="oom"),
            row("h", case_id="batch/x", workload="2"),
            row("h", case_id="batch/ok"),
        ],
        Policy(),
    )
    root = ET.fromstring(junit_xml(report))
    tags = {c.attrib["name"]: c[0].tag for c in root.iter("testcase")}
    assert tags == {"batch/step": "error", "batch/x": "skipped", "batch/ok": "system-out"}
    assert (root.attrib["errors"], root.attrib["skipped"]) == ("1", "1")


def test_junit_is_xml_whatever_a_name_is_made_of() -> None:
    root = ET.fromstring(junit_xml(report_of(EVIL + "\ud800\ufffe")))
    (case,) = (c for c in root.iter("testcase") if c.attrib["name"].startswith("batch/::"))
    assert "<img src=x>" in case.attrib["name"] and "\x00" not in case.attrib["name"]


def test_github_gets_an_error_a_regression_and_a_warning_for_what_is_undecided() -> None:
    lines = github.annotated(report_of(), "gate: failed")
    assert [line.split()[0] for line in lines] == ["::error", "::error", "::warning", "::notice"]
    assert lines[0].startswith("::error title=regression%3A batch/step::time_median_s +20.0%25")


def test_github_gets_ten_of_a_kind_and_the_number_of_the_others() -> None:
    many = tuple(
        CaseVerdict(case_id=f"a/{i}", metric="flops", verdict="grew", reason="x", exit_code=1)
        for i in range(15)
    )
    errors = [a for a in github.annotated(GateReport(many, 1), "") if a.startswith("::error")]
    assert len(errors) == 10 and "and 6 more" in errors[-1]


def test_a_name_cannot_give_github_a_command() -> None:
    report = report_of(EVIL)
    for line in github.annotated(report, "title"):
        assert "\n" not in line and line.count("::") >= 2
        properties = line.split("title=")[1].partition("::")[0]
        assert ":" not in properties and "," not in properties
    for fmt in ("table", "csv", "json", "markdown"):
        text = defused(gate_text(report, fmt))
        assert not re.search(r"(^|[\r\n])\s*::", text) and "##[" not in text
    for start in ("", "\r", "a\n  ", "\n\u2003", "a\r\n"):
        assert "::" not in defused(f"{start}::error::x").partition("error")[0]


def test_what_is_said_beside_a_report_is_no_command_either(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = GateReport((), 0, warnings=("a\n::stop-commands::t",))
    write(report, options(format="json"), {"GITHUB_ACTIONS": "true"})
    err = [e for e in capsys.readouterr().err.splitlines() if e.strip().startswith("::")]
    assert [e.split()[0] for e in err] == ["::warning", "::notice"]


def test_in_a_step_of_github_the_summary_is_added_and_the_report_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    write(report_of(), options(format="json"), env)
    out, err = capsys.readouterr()
    assert json.loads(out)["title"].startswith("gate: failed")
    assert "::error title=" in err
    assert summary.read_text().startswith(f"before\n{MARKER}")


def test_elsewhere_nothing_is_said_to_github(capsys: pytest.CaptureFixture[str]) -> None:
    write(report_of(), options(), {"GITHUB_ACTIONS": "false"})
    out, err = capsys.readouterr()
    assert "::error" not in out + err


def test_a_summary_without_room_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "full.md"
    full.write_bytes(b"x" * github.LARGEST_SUMMARY_BYTES)
    for file in (full, tmp_path / "none" / "summary.md"):
        env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(file)}
        write(report_of(), options(), env)
        assert "; the summary lacks the gate's report" in capsys.readouterr().err
    assert full.stat().st_size == github.LARGEST_SUMMARY_BYTES


def test_files_are_written_as_asked(tmp_path: Path) -> None:
    junit, comment = tmp_path / "gate.xml", tmp_path / "gate.md"
    write(report_of(), options(junit=junit, markdown=comment), {})
    assert ET.fromstring(junit.read_text()).tag == "testsuites"
    assert comment.read_text().startswith(MARKER)


@pytest.mark.parametrize("verdict", [0, 1, 3])
def test_a_file_that_cannot_be_written_after_all_is_named_and_never_hides_the_verdict(
    verdict: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, comment = tmp_path / "none" / "x.xml", tmp_path / "gate.md"
    code = write(GateReport((), verdict), options(junit=gone, markdown=comment), {})
    assert code == (verdict or 2)
    assert f"--junit {gone}: No such file or directory; expected" in capsys.readouterr().err
    assert comment.read_text().startswith(MARKER)
    assert write(GateReport((), verdict), options(markdown=comment), {}) == verdict


def test_of_many_notes_the_first_twenty_are_shown_and_the_others_counted() -> None:
    for n, more in ((20, False), (21, True)):
        notes = note_lines(GateReport((), 0, warnings=tuple(map(str, range(n)))))
        assert ("note: … and 1 more" in notes) == more and len(notes) == n


def test_machines_that_differ_and_rows_left_out_are_named_once() -> None:
    spoilt = [row("s", status="throttled"), row("s", case_id="batch/x", status="unstable")]
    report = gate(
        [*runs("b", SLOWER), row("b", case_id="batch/x")],
        [*runs("h", SLOWER, host="two"), *spoilt],
        Policy(),
    )
    text = gate_text(report, "table")
    assert "BASE and HEAD differ in host: box → box, two" in text
    assert "left out: batch/step: 1 of 7 runs of HEAD throttled" in text
    assert text.count("1 of 1 runs of HEAD unstable") == 1
