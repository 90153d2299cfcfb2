"""What the real study shows: every comparison, and how often the gate was wrong and right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from traincost.ab.planted import EXTRA_REL
from traincost.ab.trials import Trial, Tried
from traincost.judge.resampled import Resampled
from traincost.judge.study import Share
from traincost.show.study import share
from traincost.show.tables import SECTION, Cell, Row

COLUMNS = (
    *(SECTION, "comparison", "cases", "comparisons", "budget", "took", "pairs", "spread of a pair"),
    *("false alarms", "called", "pass whole", "slow case", "exit code", "fault"),
)
TRUE, RATES, MACHINE = "runs of traincost ab", "rates", "machine"
IDENTICAL = "identical code"


def study_rows(tried: Sequence[Tried], resampled: Sequence[Resampled]) -> list[Row]:
    """The whole study."""
    machines = dict.fromkeys(one.machine for one in tried if one.machine)
    return [
        *(_row({SECTION: MACHINE, "comparison": machine}) for machine in machines),
        *map(_tried_row, tried),
        *_rates_of(tried),
        *map(_resampled_row, resampled),
    ]


def progress_line(done: Sequence[Tried], trials: Sequence[Trial]) -> str:
    """Where the study stands: `3 of 12 done (identical code: 0 false alarms); …`."""
    left_s = sum(trial.budget_s for trial in trials[len(done) :])
    said = ""
    if done:
        last = done[-1]
        what = last.fault or f"{len(last.false_alarms)} false alarms, {last.pairs} pairs"
        if last.trial.planted and not last.fault:
            what += ", called" if last.called else ", not called"
        said = f" ({_name(last.trial)}: {what}, {last.length_s:.0f} s)"
    return f"{len(done)} of {len(trials)} done{said}; at most {left_s / 60:.0f} min left"


def _tried_row(one: Tried) -> Row:
    cells: dict[str, Cell] = {
        SECTION: TRUE,
        "comparison": _name(one.trial),
        "cases": one.trial.n_cases,
        "budget": f"{one.trial.budget_s:.0f} s",
        "took": f"{one.length_s:.0f} s",
        "exit code": one.exit_code,
        "fault": one.fault or None,
    }
    if not one.fault:
        cells |= {
            "pairs": one.pairs,
            "spread of a pair": _percent(one.sd_rel),
            "false alarms": ", ".join(one.false_alarms) or "none",
        }
    if one.slow_case is not None:
        cells |= {
            "called": one.slow_case if one.called else "no",
            "slow case": f"{one.estimates_rel[one.slow_case]:+.1%}",
        }
    return _row(cells)


def _rates_of(tried: Sequence[Tried]) -> list[Row]:
    """The share of comparisons that came to verdicts; one that did not is in their list."""
    judged = [one for one in tried if not one.fault]
    same = [one for one in judged if not one.trial.planted]
    slow = [one for one in judged if one.trial.planted]
    rows: list[Row] = []
    for name, ones in ((IDENTICAL, same), (_planted(), slow)):
        if ones:
            wrong = Share(sum(bool(one.false_alarms) for one in ones), len(ones))
            called = Share(sum(one.called for one in ones), len(ones))
            cells: dict[str, Cell] = {
                SECTION: RATES,
                "comparison": f"runs of traincost ab, {name}",
                "comparisons": len(ones),
                "false alarms": share(wrong),
                "called": share(called) if ones is slow else None,
            }
            rows.append(_row(cells))
    return rows


def _resampled_row(one: Resampled) -> Row:
    effect = f"one case {one.effect_rel:+.0%}" if one.effect_rel else IDENTICAL
    return _row(
        {
            SECTION: RATES,
            "comparison": f"drawn from real pairs, {effect}",
            "cases": one.n_cases,
            "comparisons": one.passed.of,
            "pairs": one.n_pairs,
            "spread of a pair": _percent(one.sd_rel),
            "false alarms": share(one.false_alarms),
            "called": None if one.called is None else share(one.called),
            "pass whole": None if one.effect_rel else share(one.passed),
        }
    )


def _name(trial: Trial) -> str:
    if trial.planted:
        return _planted()
    return IDENTICAL if trial.margin_rel >= 0.01 else f"{IDENTICAL}, no case can be held"


def _planted() -> str:
    return f"one case does {EXTRA_REL:.0%} more"


def _percent(rel: float | None) -> str | None:
    return None if rel is None else f"{rel:.2%}"


def _row(cells: Mapping[str, Cell]) -> Row:
    return tuple(cells.get(name) for name in COLUMNS)
