"""The comparison of clocks: what it reports, not how long anything takes."""

import subprocess
import sys

from project import environment

from traincost.calibrate import agreements


def test_both_clocks_time_the_same_block_and_the_ratio_is_of_their_medians() -> None:
    seen: list[tuple[int, int]] = []
    found = list(agreements(1, (50e-6, 2e-3), trials=3, watch=lambda n, of: seen.append((n, of))))
    assert [a.block > 1 for a in found] == [True, False]
    for a in found:
        assert a.ratio == a.ours_s / a.torch_s
        assert a.ratio_min <= a.ratio_max
        assert a.trials == 3
    assert seen == [(0, 2), (1, 2)]


def test_a_thread_count_that_the_machine_has_not_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "traincost", "calibrate", "--cost-threads", "9999"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--cost-threads 9999: expected 1 to" in done.stderr
    assert "Traceback" not in done.stderr
