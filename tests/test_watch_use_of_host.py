"""`traincost watch` of the host: joules of the CPU, memory of all processes, CPU time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_host import write_host
from project import environment
from watching import python, watched

from traincost.instruments.rapl import NO_DRAM

SLEEP = ("sleep", "0.4")


def test_the_cpus_joules_are_those_that_the_counters_rose_by(tmp_path: Path) -> None:
    host = write_host(
        tmp_path,
        {
            "sys/class/powercap/intel-rapl:0/name": "package-0\n",
            "sys/class/powercap/intel-rapl:0/energy_uj": "999\n",
            "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "1000\n",
        },
    )
    counter = host.sys / "class/powercap/intel-rapl:0"
    (counter / "max_energy_range_uj").write_text("262143328850\n")
    (counter / "energy_uj").write_text("262143328849\n")
    told = watched("sh", "-c", f"echo 7000000 > {counter}/energy_uj", sys=host.sys)
    assert told.host.cpu_energy_j == 7.000001
    assert told.host.cpu_power_mean_w == 7.000001 / told.host.time_s
    assert told.host.notes["cpu_energy_j"] == NO_DRAM


@pytest.mark.thorough
def test_the_peak_of_memory_is_of_all_processes_of_the_command() -> None:
    told = watched(
        *python(
            """
            import subprocess, sys
            code = "held = bytearray(60_000_000); import time; time.sleep(0.6)"
            for p in [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]: p.wait()
            """
        )
    )
    assert told.host.host_peak_bytes is not None
    assert 120e6 < told.host.host_peak_bytes < 240e6
    assert told.host.notes["host_peak_bytes"].startswith("of all its processes together")


@pytest.mark.thorough
def test_a_peak_between_two_looks_is_the_kernels() -> None:
    """Watched from a process of its own: what this one held hides the kernel's mark below it."""
    held = python("import time; time.sleep(.3); h = bytearray(300_000_000)")
    done = subprocess.run(
        [sys.executable, "-m", "traincost", "watch", "--format", "json", "--", *held],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = {row["what"]: row["value"] for row in json.loads(done.stderr)["rows"]}
    assert found["host_peak_bytes"] > 300e6


@pytest.mark.thorough
def test_memory_of_the_watching_process_is_not_the_commands() -> None:
    """The kernel's mark of a new process begins with that of the one it was forked from."""
    held = bytearray(200_000_000)
    told = watched("sleep", "2")
    assert len(held) == 200_000_000
    assert told.host.host_peak_bytes is not None
    assert told.host.host_peak_bytes < 100e6


def test_cpu_time_is_that_of_the_command_and_what_it_waited_for() -> None:
    told = watched(*python("import time\nwhile time.process_time() < 0.3: pass"))
    assert 0.3 <= told.host.cpu_time_s < 1.0
