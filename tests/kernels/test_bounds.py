"""No kernel writes past the end of what it is given."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from traincost_kernels.catalog import CATALOG
from traincost_kernels.entry import KernelEntry
from traincost_kernels.launch import run

GUARD = 64  # elements behind each tensor
MARK = 77.0
ZEROS = "aten::zeros_like"
ALLOCATIONS = (ZEROS, "aten::empty_like", "aten::new_empty", "aten::empty.memory_format")


class Guarded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives out new tensors that are followed by marked elements."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.guards: list[Tensor] = []

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Put a longer tensor in the place of an allocated one."""
        result = func(*args, **(kwargs or {}))
        name = str(getattr(func, "name", lambda: "")())
        if name not in ALLOCATIONS or result.is_meta:
            return result
        longer = result.new_full((result.numel() + GUARD,), MARK)
        if name == ZEROS:
            longer[: result.numel()] = 0
        self.guards.append(longer[result.numel() :])
        return longer[: result.numel()].view(result.shape)


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
@pytest.mark.parametrize("shape", [(3, 37), (1, 1030)], ids=str)
def test_nothing_is_written_past_the_end(
    entry: KernelEntry, shape: tuple[int, int], kernel_device: str
) -> None:
    inputs = entry.inputs(*shape, torch.float32, kernel_device)
    with Guarded() as guarded:
        launches = entry.launches(inputs)
    for steps in launches.values():
        run(entry.name, steps)
    assert guarded.guards
    for guard in guarded.guards:
        assert torch.equal(guard, torch.full_like(guard, MARK))
