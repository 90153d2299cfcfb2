"""The gate's lines about what is measured: time, energy, device memory, and the means of suites.

Each metric is a family of its own: of suites of unchanged cases 1% (`Rule.alpha`) may have a line
of that metric that is called slower. Only runs on one machine (`machine_id`) are gated.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from traincost.data.record import Record, Status
from traincost.judge.line import HELD, INCONCLUSIVE, REGRESSION, CaseVerdict, Outcome
from traincost.judge.policy import STATISTICAL, TIME, Policy
from traincost.judge.replay import Pairs, is_paired, looks_for, pairs_of, planned_pairs, replay
from traincost.judge.rule import (
    Judged,
    Rule,
    Verdict,
    judge_cases,
    judge_suite_mean,
    judge_unpaired,
)
from traincost.judge.sides import BASE, HEAD, LEFT_OUT, MEASURED, Case, differences, having
from traincost.judge.unpaired import typical_run_sd

FEWEST_FOR_A_MEAN = 2


@dataclass(frozen=True)
class Sample:
    """One metric of one case on one machine; both sides have a value at least."""

    case: Case  # rows that are ok and have the metric
    metric: str
    label: str  # which machine, where there are several
    rule: Rule
    pairs: Pairs | None

    @property
    def key(self) -> str:
        """Names it among those of its metric."""
        return f"{self.label}{self.case.case_id}"

    def logs(self) -> tuple[list[float], list[float]]:
        """Of the values of BASE's runs, and of HEAD's."""
        base, head = (
            [math.log(getattr(r, self.metric)) for r in rows]
            for rows in (self.case.base, self.case.head)
        )
        return base, head


@dataclass
class Measurements:
    """Collects what is to be judged, case by case; then judges each metric as one family."""

    policy: Policy
    exact_only: bool = False

    def __post_init__(self) -> None:
        self._samples: list[Sample] = []
        self._lines: list[CaseVerdict] = []
        self._counted: dict[str, Pairs] = {}  # cases of an A/B without a verdict

    def add(self, case: Case) -> None:
        """A case that both sides have, of one workload."""
        for metric in STATISTICAL:
            self._add_metric(case, metric)

    def add_failed(self, case: Case) -> None:
        """A case that failed in the end: an A/B counted it among its cases while it ran."""
        if is_paired(case):
            pairs = pairs_of(case)
            if pairs.failed_in is not None and pairs.failed_in > 1:
                self._counted[case.case_id] = pairs

    def lines(self, verdicts: Mapping[str, Judged] | None = None) -> list[CaseVerdict]:
        """All lines; `verdicts` of time, by case, where they have been decided already."""
        found = list(self._lines)
        for metric in STATISTICAL:
            samples = [s for s in self._samples if s.metric == metric]
            judged = self._judged(samples, verdicts if metric == TIME else None)
            found += [self._line(s, judged[s.key]) for s in samples if s.key in judged]
            found += [
                self._without(s.case, metric, Outcome.LEFT_OUT, _too_few(s.pairs))
                for s in samples
                if s.key not in judged
            ]
        return [*found, *self._means()]

    def _add_metric(self, case: Case, metric: str) -> None:
        base, head = (_with(having(s, MEASURED), metric) for s in (case.base, case.head))
        if not base and not head:
            return
        if not head:
            required = self.policy.is_required(case.case_id) and not self.exact_only
            wanted = required and metric in self.policy.required_metrics
            line = self._without(
                case, metric, Outcome.MISSING, f"measured on {BASE}, not on {HEAD}"
            )
            self._lines.append(replace(line, exit_code=REGRESSION if wanted else HELD))
            return
        if not base:
            self._lines.append(self._without(case, metric, Outcome.NEW, "measured on HEAD only"))
            return
        used = Case(case.case_id, base, head)
        machines = [m for m in _machines(base) if m in _machines(head)]
        rule = self.policy.rule_for(case.case_id, metric)
        if rule is None:
            self._lines.append(self._shown(used, metric, "off by threshold", HELD))
        elif self.exact_only:
            self._lines.append(self._shown(used, metric, "only exact metrics are gated", HELD))
        elif not machines:
            self._lines.append(self._shown(used, metric, _another(base, head)))
        else:
            self._add_samples(case, used, metric, machines, rule)
            self._lines += [self._not_on(m, used, metric) for m in _lost(base, head)]

    def _not_on(self, machine: str, case: Case, metric: str) -> CaseVerdict:
        """Of a machine that BASE ran on beside others; HEAD ran on some of those only."""
        name = _machine_name(next(r for r in case.base if r.machine_id == machine))
        where = machine if name == machine else f"{machine} ({name})"
        reason = f"no run on machine {where} of {HEAD}"
        return self._without(case, metric, Outcome.MISSING, reason)

    def _add_samples(
        self, case: Case, used: Case, metric: str, machines: Sequence[str], rule: Rule
    ) -> None:
        for machine in machines:
            at = _of(used, machine)
            ok = replace(at, base=_ok(at.base), head=_ok(at.head))
            pairs = pairs_of(_of(case, machine), metric) if is_paired(case) else None
            if not ok.base or not ok.head:
                self._lines.append(self._left_out(at, metric))
                if pairs is not None and metric == TIME:
                    self._counted[case.case_id] = pairs
                continue
            label = f"{_machine_name(ok.head[0])}: " if len(machines) > 1 else ""
            if pairs is not None and metric != TIME and len(pairs.log_ratios) < 2:
                pairs = None  # of what was measured in one pair only
            self._samples.append(Sample(ok, metric, label, rule, pairs))

    def _left_out(self, case: Case, metric: str) -> CaseVerdict:
        reasons = [
            f"{len(having(rows, LEFT_OUT))} of {len(rows)} runs of {side} "
            + " or ".join(sorted({str(r.status) for r in having(rows, LEFT_OUT)}))
            for side, rows in ((BASE, case.base), (HEAD, case.head))
            if not _ok(rows)
        ]
        return self._without(case, metric, Outcome.LEFT_OUT, ", ".join(reasons))

    def _judged(
        self, samples: Sequence[Sample], decided: Mapping[str, Judged] | None
    ) -> dict[str, Judged]:
        if decided is not None:
            known = {s.key: decided[s.case.case_id] for s in samples if s.case.case_id in decided}
            if len(known) == len(samples):
                return known
            return self._judged(samples, None) | known  # cases that failed while it ran
        paired = {s.key: s.pairs for s in samples if s.pairs is not None}
        rules = {s.key: s.rule for s in samples}
        n_cases = len(samples)
        judged: dict[str, Judged] = {}
        if samples and samples[0].metric == TIME:
            judged |= self._replayed(paired, rules, samples)
        else:
            for rule in dict.fromkeys(rules.values()):
                mine = {
                    k: list(p.log_ratios.values()) for k, p in paired.items() if rules[k] == rule
                }
                judged |= judge_cases(mine, _share_of(rule, len(mine) / n_cases)) if mine else {}
        runs = {s.key: s.logs() for s in samples if s.pairs is None}
        typical = typical_run_sd(runs.values())
        judged |= {s.key: _judge_runs(s, n_cases, typical) for s in samples if s.pairs is None}
        return judged

    def _replayed(
        self, paired: Mapping[str, Pairs], rules: Mapping[str, Rule], samples: Sequence[Sample]
    ) -> dict[str, Judged]:
        """The looks of an A/B over its files, cases that it counted and did not judge included.

        Cases that failed are judged in looks of their own, by the pairs that did not fail: those of
        the others must be the looks that the A/B took, and it dropped a case that failed.
        """
        if not paired:
            return {}
        counted = {f"counted {key}": pairs for key, pairs in self._counted.items()}
        everything = {**paired, **counted}
        n_cases = len(samples) + len(counted)
        rows = [r for s in samples for r in (*s.case.base, *s.case.head)]
        last = max(pairs.last for pairs in everything.values())
        looks = looks_for(planned_pairs(rows), last)

        def judged(cases: Mapping[str, Pairs], n_cases: int) -> dict[str, Judged]:
            share = len(cases) / max(1, n_cases)
            shared = {key: _share_of(rules.get(key, self.policy.rule), share) for key in cases}
            return replay(cases, shared, looks) if cases else {}

        at_first = [key for key, pairs in paired.items() if pairs.failed_in == 1]
        of_the_ab = {key: pairs for key, pairs in everything.items() if key not in at_first}
        found = judged(of_the_ab, n_cases - len(at_first))
        if any(pairs.failed_in is not None for pairs in paired.values()):
            ran = {key: replace(pairs, failed_in=None) for key, pairs in everything.items()}
            failed = {key for key, pairs in paired.items() if pairs.failed_in is not None}
            found |= {key: j for key, j in judged(ran, n_cases).items() if key in failed}
        return found

    def _means(self) -> list[CaseVerdict]:
        """One line a suite file whose cases ran in pairs."""
        by_suite: dict[str, dict[str, list[float]]] = {}
        for s in self._samples:
            if s.metric == TIME and s.pairs is not None and len(s.pairs.log_ratios) > 1:
                cases = by_suite.setdefault(f"{s.label}{s.case.suite}", {})
                cases[s.case.case_id] = list(s.pairs.log_ratios.values())
        suites = {k: v for k, v in by_suite.items() if len(v) >= FEWEST_FOR_A_MEAN}
        lines: list[CaseVerdict] = []
        for suite, log_ratios in suites.items():
            judged = judge_suite_mean(log_ratios, self.policy.rule, n_suites=len(suites))
            lines.append(
                CaseVerdict(
                    case_id=f"{suite}/*",
                    metric=TIME,
                    verdict=Outcome(judged.verdict),
                    reason=f"mean of {len(log_ratios)} cases: {judged.reason}",
                    estimate_rel=judged.estimate_rel,
                    lower_rel=_finite(judged.lower_rel),
                    upper_rel=_finite(judged.upper_rel),
                    n=judged.n,
                    exit_code=REGRESSION if judged.verdict is Verdict.REGRESSION else HELD,
                )
            )
        return lines

    def _line(self, sample: Sample, judged: Judged) -> CaseVerdict:
        code = HELD
        if judged.verdict is Verdict.REGRESSION:
            code = REGRESSION
        elif judged.verdict is Verdict.INCONCLUSIVE:
            code = self._undecided(sample.case.case_id, sample.metric)
        base, head = _medians(sample.case, sample.metric)
        return CaseVerdict(
            case_id=sample.case.case_id,
            metric=sample.metric,
            verdict=Outcome(judged.verdict),
            reason=sample.label + judged.reason,
            base=base,
            head=head,
            estimate_rel=judged.estimate_rel,
            lower_rel=_finite(judged.lower_rel),
            upper_rel=_finite(judged.upper_rel),
            n=judged.n,
            required=self.policy.is_required(sample.case.case_id),
            exit_code=code,
        )

    def _shown(self, case: Case, metric: str, reason: str, code: int | None = None) -> CaseVerdict:
        base, head = _medians(case, metric)
        line = self._without(case, metric, Outcome.NOT_GATED, reason)
        code = line.exit_code if code is None else code
        return replace(line, base=base, head=head, estimate_rel=_ratio(base, head), exit_code=code)

    def _without(self, case: Case, metric: str, outcome: Outcome, reason: str) -> CaseVerdict:
        return CaseVerdict(
            case_id=case.case_id,
            metric=metric,
            verdict=outcome,
            reason=reason,
            required=self.policy.is_required(case.case_id),
            exit_code=HELD if outcome is Outcome.NEW else self._undecided(case.case_id, metric),
        )

    def _undecided(self, case_id: str, metric: str) -> int:
        must = self.policy.must_decide(case_id, metric) and not self.exact_only
        return INCONCLUSIVE if must else HELD


def _finite(rel: float | None) -> float | None:
    """What a cell can hold: None for a bound that lies nowhere, at -100% or at infinity."""
    return rel if rel is not None and -1 < rel < math.inf else None


def _too_few(pairs: Pairs | None) -> str:
    n = 0 if pairs is None else len(pairs.log_ratios)
    return f"{n} {'pair' if n == 1 else 'pairs'} can be used, too few for a look"


def _judge_runs(sample: Sample, n_cases: int, typical_sd: float | None) -> Judged:
    recorded = [
        (r.run_spread_rel, r.run_spread_n)
        for r in (*sample.case.base, *sample.case.head)
        if sample.metric == TIME and r.run_spread_rel is not None
    ]
    spread_rel, spread_n = max(recorded, key=lambda s: s[0], default=(None, None))
    return judge_unpaired(
        *sample.logs(),
        sample.rule,
        n_cases=n_cases,
        spread_rel=spread_rel,
        spread_n=spread_n,
        typical_sd=typical_sd,
    )


def _share_of(rule: Rule, share: float) -> Rule:
    """For a part of the family's cases."""
    return replace(rule, alpha=rule.alpha * share)


