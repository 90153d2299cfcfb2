"""The host described by its files: processor, driver, container."""

from pathlib import Path

import pytest
from fake_host import ARM, CLOSED_DRIVER, OPEN_DRIVER, POWER, X86, write_host

from traincost.machine import host


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (X86, "AMD EPYC 9654 96-Core Processor"),
        (ARM, "ARM implementer 0x41 part 0xd4f"),
        (POWER, "POWER9, altivec supported"),
    ],
)
def test_the_cpu_is_named_by_what_its_kernel_tells(tmp_path: Path, text: str, name: str) -> None:
    assert host.cpu_model(write_host(tmp_path, {"proc/cpuinfo": text})) == name


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"sys/module/nvidia/version": "580.159.04\n"}, "580.159.04"),
        ({"proc/driver/nvidia/version": CLOSED_DRIVER}, "535.104.05"),
        ({"proc/driver/nvidia/version": OPEN_DRIVER}, "580.82.07"),
        ({}, None),
    ],
)
def test_the_driver_is_read_without_nvml(
    tmp_path: Path, files: dict[str, str], version: str | None
) -> None:
    assert host.driver_version(write_host(tmp_path, files)) == version


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": "engine=podman"}, "podman"),
        ({"proc/1/cgroup": "0::/kubepods.slice/kubepods-pod1.slice\n"}, "kubepods"),
        ({"proc/1/cgroup": "0::/init.scope\n"}, None),
    ],
)
def test_a_container_is_seen_by_its_traces(
    tmp_path: Path, files: dict[str, str], kind: str | None
) -> None:
    assert host.container(write_host(tmp_path, files)) == kind
