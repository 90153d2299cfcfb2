"""Which GPU is which: NVML's list, CUDA's order and torch's devices never mixed up."""

import itertools
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fake_cuda import FakeProperties, FakeTorch
from stub_nvml import UUIDS, Constant, StubConfig, StubGpu, loaded, pynvml

from traincost.instruments.gpu import Gpu, Listed, list_gpus, open_gpu
from traincost.instruments.nvml import NvmlFault
from traincost.instruments.visible import visible
from traincost.machine.device import open_device

GPUS = tuple(
    StubGpu(uuid=UUIDS[i], pci=f"00000000:{i + 1:02x}:00.0", power=Constant(100.0 * (i + 1)))
    for i in range(4)
)
"""Four GPUs in the order of their PCI bus ids, told apart by their power."""
VIRTUAL = StubConfig(GPUS, virtual_call_s=0.0)
SLICES = tuple(f"MIG-{i}7c9e8d1-0d5b-5c5e-9d0e-6a1f2b3c4d5e" for i in range(2))
SLICED = replace(GPUS[1], mig=1, slices=",".join(SLICES))
_2, _3 = UUIDS[2], UUIDS[3]

FORMS: dict[str | None, Sequence[int]] = {
    None: (0, 1, 2, 3),
    "": (),
    " ": (),
    "-1": (),
    "NoDevFiles": (),
    "0": (0,),
    "3": (3,),
    "2,0": (2, 0),
    "3,2,1,0": (3, 2, 1, 0),
    " 1 , 3": (1, 3),
    "+2": (2,),
    "1gpu2,2ampere": (1, 2),
    "1,-1,2": (1,),
    "0,,2": (0,),
    "1,9,2": (1,),
    "7": (),
    "0,1,0": (),
    _2: (2,),
    f"{_3},{_2}": (3, 2),
    _2[:5]: (2,),
    f"{_3[:9]},{_2[:12]}": (3, 2),
    "GPU-": (),  # fits them all
    f"{_3},GPU-": (3,),
    f"{_2},{_2[:6]}": (),  # the same one twice
    f"{_2},{_2}": (),
    f"{_2},1": (2,),
    f"1,{_2}": (1,),
    f"GPU-ffff,{_2}": (),
    _2.upper(): (),
    "MIG-1": (),
}
"""CUDA_VISIBLE_DEVICES to the GPUs that CUDA shows, in its order."""
PERMUTATIONS = tuple(itertools.permutations(range(4)))


def power_w(gpu: Gpu) -> float:
    """Read from the handle: which GPU it truly is."""
    return round(float(gpu.ask("nvmlDeviceGetPowerUsage")) / 1e3)


@pytest.mark.parametrize("order", PERMUTATIONS)
def test_no_form_of_cuda_visible_devices_gives_a_wrong_device(order: tuple[int, ...]) -> None:
    with loaded(replace(VIRTUAL, gpus=tuple(GPUS[i] for i in order))) as stub:
        stub.set_time_s(10.0)
        pynvml.nvmlInit()
        listed = list_gpus(pynvml)
        assert [gpu.uuid for gpu in listed] == [UUIDS[i] for i in order]
        for text, shown in FORMS.items():
            for more in ({}, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}):
                env = {**more, **({} if text is None else {"CUDA_VISIBLE_DEVICES": text})}
                found = visible(listed, env)
                assert found.uuids == tuple(UUIDS[i] for i in shown), text
                assert found.uuids or found.note
                powers_w = [power_w(open_gpu(pynvml, uuid)) for uuid in found.uuids]
                assert powers_w == [100.0 * (i + 1) for i in shown], text


