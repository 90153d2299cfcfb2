"""What a suite builds on each rank: its share of a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from traincost.measure import Work
from traincost.snapshot import seed_all

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class RankWork:
    """A rank's part of a step that all ranks take together.

    `work` is the local step, with this rank's samples and tokens. `optimizer` is the one that holds
    this rank's optimizer state, where that is not the one that steps. `hidden_bytes` is memory that
    lives from step to step in no Python tensor (DDP's buckets). `replicated` says that the ranks
    hold the same samples, so that the step has those of one of them.
    """

    work: Work
    optimizer: torch.optim.Optimizer | None = None
    hidden_bytes: Callable[[], int] = lambda: 0
    replicated: bool = False
    axes: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class RankStart:
    """The start of every pass: parameters as they were built, an optimizer that has not stepped.

    A sharded optimizer gives its state out only by communicating, so the state is dropped, not put
    back: every training here begins with none.
    """

    tensors: tuple[tuple[torch.Tensor, torch.Tensor], ...]  # (what lives on this rank, its copy)
    model: torch.nn.Module
    optimizers: tuple[torch.optim.Optimizer, ...]

    @classmethod
    def of(cls, built: RankWork) -> RankStart:
        """Copy what is on this rank to the host."""
        model, stepping = built.work.model, built.work.optimizer
        if model is None or stepping is None:
            raise ValueError("the work of a rank needs its model and its optimizer")
        local = [_local(t) for t in (*model.parameters(), *model.buffers())]
        optimizers = (stepping,) if built.optimizer is None else (stepping, built.optimizer)
        return cls(tuple((t, t.to("cpu", copy=True)) for t in local), model, optimizers)

    def restore(self) -> None:
        """Put the parameters back, drop gradients and optimizer state, seed the random numbers."""
        for tensor, saved in self.tensors:
            tensor.copy_(saved)
        self.model.zero_grad(set_to_none=True)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
            optimizer.state.clear()
        seed_all()


def _local(tensor: Any) -> torch.Tensor:
    """This rank's part, sharing its memory."""
    found: Any = tensor.detach()
    return found.to_local() if hasattr(found, "to_local") else found  # type: ignore[no-any-return]
