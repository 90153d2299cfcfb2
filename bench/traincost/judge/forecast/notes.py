"""What is to be known of a forecast: what it rests on, and what it leaves out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from traincost.judge.forecast.elsewhere import Elsewhere, how
from traincost.judge.forecast.held import Held
from traincost.judge.forecast.model import Size, StepModel
from traincost.judge.forecast.points import Kind
from traincost.judge.forecast.sources import GPU, LEAST_SIZES

_FAR = 16.0
"""Beyond 16 times the data a forecast is an opinion; it is told as one."""


def notes(
    model: StepModel, size: Size, held: Sequence[Held], kind: Kind, to: Elsewhere | None
) -> list[str]:
    """One sentence each."""
    found: list[str] = []
    beyond = math.exp(model.distance(size))
    if beyond > _FAR:
        found.append(
            f"{beyond:.3g} times as large as anything measured, in parameters, batch or FLOPs: the "
            "interval rests on how far smaller forecasts drifted; measure something nearer"
        )
    if not held:
        found.append(
            "no backtest: too few sizes to fit without the largest; the interval assumes a drift "
            "of 15% per factor of e, of memory 7%"
        )
    doubtful = sum(p.doubtful for p in model.points)
    if doubtful:
        found.append(f"{doubtful} of {len(model.points)} rows are unstable or throttled")
    if to is not None:
        found += [how(to), "no energy: it cannot be moved to another machine"]
    else:
        found.append(_of_energy(model, kind))
    if model.live is None:
        found.append("no memory: fewer than 2 models have live_before_bytes above 0")
    elif model.peak is None:
        found.append("no memory: fewer than 3 models, or 4 sizes, have step_peak_bytes above 0")
    if model.traffic is None:
        found.append("rows without traffic_bytes: time from launches and FLOPs alone")
    found.append("steps alone: no data loading, evaluation, checkpoints or parallelism")
    return found


def _of_energy(model: StepModel, kind: Kind) -> str:
    told = model.energies
    if told is None:
        return f"no energy: fewer than {LEAST_SIZES} sizes have any"
    of = f"{len(told.points)} of {len(model.points)} rows"
    without = kind.device != "cpu" and GPU not in told.sources
    return f"energy is that of the {told}, by {of}" + (": not the GPU's" if without else "")
