"""Two sets of records in, a verdict on each case and metric out, and the exit code of the gate.

0 held · 1 a proven regression, an exact metric that grew, a case that fails on HEAD only, or a
required case that is missing · 3 a required case that could not be decided · 2 nothing at all that
could be gated. Of several, the first in the order 1, 2, 3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from traincost.data.errors import BadInputError
from traincost.data.record import Record
from traincost.judge.alone import NOT_COMPARED, ON_BASE, why_alone
from traincost.judge.counts import exact_lines
from traincost.judge.line import (
    BAD_INPUT,
    GATED,
    HELD,
    INCONCLUSIVE,
    ORDER,
    REGRESSION,
    CaseVerdict,
    Outcome,
)
from traincost.judge.measurements import Measurements
from traincost.judge.policy import Policy, matches
from traincost.judge.sides import (
    BASE,
    FAILING,
    HEAD,
    MEASURED,
    Case,
    cases_of,
    checked,
    differences,
    having,
    left_out_text,
    one_work,
    statuses_text,
)
from traincost.judge.verdict import Judged

__all__ = ["CaseVerdict", "GateReport", "Outcome", "gate"]


@dataclass(frozen=True)
class GateReport:
    """What the gate says."""

    verdicts: tuple[CaseVerdict, ...]
    exit_code: int
    differences: tuple[str, ...] = ()  # of the machines and their software, `torch: 2.12 → 2.13`
    left_out: tuple[str, ...] = ()  # rows that are throttled or unstable, by case and side
    warnings: tuple[str, ...] = ()


def gate(
    base: Sequence[Record],
    head: Sequence[Record],
    policy: Policy,
    *,
    verdicts: Mapping[str, Judged] | None = None,
    failed: Mapping[str, str] | None = None,
    same_suites: bool = False,
    exact_only: bool = False,
) -> GateReport:
    """Judge every case and metric that both sides have.

    Args:
        base: rows of one run or more.
        head: the same.
        policy: what is asked of which case.
        verdicts: of time, by case, where an A/B has decided already; else it is judged here.
        failed: what an A/B saw fail, by case: `HEAD: error: …`; rows that failed needn't be told.
        same_suites: both sides ran the same suite files, so another workload is what HEAD's code
            made of them: judged, and said.
        exact_only: times, energy and device memory are shown, not gated.

    Raises:
        BadInputError: no rows, none in common, a run on both sides, values that can't be.
    """
    checked(base, BASE)
    checked(head, HEAD)
    cases = cases_of(base, head)
    if not any(case.base and case.head for case in cases):
        raise BadInputError(
            f"no case in common: BASE has {_some(base)}, HEAD {_some(head)}; "
            "expected the same suites"
        )
    if exact_only:
        policy = policy.counts_only()
    shared = frozenset(r.suite for r in base) if same_suites else None
    judging = _Gate(policy, failed or {}, shared, exact_only)
    for case in cases:
        judging.take(case)
    lines = [*judging.lines, *judging.measurements.lines(verdicts), *_absent(cases, policy)]
    differ = tuple(differences(base, head))
    warnings = [*judging.warnings, *policy.unmatched(c.case_id for c in cases)]
    code = _exit_code(lines)
    if code == BAD_INPUT:
        warnings.append("nothing could be gated; expected one comparable case at least")
    left_out = tuple(line for case in cases for line in left_out_text(case))
    ordered = sorted(lines, key=_place)
    return GateReport(tuple(ordered), code, differ, left_out, tuple(warnings))


class _Gate:
    """Goes through the cases."""

    def __init__(
        self,
        policy: Policy,
        failed: Mapping[str, str],
        shared: Collection[str] | None,  # suites that BASE ran, where both have the same files
        exact_only: bool,
    ) -> None:
        self.policy = policy
        self.failed = failed
        self.shared = shared
        self.same_suites = shared is not None
        self.measurements = Measurements(policy, exact_only)
        self.lines: list[CaseVerdict] = []
        self.warnings: list[str] = []

    def take(self, case: Case) -> None:
        """Lines about the case as a whole, or about its metrics."""
        absent = _presence(case, self.policy, self.shared)
        if absent is None and not having(case.head, (*MEASURED, *FAILING)):
            return  # unavailable on both sides
        whole = absent or self._failure(case)
        if whole is not None:
            self.lines.append(whole)
        if whole is not None and not _can_be_judged(whole, case):
            return
        told = self.failed.get(case.case_id)
        if whole is None and (fault := _fault_of_base(case, told)) is not None:
            self.warnings.append(f"{case.case_id}: BASE: {fault}; judged by the other runs")
        same = one_work(case)
        if same is None and not self.same_suites:
            self.lines.append(self._other_work(case))
            return
        if same is None:
            self.warnings.append(f"{case.case_id}: HEAD's code changed the workload; judged")
            same = case
        elif n_other := len(case.base) + len(case.head) - len(same.base) - len(same.head):
            self.warnings.append(f"{case.case_id}: {n_other} rows of another workload left out")
        self.lines += exact_lines(same, self.policy)
        self.measurements.add(same)

    def _failure(self, case: Case) -> CaseVerdict | None:
        line = _failure(case, self.policy, self.failed.get(case.case_id))
        if line is not None and not _can_be_judged(line, case):
            self.measurements.add_failed(case)
        return line

    def _other_work(self, case: Case) -> CaseVerdict:
        return _whole(
            case,
            self.policy,
            Outcome.NOT_COMPARABLE,
            f"another workload: {case.base[-1].workload} → {case.head[-1].workload}",
            _undecided(case, self.policy),
        )


def _undecided(case: Case, policy: Policy) -> int:
    must = policy.is_required(case.case_id) or any(
        policy.must_decide(case.case_id, metric) for metric in policy.required_metrics
    )
    return INCONCLUSIVE if must else HELD


def _presence(case: Case, policy: Policy, shared: Collection[str] | None) -> CaseVerdict | None:
    """The line of a case that stands on one side only.

    With the same suite files a case of HEAD alone is one that HEAD's code adds where BASE ran the
    suite, and else perhaps one of a suite that BASE's code does not fit any more.
    """
    if (why := why_alone(case)) is not None:
        return _alone(case, policy, why)
    if not case.base:
        if having(case.head, FAILING):
            code = REGRESSION if policy.is_required(case.case_id) else HELD
            reason = f"new on HEAD: {statuses_text(case.head)}"
            return _whole(case, policy, Outcome.FAILED, reason, code)
        if not having(case.head, MEASURED):
            return _missing(case, policy, "unavailable on HEAD, not on BASE")
        unfit = shared is not None and case.head[0].suite not in shared
        if unfit and policy.is_required(case.case_id):
            reason = "on HEAD only, with the same suites: BASE has no row of this suite"
            return _whole(case, policy, Outcome.NOT_COMPARABLE, reason, INCONCLUSIVE)
        return _whole(case, policy, Outcome.NEW, "on HEAD only: nothing to compare with", HELD)
    if not case.head:
        return _missing(case, policy, "on BASE only")
    if not having(case.head, (*MEASURED, *FAILING)):
        both = not having(case.base, (*MEASURED, *FAILING))
        if both and not policy.is_required(case.case_id):
            return None
        where = "on both sides" if both else "on HEAD, not on BASE"
        return _missing(case, policy, f"unavailable {where}")
    return None


def _alone(case: Case, policy: Policy, why: str) -> CaseVerdict:
    """The line of a case that an A/B met on one side only."""
    if why.startswith(ON_BASE):
        return _missing(case, policy, why)
    if why.startswith(NOT_COMPARED):
        return _whole(case, policy, Outcome.NOT_COMPARABLE, why, _undecided(case, policy))
    return _whole(case, policy, Outcome.NEW, why, HELD)


def _missing(case: Case, policy: Policy, reason: str) -> CaseVerdict:
    code = REGRESSION if policy.is_required(case.case_id) else HELD
    return _whole(case, policy, Outcome.MISSING, reason, code)


def _failure(case: Case, policy: Policy, told: str | None) -> CaseVerdict | None:
    """The line of a case that failed in a run of either side.

    A failure on HEAD is a regression where BASE ran without one, where HEAD never ran and BASE
    mostly did, and in required cases. A failure on BASE says nothing of HEAD: what ran is judged.
    """
    required = policy.is_required(case.case_id)
    base_failed, head_failed = having(case.base, FAILING), having(case.head, FAILING)
    base_ran = having(case.base, MEASURED)
    if head_failed or (told is not None and told.startswith(HEAD)):
        reason = statuses_text(case.head) if head_failed else str(told)
        if base_failed:
            reason = f"HEAD: {reason}; BASE: {statuses_text(case.base)}"
        stopped = not having(case.head, MEASURED) and len(base_ran) > len(base_failed)
        held = not required and not stopped and (base_failed or not base_ran)
        return _whole(case, policy, Outcome.FAILED, reason, HELD if held else REGRESSION)
    if not base_ran:
        fault = _fault_of_base(case, told)
        reason = f"{fault or 'unavailable'} on BASE only: nothing to compare with"
        code = HELD if fault is None else _undecided(case, policy)
        return _whole(case, policy, Outcome.NEW, reason, code)
    return None


def _fault_of_base(case: Case, told: str | None) -> str | None:
    """What failed on BASE, in words; None where nothing did."""
    if having(case.base, FAILING):
        return statuses_text(case.base)
    return told.removeprefix(f"{BASE}: ") if told is not None else None


def _can_be_judged(line: CaseVerdict, case: Case) -> bool:
    """Whether a case that failed on both sides ran on both, too: a failure hides no regression."""
    both = line.verdict is Outcome.FAILED and having(case.base, FAILING)
    return bool(both and having(case.base, MEASURED) and having(case.head, MEASURED))


def _absent(cases: Sequence[Case], policy: Policy) -> list[CaseVerdict]:
    """Required globs that fit no case of either side."""
    return [
        CaseVerdict(
            case_id=glob,
            metric="",
            verdict=Outcome.MISSING,
            reason=f"required in {policy.source}, on neither side",
            required=True,
            exit_code=REGRESSION,
        )
        for glob in policy.required
        if not any(matches(glob, case.case_id) for case in cases)
    ]


def _whole(
    case: Case, policy: Policy, outcome: Outcome, reason: str, exit_code: int
) -> CaseVerdict:
    return CaseVerdict(
        case_id=case.case_id,
        metric="",
        verdict=outcome,
        reason=reason,
        required=policy.is_required(case.case_id),
        exit_code=exit_code,
    )


def _exit_code(lines: Sequence[CaseVerdict]) -> int:
    codes = {line.exit_code for line in lines}
    if REGRESSION in codes:
        return REGRESSION
    if not any(line.verdict in GATED for line in lines):
        return BAD_INPUT
    return INCONCLUSIVE if INCONCLUSIVE in codes else HELD


def _place(line: CaseVerdict) -> tuple[int, int, str]:
    """What should be read first: what ends the gate with 1, then with 3, then the rest."""
    severity = (REGRESSION, INCONCLUSIVE, HELD).index(line.exit_code)
    return severity, ORDER.index(Outcome(line.verdict)), line.case_id


def _some(records: Sequence[Record]) -> str:
    ids = list(dict.fromkeys(r.case_id for r in records))
    return f"{len(ids)} ({ids[0]!r}" + (", …)" if len(ids) > 1 else ")")
