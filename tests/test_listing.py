"""Listing GPUs in a process of its own: what it lists, and that its end harms nobody."""

import sys

import pytest
import stub_nvml
from stub_nvml import UUIDS, StubConfig, StubGpu

from traincost.instruments.edges import Refusal
from traincost.instruments.gpu import Listed
from traincost.instruments.listing import listed_gpus


def set_stub(monkeypatch: pytest.MonkeyPatch, config: StubConfig) -> None:
    for name, value in stub_nvml.environment(stub_nvml.library(), config).items():
        monkeypatch.setenv(name, value)


def test_gpus_come_in_nvmls_order_with_their_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    sliced = StubGpu(uuid=UUIDS[2], pci="00000000:05:00.0", mig=1, slices="MIG-a,MIG-b")
    set_stub(monkeypatch, StubConfig((sliced, StubGpu())))
    name = StubGpu().name
    found = listed_gpus()
    assert not isinstance(found, Refusal)
    assert [gpu.uuid for gpu in found] == [UUIDS[2], UUIDS[0]]
    assert found[1] == Listed(UUIDS[0], "00000000:01:00.0", name)
    assert (found[0].slices, found[0].mig) == (("MIG-a", "MIG-b"), True)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import time; time.sleep(9)", "did not list the GPUs within 0.3 s"),
        ("import os; os.kill(os.getpid(), 11)", "ended the process that asked NVML (SIGSEGV)"),
        ("raise RuntimeError('odd')", "ended with exit code 1: RuntimeError: odd"),
        ('print(\'{"fault": "no driver"}\')', "no driver"),
        ("import sys; sys.stdout.buffer.write(b'odd \\xff')", "gave 'odd"),
        ("pass", "gave ''"),
    ],
)
def test_a_driver_that_hangs_or_kills_its_caller_is_a_reason(code: str, says: str) -> None:
    timeout_s = 0.3 if "sleep" in code else 10.0
    found = listed_gpus((sys.executable, "-c", code), timeout_s)
    assert isinstance(found, Refusal)
    assert says in found.reason


def test_what_others_print_when_python_starts_is_not_the_answer() -> None:
    code = """print("hello"); print('{"gpus": []}')"""
    assert listed_gpus((sys.executable, "-c", code)) == ()
