"""The same study of runs that were not paired: all of base first, then all of head.

What drifts between the two is a slow-down here; with few runs a side little can be decided.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from traincost.judge.bounds import Codes, Errors, Floats, bounds_of, decide
from traincost.judge.noise import SHAPES
from traincost.judge.study import CHUNK_CASES, FASTER, HELD, REGRESSION, Share
from traincost.judge.unpaired import welch
from traincost.judge.verdict import Rule, log_of


@dataclass(frozen=True)
class UnpairedSetting:
    """What is simulated."""

    shape: str
    sd_rel: float
    n_cases: int
    runs: int  # a side
    rule: Rule = field(default_factory=Rule)
    effect_rel: float = 0.05


@dataclass(frozen=True)
class UnpairedOutcome:
    """What became of the suites of a setting."""

    setting: UnpairedSetting
    false_alarms: Share
    passed: Share
    called: Share
    missed: Share


def simulate_unpaired(setting: UnpairedSetting, n_suites: int, seed: int = 0) -> UnpairedOutcome:
    """Judge `n_suites` suites with no change, and as many with one slow case."""
    rng = np.random.default_rng([seed, *setting.shape.encode()])
    draw, runs = SHAPES[setting.shape].draw, setting.runs
    chunk = max(1, CHUNK_CASES // setting.n_cases)
    alarms = passed = called = missed = 0
    for start in range(0, n_suites, chunk):
        size = (min(chunk, n_suites - start), setting.n_cases, 2 * runs)
        logs = draw(rng, size, setting.sd_rel).astype(np.float64)
        codes = judge_runs(logs[..., :runs], logs[..., runs:], setting.rule)
        alarms += int((codes == REGRESSION).any(1).sum())
        passed += int(((codes == HELD) | (codes == FASTER)).all(1).sum())
        logs[:, -1, runs:] += log_of(setting.effect_rel)
        slow = judge_runs(logs[..., :runs], logs[..., runs:], setting.rule)[:, -1]
        called += int((slow == REGRESSION).sum())
        missed += int((slow == HELD).sum())
    shares = (Share(hits, n_suites) for hits in (alarms, passed, called, missed))
    return UnpairedOutcome(setting, *shares)


def judge_runs(base: Floats, head: Floats, rule: Rule) -> Codes:
    """`judge_unpaired` for suites of runs (suites, cases, runs), each with its typical spread."""
    n_cases, runs = base.shape[1:]
    within = np.sqrt((base.var(-1, ddof=1) + head.var(-1, ddof=1)) / 2)
    least_se = np.median(within, axis=1, keepdims=True) * np.sqrt(2 / runs)
    errors = Errors(rule.case_alpha(n_cases), rule.beta)
    bounds = bounds_of(welch(base, head), least_se, errors.alpha, errors.beta, held_extra_df=0.0)
    return decide(bounds, rule, may_call=True)
