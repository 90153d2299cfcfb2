"""Who the machine is: what `machine_id` covers and what it does not."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from fake_cuda import FakeProperties, FakeTorch
from fake_host import ARM, CLOSED_DRIVER, OPEN_DRIVER, X86, write_host

from traincost.machine import identity
from traincost.machine.device import CpuDevice, GpuFacts, open_device
from traincost.machine.host import Roots
from traincost.machine.identity import MACHINE_COLUMNS, Machine, identify


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return write_host(
        tmp_path,
        {
            "proc/cpuinfo": X86,
            "proc/meminfo": "MemTotal:       24630680 kB\nMemFree:         1 kB\n",
            "proc/driver/nvidia/version": OPEN_DRIVER,
            "sys/devices/system/cpu/online": "0-3,8\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
            "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor": "performance\n",
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        },
    )


H100 = GpuFacts("NVIDIA H100 80GB HBM3", "GPU-1", 85_029_158_912, 52_428_800, (9, 0))


def on_cpu(roots: Roots, **changed: Any) -> Machine:
    known: dict[str, Any] = {"threads": 2, "cpu_set": frozenset({0, 2}), "root": roots.root}
    return identify(CpuDevice(), roots=roots, **{**known, **changed})


def on_gpu(roots: Roots, facts: GpuFacts = H100, **changed: Any) -> Machine:
    known: dict[str, Any] = {
        "threads": 2,
        "cpu_set": frozenset({0, 2}),
        "root": roots.root,
        "cuda": "13.0",
    }
    properties = FakeProperties(facts.name, facts.uuid, facts.total_memory_bytes)
    device = open_device("cuda", FakeTorch(properties=[properties]))
    return identify(device, roots=roots, **{**known, **changed})


def test_the_first_fields_are_the_machine_columns_of_a_row(roots: Roots) -> None:
    names = [f.name for f in fields(Machine)]
    assert tuple(names[: len(MACHINE_COLUMNS)]) == MACHINE_COLUMNS
    columns = on_gpu(roots).columns()
    assert tuple(columns) == MACHINE_COLUMNS
    assert columns["gpu"] == "NVIDIA H100 80GB HBM3"
    assert columns["driver"] == "580.82.07"
    assert columns["cpu"] == "AMD EPYC 9654 96-Core Processor"


def test_machine_id_is_twelve_hex_digits_and_repeats(roots: Roots) -> None:
    first = on_gpu(roots).machine_id
    assert len(first) == 12
    assert int(first, 16) >= 0
    assert on_gpu(roots).machine_id == first


@pytest.mark.parametrize(
    "changed", [{"threads": 1}, {"cpu_set": frozenset({0})}], ids=["threads", "n_cpus"]
)
def test_machine_id_changes_with_threads_and_the_size_of_the_cpu_set(
    roots: Roots, changed: dict[str, Any]
) -> None:
    assert on_cpu(roots, **changed).machine_id != on_cpu(roots).machine_id
    assert on_gpu(roots, **changed).machine_id != on_gpu(roots).machine_id


def test_machine_id_changes_with_the_cpu_model(roots: Roots) -> None:
    before = on_cpu(roots).machine_id, on_gpu(roots).machine_id
    (roots.proc / "cpuinfo").write_text(ARM)
    after = on_cpu(roots).machine_id, on_gpu(roots).machine_id
    assert before[0] != after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize("package", ["torch", "triton"])
def test_torch_is_in_every_id_and_triton_only_in_cuda_ids(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    before = on_cpu(roots).machine_id, on_gpu(roots).machine_id
    monkeypatch.setattr(identity, f"{package}_version", str)
    assert (on_cpu(roots).machine_id != before[0]) == (package == "torch")
    assert on_gpu(roots).machine_id != before[1]


@pytest.mark.parametrize(("version", "same"), [("3.11.99", True), ("3.14.0", False)])
def test_python_counts_without_its_patch_release(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, version: str, same: bool
) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.11.7")
    before = on_cpu(roots).machine_id
    monkeypatch.setattr("platform.python_version", lambda: version)
    assert (on_cpu(roots).machine_id == before) is same


@pytest.mark.parametrize(
    "facts",
    [replace(H100, name="NVIDIA H100 PCIe"), replace(H100, total_memory_bytes=40 * 2**30)],
    ids=["name", "memory"],
)
def test_cuda_ids_change_with_the_gpus_name_and_memory(roots: Roots, facts: GpuFacts) -> None:
    assert on_gpu(roots, facts).machine_id != on_gpu(roots).machine_id


def test_cuda_ids_change_with_driver_and_toolkit(roots: Roots) -> None:
    before = on_gpu(roots).machine_id
    assert on_gpu(roots, cuda="12.8").machine_id != before
    (roots.proc / "driver/nvidia/version").write_text(CLOSED_DRIVER)
    assert on_gpu(roots).machine_id != before


def test_a_cpu_rows_id_does_not_depend_on_the_card_and_its_driver(roots: Roots) -> None:
    with_driver = on_cpu(roots)
    (roots.proc / "driver/nvidia/version").unlink()
    without = on_cpu(roots)
    assert with_driver.machine_id == without.machine_id
    assert (with_driver.gpu, with_driver.driver, with_driver.cuda) == (None, None, None)


def another_commit(root: Path) -> str:
    return f"0123456789ab-{root.name}"


def test_host_name_uuid_kernel_governor_memory_and_commit_are_not_in_the_id(
    roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = on_gpu(roots)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    monkeypatch.setattr("platform.release", lambda: "9.9.9")
    monkeypatch.setattr(identity, "commit", another_commit)
    (roots.proc / "meminfo").write_text("MemTotal: 1 kB\n")
    (roots.sys / "devices/system/cpu/cpu2/cpufreq/scaling_governor").write_text("powersave")
    other_cpus = frozenset({1, 3})
    facts = replace(H100, uuid="GPU-2", total_memory_bytes=H100.total_memory_bytes - 4096)
    after = on_gpu(roots, facts, cpu_set=other_cpus)
    assert (before.host, before.gpu_uuid) != (after.host, after.gpu_uuid)
    assert after.kernel == "9.9.9"
    assert after.commit == another_commit(roots.root)
    assert after.machine_id == before.machine_id


def test_the_json_holds_every_fact_of_the_machine(roots: Roots) -> None:
    machine = on_gpu(roots)
    stored = json.loads(machine.to_json())
    assert set(stored) == {f.name for f in fields(Machine)}
    assert stored["gpu_capability"] == "9.0"
    assert stored["cpu_set"] == [0, 2]
    assert stored["cpus_online"] == 5
    assert stored["memory_bytes"] == 24_630_680 * 1024
    assert stored["governor"] == "performance, powersave"
    assert stored["os"] == "Debian GNU/Linux 12 (bookworm)"
    assert {"numpy", "pytest", "traincost"} <= set(stored["packages"])


def test_a_host_that_shows_nothing_is_described_without_an_error(tmp_path: Path) -> None:
    machine = on_cpu(Roots(tmp_path / "proc", tmp_path / "sys", tmp_path))
    assert machine.cpu
    assert (machine.memory_bytes, machine.governor, machine.container) == (None, None, None)
