"""Prints how far off forecasts of known rows are: `python tests/show_forecast.py [--write] CSV...`.

Every row of the result CSVs (or folders) that is larger than some others is forecast from these.
`--write` puts the table into docs/forecast.md, which says how such CSVs are measured.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "bench")]

from traincost.data.record import Record  # noqa: E402
from traincost.data.results import read_records, result_files  # noqa: E402
from traincost.judge.forecast.backtest import Backtest, backtest_all  # noqa: E402
from traincost.judge.forecast.held import Held, scores  # noqa: E402

PAGE = ROOT / "docs" / "forecast.md"
CAVEAT = """\
The form of the laws and the expected drifts were chosen with these rows in sight: they flatter."""
BEGIN, END = "<!-- backtest -->", "<!-- end of backtest -->"


def summary(records: Sequence[Record], tested: Backtest) -> str:
    """The table of the page, and what it was measured on."""
    on = sorted({f"{r.gpu or r.cpu}, torch {r.torch}" for r in records if r.machine_id})
    threads = sorted({r.threads for r in records if r.threads})
    lines = [
        f"Measured on {'; '.join(on)}; threads: {', '.join(map(str, threads))}; "
        f"{len(records)} rows.",
        CAVEAT,
        "",
        "| beyond the data | rows | median error | worst | within 90% | median width |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for s in scores(tested.held):
        shares = f"{s.median_error_rel:.1%} | {s.worst_error_rel:.1%} | {s.covered:.0%}"
        lines.append(f"| {s.axis} | {s.n} | {shares} | {s.median_width:.2f} |")
    if tested.refused:
        lines += ["", "Refused:", "", *(f"- {why}" for why in tested.refused)]
    return "\n".join(lines) + "\n"


def details(held: Sequence[Held]) -> str:
    """Every row that was held back."""
    lines: list[str] = []
    for h in held:
        inside = "" if h.covered else "  MISSED"
        lines.append(
            f"{h.axis:16} {h.what:72} x{h.beyond:5.1f} {h.actual:10.3e} {h.error_rel:+7.1%} "
            f"[{h.low / h.actual:.2f}, {h.high / h.actual:.2f}]{inside}"
        )
    return "\n".join(lines)


def main() -> None:
    """Read, hold back, print."""
    paths = [Path(a) for a in sys.argv[1:] if a != "--write"]
    if not paths:
        sys.exit(f"{__doc__}\nexpected result CSVs")
    records = [r for file in result_files(paths) for r in read_records(file)]
    tested = backtest_all(records)
    print(details(tested.held))
    print()
    print(summary(records, tested), end="")
    if "--write" in sys.argv:
        before, rest = PAGE.read_text().split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{summary(records, tested)}{END}{after}")


if __name__ == "__main__":
    main()
