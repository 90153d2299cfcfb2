"""The gate's lines about what is counted: one a case and exact metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from traincost.data.record import Record
from traincost.judge.exact import EXACT, compare, counted, environment
from traincost.judge.line import HELD, INCONCLUSIVE, REGRESSION, CaseVerdict, Outcome
from traincost.judge.policy import Policy
from traincost.judge.sides import HEAD, MEASURED, Case, having, note_of

Environment = tuple[tuple[str, str], ...]


def exact_lines(case: Case, policy: Policy) -> list[CaseVerdict]:
    """Lines of every exact metric that one side has."""
    return [line for metric in EXACT for line in _metric_lines(case, metric, policy)]


def _metric_lines(case: Case, metric: str, policy: Policy) -> Iterable[CaseVerdict]:
    base, head = (_by_environment(having(s, MEASURED), metric) for s in (case.base, case.head))
    if not base and not head:
        return ()
    required = policy.is_required(case.case_id)
    if not head:
        wanted = required and policy.must_decide(case.case_id, metric)
        why = next(filter(None, (note_of(r, metric) for r in case.head)), "")
        reason = f"counted on BASE, not on {HEAD}" + (f": {why}" if why else "")
        code = REGRESSION if wanted else HELD
        return (_line(case, metric, Outcome.MISSING, reason, required, code),)
    if not base:
        return (_line(case, metric, Outcome.NEW, "counted on HEAD only", required, HELD),)
    common = [e for e in base if e in head and dict(e)["torch"]]
    if not common:
        code = INCONCLUSIVE if policy.must_decide(case.case_id, metric) else HELD
        reason = _apart(base, head)
        return (_line(case, metric, Outcome.NOT_COMPARABLE, reason, required, code),)
    return [_compared(case, metric, policy, base[e], head[e], _label(e, common)) for e in common]


def _by_environment(rows: Iterable[Record], metric: str) -> dict[Environment, list[float]]:
    found: dict[Environment, list[float]] = {}
    for row in rows:
        value = counted(metric, row)
        if value is not None:
            found.setdefault(environment(metric, row), []).append(value)
    return found


def _compared(
    case: Case,
    metric: str,
    policy: Policy,
    base: Sequence[float],
    head: Sequence[float],
    label: str,
) -> CaseVerdict:
    at = compare(metric, base, head)
    limit_rel = policy.limit_rel(case.case_id, metric)
    outcome, code = at.outcome, HELD
    reason = ": ".join(filter(None, [label, at.reason]))
    if limit_rel is None:
        outcome, reason = Outcome.NOT_GATED, "; ".join(filter(None, [reason, "off by threshold"]))
    elif outcome is Outcome.GREW:
        within = limit_rel > 0 and at.growth_rel is not None and at.growth_rel <= limit_rel
        reason += f"; {100 * limit_rel:.3g}% allowed" if limit_rel else ""
        code = HELD if within else REGRESSION
    return CaseVerdict(
        case_id=case.case_id,
        metric=metric,
        verdict=outcome,
        reason=reason,
        base=at.base,
        head=at.head,
        estimate_rel=at.growth_rel,
        n=at.n,
        required=policy.is_required(case.case_id),
        exit_code=code,
    )


def _apart(base: Mapping[Environment, object], head: Mapping[Environment, object]) -> str:
    """What keeps the two sides apart, by column."""
    old, new = dict(next(iter(base))), dict(next(iter(head)))
    apart = [
        f"{column} {old.get(column) or 'unknown'} → {new.get(column) or 'unknown'}"
        for column in {**old, **new}
        if old.get(column) != new.get(column)
    ]
    return ", ".join(apart) or "torch not recorded"


def _label(environment: Environment, among: Sequence[Environment]) -> str:
    """What tells this environment from the others that both sides have, `torch 2.12.0`."""
    own = [
        f"{column} {value or 'none'}"
        for column, value in environment
        if any(dict(other).get(column) != value for other in among)
    ]
    return ", ".join(own)


def _line(
    case: Case, metric: str, outcome: Outcome, reason: str, required: bool, code: int
) -> CaseVerdict:
    return CaseVerdict(
        case_id=case.case_id,
        metric=metric,
        verdict=outcome,
        reason=reason,
        required=required,
        exit_code=code,
    )
