"""A forecast, in every format: what it costs, whether it fits, how good forecasts were, notes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from traincost.judge.forecast.plan import Forecast
from traincost.judge.forecast.step import Spread
from traincost.show.tables import WIDTH, Format, Row, left_alone, render
from traincost.show.units import amount

COLUMNS = ("section", "quantity", "value", "low", "high", "unit", "note")
_MINUTE_S, _HOUR_S, _DAY_S, _YEAR_S = 60.0, 3600.0, 86_400.0, 31_557_600.0
_KWH_J = 3.6e6


def shown(told: Forecast, fmt: Format) -> str:
    """The text; amounts in SI units for programs, as people say them otherwise."""
    if fmt in ("csv", "json"):
        return render("forecast", COLUMNS, list(_rows(told)), fmt)
    clean = left_alone if fmt == "markdown" else str
    title = clean(f"forecast of {told.kind}" + (f" on {told.on}" if told.on else ""))
    parts = [render(title, ("quantity", "forecast", "90% interval"), list(_people(told)), fmt)]
    if told.scores:
        columns = ("backtest", "rows", "median error", "worst", "within 90% interval")
        rows: list[Row] = [
            (
                s.axis,
                s.n,
                f"{s.median_error_rel:.1%}",
                f"{s.worst_error_rel:.0%}",
                f"{s.covered:.0%}",
            )
            for s in told.scores
        ]
        title = "fitted without the largest sizes, and asked for them"
        parts.append(render(title, columns, rows, fmt, columns[1:]))
    notes = [f"note: {note}" for note in told.notes]
    if fmt == "markdown":
        parts.append("".join(f"- {left_alone(note)}\n" for note in notes))
    else:
        parts.append("".join(f"{line}\n" for note in notes for line in textwrap.wrap(note, WIDTH)))
    return ("\n" if fmt == "markdown" else "").join(parts)


def _rows(told: Forecast) -> Iterator[Row]:
    """Every number once, in SI units."""
    spreads = (
        ("step_time", told.step, "s"),
        ("time", told.time, "s"),
        ("memory", told.memory, "B"),
        ("energy", told.energy, "J"),
        ("money", told.money, "price"),
        ("carbon", told.carbon, "g"),
    )
    plain: tuple[tuple[str, float | None, str], ...] = (
        ("n_params", told.request.n_params, ""),
        ("tokens", told.request.tokens, ""),
        ("samples", told.request.samples, ""),
        ("batch_size", told.batch_size, ""),
        ("steps", told.steps, ""),
        ("flops", told.flops, "FLOP"),
        ("memory_capacity", told.request.memory_bytes, "B"),
        ("largest_n_params_that_fits", told.largest_n_params, ""),
        ("largest_batch_that_fits", told.largest_batch, ""),
        ("beyond_the_data", told.beyond, "times"),
        ("drift_rel", told.drift_rel, ""),
    )
    for name, spread, unit in spreads:
        if spread is not None:
            yield "forecast", name, spread.value, spread.low, spread.high, unit, _fits(told, name)
    for name, value, unit in plain:
        if value is not None:
            yield "forecast", name, value, None, None, unit or None, None
    for name, share in told.shares.items():
        yield "forecast", f"share of {name}", share, None, None, None, None
    for s in told.scores:
        yield "backtest", f"{s.axis}: median error", s.median_error_rel, None, None, None, None
        yield "backtest", f"{s.axis}: worst error", s.worst_error_rel, None, None, None, None
        yield "backtest", f"{s.axis}: within the interval", s.covered, None, None, None, None
        yield "backtest", f"{s.axis}: rows", s.n, None, None, None, None
    for note in told.notes:
        yield "notes", None, None, None, None, None, note


def _fits(told: Forecast, name: str) -> str | None:
    if name != "memory" or told.fits is None:
        return None
    return "fits" if told.fits else "does not fit in memory"


def _people(told: Forecast) -> Iterator[Row]:
    asked = told.request
    volume = (
        f"{amount(asked.tokens)} tokens" if asked.tokens else f"{amount(asked.samples)} samples"
    )
    yield "run", f"{amount(asked.n_params)} parameters, {volume}, batch {told.batch_size}", None
    yield "steps", f"{told.steps:,.0f}", None
    yield "time per step", amount(told.step.value, "s"), _between(told.step, "s")
    yield "time", duration(told.time.value), _durations(told.time)
    yield "arithmetic", amount(told.flops, "FLOP"), None
    if told.energy is not None:
        kwh = told.energy.times(1 / _KWH_J)
        yield "energy", f"{kwh.value:,.3g} kWh", f"{kwh.low:,.3g} to {kwh.high:,.3g} kWh"
    if told.money is not None:
        yield (
            "money",
            f"{told.money.value:,.2f}",
            f"{told.money.low:,.2f} to {told.money.high:,.2f}",
        )
    if told.carbon is not None:
        kg = told.carbon.times(1e-3)
        yield "carbon", f"{kg.value:,.3g} kg CO2", f"{kg.low:,.3g} to {kg.high:,.3g} kg CO2"
    if told.memory is not None:
        yield "memory", amount(told.memory.value, "B"), _between(told.memory, "B")
    if told.fits is False:
        yield "does not fit in memory", _largest(told), None
    elif told.fits:
        yield "fits in memory", f"of {amount(asked.memory_bytes, 'B')}", None
    parts = ", ".join(f"{name} {share:.0%}" for name, share in told.shares.items())
    yield "a step's time is", parts, None
    yield "beyond the data", f"{told.beyond:.3g} times", None


def _largest(told: Forecast) -> str:
    have = amount(told.request.memory_bytes, "B")
    model = amount(told.largest_n_params) if told.largest_n_params else "none"
    batch = told.largest_batch or "none"
    return f"of {have}; largest that would: {model} parameters at this batch, or batch {batch}"


def _between(spread: Spread, unit: str) -> str:
    return f"{amount(spread.low, unit)} to {amount(spread.high, unit)}"


def _durations(spread: Spread) -> str:
    return f"{duration(spread.low)} to {duration(spread.high)}"


def duration(seconds: float) -> str:
    """Three significant digits in the unit that people would use: `3.20 days`."""
    for unit_s, name in ((_YEAR_S, "years"), (_DAY_S, "days"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit_s:
            count = seconds / unit_s
            return f"{count:,.0f} {name}" if count >= 1000 else f"{count:.3g} {name}"
    return amount(seconds, "s")
