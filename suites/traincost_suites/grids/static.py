"""Which shapes each profile compiles fused kernels for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from traincost_suites.grids.axes import stands_in

STATIC_SHAPES: Mapping[str, tuple[tuple[str, tuple[int, ...]], ...]] = MappingProxyType(
    {  # (dtype, lengths of a row): 4099 is odd and prime, 131072 in fp32 does not fit an SM
        "quick": (("bf16", (4096, 4099)), ("fp32", (4096, 131_072))),
        "standard": (
            ("bf16", (1000, 1024, 16_384, 16_411, 65_536)),
            ("fp16", (4096,)),  # as bf16 but for the conversions
            ("fp32", (4099, 16_384, 16_411, 32_768, 65_536)),
        ),
        "full": (("fp16", (4099, 16_384, 65_536)), ("fp32", (262_144,))),
    }
)


def static_shapes(profile: str | None = None) -> list[tuple[str, int]]:
    """(dtype, length of a row) of the kernels that are compiled, in this run's profile."""
    return [
        (dtype, n_cols)
        for name, shapes in STATIC_SHAPES.items()
        if stands_in(name, profile)
        for dtype, lengths in shapes
        for n_cols in lengths
    ]
