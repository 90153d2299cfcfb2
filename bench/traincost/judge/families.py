"""The samples of one metric, judged as a family that shares one alpha: paired, or run by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from traincost.judge.policy import TIME, Policy
from traincost.judge.replay import Pairs, looks_for, most_pairs_of, replay
from traincost.judge.rule import Judged, Rule, judge_cases, judge_unpaired
from traincost.judge.samples import Sample
from traincost.judge.unpaired import typical_run_sd


def judge_family(
    samples: Sequence[Sample],
    counted: Mapping[str, Pairs],
    policy: Policy,
    decided: Mapping[str, Judged] | None = None,
) -> dict[str, Judged]:
    """The verdicts on the samples of one metric, by key; none where too few pairs can be used.

    `counted` are cases that an A/B counted among its own and that have no verdict; `decided` are
    its verdicts, where it is this process that ran it.
    """
    if decided is not None:
        known = {s.key: decided[s.case.case_id] for s in samples if s.case.case_id in decided}
        if len(known) == len(samples):
            return known
        return judge_family(samples, counted, policy) | known  # cases that failed while it ran
    paired = {s.key: s.pairs for s in samples if s.pairs is not None}
    rules = {s.key: s.rule for s in samples}
    n_cases = len(samples)
    judged: dict[str, Judged] = {}
    if samples and samples[0].metric == TIME:
        judged |= _replayed(samples, paired, counted, policy)
    else:
        for rule in dict.fromkeys(rules.values()):
            mine = {k: list(p.log_ratios.values()) for k, p in paired.items() if rules[k] == rule}
            judged |= judge_cases(mine, _share_of(rule, len(mine) / n_cases)) if mine else {}
    runs = {s.key: s.logs() for s in samples if s.pairs is None}
    typical = typical_run_sd(runs.values())
    judged |= {s.key: _judge_runs(s, n_cases, typical) for s in samples if s.pairs is None}
    return judged


def _replayed(
    samples: Sequence[Sample],
    paired: Mapping[str, Pairs],
    counted: Mapping[str, Pairs],
    policy: Policy,
) -> dict[str, Judged]:
    """The looks of an A/B over its files, cases that it counted and did not judge included.

    Cases that failed are judged in looks of their own, by the pairs that did not fail: those of
    the others must be the looks that the A/B took, and it dropped a case that failed.
    """
    if not paired:
        return {}
    rules = {s.key: s.rule for s in samples}
    everything = {**paired, **{f"counted {key}": pairs for key, pairs in counted.items()}}
    n_cases = len(samples) + len(counted)
    rows = [r for s in samples for r in (*s.case.base, *s.case.head)]
    last = max(pairs.last for pairs in everything.values())
    looks = looks_for(most_pairs_of(rows), last)

    def judged(cases: Mapping[str, Pairs], n_cases: int) -> dict[str, Judged]:
        share = len(cases) / max(1, n_cases)
        shared = {key: _share_of(rules.get(key, policy.rule), share) for key in cases}
        return replay(cases, shared, looks) if cases else {}

    at_first = [key for key, pairs in paired.items() if pairs.failed_in == 1]
    of_the_ab = {key: pairs for key, pairs in everything.items() if key not in at_first}
    found = judged(of_the_ab, n_cases - len(at_first))
    if any(pairs.failed_in is not None for pairs in paired.values()):
        ran = {key: replace(pairs, failed_in=None) for key, pairs in everything.items()}
        failed = {key for key, pairs in paired.items() if pairs.failed_in is not None}
        found |= {key: j for key, j in judged(ran, n_cases).items() if key in failed}
    return found


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