@pytest.mark.parametrize("known", ["uuid", "pci", "both"])
def test_no_device_of_torch_is_taken_for_another_gpu(known: str) -> None:
    properties = [Properties(i, known) for i in range(4)]
    for order in PERMUTATIONS:
        for cuda_order in ((0, 1, 2, 3), (2, 0, 3), (3, 1)):
            torch = FakeTorch([properties[i] for i in cuda_order])
            with loaded(replace(VIRTUAL, gpus=tuple(GPUS[i] for i in order))) as stub:
                stub.set_time_s(10.0)
                pynvml.nvmlInit()
                for index, i in enumerate(cuda_order):
                    facts = open_device(f"cuda:{index}", torch).facts()
                    assert facts is not None
                    gpu = open_gpu(pynvml, facts.uuid, facts.pci_bus_id)
                    assert (power_w(gpu), gpu.uuid) == (100.0 * (i + 1), UUIDS[i])


class Properties(FakeProperties):
    """What torch tells of a GPU: its UUID, its place, or both."""

    def __init__(self, i: int, known: str) -> None:
        super().__init__(uuid=None if known == "pci" else UUIDS[i].removeprefix("GPU-"))
        if known != "uuid":
            self.pci_domain_id, self.pci_bus_id, self.pci_device_id = 0, i + 1, 0


def test_texts_are_read_as_torch_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    parse: Any = getattr(torch.cuda, "_parse_visible_devices", None)
    transform: Any = getattr(torch.cuda, "_transform_uuid_to_ordinals", None)
    if parse is None or transform is None:
        pytest.skip("this torch reads CUDA_VISIBLE_DEVICES elsewhere")
    rng = random.Random(5)
    listed = [Listed(gpu.uuid, gpu.pci, gpu.name) for gpu in GPUS]
    entries = [
        "0",
        "1",
        "3",
        "2x",
        "9",
        "-1",
        "",
        " 2",
        "GPU-",
        *UUIDS[:4],
        *(u[:5] for u in UUIDS),
    ]
    for _ in range(3000):
        text = ",".join(rng.choice(entries) for _ in range(rng.randint(1, 4)))
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
        parsed = parse()
        if parsed and isinstance(parsed[0], str):
            parsed = transform(parsed, list(UUIDS[:4]))
        expected = tuple(UUIDS[i] for i in itertools.takewhile(lambda i: i < 4, parsed))
        assert visible(listed, os.environ).uuids == expected, text


def test_gpus_of_different_models_are_not_counted_unless_by_place() -> None:
    listed = [Listed(UUIDS[i], GPUS[i].pci, name) for i, name in enumerate(("L4", "H100"))]
    refused = visible(listed, {"CUDA_VISIBLE_DEVICES": "0"})
    assert refused.uuids == ()
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in str(refused.note)
    by_place = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert visible(listed, by_place).uuids == (UUIDS[0],)
    assert visible(listed, {"CUDA_VISIBLE_DEVICES": UUIDS[1]}).uuids == (UUIDS[1],)


def test_pci_bus_ids_are_compared_as_numbers() -> None:
    places = ("0001:01:00.0", "00000000:0a:00.0", "0000:9:00.0")
    listed = [Listed(UUIDS[i], place, "H100") for i, place in enumerate(places)]
    assert visible(listed, {"CUDA_VISIBLE_DEVICES": "0,1,2"}).uuids == (
        UUIDS[2],
        UUIDS[1],
        UUIDS[0],
    )


def test_counting_equal_gpus_says_what_it_assumes() -> None:
    listed = [Listed(gpu.uuid, gpu.pci, gpu.name) for gpu in GPUS]
    assert "PCI bus id" in str(visible(listed, {"CUDA_VISIBLE_DEVICES": "1"}).note)
    assert visible(listed, {"CUDA_VISIBLE_DEVICES": _2}).note is None
    assert visible(listed, {}).note is None
    assert visible(listed[:1], {"CUDA_VISIBLE_DEVICES": "0"}).note is None


