"""Which settings the study runs: a quick look in half a minute, or all that docs/gate.md shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from traincost.judge.alternatives import WAYS
from traincost.judge.noise import SHAPES
from traincost.judge.peers import Peer, PeerOutcome, peers, try_peer
from traincost.judge.study import Outcome, Setting, simulate
from traincost.judge.unpaired_study import UnpairedOutcome, UnpairedSetting, simulate_unpaired
from traincost.judge.verdict import Rule

MOST_SLOW_CASES = 1_200_000
"""Of suites with a slow case: 40,000 suites of 30 cases, 4,000 of 300."""

OTHER_SHAPES = ("gaussian", "unequal", "bimodal", "outliers", "stalls", "few-bimodal")
LIKELY_WAYS = ("the rule", "plain t", "moderated t")

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """Settings of the rule, each with its heading and how many suites, and what stands beside."""

    settings: tuple[tuple[str, Setting, int], ...]
    unpaired: tuple[UnpairedSetting, ...]
    n_unpaired_suites: int
    other_bounds: tuple[tuple[str, Setting], ...]  # by name
    n_other_suites: int
    peer_shapes: tuple[str, ...]
    peer_sd_rel: float
    n_peer_suites: int
    n_summary_runs: int


def _grid(
    n_suites: int, sds_rel: tuple[float, ...], n_cases: int, margin_rel: float, effect_rel: float
) -> tuple[tuple[str, Setting, int], ...]:
    rule = Rule(margin_rel=margin_rel)
    heading = f"{n_cases} cases, --fail-if-slower {margin_rel:.0%}, one case {effect_rel:+.0%}"
    return tuple(
        (heading, Setting(shape, sd_rel, n_cases, rule, effect_rel), n_suites)
        for sd_rel in sds_rel
        for shape in SHAPES
    )


def _other(
    shapes: tuple[str, ...], n_cases: int, ways: tuple[str, ...]
) -> tuple[tuple[str, Setting], ...]:
    return tuple(
        (way, Setting(shape, 0.02, n_cases, bounds=WAYS[way])) for shape in shapes for way in ways
    )


def plan(full: bool) -> Plan:
    """What `traincost calibrate` simulates, with `--full` or without."""
    if not full:
        return Plan(
            settings=(
                *_grid(2_000, (0.01, 0.02), 30, 0.05, 0.05),
                *_grid(2_000, (0.01,), 30, 0.03, 0.03),
            ),
            unpaired=(),
            n_unpaired_suites=0,
            other_bounds=(),
            n_other_suites=0,
            peer_shapes=("gaussian", "unequal"),
            peer_sd_rel=0.01,
            n_peer_suites=200,
            n_summary_runs=2_000,
        )
    return Plan(
        settings=(
            *_grid(20_000, (0.005, 0.01, 0.02, 0.03), 30, 0.05, 0.05),
            *_grid(20_000, (0.01, 0.02), 30, 0.05, 0.03),
            *_grid(20_000, (0.01,), 30, 0.03, 0.03),
            *_grid(20_000, (0.01, 0.02), 300, 0.05, 0.05),
            *_grid(4_000, (0.005, 0.03), 300, 0.05, 0.05),
        ),
        unpaired=tuple(
            UnpairedSetting(shape, 0.01, 30, runs) for runs in (3, 5, 12) for shape in SHAPES
        ),
        n_unpaired_suites=20_000,
        other_bounds=(
            *_other(OTHER_SHAPES, 30, tuple(WAYS)),
            *_other(("unequal", "bimodal", "few-bimodal"), 300, LIKELY_WAYS),
        ),
        n_other_suites=20_000,
        peer_shapes=("gaussian", "unequal", "stalls", "drift"),
        peer_sd_rel=0.01,
        n_peer_suites=1_000,
        n_summary_runs=20_000,
    )


def only(chosen: Plan, shape: str) -> Plan:
    """The part of a plan that is about one kind of noise."""
    return replace(
        chosen,
        settings=tuple(s for s in chosen.settings if s[1].shape == shape),
        unpaired=tuple(s for s in chosen.unpaired if s.shape == shape),
        other_bounds=tuple(s for s in chosen.other_bounds if s[1].shape == shape),
        peer_shapes=tuple(s for s in chosen.peer_shapes if s == shape),
    )


def rule_outcomes(chosen: Plan, watch: Watch) -> Iterator[tuple[str, Outcome]]:
    """Every setting of the rule, with its heading."""
    done, of = 0, sum(n_suites for _, _, n_suites in chosen.settings)

    def more(suites: int) -> None:
        nonlocal done
        done += suites
        watch(done, of)

    for heading, setting, n_suites in chosen.settings:
        yield (
            heading,
            simulate(setting, n_suites, n_slow=MOST_SLOW_CASES // setting.n_cases, watch=more),
        )


def unpaired_outcomes(chosen: Plan, watch: Watch) -> Iterator[UnpairedOutcome]:
    """Every setting of runs that were not paired."""
    for number, setting in enumerate(chosen.unpaired):
        watch(number, len(chosen.unpaired))
        yield simulate_unpaired(setting, chosen.n_unpaired_suites)


def other_outcomes(chosen: Plan, watch: Watch) -> Iterator[tuple[str, Outcome]]:
    """Other bounds on the same noise, with their names."""
    for number, (name, setting) in enumerate(chosen.other_bounds):
        watch(number, len(chosen.other_bounds))
        most_slow = MOST_SLOW_CASES // setting.n_cases
        yield name, simulate(setting, chosen.n_other_suites, n_slow=most_slow)


def beside_peers(chosen: Plan) -> Iterator[Sequence[Outcome]]:
    """The rule on the other tools' settings, at margins of 5% and 3%: +3% and +5% of each."""
    for shape in chosen.peer_shapes:
        for margin_rel in (0.05, 0.03):
            at = Setting(shape, chosen.peer_sd_rel, 30, Rule(margin_rel=margin_rel))
            yield [
                simulate(replace(at, effect_rel=effect_rel), chosen.n_peer_suites)
                for effect_rel in (0.03, 0.05)
            ]


def peer_outcomes(chosen: Plan, watch: Watch) -> Iterator[PeerOutcome]:
    """Other tools' rules on noise of the same kinds."""
    trials: list[tuple[Peer, str]] = [(p, s) for s in chosen.peer_shapes for p in peers()]
    for number, (peer, shape) in enumerate(trials):
        watch(number, len(trials))
        yield try_peer(peer, shape, chosen.peer_sd_rel, chosen.n_peer_suites)
