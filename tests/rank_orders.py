"""Orders for ranks on this machine's CPU, with a short profile: what is tested is counts."""

from dataclasses import replace
from typing import Any

from traincost.assemble import Origin
from traincost.data.case import case_from_test
from traincost.data.profile import PROFILES
from traincost.parallel.order import Order

SHORT = replace(PROFILES["quick"], timed_s=0.02, timed_max_s=0.1, warmup_s=0.02)
MAKE = "traincost_suites.parallel.step:parallel_step"


def order(
    strategy: str, world_size: int, *, model: str = "gpt-10k", batch_size: int = 8, **more: Any
) -> Order:
    """A step of the suite on so many CPU ranks."""
    axes = {"strategy": strategy, "model": model, "batch_size": batch_size}
    case = case_from_test("test_parallel", "test_train_step", {**axes, "world_size": world_size})
    arguments: dict[str, Any] = {"strategy_name": strategy, "model": model, "dtype": "fp32"}
    return Order(
        case=case,
        origin=Origin("run", "2026-11-24T00:00:00+00:00", {}),
        peak=None,
        profile=SHORT,
        make=MAKE,
        arguments={**arguments, "batch_size": batch_size, **more},
        world_size=world_size,
        device="cpu",
    )
