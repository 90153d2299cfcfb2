"""How long a report of a million rows takes: `python tests/show_report_speed.py`.

50 files of 20,000 rows (0.9 GB), as `show_compare_speed.py` makes them. It prints wall time, CPU
time, the peak memory and the size of the page, and leaves nothing behind. With `--bound` it fails
above 60 s or 15 MB, which needs two idle cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from show_compare_speed import SOURCES, watched, write_files

BOUND_S, BOUND_BYTES = 60.0, 15e6


def main() -> int:
    """Measure `traincost report` as a user runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--rows", type=int, default=20_000, help="a file")
    parser.add_argument("--bound", action="store_true", help="fail above it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="report-speed-") as folder:
        print("writing ...", file=sys.stderr)
        write_files(Path(folder), options.files, options.rows)
        page = Path(folder, "report.html")
        before = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "traincost", "report", folder, "-o", str(page)],
            env={**os.environ, "PYTHONPATH": str(SOURCES)},
        )
        peak_bytes = watched(process)
        wall_s = time.perf_counter() - before
        assert process.returncode == 0
        size = page.stat().st_size
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{options.files * options.rows:,} rows of {options.files} files")
    print(f"wall {wall_s:.2f} s, CPU {used.ru_utime + used.ru_stime:.2f} s")
    print(f"peak memory {peak_bytes / 2**20:,.0f} MiB, page {size / 1e6:.2f} MB")
    return int(options.bound and (wall_s > BOUND_S or size > BOUND_BYTES))


if __name__ == "__main__":
    sys.exit(main())
