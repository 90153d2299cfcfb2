"""The state that a step changes, kept aside so that every pass starts from the same point.

The copy lies in host memory: on a GPU it must not add to the memory that is measured.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SEED = 0  # of the random numbers (dropout) of each pass


def seed_all(seed: int = SEED) -> None:
    """Start torch's random numbers, of every device, from a seed; by default that of a pass."""
    import torch

    torch.manual_seed(seed)


@dataclass(frozen=True)
class Snapshot:
    """Parameters, buffers and optimizer state at one moment."""

    model: torch.nn.Module | None
    optimizer: torch.optim.Optimizer | None
    tensors: tuple[torch.Tensor, ...]
    optimizer_state: dict[str, Any]

    def restore(self) -> None:
        """Put it all back, in place; drop the gradients; seed the random numbers."""
        import torch

        if self.model is not None:
            with torch.no_grad():
                for tensor, saved in zip(_tensors(self.model), self.tensors, strict=True):
                    tensor.copy_(saved)
            self.model.zero_grad(set_to_none=True)
        if self.optimizer is not None:
            self.optimizer.zero_grad(set_to_none=True)
            self.optimizer.load_state_dict(copy.deepcopy(self.optimizer_state))
        seed_all()

    def has_moved(self) -> bool:
        """Whether a parameter is no longer what it was."""
        if self.model is None:
            return False
        now = list(self.model.parameters())
        return any(not _to_host(t).equal(s) for t, s in zip(now, self.tensors, strict=False))


def take_snapshot(
    model: torch.nn.Module | None, optimizer: torch.optim.Optimizer | None
) -> Snapshot:
    """Copy the state of `model` and `optimizer` to the host."""
    from torch.utils._pytree import tree_map

    state = {} if optimizer is None else optimizer.state_dict()
    return Snapshot(
        model=model,
        optimizer=optimizer,
        tensors=tuple(_to_host(t) for t in _tensors(model)),
        optimizer_state=copy.deepcopy(tree_map(_to_host, state)),
    )


def _tensors(model: torch.nn.Module | None) -> list[torch.Tensor]:
    return [] if model is None else [*model.parameters(), *model.buffers()]


def _to_host(value: Any) -> Any:
    import torch

    return value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
