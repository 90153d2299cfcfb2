"""What can be measured on this host: flaws with their remedies, quotas, RAPL."""

from pathlib import Path

import pytest
from fake_host import write_host

from traincost.instruments import rapl
from traincost.machine import conditions
from traincost.machine.capability import Capability

CPUS = frozenset({0, 1})


def on_host(root: Path, files: dict[str, str]) -> dict[str, Capability]:
    return {c.what: c for c in conditions.capabilities(CPUS, write_host(root, files))}


CPU = "sys/devices/system/cpu"
TUNED = {
    "proc/loadavg": "0.05 0.10 0.20 1/100 4711\n",
    "proc/cpuinfo": "flags\t\t: fpu vme lahf_lm\n",
    "proc/self/clear_refs": "",
    "proc/self/cgroup": "0::/\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu0/topology/thread_siblings_list": "0\n",
    f"{CPU}/cpu1/topology/thread_siblings_list": "1\n",
    f"{CPU}/intel_pstate/no_turbo": "1\n",
}
SPOILED = {
    "quiet host": {"proc/loadavg": "3.10 0.10 0.20 4/100 4711\n"},
    "whole CPUs": {"sys/fs/cgroup/cpu.max": "150000 100000\n"},
    "real CPUs": {"proc/cpuinfo": "flags\t\t: fpu vme hypervisor lahf_lm\n"},
    "steady CPU clock": {f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave\n"},
    "CPU turbo off": {f"{CPU}/intel_pstate/no_turbo": "0\n"},
    "cores not shared": {f"{CPU}/cpu1/topology/thread_siblings_list": "1,3\n"},
}


def test_a_tuned_host_has_every_capability_and_nothing_to_do(tmp_path: Path) -> None:
    found = on_host(tmp_path, TUNED)
    assert all(c.available and c.remedy is None for c in found.values()), found


@pytest.mark.parametrize("what", SPOILED)
def test_each_flaw_of_a_host_is_named_with_its_remedy(tmp_path: Path, what: str) -> None:
    found = on_host(tmp_path, TUNED | SPOILED[what])
    assert [name for name, c in found.items() if not c.available] == [what]
    assert found[what].remedy


def test_a_host_that_shows_nothing_has_no_capability_it_cannot_know(tmp_path: Path) -> None:
    found = on_host(tmp_path, {})
    known = [name for name, c in found.items() if c.available]
    assert known == ["whole CPUs", "cores not shared"]
    assert "clear_refs" in found["peak host memory"].detail


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "250000 100000\n"}, 2.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "250000 100000\n",
                "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
            },
            0.5,
        ),
        # A container mounts its own group as the root, whatever the path says.
        ({"proc/self/cgroup": "0::/outside\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),
        (
            {
                "proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/x\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "150000\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
            },
            1.5,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({}, None),
    ],
)
def test_the_cpu_quota_is_the_tightest_of_the_groups_above(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    assert conditions.cpu_quota(write_host(tmp_path, files)) == quota


@pytest.mark.parametrize(
    ("count", "built_for", "available", "says"),
    [
        (2, "13.0", True, "2 device"),
        (0, "13.0", False, "sees no GPU"),
        (0, None, False, "built without CUDA"),
    ],
)
def test_cuda_says_whether_torch_or_the_machine_lacks_it(
    count: int, built_for: str | None, available: bool, says: str
) -> None:
    found = conditions.cuda(count, built_for)
    assert found.available is available
    assert says in found.detail
    assert (found.remedy is None) is available


ZONES = {
    "sys/class/powercap/intel-rapl:0/name": "package-0\n",
    "sys/class/powercap/intel-rapl:0/energy_uj": "123456\n",
    "sys/class/powercap/intel-rapl:0:0/name": "dram\n",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": "1234\n",
    "sys/class/powercap/dtpm:0/name": "no counter\n",
}


def test_readable_rapl_zones_are_named(tmp_path: Path) -> None:
    [found] = rapl.capabilities(write_host(tmp_path, ZONES).sys)
    assert found == Capability(rapl.WHAT, True, "package-0, package-0 dram")


def test_rapl_without_permission_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.read_text

    def refuse(path: Path, **how: str) -> str:
        if path.name == "energy_uj" and path.exists():
            raise PermissionError(13, "Permission denied")
        return real(path, **how)

    monkeypatch.setattr(Path, "read_text", refuse)
    [found] = rapl.capabilities(write_host(tmp_path, ZONES).sys)
    assert not found.available
    assert found.detail == "intel-rapl:0, intel-rapl:0:0: Permission denied"
    assert found.remedy is not None
    assert "chmod a+r" in found.remedy


def test_a_machine_without_rapl_says_so(tmp_path: Path) -> None:
    [found] = rapl.capabilities(tmp_path)
    assert not found.available
    assert "no zones" in found.detail
