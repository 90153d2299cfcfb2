"""The gate's lines about what is measured: time, energy, device memory, and the means of suites.

Each metric is a family of its own: of suites of unchanged cases 1% (`Rule.alpha`) may have a line
of that metric that is called slower. Only runs on one machine (`machine_id`) are gated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from traincost.judge.families import judge_family
from traincost.judge.line import HELD, INCONCLUSIVE, REGRESSION, CaseVerdict, Outcome
from traincost.judge.policy import STATISTICAL, TIME, Policy
from traincost.judge.replay import Pairs, is_paired, pairs_of
from traincost.judge.rule import Judged, Rule, Verdict, judge_suite_mean
from traincost.judge.samples import (
    Sample,
    change_rel,
    lost_machines,
    machine_name,
    machines_of,
    medians_of,
    ok_rows,
    on_machine,
    why_another,
    with_metric,
)
from traincost.judge.sides import BASE, HEAD, LEFT_OUT, MEASURED, Case, having

FEWEST_FOR_A_MEAN = 2


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
            judged = judge_family(
                samples, self._counted, self.policy, verdicts if metric == TIME else None
            )
            found += [self._line(s, judged[s.key]) for s in samples if s.key in judged]
            found += [
                self._without(s.case, metric, Outcome.LEFT_OUT, _too_few(s.pairs))
                for s in samples
                if s.key not in judged
            ]
        return [*found, *self._means()]

    def _add_metric(self, case: Case, metric: str) -> None:
        base, head = (with_metric(having(s, MEASURED), metric) for s in (case.base, case.head))
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
        machines = [m for m in machines_of(base) if m in machines_of(head)]
        rule = self.policy.rule_for(case.case_id, metric)
        if rule is None:
            self._lines.append(self._shown(used, metric, "off by threshold", HELD))
        elif self.exact_only:
            self._lines.append(self._shown(used, metric, "only exact metrics are gated", HELD))
        elif not machines:
            self._lines.append(self._shown(used, metric, why_another(base, head)))
        else:
            self._add_samples(case, used, metric, machines, rule)
            self._lines += [self._not_on(m, used, metric) for m in lost_machines(base, head)]

    def _not_on(self, machine: str, case: Case, metric: str) -> CaseVerdict:
        """Of a machine that BASE ran on beside others; HEAD ran on some of those only."""
        name = machine_name(next(r for r in case.base if r.machine_id == machine))
        where = machine if name == machine else f"{machine} ({name})"
        reason = f"no run on machine {where} of {HEAD}"
        return self._without(case, metric, Outcome.MISSING, reason)

    def _add_samples(
        self, case: Case, used: Case, metric: str, machines: Sequence[str], rule: Rule
    ) -> None:
        for machine in machines:
            at = on_machine(used, machine)
            ok = replace(at, base=ok_rows(at.base), head=ok_rows(at.head))
            pairs = pairs_of(on_machine(case, machine), metric) if is_paired(case) else None
            if not ok.base or not ok.head:
                self._lines.append(self._left_out(at, metric))
                if pairs is not None and metric == TIME:
                    self._counted[case.case_id] = pairs
                continue
            label = f"{machine_name(ok.head[0])}: " if len(machines) > 1 else ""
            if pairs is not None and metric != TIME and len(pairs.log_ratios) < 2:
                pairs = None  # of what was measured in one pair only
            self._samples.append(Sample(ok, metric, label, rule, pairs))

    def _left_out(self, case: Case, metric: str) -> CaseVerdict:
        reasons = [
            f"{len(having(rows, LEFT_OUT))} of {len(rows)} runs of {side} "
            + " or ".join(sorted({str(r.status) for r in having(rows, LEFT_OUT)}))
            for side, rows in ((BASE, case.base), (HEAD, case.head))
            if not ok_rows(rows)
        ]
        return self._without(case, metric, Outcome.LEFT_OUT, ", ".join(reasons))

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
        base, head = medians_of(sample.case, sample.metric)
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
        base, head = medians_of(case, metric)
        line = self._without(case, metric, Outcome.NOT_GATED, reason)
        code = line.exit_code if code is None else code
        return replace(
            line, base=base, head=head, estimate_rel=change_rel(base, head), exit_code=code
        )

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
