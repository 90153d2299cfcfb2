"""How long comparing many rows takes: `python tests/show_compare_speed.py`.

50 files of 20,000 rows, all columns of schema 1 filled as a CPU run fills them (about 0.9 GB): 25
runs of two machines. It prints wall time, CPU time and the peak memory of all processes, and leaves
nothing behind. `--files 500` makes ten million rows of it, which are read in parts, and `--parquet`
Parquet files of them. With `--bound` it fails above 8 s or 2 GiB, above a million rows 60 s or
4 GiB, which needs two idle cores.

Ten million rows need 9 GB of disk as CSVs, 2 GB as Parquet, and 1 GB for what is put aside.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

SOURCES = Path(__file__).parents[1] / "bench"
sys.path[:0] = [str(SOURCES)]

from traincost.data.cells import csv_line, write_cell  # noqa: E402
from traincost.data.record import COLUMNS, Record  # noqa: E402
from traincost.data.results import to_row  # noqa: E402

BOUND, BOUND_OF_MANY = (8.0, 2 * 2**30), (60.0, 4 * 2**30)  # seconds, bytes
MANY = 10**6
NOTE = (
    "gpu_energy_j: no GPU in this case; cpu_energy_j: not readable, see traincost machine; "
    "bandwidth_utilization: the traffic counted is more than memory could move, caches served it"
)


def record(i: int) -> Record:
    """A row as wide as a measured one."""
    time_s = 1.0e-3 * (1 + i % 997)
    flops = 10**6 * (1 + i % 997)
    known: dict[str, Any] = {
        **{"run_id": "r", "started_at": "2026-11-24T08:12:53+00:00", "suite": "batch"},
        **{"case_id": f"batch/train_step[batch_size={i},model=gpt-100k]", "notes": NOTE},
        **{"workload": f"{i:012x}", "model": "gpt-100k", "impl": "eager", "phase": "step"},
        **{"device": "cpu", "dtype": "fp32", "matmul_precision": "ieee", "n_params": 101376},
        **{"batch_size": i, "seq_len": 128, "seed": 0, "world_size": 1, "rounds": 380},
        **{"iterations": 6, "aten_ops": 412, "flops": flops, "model_flops": flops},
        **{"flops_convention": "matmul-2mnk-full-attention-step-3F", "traffic_source": "ops"},
        **{
            "traffic_bytes": 4096 * i + 8,
            "compulsory_bytes": 512 * i + 8,
            "peak_source": "measured",
        },
        **{"peak_flops_per_s": 203456789012.5, "peak_bytes_per_s": 55912345678.25},
        **{"intensity_flop_per_byte": 9.34567890123, "flops_per_s": flops / time_s, "hfu": 0.1875},
        **{"mfu": 0.16666666666666666, "live_before_bytes": 1622016, "step_peak_bytes": 4096 * i},
        **{"host_peak_bytes": 408559616, "loss_first": 5.123456789012, "loss_last": 4.987654321},
        **{"loss_steps": 8, "host": "box", "cpu": "AMD EPYC 9554 64-Core Processor"},
        **{"torch": "2.13.0+cpu", "triton": "3.7.1", "python": "3.12.4", "threads": 2},
        **{"commit": "0123456789ab", "time_first_step_s": time_s * 9.123456789},
        "time_median_s": time_s,
    }
    return Record(**known)


def write_files(folder: Path, n_files: int, n_rows: int) -> None:
    """Runs of two machines in turns, each time off by a few permille."""
    rng = random.Random(0)
    rows = [to_row(record(i)) for i in range(n_rows)]
    header = list(rows[0])
    at = {name: header.index(name) for name in header}
    cells = [[quoted(write_cell(value)) for value in row.values()] for row in rows]
    for f in range(n_files):
        lines = [csv_line(header)]
        for line, row in zip(cells, rows, strict=True):
            time_s = float(row["time_median_s"] or 0) * (1 + f % 2) * rng.lognormvariate(0, 0.005)
            for name in ("time_min_s", "time_p20_s", "time_median_s", "time_p80_s", "time_mean_s"):
                line[at[name]] = repr(time_s)
            line[at["time_stddev_s"]] = repr(time_s / 100)
            line[at["samples_per_s"]], line[at["tokens_per_s"]] = (
                repr(4 / time_s),
                repr(512 / time_s),
            )
            line[at["run_id"]], line[at["machine_id"]] = f"run{f}", f"{f % 2:012x}"
            lines.append(",".join(line) + "\n")
        (folder / f"{f:03}.csv").write_text("".join(lines))


def write_parquet(folder: Path, n_files: int, n_rows: int) -> None:
    """The same rows, five runs a file."""
    arrow, parquet = (importlib.import_module(m) for m in ("pyarrow", "pyarrow.parquet"))
    rng = np.random.default_rng(0)
    rows = [to_row(record(i)) for i in range(n_rows)]
    types = {int: arrow.int64(), float: arrow.float64(), str: arrow.string()}
    schema = arrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    table = arrow.Table.from_pylist(rows, schema)
    known_s = table["time_median_s"].to_numpy()

    def put(name: str, values: object) -> None:
        nonlocal table
        at, kind = schema.get_field_index(name), schema.field(name)
        table = table.set_column(at, kind, arrow.array(values, kind.type))

    writer = None
    for f in range(n_files):
        times_s = known_s * (1 + f % 2) * rng.lognormal(0, 0.005, n_rows)
        for name in ("time_min_s", "time_p20_s", "time_median_s", "time_p80_s", "time_mean_s"):
            put(name, times_s)
        put("time_stddev_s", times_s / 100)
        put("samples_per_s", 4 / times_s)
        put("tokens_per_s", 512 / times_s)
        put("run_id", [f"run{f}"] * n_rows)
        put("machine_id", [f"{f % 2:012x}"] * n_rows)
        if f % 5 == 0:
            if writer:
                writer.close()
            writer = parquet.ParquetWriter(folder / f"{f:03}.parquet", schema)
        assert writer is not None
        writer.write_table(table)
    if writer:
        writer.close()


def quoted(cell: str) -> str:
    """As `csv_line` would write it."""
    return csv_line([cell]).removesuffix("\n")


def main() -> int:
    """Measure `traincost compare` as a user runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--rows", type=int, default=20_000, help="a file")
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--bound", action="store_true", help="fail above it")
    options = parser.parse_args()
    n_rows = options.files * options.rows
    bound_s, bound_bytes = BOUND_OF_MANY if n_rows > MANY else BOUND
    with tempfile.TemporaryDirectory(prefix="compare-speed-") as folder:
        print("writing ...", file=sys.stderr)
        write = write_parquet if options.parquet else write_files
        write(Path(folder), options.files, options.rows)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        busy = os.getloadavg()[0]
        before = time.perf_counter()
        shown = Path(folder, "shown.txt")
        with shown.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "traincost", "compare", folder],
                env={**os.environ, "PYTHONPATH": str(SOURCES)},
                stdout=out,
            )
            peak_bytes = watched(process)
        wall_s = time.perf_counter() - before
        output = shown.read_text()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    kind = "Parquet" if options.parquet else "CSV"
    print(f"{n_rows:,} rows of {options.files} runs, {size / 1e6:,.0f} MB of {kind}")
    print(f"wall {wall_s:.2f} s, CPU {used.ru_utime + used.ru_stime:.2f} s, load before {busy:.1f}")
    print(f"peak memory of all processes {peak_bytes / 2**20:,.0f} MiB")
    assert process.returncode == 0
    assert "time per step" in output
    return int(options.bound and (wall_s > bound_s or peak_bytes > bound_bytes))


def watched(process: subprocess.Popen[bytes]) -> int:
    """The most memory that a process and its children held at once, read every 20 ms."""
    peak_bytes = 0
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        with suppress(OSError):
            pids = [str(process.pid), *children.read_text().split()]
            peak_bytes = max(peak_bytes, sum(map(_own_bytes, pids)))
        time.sleep(0.02)
    return peak_bytes


def _own_bytes(pid: str) -> int:
    """Proportional set size: pages that forked processes share count once."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    sys.exit(main())