def test_with_mig_a_device_must_be_named_and_a_slice_has_no_power_of_its_own() -> None:
    with loaded(replace(VIRTUAL, gpus=(GPUS[0], SLICED))):
        pynvml.nvmlInit()
        listed = list_gpus(pynvml)
        assert listed[1].slices == SLICES
        refused = visible(listed, {"CUDA_VISIBLE_DEVICES": "0"})
        assert refused.uuids == ()
        assert "MIG" in str(refused.note)
        assert visible(listed, {}).uuids == ()
        shown = visible(listed, {"CUDA_VISIBLE_DEVICES": SLICES[1][:7]})
        assert shown.uuids == (SLICES[1],)
        # torch writes GPU- before the UUID of a slice, too
        for uuid in (SLICES[1], SLICES[1].replace("MIG-", "GPU-"), SLICED.uuid):
            sliced = open_gpu(pynvml, uuid, SLICED.pci)
            assert sliced.sliced
            with pytest.raises(NvmlFault, match="MIG"):
                sliced.whole()
        assert open_gpu(pynvml, GPUS[0].uuid).whole().uuid == GPUS[0].uuid


def test_an_unknown_uuid_is_never_replaced_by_the_gpu_at_its_place() -> None:
    with loaded(VIRTUAL):
        pynvml.nvmlInit()
        with pytest.raises(NvmlFault, match="NotFound"):
            open_gpu(pynvml, "GPU-ffffffff-0000", GPUS[1].pci)
        with pytest.raises(NvmlFault, match="known"):
            open_gpu(pynvml, None)


def test_a_gpu_found_by_its_place_must_have_the_uuid_that_was_asked_for() -> None:
    with loaded(replace(VIRTUAL, faults=("nvmlDeviceGetHandleByUUID:1:13",))):
        pynvml.nvmlInit()
        assert open_gpu(pynvml, UUIDS[1], GPUS[1].pci).uuid == UUIDS[1]
        with pytest.raises(NvmlFault, match=f"found GPU {UUIDS[2]}, expected {UUIDS[1]}"):
            open_gpu(pynvml, UUIDS[1], GPUS[2].pci)


def test_a_gpu_that_may_be_sliced_is_not_taken_for_a_whole_one() -> None:
    with loaded(replace(VIRTUAL, faults=("nvmlDeviceGetMigMode:1:4",))):
        pynvml.nvmlInit()
        with pytest.raises(NvmlFault, match="NoPermission"):
            open_gpu(pynvml, UUIDS[1])
    with loaded(replace(VIRTUAL, gpus=(replace(GPUS[1], mig=-1),))):
        pynvml.nvmlInit()
        assert not open_gpu(pynvml, UUIDS[1]).sliced


def test_an_unknown_slice_is_asked_for_once() -> None:
    with loaded(VIRTUAL) as stub:
        pynvml.nvmlInit()
        with pytest.raises(NvmlFault, match="NotFound"):
            open_gpu(pynvml, SLICES[0])
        assert stub.calls("nvmlDeviceGetHandleByUUID") == 1


CALLS = (
    "nvmlDeviceGetHandleByUUID",
    "nvmlDeviceGetHandleByPciBusId_v2",
    "nvmlDeviceGetUUID",
    "nvmlDeviceIsMigDeviceHandle",
    "nvmlDeviceGetMigMode",
    "*",
)


@pytest.mark.parametrize("function", CALLS)
def test_any_error_of_any_call_gives_the_right_gpu_or_a_fault(function: str) -> None:
    for code in (1, 2, 3, 4, 6, 9, 10, 12, 13, 15, 16, 17, 18, 28, 999):
        for first in (1, 2):
            with loaded(replace(VIRTUAL, faults=(f"{function}:{first}:{code}",))) as stub:
                stub.set_time_s(10.0)
                opened: list[Gpu] = []
                for _ in range(2):
                    try:
                        pynvml.nvmlInit()
                        opened.append(open_gpu(pynvml, UUIDS[2], GPUS[2].pci))
                    except (NvmlFault, pynvml.NVMLError):
                        continue
                assert all(gpu.uuid == UUIDS[2] for gpu in opened)
