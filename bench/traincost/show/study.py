"""What `traincost calibrate` shows of the simulated suites. Shares are in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from traincost.judge.peers import PeerOutcome
from traincost.judge.study import Outcome, Setting, Share
from traincost.judge.summaries import SummarySpread
from traincost.judge.unpaired_study import UnpairedOutcome
from traincost.show.tables import SECTION, Cell, Row

COLUMNS = (
    SECTION,
    *("noise", "sd", "rule", "code", "suites", "false alarms", "cases called"),
    *("pass whole", "cost", "pairs", "called", "called +3%", "called +5%", "missed"),
    *("median", "mean", "p20", "min"),
)
OTHER_TOOLS = "other tools, 30 cases"


def outcome_row(heading: str, outcome: Outcome) -> Row:
    """One setting of the rule."""
    return _row({SECTION: heading, **_outcome_cells(outcome)})


def other_row(name: str, outcome: Outcome) -> Row:
    """One setting under other bounds."""
    heading = _other_heading(outcome.setting)
    return _row({SECTION: heading, "rule": name, **_outcome_cells(outcome)})


def peer_row(outcome: PeerOutcome) -> Row:
    """One tool's rule under one kind of noise."""
    return _row(
        {
            SECTION: OTHER_TOOLS,
            "noise": outcome.shape,
            "sd": f"{outcome.sd_rel:.1%}",
            "rule": outcome.peer.name,
            "code": outcome.peer.code,
            "suites": outcome.false_suite.of,
            "false alarms": share(outcome.false_suite),
            "cases called": share(outcome.false_case),
            **{f"called {effect:+.0%}": share(hits) for effect, hits in outcome.called},
        }
    )


def beside_peers_row(outcomes: Sequence[Outcome]) -> Row:
    """The rule in the table of the other tools: the same setting with several effects."""
    first = outcomes[0]
    return _row(
        {
            SECTION: OTHER_TOOLS,
            "noise": first.setting.shape,
            "sd": f"{first.setting.sd_rel:.1%}",
            "rule": f"this gate, {first.setting.rule.margin_rel:.0%}",
            "code": "traincost",
            "suites": first.false_alarms.of,
            "false alarms": share(first.false_alarms),
            **{f"called {o.setting.effect_rel:+.0%}": share(o.called) for o in outcomes},
        }
    )


def unpaired_row(outcome: UnpairedOutcome) -> Row:
    """One setting of runs that were not paired."""
    at = outcome.setting
    return _row(
        {
            SECTION: f"files of {at.runs} runs a side, not in pairs, {at.n_cases} cases, "
            f"--fail-if-slower {at.rule.margin_rel:.0%}, one case {at.effect_rel:+.0%}",
            "noise": at.shape,
            "sd": f"{at.sd_rel:.1%}",
            "suites": outcome.false_alarms.of,
            "false alarms": share(outcome.false_alarms),
            "pass whole": share(outcome.passed),
            "called": share(outcome.called),
            "missed": share(outcome.missed),
        }
    )


def by_noise(rows: Sequence[Row], shapes: Sequence[str]) -> list[Row]:
    """The rows in the order of the shapes."""
    at = COLUMNS.index("noise")
    return sorted(rows, key=lambda row: shapes.index(str(row[at])))


def summary_rows(spreads: Sequence[SummarySpread]) -> list[Row]:
    """How much each summary of a run's rounds varies from run to run."""
    return [
        _row(
            {
                SECTION: f"spread from run to run of what stands for {s.rounds} rounds",
                "noise": s.noise,
                **{name: f"{sd:.2%}" for name, sd in s.sd_rel.items()},
            }
        )
        for s in spreads
    ]


def share(value: Share) -> str:
    """12.3 [11.9, 12.7]: the share and its 95% interval, in percent."""
    low, high = value.interval
    return f"{_percent(value.value)} [{_percent(low)}, {_percent(high)}]"


def _percent(x: float) -> str:
    """One digit, and more where that tells it from 0 or from 100."""
    edge = min(x, 1 - x)
    digits = 3 if 0 < edge < 2e-4 else 2 if 0 < edge < 2e-3 else 1
    return f"{100 * x:.{digits}f}".removesuffix(".0")


def _row(cells: Mapping[str, Cell]) -> Row:
    return tuple(cells.get(name) for name in COLUMNS)


def _outcome_cells(outcome: Outcome) -> dict[str, Cell]:
    return {
        "noise": outcome.setting.shape,
        "sd": f"{outcome.setting.sd_rel:.1%}",
        "suites": outcome.false_alarms.of,
        "false alarms": share(outcome.false_alarms),
        "pass whole": share(outcome.passed),
        "cost": f"{outcome.cost:.2f}",
        "pairs": f"{outcome.process_pairs:.1f}",
        "called": share(outcome.called),
        "missed": share(outcome.missed),
    }


def _other_heading(setting: Setting) -> str:
    return (
        f"other ways to bound a slow-down, {setting.n_cases} cases, "
        f"--fail-if-slower {setting.rule.margin_rel:.0%}, one case {setting.effect_rel:+.0%}"
    )
