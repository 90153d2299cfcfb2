"""10,000 mutilated CSVs through `traincost compare`: `python tests/show_fuzz.py [N] [SEED]`.

Each is compared with a sound file. The exit code must be 0 or 2, and 2 comes with one line. On 0 an
oracle that shares no code with the reader checks every time in the output: Python's csv module and
`float`. A file that the oracle cannot read, or reads differently, must not have been compared, and
each file must be a side of its own.
"""

from __future__ import annotations

import csv
import io
import json
import random
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from mutilated import mutilate
from two_machines import A100, H100, results

from traincost.cli import main as traincost
from traincost.data.results import to_csv

SOUND = to_csv(results(A100))
VICTIM = to_csv(results(H100)).encode()
MEASURED = ("ok", "unstable", "throttled", "diverged")


def compared(folder: Path, content: bytes, *, fast: bool) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    (folder / "sound.csv").write_text(SOUND)
    (folder / "victim.csv").write_bytes(content)
    out, err = io.StringIO(), io.StringIO()
    arguments = [
        "compare",
        str(folder / "sound.csv"),
        str(folder / "victim.csv"),
        "--format",
        "json",
    ]
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch("traincost.data.frames._WORTH_PARSING", 0 if fast else 2**40),
    ):
        code = traincost([*arguments, "--by", "argument", "--metric", "time"])
    return code, out.getvalue(), err.getvalue()


def true_times(content: bytes) -> dict[str, float]:
    """Median time by case, of cases with one measured run, as the text says it."""
    text = content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    wrong = {row["case_id"] for row in rows if row["status"] == "invalid"}
    found = [
        (row["case_id"].removeprefix("'"), float(row["time_median_s"]))
        for row in rows
        if row["status"] in MEASURED and row.get("time_median_s") and row["case_id"] not in wrong
    ]
    once = {case for case, n in Counter(case for case, _ in found).items() if n == 1}
    return {case: time_s for case, time_s in found if case in once}


def fault(content: bytes, code: int, output: str, errors: str) -> str | None:
    """What is wrong with an answer."""
    if code not in (0, 2):
        return f"exit code {code}"
    if code == 2:
        return None if errors.count("\n") == 1 and not output else "not one line of error"
    try:
        expected = true_times(content)
    except (ValueError, KeyError, csv.Error) as e:
        return f"compared what cannot be read: {e}"
    rows = json.loads(output)["rows"]
    sides = {row["side"].rpartition("/")[2] for row in rows if row["section"] == "sides"}
    if sides != {"sound.csv", "victim.csv"}:
        return f"sides {sorted(sides)}"
    for row in rows:
        if (row["section"], row["metric"]) != ("comparison", "time_median_s"):
            continue
        for side in ("base", "other"):
            mine = row[f"{side}_value"]
            if row[side].endswith("victim.csv") and expected.get(row["case"], mine) != mine:
                return f"{row['case']}: {mine}, not {expected[row['case']]}"
    return None


def main() -> int:
    """Print how many were compared and refused; the exit code says whether all was right."""
    n, seed = (int(a) for a in [*sys.argv[1:], "10000", "0"][:2])
    codes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        for i in range(n):
            rng = random.Random(f"{seed}-{i}")
            content = mutilate(VICTIM, rng)
            fast = i % 2 == 0
            try:
                code, output, errors = compared(Path(name), content, fast=fast)
                wrong = fault(content, code, output, errors)
            except Exception as e:  # a traceback is what is looked for
                code, wrong = -1, f"{type(e).__name__}: {e}"
            codes[f"exit {code}"] += 1
            if wrong:
                Path(f"fuzz-{seed}-{i}.csv").write_bytes(content)
                print(f"{seed}-{i}, {'fast' if fast else 'slow'}: {wrong}")
                codes["wrong"] += 1
            if sys.stderr.isatty() and i % 100 == 0:
                print(f"\r{i:,} of {n:,}", end="", file=sys.stderr)
    print(f"{n:,} files: " + ", ".join(f"{count:,} {what}" for what, count in codes.items()))
    return int(codes["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
