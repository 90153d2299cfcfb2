"""The simulated suites: that they are judged as real ones are, and what they must show."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from traincost.cli import main
from traincost.judge import plans
from traincost.judge.alternatives import WAYS
from traincost.judge.bounds import VERDICTS, Bounds, Errors, Floats
from traincost.judge.noise import SHAPES, Draws, Shape, Size, pairs_of
from traincost.judge.peers import Peer, peers, pyperf_test, sides, try_peer
from traincost.judge.plans import Plan, only, plan
from traincost.judge.rule import Rule, Verdict, judge_suite_mean, judge_unpaired
from traincost.judge.sequential import Sequential
from traincost.judge.study import Setting, Share, judge_means, judge_suites, simulate
from traincost.judge.summaries import summary_spreads
from traincost.judge.unpaired import typical_run_sd
from traincost.judge.unpaired_study import UnpairedSetting, judge_runs, simulate_unpaired
from traincost.show.study import OTHER_TOOLS
from traincost.verbs.calibrate import KINDS

REQUIRED = ("gaussian", "unequal", "ar1", "bimodal", "outliers", "drift")


def draws(shape: str, sd: float = 0.02, cases: int = 400, runs: int = 48) -> Floats:
    """Log times of runs of identical code: (cases, runs)."""
    rng = np.random.default_rng(1)
    x: Floats = SHAPES[shape].draw(rng, (1, cases, runs), sd)[0].astype(np.float64)
    return x


@pytest.mark.parametrize("shape", SHAPES)
def test_simulated_suites_are_judged_as_an_ab_judges_them(shape: str) -> None:
    setting = Setting(shape, 0.02, 7)
    d = pairs_of(np.random.default_rng(5), SHAPES[shape], (12, 7, 24), 0.02)
    d[:, 0] += 0.05
    codes, used = judge_suites(d, setting)
    by_mean = judge_means(d, used, setting)
    for suite in range(len(d)):
        sequential = Sequential([str(c) for c in range(7)], setting.rule)
        while sequential.undecided:
            n = sequential.pairs_needed
            sequential.look({c: d[suite, int(c), :n].tolist() for c in sequential.undecided})
        judged = sequential.verdicts
        assert [judged[str(c)].verdict for c in range(7)] == [VERDICTS[c] for c in codes[suite]]
        assert [judged[str(c)].n for c in range(7)] == used[suite].tolist()
        seen = {str(c): d[suite, c, : int(used[suite, c])].tolist() for c in range(7)}
        assert judge_suite_mean(seen, setting.rule).verdict is VERDICTS[by_mean[suite]]


@pytest.mark.parametrize("shape", ["gaussian", "ar1", "bimodal", "shared"])
def test_the_spread_of_a_run_is_the_one_asked_for(shape: str) -> None:
    assert draws(shape).std() == pytest.approx(0.02, rel=0.1)


def test_each_shape_has_what_its_name_says() -> None:
    spreads = draws("unequal").std(-1)
    assert np.log(spreads).std() == pytest.approx(0.4, rel=0.15)
    ar1 = draws("ar1")
    assert (ar1[:, 1:] * ar1[:, :-1]).mean() / ar1.var() == pytest.approx(0.5, abs=0.03)
    beyond_3_sd = 0.97 * 0.0027 + 0.03 * 0.5485  # and beyond 0.6 of a sd five times as large
    assert (np.abs(draws("outliers")) > 0.06).mean() == pytest.approx(beyond_3_sd, rel=0.2)
    assert (draws("stalls") > 1).mean() == pytest.approx(0.01, rel=0.2)
    drift = draws("drift").mean(0)
    assert drift[-1] - drift[0] == pytest.approx(0.04, abs=0.005)
    shared = draws("shared")
    states = shared.mean(0)  # of the runs; the cases of a run are in one
    assert np.abs(states) == pytest.approx(0.019, rel=0.1)
    assert 0.2 < (states > 0).mean() < 0.8
    few = draws("few-bimodal").std(-1)
    assert few[:300].mean() == pytest.approx(0.01, rel=0.1)
    assert few[-30:].mean() == pytest.approx(0.04, rel=0.1)


def test_drift_is_balanced_by_the_order_of_the_pairs() -> None:
    def slope(rng: np.random.Generator, size: Size, sd: float) -> Draws:
        del rng, sd
        return np.broadcast_to(0.01 * np.arange(size[2], dtype=np.float32), size)

    d = pairs_of(np.random.default_rng(2), Shape("slope", "", slope), (200, 1, 24), 0.0)
    assert np.abs(d) == pytest.approx(0.01, rel=1e-5)
    assert d.mean(-1) == pytest.approx(0.0, abs=1e-6)
    firsts = d[:, 0, 0] > 0
    assert 70 < firsts.sum() < 130


@pytest.mark.parametrize("shape", SHAPES)
def test_suites_of_identical_code_have_a_false_alarm_at_most_once_in_a_hundred(shape: str) -> None:
    outcome = simulate(Setting(shape, 0.02, 30), n_suites=400)
    assert outcome.false_alarms.interval[0] < 0.01
    assert outcome.false_alarms.value <= 0.01


@pytest.mark.parametrize("shape", REQUIRED)
def test_at_one_percent_a_slow_down_by_the_margin_is_called_and_clean_suites_pass(
    shape: str,
) -> None:
    outcome = simulate(Setting(shape, 0.01, 30), n_suites=400)
    assert outcome.called.value >= 0.99
    assert outcome.passed.value >= 0.97
    assert outcome.cost <= 0.5
    narrow = simulate(Setting(shape, 0.01, 30, Rule(margin_rel=0.03), 0.03), n_suites=400)
    assert narrow.called.value >= 0.9


@pytest.mark.thorough
def test_without_the_floor_under_the_spread_bimodal_noise_is_called() -> None:
    def alarms(way: str) -> int:
        setting = Setting("bimodal", 0.02, 30, bounds=WAYS[way])
        return simulate(setting, n_suites=4_000).false_alarms.hits

    assert alarms("the rule") < alarms("plain t")


def test_a_study_repeats_to_the_suite_and_reports_how_many_it_has_judged() -> None:
    seen: list[int] = []
    setting = Setting("unequal", 0.02, 300)
    first = simulate(setting, 250, watch=seen.append)
    assert simulate(setting, 250) == first
    assert sum(seen) == 250
    assert first.false_alarms.of == 250


def test_a_rule_that_calls_everything_is_seen_to_be_always_wrong() -> None:
    def call_all(d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
        del errors, typical_sd
        one = np.ones(len(d))
        return Bounds(one, one, one, one)

    outcome = simulate(Setting("gaussian", 0.01, 30, bounds=call_all), 50)
    assert outcome.false_alarms == Share(50, 50)
    assert outcome.passed == Share(0, 50)
    assert outcome.called == Share(50, 50)


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson() -> None:
    from scipy.stats import binomtest

    for hits, of in ((0, 20), (3, 20), (20, 20)):
        theirs = binomtest(hits, of).proportion_ci(0.95)
        assert Share(hits, of).interval == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("peer", peers(), ids=lambda p: p.name)
def test_a_peer_calls_what_is_twice_as_slow_and_not_what_is_twice_as_fast(peer: Peer) -> None:
    base, head = sides(np.random.default_rng(3), peer, "gaussian", 0.01, 4)
    assert base.shape == head.shape == (4, peer.processes * peer.rounds)
    assert peer.slower(base, 2 * head).all()
    assert not peer.slower(2 * base, head).any()


def test_the_means_that_a_peer_sees_vary_by_the_spread_asked_for() -> None:
    (peer, *_) = peers()
    base, _ = sides(np.random.default_rng(4), peer, "gaussian", 0.01, 4_000)
    assert np.log(base.mean(-1)).std() == pytest.approx(0.01, rel=0.05)


def test_mean_5_percent_sees_half_of_5_percent_and_mann_whitney_calls_identical_code() -> None:
    mean, mann_whitney = (try_peer(p, "gaussian", 0.01, 60) for p in peers()[:2])
    assert mean.false_case.value < 0.01
    assert 0.2 < dict(mean.called)[0.05].value < 0.8
    assert mann_whitney.false_case.value > 0.2
    assert mann_whitney.false_suite.value == 1


def test_pyperfs_test_is_students_where_pyperf_is_installed() -> None:
    significant = pyperf_test()
    if significant is None:
        pytest.skip("pyperf is not installed")
    assert significant([1.0, 1.1, 0.9] * 5, [2.0, 2.1, 1.9] * 5)
    assert not significant([1.0, 1.1, 0.9] * 5, [1.0, 1.1, 0.91] * 5)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_bound_holds_an_estimate_that_lies_clear_of_it(
    way: Callable[[Floats, Errors, float], Bounds],
) -> None:
    rng = np.random.default_rng(6)
    d = math.log1p(0.1) + 0.01 * rng.standard_normal((5, 24))
    bounds = way(d, Errors(1e-3, 1e-2), 0.01)
    assert (bounds.lower > 0).all()
    assert (bounds.lower < bounds.estimate).all()
    assert (bounds.estimate < bounds.upper).all()
    assert np.abs(bounds.estimate - math.log1p(0.1)).max() < 0.01


def test_a_low_quantile_varies_less_where_the_disturbance_differs_between_runs() -> None:
    quiet, *_, heavy, _ = summary_spreads(3_000)
    assert quiet.sd_rel["median"] < quiet.sd_rel["p20"] < quiet.sd_rel["min"]
    assert heavy.sd_rel["p20"] < heavy.sd_rel["median"] < heavy.sd_rel["mean"]


def test_the_command_shows_every_part_in_one_table_a_program_can_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = Plan(
        settings=(("heading", Setting("gaussian", 0.01, 5), 20),),
        unpaired=(UnpairedSetting("gaussian", 0.01, 5, runs=3),),
        n_unpaired_suites=20,
        other_bounds=(("plain t", Setting("gaussian", 0.01, 5, bounds=WAYS["plain t"])),),
        n_other_suites=10,
        peer_shapes=("unequal", "gaussian"),
        peer_sd_rel=0.01,
        n_peer_suites=5,
        n_summary_runs=100,
    )

    def of_any_size(full: bool) -> Plan:
        del full
        return small

    monkeypatch.setattr(plans, "plan", of_any_size)
    assert main(["calibrate", "--only", "simulation", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    sections = list(dict.fromkeys(row["section"] for row in rows))
    assert [s.split(",")[0] for s in sections] == [
        "heading",
        "files of 3 runs a side",
        "other tools",
        "other ways to bound a slow-down",
        "spread from run to run of what stands for 30 rounds",
    ]
    assert rows[0]["false alarms"] == "0 [0, 16.8]"
    beside = [row for row in rows if row["section"] == OTHER_TOOLS]
    assert [row["noise"] for row in beside] == sorted((r["noise"] for r in beside), reverse=True)
    assert {"this gate, 5%", "this gate, 3%", "mean:5%, 1 process"} <= {r["rule"] for r in beside}


def test_one_kind_of_noise_can_be_asked_for() -> None:
    part = only(plan(full=True), "drift")
    assert {s.shape for _, s, _ in part.settings} == {"drift"}
    assert {s.shape for s in part.unpaired} == set(part.peer_shapes) == {"drift"}
    assert sorted(KINDS) == sorted(SHAPES)


def test_runs_that_are_not_paired_are_judged_as_files_are() -> None:
    logs = SHAPES["unequal"].draw(np.random.default_rng(8), (9, 6, 10), 0.02).astype(np.float64)
    logs[:, 0, 5:] += 0.2
    codes = judge_runs(logs[..., :5], logs[..., 5:], Rule())
    for suite in range(len(logs)):
        sides = [(row[:5].tolist(), row[5:].tolist()) for row in logs[suite]]
        typical = typical_run_sd(sides)
        verdicts = [
            judge_unpaired(*s, Rule(), n_cases=6, typical_sd=typical).verdict for s in sides
        ]
        assert verdicts == [VERDICTS[c] for c in codes[suite]]
    assert VERDICTS[codes[0, 0]] is Verdict.REGRESSION


def test_files_of_runs_have_a_false_alarm_at_most_once_in_a_hundred() -> None:
    outcome = simulate_unpaired(UnpairedSetting("gaussian", 0.01, 30, runs=5), 400)
    assert outcome.false_alarms.value <= 0.01
    assert outcome.called.value > 0.5


def test_the_full_study_has_20_000_suites_of_every_shape_where_something_is_promised() -> None:
    full = plan(full=True)
    for n_cases, promised in ((30, (0.005, 0.01, 0.02, 0.03)), (300, (0.01, 0.02))):
        found = {
            (s.shape, s.sd_rel)
            for _, s, n_suites in full.settings
            if s.n_cases == n_cases and s.rule == Rule() and n_suites == 20_000
        }
        assert found == {(shape, sd) for shape in SHAPES for sd in promised}
