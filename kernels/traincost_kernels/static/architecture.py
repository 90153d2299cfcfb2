"""What a streaming multiprocessor (SM) holds, and how much of it a kernel leaves in use.

    occupancy = resident warps of one SM / the most it can hold

A block takes registers (per warp, in units of 256, from the register file of one of four
sub-partitions), shared memory (in units of 128 bytes, 1 KiB of it the driver's own), warps, and one
place. The scarcest decides how many blocks are resident. It is a bound that the compiler fixes;
what is reached depends on the grid and on time.

Sources: NVIDIA, CUDA Programming Guide, 5.1 Compute Capabilities, tables 30 to 32, 2025-12-15
(https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/compute-capabilities.html);
allocation units and rounding: `cuda_occupancy.h` of nvidia-cuda-runtime 13.5.37.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

WARP_SIZE = 32
REGISTERS_PER_SM = 64 * 1024
REGISTERS_PER_BLOCK = 64 * 1024
REGISTERS_PER_THREAD = 255
REGISTER_UNIT = 256
SUB_PARTITIONS = 4
SHARED_UNIT_BYTES = 128
SHARED_RESERVED_BYTES = 1024  # per block, by the driver, from compute capability 8.0 on


@dataclass(frozen=True)
class Architecture:
    """A compilation target and the limits of its SM."""

    name: str
    capability: int  # 90 is compute capability 9.0
    warps_per_sm: int
    blocks_per_sm: int
    shared_per_sm_bytes: int
    card: str  # an example
    sm_count: int  # of that card


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        a.name: a
        for a in (
            Architecture("sm_80", 80, 64, 32, 164 * 1024, "A100", 108),
            Architecture("sm_90", 90, 64, 32, 228 * 1024, "H100 SXM", 132),
            Architecture("sm_100", 100, 64, 32, 228 * 1024, "B200", 148),
        )
    }
)


def occupancy(
    architecture: Architecture, *, registers: int, shared_bytes: int, num_warps: int
) -> float:
    """Share of an SM's warps that such blocks can fill; 0.0 where not even one block fits.

    Args:
        architecture: The target.
        registers: Of one thread.
        shared_bytes: Of one block, static and dynamic, without the driver's own.
        num_warps: Of one block.
    """
    blocks = min(
        architecture.blocks_per_sm,
        architecture.warps_per_sm // num_warps,
        _blocks_by_registers(registers, num_warps),
        _blocks_by_shared(architecture, shared_bytes),
    )
    return blocks * num_warps / architecture.warps_per_sm


def _blocks_by_registers(registers: int, num_warps: int) -> int:
    of_a_warp = _round_up(registers * WARP_SIZE, REGISTER_UNIT)
    of_a_block = of_a_warp * _round_up(num_warps, SUB_PARTITIONS)  # as the hardware checks it
    if registers > REGISTERS_PER_THREAD or of_a_block > REGISTERS_PER_BLOCK:
        return 0
    return REGISTERS_PER_SM // SUB_PARTITIONS // of_a_warp * SUB_PARTITIONS // num_warps


def _blocks_by_shared(architecture: Architecture, shared_bytes: int) -> int:
    of_a_block = _round_up(shared_bytes + SHARED_RESERVED_BYTES, SHARED_UNIT_BYTES)
    return architecture.shared_per_sm_bytes // of_a_block


def _round_up(n: int, unit: int) -> int:
    return -(-n // unit) * unit
