"""How cost grows with parameters, batch and data: curves with fits and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from traincost.judge.scaling import Estimate, Refusal, Scaling, fit_scaling
from traincost.show.report.content import Report, Section, nothing
from traincost.show.report.html import Html, joined, tag
from traincost.show.report.marks import Key
from traincost.show.report.plot import Axis, Figure, Plot
from traincost.show.report.scale import log_scale
from traincost.show.report.series import Series, series_of
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import amount, plain

TITLE = "Scaling"
LEAD = (
    "How cost grows with the size of the model, of the batch and of the data: measured points, the"
    " fit of cost = fixed + scale · N^exponent, and where that curve may lie (95%). No fit is drawn"
    " through too few or too narrow points, nor where the cost does not depend on the size."
)


@dataclass(frozen=True)
class Pair:
    """A quantity over an axis."""

    axis: str
    x: Axis
    metric: str
    y: Axis
    exponent: float | None = None  # where theory says it


_PARAMETERS, _BATCH, _DATA = (
    ("n_params", Axis("parameters")),
    ("batch_size", Axis("batch size", plain=True)),
    ("dataset_samples", Axis("samples of data")),
)
_TIME, _MEMORY = ("time_median_s", Axis("time", "s")), ("step_peak_bytes", Axis("step memory", "B"))
_GPU = ("gpu_energy_j", Axis("GPU energy", "J"))
_CPU = ("cpu_energy_j", Axis("CPU energy", "J"))
_FLOPS = ("flops", Axis("FLOPs"))
PAIRS = (
    *(Pair(*axis, *_TIME) for axis in (_PARAMETERS, _BATCH)),
    Pair(*_DATA, *_TIME, exponent=1.0),
    *(Pair(*axis, *_MEMORY) for axis in (_PARAMETERS, _BATCH)),
    *(Pair(*_PARAMETERS, *metric) for metric in (_GPU, _CPU, _FLOPS)),
)
_MOST_FIGURES, _MOST_CURVES, _MOST_FITS, _N_DRAWN = 12, 8, 60, 48


@dataclass(frozen=True)
class Curve:
    """Cases in a row, and the law through them or why there is none."""

    pair: Pair
    series: Series
    law: Scaling | Refusal

    @property
    def fit(self) -> Scaling | None:
        """The law, where it is one to draw."""
        return self.law if isinstance(self.law, Scaling) and not self.law.is_level else None

    @property
    def is_worth_a_figure(self) -> bool:
        """Level lines say in a picture what the table says in a word."""
        return isinstance(self.law, Refusal) or not self.law.is_surely_level


def section(report: Report) -> Section:
    """A figure a kind of case and quantity, and a table of all fits."""
    curves = _curves(report)
    if not curves:
        why = "Nothing was measured at three sizes. pytest suites/test_parameters.py does that."
        return nothing("scaling", TITLE, LEAD, why)
    every = _panels(report, curves)
    panels = {t: same for t, same in every.items() if any(c.is_worth_a_figure for c in same)}
    figures = tuple(
        Figure(
            f"scaling-{i + 1}",
            title,
            lambda width, same=same: _draw(report, same, width),  # type: ignore[misc]
            half=True,
        )
        for i, (title, same) in enumerate(list(panels.items())[:_MOST_FIGURES])
    )
    left = len(every) - len(figures)
    more = tag("p", _left_out(left, len(figures)), class_="more") if left > 0 else None
    return Section("scaling", TITLE, LEAD, joined((more, _table(report, curves))), figures)


def _left_out(n: int, n_figures: int) -> str:
    """What the table alone tells: costs that do not grow come first to it."""
    what = "quantity is" if n == 1 else "quantities are"
    return f"{n}{' more' if n_figures else ''} {what} in the table only."


def _curves(report: Report) -> list[Curve]:
    found: list[Curve] = []
    for pair in PAIRS:
        for series in series_of(report.points, pair.axis, pair.metric)[:_MOST_CURVES]:
            if len(found) < _MOST_FITS:
                law = fit_scaling(
                    series.x,
                    series.y,
                    axis=pair.axis,
                    metric=pair.metric,
                    exponent=pair.exponent,
                )
                found.append(Curve(pair, series, law))
    return found


def _panels(report: Report, curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    """One machine: families beside each other. Several: machines, a panel a family."""
    one = report.points.has_one_side()
    found: dict[str, list[Curve]] = {}
    for curve in curves:
        what = f"{curve.pair.y.title} over {curve.pair.x.title}"
        kind = curve.series.test.rpartition("/")[2].replace("_", " ") if one else curve.series.name
        title = f"{what[0].upper()}{what[1:]}: {kind}"
        found.setdefault(title, []).append(curve)
    return found


def _draw(report: Report, curves: Sequence[Curve], width: int) -> Html:
    points = report.points
    one = points.has_one_side()
    styles = [i if one else c.series.side for i, c in enumerate(curves)]
    names = [
        c.series.name.partition(" · ")[2] or c.series.name
        if one
        else points.side_name(c.series.side)
        for c in curves
    ]
    keys = [Key(name, style) for name, style in zip(names, styles, strict=True)]
    pair = curves[0].pair
    plot = Plot(width, 300, pair.x, pair.y, keys)
    plot.scales(
        log_scale([v for c in curves for v in c.series.x], *plot.x_pixels),
        log_scale([v for c in curves for v in c.series.y], *plot.y_pixels),
    )
    for curve, style in zip(curves, styles, strict=True):
        classes = points.classes(curve.series.groups[0])
        _law(plot, curve, style, classes)
        plot.marks(
            report.mark(
                g,
                x,
                y,
                f"{plot.y_axis.text(y) if not pair.y.unit else amount(y, pair.y.unit)} at "
                f"{amount(x)} {pair.x.title}",
                style=style,
            )
            for g, x, y in zip(curve.series.groups, curve.series.x, curve.series.y, strict=True)
        )
    return plot.svg(f"{pair.y.title} over {pair.x.title}, both logarithmic")


def _law(plot: Plot, curve: Curve, style: int, classes: str) -> None:
    """The curve within its band; where there is none, a dashed line from point to point."""
    import numpy as np

    law = curve.fit
    if law is None:
        plot.line(zip(curve.series.x, curve.series.y, strict=True), style, f"equal {classes}")
        return
    xs = np.geomspace(law.x_low, law.x_high, _N_DRAWN)
    low, high = law.band(xs)
    plot.band(
        list(zip(xs.tolist(), low.tolist(), strict=True)),
        list(zip(xs.tolist(), high.tolist(), strict=True)),
        style,
        classes,
    )
    plot.line(zip(xs.tolist(), law.at(xs).tolist(), strict=True), style, f"fit {classes}")


def _table(report: Report, curves: Sequence[Curve]) -> Html:
    rows = [_row(report, c) for c in sorted(curves, key=lambda c: c.fit is None)]
    heads = (
        *(
            "cases",
            "machine",
            "quantity",
            "over",
            "exponent",
            "its 95%",
            "fixed part",
            "grows from",
        ),
        *("changes at", "off by", "points", "no fit, and why", "rows"),
    )
    right = ("exponent", "fixed part", "grows from", "changes at", "off by", "points")
    return table(heads, rows, right=right, long=heads[-2:-1], caption="Fits")


def _row(report: Report, curve: Curve) -> TableRow:
    points, series, pair, law = report.points, curve.series, curve.pair, curve.law
    n = series.n_measured
    first, last = (points.places(series.groups[i]).partition(",")[0] for i in (0, -1))
    cells: list[Cell | str | Html | None] = [
        series.name,
        None if points.has_one_side() else points.side_name(series.side),
        pair.y.title,
        pair.x.title,
    ]
    if isinstance(law, Refusal) or law.is_level:
        cells += [None, None, None, None, None, None, Cell(_points(series), float(n))]
        cells.append(_why_no_fit(law))
    else:
        change = law.breaks[-1] if law.breaks else None
        cells += [
            Cell(f"{law.exponent.value:.3f}", law.exponent.value),
            "given" if law.exponent.low == law.exponent.high else _ends(law.exponent),
            Cell(amount(law.fixed.value, pair.y.unit) if law.fixed.value else "none"),
            None if law.crossover is None else Cell(amount(law.crossover.value)),
            None if change is None else Cell(plain(change.at), change.at),
            Cell(f"{law.scatter_rel:.1%}", law.scatter_rel),
            Cell(_points(series), float(n)),
            None,
        ]
    cells.append(places(f"{first}, … {last}"))
    return TableRow(cells, points.classes(series.groups[0]))


def _why_no_fit(law: Scaling | Refusal) -> str:
    if isinstance(law, Refusal):
        return f"{law.reason}: {law.measure}"
    g = law.growth
    what = f"x{g.value:.3g} from {plain(law.x_low)} to {plain(law.x_high)}"
    how = f"{what} (95%: x{g.low:.3g} to x{g.high:.3g})"
    if law.is_surely_level:
        return f"does not depend on it: {how}"
    return f"cannot be told from level: {how}; measure more sizes, or again"


def _points(series: Series) -> str:
    fitted, all_of_them = len(series.groups), series.n_measured
    return f"{fitted}" if fitted == all_of_them else f"{fitted} of {all_of_them:,}"


def _ends(estimate: Estimate) -> str:
    return f"{estimate.low:.3f} to {estimate.high:.3f}"