def _with(rows: Iterable[Record], metric: str) -> tuple[Record, ...]:
    return tuple(r for r in rows if getattr(r, metric) is not None)


def _ok(rows: Iterable[Record]) -> tuple[Record, ...]:
    return having(rows, (Status.OK,))


def _machines(rows: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(r.machine_id for r in rows if r.machine_id is not None))


def _lost(base: Sequence[Record], head: Sequence[Record]) -> list[str]:
    there = _machines(head)
    return [machine for machine in _machines(base) if machine not in there]


def _of(case: Case, machine: str) -> Case:
    base, head = (
        tuple(r for r in rows if r.machine_id == machine) for rows in (case.base, case.head)
    )
    return Case(case.case_id, base, head)


def _another(base: Sequence[Record], head: Sequence[Record]) -> str:
    if not _machines(base) or not _machines(head):
        return "machine not recorded: times are compared, not gated"
    ours = differences(base, head)
    apart = "; ".join(d for d in ours if not d.startswith(("host:", "gpu_uuid:", "commit:")))
    return f"another machine ({apart}): times are compared, not gated"


def _machine_name(record: Record) -> str:
    return record.gpu or record.cpu or str(record.machine_id)


def _medians(case: Case, metric: str) -> tuple[float, float]:
    base, head = (
        statistics.median(getattr(r, metric) for r in rows) for rows in (case.base, case.head)
    )
    return base, head


def _ratio(base: float, head: float) -> float | None:
    try:
        return head / base - 1
    except (OverflowError, ZeroDivisionError):
        return None
