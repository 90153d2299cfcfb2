"""A forecast, in every format: what it costs, whether it fits, how good forecasts were, notes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from traincost.judge.forecast.fitting import Fit, Room
from traincost.judge.forecast.model import Spread
from traincost.judge.forecast.plan import Forecast
from traincost.show.log import printable
from traincost.show.tables import WIDTH, Format, Row, left_alone, render
from traincost.show.units import amount

COLUMNS = ("section", "quantity", "value", "low", "high", "unit", "note")
_MINUTE_S, _HOUR_S, _DAY_S, _YEAR_S = 60.0, 3600.0, 86_400.0, 31_557_600.0
_KWH_J = 3.6e6


def shown(told: Forecast, fmt: Format) -> str:
    """The text; amounts in SI units for programs, as people say them otherwise."""
    if fmt in ("csv", "json"):
        return render("forecast", COLUMNS, list(_rows(told)), fmt)
    clean = left_alone if fmt == "markdown" else _one_line
    title = clean(_title(told))
    parts = [render(title, ("quantity", "forecast", "90% interval"), list(_people(told)), fmt)]
    if told.scores:
        columns = ("backtest", "rows", "median error", "worst", "within 90%", "median width")
        rows: list[Row] = [
            (
                s.axis,
                s.n,
                f"{s.median_error_rel:.1%}",
                f"{s.worst_error_rel:.0%}",
                f"{s.covered:.0%}",
                f"{s.median_width:.2f}x",
            )
            for s in told.scores
        ]
        title = "fitted without the largest sizes, and asked for them"
        parts.append(render(title, columns, rows, fmt, columns[1:]))
    notes = [f"note: {clean(note)}" for note in told.notes]
    if fmt == "markdown":
        parts.append("".join(f"- {note}\n" for note in notes))
    else:
        parts.append("".join(f"{line}\n" for note in notes for line in textwrap.wrap(note, WIDTH)))
    return ("\n" if fmt == "markdown" else "").join(parts)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _title(told: Forecast) -> str:
    measured = f", measured on {told.machine}" if told.on and told.machine else ""
    on = told.on or told.machine
    return f"forecast of {told.kind}{f' on {on}' if on else ''}{measured}"


def _rows(told: Forecast) -> Iterator[Row]:
    """Every number once, in SI units."""
    room = told.room
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
        ("largest_n_params_that_fits", room.largest_n_params if room else None, ""),
        ("largest_batch_that_fits", room.largest_batch if room else None, ""),
        ("beyond_the_data", told.beyond, "times"),
        ("drift_rel", told.drift.time_rel, ""),
        ("drift_rel of memory", told.drift.memory_rel, ""),
        ("drift_rel of energy", told.drift.energy_rel, ""),
    )
    for name, text in (("kind", str(told.kind)), ("measured_on", told.machine), ("on", told.on)):
        if text is not None:
            yield "forecast", name, None, None, None, None, text
    for name, spread, unit in spreads:
        if spread is not None:
            fit = str(room.fit) if room is not None and name == "memory" else None
            yield "forecast", name, spread.value, spread.low, spread.high, unit, fit
    for name, value, unit in plain:
        if value is not None:
            yield "forecast", name, value, None, None, unit or None, None
    for name, share in told.shares.items():
        yield "forecast", f"share of {name}", share, None, None, None, None
    for s in told.scores:
        yield "backtest", f"{s.axis}: median error", s.median_error_rel, None, None, None, None
        yield "backtest", f"{s.axis}: worst error", s.worst_error_rel, None, None, None, None
        yield "backtest", f"{s.axis}: within the interval", s.covered, None, None, None, None
        yield "backtest", f"{s.axis}: median width", s.median_width, None, None, "times", None
        yield "backtest", f"{s.axis}: rows", s.n, None, None, None, None
    for note in told.notes:
        yield "notes", None, None, None, None, None, note


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
    if told.room is not None:
        yield str(told.room.fit), _room(told.room, asked.memory_bytes), None
    parts = ", ".join(f"{name} {share:.0%}" for name, share in told.shares.items())
    yield "a step's time is", parts, None
    yield "beyond the data", f"{told.beyond:.3g} times", None


def _room(room: Room, capacity_bytes: float | None) -> str:
    have = f"of {amount(capacity_bytes, 'B')}"
    if room.fit is Fit.YES:
        return have
    model, batch = room.largest_n_params, room.largest_batch
    models = f"{amount(model)} parameters" if model else "no model"
    batches = f"batch {batch}" if batch else "no batch of this model"
    return f"{have}; largest that surely would: {models} at this batch, or {batches}"


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
