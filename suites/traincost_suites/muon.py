"""Muon for the matrices and AdamW for the rest, behind the face of one optimizer.

Muon orthogonalises the update of a matrix, so vectors and embeddings need another optimizer beside
it (K. Jordan, 2024). Both take one learning rate: Muon's update is scaled to AdamW's usual size
(`match_rms_adamw`; J. Liu and others, arXiv 2502.16982).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


class MuonAndAdamW(torch.optim.Optimizer):
    """Two optimizers that take their steps together; groups and state are theirs."""

    def __init__(
        self,
        matrices: Sequence[Tensor],  # each (rows, columns)
        others: Sequence[Tensor],
        lr: float,
        weight_decay: float = 0.01,
    ) -> None:
        # The base class is left uninitialised: it would keep groups and state of its own.
        self.defaults = {"lr": lr, "weight_decay": weight_decay}
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(
                torch.optim.Muon(
                    matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
                )
            )
        if others:
            self.parts.append(torch.optim.AdamW(others, lr=lr, weight_decay=weight_decay))

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The groups of both; a rate set here is theirs."""
        return list(chain.from_iterable(part.param_groups for part in self.parts))

    @property
    def state(self) -> dict[Tensor, Any]:  # type: ignore[override]
        """The states of both, by parameter."""
        return {p: s for part in self.parts for p, s in part.state.items()}

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """A step of each."""
        loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Those of both."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.parts))


def muon(model: nn.Module, lr: float) -> MuonAndAdamW:
    """Muon for every matrix of the model that is no embedding, AdamW for what is left."""
    takes = set(map(id, muon_parameters(model)))
    parameters = [p for p in model.parameters() if p.requires_grad]
    return MuonAndAdamW(
        [p for p in parameters if id(p) in takes],
        [p for p in parameters if id(p) not in takes],
        lr,
    )


def muon_parameters(model: nn.Module) -> Iterator[Tensor]:
    """The matrices that Muon takes; a head that shares the embedding's table is one with it."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dim() == 2 and id(parameter) not in tables:
            yield parameter
