"""Fails unless a folder holds one result CSV of the main job: enough rows, suites and columns."""

import sys
from pathlib import Path

from traincost.data.record import Status
from traincost.data.results import read_frame

ROWS, SUITES = 60, 14
STATIC = "kernel_static"  # nothing is run there, nothing timed
DIVERGE = ("learning_rate", "gradients")  # rates and depths at which training must fail
EMPTY = {  # suite: columns that it cannot fill
    "machine": ("model_flops", "mfu", "hfu", "peak_flops_per_s", "peak_bytes_per_s", "peak_source"),
    "kernels": ("model_flops", "mfu"),  # an op is no model
    "parallel": ("model_flops", "mfu"),  # a rank of a tensor-parallel model has a part of it
}
FILLED_ON_A_CPU = (
    *("workload", "phase", "impl", "device", "dtype", "time_first_step_s", "rounds", "iterations"),
    *("time_min_s", "time_p20_s", "time_median_s", "time_p80_s", "time_mean_s", "time_stddev_s"),
    *("samples_per_s", "aten_ops", "flops", "model_flops", "flops_convention", "traffic_bytes"),
    *("traffic_source", "compulsory_bytes", "intensity_flop_per_byte", "flops_per_s", "mfu", "hfu"),
    *("peak_flops_per_s", "peak_bytes_per_s", "peak_source", "step_peak_bytes", "host_peak_bytes"),
    *("machine_id", "host", "cpu", "torch", "python", "threads"),
)


def main() -> None:
    """Read the folder given as the only argument."""
    rows = read_frame([Path(sys.argv[1])])
    measured = rows[rows.status.isin([Status.OK, Status.UNSTABLE]) & (rows.suite != STATIC)]
    suites = rows.suite.nunique()
    problems = [
        f"{len(measured)} measured rows, expected {ROWS}" if len(measured) < ROWS else "",
        f"{suites} suites, expected {SUITES}" if suites < SUITES else "",
        *(
            f"{row.case_id}: status {row.status}: {row.notes}"
            for row in rows.itertuples()
            if row.status not in (Status.OK, Status.UNSTABLE, Status.UNAVAILABLE)
            and (row.status, row.suite) not in ((Status.DIVERGED, suite) for suite in DIVERGE)
        ),
        *(
            f"{row.case_id}: column {name} is empty"
            for row in measured.itertuples()
            for name in FILLED_ON_A_CPU
            if name not in EMPTY.get(row.suite, ())
            and not (name == "time_stddev_s" and row.rounds == 1)  # a slow epoch on a busy machine
            and str(getattr(row, name)) == "<NA>"
        ),
    ]
    if any(problems):
        sys.exit("\n".join(filter(None, problems)))
    print(f"{len(rows)} rows of {suites} suites")


if __name__ == "__main__":
    main()
