"""The gate as JUnit XML: a test case a case, in a test suite a suite file.

`failure`: a regression, something that grew, something required that is missing. `error`: the case
itself failed. `skipped`: nothing was decided. Every line of a case stands in its `system-out`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence

from traincost.judge.gate import GateReport
from traincost.judge.line import GATED, INCONCLUSIVE, REGRESSION, CaseVerdict, Outcome

_SPACE = "\t\n\r"


def junit_xml(report: GateReport) -> str:
    """The text of the file."""
    root = ET.Element("testsuites", name="traincost gate")
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite, cases in _by_suite(report.verdicts).items():
        element = ET.SubElement(root, "testsuite", name=_clean(suite))
        for case_id, lines in cases.items():
            element.append(_test_case(suite, case_id, lines))
        counts = _counts(element)
        element.attrib.update({k: str(v) for k, v in counts.items()})
        totals = {k: totals[k] + counts[k] for k in totals}
    root.attrib.update({k: str(v) for k, v in totals.items()})
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _by_suite(lines: Iterable[CaseVerdict]) -> Mapping[str, Mapping[str, Sequence[CaseVerdict]]]:
    found: dict[str, dict[str, list[CaseVerdict]]] = {}
    for line in lines:
        suite = line.case_id.partition("/")[0]
        found.setdefault(suite, {}).setdefault(line.case_id, []).append(line)
    return found


def _test_case(suite: str, case_id: str, lines: Sequence[CaseVerdict]) -> ET.Element:
    case = ET.Element("testcase", classname=_clean(suite), name=_clean(case_id))
    ending = [line for line in lines if line.exit_code == REGRESSION]
    if ending:
        failed = any(line.verdict == Outcome.FAILED for line in ending)
        _because(case, "error" if failed else "failure", ending)
    elif undecided := [line for line in lines if line.exit_code == INCONCLUSIVE]:
        _because(case, "failure", undecided)
    elif not any(line.verdict in GATED - {Outcome.INCONCLUSIVE} for line in lines):
        _because(case, "skipped", lines)
    ET.SubElement(case, "system-out").text = _clean("\n".join(map(_text, lines)))
    return case


def _because(case: ET.Element, tag: str, lines: Sequence[CaseVerdict]) -> None:
    """`message` is the first line's, as the list of failures shows it; the text has them all."""
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    child = ET.SubElement(case, tag, message=_clean(_text(lines[0]) + more))
    if tag != "skipped":
        child.set("type", str(lines[0].verdict))
        child.text = _clean("\n".join(map(_text, lines)))


def _text(line: CaseVerdict) -> str:
    return f"{line.metric or 'case'}: {line.verdict}" + (f": {line.reason}" if line.reason else "")


def _counts(suite: ET.Element) -> dict[str, int]:
    names = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    found = {key: len(suite.findall(f"testcase/{tag}")) for key, tag in names.items()}
    return {"tests": len(suite.findall("testcase")), **found}


def _clean(text: str) -> str:
    """Without what XML 1.0 has no way to write."""
    return "".join(c if _is_xml(c) else "\ufffd" for c in text)


def _is_xml(c: str) -> bool:
    return c in _SPACE or "\x20" <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000"
